#pragma once
#include <cstdint>

#include "kernels/image.hpp"

namespace fanin {

/// Where the n pixels of an output axis come from: from[i] is an index of the source, or -1 - k for
/// fill k. In [run.begin, run.end) the indices go up or down by one (step = 1 or -1).
struct AxisMap {
  const std::int32_t* from;
  index n;
  Range run;
  int step;
};

/// Output pixel (i, j) is the source's (rows.from[i], columns.from[j]), or where one of these is
/// negative fill k; where both are, the larger k, which is the later operation's.
struct PixelMap {
  Image source;
  AxisMap rows, columns;
  const float* fills;  // (fills, most_channels), in the source's units
};

/// The pixels themselves, in the source's dtype, channels interleaved; fills are rounded for u8.
struct CopyPixels {
  PixelMap map;
  void* out;         // (rows.n, columns.n, channels)
  index row_stride;  // in elements
};

/// The pixels as planes of floats.
struct UnpackPixels {
  PixelMap map;
  ChannelAffine affine;
  Planes out;
};

/// Planes as an image: u8 (rounded to nearest, ties to even, clipped to 0 ... 255) or f32, channels
/// interleaved or planar. Row i of the planes becomes row first_row + i of the output.
struct PackPlanes {
  Planes planes;
  ChannelAffine affine;
  index width, height, channels;  // of the output
  index first_row;
  DType dtype;
  bool planar;
  void* out;
};

}  // namespace fanin
