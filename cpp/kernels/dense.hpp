#pragma once
#include "core/view.hpp"
#include "kernels/activation.hpp"

namespace fanin {

/// y (rows, out) = epilogue(x (rows, in) · w (in, out) + b (out)).
/// Each output is one chain of fused multiply-adds over `in`, in order, beginning at the bias.
template <class T>
struct DenseForward {
  const T* x;
  const T* w;  // rows contiguous
  const T* b;  // or null
  T* y;
  index in, out;
  index x_stride, y_stride;
  Epilogue<T> epilogue;
};

/// dx (rows, in) = (dz (rows, out) · wᵀ (out, in)) times the derivative of the layer below.
/// One chain over `out`, in order, beginning at 0 or, accumulating, at dx.
template <class T>
struct DenseBackwardInput {
  const T* dz;
  const T* wt;  // w transposed, rows contiguous; or null: w is transposed panel by panel
  T* dx;
  index in, out;
  index dz_stride, dx_stride;
  Derivative<T> derivative;  // of the layer below, shaped and strided as dx
  const T* w = nullptr;      // (in, out), used where wt is null
  bool accumulate = false;
};

/// dw (in, out) = xᵀ (in, rows) · dz (rows, out), rows `range` of it written to dw[0...].
/// One chain over the rows of the batch, in order, beginning at 0 or, accumulating, at dw.
template <class T>
struct WeightGradient {
  const T* x;
  const T* dz;
  index rows, out;
  index x_stride, dz_stride;
  bool accumulate;
};

/// db (out) = the sum of dz over its rows, in order, beginning at 0 or, accumulating, at db.
template <class T>
struct BiasGradient {
  const T* dz;
  T* db;
  index rows, out, dz_stride;
  bool accumulate;
};

}  // namespace fanin
