#pragma once
#include "engine/network/network.hpp"
#include "kernels/gemm.hpp"

namespace fanin {

/// The first layers of several networks of one width, concatenated in panels of 64 columns: their
/// products fill all lanes, and read the inputs once for all networks. Each sum is the same chain
/// of multiply-adds as in its own network.
template <class T>
class FirstLayers {
 public:
  explicit FirstLayers(const std::vector<Network<T>*>& networks);

  index panels() const { return (columns_ + block_columns - 1) / block_columns; }

  /// Copies a network's weights, or some rows of them, and its biases into the panels.
  void load(std::size_t network);
  void load_rows(std::size_t network, Range rows);
  void load_biases(std::size_t network);

  /// sums[n] (rows, out) = x · W1 + b1 of network n, where it is not null.
  void forward(const T* x, index x_stride, index rows, T* const* sums, index stride);

  /// Copies dz[n] (rows, out) into the panels; null gives none, and its gradient is not to be used.
  void load_gradients(index rows, const T* const* dz, index stride);

  /// Rows of the gradients of all networks' weights, into the panels; then those of one network,
  /// contiguous.
  void weight_gradients(const T* x, index x_stride, index rows, Range in);
  void take_gradient(std::size_t network, index rows, T* gradient) const;

 private:
  bool bf16() const { return networks_.front()->bf16(); }
  void pack_weights();
  void product(const T* x, index x_stride, index rows, index panel);
  index width(index panel) const {
    return std::min(block_columns, columns_ - panel * block_columns);
  }
  template <class F>
  void for_runs(std::size_t network, F&& use) const;

  const std::vector<Network<T>*> networks_;
  const index in_, out_, columns_;
  Aligned<T> weights_, biases_, sums_, dz_, gradients_;
  // The same as products of bf16 take them, where the networks do.
  bool packed_ = false;  // the weights, as they are
  Aligned<T> weights_right_, x_left_, x_left_t_, dz_right_;
};

}  // namespace fanin
