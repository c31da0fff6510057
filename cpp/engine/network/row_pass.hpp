#pragma once
#include "core/clock.hpp"
#include "engine/network/parameter_items.hpp"

namespace fanin {

/// A minibatch, or the part of a large one that fits the workspace.
template <class T>
struct Batch {
  const Data<T>* data;
  const std::int64_t* indices;  // rows of data; null: first, first + 1, ...
  index first, rows;
  bool accumulate, last;  // not the first part, the last part
  T scale;                // of each row's gradient
  const typename Network<T>::DropoutKey* dropout;
};

/// The forward and backward pass of rows, and their gradient.
template <class T>
class RowPass {
 public:
  RowPass(const Network<T>& network, const ParameterItems<T>& items, index rows,
          bool inputs = true);

  /// The maximum number of rows of a batch.
  index rows() const { return work_.rows; }

  void run(Team& team, const Batch<T>& batch, Poller& poll);

  /// The same, where the first layer's sums are computed elsewhere: they are first()'s y, and their
  /// gradient is written to its dz.
  void run_from_sums(const Batch<T>& batch);
  const typename Workspace<T>::Layer& first() const { return work_.layers.front(); }

  /// The sum of the rows' losses; adds the right predictions, where there are labels, to `correct`.
  double loss(const Batch<T>& batch, index* correct) const;

  /// The gradient over an item, the batch's earlier parts included.
  void gradient(const ParameterItem& item, const Batch<T>& batch, T* gradient) const;

 private:
  void run_rows(const Batch<T>& batch, Range rows, int member, Poller& poll);
  void run_columns(Team& team, const Batch<T>& batch, Poller& poll);
  void backward_layer(std::size_t l, const Batch<T>& batch, Range rows, Range cols);

  const Network<T>& network_;
  const ParameterItems<T>& items_;
  Workspace<T> work_;
};

}  // namespace fanin
