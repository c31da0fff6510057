#pragma once

namespace fanin {

inline constexpr int most_threads = 256;

/// How many of n further threads the system gives at present: they are created with the stacks that
/// OpenMP's have, all alive at once, and ended. Where memory is limited, 8 MB are
/// left for the work. OpenMP itself ends the process where it cannot create one.
int spare_threads(int n);

}  // namespace fanin
