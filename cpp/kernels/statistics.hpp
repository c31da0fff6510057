#pragma once
#include "core/view.hpp"

namespace fanin {

/// sum_squares(p, n): lane i of 16 (float) or 8 (double) takes elements i, i + lanes, ... by fused
/// multiply-adds in order; then the one tree. Long arrays: sum blocks of `statistics_block` in
/// order. first_nonfinite(p, n): the position of the first NaN or infinity, or n.
inline constexpr index statistics_block = 16384;

/// extremes(p, dtype, n): of n numbers, of bytes too where T is float.
struct Extremes {
  double lowest, highest;
  bool finite;  // all of them; else neither end says much
};

inline Extremes joined(const Extremes& a, const Extremes& b) {
  return {a.lowest < b.lowest ? a.lowest : b.lowest, a.highest > b.highest ? a.highest : b.highest,
          a.finite && b.finite};
}

/// dst (cols, rows) = the transpose of src (rows, cols); a Range is of src's rows.
template <class T>
struct Transpose {
  const T* src;
  T* dst;
  index rows, cols;
};

}  // namespace fanin
