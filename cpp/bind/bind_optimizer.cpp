#include <pybind11/stl.h>

#include <optional>
#include <vector>

#include "bind/arrays.hpp"
#include "bind/classes.hpp"
#include "bind/gil.hpp"
#include "bind/names.hpp"
#include "bind/rule.hpp"
#include "core/parallel.hpp"
#include "isa/dispatch.hpp"

namespace fanin::bind {

namespace {

constexpr index cut_every = 1024;         // elements between the cuts for threads
constexpr double flops_per_element = 8;   // memory and roots weigh more than their count
constexpr index worth_releasing = 16384;  // elements: a release of the GIL costs 0.1 microseconds

const char* name_of(const Rule& r) { return names<fanin::Rule>[static_cast<int>(r.spec.rule)]; }

/// One step on every array that was added. All are checked before the first is changed, and text
/// for errors is made when there is one: a step on small arrays takes about a microsecond.
class Step {
 public:
  Step(Rule& rule, const py::dict& states, double l2, double g_scale)
      : rule_(rule),
        n_states_(static_cast<std::size_t>(state_count(rule.spec.rule))),
        states_(states),
        l2_(l2),
        g_scale_(g_scale) {}

  /// False where an argument is no plain array or the states are not those of such an array.
  bool add(py::handle key, py::handle p, py::handle g) {
    if (!is_plain(p) || !is_plain(g)) return false;
    const auto a = py::reinterpret_borrow<py::array>(p), b = py::reinterpret_borrow<py::array>(g);
    if (holds<float>(a)) return add(key, a, b, f32_);
    if (holds<double>(a)) return add(key, a, b, f64_);
    refuse_dtype(a, label("params", key));
  }

  void run(double lr, int n_threads) {
    without_gil_if(size_ >= worth_releasing, [&] {
      expect_threads(useful_threads(n_threads, flops_per_element * static_cast<double>(largest_)));
      RuleClock clock = rule_.clock;
      const auto c32 = advance<float>(rule_.spec, clock, lr);
      const auto c64 = advance<double>(rule_.spec, rule_.clock, lr);
      for (OptimizerStep<float>& u : f32_) apply(u, c32, n_threads);
      for (OptimizerStep<double>& u : f64_) apply(u, c64, n_threads);
    });
  }

 private:
  static bool is_plain(py::handle a) {
    if (!py::isinstance<py::array>(a)) return false;
    const auto array = py::reinterpret_borrow<py::array>(a);
    return !is_masked(array) && is_native(array.dtype());
  }

  static std::string label(const std::string& group, py::handle key) {
    return py::len(key) == 0 ? group : group + "[" + py::repr(key).cast<std::string>() + "]";
  }

  template <class T>
  bool add(py::handle key, const py::array& p, const py::array& g,
           std::vector<OptimizerStep<T>>& updates) {
    const Shape shape = shape_of(p);
    if (!fits<T>(p)) refuse<T>(p, label("params", key), "");
    if (!p.writeable()) refuse_read_only(label("params", key));
    if (!fits<T>(g, shape)) refuse<T>(g, label("grads", key), shape);
    if (share_memory(p, g)) refuse_shared(label("params", key), label("grads", key));
    OptimizerStep<T> u{};
    const py::handle states = PyDict_GetItem(states_.ptr(), key.ptr());
    if (!states || !PyList_CheckExact(states.ptr())) return false;
    const auto held = py::reinterpret_borrow<py::list>(states);
    if (held.size() != n_states_) return false;
    for (std::size_t k = 0; k < n_states_; ++k) {
      const py::object state = held[k];
      if (!is_plain(state)) return false;
      auto a = py::reinterpret_borrow<py::array>(state);
      if (!fits<T>(a, shape) || !a.writeable()) return false;
      u.state[k] = static_cast<T*>(a.mutable_data());
    }
    u.size = p.size();
    u.p = static_cast<T*>(const_cast<void*>(p.data()));
    u.g = static_cast<const T*>(g.data());
    u.l2 = static_cast<T>(l2_);
    u.g_scale = static_cast<T>(g_scale_);
    updates.push_back(u);
    size_ += u.size;
    largest_ = std::max(largest_, u.size);
    return true;
  }

