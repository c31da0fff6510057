#pragma once
#include <cstdint>

#include "core/names.hpp"
#include "kernels/image.hpp"
#include "kernels/random.hpp"

namespace fanin {

enum class MixKind : int { mixup, cutmix };
template <>
inline constexpr const char* names<MixKind>[] = {"mixup", "cutmix"};

/// Mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019): sample i of a batch with sample i - 1,
/// the first with the last.
struct Mixing {
  MixKind kind;
  double alpha;
  double p;         // of mixing at all: per sample, or of the batch
  bool per_sample;  // lambda (and box) for each sample, else one for the batch: its first sample's
  std::uint64_t seed;
};

/// The weight of the sample itself, and where its partner was pasted (cutmix).
struct Mixed {
  double lambda = 1;  // cutmix: 1 - area / (height * width), exactly
  index top = 0, left = 0, bottom = 0, right = 0;
};

/// Draws for the sample with that number; with lambda ~ Beta(alpha, alpha), and the box of cutmix's
/// sides sqrt(1 - lambda), its centre uniform over the image, clipped. Alpha 0: no mixing.
Mixed draw_mix(const Mixing&, std::uint64_t sample, std::uint64_t epoch, index height, index width);
/// The same for n samples of a batch.
void draw_mix(const Mixing&, const std::int64_t* samples, index n, std::uint64_t epoch,
              index height, index width, Mixed* mixed);

/// One image's worth of `out` from a sample and its partner, all of one dtype and layout.
struct MixImages {
  const void *own, *partner;
  void* out;
  DType dtype;
  bool planar;
  index height, width, channels;
};
void mix_images(MixKind kind, const Mixed& mixed, const MixImages& images);

}  // namespace fanin
