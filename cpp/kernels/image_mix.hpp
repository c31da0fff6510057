#pragma once
#include "kernels/image.hpp"

namespace fanin {

/// out = lambda a + (1 - lambda) b, as fma(lambda, a - b, b); u8 rounded to nearest, ties to even.
struct Blend {
  const void *a, *b;
  void* out;
  DType dtype;  // of all three, u8 or f32
  float lambda;
};

}  // namespace fanin