  template <class T>
  static void apply(OptimizerStep<T>& u, const StepCoefficients<T>& coefficients, int n_threads) {
    u.coefficients = coefficients;
    const double flops = flops_per_element * static_cast<double>(u.size);
    parallel_for(u.size, cut_every, useful_threads(n_threads, flops),
                 [&](index b, index e) { kernels<T>().optimizer_step(u, {b, e}); });
  }

  Rule& rule_;
  std::size_t n_states_;
  const py::dict& states_;
  double l2_, g_scale_;
  index size_ = 0, largest_ = 0;
  std::vector<OptimizerStep<float>> f32_;
  std::vector<OptimizerStep<double>> f64_;
};

/// params and grads: an array each, or a dict of arrays each.
bool step(Rule& r, const py::object& params, const py::object& grads, const py::dict& states,
          double lr, double l2, double g_scale, int n_threads) {
  Step s(r, states, l2, g_scale);
  const bool keyed = PyDict_CheckExact(params.ptr()) && PyDict_CheckExact(grads.ptr());
  const std::size_t n = keyed ? py::len(params) : 1;
  if (states.size() != n) return false;
  if (!keyed) {
    if (!s.add(py::str(""), params, grads)) return false;
  } else {
    if (py::len(grads) != n) return false;
    for (const auto& [key, p] : py::reinterpret_borrow<py::dict>(params)) {
      if (!PyUnicode_CheckExact(key.ptr())) return false;
      const py::handle g = PyDict_GetItem(grads.ptr(), key.ptr());
      if (!g || !s.add(key, p, g)) return false;
    }
  }
  s.run(lr, n_threads);
  return true;
}

}  // namespace

void bind_optimizer(py::module_& m) {
  const auto make = [](const std::string& name, double rho, double beta1, double beta2, double eps,
                       double weight_decay, std::optional<double> momentum_decay,
                       const std::optional<py::dict>& state) {
    Rule r{{choice<fanin::Rule>("optimizer", name), rho, beta1, beta2, eps, weight_decay,
            momentum_decay.value_or(-1)},
           {}};
    if (state) r.clock = clock_from(*state);
    return r;
  };
  make_class<Rule>(m, "Rule", "An optimizer's formula, hyperparameters and count of steps.")
      .def(py::init(make), py::arg("name"), py::arg("rho") = 0.9, py::arg("beta1") = 0.9,
           py::arg("beta2") = 0.999, py::arg("eps") = 1e-8, py::arg("weight_decay") = 0.0,
           py::arg("momentum_decay") = py::none(), py::arg("state") = py::none())
      .def_property_readonly("name", &name_of, "The formula's name.")
      .def_property_readonly(
          "n_states", [](const Rule& r) { return state_count(r.spec.rule); },
          "Arrays of state for each array of parameters.")
      .def_property_readonly(
          "t", [](const Rule& r) { return r.clock.t; }, "Steps taken.")
      .def_property(
          "state", [](const Rule& r) { return clock_to_dict(r.clock); },
          [](Rule& r, const py::dict& d) { r.clock = clock_from(d); },
          "What is carried from step to step.")
      .def("step", &step, py::arg("params"), py::arg("grads"), py::arg("states"), py::arg("lr"),
           py::arg("l2"), py::arg("g_scale"), py::arg("n_threads"),
           "One step on an array or a dict of arrays, in place. False, and nothing is changed, "
           "where "
           "keys, types or states do not go together; other faults are errors.")
      // Of every protocol of pickle, and of copy.
      .def("__reduce__", [](const py::object& self) {
        const Rule& r = self.cast<const Rule&>();
        const RuleSpec& s = r.spec;
        return py::make_tuple(
            py::type::of(self),
            py::make_tuple(name_of(r), s.rho, s.beta1, s.beta2, s.eps, s.weight_decay,
                           s.momentum_decay, clock_to_dict(r.clock)));
      });
}

}  // namespace fanin::bind
