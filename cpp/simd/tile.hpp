#pragma once
#include "core/view.hpp"

namespace fanin {

/// k and columns of a right operand's tile.
inline constexpr index bf16_k = 32, bf16_columns = 16;

/// A block of a product of packed bf16 operands (kernels/bf16_gemm.hpp), over some tiles of k.
template <class Bf16>
struct TileBlock {
  const Bf16* left;
  index left_stride;
  const Bf16* right;
  index right_panel;  // elements from one 16 columns to the next
  index k_tiles;
  float* c;
  index c_stride;
  index rows, cols;
  const float* bias;  // or null
  bool resume;        // from c, else from bias or 0
};

/// What a block prefetches of the right operand that comes next: lines [first, first + count) of
/// each tile of two panels; none where `next` is null.
template <class Bf16>
struct TilesAhead {
  const Bf16* next;
  index panel, first, count;
};

}  // namespace fanin
