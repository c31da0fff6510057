#pragma once
#include <atomic>
#include <type_traits>

#include "core/view.hpp"

namespace fanin {

/// Threads used where a call does not say: the least of affinity, cgroup quota, OMP_NUM_THREADS
/// and FANIN_NUM_THREADS, or what set_num_threads() was last told.
int get_num_threads();
void set_num_threads(int n);

/// Makes a forked child work alone: libgomp's workers do not survive fork(). Starts no thread.
void guard_fork();

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

/// One member's view of the threads that entered a region together. All members must make the same
/// calls in the same order.
class Team {
 public:
  /// What the members share. The runtime may grant fewer threads than were asked for.
  struct Shared;

  Team(Shared* shared, int member, int size) : shared_(shared), member_(member), size_(size) {}

  int size() const { return size_; }
  int member() const { return member_; }

  /// Runs item(i) for each i in [0, n), then meets. A member begins with its own part of the items,
  /// the same one each time, so that what it worked on last is still in its cache, and then helps
  /// the others. An item's result must not depend on who runs it.
  template <class F>
  void share(index n, F&& item) {
    if (size_ == 1) {
      for (index i = 0; i < n; ++i) item(i);
      return;
    }
    for (int k = 0; k < size_; ++k) {
      const int part = (member_ + k) % size_;
      const index begin = n * part / size_, end = n * (part + 1) / size_;
      for (index i; (i = begin + take(part)) < end;) item(i);
    }
    meet();
  }

  /// Waits until all members are here: a bounded spin, then sleep. Throws where a member has
  /// failed.
  void meet();

 private:
  /// The next item of a part: far beyond its end once a member has failed.
  index take(int part) noexcept;

  Shared* shared_;  // null in a team of one
  int member_, size_;
};

/// Runs body(team) once on each of up to n threads, denormals flushed, and returns when all are
/// done; the first exception is carried out. Member 0 is the calling thread. Inside a region, after
/// fork, or while another thread has a team, the team is of one.
void parallel_team(int n, FunctionRef<void(Team&)> body);

/// Threads worth using for `flops` of work, at most `n` (0: the default).
int useful_threads(int n, double flops);

/// Runs body(begin, end) over pieces of [0, n) cut at multiples of `step`, on up to `threads`
/// threads.
void parallel_for(index n, index step, int threads, FunctionRef<void(index, index)> body);

}  // namespace fanin
