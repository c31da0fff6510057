#pragma once
#include "kernels/activation.inl.hpp"
#include "kernels/dense.hpp"
#include "kernels/gemm.inl.hpp"

namespace fanin::FANIN_ISA {

template <class T>
void dense_forward(const DenseForward<T>& d, Range rows, Range cols, T* scratch) noexcept {
  const Product<T> p{d.x, d.x_stride, 1, d.w, d.out, d.y, d.y_stride, d.in, d.b, false};
  const bool plain = changes_nothing(d.epilogue);
  multiply(p, rows, cols, scratch, [&](Range r, Range c) {
    if (!plain) finish_block(d.epilogue, d.y, d.y, d.y_stride, d.out, r, c);
  });
}

template <class T>
void dense_backward_input(const DenseBackwardInput<T>& d, Range rows, Range cols,
                          T* scratch) noexcept {
  Product<T> p{d.dz, d.dz_stride, 1, d.wt, d.in, d.dx, d.dx_stride, d.out, nullptr, d.accumulate};
  if (!d.wt) {
    p.b = d.w;
    p.b_k = 1;
    p.b_j = d.out;
  }
  multiply(p, rows, cols, scratch, [&](Range r, Range c) {
    apply_derivative(d.derivative, d.dx, d.dx, d.dx_stride, r, c);
  });
}

template <class T>
void weight_gradient(const WeightGradient<T>& d, Range in, T* dw, T* scratch) noexcept {
  const Product<T> p{d.x + in.begin, 1,      d.x_stride, d.dz,        d.dz_stride, dw,
                     d.out,          d.rows, nullptr,    d.accumulate};
  multiply(p, Range{0, in.end - in.begin}, Range{0, d.out}, scratch, [](Range, Range) {});
}

/// NV Vecs of columns from j, the last with `last` lanes, summed down the rows.
template <class T, int NV>
FANIN_INLINE void sum_columns(const BiasGradient<T>& d, index j, int last) noexcept {
  constexpr int L = lanes<T>;
  Vec<T> acc[NV];
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) {
    acc[v] = d.accumulate ? Vec<T>::load(d.db + j + v * L, v == NV - 1 ? last : L) : Vec<T>::zero();
  }
  for (index i = 0; i < d.rows; ++i) {
    const T* row = d.dz + i * d.dz_stride + j;
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      acc[v] = acc[v] + (NV == 1 ? Vec<T>::load(row, last) : Vec<T>::load(row + v * L));
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) acc[v].store(d.db + j + v * L, v == NV - 1 ? last : L);
}

template <class T>
void bias_gradient(const BiasGradient<T>& d, Range cols) noexcept {
  constexpr index L = lanes<T>;
  index j = cols.begin;
  for (; j + 4 * L <= cols.end; j += 4 * L) sum_columns<T, 4>(d, j, static_cast<int>(L));
  for (; j < cols.end; j += L) {
    sum_columns<T, 1>(d, j, static_cast<int>(cols.end - j < L ? cols.end - j : L));
  }
}

}  // namespace fanin::FANIN_ISA
