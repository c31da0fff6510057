#pragma once
#include "kernels/activation.inl.hpp"
#include "kernels/columns.inl.hpp"
#include "kernels/prelu.hpp"

namespace fanin::FANIN_ISA {

/// out = x > 0 ? from : slopes * from, on rows; a NaN in both comes through.
template <class T>
FANIN_INLINE void sloped(const T* x, const T* from, const T* slopes, T* out, index cols,
                         index stride, Range rows) {
  const Vec<T> zero = Vec<T>::zero();
  for (index i = rows.begin; i < rows.end; ++i) {
    each_vec<T>(cols, [&](index j, int n) {
      const index at = i * stride + j;
      const Vec<T> y = load_some(from + at, n), below = load_some(slopes + j, n) * y;
      store_some(select(load_some(x + at, n) > zero, y, below), out + at, n);
    });
  }
}

template <class T>
void prelu_forward(const PreluForward<T>& a, Range all) noexcept {
  then_finish(a.epilogue, a.y, a.stride, a.cols, all, [&](Range rows) FANIN_INLINE_LAMBDA {
    sloped(a.x, a.x, a.slopes, a.y, a.cols, a.stride, rows);
  });
}

template <class T>
void prelu_backward(const PreluBackward<T>& a, Range rows) noexcept {
  sloped(a.x, a.dy, a.slopes, a.dx, a.cols, a.stride, rows);
}

template <class T>
void prelu_gradient(const PreluGradient<T>& a, Range cols) noexcept {
  chains_down(a.dslopes, a.rows, a.accumulate, cols,
              [&](index i, index j, int n, Vec<T> acc) FANIN_INLINE_LAMBDA {
                const Vec<T> x = load_some(a.x + i * a.stride + j, n);
                // This order of min lets a NaN through.
                return fma(load_some(a.dy + i * a.stride + j, n), min(Vec<T>::zero(), x), acc);
              });
}

}  // namespace fanin::FANIN_ISA
