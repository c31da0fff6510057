#pragma once
#include <vector>

#include "core/aligned.hpp"
#include "engine/augment/augmentation.hpp"
#include "kernels/image_geometry.hpp"
#include "kernels/image_layout.hpp"

namespace fanin {

/// Coordinates of pixel centres in an operation's input from those in its output: row-major 2 x 3.
struct Matrix {
  double at[6];
};
inline constexpr Matrix identity_matrix{{1, 0, 0, 0, 1, 0}};

/// A geometric operation with its values drawn.
struct Geometry {
  enum Kind : int { flip_columns, flip_rows, crop, resize, affine, lens } kind;
  std::int32_t fill = 0;
  Extent in, out;
  index top = 0, left = 0;  // crop: of its first pixel in the input, which it may leave
  Border border = Border::constant;
  bool antialias = false;
  Matrix matrix;  // affine alone
  double k1, k2;  // lens alone

  Geometry(Kind k, Extent from, Extent to) : kind(k), in(from), out(to) {}
};

/// Where pixels of an axis with a border come from, as in an AxisMap, and the same from the end.
struct PaddedAxis {
  index n = 0, pad = 0;
  Border border = Border::constant;
  std::int32_t fill = 0;
  Aligned<std::int32_t> table;

  /// For an axis of that length, as far beyond its ends at least.
  void prepare(index length, index beyond, Border, std::int32_t fill);

  /// Of pixel 0; those before and after it are its neighbours.
  const std::int32_t* forward() const { return table.data() + pad; }

  /// The last of `count` pixels in one of the directions, first in the other.
  const std::int32_t* mirrored(const std::int32_t* first, index count) const {
    return table.data() + 2 * (n + 2 * pad) - (first - table.data()) - count;
  }
};

/// Scratch memory for the map of an axis.
struct AxisWorkspace {
  PaddedAxis padded;
  Aligned<std::int32_t> from, spare, first;
  Aligned<float> weights;
  Aligned<double> exact;
};

/// One pass over pixels that applies several operations.
struct Resampling {
  enum Kind : int { copy, resize, warp } kind;
  Extent out;
  AxisMap row_map, column_map;              // copy
  AxisWeights row_weights, column_weights;  // resize
  std::vector<WarpStage> stages;            // warp

  /// Fuses the first operations, as many as one resampling can do, and returns their number. All
  /// crops, flips and resizes are one axis-aligned map, and with affine operations and lenses one
  /// warp. An antialiased shrink is not part of a warp, whose single bilinear sample would alias;
  /// and what has a border is not part of a resize that follows. With `nearest` no values are
  /// mixed.
  index plan(const Geometry* ops, index n, Extent source, bool nearest);

 private:
  void scale_axes(const Geometry* ops, index n, Extent source, bool nearest);

  AxisWorkspace rows_, columns_;  // the maps' arrays
};

}  // namespace fanin
