#pragma once
#include <vector>

#include "core/aligned.hpp"
#include "core/parallel.hpp"
#include "isa/dispatch.hpp"

namespace fanin {

/// A dense layer: y = dropout(activation(x · W + b)).
struct LayerSpec {
  index in, out;
  Activation activation;
  double keep;  // of its outputs, in training
};

/// Rows of data with their targets; what is absent is null.
template <class T>
struct Data {
  const void* x;  // (n, in), rows contiguous
  DType dtype;
  index n;
  const double* mean;  // x enters as (x - mean) * scale
  const double* scale;
  bool per_column;
  const std::int32_t* labels;
  const T* soft;  // (n, out)
  const T* weights;
};

/// The rows of one pass through the network: what forward leaves and backward needs.
template <class T>
class Workspace {
 public:
  Workspace(const std::vector<LayerSpec>& layers, index rows, bool backward);

  index rows;
  T* x;
  index x_stride;
  struct Layer {
    T *y, *slope, *dz;  // (rows, out); slope null where not needed, dz null without backward
    index stride;
  };
  std::vector<Layer> layers;
  Aligned<T> soft, weights, row_loss;
  Aligned<std::int32_t> labels, predicted;

 private:
  Aligned<T> memory_;
};

/// A loss and, where there are labels, the number of rows predicted right.
struct Evaluation {
  double loss = 0;
  index correct = 0;
};

/// The layers, their parameters in one arena, and the passes over rows.
template <class T>
class Network {
 public:
  Network(std::vector<LayerSpec> layers, Loss loss);

  const std::vector<LayerSpec>& layers() const { return layers_; }
  Loss loss() const { return loss_; }
  index in() const { return layers_.front().in; }
  index out() const { return layers_.back().out; }

  /// The arena: W1, b1, W2, b2, ..., each beginning at a multiple of 64 bytes.
  index size() const { return size_; }
  T* params() { return params_.data(); }
  const T* params() const { return params_.data(); }
  index weight_offset(std::size_t l) const { return offsets_[2 * l]; }
  index bias_offset(std::size_t l) const { return offsets_[2 * l + 1]; }

  /// Forward through layer l on rows x cols of the workspace. Dropout where a stream is given.
  struct DropoutKey {
    std::uint64_t seed;
    std::uint64_t step;
    index first_row;
  };
  void forward_layer(std::size_t l, Workspace<T>& w, Range rows, Range cols,
                     const DropoutKey* dropout) const;

  /// Copies rows of data (indices null: from `first` on) with their targets into the workspace.
  void load_rows(const Data<T>& data, const std::int64_t* indices, index first, Workspace<T>& w,
                 Range rows) const;

  /// Loss, gradient (over the scores, in place, where `gradient`) and prediction of rows.
  void loss_of_rows(const Data<T>& data, Workspace<T>& w, Range rows, bool gradient, T scale) const;

  /// scores (n, out) of all rows. `poll` is called on the calling thread about every 50 ms.
  void scores(const Data<T>& data, T* out, int threads, FunctionRef<void()> poll) const;

  /// Mean loss (over the weights) and count of right predictions.
  Evaluation evaluate(const Data<T>& data, int threads, FunctionRef<void()> poll) const;

  /// Multiply-adds of one forward pass over a row.
  double madds() const;

 private:
  template <class F>
  void for_row_blocks(const Data<T>& data, int threads, FunctionRef<void()> poll, F&& use) const;

  std::vector<LayerSpec> layers_;
  Loss loss_;
  std::vector<index> offsets_;
  index size_ = 0;
  Aligned<T> params_;
};

}  // namespace fanin
