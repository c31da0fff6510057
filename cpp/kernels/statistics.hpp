#pragma once
#include "core/view.hpp"

namespace fanin {

/// Sum of squares over 16 (float) or 8 (double) lanes and the one tree.
/// Contract of sum_squares(p, n), first_nonfinite(p, n): the position of the first NaN or infinity,
/// or n; transpose(src (rows, cols), dst (cols, rows), row range of src).
template <class T>
struct Transpose {
  const T* src;
  T* dst;
  index rows, cols;
};

}  // namespace fanin
