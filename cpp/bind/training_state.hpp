#pragma once
// Copies of a network in training, with its optimizer, and scopes in which it does not change.
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "bind/arrays.hpp"
#include "bind/classes.hpp"
#include "bind/engine.hpp"
#include "bind/gil.hpp"
#include "bind/rule.hpp"

namespace fanin::bind {

/// A scope of Python's that reads a network: `with engine.reading(): ...`.
struct PythonReading {
  py::object engine;
  StepLock& lock;
  std::unique_ptr<Reading> reading;

  void enter() {
    without_gil([&] { reading = std::make_unique<Reading>(lock, poll_signals); });
  }
};

/// Where a training stands, in arrays of its own: parameters, counts, and an optimizer's state.
struct TrainingState {
  py::array parameters;
  std::vector<py::array> states;
  RuleClock clock{};
  std::uint64_t epochs = 0, steps = 0;
};

/// Copies all of it in one go, to or from the network and the optimizer.
template <class T>
class StateCopy {
 public:
  StateCopy(Engine<T>& e, TrainingState& state, const py::object& rule,
            std::vector<py::array>& states)
      : net_(e.net), state_(state), size_(e.net.size()) {
    kept_ = write<T>(state.parameters, "parameters", {size_});
    if (!rule.is_none()) clock_ = &rule.cast<Rule&>().clock;
    if (states.size() != state.states.size()) {
      throw py::value_error("states: expected " + std::to_string(state.states.size()) +
                            " arrays, got " + std::to_string(states.size()));
    }
    for (std::size_t i = 0; i < states.size(); ++i) {
      pairs_.emplace_back(write<T>(states[i], "optimizer state", {size_}),
                          write<T>(state.states[i], "states", {size_}));
    }
  }

  void take() {
    without_gil([&] {
      const Reading reading(net_.lock(), poll_signals);
      std::copy_n(net_.params(), size_, kept_);
      for (const auto& [own, kept] : pairs_) std::copy_n(own, size_, kept);
      if (clock_) state_.clock = *clock_;
      state_.epochs = net_.epochs;
      state_.steps = net_.steps;
    });
  }

  void put_back() {
    change_parameters(net_, [&] {
      std::copy_n(kept_, size_, net_.params());
      for (const auto& [own, kept] : pairs_) std::copy_n(kept, size_, own);
      if (clock_) *clock_ = state_.clock;
      net_.epochs = state_.epochs;
      net_.steps = state_.steps;
    });
  }

  /// Between the steps of a training, if there is one, and unseen by readers.
  template <class F>
  static void change_parameters(Network<T>& net, F&& change) {
    if (StepLock::thread_reads()) return change();  // a signal handler within a pass
    without_gil([&] {
      Poller poller(poll_signals);
      net.lock().begin_write(poller);
      change();
      net.lock().end_write();
    });
  }

 private:
  Network<T>& net_;
  TrainingState& state_;
  index size_;
  T* kept_;
  RuleClock* clock_ = nullptr;
  std::vector<std::pair<T*, T*>> pairs_;
};

template <class T>
TrainingState state_of(Engine<T>& e, const py::object& rule, std::vector<py::array> states) {
  TrainingState state{py::array_t<T>(e.net.size()), {}};
  for (std::size_t i = 0; i < states.size(); ++i) {
    state.states.push_back(py::array_t<T>(e.net.size()));
  }
  StateCopy<T>(e, state, rule, states).take();
  return state;
}

template <class T>
void bind_state(py::class_<Engine<T>>& engine) {
  using E = Engine<T>;
  engine
      .def("state", &state_of<T>, py::arg("rule") = py::none(),
           py::arg("states") = std::vector<py::array>(),
           "A copy of parameters and counts, and of an optimizer's state, as after a whole step.")
      .def(
          "take",
          [](E& e, TrainingState& state, const py::object& rule, std::vector<py::array> states) {
            StateCopy<T>(e, state, rule, states).take();
          },
          py::arg("state"), py::arg("rule") = py::none(),
          py::arg("states") = std::vector<py::array>(), "The same into an earlier copy.")
      .def(
          "put_back",
          [](E& e, TrainingState& state, const py::object& rule, std::vector<py::array> states) {
            StateCopy<T>(e, state, rule, states).put_back();
          },
          py::arg("state"), py::arg("rule") = py::none(),
          py::arg("states") = std::vector<py::array>(), "Goes back to a copy.")
      .def(
          "set_parameters",
          [](E& e, const py::array& parameters) {
            const T* from = read<T>(parameters, "parameters", {e.net.size()});
            StateCopy<T>::change_parameters(
                e.net, [&] { std::copy_n(from, e.net.size(), e.net.params()); });
          },
          py::arg("parameters"), "Between two steps.")
      .def(
          "reading",
          [](const py::object& self) {
            return PythonReading{self, self.cast<E&>().net.lock(), nullptr};
          },
          "A context in which all passes and copies see the network after the same step.")
      .def_property(
          "epochs_done", [](const E& e) { return e.net.epochs.load(); },
          [](E& e, std::uint64_t n) { e.net.epochs = n; }, "Set by the caller.")
      .def_property(
          "steps_done", [](const E& e) { return e.net.steps.load(); },
          [](E& e, std::uint64_t n) { e.net.steps = n; }, "Counted by `train`.");
}

inline void bind_training_state(py::module_& m) {
  using S = TrainingState;
  make_class<S>(m, "TrainingState", "Where a training stands: parameters, counts, optimizer.")
      .def(py::init([](py::array parameters, std::vector<py::array> states, const py::dict& clock,
                       std::uint64_t epochs, std::uint64_t steps) {
             return S{std::move(parameters), std::move(states), clock_from(clock), epochs, steps};
           }),
           py::arg("parameters"), py::arg("states"), py::arg("clock"), py::arg("epochs_done"),
           py::arg("steps_done"))
      .def_readonly("parameters", &S::parameters)
      .def_readonly("states", &S::states, "The optimizer's arenas.")
      .def_property_readonly("clock", [](const S& s) { return clock_to_dict(s.clock); })
      .def_readonly("epochs_done", &S::epochs)
      .def_readonly("steps_done", &S::steps);
  make_class<PythonReading>(m, "Reading", "Of a network's parameters: a context manager.")
      .def("__enter__", [](PythonReading& r) { r.enter(); })
      .def(
          "__exit__",
          [](PythonReading& r, const py::object&, const py::object&, const py::object&) {
            r.reading.reset();
          },
          py::arg("type"), py::arg("error"), py::arg("traceback"));
}

}  // namespace fanin::bind
