#pragma once
#include <cstring>

#include "core/view.hpp"

namespace fanin::FANIN_ISA {

template <class T>
inline constexpr index square_side = 16 / sizeof(T);

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define FANIN_SHUFFLES
#endif
#endif

#if defined(FANIN_SHUFFLES)
/// A square of 16 bytes a side through registers; GCC's vectors turn into shuffles on every
/// machine.
FANIN_INLINE void transpose_square(const float* src, index src_stride, float* dst,
                                   index dst_stride) {
  using V [[gnu::vector_size(16)]] = float;
  V r[4];
  for (int i = 0; i < 4; ++i) std::memcpy(&r[i], src + i * src_stride, 16);
  const V a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
  const V b = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
  const V c = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
  const V d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
  r[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
  r[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
  r[2] = __builtin_shufflevector(c, d, 0, 1, 4, 5);
  r[3] = __builtin_shufflevector(c, d, 2, 3, 6, 7);
  for (int i = 0; i < 4; ++i) std::memcpy(dst + i * dst_stride, &r[i], 16);
}
#else
FANIN_INLINE void transpose_square(const float* src, index src_stride, float* dst,
                                   index dst_stride) {
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) dst[j * dst_stride + i] = src[i * src_stride + j];
  }
}
#endif
FANIN_INLINE void transpose_square(const double* src, index src_stride, double* dst,
                                   index dst_stride) {
  const double a = src[0], b = src[1], c = src[src_stride], d = src[src_stride + 1];
  dst[0] = a;
  dst[1] = c;
  dst[dst_stride] = b;
  dst[dst_stride + 1] = d;
}

/// One line of src from each of square_side rows, transposed: dst gets as many columns.
template <class T>
FANIN_INLINE void transpose_strip(const T* src, index src_stride, T* dst, index dst_stride) {
#pragma GCC unroll 4
  for (index j = 0; j < lanes<T>; j += square_side<T>) {
    transpose_square(src + j, src_stride, dst + j * dst_stride, dst_stride);
  }
}

}  // namespace fanin::FANIN_ISA
