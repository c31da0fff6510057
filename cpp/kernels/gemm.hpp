#pragma once
#include "core/view.hpp"

namespace fanin {

/// Columns that a product finishes at once: one Philox group of dropout draws wide.
inline constexpr index block_columns = 64;

/// Elements of the scratch memory, aligned to 64 bytes, in which a product packs: two panels of b
/// and a block of a.
template <class T>
inline constexpr index product_scratch = (256 << 10) / static_cast<index>(sizeof(T)) + (152 << 10);

/// c (rows, cols) = a (rows, k) · b (k, cols): each element is one chain of fused multiply-adds
/// over k, in order, that begins at bias[j], at c itself (accumulate) or at 0. Tile, blocking and
/// threads change which element is worked on when, never its chain: the bits are those of a scalar
/// loop.
template <class T>
struct Product {
  const T* a;
  index a_row, a_k;  // strides: (ld, 1) for a plain matrix, (1, ld) for a transposed one
  const T* b;
  index b_k;  // stride of b's rows
  T* c;
  index c_row;
  index k;
  const T* bias;  // or null
  bool accumulate;
  index b_j = 1;  // stride of b's columns; where it is not 1, b is transposed and b_k is 1
};

}  // namespace fanin
