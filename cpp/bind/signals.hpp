#pragma once
// Long work without the GIL that Ctrl-C can interrupt.
#include <pybind11/pybind11.h>

namespace fanin::bind {

struct Interrupted {};

/// Lets pending signals be handled; a handler's exception (Ctrl-C) ends the work.
inline const auto poll_signals = [] {
  pybind11::gil_scoped_acquire acquire;
  if (PyErr_CheckSignals() != 0) throw Interrupted{};
};

/// Runs work without the GIL; the exception of a signal handler becomes Python's again.
template <class F>
void without_gil(F&& work) {
  bool interrupted = false;
  {
    pybind11::gil_scoped_release release;
    try {
      work();
    } catch (const Interrupted&) {
      interrupted = true;
    }
  }
  if (interrupted) throw pybind11::error_already_set();
}

}  // namespace fanin::bind
