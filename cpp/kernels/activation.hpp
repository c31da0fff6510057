#pragma once
#include "core/names.hpp"
#include "core/view.hpp"
#include "kernels/dropout.hpp"

namespace fanin {

/// y = f(z). leaky_relu has slope 0.01, elu alpha 1, gelu is the exact one (erf). silu is
/// z sigmoid(z), mish z tanh(softplus(z)), softplus log(1 + e^z), selu the one of Klambauer et al.
/// (2017).
enum class Activation : int {
  identity,
  relu,
  leaky_relu,
  elu,
  gelu,
  sigmoid,
  tanh,
  silu,
  mish,
  softplus,
  selu
};
template <>
inline constexpr const char* names<Activation>[] = {"identity", "relu",     "leaky_relu", "elu",
                                                    "gelu",     "sigmoid",  "tanh",       "silu",
                                                    "mish",     "softplus", "selu"};

/// What happens to the outputs of a product, tile by tile, while they are in cache:
/// y = dropout(f(z)), and, where slope is given, slope = dy/dz with the dropout factor in it.
/// ReLU and identity without dropout need no slope: see needs_slope().
template <class T>
struct Epilogue {
  Activation activation = Activation::identity;
  Dropout<T> dropout;
  T* slope = nullptr;  // (rows, cols), stride as the output's
};

/// True where y = z and no slope is asked for.
template <class T>
FANIN_INLINE bool changes_nothing(const Epilogue<T>& e) {
  return e.activation == Activation::identity && !e.dropout.active() && e.dropout.scale == T(1) &&
         !e.slope;
}

/// How a gradient with respect to y becomes one with respect to z.
/// slope: multiply by it. gate: factor where gate > 0, else 0 (ReLU: y > 0 says active and kept).
template <class T>
struct Derivative {
  const T* slope = nullptr;  // (rows, cols), stride as the gradient's
  const T* gate = nullptr;   // (rows, cols), stride as the gradient's
  T factor = T(1);           // of the gate: 1 / keep
};

/// True where the backward pass needs the slope stored; else the gate (ReLU) or nothing will do.
FANIN_INLINE bool needs_slope(Activation a, bool dropout) {
  return a != Activation::relu && (a != Activation::identity || dropout);
}

/// dz = dy times the derivative, on rows [rows.begin, rows.end); dz may be dy.
template <class T>
struct ActivationBackward {
  const T* dy;  // (rows, cols)
  T* dz;        // (rows, cols)
  Derivative<T> derivative;
  index cols, stride;
};

/// y = epilogue(z) on rows; y may be z.
template <class T>
struct ActivationForward {
  const T* z;  // (rows, cols)
  T* y;        // (rows, cols)
  Epilogue<T> epilogue;
  index cols, stride;
};

}  // namespace fanin
