#pragma once

namespace fanin {

/// Remembers the calling thread as `member` of the teams to come, until it ends.
void register_helper(int member);

/// Before a team of n is woken: keeps its helpers off the calling thread's CPU, where there are
/// CPUs for all of them. Linux may wake a sleeping thread on the CPU of the thread that wakes it,
/// and move it to an idle one half a millisecond later. What else a helper's affinity mask says
/// holds.
void keep_helpers_off_this_cpu(int n);

}  // namespace fanin
