#include "core/helper_cpus.hpp"

#if defined(__linux__) && defined(_OPENMP)
#include <omp.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "core/spare_threads.hpp"
#endif

namespace fanin {

#if defined(__linux__) && defined(_OPENMP)

namespace {

/// A helper, and what the callers of teams, one at a time, have made of its mask.
struct Helper {
  std::atomic<pid_t> id{0};
  pid_t placed = 0;  // whose mask is described below
  int off = -1;      // the CPU that it leaves to the caller
  cpu_set_t allowed, set;

  void place(pid_t helper, int cpu, int team);
};

Helper helpers[most_threads];

/// A thread's entry in `helpers`: an id can be another thread's once its own has ended.
struct Registered {
  int member = 0;
  pid_t id = 0;

  ~Registered() {
    pid_t own = id;
    if (own != 0) helpers[member].id.compare_exchange_strong(own, 0);
  }
};

thread_local Registered registered;

void Helper::place(pid_t helper, int cpu, int team) {
  cpu_set_t now;
  if (sched_getaffinity(helper, sizeof now, &now) != 0) return;
  if (placed != helper || !CPU_EQUAL(&now, &set)) allowed = now;  // else it is what was set here
  set = allowed;
  if (team <= CPU_COUNT(&allowed)) CPU_CLR(cpu, &set);
  if (CPU_COUNT(&set) == 0 || sched_setaffinity(helper, sizeof set, &set) != 0) set = now;
  placed = helper;
  off = cpu;
}

}  // namespace

void register_helper(int member) {
  if (registered.member == member) return;
  if (registered.id == 0) registered.id = static_cast<pid_t>(syscall(SYS_gettid));
  registered.member = member;
  helpers[member].id = registered.id;
}

void keep_helpers_off_this_cpu(int n) {
  if (omp_get_proc_bind() != omp_proc_bind_false) return;
  const int cpu = sched_getcpu();
  if (cpu < 0 || cpu >= CPU_SETSIZE) return;
  for (int member = 1; member < n; ++member) {
    Helper& helper = helpers[member];
    const pid_t id = helper.id;
    if (id != 0 && (helper.placed != id || helper.off != cpu)) helper.place(id, cpu, n);
  }
}

#else

void register_helper(int) {}
void keep_helpers_off_this_cpu(int) {}

#endif

}  // namespace fanin
