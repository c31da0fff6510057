#pragma once
#include <atomic>
#include <type_traits>

#include "core/view.hpp"

namespace fanin {

/// The default number of threads: the smallest of affinity, cgroup quota, OMP_NUM_THREADS and
/// FANIN_NUM_THREADS, or that of the last set_num_threads().
int get_num_threads();
void set_num_threads(int n);

/// CPUs that the process may use, whether or not OpenMP has bound the calling thread to one.
int available_cpus();

/// What is called, on the thread that asked, before a team of fewer threads than were asked for is
/// formed since the system gives no more. An exception of it ends the work before it begins.
void on_fewer_threads(void (*tell)(int asked, int had));

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

/// A calling thread and the helpers that entered a region with it.
class Team {
 public:
  /// One piece of work: item i, on a member of the team. Member 0 is the calling thread.
  using Item = FunctionRef<void(index i, int member)>;
  struct Shared;

  Team(Shared* shared, int size) : shared_(shared), size_(size) {}

  int size() const { return size_; }

  /// Runs item(i, member) for each i in [0, n), denormals flushed, and returns when all are done,
  /// or throws the first exception. A member begins with its own part of the items, the same one
  /// each time, so that what it worked on last is still in its cache, and then helps the others. A
  /// phase ends with its last item: a helper that is off its core, with no item in hand, is not
  /// waited for.
  void share(index n, Item item);

 private:
  Shared* shared_;  // null in a team of one
  int size_;
};

/// Runs body(team) on the calling thread, with up to n - 1 helpers for what it shares out, as many
/// as the system gives. Inside a region, after fork, or while another thread has a team, the team
/// is of one.
void parallel_team(int n, FunctionRef<void(Team&)> body);

/// Before work that must not end in its midst: tells now, as on_fewer_threads says, where a team of
/// n cannot be had.
void expect_threads(int n);

/// Threads worth using for `flops` of work, at most `n` (0: the default).
int useful_threads(int n, double flops);

/// Runs body(begin, end) over pieces of [0, n) cut at multiples of `step`, on up to `threads`
/// threads.
void parallel_for(index n, index step, int threads, FunctionRef<void(index, index)> body);

}  // namespace fanin
