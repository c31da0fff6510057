#pragma once
#include "kernels/activation.inl.hpp"
#include "kernels/drop_connect.hpp"

namespace fanin::FANIN_ISA {

/// Vecs of the columns that one group of draws covers.
template <class T>
inline constexpr int group_vecs = 64 / lanes<T>;

/// The columns of one group that there are: lanes in use of each Vec.
template <class T>
struct GroupLanes {
  int used[group_vecs<T>];

  explicit FANIN_INLINE GroupLanes(index left) {
    for (int v = 0; v < group_vecs<T>; ++v) {
      const index n = left - v * lanes<T>;
      used[v] = static_cast<int>(n < 0 ? 0 : n < lanes<T> ? n : lanes<T>);
    }
  }
};

/// The draws for columns j ... j + 63 of row k of row i's mask and, two hiding each other's
/// latency, of the row of a mask that is `step` further.
template <class T>
FANIN_INLINE void mask_groups(const RowMasks<T>& m, index i, index k, index j, index out,
                              index step, Group (&pair)[2]) {
  const index per_row = dropout_blocks_per_row(out);
  const index first = ((m.draws.first_row + i) * m.in + k) * per_row + j / 64;
  philox_groups({m.draws.seed, m.draws.stream}, static_cast<std::uint64_t>(first), pair,
                static_cast<std::uint64_t>(step * per_row));
}

/// The first of [i, end) where p is not zero, or end: a zero contributes nothing and needs no draw.
template <class T>
FANIN_INLINE index next_nonzero(const T* p, index stride, index i, index end) {
  while (i < end && p[i * stride] == T(0)) ++i;
  return i;
}

template <class T>
void drop_connect_forward(const DenseForward<T>& d, const RowMasks<T>& m, Range rows,
                          Range cols) noexcept {
  constexpr int L = lanes<T>, NV = group_vecs<T>;
  const Vec<T> scale = Vec<T>::set(m.draws.scale);
  for (index j = cols.begin; j < cols.end; j += 64) {
    const index end = j + 64 < cols.end ? j + 64 : cols.end;
    const GroupLanes<T> n(end - j);
    for (index i = rows.begin; i < rows.end; ++i) {
      const T* x = d.x + i * d.x_stride;
      Vec<T> acc[NV];
      for (int v = 0; v < NV; ++v) {
        acc[v] = d.b ? load_some(d.b + j + v * L, n.used[v]) : Vec<T>::zero();
      }
      for (index k = next_nonzero(x, 1, 0, d.in), second; k < d.in;
           k = next_nonzero(x, 1, second + 1, d.in)) {
        second = next_nonzero(x, 1, k + 1, d.in);
        Group pair[2];
        mask_groups(m, i, k, j, d.out, second - k, pair);
        for (int r = 0; r < (second < d.in ? 2 : 1); ++r) {
          const index row = r == 0 ? k : second;
          const Vec<T> xv = Vec<T>::set(x[row]);
#pragma GCC unroll 8
          for (int v = 0; v < NV; ++v) {
            const Vec<T> w = load_some(d.w + row * d.out + j + v * L, n.used[v]) * scale;
            const Mask<T> alive = kept<T>(pair[r], m.draws.threshold, v);
            acc[v] = select(alive, fma(xv, w, acc[v]), acc[v]);
          }
        }
      }
      for (int v = 0; v < NV; ++v) store_some(acc[v], d.y + i * d.y_stride + j + v * L, n.used[v]);
    }
    finish_block(d.epilogue, d.y, d.y, d.y_stride, d.out, rows, Range{j, end});
  }
}

/// Uses w, not wt. Each product is summed lane by lane over the columns and then by the tree of
/// sum(). What a gate shuts is not worked out.
template <class T>
void drop_connect_backward_input(const DenseBackwardInput<T>& d, const RowMasks<T>& m, Range rows,
                                 Range cols) noexcept {
  constexpr int L = lanes<T>, NV = group_vecs<T>;
  const Derivative<T>& f = d.derivative;
  for (index i = rows.begin; i < rows.end; ++i) {
    const index row = i * d.dx_stride;
    const auto next = [&](index k) {
      for (; k < cols.end && f.gate && !(f.gate[row + k] > T(0)); ++k) d.dx[row + k] = T(0);
      return k;
    };
    for (index k = next(cols.begin), second; k < cols.end; k = next(second + 1)) {
      second = next(k + 1);
      const int n_rows = second < cols.end ? 2 : 1;
      Vec<T> acc[2] = {Vec<T>::zero(), Vec<T>::zero()};
      for (index j = 0; j < d.out; j += 64) {
        const GroupLanes<T> n(d.out - j);
        Group pair[2];
        mask_groups(m, i, k, j, d.out, second - k, pair);
        for (int r = 0; r < n_rows; ++r) {
          const T* w = d.w + (r == 0 ? k : second) * d.out + j;
#pragma GCC unroll 8
          for (int v = 0; v < NV; ++v) {
            const Vec<T> dz = load_some(d.dz + i * d.dz_stride + j + v * L, n.used[v]);
            const Mask<T> alive = kept<T>(pair[r], m.draws.threshold, v);
            acc[r] = select(alive, fma(load_some(w + v * L, n.used[v]), dz, acc[r]), acc[r]);
          }
        }
      }
      for (int r = 0; r < n_rows; ++r) {
        const index at = row + (r == 0 ? k : second);
        const T own = sum(acc[r]) * m.draws.scale;
        const T g = d.accumulate ? d.dx[at] + own : own;
        d.dx[at] = f.slope ? g * f.slope[at] : f.gate ? g * f.factor : g;
      }
    }
  }
}

template <class T>
void drop_connect_weight_gradient(const WeightGradient<T>& d, const RowMasks<T>& m, Range in,
                                  T* dw) noexcept {
  constexpr int L = lanes<T>, NV = group_vecs<T>;
  for (index k = in.begin; k < in.end; ++k, dw += d.out) {
    const T* x = d.x + k;
    for (index j = 0; j < d.out; j += 64) {
      const GroupLanes<T> n(d.out - j);
      Vec<T> acc[NV];
      for (int v = 0; v < NV; ++v) {
        acc[v] = d.accumulate ? load_some(dw + j + v * L, n.used[v]) : Vec<T>::zero();
      }
      for (index i = next_nonzero(x, d.x_stride, 0, d.rows), second; i < d.rows;
           i = next_nonzero(x, d.x_stride, second + 1, d.rows)) {
        second = next_nonzero(x, d.x_stride, i + 1, d.rows);
        Group pair[2];
        mask_groups(m, i, k, j, d.out, (second - i) * m.in, pair);
        for (int r = 0; r < (second < d.rows ? 2 : 1); ++r) {
          const index row = r == 0 ? i : second;
          const Vec<T> xv = Vec<T>::set(x[row * d.x_stride] * m.draws.scale);
#pragma GCC unroll 8
          for (int v = 0; v < NV; ++v) {
            const Vec<T> dz = load_some(d.dz + row * d.dz_stride + j + v * L, n.used[v]);
            const Mask<T> alive = kept<T>(pair[r], m.draws.threshold, v);
            acc[v] = select(alive, fma(xv, dz, acc[v]), acc[v]);
          }
        }
      }
      for (int v = 0; v < NV; ++v) store_some(acc[v], dw + j + v * L, n.used[v]);
    }
  }
}

/// The normal density at multiples of quadrature_step, to six deviations, scaled to sum to 1: the
/// trapezoidal rule, whose error falls exponentially for smooth f.
inline constexpr double quadrature_step = 0.375;
inline constexpr double quadrature_weights[] = {
    0.1496033552236818,    0.13944566026934155,    0.11292653711326406,    0.07945374220473407,
    0.048569098398455954,  0.025794853447621165,   0.011902369444194625,   0.004771568101144717,
    0.0016619431552893152, 0.0005029195778047806,  0.0001322233809524391,  3.0202668223114584e-05,
    5.993902918020111e-06, 1.0334784745865311e-06, 1.5481766214931888e-07, 2.014962244948593e-08,
    2.278456069797722e-09};

/// E[f(mean + deviation * n)], n standard normal.
template <Activation A, class T>
FANIN_INLINE Vec<T> expected(Vec<T> mean, Vec<T> deviation) {
  const Vec<T> zero = Vec<T>::zero();
  if constexpr (A == Activation::identity) {
    return mean;
  } else if constexpr (A == Activation::relu) {
    const Vec<T> r = mean / deviation;
    const Vec<T> y = max(zero, fma(mean, normal_cdf(r), deviation * normal_pdf(r)));
    return select(deviation > zero, y, max(zero, mean));
  } else if constexpr (A == Activation::leaky_relu) {
    const Vec<T> positive = expected<Activation::relu>(mean, deviation);
    return fma(Vec<T>::set(T(0.99)), positive, Vec<T>::set(T(0.01)) * mean);
  } else if constexpr (A == Activation::selu) {  // the sum would see little of its kink
    const Vec<T> kink = Vec<T>::set(T(selu_above - selu_below));
    return fma(kink, expected<Activation::relu>(mean, deviation),
               Vec<T>::set(T(selu_below)) * expected<Activation::elu>(mean, deviation));
  } else {
    Vec<T> slope;
    Vec<T> total = activate<A>(mean, slope) * Vec<T>::set(T(quadrature_weights[0]));
    for (int q = 1; q <= 16; ++q) {
      const Vec<T> point = Vec<T>::set(T(q * quadrature_step));
      const Vec<T> both = activate<A>(fma(deviation, point, mean), slope) +
                          activate<A>(fnma(deviation, point, mean), slope);
      total = fma(Vec<T>::set(T(quadrature_weights[q])), both, total);
    }
    return total;
  }
}

/// A function of its own: all activations in one leave the compiler too few registers for each.
template <Activation A, class T>
[[gnu::noinline]] void gaussian_rows(const GaussianActivation<T>& g, Range rows) noexcept {
  const Vec<T> ratio = Vec<T>::set(g.ratio), scale = Vec<T>::set(g.scale);
  for (index i = rows.begin; i < rows.end; ++i) {
    each_vec<T>(g.cols, [&](index j, int n) {
      const index at = i * g.stride + j;
      const Vec<T> deviation = sqrt(load_some(g.variance + at, n) * ratio);
      store_some(expected<A>(load_some(g.mean + at, n), deviation) * scale, g.y + at, n);
    });
  }
}

template <class T>
void gaussian_activation(const GaussianActivation<T>& g, Range rows) noexcept {
  with_activation(g.activation,
                  [&](auto a) FANIN_INLINE_LAMBDA { gaussian_rows<a.value>(g, rows); });
}

}  // namespace fanin::FANIN_ISA
