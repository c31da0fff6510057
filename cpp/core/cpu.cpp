#include "core/cpu.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#if defined(__x86_64__) && !defined(_MSC_VER)
#include <cpuid.h>
#endif
#if defined(_MSC_VER) && defined(_M_X64)
#include <immintrin.h>
#include <intrin.h>
#endif

namespace fanin {

#if defined(__x86_64__) && !defined(_MSC_VER)

bool cpu_has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool cpu_has_avx512() {
  return cpu_has_avx2() && __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

#elif defined(_MSC_VER) && defined(_M_X64)

namespace {

bool os_saves(unsigned long long states) {
  int leaf1[4];
  __cpuid(leaf1, 1);
  const bool osxsave = (leaf1[2] >> 27) & 1;
  return osxsave && (_xgetbv(0) & states) == states;
}

}  // namespace

bool cpu_has_avx2() {
  int leaf1[4], leaf7[4];
  __cpuid(leaf1, 1);
  __cpuidex(leaf7, 7, 0);
  return os_saves(0x6) && ((leaf1[2] >> 12) & 1) && ((leaf7[1] >> 5) & 1);
}

bool cpu_has_avx512() {
  int leaf7[4];
  __cpuidex(leaf7, 7, 0);
  const unsigned wanted = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);
  return cpu_has_avx2() && os_saves(0xe6) && (static_cast<unsigned>(leaf7[1]) & wanted) == wanted;
}

#else

bool cpu_has_avx2() { return false; }
bool cpu_has_avx512() { return false; }

#endif

#if defined(__x86_64__) && defined(__linux__)

namespace {

/// The operating system's part of cpu_has_amx().
bool os_saves_tiles() {
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & 0x60000u) == 0x60000u;
}

}  // namespace

bool cpu_has_amx() {
  unsigned a, b, c, d;
  if (!cpu_has_avx512() || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  const unsigned tile = 1u << 24, tile_bf16 = 1u << 22, avx512_bf16 = 1u << 5;
  if ((d & tile) == 0 || (d & tile_bf16) == 0 || !os_saves_tiles()) return false;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & avx512_bf16) != 0;
}

std::string ask_for_amx() {
  constexpr long request_permission = 0x1023, tile_data = 18;  // of arch_prctl, Linux 5.16
  static const std::string refusal = [] {
    if (syscall(SYS_arch_prctl, request_permission, tile_data) == 0) return std::string();
    const std::string why = std::strerror(errno);
    // Each signal stack must have room for the tiles.
    return errno == ENOSPC ? why + ": a signal stack of this process is too small" : why;
  }();
  return refusal;
}

#else

bool cpu_has_amx() { return false; }
std::string ask_for_amx() { return "no such system call here"; }

#endif

std::ptrdiff_t core_cache_bytes() {
#if defined(_SC_LEVEL2_CACHE_SIZE)
  static const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (bytes > 0) return bytes;
#endif
  return 1 << 20;
}

int cpu_affinity_count() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  const unsigned n = std::thread::hardware_concurrency();
  return n > 0 ? static_cast<int>(n) : 1;
}

namespace {

int quota_from(double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return 0;
  return static_cast<int>(std::min(std::ceil(quota / period), 1e9));  // more is no int
}

}  // namespace

int cpu_quota() {
  double v1_quota = 0, v1_period = 0;
  std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") >> v1_quota;
  std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_period_us") >> v1_period;
  int least = quota_from(v1_quota, v1_period);
  // cgroup v2: any group on the way up may have set a limit.
  std::string group;
  std::getline(std::ifstream("/proc/self/cgroup"), group);
  group = group.rfind("0::/", 0) == 0 ? group.substr(3) : "/";
  while (true) {
    std::ifstream limit("/sys/fs/cgroup" + group + "/cpu.max");
    std::string quota;
    double period = 0;
    if (limit >> quota >> period && quota != "max") {
      const int n = quota_from(std::strtod(quota.c_str(), nullptr), period);
      if (n > 0 && (least == 0 || n < least)) least = n;
    }
    if (group.size() <= 1) return least;
    group.resize(std::max<std::size_t>(group.rfind('/'), 1));
  }
}

}  // namespace fanin
