#pragma once
#include "kernels/image_colour.hpp"
#include "kernels/image_geometry.hpp"
#include "kernels/image_layout.hpp"
#include "kernels/image_mix.hpp"

namespace fanin {

/// The kernels of one instruction set that work on images; like Kernels, pure range functions. A
/// Range is of rows of the output.
struct ImageKernels {
  void (*copy_pixels)(const CopyPixels&, Range rows) noexcept;
  void (*unpack_pixels)(const UnpackPixels&, Range rows) noexcept;
  void (*pack_planes)(const PackPlanes&, Range rows) noexcept;  // rows of the planes
  void (*resize_image)(const ResizeImage&, Range rows) noexcept;
  void (*prepare_warp)(const WarpImage&) noexcept;
  void (*warp_image)(const WarpImage&, Range rows) noexcept;
  void (*colour_rows)(const ColourRows&, Range rows) noexcept;
  void (*noise_rows)(const NoiseRows&, Range rows) noexcept;
  void (*blend)(const Blend&, Range elements) noexcept;
};

extern const ImageKernels images_scalar, images_avx2, images_avx512, images_neon;

}  // namespace fanin
