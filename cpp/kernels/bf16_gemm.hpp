#pragma once
#include "core/view.hpp"
#include "kernels/activation.hpp"
#include "simd/tile.hpp"

namespace fanin {

/// c (rows, cols) = left (rows, k) · right (k, cols) of bf16 numbers, by the definition of a matrix
/// tile: k is padded to a multiple of 32 with zeros; in each 32 one chain of fused multiply-adds
/// from 0 goes over even k, one over odd k; the first 32 give c = start + (even + odd), the next
/// c = c + (even + odd), and so on. Start is bias[j], c itself (accumulate) or 0. Subnormal numbers
/// are zeros, results after rounding. Rows, columns and threads may be cut in any way.
///
/// Packed operands have the format of the table that packed them: bf16 itself where there are
/// tiles, float that holds the same values where there are none. They are counted in elements, for
/// which 4 bytes are room enough.
///   left: row-major, rows `left_stride` apart.
///   right: tiles of 32 k x 16 columns, down k first; those of the next 16 columns begin
///   `right_panel` elements on.
/// How far a left operand's rows are apart: never a large power of two of bytes, as in padded().
inline index bf16_stride(index k) {
  const index stride = (k + bf16_k - 1) / bf16_k * bf16_k;
  return stride % 256 == 0 ? stride + bf16_k : stride;
}
/// Elements of a left operand; a tile reads 16 rows from any row on.
inline index bf16_left_size(index rows, index k) {
  return (rows + 2 * bf16_columns) * bf16_stride(k);
}
/// How far a right operand's panels are apart.
inline index bf16_panel(index k) { return (k + bf16_k - 1) / bf16_k * bf16_k * bf16_columns; }
inline index bf16_right_size(index k, index cols) {
  return (cols + bf16_columns - 1) / bf16_columns * bf16_panel(k);
}

template <class T>
struct Bf16Product {
  const void* left;
  index left_stride;
  const void* right;
  index right_panel;
  T* c;
  index c_stride;
  index k, cols;
  const T* bias = nullptr;
  bool accumulate = false;
};

/// Rounds a matrix to bf16 (to nearest, ties to even) in as many forms as are wanted, those of the
/// matrix or its transpose. A Range of rows begins at a multiple of 32 and ends at one or at the
/// matrix's end, whose last 32 rows are filled up with zeros where rows are k.
template <class T>
struct Bf16Pack {
  const T* from;
  index cols, stride;
  void* left = nullptr;  // (rows, k = cols)
  index left_stride = 0;
  void* right = nullptr;  // (k = rows, cols)
  index right_panel = 0;
  void* left_t = nullptr;  // (cols, k = rows)
  index left_t_stride = 0;
  void* right_t = nullptr;  // (k = cols, rows)
  index right_t_panel = 0;
};

}  // namespace fanin
