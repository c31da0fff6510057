#pragma once
#include <memory>
#include <optional>

#include "engine/augment/augmented_batch.hpp"
#include "engine/network/first_layers.hpp"
#include "engine/network/row_pass.hpp"

namespace fanin {

/// The arguments of a call of the native loop that all its networks share.
template <class T>
struct TrainingJob {
  Data<T> data;
  const std::int64_t*
      order;  // rows of data; step s takes order[s * batch ...], the last may be short
  index n_order, batch;
  index first_step, last_step;            // of this epoch, [first, last)
  const BatchAugmentation* augmentation;  // null: none
  std::uint64_t seed, first_stream;       // dropout of step s draws under stream first_stream + s
  double clip_norm;                       // 0: none
  int threads;
  double budget;  // seconds after which no further step starts
};

/// The arguments of each network. losses (L2 included) and correct have an item for each step.
template <class T>
struct Learner {
  RuleSpec rule;
  RuleClock* clock;  // advanced with each step's writes
  T* states[3];      // arenas of the rule
  const double* lr;  // of step first_step, first_step + 1, ...
  double l2;
  double* losses;
  std::int64_t* correct;
  bool diverged = false;  // in: it takes no part; out: the next step's loss was not finite
  index steps = 0;        // completed steps
};

/// Training steps of networks on the same minibatches. Several are of one width and one first
/// layer's shape, without DropConnect: rows are gathered and multiplied by the first layers once
/// for all, on one thread, and each gets the parameters that it would get alone, bit for bit.
template <class T>
class Trainer {
 public:
  Trainer(std::vector<Network<T>*> networks, index batch);
  ~Trainer();

  std::size_t size() const { return members_.size(); }
  index batch() const { return batch_; }

  /// Steps of an epoch until the budget is spent or all have diverged. An exception of poll leaves
  /// the networks as after their last completed step.
  void run(const TrainingJob<T>& job, std::vector<Learner<T>>& learners, FunctionRef<void()> poll);

  /// Mean loss and right predictions of each network, on one thread.
  std::vector<Evaluation> evaluate(const Data<T>& data, FunctionRef<void()> poll);

 private:
  struct Member;
  struct Step;

  void reserve(const TrainingJob<T>& job, int threads);
  bool is_fused(const TrainingJob<T>& job, const Member& m, index rows) const;
  class Writing;
  void step(Team& team, Step& s, std::vector<Learner<T>>& learners, Poller& poll);
  bool forward_and_back(Team& team, const Step& s, Member& m, Learner<T>& learner, Poller& poll);
  void share_sums(const Step& s);
  void share_gradients(const Step& s);
  void update(Team& team, const Step& s, Member& m, const Learner<T>& learner);
  void update_first_weights(const Step& s, const std::vector<Learner<T>>& learners);

  std::vector<std::unique_ptr<Member>> members_;
  index batch_, x_stride_;
  std::optional<FirstLayers<T>> first_;  // of several networks
  AugmentedBatch<T> augmented_;
  Aligned<T> x_;          // of several networks: the minibatch
  std::vector<T*> sums_;  // of each network, null where it has diverged
  std::vector<const T*> gradients_;
  std::vector<Aligned<T>> scratch_;  // of each thread: an item's gradient
};

}  // namespace fanin
