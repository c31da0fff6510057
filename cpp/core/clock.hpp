#pragma once
#include <chrono>

#include "core/parallel.hpp"

namespace fanin {

/// How long compiled code runs before it looks after signals, progress and callbacks.
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

/// Calls poll from the calling thread's work, about every 50 ms.
class Poller {
 public:
  Poller(const Team& team, FunctionRef<void()> poll) : calling_(team.member() == 0), poll_(poll) {}
  void operator()() {
    if (!calling_ || since_.seconds() < poll_seconds) return;
    poll_();
    since_.restart();
  }

 private:
  bool calling_;
  FunctionRef<void()> poll_;
  Stopwatch since_;
};

}  // namespace fanin
