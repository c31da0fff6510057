#pragma once
#include "kernels/gather.hpp"
#include "kernels/partial.inl.hpp"

namespace fanin::FANIN_ISA {

enum class Shift { none, one, per_column };

template <Shift K, class S, class T>
void gather_as(const GatherRows<T>& a, Range rows) noexcept {
  const index cols = a.cols;
  const T *mean = a.mean, *scale = a.scale;
  const Vec<T> mean0 = Vec<T>::set(K == Shift::one ? *mean : T(0));
  const Vec<T> scale0 = Vec<T>::set(K == Shift::one ? *scale : T(1));
  for (index i = rows.begin; i < rows.end; ++i) {
    const index row = a.indices ? static_cast<index>(a.indices[i]) : i;
    const S* from = static_cast<const S*>(a.data) + row * cols;
    T* to = a.out + i * a.out_stride;
    each_vec<T>(cols, [&](index j, int n) {
      Vec<T> x = convert_some<T>(from + j, n);
      if constexpr (K == Shift::one) x = (x - mean0) * scale0;
      if constexpr (K == Shift::per_column) {
        x = (x - load_some(mean + j, n)) * load_some(scale + j, n);
      }
      store_some(x, to + j, n);
    });
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
