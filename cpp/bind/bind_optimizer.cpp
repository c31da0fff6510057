#include <pybind11/stl.h>

#include <optional>
#include <vector>

#include "bind/arrays.hpp"
#include "bind/rule.hpp"
#include "core/parallel.hpp"
#include "isa/dispatch.hpp"

namespace fanin::bind {

namespace {

constexpr const char* rule_names[] = {"sgd",     "momentum", "nesterov", "adagrad",
                                      "rmsprop", "adadelta", "adam",     "adamw",
                                      "nadam",   "amsgrad",  "lion"};
constexpr index block = 1024;            // elements between the cuts for threads
constexpr double flops_per_element = 8;  // memory and roots weigh more than their count

fanin::Rule rule_of(const std::string& name) {
  std::string known;
  for (std::size_t i = 0; i < std::size(rule_names); ++i) {
    if (name == rule_names[i]) return static_cast<fanin::Rule>(i);
    known += (i ? ", " : "") + std::string(rule_names[i]);
  }
  throw py::value_error("optimizer: expected one of " + known + "; got '" + name + "'");
}

const char* name_of(const Rule& r) { return rule_names[static_cast<int>(r.spec.rule)]; }

py::dict clock_of(const Rule& r) {
  const RuleClock& c = r.clock;
  return py::dict(py::arg("t") = c.t, py::arg("beta1_power") = c.beta1_power,
                  py::arg("beta2_power") = c.beta2_power,
                  py::arg("mu_decay_power") = c.mu_decay_power,
                  py::arg("mu_product") = c.mu_product);
}

void set_clock(Rule& r, const py::dict& d) {
  r.clock = {d["t"].cast<std::int64_t>(), d["beta1_power"].cast<double>(),
             d["beta2_power"].cast<double>(), d["mu_decay_power"].cast<double>(),
             d["mu_product"].cast<double>()};
}

/// The data of an array of p's shape.
template <class T>
const T* read_like(const py::array& a, const py::array& p, const std::string& name) {
  const std::string expected = "shape " + shape_text(p) + " ";
  const bool same = a.ndim() == p.ndim() && std::equal(a.shape(), a.shape() + a.ndim(), p.shape());
  if (!same && holds<T>(a)) {
    throw py::value_error(name + ": expected " + expected + dtype_name<T>() + ", got " +
                          describe(a));
  }
  check_layout<T>(a, name.c_str(), expected);
  return static_cast<const T*>(a.data());
}

template <class T>
T* write_like(py::array& a, const py::array& p, const std::string& name) {
  read_like<T>(a, p, name);
  if (!a.writeable()) {
    throw py::value_error(name + ": expected a writable array, got a read-only one");
  }
  return static_cast<T*>(a.mutable_data());
}

template <class T>
struct Update {
  OptimizerStep<T> step;
  index n;
};

template <class T>
Update<T> prepare(fanin::Rule rule, const std::string& key, py::array& p, const py::array& g,
                  std::vector<py::array>& states, double l2, double g_scale) {
  const std::string name = "params" + key;
  Update<T> u{};
  u.n = p.size();
  u.step.p = write_like<T>(p, p, name);
  u.step.g = read_like<T>(g, p, "grads" + key);
  require_disjoint(p, name.c_str(), g, ("grads" + key).c_str());
  if (states.size() != static_cast<std::size_t>(state_count(rule))) {
    throw py::value_error("state" + key + ": expected " + std::to_string(state_count(rule)) +
                          " arrays, got " + std::to_string(states.size()));
  }
  for (std::size_t k = 0; k < states.size(); ++k) {
    u.step.state[k] = write_like<T>(states[k], p, "state" + key);
  }
  u.step.l2 = static_cast<T>(l2);
  u.step.g_scale = static_cast<T>(g_scale);
  return u;
}

template <class T>
void run(Update<T>& u, const StepCoefficients<T>& coefficients, int n_threads) {
  u.step.coefficients = coefficients;
  const double flops = flops_per_element * static_cast<double>(u.n);
  parallel_for(u.n, block, useful_threads(n_threads, flops),
               [&](index b, index e) { kernels<T>().optimizer_step(u.step, {b, e}); });
}

/// One step on every array. All of them are checked before the first is changed.
void step(Rule& r, const std::vector<std::string>& keys, std::vector<py::array> params,
          const std::vector<py::array>& grads, std::vector<std::vector<py::array>> states,
          double lr, double l2, double g_scale, int n_threads) {
  const std::size_t n = keys.size();
  if (params.size() != n || grads.size() != n || states.size() != n) {
    throw py::value_error("params, grads, states: expected one each key");
  }
  std::vector<Update<float>> f32;
  std::vector<Update<double>> f64;
  for (std::size_t i = 0; i < n; ++i) {
    const std::string name = "params" + keys[i];
    by_dtype(params[i], name.c_str(), [&](auto t) {
      using T = decltype(t);
      auto update = prepare<T>(r.spec.rule, keys[i], params[i], grads[i], states[i], l2, g_scale);
      if constexpr (sizeof(T) == 4) f32.push_back(update);
      if constexpr (sizeof(T) == 8) f64.push_back(update);
    });
  }
  py::gil_scoped_release release;
  RuleClock clock = r.clock;
  const auto c32 = advance<float>(r.spec, clock, lr);
  const auto c64 = advance<double>(r.spec, r.clock, lr);
  for (auto& u : f32) run(u, c32, n_threads);
  for (auto& u : f64) run(u, c64, n_threads);
}

}  // namespace

void bind_optimizer(py::module_& m) {
  const auto make = [](const std::string& name, double rho, double beta1, double beta2, double eps,
                       double weight_decay, std::optional<double> momentum_decay) {
    return Rule{{rule_of(name), rho, beta1, beta2, eps, weight_decay, momentum_decay.value_or(-1)},
                {}};
  };
  py::class_<Rule>(m, "Rule", "An optimizer's formula, hyperparameters and count of steps.")
      .def(py::init(make), py::arg("name"), py::arg("rho") = 0.9, py::arg("beta1") = 0.9,
           py::arg("beta2") = 0.999, py::arg("eps") = 1e-8, py::arg("weight_decay") = 0.0,
           py::arg("momentum_decay") = py::none())
      .def_property_readonly("name", &name_of, "The formula's name.")
      .def_property_readonly(
          "n_states", [](const Rule& r) { return state_count(r.spec.rule); },
          "Arrays of state for each array of parameters.")
      .def_property_readonly(
          "t", [](const Rule& r) { return r.clock.t; }, "Steps taken.")
      .def_property("state", &clock_of, &set_clock, "What is carried from step to step.")
      .def("step", &step, py::arg("keys"), py::arg("params"), py::arg("grads"), py::arg("states"),
           py::arg("lr"), py::arg("l2"), py::arg("g_scale"), py::arg("n_threads"),
           "One step on each of the arrays, in place; keys name them in errors.")
      .def(py::pickle(
          [](const Rule& r) {
            const RuleSpec& s = r.spec;
            return py::make_tuple(name_of(r), s.rho, s.beta1, s.beta2, s.eps, s.weight_decay,
                                  s.momentum_decay, clock_of(r));
          },
          [make](const py::tuple& t) {
            Rule r = make(t[0].cast<std::string>(), t[1].cast<double>(), t[2].cast<double>(),
                          t[3].cast<double>(), t[4].cast<double>(), t[5].cast<double>(),
                          t[6].cast<double>());
            set_clock(r, t[7].cast<py::dict>());
            return r;
          }));
}

}  // namespace fanin::bind
