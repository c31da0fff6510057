#include <algorithm>
#include <cmath>
#include <concepts>

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

  /// Uniform in the range, its end excluded; nothing is drawn where they are equal.
  double uniform(int block, int word, Interval range) {
    if (range.low == range.high) return range.low;
    const double share = static_cast<double>((*this)(block, word)) * 0x1p-32;
    return range.low + (range.high - range.low) * share;
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

/// Edges of a rectangle with that area, `wide` times as wide as high, rounded.
Box rectangle(double area, double wide) {
  const double height = std::nearbyint(std::sqrt(area / wide));
  const double width = std::nearbyint(std::sqrt(area * wide));
  return {0, 0, static_cast<index>(height), static_cast<index>(width)};
}

// What each kind draws from its own words.

Choose::Drawn draw_values(const Choose& o, const PlannedOp&, Extent, Words& words) {
  return {words.whole(0, 1, static_cast<index>(o.counts.size()) - 1)};
}

Box draw_values(const Crop& o, const PlannedOp&, Extent in, Words& words) {
  const Extent padded = o.padded(in);
  return {words.whole(0, 1, padded.height - o.height), words.whole(0, 2, padded.width - o.width),
          o.height, o.width};
}

Box draw_values(const CentreCrop& o, const PlannedOp&, Extent in, Words&) {
  return middle_box(in, {o.height, o.width});
}

Extent draw_values(const Resize&, const PlannedOp& op, Extent in, Words&) { return op.result(in); }

Box draw_values(const ResizedCrop& o, const PlannedOp& op, Extent in, Words& words) {
  const double height = static_cast<double>(in.height), width = static_cast<double>(in.width);
  for (int t = 0; t < most_tries; ++t) {
    const double area = height * width * words.uniform(1 + t, 0, o.scale);
    Box box = rectangle(area, exp_of(words.uniform(1 + t, 1, op.log)));
    if (box.height < 1 || box.height > in.height || box.width < 1 || box.width > in.width) continue;
    box.top = words.whole(1 + t, 2, in.height - box.height);
    box.left = words.whole(1 + t, 3, in.width - box.width);
    return box;
  }
  Box box{0, 0, in.height, in.width};
  if (width / height < o.ratio.low) {
    box.height = std::max<index>(1, static_cast<index>(std::nearbyint(width / o.ratio.low)));
  } else if (width / height > o.ratio.high) {
    box.width = std::max<index>(1, static_cast<index>(std::nearbyint(height * o.ratio.high)));
  }
  box.top = (in.height - box.height) / 2;
  box.left = (in.width - box.width) / 2;
  return box;
}

Affine::Drawn draw_values(const Affine& o, const PlannedOp& op, Extent in, Words& words) {
  const double x = o.translate_x * static_cast<double>(in.width);
  const double y = o.translate_y * static_cast<double>(in.height);
  const auto whole = [](double v) { return static_cast<index>(std::nearbyint(v)); };
  const bool stretches = o.stretch.low != o.stretch.high;
  return {.degrees = words.uniform(1, 0, o.degrees),
          .translate_x = whole(words.uniform(1, 1, {-x, x})),
          .translate_y = whole(words.uniform(1, 2, {-y, y})),
          .scale = words.uniform(1, 3, o.scale),
          .stretch = stretches ? exp_of(words.uniform(2, 0, op.log)) : o.stretch.low,
          .shear_x = words.uniform(2, 1, o.shear_x),
          .shear_y = words.uniform(2, 2, o.shear_y)};
}

Lens::Drawn draw_values(const Lens& o, const PlannedOp&, Extent, Words& words) {
  return {.k1 = words.uniform(0, 1, o.k1), .k2 = words.uniform(0, 2, o.k2)};
}

Jitter::Drawn draw_values(const Jitter& o, const PlannedOp&, Extent, Words& words) {
  Jitter::Drawn d{.brightness = words.uniform(1, 0, o.brightness),
                  .contrast = words.uniform(1, 1, o.contrast),
                  .saturation = words.uniform(1, 2, o.saturation),
                  .hue = words.uniform(1, 3, o.hue),
                  .order = {Colour::brightness, Colour::contrast, Colour::saturation, Colour::hue}};
  for (int i = 3; i > 0; --i) {
    const index other = words.whole(0, 4 - i, i);
    std::swap(d.order[static_cast<std::size_t>(i)], d.order[static_cast<std::size_t>(other)]);
  }
  return d;
}

Box draw_values(const Erase& o, const PlannedOp& op, Extent in, Words& words) {
  const double whole = static_cast<double>(in.height) * static_cast<double>(in.width);
  for (int t = 0; t < most_tries; ++t) {
    const double area = whole * words.uniform(1 + t, 0, o.scale);
    Box box = rectangle(area, 1 / exp_of(words.uniform(1 + t, 1, op.log)));
    if (box.height >= in.height || box.width >= in.width) continue;
    box.top = words.whole(1 + t, 2, in.height - box.height);
    box.left = words.whole(1 + t, 3, in.width - box.width);
    return box;
  }
  return {};
}

Box draw_values(const Cutout& o, const PlannedOp&, Extent in, Words& words) {
  if (o.inside) {
    return {words.whole(0, 1, in.height - o.height), words.whole(0, 2, in.width - o.width),
            o.height, o.width};
  }
  const index top = words.whole(0, 1, in.height - 1) - o.height / 2;
  const index left = words.whole(0, 2, in.width - 1) - o.width / 2;
  const Box box{std::max<index>(top, 0), std::max<index>(left, 0), 0, 0};
  return {box.top, box.left, std::min(top + o.height, in.height) - box.top,
          std::min(left + o.width, in.width) - box.left};
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
    std::visit(
        [&]<class O>(const O& o) {
          if constexpr (O::traits.flips) {
            d.applied = !o.alternating || alternates(seed, op, sample, epoch);
          } else if constexpr (!std::same_as<typename O::Drawn, NothingDrawn>) {
            d.values = draw_values(o, op, size, words);
          }
        },
        op.operation);
    if (op.traits.sets_size) size = op.result(size);
  }

  /// Of groups that begin after o, the one that was drawn; returns the last operation of all.
  index groups(const PlannedOp& op, index o) {
    const bool applied = drawn[o].applied;
    const auto* choice = std::get_if<Choose::Drawn>(&drawn[o].values);
    index chosen = choice ? choice->group : 0;
    for (const index operations : op.groups) {
      const index begin = o + 1, end = begin + operations;
      if (applied && chosen-- == 0) {
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
