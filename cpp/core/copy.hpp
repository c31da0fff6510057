#pragma once
#include <cstring>

#include "core/view.hpp"

namespace fanin {

/// Copies n >= block bytes, a block at a time: faster than memcpy for so few.
template <index block>
FANIN_INLINE void copy_blocks(const void* from, void* to, index n) {
  const auto* p = static_cast<const char*>(from);
  auto* q = static_cast<char*>(to);
  for (index t = 0; t + block < n; t += block) std::memcpy(q + t, p + t, block);
  std::memcpy(q + n - block, p + n - block, block);
}

}  // namespace fanin
