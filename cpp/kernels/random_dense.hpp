#pragma once
#include "kernels/activation.hpp"
#include "kernels/random.hpp"

namespace fanin {

/// y (rows, out) = activation(x (rows, in) · W (in, out)), where W is drawn panel by panel as the
/// product needs it and never stored: W[k, j] is element k * out + j of what `weights` would fill
/// (normal or uniform; its own `out` is not used). The bits are dense_forward's with that W.
/// A call draws W's columns `cols` once, whatever the number of rows; cols.begin is a multiple of
/// block_columns.
template <class T>
struct RandomDense {
  const T* x;
  T* y;
  index in, out;
  index x_stride, y_stride;
  RandomFill<T> weights;
  Activation activation;
};

}  // namespace fanin
