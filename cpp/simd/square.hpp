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
using Register [[gnu::vector_size(bytes)]] = T;

template <class T, int bytes>
inline constexpr std::make_integer_sequence<int, square_side<T, bytes>> each_lane{};

/// Lanes of a and b in turns, of their lower halves or their upper ones.
template <bool upper, class R, int... I>
FANIN_INLINE R interleaved(R a, R b, std::integer_sequence<int, I...>) {
  constexpr int n = sizeof...(I);
  return __builtin_shufflevector(a, b, (I / 2 + I % 2 * n + (upper ? n / 2 : 0))...);
}

/// Lane i of a where i / step is even, else lane i - step of b; or, odd, those that are left.
template <int step, bool odd, class R, int... I>
FANIN_INLINE R exchanged(R a, R b, std::integer_sequence<int, I...>) {
  constexpr int n = sizeof...(I);
  return __builtin_shufflevector(
      a, b, ((I & step) == 0 ? I + (odd ? step : 0) : n + I - (odd ? 0 : step))...);
}

template <class R, class Half, int... I>
FANIN_INLINE R joined(Half low, Half high, std::integer_sequence<int, I...>) {
  return __builtin_shufflevector(low, high, I...);
}

/// Exchanges the off-diagonal blocks of `step` lanes, then smaller ones.
template <class T, int bytes, int step>
FANIN_INLINE void exchange(Register<T, bytes>* r) {
  constexpr int n = square_side<T, bytes>;
  if constexpr (step > 0) {
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) {
      if ((i & step) != 0) continue;
      const auto even = exchanged<step, false>(r[i], r[i + step], each_lane<T, bytes>);
      r[i + step] = exchanged<step, true>(r[i], r[i + step], each_lane<T, bytes>);
      r[i] = even;
    }
    exchange<T, bytes, step / 2>(r);
  }
}

/// A square of so many bytes a side through registers. Of wide ones the largest blocks are
/// exchanged as halves are loaded, those of a row one after the other: one line of a cache.
template <int bytes = 16, class T>
FANIN_INLINE void transpose_square(const T* src, index src_stride, T* dst, index dst_stride) {
  constexpr int n = square_side<T, bytes>, half = n / 2;
  Register<T, bytes> r[n];
  if constexpr (bytes > 16) {
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) {
      const T* from = src + i / 2 * src_stride + i % 2 * half;
      Register<T, bytes / 2> low, high;
      std::memcpy(&low, from, sizeof(low));
      std::memcpy(&high, from + half * src_stride, sizeof(high));
      r[i / 2 + i % 2 * half] = joined<Register<T, bytes>>(low, high, each_lane<T, bytes>);
    }
    exchange<T, bytes, half / 2>(r);
  } else {
    for (int i = 0; i < n; ++i) std::memcpy(&r[i], src + i * src_stride, bytes);
#pragma GCC unroll 2
    for (int stage = 1; stage < n; stage *= 2) {
      Register<T, bytes> next[n];
#pragma GCC unroll 2
      for (int i = 0; i < half; ++i) {
        next[2 * i] = interleaved<false>(r[i], r[i + half], each_lane<T, bytes>);
        next[2 * i + 1] = interleaved<true>(r[i], r[i + half], each_lane<T, bytes>);
      }
      std::memcpy(r, next, sizeof(r));
    }
  }
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
