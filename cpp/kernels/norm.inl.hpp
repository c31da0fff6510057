#pragma once
#include "kernels/activation.inl.hpp"
#include "kernels/columns.inl.hpp"
#include "kernels/norm.hpp"

namespace fanin::FANIN_ISA {

/// f(RowCount<R>{}, i) for R rows from i on at a time, then for each of those left: rows together
/// hide each other's latency, and each has the bits that it has alone.
template <int R>
struct RowCount {
  static constexpr int value = R;
};
template <int R, class F>
FANIN_INLINE void rows_together(Range rows, F&& f) {
  index i = rows.begin;
  for (; i + R <= rows.end; i += R) f(RowCount<R>{}, i);
  for (; i < rows.end; ++i) f(RowCount<1>{}, i);
}

/// The mean and 1 / sqrt(variance + eps) of each of R rows from i on. The variance is of what the
/// mean leaves: no difference of large numbers.
template <int R, class T>
FANIN_INLINE void row_moments(const LayerNormForward<T>& a, index i) {
  const T* x = a.x + i * a.stride;
  const T n_cols = static_cast<T>(a.cols);
  Vec<T> total[R], mean[R], squares[R];
  T variance[lanes<T>] = {};
  for (int r = 0; r < R; ++r) total[r] = squares[r] = Vec<T>::zero();
  each_vec<T>(a.cols, [&](index j, int n) FANIN_INLINE_LAMBDA {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) total[r] = total[r] + load_some(x + r * a.stride + j, n);
  });
  for (int r = 0; r < R; ++r) {
    a.mean[i + r] = sum(total[r]) / n_cols;
    mean[r] = Vec<T>::set(a.mean[i + r]);
  }
  each_vec<T>(a.cols, [&](index j, int n) FANIN_INLINE_LAMBDA {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const Vec<T> d = load_some(x + r * a.stride + j, n) - mean[r];
      const Vec<T> used = keep_some(d, n, Vec<T>::zero());
      squares[r] = fma(used, used, squares[r]);
    }
  });
  for (int r = 0; r < R; ++r) variance[r] = sum(squares[r]) / n_cols + T(norm_eps);
  (Vec<T>::set(T(1)) / sqrt(Vec<T>::load(variance))).store(a.inverse + i, R);
}

template <class T>
void layer_norm_forward(const LayerNormForward<T>& a, Range all) noexcept {
  const auto together = [&](auto count, index i) FANIN_INLINE_LAMBDA {
    constexpr int R = decltype(count)::value;
    row_moments<R>(a, i);
    Vec<T> mean[R], inverse[R];
    for (int r = 0; r < R; ++r) {
      mean[r] = Vec<T>::set(a.mean[i + r]);
      inverse[r] = Vec<T>::set(a.inverse[i + r]);
    }
    each_vec<T>(a.cols, [&](index j, int n) FANIN_INLINE_LAMBDA {
      const Vec<T> gamma = load_some(a.gamma + j, n), beta = load_some(a.beta + j, n);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        const index at = (i + r) * a.stride + j;
        const Vec<T> h = (load_some(a.x + at, n) - mean[r]) * inverse[r];
        store_some(fma(h, gamma, beta), a.y + at, n);
      }
    });
  };
  then_finish(a.epilogue, a.y, a.stride, a.cols, all,
              [&](Range rows) FANIN_INLINE_LAMBDA { rows_together<4>(rows, together); });
}

