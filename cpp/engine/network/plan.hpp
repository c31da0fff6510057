#pragma once
#include <vector>

#include "engine/network/graph.hpp"

namespace fanin {

/// A piece of a training step, on some rows.
struct Instruction {
  /// pack: the input of a dense op, or the gradient over its output, as products of bf16 take it.
  enum class Kind { load, pack_input, forward, loss, observe, derive, pack_gradient, backward };
  Kind kind;
  std::size_t op = 0;
  bool accumulates = false;  // backward: adds to what a later op made of its input's gradient
  bool derives = false;      // backward: applies the derivative of its input's producer as well
};

/// What is reduced over all rows of the minibatch when a stage ends.
enum class Reduction { none, statistics, gradients };

/// A maximal run of instructions in which no row needs another.
struct Stage {
  std::vector<Instruction> instructions;
  Reduction reduction = Reduction::none;
  std::size_t op = 0;  // the reduction's
  bool wide = false;   // weights are more than a core's cache holds
};

/// A training step up to the gradients over the ops' outputs. A chain of dense layers is one stage.
/// Where several ops read a slot, its gradient adds up from the last of them to the first.
///
/// fuse: a dense op that completes the gradient of its input's slot applies the derivative of the
/// slot's producer tile by tile. Otherwise that is an instruction of its own, after `observe`.
std::vector<Stage> plan(const Graph& graph, bool fuse, bool bf16);

}  // namespace fanin
