#include <algorithm>
#include <cmath>

#include "engine/augment/augmentation_plan.hpp"
#include "isa/dispatch.hpp"
#include "simd/math_function.hpp"

namespace fanin {

namespace {

constexpr int most_tries = 10;

/// The words that one operation has for one sample.
class Words {
 public:
  Words(PhiloxKey key, std::uint64_t sample) : key_(key), first_(sample << 24) {}

  std::uint32_t operator()(int block, int word) {
    if (block != held_) {
      block_ = philox(key_, first_ + static_cast<std::uint64_t>(block));
      held_ = block;
    }
    return block_.word[word];
  }

  /// Uniform in [low, high); nothing is drawn where they are equal.
  double uniform(int block, int word, double low, double high) {
    if (low == high) return low;
    return low + (high - low) * (static_cast<double>((*this)(block, word)) * 0x1p-32);
  }

  /// Uniform in 0 ... most.
  index whole(int block, int word, index most) {
    if (most <= 0) return 0;
    const std::uint64_t range = static_cast<std::uint64_t>(most) + 1;
    return static_cast<index>(((*this)(block, word) * range) >> 32);
  }

 private:
  PhiloxKey key_;
  std::uint64_t first_;
  int held_ = -1;
  PhiloxBlock block_{};
};

double exp_of(double x) {
  double y;
  kernels<double>().map(static_cast<int>(MathFunction::exp), &x, &y, 1);
  return y;
}

struct Box {
  index top = 0, left = 0, height = 0, width = 0;
};

void put(const Box& box, double* value) {
  value[0] = static_cast<double>(box.top);
  value[1] = static_cast<double>(box.left);
  value[2] = static_cast<double>(box.height);
  value[3] = static_cast<double>(box.width);
}

/// Edges of a rectangle with that area, `wide` times as wide as high, rounded.
Box rectangle(double area, double wide) {
  const double height = std::nearbyint(std::sqrt(area / wide));
  const double width = std::nearbyint(std::sqrt(area * wide));
  return {0, 0, static_cast<index>(height), static_cast<index>(width)};
}

/// The share of the area is number[0 ... 1], the ratio's range number[2 ... 3] of `number`.
Box draw_resized_crop(const PlannedOp& op, Extent in, Words& words) {
  const double *n = op.number + 2, height = static_cast<double>(in.height),
               width = static_cast<double>(in.width);
  for (int t = 0; t < most_tries; ++t) {
    const double area = height * width * words.uniform(1 + t, 0, n[0], n[1]);
    Box box = rectangle(area, exp_of(words.uniform(1 + t, 1, op.log_low, op.log_high)));
    if (box.height < 1 || box.height > in.height || box.width < 1 || box.width > in.width) continue;
    box.top = words.whole(1 + t, 2, in.height - box.height);
    box.left = words.whole(1 + t, 3, in.width - box.width);
    return box;
  }
  Box box{0, 0, in.height, in.width};
  if (width / height < n[2]) {
    box.height = std::max<index>(1, static_cast<index>(std::nearbyint(width / n[2])));
  } else if (width / height > n[3]) {
    box.width = std::max<index>(1, static_cast<index>(std::nearbyint(height * n[3])));
  }
  box.top = (in.height - box.height) / 2;
  box.left = (in.width - box.width) / 2;
  return box;
}

Box draw_erase(const PlannedOp& op, Extent in, Words& words) {
  const double *n = op.number,
               whole = static_cast<double>(in.height) * static_cast<double>(in.width);
  for (int t = 0; t < most_tries; ++t) {
    const double area = whole * words.uniform(1 + t, 0, n[0], n[1]);
    Box box = rectangle(area, 1 / exp_of(words.uniform(1 + t, 1, op.log_low, op.log_high)));
    if (box.height >= in.height || box.width >= in.width) continue;
    box.top = words.whole(1 + t, 2, in.height - box.height);
    box.left = words.whole(1 + t, 3, in.width - box.width);
    return box;
  }
  return {};
}

Box draw_cutout(const PlannedOp& op, Extent in, Words& words) {
  const Extent size{static_cast<index>(op.number[0]), static_cast<index>(op.number[1])};
  if (op.number[2] != 0) {
    return {words.whole(0, 1, in.height - size.height), words.whole(0, 2, in.width - size.width),
            size.height, size.width};
  }
  const index top = words.whole(0, 1, in.height - 1) - size.height / 2;
  const index left = words.whole(0, 2, in.width - 1) - size.width / 2;
  const Box box{std::max<index>(top, 0), std::max<index>(left, 0), 0, 0};
  return {box.top, box.left, std::min(top + size.height, in.height) - box.top,
          std::min(left + size.width, in.width) - box.left};
}

/// Half of what is too much, ties to even.
index middle(index excess) { return excess / 2 + (excess % 4 == 3 ? 1 : 0); }

void draw_affine(const PlannedOp& op, Extent in, Words& words, double* value) {
  const double* n = op.number;
  value[0] = words.uniform(1, 0, n[0], n[1]);
  const double x = n[2] * static_cast<double>(in.width), y = n[3] * static_cast<double>(in.height);
  value[1] = std::nearbyint(words.uniform(1, 1, -x, x));
  value[2] = std::nearbyint(words.uniform(1, 2, -y, y));
  value[3] = words.uniform(1, 3, n[4], n[5]);
  value[4] = n[6] == n[7] ? n[6] : exp_of(words.uniform(2, 0, op.log_low, op.log_high));
  value[5] = words.uniform(2, 1, n[8], n[9]);
  value[6] = words.uniform(2, 2, n[10], n[11]);
}

void draw_jitter(const PlannedOp& op, Words& words, double* value) {
  for (int i = 0; i < 4; ++i) {
    value[i] = words.uniform(1, i, op.number[2 * i], op.number[2 * i + 1]);
    value[4 + i] = i;
  }
  for (int i = 3; i > 0; --i) {
    std::swap(value[4 + i], value[4 + words.whole(0, 4 - i, i)]);
  }
}

/// crop, centre_crop, corner_crop, resized_crop: top, left (in the padded image), height, width.
/// erase, cutout: the same of the rectangle; height 0: none was found.
/// resize: height, width. affine: degrees, translation x, y in pixels, scale, stretch, shear x, y
/// in degrees. lens: k1, k2. jitter: brightness, contrast, saturation, hue, then these numbers 0
/// ... 3 in the order of application. choose: the group. Others: nothing.
void draw_values(const PlannedOp& op, const Extent& in, Words& words, double* value) {
  const double* n = op.number;
  const Extent out = op.result(in);
  switch (op.kind) {
    case AugmentKind::choose:
      value[0] = static_cast<double>(words.whole(0, 1, static_cast<index>(n[0]) - 1));
      return;
    case AugmentKind::crop: {
      const index height = in.height + static_cast<index>(n[3]) + static_cast<index>(n[5]);
      const index width = in.width + static_cast<index>(n[2]) + static_cast<index>(n[4]);
      return put({words.whole(0, 1, height - out.height), words.whole(0, 2, width - out.width),
                  out.height, out.width},
                 value);
    }
    case AugmentKind::centre_crop:
    case AugmentKind::corner_crop:
      return put(
          {middle(in.height - out.height), middle(in.width - out.width), out.height, out.width},
          value);
    case AugmentKind::resize:
      value[0] = static_cast<double>(out.height);
      value[1] = static_cast<double>(out.width);
      return;
    case AugmentKind::resized_crop:
      return put(draw_resized_crop(op, in, words), value);
    case AugmentKind::affine:
      return draw_affine(op, in, words, value);
    case AugmentKind::lens:
      value[0] = words.uniform(0, 1, n[0], n[1]);
      value[1] = words.uniform(0, 2, n[2], n[3]);
      return;
    case AugmentKind::jitter:
      return draw_jitter(op, words, value);
    case AugmentKind::erase:
      return put(draw_erase(op, in, words), value);
    case AugmentKind::cutout:
      return put(draw_cutout(op, in, words), value);
    default:
      return;
  }
}

PhiloxKey key_of(std::uint64_t seed, const PlannedOp& op, std::uint64_t epoch) {
  return {seed, stream_of(Purpose::augment, static_cast<std::uint64_t>(op.position), epoch)};
}

/// Flips or not at random in epoch 0, and then in every other epoch.
bool alternates(std::uint64_t seed, const PlannedOp& op, std::uint64_t sample,
                std::uint64_t epoch) {
  const std::uint32_t own = philox(key_of(seed, op, 0), sample << 24).word[1] >> 31;
  return ((own + epoch) & 1) != 0;
}

/// Draws for operations in turn; `size` is of the image as it stands.
struct Drawing {
  const std::vector<PlannedOp>& ops;
  std::uint64_t seed, sample, epoch;
  Drawn* drawn;
  Extent size;

