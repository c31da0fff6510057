#pragma once
#include "core/view.hpp"

namespace fanin {

/// y = a + b; y may be either.
template <class T>
struct Add {
  const T *a, *b;  // (rows, cols)
  T* y;
  index cols, stride;
};

}  // namespace fanin
