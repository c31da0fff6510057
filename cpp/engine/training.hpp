#pragma once
#include "core/clock.hpp"
#include "engine/network.hpp"

namespace fanin {

/// Rows of a workspace: larger minibatches go through in parts.
inline constexpr index most_rows = 1024;

/// What one call of the native loop is to do.
template <class T>
struct TrainingJob {
  Data<T> data;
  const std::int64_t*
      order;  // rows of data; step s takes order[s * batch ...], the last may be short
  index n_order, batch;
  index first_step, last_step;       // of this epoch, [first, last)
  std::uint64_t seed, first_stream;  // dropout of step s draws under stream first_stream + s
  RuleSpec rule;
  RuleClock clock;       // in and out
  T* states[3];          // arenas of the rule
  const double* lr;      // of step first_step, first_step + 1, ...
  double l2, clip_norm;  // 0: none
  int threads;
  double budget;  // seconds after which no further step begins
};

struct TrainingProgress {
  index steps = 0;        // whole steps done
  bool diverged = false;  // the next step's loss was not finite; it was not applied
};

/// The parameters as products take them, transposed and masked, and everything else that lives as
/// long as a fit.
template <class T>
class Trainer {
 public:
  Trainer(Network<T>& network, index batch);

  /// Steps of an epoch until the budget is spent, with the loss (L2 included) and the number of
  /// right predictions of each written to losses and correct. An exception of poll leaves the
  /// network at its last whole step.
  TrainingProgress run(TrainingJob<T>& job, double* losses, std::int64_t* correct,
                       FunctionRef<void()> poll);

  /// The loss over all of data and its gradient in the arena `gradient`; no step is taken.
  Evaluation gradient(const Data<T>& data, double l2, T* gradient, int threads,
                      const typename Network<T>::DropoutKey* dropout, FunctionRef<void()> poll);

 private:
  /// One unit of work on parameters: rows of a layer's weights, or its biases.
  struct Item {
    std::size_t layer;
    Range rows;
    bool bias;
    index offset, size;  // in the arena
    std::size_t square;  // of its first row, in squares_
  };
  /// A minibatch, or the part of a large one that fits the workspace.
  struct Batch {
    const Data<T>* data;
    const std::int64_t* indices;
    index first, rows;
    bool accumulate, last;
    T scale;
    const typename Network<T>::DropoutKey* dropout;
  };

  struct Step;

  void plan_items();
  void reserve_scratch(int members);
  typename Network<T>::DropoutKey key_of(std::uint64_t seed, std::uint64_t step, index first) const;
  void mask_weights(const Item& item, const typename Network<T>::DropoutKey& key, const T* from,
                    T* to) const;
  void prepare(const Item& item, const typename Network<T>::DropoutKey* dropout);
  void prepare_all(Team& team, const typename Network<T>::DropoutKey* dropout);
  void pass(Team& team, const Batch& batch, Poller& poll);
  void pass_rows(const Batch& batch, Range rows, int member, Poller& poll);
  void pass_columns(Team& team, const Batch& batch, Poller& poll);
  void backward_layer(std::size_t l, const Batch& batch, Range rows, Range cols);
  void item_gradient(const Item& item, const Batch& batch, T* gradient);
  double batch_loss(const Batch& batch, index* correct) const;
  double total_weight(const Data<T>& data, const std::int64_t* indices, index first,
                      index rows) const;
  bool step(Team& team, const Step& s, Poller& poll);
  double clip_factor(Team& team, double norm);
  void update(const Item& item, const Step& s, T* gradient, double factor);
  void prefetch_update(const Item& item, const TrainingJob<T>& job) const;
  void sum_row_squares(const Item& item, const T* p);
  double total_squares(bool biases) const;
  void add_l2(const Item& item, double l2, T* gradient);
  template <class F>
  void share_items(Team& team, F&& work);

  Network<T>& network_;
  index rows_;  // of the workspace
  Workspace<T> work_;
  std::vector<Item> items_;
  std::vector<double> squares_;  // of each row of weights and each layer's biases
  std::vector<index> transpose_offsets_;
  Aligned<T> transposes_, masked_, gradient_;
  std::vector<Aligned<T>> scratch_;  // of each member: an item's gradient
  index scratch_size_ = 0;
};

}  // namespace fanin
