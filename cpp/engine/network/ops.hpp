#pragma once
#include "engine/network/bf16_weights.hpp"
#include "engine/network/plan.hpp"

namespace fanin {

/// What each op of a network does on the rows of a workspace: forward, back, and for the gradient
/// of its parameters. Masks where a key is given.
template <class T>
class Ops {
 public:
  /// weights: needed for products of a network in bf16.
  Ops(const Network<T>& network, Workspace<T>& work, const DropoutKey<T>* dropout,
      const Bf16Weights<T>* weights = nullptr)
      : net_(network), work_(work), dropout_(dropout), weights_(weights) {}

  /// An op on rows x cols; only a dense one can take fewer than all columns.
  void forward(std::size_t op, Range rows, Range cols) const;

  /// The same on all columns, the input packed before it where that is needed.
  void forward_all(std::size_t op, Range rows) const;

  /// A dense op's input, or the gradient over its output, rounded to bf16 and packed.
  void pack_input(std::size_t op, Range rows) const;
  void pack_gradient(std::size_t op, Range rows) const;

  /// The rest of a dense one, where the workspace holds its products.
  void finish(std::size_t op, Range rows) const;

  /// The gradient over an op's input, from that over its output; wt: of a dense one, its weights
  /// transposed.
  void backward(const Instruction& i, const T* wt, Range rows, Range cols) const;

  /// The gradient over what the op's activation took, in place of that over its output.
  void derive(std::size_t op, Range rows) const;

  /// What a batch norm needs of all rows, for some of its columns.
  void reduce(const Stage& stage, index rows, Range cols) const;

  /// The gradient of rows `range` of a matrix or of a vector, summed over rows of the workspace
  /// from what it is (accumulate) or 0.
  void gradient(const Parameter& p, Range range, index rows, bool accumulate, T* gradient) const;

  /// A dense op, its activation and masks left out.
  DenseForward<T> product(const Op& op) const;

 private:
  const Op& op(std::size_t o) const { return net_.graph().ops()[o]; }
  Epilogue<T> epilogue(std::size_t o) const;
  Derivative<T> derivative(std::size_t o) const;
  void dense_forward(std::size_t o, Range rows, Range cols) const;
  void dense_backward(const Instruction& i, const T* wt, Range rows, Range cols) const;
  void weight_gradient(const Parameter& p, Range in, index rows, bool accumulate,
                       T* gradient) const;

  const Network<T>& net_;
  Workspace<T>& work_;
  const DropoutKey<T>* dropout_;
  const Bf16Weights<T>* weights_;
};

}  // namespace fanin
