#include "engine/augment/augmentation_plan.hpp"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <stdexcept>

#include "isa/dispatch.hpp"
#include "simd/math_function.hpp"

namespace fanin {

namespace {

bool finite(const Interval& range) { return std::isfinite(range.low) && std::isfinite(range.high); }
bool finite(const PerChannel& values) {
  return std::ranges::all_of(values, [](double v) { return std::isfinite(v); });
}
bool finite(double value) { return std::isfinite(value); }
bool finite(const auto&) { return true; }

template <class O>
void check(const O& operation, double p) {
  if (!(p >= 0 && p <= 1)) refuse(O::traits, "p: expected a probability in [0, 1]");
  O::fields(operation, [](const char* name, const auto& value) {
    if (!finite(value)) refuse(O::traits, name + std::string(": expected finite numbers"));
  });
}

/// Of a range that is drawn uniformly in its logarithm.
Interval log_of(const Traits& traits, const Interval& range) {
  if (!(range.low > 0 && range.high > 0)) refuse(traits, "expected ratios above 0");
  const double ends[2] = {range.low, range.high};
  double logs[2];
  for (int i = 0; i < 2; ++i) {
    kernels<double>().map(static_cast<int>(MathFunction::log), ends + i, logs + i, 1);
  }
  return {logs[0], logs[1]};
}

ChannelAffine normalization(const Normalize& n, Interval range) {
  ChannelAffine a;
  const double width = range.high - range.low;
  for (std::size_t c = 0; c < most_channels; ++c) {
    a.scale[c] = static_cast<float>(1 / (width * n.std[c]));
    a.shift[c] = static_cast<float>((-n.mean[c] - range.low / width) / n.std[c]);
  }
  return a;
}

/// What an operation puts where there is nothing of the image.
template <class O>
PerChannel fill_of(const O& operation) {
  if constexpr (requires { operation.fill; }) return operation.fill;
  if constexpr (requires { operation.value; }) return operation.value;
  return {};
}

}  // namespace

void refuse(const Traits& traits, const std::string& why) {
  throw std::invalid_argument(traits.class_name + (": " + why));
}

Extent PlannedOp::result(Extent in) const {
  if (!traits.sets_size) return in;
  if (size.width > 0) return size;
  return in.width <= in.height ? Extent{size.height * in.height / in.width, size.height}
                               : Extent{size.height, size.height * in.width / in.height};
}

Augmentation::Plan::Plan(std::vector<Step> given, std::uint64_t seed_of_all, Interval of_floats)
    : steps(std::move(given)), seed(seed_of_all), range(of_floats) {
  if (!(finite(range) && range.low < range.high)) {
    throw std::invalid_argument("value_range: expected finite numbers low < high");
  }
  for (int c = 0; c < most_channels; ++c) to_output[1].scale[c] = 1.0f / 255.0f;
  planned.reserve(steps.size());
  for (const Step& step : steps) {
    std::visit(
        [&](const auto& operation) {
          check(operation, step.p);
          add(operation,
              {.operation = step.operation,
               .traits = operation.traits,
               .position = size(),
               .threshold = static_cast<std::uint64_t>(std::floor(step.p * 0x1p32 + 0.5))});
        },
        step.operation);
  }
  no_fills.assign(fills.size(), 0.0f);
}

template <class O>
void Augmentation::Plan::add(const O& operation, PlannedOp op) {
  if constexpr (O::traits.sets_size) {
    op.size = {operation.height, operation.width};
    const index least = std::same_as<O, Resize> ? 0 : 1;
    if (op.size.height < 1 || op.size.width < least) {
      refuse(O::traits, "expected a size of at least 1");
    }
  }
  if (normalizes && !O::traits.after_normalize) {
    refuse(O::traits, "expected before Normalize, which only RandomErasing and Cutout may follow");
  }
  if (O::traits.always && (op.position < ungrouped_ || !op.sure())) {
    refuse(O::traits, "expected outside of RandomApply and OneOf");
  }
  if constexpr (requires { operation.scale; }) {
    if (!(operation.scale.low >= 0 && operation.scale.high >= 0)) {
      refuse(O::traits, "expected scales of at least 0");
    }
  }
  if constexpr (requires { operation.ratio; }) op.log = log_of(O::traits, operation.ratio);
  if constexpr (requires { operation.stretch; }) op.log = log_of(O::traits, operation.stretch);
  if constexpr (std::same_as<O, Normalize>) {
    normalizes = true;
    to_output[0] = normalization(operation, range);
    to_output[1] = normalization(operation, {0, 255});
  }
  if constexpr (std::same_as<O, CornerCrop>) {
    if (variants > 1) refuse(O::traits, "expected one FiveCrop or TenCrop, got two");
    variants = operation.mirrored == Mirrored::none ? 5 : 10;
  }
  if constexpr (std::same_as<O, Gate>) add_groups(op, {operation.count});
  if constexpr (std::same_as<O, Choose>) add_groups(op, operation.counts);
  for (const double v : fill_of(operation)) fills.push_back(static_cast<float>(v));
  flops_per_value += O::traits.flops;
  planned.push_back(std::move(op));
}

void Augmentation::Plan::add_groups(PlannedOp& op, const std::vector<index>& sizes) {
  if (sizes.empty()) refuse(op.traits, "expected at least one group");
  index end = op.position + 1;
  for (const index size : sizes) {
    if (size < 0 || size > static_cast<index>(steps.size()) - end) {
      refuse(op.traits, "expected as many operations after it as its groups have");
    }
    end += size;
  }
  op.groups = sizes;
  ungrouped_ = std::max(ungrouped_, end);
}

}  // namespace fanin
