#pragma once
#include "core/view.hpp"
#include "kernels/activation.hpp"

namespace fanin {

/// y = epilogue(x > 0 ? x : slopes * x), a slope for each column (He et al., 2015). y is not x.
template <class T>
struct PreluForward {
  const T* x;  // (rows, cols)
  const T* slopes;
  T* y;  // (rows, cols)
  index cols, stride;
  Epilogue<T> epilogue;
};

/// dx = x > 0 ? dy : slopes * dy; dx may be dy.
template <class T>
struct PreluBackward {
  const T* dy;
  const T* x;
  const T* slopes;
  T* dx;
  index cols, stride;
};

/// dslopes[j] = the sum of dy * min(0, x) over the rows, in order, beginning at 0 or, accumulating,
/// at dslopes[j].
template <class T>
struct PreluGradient {
  const T* dy;
  const T* x;
  T* dslopes;
  index rows, stride;
  bool accumulate;
};

}  // namespace fanin
