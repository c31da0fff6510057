#include "core/parallel.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <limits>
#include <mutex>
#include <utility>

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "core/cpu.hpp"
#include "core/fpenv.hpp"

namespace fanin {

namespace {

constexpr int most_threads = 256;
constexpr int spins = 30000;              // about 0.5 ms; see ShortSlice
constexpr double flops_per_thread = 5e5;  // below, waking a second thread costs more than it gains

std::atomic<int> thread_count{0};  // 0: not asked for yet
std::atomic<bool> team_exists{false};

struct TeamBroken {};

int positive_env(const char* name) {
  const char* text = std::getenv(name);
  const long n = text ? std::strtol(text, nullptr, 10) : 0;
  return n > 0 ? static_cast<int>(std::min<long>(n, most_threads)) : most_threads;
}

int default_threads() {
  int n = std::min(cpu_affinity_count(), most_threads);
  if (const int quota = cpu_quota(); quota > 0) n = std::min(n, quota);
  n = std::min({n, positive_env("OMP_NUM_THREADS"), positive_env("FANIN_NUM_THREADS")});
  return std::max(n, 1);
}

// libgomp's workers do not survive fork(): a child that entered a region with them would hang. So a
// child's teams are of one, for good: it keeps the permit that it never got.
void single_thread_in_child() {
  thread_count = 1;
  team_exists = true;
}

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

#if defined(__linux__) && defined(SYS_sched_setattr)
/// Asks Linux (6.12 and later) for slices of 0.1 ms while it lives. On a busy machine a member that
/// sleeps at a meeting would else wait for milliseconds behind the slice of another program, once a
/// meeting; with it, and a spin that outlasts such a slice, an epoch takes 2.2 times its quiet time
/// beside a spinning process on each core, without it 2 to 7 times.
class ShortSlice {
 public:
  ShortSlice() {
    if (syscall(SYS_sched_getattr, 0, &saved_, sizeof saved_, 0) != 0 || saved_.policy != 0) return;
    Attributes wanted = saved_;
    wanted.runtime = 100'000;
    changed_ = syscall(SYS_sched_setattr, 0, &wanted, 0) == 0;
  }
  ~ShortSlice() {
    if (changed_) syscall(SYS_sched_setattr, 0, &saved_, 0);
  }
  ShortSlice(const ShortSlice&) = delete;
  ShortSlice& operator=(const ShortSlice&) = delete;

 private:
  struct Attributes {
    std::uint32_t size, policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime, deadline, period;
  };
  Attributes saved_{};
  bool changed_ = false;
};
#else
struct ShortSlice {
  ShortSlice() {}
};
#endif

/// One team at a time: a second Python thread works alone, it does not double the threads.
class TeamPermit {
 public:
  explicit TeamPermit(int n) : mine_(n > 1 && !team_exists.exchange(true)) {}
  ~TeamPermit() {
    if (mine_) team_exists = false;
  }
  TeamPermit(const TeamPermit&) = delete;
  TeamPermit& operator=(const TeamPermit&) = delete;
  explicit operator bool() const { return mine_; }

 private:
  bool mine_;
};

}  // namespace

int get_num_threads() {
  int n = thread_count.load();
  if (n == 0) {
    int fresh = default_threads();
    n = thread_count.compare_exchange_strong(n, fresh) ? fresh : n;
  }
  return n;
}

void set_num_threads(int n) { thread_count = std::clamp(n, 1, most_threads); }

void guard_fork() {
#if defined(__unix__) || defined(__APPLE__)
  static std::once_flag once;
  std::call_once(once, [] { pthread_atfork(nullptr, nullptr, single_thread_in_child); });
#endif
}

struct Team::Shared {
  struct alignas(64) Part {
    std::atomic<index> next{0};
  };

  alignas(64) std::atomic<int> waiting{0};
  alignas(64) std::atomic<unsigned> generation{0};
  std::atomic<bool> failed{false};
  Part parts[most_threads];
  std::exception_ptr first_error;
  std::mutex error_lock;

  void release() noexcept {
    generation.fetch_add(1, std::memory_order_acq_rel);
    generation.notify_all();
  }

  /// Keeps the first exception and wakes the others out of their meetings.
  void fail(std::exception_ptr error) noexcept {
    {
      const std::lock_guard<std::mutex> lock(error_lock);
      if (!first_error) first_error = std::move(error);
    }
    failed.store(true, std::memory_order_release);
    release();
  }
};

index Team::take(int part) noexcept {
  if (shared_->failed.load(std::memory_order_relaxed)) return std::numeric_limits<index>::max() / 2;
  return shared_->parts[part].next.fetch_add(1, std::memory_order_relaxed);
}

void Team::meet() {
  if (size_ == 1) return;
  Shared& s = *shared_;
  const unsigned generation = s.generation.load(std::memory_order_acquire);
  if (s.failed.load(std::memory_order_acquire)) throw TeamBroken{};
  if (s.waiting.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
    s.waiting.store(0, std::memory_order_relaxed);
    for (int i = 0; i < size_; ++i) s.parts[i].next.store(0, std::memory_order_relaxed);
    s.release();
    return;
  }
  for (int i = 0; i < spins; ++i) {
    if (s.generation.load(std::memory_order_acquire) != generation) break;
    pause();
  }
  s.generation.wait(generation, std::memory_order_acquire);
  if (s.failed.load(std::memory_order_acquire)) throw TeamBroken{};
}

void parallel_team(int n, FunctionRef<void(Team&)> body) {
  n = std::clamp(n, 1, most_threads);
#if defined(_OPENMP)
  if (const TeamPermit permit(n); permit) {
    Team::Shared shared;
#pragma omp parallel num_threads(n)
    {
      const ShortSlice slice;
      FlushDenormals flush;
      Team team(&shared, omp_get_thread_num(), omp_get_num_threads());
      try {
        body(team);
      } catch (const TeamBroken&) {
      } catch (...) {
        shared.fail(std::current_exception());
      }
    }
    if (shared.first_error) std::rethrow_exception(shared.first_error);
    return;
  }
#endif
  FlushDenormals flush;
  Team alone(nullptr, 0, 1);
  body(alone);
}

int useful_threads(int n, double flops) {
  const int most = n > 0 ? std::min(n, most_threads) : get_num_threads();
  return static_cast<int>(std::clamp(flops / flops_per_thread, 1.0, static_cast<double>(most)));
}

void parallel_for(index n, index step, int threads, FunctionRef<void(index, index)> body) {
  if (n <= 0) return;
  const index pieces = std::min<index>(threads, (n + step - 1) / step);
  if (pieces <= 1) {
    FlushDenormals flush;
    body(0, n);
    return;
  }
  parallel_team(static_cast<int>(pieces), [&](Team& team) {
    team.share(pieces, [&](index i) {
      const Range piece = split(n, step, i, pieces);
      if (piece.begin < piece.end) body(piece.begin, piece.end);
    });
  });
}

}  // namespace fanin
