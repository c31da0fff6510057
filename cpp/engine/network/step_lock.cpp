#include "engine/network/step_lock.hpp"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace fanin {

namespace {

// Counts forks from parent to child: threads of an earlier generation do not exist any more.
std::atomic<std::uint32_t> generation{1};
thread_local int reads_of_this_thread = 0;
thread_local int waits_of_this_thread = 0;  // more than one: of signal handlers within a wait

// Never destroyed: a daemon thread may train until the process is gone.
std::mutex& training_lock = *new std::mutex;
std::vector<StepLock*>& in_training = *new std::vector<StepLock*>;

/// A little longer each time, since a step takes microseconds and a pass over data seconds.
class Pause {
 public:
  void operator()() {
    if (++count_ <= 8) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(std::min(20 * (count_ - 8), 500)));
    }
  }

 private:
  int count_ = 0;
};

/// A scope in which this thread waits, and one more is counted.
class Announced {
 public:
  explicit Announced(std::atomic<int>& count) : count_(count) {
    ++count_;
    ++waits_of_this_thread;
  }
  ~Announced() {
    --count_;
    --waits_of_this_thread;
  }
  Announced(const Announced&) = delete;
  Announced& operator=(const Announced&) = delete;

 private:
  std::atomic<int>& count_;
};

}  // namespace

/// A child inherits what the threads of its parent held.
void StepLock::forget_other_process() {
  const std::uint32_t now = generation.load();
  if (generation_.load() == now) return;
  const std::lock_guard<std::mutex> lock(training_lock);
  if (generation_.load() == now) return;
  state_ = 0;
  waiting_ = 0;
  want_to_write_ = 0;
  generation_ = now;
}

std::uint32_t StepLock::begin_read(FunctionRef<void()> poll) {
  forget_other_process();
  const std::uint32_t writes = writes_.load();
  // The step that such a thread would let go first may be its own.
  const bool within = reads_of_this_thread > 0 || waits_of_this_thread > 0;
  const auto taken = [&] {
    std::uint32_t state = state_.load();
    while (state < writing) {
      const bool next = within || want_to_write_ == 0 || writes_ != writes;
      if (!next) return false;
      if (state_.compare_exchange_weak(state, state + 1)) return true;
    }
    return false;
  };
  if (!taken()) {
    const Announced announced(waiting_);
    Poller poller(poll);
    for (Pause pause; !taken(); pause()) poller(0);
  }
  ++reads_of_this_thread;
  return generation_.load();
}

void StepLock::end_read(std::uint32_t begun) noexcept {
  --reads_of_this_thread;
  // A child that was forked within a read is not among its own lock's readers.
  if (begun == generation.load()) state_.fetch_sub(1, std::memory_order_release);
}

bool StepLock::thread_reads() noexcept { return reads_of_this_thread > 0; }

void StepLock::begin_write(Poller& poll) {
  forget_other_process();
  Pause pause;
  for (const int own = waits_of_this_thread; waiting_.load() > own; pause()) poll(0);
  const Announced announced(want_to_write_);
  for (; !take_to_write(); pause()) poll(0);
}

bool StepLock::begin_training() {
  forget_other_process();
#if defined(__unix__) || defined(__APPLE__)
  static std::once_flag once;
  std::call_once(once, [] { pthread_atfork(before_fork, after_fork, in_child); });
#endif
  const std::uint32_t now = generation.load();
  std::uint32_t found = trains_in_.load();
  do {
    if (found == now) return false;
  } while (!trains_in_.compare_exchange_weak(found, now));
  const std::lock_guard<std::mutex> lock(training_lock);
  in_training.push_back(this);
  return true;
}

void StepLock::end_training() noexcept {
  const std::lock_guard<std::mutex> lock(training_lock);
  std::erase(in_training, this);
  trains_in_ = 0;
}

/// The child gets whole steps: the others' copies of one are waited for, and no more begins.
void StepLock::before_fork() noexcept {
  training_lock.lock();
  for (StepLock* one : in_training) {
    std::uint32_t state = one->state_.load();
    for (Pause pause; state >= writing || !one->state_.compare_exchange_weak(state, state + 1);) {
      pause();
      state = one->state_.load();
    }
  }
}

void StepLock::after_fork() noexcept {
  for (StepLock* one : in_training) one->state_.fetch_sub(1);
  training_lock.unlock();
}

void StepLock::in_child() noexcept {
  ++generation;
  in_training.clear();
  training_lock.unlock();
}

}  // namespace fanin
