#pragma once
#include <memory>
#include <string>
#include <vector>

#include "kernels/image.hpp"
#include "kernels/random.hpp"

namespace fanin {

enum class AugmentKind : int {
  gate,          // count: the next `count` operations happen with probability p, together
  choose,        // n, count_1 ... count_n: one of n groups of the next operations, each as likely
  hflip,         // alternating (0 or 1: flip where (the sample's draw + epoch) is odd)
  vflip,         // the same
  crop,          // height, width, left, top, right, bottom, mode (Border), fill[4]
  centre_crop,   // height, width
  corner_crop,   // height, width, flip: five crops (0), and those of the image flipped by
                 // columns (1) or rows (2)
  resize,        // height, width (0: the shorter edge becomes `height`), antialias
  resized_crop,  // height, width, scale[2], ratio[2] (w / h), antialias
  affine,        // degrees[2], translate x, y (fractions), scale[2], stretch[2], shear x[2], y[2],
                 // fill[4]; clockwise
  lens,          // k1[2], k2[2], fill[4]
  jitter,        // brightness[2], contrast[2], saturation[2], hue[2]; [1, 1] or [0, 0]: none
  grayscale,     //
  noise,         // mean, std, clip; of values in [0, 1]
  erase,         // scale[2], ratio[2] (h / w), random (0 or 1), value[4]
  cutout,        // height, width, inside (0 or 1), value[4]
  normalize      // mean[4], std[4], of values in [0, 1]
};

/// An operation happens for a sample with probability p.
struct AugmentOp {
  AugmentKind kind;
  double p;
  std::vector<double> numbers;  // as beside the kind
};

inline constexpr int drawn_values = 10;

/// What was drawn for one operation and one sample.
struct Drawn {
  bool applied;
  double value[drawn_values];  // what they are: see draw_values of augmentation_draw.cpp
};

struct Extent {
  index height, width;
};

/// A pipeline of operations for one sample at a time. Everything drawn is a pure function of
/// (seed, epoch, sample, position of the operation): no batch, thread or worker changes it.
class Augmentation {
 public:
  Augmentation(std::vector<AugmentOp> ops, std::uint64_t seed);
  ~Augmentation();

  const std::vector<AugmentOp>& ops() const;
  int variants() const;     // 1, or 5 or 10 where there is a corner_crop
  bool normalizes() const;  // then the output is f32

  /// The output's size for an input's; throws std::invalid_argument, saying which operation does
  /// not fit and the way out.
  Extent output(Extent input) const;

  /// What one image costs, roughly, in the measure of useful_threads().
  double flops(Extent input) const;

  /// Values that an operation does not have, or that are not applied, stay as they are.
  void draw(std::uint64_t sample, std::uint64_t epoch, Extent input, Drawn* drawn) const;

  /// Scratch of one thread; grows as needed.
  struct Room;
  struct RoomDeleter {
    void operator()(Room*) const;
  };
  using RoomPointer = std::unique_ptr<Room, RoomDeleter>;
  RoomPointer room() const;

  struct Output {
    void* data;
    DType dtype;        // u8 from u8, f32 from both: u8 / 255 then
    bool planar;        // (channels, height, width)
    bool mask = false;  // geometry alone, by nearest pixels, fill 0
  };
  /// Augments one image; may be called by many threads, each with its own room.
  void apply(const Image& image, std::uint64_t sample, std::uint64_t epoch, int variant,
             const Output& out, Room& room) const;

 private:
  struct Plan;
  std::unique_ptr<const Plan> plan_;
};

}  // namespace fanin
