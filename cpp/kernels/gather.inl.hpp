#pragma once
#include "kernels/gather.hpp"
#include "simd/partial.hpp"

namespace fanin::FANIN_ISA {

enum class Shift { none, one, per_column };

/// n lanes of (from - mean) * scale from column j on, in U.
template <class U, Shift K, class S, class T>
FANIN_INLINE Vec<U> shifted(const GatherRows<T>& a, const S* from, index j, int n) {
  const Vec<U> x = convert_some<U>(from + j, n);
  if constexpr (K == Shift::none) return x;
  if constexpr (K == Shift::one) {
    return (x - Vec<U>::set(static_cast<U>(*a.mean))) * Vec<U>::set(static_cast<U>(*a.scale));
  }
  return (x - convert_some<U>(a.mean + j, n)) * convert_some<U>(a.scale + j, n);
}

/// `shifted` rounded to T; or what x would give as a T, if T holds it.
template <class T>
FANIN_INLINE T narrowed(double x, double shifted, double mean, double scale) {
  const T value = static_cast<T>(x), centre = static_cast<T>(mean);
  const double off = (static_cast<double>(centre) - mean) * scale;
  const bool as_t = static_cast<double>(value) == x && off * off <= 0x1p-20;
  return as_t ? (value - centre) * static_cast<T>(scale) : static_cast<T>(shifted);
}

template <Shift K, class S, class T>
void gather_as(const GatherRows<T>& args, Range rows) noexcept {
  const GatherRows<T> a = args;  // a local copy: no store can change it
  const auto row_of = [&](index i) FANIN_INLINE_LAMBDA {
    const index row = a.indices ? static_cast<index>(a.indices[i]) : i;
    return static_cast<const S*>(a.data) + row * a.cols;
  };
  for (index i = rows.begin; i < rows.end; ++i) {
    const S* from = row_of(i);
    const S* next = i + 1 < rows.end ? row_of(i + 1) : from;  // rows lie anywhere: fetched ahead
    T* to = a.out + i * a.out_stride;
    if constexpr (K != Shift::none && sizeof(S) > sizeof(T)) {
      each_vec<S>(a.cols, [&](index j, int n) {
        S values[lanes<S>];
        shifted<S, K>(a, from, j, n).store(values);
        for (int l = 0; l < n; ++l) {
          const index column = K == Shift::per_column ? j + l : 0;
          to[j + l] = narrowed<T>(from[j + l], values[l], a.mean[column], a.scale[column]);
        }
      });
    } else {
      each_vec<T>(a.cols, [&](index j, int n) {
        __builtin_prefetch(next + j, 0, 3);
        store_some(shifted<T, K>(a, from, j, n), to + j, n);
      });
    }
  }
}

template <class S, class T>
void gather_from(const GatherRows<T>& a, Range rows) noexcept {
  if (!a.mean) return gather_as<Shift::none, S>(a, rows);
  if (a.per_column) return gather_as<Shift::per_column, S>(a, rows);
  gather_as<Shift::one, S>(a, rows);
}

template <class T>
void gather_rows(const GatherRows<T>& a, Range rows) noexcept {
  switch (a.dtype) {
    case DType::u8:
      return gather_from<std::uint8_t>(a, rows);
    case DType::f32:
      return gather_from<float>(a, rows);
    case DType::f64:
      return gather_from<double>(a, rows);
  }
}

}  // namespace fanin::FANIN_ISA
