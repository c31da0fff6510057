#pragma once
#include <string>
#include <vector>

#include "engine/augment/augmentation.hpp"

namespace fanin {

/// An operation with everything that does not depend on the sample.
struct PlannedOp {
  const Operation& operation;
  const Traits& traits;
  index position;
  std::uint64_t threshold;      // p * 2^32
  Extent size{};                // if it sets it
  Interval log{};               // of the ratio (ResizedCrop, Erase) or the stretch (Affine)
  std::vector<index> groups{};  // sizes of the groups of operations after it; a Gate has one

  bool sure() const { return threshold > 0xffffffffull; }
  bool begins_group() const { return !groups.empty(); }

  /// The size of its result if it is applied.
  Extent result(Extent input) const;
};

struct Augmentation::Plan {
  Plan(std::vector<Step> given, std::uint64_t seed, Interval range);

  std::vector<Step> steps;
  std::vector<PlannedOp> planned;
  std::uint64_t seed;
  Interval range;  // black and white of float images
  int variants = 1;
  bool normalizes = false;
  double flops_per_value = 4;          // roughly
  std::vector<float> fills, no_fills;  // (ops, most_channels): of each operation, and zeros
  ChannelAffine to_output[2];          // of floats and of bytes

  index size() const { return static_cast<index>(planned.size()); }
  const PlannedOp& op(index o) const { return planned[static_cast<std::size_t>(o)]; }

 private:
  template <class O>
  void add(const O& operation, PlannedOp op);
  void add_groups(PlannedOp& op, const std::vector<index>& sizes);

  index ungrouped_ = 0;  // the end of the groups that are open
};

/// Throws std::invalid_argument with the class's name in Python.
[[noreturn]] void refuse(const Traits&, const std::string& why);

}  // namespace fanin
