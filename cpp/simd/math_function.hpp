#pragma once

namespace fanin {

/// The functions that Kernels::map applies to each element.
enum class MathFunction : int { exp, log, tanh, sigmoid, erf, gelu, expm1, sinpi, cospi };

}  // namespace fanin
