#include "engine/augment/augmentation_plan.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "isa/dispatch.hpp"
#include "simd/math_function.hpp"

namespace fanin {

namespace {

struct KindInfo {
  const char* name;  // the class in Python
  int numbers;       // -1: as many as the first says
  int fill;          // position of fill[4] or value[4], or -1
  int range;         // position of a range above 0 whose logarithm is drawn, or -1
  double flops;      // of a value, roughly
};

constexpr KindInfo kinds[] = {
    {"RandomApply", 1, -1, -1, 0},       {"OneOf", -1, -1, -1, 0},
    {"HorizontalFlip", 1, -1, -1, 1},    {"VerticalFlip", 1, -1, -1, 1},
    {"RandomCrop", 11, 7, -1, 1},        {"CenterCrop", 2, -1, -1, 1},
    {"FiveCrop", 3, -1, -1, 1},          {"Resize", 3, -1, -1, 20},
    {"RandomResizedCrop", 7, -1, 4, 20}, {"RandomAffine", 16, 12, 6, 30},
    {"LensDistortion", 8, 4, -1, 30},    {"ColorJitter", 8, -1, -1, 60},
    {"RandomGrayscale", 0, -1, -1, 10},  {"GaussianNoise", 3, -1, -1, 30},
    {"RandomErasing", 9, 5, 2, 1},       {"Cutout", 7, 3, -1, 1},
    {"Normalize", 8, -1, -1, 1},
};

const KindInfo& info(AugmentKind kind) { return kinds[static_cast<int>(kind)]; }

double number(const AugmentOp& op, index i) { return op.numbers[static_cast<std::size_t>(i)]; }

double log_of(double x) {
  double y;
  kernels<double>().map(static_cast<int>(MathFunction::log), &x, &y, 1);
  return y;
}

void check(const AugmentOp& op) {
  const auto n = static_cast<index>(op.numbers.size());
  index expected = info(op.kind).numbers;
  if (op.kind == AugmentKind::choose) {
    const bool counts = n > 0 && number(op, 0) >= 1 && number(op, 0) < 0x1p16;
    expected = counts ? static_cast<index>(number(op, 0)) + 1 : 2;
  }
  if (n != expected) {
    refuse(op.kind, "expected " + std::to_string(expected) + " numbers, got " + std::to_string(n));
  }
  if (!(op.p >= 0 && op.p <= 1)) refuse(op.kind, "p: expected a probability in [0, 1]");
  for (const double v : op.numbers) {
    if (!std::isfinite(v)) refuse(op.kind, "expected finite numbers");
  }
  if (const int at = info(op.kind).range; at >= 0) {
    if (!(number(op, at) > 0 && number(op, at + 1) > 0)) {
      refuse(op.kind, "expected ratios above 0");
    }
    if (!(number(op, at - 2) >= 0 && number(op, at - 1) >= 0)) {
      refuse(op.kind, "expected scales of at least 0");
    }
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

}  // namespace

int fill_position(AugmentKind kind) { return info(kind).fill; }

void refuse(AugmentKind kind, const std::string& why) {
  throw std::invalid_argument(info(kind).name + (": " + why));
}

Extent PlannedOp::result(Extent in) const {
  if (!sets_size()) return in;
  const Extent size{static_cast<index>(number[0]), static_cast<index>(number[1])};
  if (kind != AugmentKind::resize || size.width > 0) return size;
  return in.width <= in.height ? Extent{size.height * in.height / in.width, size.height}
                               : Extent{size.height, size.height * in.width / in.height};
}

Augmentation::Plan::Plan(std::vector<AugmentOp> given, std::uint64_t seed_of_all)
    : ops(std::move(given)), seed(seed_of_all) {
  for (int c = 0; c < most_channels; ++c) to_output[1].scale[c] = 1.0f / 255.0f;
  for (const AugmentOp& op : ops) add(op);
  no_fills.assign(fills.size(), 0.0f);
}

void Augmentation::Plan::add(const AugmentOp& op) {
  check(op);
  PlannedOp plan{
      op.kind,           size(), static_cast<std::uint64_t>(std::floor(op.p * 0x1p32 + 0.5)),
      op.numbers.data(), 0,      0};
  if (plan.sets_size()) {
    const double least = op.kind == AugmentKind::resize ? 0 : 1;
    if (!(number(op, 0) >= 1 && number(op, 1) >= least)) {
      refuse(op.kind, "expected a size of at least 1");
    }
  }
  if (normalizes && op.kind != AugmentKind::erase && op.kind != AugmentKind::cutout) {
    refuse(op.kind, "expected before Normalize, which only RandomErasing and Cutout may follow");
  }
  if (op.kind == AugmentKind::normalize || op.kind == AugmentKind::corner_crop) {
    if (plan.position < ungrouped_ || !plan.sure()) {
      refuse(op.kind, "expected outside of RandomApply and OneOf");
    }
  }
  if (op.kind == AugmentKind::normalize) {
    normalizes = true;
    to_output[0] = normalization(plan.number, 1);
    to_output[1] = normalization(plan.number, 255);
  } else if (op.kind == AugmentKind::corner_crop) {
    if (variants > 1) refuse(op.kind, "expected one FiveCrop or TenCrop, got two");
    variants = number(op, 2) == 0 ? 5 : 10;
  } else if (plan.begins_group()) {
    index end = plan.position + 1;
    for (index g = 0; g < plan.groups(); ++g) {
      const double count = number(op, op.kind == AugmentKind::gate ? 0 : g + 1);
      if (!(count >= 0 && count <= static_cast<double>(ops.size()) - static_cast<double>(end))) {
        refuse(op.kind, "expected as many operations after it as its groups have");
      }
      end += static_cast<index>(count);
    }
    ungrouped_ = std::max(ungrouped_, end);
  }
  if (const int at = info(op.kind).range; at >= 0) {
    plan.log_low = log_of(number(op, at));
    plan.log_high = log_of(number(op, at + 1));
  }
  const int fill = fill_position(op.kind);
  for (int c = 0; c < most_channels; ++c) {
    fills.push_back(fill < 0 ? 0.0f : static_cast<float>(number(op, fill + c)));
  }
  flops_per_value += info(op.kind).flops;
  planned.push_back(plan);
}

}  // namespace fanin
