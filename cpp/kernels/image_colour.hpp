#pragma once
#include "kernels/image.hpp"
#include "kernels/random.hpp"

namespace fanin {

enum class Colour : int { brightness, contrast, saturation, hue, grayscale };

/// With L = .2989 R + .587 G + .114 B and values clamped to [0, top] after each (torchvision's):
/// brightness x f; contrast x f + (1 - f) mean; saturation x f + (1 - f) L; hue: h + f of HSV,
/// modulo 1; grayscale: L in all three.
struct ColourStep {
  Colour kind;
  float factor;
  float mean;  // contrast: of L over the image as it stands
};

/// Steps in order over rows of planes, in place; 1 channel: L is the channel, and saturation, hue
/// and grayscale do nothing; a fourth channel stays.
struct ColourRows {
  Planes planes;
  index width, channels;
  const ColourStep* steps;
  int n_steps;
  float top;     // 255 or 1
  double* luma;  // of row i: the sum of L after the steps; null where not wanted
};

/// x + mean + std * z, in place, clamped to [0, top] where `clip`. Column j of row i of channel c
/// draws element 64 * (first_group + ((c * height + i) * groups of a row)) + j of the normal
/// deviates under key.
struct NoiseRows {
  Planes planes;
  index width, height, channels;
  PhiloxKey key;
  std::uint64_t first_group;
  float mean, std, top;
  bool clip;
};

}  // namespace fanin
