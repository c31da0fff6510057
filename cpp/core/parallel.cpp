#include "core/parallel.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <mutex>

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include "core/clock.hpp"
#include "core/cpu.hpp"
#include "core/fpenv.hpp"
#include "core/helper_cpus.hpp"
#include "core/spare_threads.hpp"

namespace fanin {

namespace {

// Under load the scheduler puts threads that keep sleeping on the same core.
constexpr double spin_seconds = 0.0005;
constexpr double flops_per_thread = 5e5;  // below, waking a second thread costs more than it gains

std::atomic<int> thread_count{0};  // 0: not asked for yet
std::atomic<bool> team_exists{false};
std::atomic<void (*)(int, int)> fewer_threads{nullptr};
thread_local int kept = 1;  // threads that OpenMP has for this one: those of its last team

int positive_env(const char* name) {
  const char* text = std::getenv(name);
  const long n = text ? std::strtol(text, nullptr, 10) : 0;
  return n > 0 ? static_cast<int>(std::min<long>(n, most_threads)) : most_threads;
}

int default_threads() {
  int n = std::min(available_cpus(), most_threads);
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

#if defined(_OPENMP)
/// n, or the threads that can be had, at least the calling one.
int team_size(int n) {
#if _OPENMP >= 200805
  if (omp_get_active_level() > 0) return 1;
  n = std::min(n, omp_get_thread_limit());
#endif
  if (n <= kept) return n;
  const int had = kept + spare_threads(n - kept);
  if (had < n) {
    if (const auto tell = fewer_threads.load()) tell(n, had);
  }
  return had;
}
#endif

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Waits awake for done(), for a while.
template <class F>
void spin_until(F done) {
  const Stopwatch watch;
  do {
    for (int i = 0; i < 32; ++i) {
      if (done()) return;
      pause();
    }
  } while (watch.seconds() < spin_seconds);
}

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

int available_cpus() {
#if defined(_OPENMP) && _OPENMP >= 201511
  // It has bound this thread to one of its places already, which is all that the mask tells then.
  int cpus = 0;
  for (int i = 0; i < omp_get_num_places(); ++i) cpus += omp_get_place_num_procs(i);
  if (cpus > 0) return cpus;
#endif
  return cpu_affinity_count();
}

void on_fewer_threads(void (*tell)(int asked, int had)) { fewer_threads = tell; }

void guard_fork() {
#if defined(__unix__) || defined(__APPLE__)
  static std::once_flag once;
  std::call_once(once, [] { pthread_atfork(nullptr, nullptr, single_thread_in_child); });
#endif
}

/// A phase is open while its number stands in the tickets. Taking an item is a compare-and-swap on
/// a ticket, so a helper that comes late, with an older phase in mind, takes nothing and disturbs
/// nothing; and since a phase lasts until what was taken is done, one that did take an item read
/// the fields of that phase.
struct Team::Shared {
  struct alignas(64) Part {
    std::atomic<std::uint64_t> ticket{0};  // phase << 32 | items taken
  };

  alignas(64) std::atomic<std::uint32_t> phase{0};
  std::atomic<const Item*> item{nullptr};
  std::atomic<index> items{0};
  std::atomic<bool> over{false};
  alignas(64) std::atomic<std::uint32_t> left{0};
  Part parts[most_threads];
  std::atomic<bool> failed{false};
  std::exception_ptr first_error;
  std::mutex error_lock;

  void open(index n, const Item& work, int size) noexcept;
  void wait() noexcept;
  void close() noexcept;
  void help(int member, int size) noexcept;
  void take_items(std::uint32_t number, int member, int size) noexcept;
  bool take(Part& part, std::uint32_t number, index count, index* taken) noexcept;
  void run(const Item& work, index i, int member) noexcept;
};

/// Starts a phase: tickets before fields, fields before the number that tells of them.
void Team::Shared::open(index n, const Item& work, int size) noexcept {
  const std::uint32_t number = phase.load(std::memory_order_relaxed) + 1;
  left.store(static_cast<std::uint32_t>(n), std::memory_order_relaxed);
  for (int i = 0; i < size; ++i) {
    parts[i].ticket.store(std::uint64_t{number} << 32, std::memory_order_relaxed);
  }
  items.store(n, std::memory_order_release);
  item.store(&work, std::memory_order_release);
  phase.store(number, std::memory_order_release);
  phase.notify_all();
  take_items(number, 0, size);
}

bool Team::Shared::take(Part& part, std::uint32_t number, index count, index* taken) noexcept {
  std::uint64_t ticket = part.ticket.load(std::memory_order_acquire);
  while (ticket >> 32 == number && static_cast<index>(ticket & 0xffffffff) < count) {
    *taken = static_cast<index>(ticket & 0xffffffff);
    if (part.ticket.compare_exchange_weak(ticket, ticket + 1, std::memory_order_acq_rel)) {
      return true;
    }
  }
  return false;
}

void Team::Shared::run(const Item& work, index i, int member) noexcept {
  if (failed.load(std::memory_order_relaxed)) return;
  try {
    work(i, member);
  } catch (...) {
    const std::lock_guard<std::mutex> lock(error_lock);
    if (!first_error) first_error = std::current_exception();
    failed = true;
  }
}

void Team::Shared::take_items(std::uint32_t number, int member, int size) noexcept {
  const Item* work = item.load(std::memory_order_acquire);
  const index n = items.load(std::memory_order_acquire);
  std::uint32_t done = 0;
  for (int k = 0; k < size; ++k) {
    const int part = (member + k) % size;
    const index begin = n * part / size, count = n * (part + 1) / size - begin;
    for (index i; take(parts[part], number, count, &i); ++done) run(*work, begin + i, member);
  }
  if (done > 0 && left.fetch_sub(done, std::memory_order_acq_rel) == done) left.notify_one();
}

/// Until the last item is done: a bounded spin, then sleep.
void Team::Shared::wait() noexcept {
  spin_until([&] { return left.load(std::memory_order_acquire) == 0; });
  for (std::uint32_t n; (n = left.load(std::memory_order_acquire)) > 0;) left.wait(n);
}

void Team::Shared::help(int member, int size) noexcept {
  for (std::uint32_t seen = 0;;) {
    spin_until([&] { return phase.load(std::memory_order_acquire) != seen; });
    phase.wait(seen, std::memory_order_acquire);
    seen = phase.load(std::memory_order_acquire);
    if (over.load(std::memory_order_relaxed)) return;
    take_items(seen, member, size);
  }
}

void Team::Shared::close() noexcept {
  over.store(true, std::memory_order_relaxed);
  phase.fetch_add(1, std::memory_order_release);
  phase.notify_all();
}

void Team::share(index n, Item item) {
  if (size_ == 1) {
    for (index i = 0; i < n; ++i) item(i, 0);
    return;
  }
  if (n <= 0) return;
  shared_->open(n, item, size_);
  shared_->wait();
  if (shared_->first_error) std::rethrow_exception(shared_->first_error);
}

namespace {

void work_alone(FunctionRef<void(Team&)> body) {
  const FlushDenormals flush;
  Team alone(nullptr, 1);
  body(alone);
}

}  // namespace

void parallel_team(int n, FunctionRef<void(Team&)> body) {
  n = std::clamp(n, 1, most_threads);
#if defined(_OPENMP)
  if (const TeamPermit permit(n); permit) {
    n = team_size(n);
    if (n == 1) return work_alone(body);
    Team::Shared shared;
    std::exception_ptr error;
    keep_helpers_off_this_cpu(n);
#pragma omp parallel num_threads(n)
    {
      const FlushDenormals flush;
      const int size = omp_get_num_threads();
      if (const int member = omp_get_thread_num(); member > 0) {
        register_helper(member);
        shared.help(member, size);
      } else {
        kept = size;
        try {
          Team team(size > 1 ? &shared : nullptr, size);
          body(team);
        } catch (...) {
          error = std::current_exception();
        }
        shared.close();
      }
    }
    if (error) std::rethrow_exception(error);
    return;
  }
#endif
  work_alone(body);
}

void expect_threads([[maybe_unused]] int n) {
#if defined(_OPENMP)
  if (const TeamPermit permit(n); permit) team_size(n);
#endif
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
    team.share(pieces, [&](index i, int) {
      const Range piece = split(n, step, i, pieces);
      if (piece.begin < piece.end) body(piece.begin, piece.end);
    });
  });
}

}  // namespace fanin
