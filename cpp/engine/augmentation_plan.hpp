#pragma once
#include <string>
#include <vector>

#include "engine/augmentation.hpp"

namespace fanin {

/// An operation with what is known of it before any sample is.
struct PlannedOp {
  AugmentKind kind;
  index position;
  std::uint64_t threshold;  // p * 2^32
  const double* number;
  double log_low, log_high;  // of the ratio (resized_crop, erase) or the stretch (affine)

  /// The size of its result; operations whose p is below 1 keep the size where they are left out.
  Extent result(Extent input) const;

  /// Numbers of the group that follows a gate.
  index group() const { return static_cast<index>(number[0]); }
};

struct Augmentation::Plan {
  std::vector<AugmentOp> ops;
  std::vector<PlannedOp> planned;
  std::uint64_t seed;
  int variants = 1;
  bool normalizes = false;
  bool plain = true;                   // no gate and no choice
  std::vector<float> fills, no_fills;  // (ops, most_channels): of each operation, and zeros
  ChannelAffine normalize[2];          // of values up to 1 and of those up to 255
  double flops_per_value;              // roughly

  index size() const { return static_cast<index>(planned.size()); }
  const PlannedOp& op(index o) const { return planned[static_cast<std::size_t>(o)]; }
};

/// Where a kind has its fill or value, -1: nowhere.
int fill_position(AugmentKind);

}  // namespace fanin
