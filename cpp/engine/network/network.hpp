#pragma once
#include <vector>

#include "core/aligned.hpp"
#include "core/parallel.hpp"
#include "core/rows.hpp"
#include "engine/network/graph.hpp"
#include "engine/network/step_lock.hpp"
#include "engine/network/workspace.hpp"
#include "isa/dispatch.hpp"

namespace fanin {

/// Options of dropout and DropConnect.
struct Dropping {
  bool vanilla = false;    // outputs: not scaled in training, times keep at test time
  bool row_masks = false;  // weights: a mask for each row of the batch instead of one for all
  bool moments = false;    // weights at test time: E[f(z)], z normal, instead of f(E[z])
};

/// What products are computed in: the network's own type, or bf16 with sums and all else in float.
enum class Compute : int { full, bf16 };
template <>
inline constexpr const char* names<Compute>[] = {"full", "bf16"};

/// Rows of data with their targets; what is absent is null.
template <class T>
struct Data : Rows {
  const double* mean = nullptr;  // the input is (x - mean) * scale
  const double* scale = nullptr;
  bool per_column = false;
  const std::int32_t* labels = nullptr;
  const T* soft = nullptr;  // (n, out)
  const T* weights = nullptr;
  const T* positive = nullptr;  // (out): weights of logistic targets 1
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

/// A step's masks. Those that all rows share have been applied: `masked` has the layout of the
/// parameters.
template <class T>
struct DropoutKey {
  std::uint64_t seed;
  std::uint64_t step;
  index first_row;
  const T* masked = nullptr;
};

/// The ops, their parameters in one arena, and the passes over rows.
template <class T>
class Network {
 public:
  Network(std::vector<LayerSpec> layers, const LossSpec& loss, Dropping dropping = {},
          Compute compute = Compute::full);

  const Graph& graph() const { return graph_; }
  const Dropping& dropping() const { return dropping_; }
  bool bf16() const { return compute_ == Compute::bf16; }
  /// Rows of a minibatch are cut at multiples of it.
  index row_step() const { return bf16() ? bf16_k : 1; }
  index in() const { return graph_.slots().front().width; }
  index out() const { return graph_.slots().back().width; }
  /// Of an op's output.
  index width(std::size_t op) const { return graph_.slots()[graph_.ops()[op].out].width; }

  /// The arena; each parameter begins at a multiple of 64 bytes.
  index size() const { return graph_.size(); }
  T* params() { return params_.data(); }
  const T* params() const { return params_.data(); }
  /// Parameter i of an op.
  T* parameter(const Op& op, std::size_t i) { return params() + offset(op, i); }
  const T* parameter(const Op& op, std::size_t i) const { return params() + offset(op, i); }
  index offset(const Op& op, std::size_t i) const {
    return graph_.parameters()[op.parameters + i].offset;
  }

  /// Taken to read the parameters, and for a step's writes.
  StepLock& lock() const { return lock_; }
  /// Counted with each step's writes; epochs are the caller's to count.
  std::atomic<std::uint64_t> steps{0}, epochs{0};

  /// The factor on an op's kept outputs.
  T output_scale(const Op& op, bool training) const;

  /// Whether a dense op's weights are more than a core's cache holds.
  bool is_wide(const Op& op) const;

  bool shares_weight_mask(const Op& op) const { return op.masks_weights() && !dropping_.row_masks; }
  bool has_row_masks(const Op& op) const { return op.masks_weights() && dropping_.row_masks; }
  Dropout<T> weight_mask(const Op& op, const DropoutKey<T>& key, index first_row) const;

  /// The statistics that batch norms normalise by at test time, into the workspace; and the step
  /// that they take towards a minibatch's.
  void use_running_statistics(Workspace<T>& w) const;
  void update_running_statistics(const Workspace<T>& w, index rows);

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
  bool by_moments(const Op& op) const { return dropping_.moments && op.masks_weights(); }
  void square_weights(const Op& op, T* squares) const;
  void forward_moments(const Op& op, Workspace<T>& w, Range rows, const T* squares,
                       Moments& moments) const;
  template <class F>
  void for_row_blocks(const Data<T>& data, int threads, FunctionRef<void()> poll, F&& use) const;

  Graph graph_;
  LossSpec loss_;
  std::vector<T> levels_;  // of quantile
  Dropping dropping_;
  Compute compute_;
  Aligned<T> params_;
  mutable StepLock lock_;
};

}  // namespace fanin
