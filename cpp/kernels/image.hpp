#pragma once
#include "core/view.hpp"

namespace fanin {

inline constexpr int most_channels = 4;

/// An image as it comes: (height, width, channels), contiguous, u8 or f32.
struct Image {
  const void* data;
  DType dtype;
  index height, width, channels;
};

/// One plane of floats a channel: value (c, i, j) is data[c * plane_stride + i * row_stride + j].
/// They may be the output itself, so nothing is written beyond a row's width.
struct Planes {
  float* data;
  index plane_stride, row_stride;
};

/// What becomes of a channel's values on their way: fma(x, scale[c], shift[c]).
struct ChannelAffine {
  float scale[most_channels] = {1, 1, 1, 1};
  float shift[most_channels] = {};
};

}  // namespace fanin
