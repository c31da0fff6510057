#pragma once
#include <chrono>

#include "core/parallel.hpp"

namespace fanin {

/// How often compiled code checks for signals, progress and callbacks.
inline constexpr double poll_seconds = 0.05;

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  void restart() { start_ = std::chrono::steady_clock::now(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Calls poll on the calling thread, whatever members of its team ask, about every 50 ms.
class Poller {
 public:
  explicit Poller(FunctionRef<void()> poll) : poll_(poll) {}
  void operator()(int member) {
    if (member != 0 || since_.seconds() < poll_seconds) return;
    poll_();
    since_.restart();
  }

 private:
  FunctionRef<void()> poll_;
  Stopwatch since_;
};

}  // namespace fanin