template <class T>
void layer_norm_backward(const LayerNormBackward<T>& a, Range rows) noexcept {
  const T n_cols = static_cast<T>(a.cols);
  rows_together<2>(rows, [&](auto count, index i) FANIN_INLINE_LAMBDA {
    constexpr int R = decltype(count)::value;
    Vec<T> mean[R], inverse[R], sum_g[R], sum_gh[R];
    for (int r = 0; r < R; ++r) {
      mean[r] = Vec<T>::set(a.mean[i + r]);
      inverse[r] = Vec<T>::set(a.inverse[i + r]);
      sum_g[r] = sum_gh[r] = Vec<T>::zero();
    }
    each_vec<T>(a.cols, [&](index j, int n) FANIN_INLINE_LAMBDA {
      const Vec<T> gamma = load_some(a.gamma + j, n);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) {
        const index at = (i + r) * a.stride + j;
        const Vec<T> g = load_some(a.dy + at, n) * gamma;
        const Vec<T> h = (load_some(a.x + at, n) - mean[r]) * inverse[r];
        sum_g[r] = sum_g[r] + g;
        sum_gh[r] = fma(g, h, sum_gh[r]);
      }
    });
    for (int r = 0; r < R; ++r) {
      sum_g[r] = Vec<T>::set(sum(sum_g[r]) / n_cols);
      sum_gh[r] = Vec<T>::set(sum(sum_gh[r]) / n_cols);
    }
    each_vec<T>(a.cols, [&](index j, int n) FANIN_INLINE_LAMBDA {
      const Vec<T> gamma = load_some(a.gamma + j, n);
#pragma GCC unroll 2
      for (int r = 0; r < R; ++r) {
        const index at = (i + r) * a.stride + j;
        const Vec<T> g = load_some(a.dy + at, n) * gamma;
        const Vec<T> h = (load_some(a.x + at, n) - mean[r]) * inverse[r];
        store_some(fnma(h, sum_gh[r], g - sum_g[r]) * inverse[r], a.dx + at, n);
      }
    });
  });
}

template <class T>
void batch_norm_forward(const BatchNormForward<T>& a, Range all) noexcept {
  then_finish(a.epilogue, a.y, a.stride, a.cols, all, [&](Range rows) FANIN_INLINE_LAMBDA {
    each_vec<T>(a.cols, [&](index j, int n) {
      const Vec<T> mean = load_some(a.mean + j, n), inverse = load_some(a.inverse + j, n);
      const Vec<T> gamma = load_some(a.gamma + j, n), beta = load_some(a.beta + j, n);
      for (index i = rows.begin; i < rows.end; ++i) {
        const index at = i * a.stride + j;
        const Vec<T> h = (load_some(a.x + at, n) - mean) * inverse;
        store_some(fma(h, gamma, beta), a.y + at, n);
      }
    });
  });
}

template <class T>
void batch_norm_backward(const BatchNormBackward<T>& a, Range rows) noexcept {
  for (index i = rows.begin; i < rows.end; ++i) {
    each_vec<T>(a.cols, [&](index j, int n) {
      const index at = i * a.stride + j;
      const Vec<T> inverse = load_some(a.inverse + j, n);
      const Vec<T> h = (load_some(a.x + at, n) - load_some(a.mean + j, n)) * inverse;
      const Vec<T> centred = load_some(a.dy + at, n) - load_some(a.mean_dy + j, n);
      const Vec<T> g = fnma(h, load_some(a.mean_dy_h + j, n), centred);
      store_some(g * (load_some(a.gamma + j, n) * inverse), a.dx + at, n);
    });
  }
}

template <class T>
void norm_gradient(const NormGradient<T>& a, Range cols) noexcept {
  const auto next = [&](index i, index j, int n, Vec<T> mean, Vec<T> inverse, Vec<T> acc)
                        FANIN_INLINE_LAMBDA {
                          const Vec<T> h = (load_some(a.x + i * a.stride + j, n) - mean) * inverse;
                          return fma(load_some(a.dy + i * a.stride + j, n), h, acc);
                        };
  if (a.per_column) {
    chains_down(a.dgamma, a.rows, a.accumulate, cols,
                [&](index i, index j, int n, Vec<T> acc) FANIN_INLINE_LAMBDA {
                  return next(i, j, n, load_some(a.mean + j, n), load_some(a.inverse + j, n), acc);
                });
  } else {
    chains_down(a.dgamma, a.rows, a.accumulate, cols,
                [&](index i, index j, int n, Vec<T> acc) FANIN_INLINE_LAMBDA {
                  return next(i, j, n, Vec<T>::set(a.mean[i]), Vec<T>::set(a.inverse[i]), acc);
                });
  }
}

template <class T>
void squared_deviations(const SquaredDeviations<T>& a, Range cols) noexcept {
  chains_down(a.sums, a.rows, false, cols,
              [&](index i, index j, int n, Vec<T> acc) FANIN_INLINE_LAMBDA {
                const Vec<T> d = load_some(a.x + i * a.stride + j, n) - load_some(a.mean + j, n);
                return fma(d, d, acc);
              });
}

}  // namespace fanin::FANIN_ISA
