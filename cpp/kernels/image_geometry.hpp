#pragma once
#include <cstdint>

#include "core/names.hpp"
#include "kernels/image.hpp"

namespace fanin {

/// Output pixel i of an axis is the sum over t < taps of weights[i * taps + t] * source[first[i] +
/// t], a chain of fma over t from 0; where first[i] is negative it is fill -1 - first[i]. Weights
/// that would reach beyond the source are zero, and first[i] + taps never does: where an axis is
/// shorter than taps, taps is its length.
struct AxisWeights {
  const std::int32_t* first;
  const float* weights;
  index n, taps;
};

/// Axis-aligned resampling: along the rows first, then down the columns, in float throughout. A
/// call whose range begins where the last one in this workspace ended, but not at 0, is taken to go
/// on with the same image; any other begins anew.
struct ResizeImage {
  Image source;
  AxisWeights rows, columns;
  const float* fills;  // (fills, most_channels), in the source's units
  ChannelAffine affine;
  Planes out;
  float* workspace;  // resize_workspace_size() floats; keeps rows for a call that goes on
};

/// What a warp finds where it leaves a window.
enum class Border : int { constant, edge, reflect, symmetric };
template <>
inline constexpr const char* names<Border>[] = {"constant", "edge", "reflect", "symmetric"};

/// One step on the way back from output to source, pixel centres at whole numbers: (x, y) ->
/// matrix (x, y, 1), then the lens: with d the distance vector from the centre and r = |d| /
/// radius, centre + d (1 + k1 r^2 + k2 r^4). What lies outside the window [0, width) x [0, height)
/// of pixels (half a pixel beyond its outermost centres) is fill number `fill`, or is folded back.
struct WarpStage {
  float matrix[6];  // x from (x, y, 1), then y
  bool lens;
  float centre_x, centre_y, radius, k1, k2;
  Border border;
  std::int32_t fill;
  index left, top, width, height;
};

/// Back through the stages, first to last, and there the source, bilinear. The last stage's window
/// lies within the source and is not left: taps beyond it are its border's, so that a constant one
/// is blended into over a whole pixel. `nearest` takes the nearest pixel instead.
struct WarpImage {
  Image source;
  const WarpStage* stages;
  int n_stages;
  const float* fills;
  bool nearest;
  ChannelAffine affine;
  index width;  // of the output
  Planes out;
  void* workspace;  // warp_workspace_size() bytes; prepare_warp() fills it
};

/// It depends on the output's and the source's width and on the taps of both axes.
index resize_workspace_size(const ResizeImage&);
index warp_workspace_size(const Image& source);

}  // namespace fanin
