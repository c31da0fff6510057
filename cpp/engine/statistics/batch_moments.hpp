#pragma once
#include <cmath>

#include "kernels/norm.hpp"

namespace fanin {

/// Rows of a batch that are summed in T at once; the blocks' sums are added in double, in order.
inline constexpr index batch_block = 96;

// Of columns [cols.begin, cols.end) of (rows, ...) arrays with that stride; results stand at the
// columns' own places. No threads: a column's bits do not depend on the others.

/// Each column's mean and biased variance, by two passes, rounded to T.
template <class T>
void batch_moments(const T* x, index rows, index stride, Range cols, T* mean, T* variance);

/// The sums over the batch of dy and of dy * h, h = (x - mean) * inverse, rounded to T.
template <class T>
void batch_gradients(const T* dy, const T* x, const T* mean, const T* inverse, index rows,
                     index stride, Range cols, T* sum_dy, T* sum_dy_h);

/// What a norm multiplies by.
template <class T>
T inverse_deviation(T variance) {
  return T(1) / std::sqrt(variance + T(norm_eps));
}

}  // namespace fanin
