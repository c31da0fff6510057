#pragma once

namespace fanin {

/// True where this CPU and its operating system run AVX2 with FMA.
bool cpu_has_avx2();

/// True where this CPU and its operating system run AVX-512 F, BW, DQ and VL.
bool cpu_has_avx512();

/// CPUs that this process may run on (its affinity mask).
int cpu_affinity_count();

/// CPUs' worth of time that the control group grants, rounded up; 0 without a limit.
int cpu_quota();

}  // namespace fanin
