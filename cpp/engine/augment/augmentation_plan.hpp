#pragma once
#include <string>
#include <vector>

#include "engine/augment/augmentation.hpp"

namespace fanin {

/// An operation with what is known of it before any sample is.
struct PlannedOp {
  AugmentKind kind;
  index position;
  std::uint64_t threshold;  // p * 2^32
  const double* number;
  double log_low, log_high;  // of the ratio (resized_crop, erase) or the stretch (affine)

  bool sure() const { return threshold > 0xffffffffull; }
  bool begins_group() const { return kind <= AugmentKind::choose; }
  bool sets_size() const { return kind >= AugmentKind::crop && kind <= AugmentKind::resized_crop; }
  bool is_geometric() const { return kind >= AugmentKind::hflip && kind <= AugmentKind::lens; }

  /// Groups of the operations after it: a gate has one.
  index groups() const { return kind == AugmentKind::gate ? 1 : static_cast<index>(number[0]); }
  index group_size(index group) const {
    return static_cast<index>(number[kind == AugmentKind::gate ? 0 : group + 1]);
  }

  /// The size of its result where it happens.
  Extent result(Extent input) const;
};

struct Augmentation::Plan {
  Plan(std::vector<AugmentOp> given, std::uint64_t seed);

  std::vector<AugmentOp> ops;
  std::vector<PlannedOp> planned;
  std::uint64_t seed;
  int variants = 1;
  bool normalizes = false;
  double flops_per_value = 4;          // roughly
  std::vector<float> fills, no_fills;  // (ops, most_channels): of each operation, and zeros
  ChannelAffine to_output[2];          // of values up to 1 and of those up to 255

  index size() const { return static_cast<index>(planned.size()); }
  const PlannedOp& op(index o) const { return planned[static_cast<std::size_t>(o)]; }

 private:
  void add(const AugmentOp& op);
  index ungrouped_ = 0;  // where the groups that have begun are over
};

/// Where a kind's numbers have its fill[4] or value[4], -1: nowhere.
int fill_position(AugmentKind);

/// Throws std::invalid_argument with the class's name in Python.
[[noreturn]] void refuse(AugmentKind, const std::string& why);

}  // namespace fanin
