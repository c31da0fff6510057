#pragma once
#include "engine/augment/augmented_batch.hpp"
#include "engine/network/row_pass.hpp"

namespace fanin {

/// Rows of a workspace: larger minibatches are processed in parts.
inline constexpr index workspace_rows = 1024;

/// The arguments of a call of the native loop.
template <class T>
struct TrainingJob {
  Data<T> data;
  const std::int64_t*
      order;  // rows of data; step s takes order[s * batch ...], the last may be short
  index n_order, batch;
  index first_step, last_step;            // of this epoch, [first, last)
  const BatchAugmentation* augmentation;  // null: none
  std::uint64_t seed, first_stream;       // dropout of step s draws under stream first_stream + s
  RuleSpec rule;
  RuleClock clock;       // in and out
  T* states[3];          // arenas of the rule
  const double* lr;      // of step first_step, first_step + 1, ...
  double l2, clip_norm;  // 0: none
  int threads;
  double budget;  // seconds after which no further step starts
};

struct TrainingProgress {
  index steps = 0;        // completed steps
  bool diverged = false;  // the next step's loss was not finite; it was not applied
};

/// Training steps, and the state of a fit.
template <class T>
class Trainer {
 public:
  Trainer(Network<T>& network, index batch);

  /// Steps of an epoch until the budget is spent, with the loss (L2 included) and the number of
  /// right predictions of each written to losses and correct. An exception of poll leaves the
  /// network as after its last completed step.
  TrainingProgress run(TrainingJob<T>& job, double* losses, std::int64_t* correct,
                       FunctionRef<void()> poll);

  /// The loss over all of data and its gradient in the arena `gradient`; no step is taken.
  Evaluation gradient(const Data<T>& data, double l2, T* gradient, int threads,
                      const typename Network<T>::DropoutKey* dropout, FunctionRef<void()> poll);

 private:
  struct Step;

  void reserve(const TrainingJob<T>& job, int members);
  bool step(Team& team, const Step& s, Poller& poll);
  double clip_factor(Team& team, double norm);

  Network<T>& network_;
  ParameterItems<T> items_;
  RowPass<T> pass_;
  AugmentedBatch<T> augmented_;
  Aligned<T> gradient_;
  std::vector<Aligned<T>> scratch_;  // of each member: an item's gradient
};

}  // namespace fanin
