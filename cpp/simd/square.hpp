#pragma once
#include <cstring>
#include <utility>

#include "core/view.hpp"

namespace fanin::FANIN_ISA {

template <class T, int bytes = 16>
inline constexpr index square_side = bytes / sizeof(T);

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define FANIN_SHUFFLES
#endif
#endif

#if defined(FANIN_SHUFFLES)
/// Registers of so many bytes; GCC's vectors turn into shuffles on every machine.
template <class T, int bytes>
using Lane [[gnu::vector_size(bytes)]] = T;

template <class T, int bytes, int... I>
FANIN_INLINE Lane<T, bytes> joined(Lane<T, bytes / 2> low, Lane<T, bytes / 2> high,
                                   std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(low, high, I...);
}

/// Lane i of `a` where i / step is even, else lane i - step of b; or, odd, those that are left.
template <int step, bool odd, class R, int... I>
FANIN_INLINE R exchanged(R a, R b, std::integer_sequence<int, I...>) {
  constexpr int n = sizeof...(I);
  return __builtin_shufflevector(
      a, b, ((I & step) == 0 ? I + (odd ? step : 0) : n + I - (odd ? 0 : step))...);
}

/// Exchanges the off-diagonal blocks of `step` lanes, then smaller ones.
template <class T, int bytes, int step>
FANIN_INLINE void exchange(Lane<T, bytes>* r) {
  constexpr int n = square_side<T, bytes>;
  if constexpr (step > 0) {
    constexpr std::make_integer_sequence<int, n> lanes_of{};
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) {
      if ((i & step) != 0) continue;
      const Lane<T, bytes> even = exchanged<step, false>(r[i], r[i + step], lanes_of);
      r[i + step] = exchanged<step, true>(r[i], r[i + step], lanes_of);
      r[i] = even;
    }
    exchange<T, bytes, step / 2>(r);
  }
}

/// A square of so many bytes a side through registers: the largest blocks are exchanged as halves
/// of a register are loaded.
template <int bytes = 16, class T>
FANIN_INLINE void transpose_square(const T* src, index src_stride, T* dst, index dst_stride) {
  constexpr int n = square_side<T, bytes>, half = n / 2;
  constexpr std::make_integer_sequence<int, n> lanes_of{};
  Lane<T, bytes> r[n];
#pragma GCC unroll 16
  for (int i = 0; i < n; ++i) {  // both halves of a row one after the other: one line of a cache
    const int row = i / 2, side = i % 2;
    const T* from = src + row * src_stride + side * half;
    Lane<T, bytes / 2> low, high;
    std::memcpy(&low, from, sizeof(low));
    std::memcpy(&high, from + half * src_stride, sizeof(high));
    r[row + side * half] = joined<T, bytes>(low, high, lanes_of);
  }
  exchange<T, bytes, half / 2>(r);
#pragma GCC unroll 16
  for (int i = 0; i < n; ++i) std::memcpy(dst + i * dst_stride, &r[i], bytes);
}
#else
template <int bytes = 16, class T>
FANIN_INLINE void transpose_square(const T* src, index src_stride, T* dst, index dst_stride) {
  constexpr index n = square_side<T, bytes>;
  for (index i = 0; i < n; ++i) {
    for (index j = 0; j < n; ++j) dst[j * dst_stride + i] = src[i * src_stride + j];
  }
}
#endif

/// One line of src from each of square_side rows, transposed: dst gets as many columns.
template <class T>
FANIN_INLINE void transpose_strip(const T* src, index src_stride, T* dst, index dst_stride) {
#pragma GCC unroll 4
  for (index j = 0; j < lanes<T>; j += square_side<T>) {
    transpose_square(src + j, src_stride, dst + j * dst_stride, dst_stride);
  }
}

}  // namespace fanin::FANIN_ISA
