#pragma once
#include <algorithm>

#include "core/clock.hpp"
#include "engine/network/parameter_items.hpp"
#include "engine/network/plan.hpp"

namespace fanin {

/// Rows of a workspace: larger minibatches go through in parts.
inline constexpr index workspace_rows = 1024;

/// The rows of a pass: all of a minibatch where their statistics meet.
inline index rows_of_pass(const Graph& graph, index batch) {
  return graph.has_batch_norm() ? batch : std::min(batch, workspace_rows);
}

inline index parts_of(index n, index most) { return (n + most - 1) / most; }

/// The sum of the rows' weights, which their losses are divided by.
template <class T>
double total_weight(const Data<T>& data, const std::int64_t* indices, index rows) {
  if (!data.weights) return static_cast<double>(rows);
  double total = 0;
  for (index i = 0; i < rows; ++i) {
    total += static_cast<double>(data.weights[indices ? indices[i] : i]);
  }
  return total > 0 ? total : 1;  // no weight: no loss and no gradient
}

/// A minibatch, or the part of a large one that fits the workspace.
template <class T>
struct Batch {
  const Data<T>* data;
  const std::int64_t* indices;  // rows of data; null: first, first + 1, ...
  index first, rows;
  bool accumulate, last;  // not the first part, the last part
  T scale;                // of each row's gradient
  const DropoutKey<T>* dropout;
};

/// Called with an op whose output's gradient is complete on these rows.
using Observer = FunctionRef<void(std::size_t op, Range rows)>;

/// The forward and backward pass of rows, and their gradient.
template <class T>
class RowPass {
 public:
  /// Without inputs the first op's products are computed elsewhere: they are sums(), and their
  /// gradient is in sums_gradient().
  RowPass(const Network<T>& network, const ParameterItems<T>& items, index rows,
          bool inputs = true);

  /// The maximum number of rows of a batch.
  index rows() const { return work_.rows; }
  const Workspace<T>& workspace() const { return work_; }

  void set_inputs(T* x) { work_.set_inputs(x); }
  T* sums() const { return first().y; }
  const T* sums_gradient() const { return first().d; }
  index sums_stride() const { return first().stride; }

  void run(Team& team, const Batch<T>& batch, Poller& poll);

  /// The same, derivatives apart, and each op's output gradient shown once it is complete.
  void run_observed(Team& team, const Batch<T>& batch, Poller& poll, Observer observer);

  /// The sum of the rows' losses; adds the right predictions, where there are labels, to `correct`.
  double loss(const Batch<T>& batch, index* correct) const;

  /// The gradient over an item, the batch's earlier parts included.
  void gradient(const ParameterItem& item, const Batch<T>& batch, T* gradient);

 private:
  const typename Workspace<T>::Slot& first() const { return work_.slots[1]; }
  void run_stages(Team& team, const std::vector<Stage>& stages, const Batch<T>& batch, Poller& poll,
                  Observer observer);
  void by_rows(Team& team, const Stage& stage, const Batch<T>& batch, Poller& poll,
               Observer observer);
  void by_instructions(Team& team, const Stage& stage, const Batch<T>& batch, Poller& poll,
                       Observer observer);
  void by_columns(Team& team, const Instruction& i, const Batch<T>& batch, Poller& poll,
                  Observer observer);
  std::vector<Stage> stages(bool fuse) const;
  void reduce(Team& team, const Stage& stage, index rows);
  index split_columns(const Instruction& i) const;
  void execute(const Instruction& i, const Batch<T>& batch, Range rows, Range cols,
               Observer observer);

  const Network<T>& network_;
  const ParameterItems<T>& items_;
  const bool inputs_;
  Workspace<T> work_;
  std::vector<Stage> stages_;
};

}  // namespace fanin