  void range(index begin, index end) {
    for (index o = begin; o < end; ++o) {
      const PlannedOp& op = ops[static_cast<std::size_t>(o)];
      one(op, drawn[o]);
      if (op.begins_group()) o = groups(op, o);
    }
  }

  void one(const PlannedOp& op, Drawn& d) {
    Words words(key_of(seed, op, epoch), sample);
    d.applied = op.sure() || (op.threshold > 0 && words(0, 0) < op.threshold);
    if (!d.applied) return;
    if (op.kind == AugmentKind::hflip || op.kind == AugmentKind::vflip) {
      d.applied = op.number[0] == 0 || alternates(seed, op, sample, epoch);
      return;
    }
    draw_values(op, size, words, d.value);
    if (op.sets_size()) size = op.result(size);
  }

  /// Of groups that begin after o, the one that was drawn; returns the last operation of all.
  index groups(const PlannedOp& op, index o) {
    const Drawn& d = drawn[o];
    for (index g = 0; g < op.groups(); ++g) {
      const index begin = o + 1, end = begin + op.group_size(g);
      if (d.applied && g == static_cast<index>(d.value[0])) {
        range(begin, end);
      } else {
        for (index i = begin; i < end; ++i) drawn[i].applied = false;
      }
      o = end - 1;
    }
    return o;
  }
};

}  // namespace

void Augmentation::draw(std::uint64_t sample, std::uint64_t epoch, Extent input,
                        Drawn* drawn) const {
  Drawing drawing{plan_->planned, plan_->seed, sample, epoch, drawn, input};
  drawing.range(0, plan_->size());
}

}  // namespace fanin
