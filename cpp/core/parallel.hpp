#pragma once
#include <atomic>
#include <type_traits>

#include "core/view.hpp"

namespace fanin {

/// Threads used where a call does not say: the least of affinity, cgroup quota, OMP_NUM_THREADS
/// and FANIN_NUM_THREADS, or what set_num_threads() was last told.
int get_num_threads();
void set_num_threads(int n);

/// A non-owning reference to a callable: std::function without its allocation.
template <class Signature>
class FunctionRef;

template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>)
  FunctionRef(F&& f)  // NOLINT: implicit on purpose
      : object_(const_cast<void*>(static_cast<const void*>(&f))),
        call_([](void* object, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(object))(args...);
        }) {}
  R operator()(Args... args) const { return call_(object_, args...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

/// Threads that entered a region together. Every member must make the same calls in the same order.
class Team {
 public:
  explicit Team(int size) : size_(size) {}

  int size() const { return size_; }

  /// Runs item(i) for each i in [0, n), each on whichever member comes first, then meets.
  /// An item's result must not depend on who runs it.
  template <class F>
  void share(index n, F&& item) {
    if (size_ == 1) {
      for (index i = 0; i < n; ++i) item(i);
      return;
    }
    for (index i; !failed() && (i = next_.fetch_add(1, std::memory_order_relaxed)) < n;) item(i);
    meet();
  }

  /// Waits until all members are here: a bounded spin, then sleep. Throws where a member has
  /// failed.
  void meet();

  /// Wakes the others out of their meetings; they leave the region by an exception of their own.
  void fail() noexcept;

 private:
  void release() noexcept;
  bool failed() const noexcept { return failed_.load(std::memory_order_relaxed); }

  alignas(64) std::atomic<index> next_{0};
  alignas(64) std::atomic<int> waiting_{0};
  alignas(64) std::atomic<unsigned> generation_{0};
  std::atomic<bool> failed_{false};
  int size_;
};

/// Runs body(team, member) once on each of up to n threads, denormals flushed, and returns when all
/// are done; the first exception is carried out. Member 0 is the calling thread. Inside a region,
/// after fork, or while another thread has a team, the team is of one.
void parallel_team(int n, FunctionRef<void(Team&, int)> body);

/// Threads worth using for `flops` of work, at most `n` (0: the default).
int useful_threads(int n, double flops);

/// Runs body(begin, end) over pieces of [0, n) cut at multiples of `step`, on up to `threads`
/// threads.
void parallel_for(index n, index step, int threads, FunctionRef<void(index, index)> body);

}  // namespace fanin
