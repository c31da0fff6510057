#pragma once
#include <cstring>

#include "kernels/partial.inl.hpp"
#include "kernels/statistics.hpp"

namespace fanin::FANIN_ISA {

template <class T>
T sum_squares(const T* p, index n) noexcept {
  Vec<T> total = Vec<T>::zero();
  each_vec<T>(n, [&](index j, int k) {
    const Vec<T> x = load_some(p + j, k);
    total = fma(x, x, total);
  });
  return sum(total);
}

template <class T>
index first_nonfinite(const T* p, index n) noexcept {
  constexpr index block = 1024;
  for (index begin = 0; begin < n; begin += block) {
    const index size = n - begin < block ? n - begin : block;
    Vec<T> residue = Vec<T>::zero();  // x - x is 0 for finite numbers and NaN for all others
    each_vec<T>(size, [&](index j, int k) {
      const Vec<T> x = load_some(p + begin + j, k);
      residue = residue + (x - x);
    });
    if (sum(residue) == T(0)) continue;
    for (index i = begin; i < begin + size; ++i) {
      if (!(p[i] - p[i] == T(0))) return i;
    }
  }
  return n;
}

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

/// By squares, within bands of one cache line: dst gets whole lines while src stays in the cache.
template <class T>
void transpose(const Transpose<T>& t, Range rows) noexcept {
  constexpr index L = lanes<T>, side = 16 / sizeof(T);
  const auto one_by_one = [&](Range r, Range c) {
    for (index j = c.begin; j < c.end; ++j) {
      for (index i = r.begin; i < r.end; ++i) t.dst[j * t.rows + i] = t.src[i * t.cols + j];
    }
  };
  const index squared_cols = t.cols / side * side;
  for (index begin = rows.begin; begin < rows.end; begin += L) {
    const index end = rows.end - begin < L ? rows.end : begin + L;
    const index squared_end = begin + (end - begin) / side * side;
    for (index j = 0; j < squared_cols; j += side) {
      for (index i = begin; i < squared_end; i += side) {
        transpose_square(t.src + i * t.cols + j, t.cols, t.dst + j * t.rows + i, t.rows);
      }
    }
    one_by_one({begin, squared_end}, {squared_cols, t.cols});
    one_by_one({squared_end, end}, {0, t.cols});
  }
}

}  // namespace fanin::FANIN_ISA
