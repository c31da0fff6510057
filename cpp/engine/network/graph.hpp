#pragma once
#include <vector>

#include "core/names.hpp"
#include "kernels/activation.hpp"

namespace fanin {

enum class Norm : int { none, layer, batch };
template <>
inline constexpr const char* names<Norm>[] = {"none", "layer", "batch"};

/// A layer: y = dropout(f(norm(x · W + b))), and with a skip x + that. A batch norm would take the
/// bias out again, and there is none.
struct LayerSpec {
  index in, out;
  Activation activation;
  double keep;              // of its outputs, in training
  double keep_weights = 1;  // of its weights: DropConnect
  Norm norm = Norm::none;
  bool prelu = false;  // in place of the activation, which is identity
  bool skip = false;
  double rate = 1;  // factor on the learning rate
};

enum class Role : int { weights, bias, gamma, beta, slopes, running_mean, running_variance };
template <>
inline constexpr const char* names<Role>[] = {"weights", "bias",         "gamma",           "beta",
                                              "slopes",  "running_mean", "running_variance"};

/// An array of the arena.
struct Parameter {
  Role role;
  std::size_t layer, op;
  index rows, cols;
  bool decays;  // L2 is for it
  double rate;  // factor on the learning rate; 0: not trained
  index offset = 0;

  index size() const { return rows * cols; }
};

enum class OpKind : int { dense, layer_norm, batch_norm, prelu, add };

/// out = dropout(f(what the kind makes of in, and add of in2)).
struct Op {
  OpKind kind;
  std::size_t in, in2, out;  // slots
  std::size_t layer;         // by whose number it draws masks
  std::size_t parameters;    // the first of its own
  double keep_weights = 1;
  bool has_bias = false;
  Activation activation = Activation::identity;
  double keep = 1;

  bool masks_weights() const { return keep_threshold(keep_weights) != 0; }
  /// Whether it keeps a mean and a deviation of each row, or of each column.
  bool has_row_moments() const { return kind == OpKind::layer_norm; }
  bool has_column_moments() const { return kind == OpKind::batch_norm; }
  /// Whether a gradient over its outputs changes on its way through f and dropout.
  bool has_derivative() const {
    return activation == Activation::relu || needs_slope(activation, keep < 1);
  }
};

inline constexpr std::size_t no_op = static_cast<std::size_t>(-1);

/// The rows that an op writes and others read.
struct Slot {
  index width;
  std::size_t producer;  // no_op: the inputs
  std::vector<std::size_t> consumers = {};
};

/// A network as ops in order, and the arrays that they work on. Slot 0 are the inputs, the last one
/// the scores. Of two ops that read one slot, the later is an add, with it as in2.
class Graph {
 public:
  /// Parameters begin at multiples of `line` elements.
  Graph(std::vector<LayerSpec> layers, index line);

  const std::vector<LayerSpec>& layers() const { return layers_; }
  const std::vector<Op>& ops() const { return ops_; }
  const std::vector<Slot>& slots() const { return slots_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// The last op of each layer.
  const std::vector<std::size_t>& ends() const { return ends_; }
  /// Elements of the arena.
  index size() const { return size_; }
  bool has_batch_norm() const;

 private:
  void add_layer(const LayerSpec& spec);
  void add_norm(const LayerSpec& spec);
  void add_op(OpKind kind, const LayerSpec& spec);
  void add_parameter(Role role, index rows, index cols, double rate);

  std::vector<LayerSpec> layers_;
  index line_;
  std::vector<Op> ops_;
  std::vector<Slot> slots_;
  std::vector<Parameter> parameters_;
  std::vector<std::size_t> ends_;
  index size_ = 0;
};

}  // namespace fanin
