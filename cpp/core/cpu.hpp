#pragma once
#include <cstddef>
#include <string>

namespace fanin {

/// True where this CPU and its operating system run AVX2 with FMA.
bool cpu_has_avx2();

/// True where this CPU and its operating system run AVX-512 F, BW, DQ and VL.
bool cpu_has_avx512();

/// True where this CPU and its operating system have tiles of bf16 (AMX), and AVX-512 with bf16.
bool cpu_has_amx();

/// Asks the system to let this process use tiles, once; empty, or why it may not.
std::string ask_for_amx();

/// Bytes of a core's own cache (L2), 1 MB where the system does not tell.
std::ptrdiff_t core_cache_bytes();

/// CPUs that this process may run on (its affinity mask).
int cpu_affinity_count();

/// CPUs' worth of time that the control group grants, rounded up; 0 without a limit.
int cpu_quota();

}  // namespace fanin
