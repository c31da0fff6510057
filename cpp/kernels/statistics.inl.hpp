#pragma once
#include "kernels/statistics.hpp"
#include "simd/partial.hpp"
#include "simd/square.hpp"

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

template <class T, class S>
Extremes extremes_of(const S* p, index n) noexcept {
  const Vec<T> first = Vec<T>::set(static_cast<T>(*p));
  Vec<T> low = first, high = first, residue = Vec<T>::zero();  // as in first_nonfinite
  each_vec<T>(n, [&](index j, int k) {
    const Vec<T> x = keep_some(convert_some<T>(p + j, k), k, first);
    low = min(x, low);
    high = max(x, high);
    residue = residue + (x - x);
  });
  return {-static_cast<double>(maximum(Vec<T>::zero() - low)), static_cast<double>(maximum(high)),
          sum(residue) == T(0)};
}

template <class T>
Extremes extremes(const void* p, DType dtype, index n) noexcept {
  if constexpr (sizeof(T) == sizeof(float)) {
    if (dtype == DType::u8) return extremes_of<T>(static_cast<const std::uint8_t*>(p), n);
  }
  return extremes_of<T>(static_cast<const T*>(p), n);
}

/// By way of a small block, so that both src and dst are touched in whole lines: at strides of 4 KB
/// the cache holds only eight.
template <class T>
void transpose(const Transpose<T>& t, Range rows) noexcept {
  constexpr index L = lanes<T>;
  const auto one_by_one = [&](Range r, Range c) {
    for (index j = c.begin; j < c.end; ++j) {
      for (index i = r.begin; i < r.end; ++i) t.dst[j * t.rows + i] = t.src[i * t.cols + j];
    }
  };
  const index whole_cols = t.cols / L * L;
  index i = rows.begin;
  for (; i + L <= rows.end; i += L) {
    for (index j = 0; j < whole_cols; j += L) {
      alignas(64) T block[L * L];
      transpose_lines(t.src + i * t.cols + j, t.cols, block, L);
      for (index c = 0; c < L; ++c) Vec<T>::load(block + c * L).store(t.dst + (j + c) * t.rows + i);
    }
    one_by_one({i, i + L}, {whole_cols, t.cols});
  }
  one_by_one({i, rows.end}, {0, t.cols});
}

}  // namespace fanin::FANIN_ISA
