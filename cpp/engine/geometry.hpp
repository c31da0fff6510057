#pragma once
#include <vector>

#include "core/aligned.hpp"
#include "engine/augmentation.hpp"
#include "kernels/image_geometry.hpp"
#include "kernels/image_layout.hpp"

namespace fanin {

/// Coordinates of pixel centres in an operation's input from those in its output: row-major 2 x 3.
struct Matrix {
  double at[6] = {1, 0, 0, 0, 1, 0};
};

/// What every geometric operation becomes, once its values are drawn.
struct Geometry {
  enum Kind : int { flip_columns, flip_rows, crop, resize, affine, lens } kind;
  Extent in, out;
  index top = 0, left = 0;  // crop: of its first pixel in the input, which it may leave
  Border border = Border::constant;
  std::int32_t fill = 0;
  bool antialias = false;
  Matrix matrix;  // affine
  double k1 = 0, k2 = 0;
};

/// What one axis needs while its map is made.
struct AxisRoom {
  Aligned<std::int32_t> from, spare, first;
  Aligned<float> weights;
  Aligned<double> exact;
};

/// One pass over pixels that does what several operations say.
struct Resampling {
  enum Kind : int { copy, resize, warp } kind;
  Extent out;
  AxisMap row_map, column_map;              // copy
  AxisWeights row_weights, column_weights;  // resize
  std::vector<WarpStage> stages;            // warp

  /// Takes on the first operations, as many as one resampling can do, and returns their number. All
  /// crops, flips and resizes are one axis-aligned map, and with affine operations and lenses one
  /// warp. An antialiased shrink is not part of a warp, whose single bilinear sample would alias;
  /// and what has a border is not part of a resize that follows. With `nearest` no values are
  /// mixed.
  index plan(const Geometry* ops, index n, Extent source, bool nearest);

 private:
  void scale_axes(const Geometry* ops, index n, Extent source, bool nearest);

  AxisRoom rows_, columns_;  // the maps' arrays
};

}  // namespace fanin
