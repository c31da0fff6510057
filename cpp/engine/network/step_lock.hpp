#pragma once
#include <atomic>
#include <cstdint>

#include "core/clock.hpp"

namespace fanin {

/// Keeps a network's readers apart from the thread that trains it: they see the parameters as they
/// are after a whole step. A step on its own pays one atomic exchange for it.
///
/// Neither side starves: readers that had to wait go before the next step, and others wait while a
/// step does. A thread that reads or waits already need not wait for that: a signal handler may
/// begin a pass within one, or while a step waits for readers. A process that forks waits for the
/// writes of a step, so that its child has whole ones.
class StepLock {
 public:
  /// Returns what `end_read` takes. Exceptions of poll, here and below, which is called while a
  /// thread waits, leave the lock as it was.
  std::uint32_t begin_read(FunctionRef<void()> poll);
  void end_read(std::uint32_t begun) noexcept;

  /// Whether this thread reads any network.
  static bool thread_reads() noexcept;

  /// Not for a thread that reads.
  void begin_write(Poller& poll);
  bool try_write() noexcept { return waiting_.load() == 0 && take_to_write(); }
  void end_write() noexcept {
    writes_.store(writes_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    state_.store(0, std::memory_order_release);
  }

  /// Allows one thread to train until `end_training`; false where one does.
  bool begin_training();
  void end_training() noexcept;

 private:
  static constexpr std::uint32_t writing = std::uint32_t{1} << 31;

  void forget_other_process();
  bool take_to_write() noexcept {
    std::uint32_t none = 0;
    return state_.compare_exchange_strong(none, writing, std::memory_order_acquire);
  }

  static void before_fork() noexcept;
  static void after_fork() noexcept;
  static void in_child() noexcept;

  std::atomic<std::uint32_t> state_{0};   // readers, or `writing`
  std::atomic<std::uint32_t> writes_{0};  // ended so far
  std::atomic<int> waiting_{0};           // readers
  std::atomic<int> want_to_write_{0};
  std::atomic<std::uint32_t> trains_in_{0};  // the process's generation, or 0
  std::atomic<std::uint32_t> generation_{1};
};

/// A scope that reads.
class Reading {
 public:
  Reading(StepLock& lock, FunctionRef<void()> poll) : lock_(lock), begun_(lock.begin_read(poll)) {}
  ~Reading() { lock_.end_read(begun_); }
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;

 private:
  StepLock& lock_;
  std::uint32_t begun_;
};

}  // namespace fanin
