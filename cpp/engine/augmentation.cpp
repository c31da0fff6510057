#include "engine/augmentation.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "engine/augmentation_plan.hpp"
#include "isa/dispatch.hpp"
#include "kernels/math_function.hpp"

namespace fanin {

namespace {

struct KindInfo {
  const char* name;  // the class in Python
  int numbers;       // -1: as many as the first says
  int fill;          // position of fill[4] or value[4], or -1
};

constexpr KindInfo kinds[] = {
    {"RandomApply", 1, -1},     {"OneOf", -1, -1},        {"HorizontalFlip", 1, -1},
    {"VerticalFlip", 1, -1},    {"RandomCrop", 11, 7},    {"CenterCrop", 2, -1},
    {"FiveCrop", 3, -1},        {"Resize", 3, -1},        {"RandomResizedCrop", 7, -1},
    {"RandomAffine", 16, 12},   {"LensDistortion", 8, 4}, {"ColorJitter", 8, -1},
    {"RandomGrayscale", 0, -1}, {"GaussianNoise", 3, -1}, {"RandomErasing", 9, 5},
    {"Cutout", 7, 3},           {"Normalize", 8, -1},
};

const KindInfo& info(AugmentKind kind) { return kinds[static_cast<int>(kind)]; }

std::string text(Extent e) { return std::to_string(e.height) + " x " + std::to_string(e.width); }

[[noreturn]] void refuse(AugmentKind kind, const std::string& why) {
  throw std::invalid_argument(info(kind).name + (": " + why));
}

bool sets_size(AugmentKind kind) {
  return kind >= AugmentKind::crop && kind <= AugmentKind::resized_crop;
}

void check_numbers(const AugmentOp& op, index left) {
  const auto n = static_cast<index>(op.numbers.size());
  index expected = info(op.kind).numbers;
  if (op.kind == AugmentKind::choose) {
    expected = n > 0 && op.numbers[0] >= 1 ? static_cast<index>(op.numbers[0]) + 1 : 2;
  }
  if (n != expected) {
    refuse(op.kind, "expected " + std::to_string(expected) + " numbers, got " + std::to_string(n));
  }
  if (!(op.p >= 0 && op.p <= 1)) refuse(op.kind, "p: expected a probability in [0, 1]");
  for (const double v : op.numbers) {
    if (!std::isfinite(v)) refuse(op.kind, "expected finite numbers");
  }
  double inner = 0;
  for (index i = op.kind == AugmentKind::choose ? 1 : 0; op.kind <= AugmentKind::choose && i < n;
       ++i) {
    if (op.numbers[static_cast<std::size_t>(i)] < 0)
      refuse(op.kind, "expected counts of at least 0");
    inner += op.numbers[static_cast<std::size_t>(i)];
  }
  if (inner > static_cast<double>(left)) {
    refuse(op.kind, "expected as many operations after it as its groups have");
  }
  if (sets_size(op.kind) && !(op.numbers[0] >= 1 && op.numbers[1] >= 0)) {
    refuse(op.kind, "expected a size of at least 1");
  }
}

double log_of(double x) {
  double y;
  kernels<double>().map(static_cast<int>(MathFunction::log), &x, &y, 1);
  return y;
}

PlannedOp planned(const AugmentOp& op, index position) {
  PlannedOp plan{
      op.kind,           position, static_cast<std::uint64_t>(std::floor(op.p * 0x1p32 + 0.5)),
      op.numbers.data(), 0,        0};
  const bool ratio = op.kind == AugmentKind::resized_crop || op.kind == AugmentKind::erase;
  const int at = op.kind == AugmentKind::resized_crop ? 4 : op.kind == AugmentKind::erase ? 2 : 6;
  if (ratio || op.kind == AugmentKind::affine) {
    if (!(plan.number[at] > 0 && plan.number[at + 1] > 0)) {
      refuse(op.kind, "expected ratios above 0");
    }
    plan.log_low = log_of(plan.number[at]);
    plan.log_high = log_of(plan.number[at + 1]);
  }
  return plan;
}

double flops_of(AugmentKind kind) {
  switch (kind) {
    case AugmentKind::jitter:
      return 60;
    case AugmentKind::affine:
    case AugmentKind::lens:
    case AugmentKind::noise:
      return 30;
    case AugmentKind::resize:
    case AugmentKind::resized_crop:
      return 20;
    default:
      return 1;
  }
}

ChannelAffine normalization(const double* number, double top) {
  ChannelAffine a;
  for (int c = 0; c < most_channels; ++c) {
    const double mean = number[c], std = number[most_channels + c];
    a.scale[c] = static_cast<float>(1 / (top * std));
    a.shift[c] = static_cast<float>(-mean / std);
  }
  return a;
}

void require(bool fits, AugmentKind kind, Extent least, Extent got, const std::string& way_out) {
  if (fits) return;
  refuse(kind, "expected an image of at least " + text(least) + ", got " + text(got) + way_out);
}

/// What must hold of an operation's input.
void check_fits(const PlannedOp& op, Extent in) {
  const auto number = [&](int i) { return static_cast<index>(op.number[i]); };
  if (op.kind == AugmentKind::cutout && op.number[2] != 0) {
    const Extent box{number(0), number(1)};
    require(in.height >= box.height && in.width >= box.width, op.kind, box, in,
            "; border=\"clip\" takes any");
  }
  const Extent size = op.result(in);
  if (op.kind == AugmentKind::centre_crop || op.kind == AugmentKind::corner_crop) {
    require(in.height >= size.height && in.width >= size.width, op.kind, size, in,
            "; Resize first");
  }
  if (op.kind != AugmentKind::crop) return;
  const Extent padded{in.height + number(3) + number(5), in.width + number(2) + number(4)};
  if (padded.height >= size.height && padded.width >= size.width) return;
  const index missing = std::max(size.height - in.height, size.width - in.width);
  refuse(op.kind, "expected an image of at least " + text(size) + " after padding, got " +
                      text(padded) + "; pass padding=" + std::to_string((missing + 1) / 2) +
                      " or more, or Resize first");
}

/// The size after the operations, whatever is drawn.
Extent result(const std::vector<PlannedOp>& ops, index begin, index end, Extent in) {
  for (index o = begin; o < end; ++o) {
    const PlannedOp& op = ops[static_cast<std::size_t>(o)];
    const bool sure = op.threshold > 0xffffffffull, never = op.threshold == 0;
    Extent out = in;
    if (op.kind == AugmentKind::choose) {
      const auto n = static_cast<index>(op.number[0]);
      index first = o + 1;
      for (index g = 1; g <= n; ++g) {
        const index last = first + static_cast<index>(op.number[g]);
        const Extent size = result(ops, first, last, in);
        if (g > 1 && (size.height != out.height || size.width != out.width)) {
          refuse(op.kind,
                 "expected transforms that give one size, got " + text(out) + " and " + text(size));
        }
        out = size;
        first = last;
      }
      o = first - 1;
    } else if (op.kind == AugmentKind::gate) {
      out = result(ops, o + 1, o + 1 + op.group(), in);
      o += op.group();
    } else {
      check_fits(op, in);
      out = op.result(in);
    }
    if (!sure && !never && (out.height != in.height || out.width != in.width)) {
      refuse(op.kind, "expected transforms that keep the size where p is below 1, got " + text(in) +
                          " without and " + text(out) + " with them");
    }
    if (!never) in = out;
  }
  return in;
}

}  // namespace

int fill_position(AugmentKind kind) { return info(kind).fill; }

Extent PlannedOp::result(Extent in) const {
  if (!sets_size(kind)) return in;
  const Extent size{static_cast<index>(number[0]), static_cast<index>(number[1])};
  if (kind != AugmentKind::resize || size.width > 0) return size;
  return in.width <= in.height ? Extent{size.height * in.height / in.width, size.height}
                               : Extent{size.height, size.height * in.width / in.height};
}

Augmentation::Augmentation(std::vector<AugmentOp> ops, std::uint64_t seed) {
  auto plan = std::make_unique<Plan>();
  plan->ops = std::move(ops);
  plan->seed = seed;
  plan->flops_per_value = 4;
  plan->no_fills.assign(plan->ops.size() * most_channels, 0.0f);
  plan->fills = plan->no_fills;
  for (int c = 0; c < most_channels; ++c) plan->normalize[1].scale[c] = 1.0f / 255.0f;
  index inside = 0;  // the end of the groups begun so far
  for (std::size_t o = 0; o < plan->ops.size(); ++o) {
    const AugmentOp& op = plan->ops[o];
    const auto at = static_cast<index>(o);
    check_numbers(op, static_cast<index>(plan->ops.size()) - at - 1);
    plan->planned.push_back(planned(op, at));
    plan->flops_per_value += flops_of(op.kind);
    const bool sure = at >= inside && op.p == 1;
    if (op.kind <= AugmentKind::choose) {
      double count = 0;
      for (std::size_t i = op.kind == AugmentKind::choose; i < op.numbers.size(); ++i) {
        count += op.numbers[i];
      }
      inside = std::max(inside, at + 1 + static_cast<index>(count));
    }
    if (const int f = fill_position(op.kind); f >= 0) {
      for (int c = 0; c < most_channels; ++c) {
        plan->fills[o * most_channels + static_cast<std::size_t>(c)] =
            static_cast<float>(op.numbers[static_cast<std::size_t>(f + c)]);
      }
    }
    if (plan->normalizes && op.kind != AugmentKind::erase && op.kind != AugmentKind::cutout) {
      refuse(op.kind, "expected before Normalize, which only RandomErasing and Cutout may follow");
    }
    if (op.kind == AugmentKind::corner_crop || op.kind == AugmentKind::normalize) {
      if (!sure) refuse(op.kind, "expected outside of RandomApply and OneOf");
      if (op.kind == AugmentKind::normalize) {
        plan->normalizes = true;
        plan->normalize[0] = normalization(op.numbers.data(), 1);
        plan->normalize[1] = normalization(op.numbers.data(), 255);
      } else {
        if (plan->variants > 1) refuse(op.kind, "expected one FiveCrop or TenCrop, got two");
        plan->variants = op.numbers[2] == 0 ? 5 : 10;
      }
    }
  }
  plan_ = std::move(plan);
}

Augmentation::~Augmentation() = default;

const std::vector<AugmentOp>& Augmentation::ops() const { return plan_->ops; }
int Augmentation::variants() const { return plan_->variants; }
bool Augmentation::normalizes() const { return plan_->normalizes; }
double Augmentation::flops(Extent input) const {
  return plan_->flops_per_value * static_cast<double>(input.height) *
         static_cast<double>(input.width);
}

Extent Augmentation::output(Extent input) const {
  if (input.height < 1 || input.width < 1) {
    throw std::invalid_argument("images: expected at least 1 x 1 pixels, got " + text(input));
  }
  return result(plan_->planned, 0, plan_->size(), input);
}

}  // namespace fanin
