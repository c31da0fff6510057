#pragma once
#include <limits>

#include "core/view.hpp"

namespace fanin {

/// What is to be said about a block of n numbers: mean, sum of squared deviations from it, lowest,
/// highest, how many are zero, and how many lie outside (low, high). In double, in 8 lanes.
struct Summary {
  double n = 0, mean = 0, squares = 0;
  double lowest = std::numeric_limits<double>::infinity(), highest = -lowest;
  double zeros = 0, outside = 0;

  /// Chan, Golub and LeVeque (1979): the summary of both.
  Summary joined(const Summary& o) const {
    if (n == 0 || o.n == 0) return n == 0 ? o : *this;
    const double total = n + o.n, step = o.mean - mean;
    return {total,
            mean + step * (o.n / total),
            squares + o.squares + step * step * (n * (o.n / total)),
            lowest < o.lowest ? lowest : o.lowest,
            highest > o.highest ? highest : o.highest,
            zeros + o.zeros,
            outside + o.outside};
  }
};

template <class T>
struct Summarize {
  const T* x;
  double low, high;
};

}  // namespace fanin
