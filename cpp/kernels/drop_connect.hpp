#pragma once
#include "kernels/dense.hpp"

namespace fanin {

/// DropConnect (Wan et al. 2013) with a mask for each row of the batch: row i is multiplied by
/// M_i ∘ W / keep. The draw of M_i[k, j] is that of row (first_row + i) * in + k, column j, of a
/// dropout mask as wide as W: a mask is drawn wherever it is used and never stored.
template <class T>
struct RowMasks {
  Dropout<T> draws;
  index in;  // rows of W
};

/// What is left of DropConnect at test time: y = scale * E[f(z)] with z normal, its mean in `mean`
/// and its variance ratio * variance (Wan et al. sample it).
/// In closed form for identity, relu and leaky_relu, else by a sum over 33 points, which for selu
/// leaves out its kink.
template <class T>
struct GaussianActivation {
  const T* mean;      // (rows, cols)
  const T* variance;  // (rows, cols)
  T* y;               // (rows, cols); may be mean
  Activation activation;
  T ratio, scale;
  index cols, stride;
};

}  // namespace fanin
