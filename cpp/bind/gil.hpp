#pragma once
// Work without the GIL, which Ctrl-C can interrupt and the interpreter's end does not break.
#include <pybind11/pybind11.h>

#include <chrono>
#include <thread>
#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

#include "core/fpenv.hpp"

namespace fanin::bind {

inline bool interpreter_ends() {
#if PY_VERSION_HEX >= 0x030D0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

/// Of a daemon thread, which lives no longer than the process.
[[noreturn]] inline void wait_for_exit() {
  while (true) std::this_thread::sleep_for(std::chrono::hours(1));
}

/// Calls take, which takes the GIL; when the interpreter ends the thread stays here. CPython before
/// 3.14 unwinds it instead, through frames that cannot be unwound, which ends in an abort.
template <class F>
auto take_gil(F&& take) noexcept {
  if (interpreter_ends()) wait_for_exit();
#if defined(__GLIBCXX__)
  try {
    return take();
  } catch (const abi::__forced_unwind&) {  // it has ended since
    wait_for_exit();
  }
#else
  return take();
#endif
}

/// Where the thread has the GIL not.
class WithoutGil {
 public:
  WithoutGil() : state_(PyEval_SaveThread()) { callers_mode = float_mode(); }
  ~WithoutGil() {
    take_gil([this] { PyEval_RestoreThread(state_); });
  }
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

  inline static thread_local FloatMode callers_mode = float_mode();  // which Python code expects

 private:
  PyThreadState* state_;
};

/// Where it has it again, or still, for Python code.
class WithGil {
 public:
  WithGil() : state_(take_gil([] { return PyGILState_Ensure(); })) {}
  ~WithGil() { PyGILState_Release(state_); }
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;

 private:
  PyGILState_STATE state_;
  FloatModeScope mode_{WithoutGil::callers_mode};
};

/// Ends work; Python's error is set.
struct Interrupted {};

/// Lets pending signals be handled; a handler's exception (Ctrl-C) ends the work.
inline const auto poll_signals = [] {
  const WithGil gil;
  if (PyErr_CheckSignals() != 0) throw Interrupted{};
};

/// Runs work without the GIL; the exception of a signal handler becomes Python's again.
template <class F>
auto without_gil(F&& work) {
  try {
    const WithoutGil released;
    return work();
  } catch (const Interrupted&) {
    throw pybind11::error_already_set();
  }
}

/// The same where it is worth the time of the release.
template <class F>
void without_gil_if(bool worth, F&& work) {
  worth ? without_gil(work) : work();
}

}  // namespace fanin::bind
