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
  double keep;              // of its outputs, in training
  double keep_weights = 1;  // of its weights: DropConnect

  bool masks_weights() const { return keep_threshold(keep_weights) != 0; }
};

/// Options of dropout and DropConnect.
struct Dropping {
  bool vanilla = false;    // outputs: not scaled in training, times keep at test time
  bool row_masks = false;  // weights: a mask for each row of the batch instead of one for all
  bool moments = false;    // weights at test time: E[f(z)], z normal, instead of f(E[z])
};

/// Rows of data with their targets; what is absent is null.
template <class T>
struct Data {
  const void* x;  // (n, in), rows contiguous
  DType dtype;
  index n;
  const double* mean;  // the input is (x - mean) * scale
  const double* scale;
  bool per_column;
  const std::int32_t* labels;
  const T* soft;  // (n, out)
  const T* weights;
};

/// The activations of one pass, which backward needs.
template <class T>
class Workspace {
 public:
  Workspace(const std::vector<LayerSpec>& layers, index rows, bool backward, bool inputs = true);

  index rows;
  T* x;  // null without inputs
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

/// The mean loss (over the weights) and count of right predictions, from those of each row.
template <class T>
Evaluation mean_of_rows(const Data<T>& data, const T* losses, const std::int32_t* predicted);

inline constexpr index evaluation_rows = 96;  // a block whose activations stay in cache

/// A row stride in elements: whole cache lines, and never a large power of two of bytes, whose rows
/// would all compete for the same few sets of the cache.
template <class T>
index padded(index cols) {
  const index line = 64 / static_cast<index>(sizeof(T));
  const index stride = (cols + line - 1) / line * line;
  return stride * static_cast<index>(sizeof(T)) % 1024 == 0 ? stride + line : stride;
}

/// The layers, their parameters in one arena, and the passes over rows.
template <class T>
class Network {
 public:
  Network(std::vector<LayerSpec> layers, Loss loss, Dropping dropping = {});

  const std::vector<LayerSpec>& layers() const { return layers_; }
  Loss loss() const { return loss_; }
  const Dropping& dropping() const { return dropping_; }
  index in() const { return layers_.front().in; }
  index out() const { return layers_.back().out; }

  /// The arena: W1, b1, W2, b2, ..., each beginning at a multiple of 64 bytes.
  index size() const { return size_; }
  T* params() { return params_.data(); }
  const T* params() const { return params_.data(); }
  index weight_offset(std::size_t l) const { return offsets_[2 * l]; }
  index bias_offset(std::size_t l) const { return offsets_[2 * l + 1]; }

  /// The factor on a layer's kept outputs.
  T output_scale(std::size_t l, bool training) const;

  /// A step's masks. Those that all rows share have been applied: `masked` has the layout of the
  /// parameters.
  struct DropoutKey {
    std::uint64_t seed;
    std::uint64_t step;
    index first_row;
    const T* masked = nullptr;
  };
  bool shares_weight_mask(std::size_t l) const {
    return layers_[l].masks_weights() && !dropping_.row_masks;
  }
  bool has_row_masks(std::size_t l) const {
    return layers_[l].masks_weights() && dropping_.row_masks;
  }
  Dropout<T> weight_mask(std::size_t l, const DropoutKey& key, index first_row) const;

  /// Forward through layer l on rows x cols of the workspace. Masks where a key is given.
  void forward_layer(std::size_t l, Workspace<T>& w, Range rows, Range cols,
                     const DropoutKey* dropout) const;

  /// The rest of it, if the workspace already holds the layer's sums.
  void finish_layer(std::size_t l, Workspace<T>& w, Range rows, const DropoutKey* dropout) const;

  /// Copies rows of data (indices null: from `first` on) with their targets into the workspace.
  void load_rows(const Data<T>& data, const std::int64_t* indices, index first, Workspace<T>& w,
                 Range rows) const;
  /// The rows alone, to x; the targets alone.
  void load_inputs(const Data<T>& data, const std::int64_t* indices, index first, T* x,
                   index x_stride, Range rows) const;
  void load_targets(const Data<T>& data, const std::int64_t* indices, index first, Workspace<T>& w,
                    Range rows) const;

  /// Loss, gradient (over the scores, in place, where `gradient`) and prediction of rows.
  void loss_of_rows(const Data<T>& data, Workspace<T>& w, Range rows, bool gradient, T scale) const;

  /// scores (n, out) of all rows. `poll` is called on the calling thread about every 50 ms.
  void scores(const Data<T>& data, T* out, int threads, FunctionRef<void()> poll) const;

  /// Mean loss (over the weights) and count of right predictions.
  Evaluation evaluate(const Data<T>& data, int threads, FunctionRef<void()> poll) const;

  /// Multiply-adds of one forward pass over a row, or what takes as long.
  double madds() const;

 private:
  struct Moments;
  DenseForward<T> layer_product(std::size_t l, const Workspace<T>& w) const;
  Epilogue<T> epilogue(std::size_t l, const Workspace<T>& w, const DropoutKey* dropout) const;
  void square_weights(std::size_t l, T* squares) const;
  void forward_moments(std::size_t l, Workspace<T>& w, Range rows, const T* squares,
                       Moments& moments) const;
  template <class F>
  void for_row_blocks(const Data<T>& data, int threads, FunctionRef<void()> poll, F&& use) const;

  std::vector<LayerSpec> layers_;
  Loss loss_;
  Dropping dropping_;
  std::vector<index> offsets_;
  index size_ = 0;
  Aligned<T> params_;
};

}  // namespace fanin
