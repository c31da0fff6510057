#pragma once
#include "kernels/activation.hpp"
#include "kernels/dropout.inl.hpp"
#include "kernels/gemm.hpp"
#include "simd/partial.hpp"

namespace fanin::FANIN_ISA {

template <Activation A>
struct ActivationConstant {
  static constexpr Activation value = A;
};

/// f(ActivationConstant<a>{}): what depends on the activation is compiled for each of them.
template <class F>
FANIN_INLINE void with_activation(Activation a, F&& f) noexcept {
  switch (a) {
    case Activation::identity:
      return f(ActivationConstant<Activation::identity>{});
    case Activation::relu:
      return f(ActivationConstant<Activation::relu>{});
    case Activation::leaky_relu:
      return f(ActivationConstant<Activation::leaky_relu>{});
    case Activation::elu:
      return f(ActivationConstant<Activation::elu>{});
    case Activation::gelu:
      return f(ActivationConstant<Activation::gelu>{});
    case Activation::sigmoid:
      return f(ActivationConstant<Activation::sigmoid>{});
    case Activation::tanh:
      return f(ActivationConstant<Activation::tanh>{});
    case Activation::silu:
      return f(ActivationConstant<Activation::silu>{});
    case Activation::mish:
      return f(ActivationConstant<Activation::mish>{});
    case Activation::softplus:
      return f(ActivationConstant<Activation::softplus>{});
    case Activation::selu:
      return f(ActivationConstant<Activation::selu>{});
  }
}

/// selu's slope above 0 and, times e^z, below.
inline constexpr double selu_above = 1.0507009873554805, selu_below = 1.7580993408473768;

/// y = f(z); slope = f'(z), computed only where it is used.
template <Activation A, class T>
FANIN_INLINE Vec<T> activate(Vec<T> z, Vec<T>& slope) {
  const Vec<T> zero = Vec<T>::zero(), one = Vec<T>::set(T(1));
  if constexpr (A == Activation::identity) {
    slope = one;
    return z;
  } else if constexpr (A == Activation::relu) {
    slope = select(z > zero, one, zero);
    return max(zero, z);  // this order lets a NaN through: it is how divergence is noticed
  } else if constexpr (A == Activation::leaky_relu) {
    slope = select(z > zero, one, Vec<T>::set(T(0.01)));
    return z * slope;
  } else if constexpr (A == Activation::elu) {
    const Vec<T> below = expm1(min(zero, z));  // this order lets a NaN through
    slope = select(z > zero, one, below + one);
    return select(z > zero, z, below);
  } else if constexpr (A == Activation::gelu) {
    return gelu(z, slope);
  } else if constexpr (A == Activation::sigmoid) {
    const Vec<T> y = sigmoid(z);
    slope = y * (one - y);
    return y;
  } else if constexpr (A == Activation::tanh) {
    const Vec<T> y = tanh(z);
    slope = fnma(y, y, one);
    return y;
  } else if constexpr (A == Activation::silu) {
    return silu(z, slope);
  } else if constexpr (A == Activation::mish) {
    return mish(z, slope);
  } else if constexpr (A == Activation::softplus) {
    return softplus(z, slope);
  } else {
    static_assert(A == Activation::selu);
    const Vec<T> above = Vec<T>::set(T(selu_above)), factor = Vec<T>::set(T(selu_below));
    const Vec<T> below = expm1(min(zero, z));  // this order lets a NaN through
    slope = select(z > zero, above, fma(factor, below, factor));
    return select(z > zero, above * z, factor * below);
  }
}

template <class T, Activation A, bool Slope, bool Drop>
void finish(const Epilogue<T>& e, const T* z, T* y, index stride, index width, Range rows,
            Range cols) noexcept {
  const Vec<T> scale = Vec<T>::set(e.dropout.scale), zero = Vec<T>::zero();
  const auto one_vec = [&](index at, int v, int n, const Group& draws) {
    Vec<T> slope;
    Vec<T> out = activate<A>(load_some(z + at, n), slope) * scale;
    slope = slope * scale;
    if constexpr (Drop) {
      const Mask<T> alive = kept<T>(draws, e.dropout.threshold, v);
      out = select(alive, out, zero);
      slope = select(alive, slope, zero);
    }
    store_some(out, y + at, n);
    if constexpr (Slope) store_some(slope, e.slope + at, n);
  };
  constexpr index at_once = Drop ? 2 : 1;  // two hide the latency of drawing
  for (index i = rows.begin; i < rows.end; i += at_once) {
    Group draws[at_once];
    if constexpr (Drop) dropout_groups(e.dropout, i, cols.begin, width, draws);
    for (index r = 0; r < at_once && i + r < rows.end; ++r) {
      each_vec<T>(cols.end - cols.begin, [&](index j, int n) {
        one_vec((i + r) * stride + cols.begin + j, static_cast<int>(j / lanes<T>), n, draws[r]);
      });
    }
  }
}

template <class T, Activation A>
FANIN_INLINE void finish_as(const Epilogue<T>& e, const T* z, T* y, index stride, index width,
                            Range rows, Range cols) noexcept {
  if (e.dropout.active()) {
    e.slope ? finish<T, A, true, true>(e, z, y, stride, width, rows, cols)
            : finish<T, A, false, true>(e, z, y, stride, width, rows, cols);
  } else {
    e.slope ? finish<T, A, true, false>(e, z, y, stride, width, rows, cols)
            : finish<T, A, false, false>(e, z, y, stride, width, rows, cols);
  }
}

/// The epilogue on one block: cols begins at a multiple of block_columns and spans at most one.
/// `width` is the number of columns of the whole output.
template <class T>
void finish_block(const Epilogue<T>& e, const T* z, T* y, index stride, index width, Range rows,
                  Range cols) noexcept {
  with_activation(e.activation, [&](auto a) FANIN_INLINE_LAMBDA {
    finish_as<T, a.value>(e, z, y, stride, width, rows, cols);
  });
}

template <class T>
void apply_derivative(const Derivative<T>& d, const T* dy, T* dz, index stride, Range rows,
                      Range cols) noexcept {
  if (!d.slope && !d.gate && dy == dz) return;
  const Vec<T> factor = Vec<T>::set(d.factor), zero = Vec<T>::zero();
  for (index i = rows.begin; i < rows.end; ++i) {
    const index row = i * stride + cols.begin;
    each_vec<T>(cols.end - cols.begin, [&](index j, int n) {
      const index at = row + j;
      Vec<T> g = load_some(dy + at, n);
      if (d.slope) {
        g = g * load_some(d.slope + at, n);
      } else if (d.gate) {
        g = select(load_some(d.gate + at, n) > zero, g * factor, zero);
      }
      store_some(g, dz + at, n);
    });
  }
}

/// The epilogue on whole rows.
template <class T>
FANIN_INLINE void finish_rows(const Epilogue<T>& e, const T* z, T* y, index stride, index width,
                              Range rows) noexcept {
  for (index j = 0; j < width; j += block_columns) {
    const Range cols{j, j + block_columns < width ? j + block_columns : width};
    finish_block(e, z, y, stride, width, rows, cols);
  }
}

/// work(rows) on a few rows at a time, which stay in L1.
template <class F>
FANIN_INLINE void few_rows(Range rows, F&& work) noexcept {
  constexpr index at_once = 8;
  for (index i = rows.begin; i < rows.end; i += at_once) {
    work(Range{i, i + at_once < rows.end ? i + at_once : rows.end});
  }
}

/// work(rows) a few rows at a time, each few finished by the epilogue after it.
template <class T, class F>
FANIN_INLINE void then_finish(const Epilogue<T>& e, T* y, index stride, index width, Range rows,
                              F&& work) noexcept {
  const bool plain = changes_nothing(e);
  few_rows(rows, [&](Range few) {
    work(few);
    if (!plain) finish_rows(e, y, y, stride, width, few);
  });
}

template <class T>
void activation_forward(const ActivationForward<T>& a, Range rows) noexcept {
  few_rows(rows, [&](Range few) { finish_rows(a.epilogue, a.z, a.y, a.stride, a.cols, few); });
}

template <class T>
void activation_backward(const ActivationBackward<T>& a, Range rows) noexcept {
  apply_derivative(a.derivative, a.dy, a.dz, a.stride, rows, Range{0, a.cols});
}

}  // namespace fanin::FANIN_ISA
