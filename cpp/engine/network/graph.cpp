#include "engine/network/graph.hpp"

#include <algorithm>

namespace fanin {

Graph::Graph(std::vector<LayerSpec> layers, index line) : layers_(std::move(layers)), line_(line) {
  slots_.push_back({layers_.front().in, no_op});
  for (const LayerSpec& spec : layers_) add_layer(spec);
  for (std::size_t o = 0; o < ops_.size(); ++o) {
    slots_[ops_[o].in].consumers.push_back(o);
    if (ops_[o].kind == OpKind::add) slots_[ops_[o].in2].consumers.push_back(o);
  }
}

bool Graph::has_batch_norm() const {
  return std::any_of(ops_.begin(), ops_.end(),
                     [](const Op& op) { return op.kind == OpKind::batch_norm; });
}

/// Parameters are kept in the order of ops; running statistics come after the trained ones.
void Graph::add_layer(const LayerSpec& spec) {
  const std::size_t below = slots_.size() - 1;
  add_op(OpKind::dense, spec);
  ops_.back().keep_weights = spec.keep_weights;
  add_parameter(Role::weights, spec.in, spec.out, spec.rate);
  ops_.back().has_bias = spec.norm != Norm::batch;
  if (ops_.back().has_bias) add_parameter(Role::bias, 1, spec.out, spec.rate);
  add_norm(spec);
  if (spec.prelu) {
    add_op(OpKind::prelu, spec);
    add_parameter(Role::slopes, 1, spec.out, spec.rate);
  }
  ops_.back().activation = spec.activation;
  ops_.back().keep = spec.keep;
  if (spec.skip) {
    add_op(OpKind::add, spec);
    ops_.back().in2 = below;
  }
  ends_.push_back(ops_.size() - 1);
}

void Graph::add_norm(const LayerSpec& spec) {
  switch (spec.norm) {
    case Norm::none:
      return;
    case Norm::layer:
      add_op(OpKind::layer_norm, spec);
      break;
    case Norm::batch:
      add_op(OpKind::batch_norm, spec);
      break;
  }
  add_parameter(Role::gamma, 1, spec.out, spec.rate);
  add_parameter(Role::beta, 1, spec.out, spec.rate);
  if (spec.norm != Norm::batch) return;
  add_parameter(Role::running_mean, 1, spec.out, 0);
  add_parameter(Role::running_variance, 1, spec.out, 0);
}

/// An op on the last slot, with a slot of its own.
void Graph::add_op(OpKind kind, const LayerSpec& spec) {
  const std::size_t in = slots_.size() - 1;
  ops_.push_back({kind, in, in, in + 1, ends_.size(), parameters_.size()});
  slots_.push_back({spec.out, ops_.size() - 1});
}

void Graph::add_parameter(Role role, index rows, index cols, double rate) {
  parameters_.push_back(
      {role, ends_.size(), ops_.size() - 1, rows, cols, role == Role::weights, rate, size_});
  size_ += (rows * cols + line_ - 1) / line_ * line_;
}

}  // namespace fanin
