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

/// In each 16 bytes: lanes of a and b in turns, of their lower halves or their upper ones.
template <bool upper, int side, class R, int... I>
FANIN_INLINE R interleaved(R a, R b, std::integer_sequence<int, I...>) {
  constexpr int n = sizeof...(I), half = side / 2;
  return __builtin_shufflevector(
      a, b, (I / side * side + I % side / 2 + I % 2 * n + (upper ? half : 0))...);
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

/// Rows of a square, the off-diagonal halves of which are exchanged as they are loaded; both halves
/// of a row one after the other, since they are in one line of a cache.
template <class T, int bytes>
FANIN_INLINE void load_exchanged(const T* src, index stride, Register<T, bytes>* r) {
  constexpr int n = square_side<T, bytes>, half = n / 2;
#pragma GCC unroll 16
  for (int i = 0; i < n; ++i) {
    const T* from = src + i / 2 * stride + i % 2 * half;
    Register<T, bytes / 2> low, high;
    std::memcpy(&low, from, sizeof(low));
    std::memcpy(&high, from + half * stride, sizeof(high));
    r[i / 2 + i % 2 * half] = joined<Register<T, bytes>>(low, high, each_lane<T, bytes>);
  }
}

/// Exchanges the off-diagonal blocks of `step` lanes, then smaller ones down to 16 bytes.
template <class T, int bytes, int step>
FANIN_INLINE void exchange(Register<T, bytes>* r) {
  constexpr int n = square_side<T, bytes>;
  if constexpr (step >= square_side<T>) {
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

/// Transposes the blocks of 16 bytes a side that as many registers hold.
template <class T, int bytes>
FANIN_INLINE void interleave(Register<T, bytes>* r) {
  constexpr int side = square_side<T>, half = side / 2;
#pragma GCC unroll 2
  for (int stage = 1; stage < side; stage *= 2) {
    Register<T, bytes> next[side];
#pragma GCC unroll 2
    for (int i = 0; i < half; ++i) {
      next[2 * i] = interleaved<false, side>(r[i], r[i + half], each_lane<T, bytes>);
      next[2 * i + 1] = interleaved<true, side>(r[i], r[i + half], each_lane<T, bytes>);
    }
#pragma GCC unroll 4
    for (int i = 0; i < side; ++i) r[i] = next[i];
  }
}

/// A square of so many bytes a side through registers.
template <int bytes = 16, class T>
FANIN_INLINE void transpose_square(const T* src, index src_stride, T* dst, index dst_stride) {
  constexpr int n = square_side<T, bytes>;
  Register<T, bytes> r[n];
  if constexpr (bytes > 16) {
    load_exchanged<T, bytes>(src, src_stride, r);
    exchange<T, bytes, n / 4>(r);
  } else {
    for (int i = 0; i < n; ++i) std::memcpy(&r[i], src + i * src_stride, bytes);
  }
#pragma GCC unroll 4
  for (int i = 0; i < n; i += square_side<T>) interleave<T, bytes>(r + i);
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

/// A line of src from each of as many rows as it has elements, transposed.
template <class T>
FANIN_INLINE void transpose_lines(const T* src, index src_stride, T* dst, index dst_stride) {
  constexpr index side = square_side<T, register_bytes>;
  for (index i = 0; i < lanes<T>; i += side) {
    for (index j = 0; j < lanes<T>; j += side) {
      transpose_square<register_bytes>(src + i * src_stride + j, src_stride,
                                       dst + j * dst_stride + i, dst_stride);
    }
  }
}

}  // namespace fanin::FANIN_ISA
