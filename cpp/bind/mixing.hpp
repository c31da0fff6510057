#pragma once
#include <string>

#include "engine/augment/mixing.hpp"

namespace fanin::bind {

/// With the arguments checked.
Mixing mixing_of(const std::string& kind, double alpha, double p, bool per_sample,
                 std::uint64_t seed);

}  // namespace fanin::bind
