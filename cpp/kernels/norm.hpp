#pragma once
#include "core/view.hpp"
#include "kernels/activation.hpp"

namespace fanin {

/// What is added to a variance before its root is taken.
inline constexpr double norm_eps = 1e-5;

/// y = epilogue(gamma * h + beta) with h = (x - mean) * inverse: mean and inverse, which are
/// written, are each row's mean and 1 / sqrt(variance + eps) over its columns (Ba, Kiros and
/// Hinton, 2016). y is not x.
template <class T>
struct LayerNormForward {
  const T* x;  // (rows, cols)
  const T *gamma, *beta;
  T* y;  // (rows, cols)
  T *mean, *inverse;
  index cols, stride;
  Epilogue<T> epilogue;
};

/// dx = inverse * (g - mean(g) - h * mean(g * h)), g = dy * gamma, means over the row's columns. dx
/// may be dy.
template <class T>
struct LayerNormBackward {
  const T* dy;
  const T* x;
  const T* gamma;
  const T *mean, *inverse;  // of each row
  T* dx;
  index cols, stride;
};

/// The same with a mean and an inverse deviation for each column, which are given (Ioffe and
/// Szegedy, 2015). y may be x.
template <class T>
struct BatchNormForward {
  const T* x;
  const T *gamma, *beta;
  const T *mean, *inverse;  // of each column
  T* y;
  index cols, stride;
  Epilogue<T> epilogue;
};

/// dx = gamma * inverse * (dy - mean_dy - h * mean_dy_h), the means of each column over the batch.
/// dx may be dy.
template <class T>
struct BatchNormBackward {
  const T* dy;
  const T* x;
  const T* gamma;
  const T *mean, *inverse;
  const T *mean_dy, *mean_dy_h;
  T* dx;
  index cols, stride;
};

/// dgamma[j] = the sum of dy * h over the rows, in order, beginning at 0 or, accumulating, at
/// dgamma[j]. mean and inverse are of each column, or else of each row.
template <class T>
struct NormGradient {
  const T* dy;
  const T* x;
  const T *mean, *inverse;
  bool per_column;
  T* dgamma;
  index rows, stride;
  bool accumulate;
};

/// sums[j] = the sum of (x - mean[j])^2 over the rows, in order.
template <class T>
struct SquaredDeviations {
  const T* x;
  const T* mean;
  T* sums;
  index rows, stride;
};

}  // namespace fanin
