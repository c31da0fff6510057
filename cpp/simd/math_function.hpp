#pragma once
#include "core/names.hpp"

namespace fanin {

/// The functions that Kernels::map applies to each element.
enum class MathFunction : int {
  exp,
  log,
  tanh,
  sigmoid,
  erf,
  gelu,
  expm1,
  sinpi,
  cospi,
  silu,
  mish,
  softplus
};
template <>
inline constexpr const char* names<MathFunction>[] = {"exp",   "log",  "tanh",  "sigmoid",
                                                      "erf",   "gelu", "expm1", "sinpi",
                                                      "cospi", "silu", "mish",  "softplus"};

}  // namespace fanin
