#pragma once
#include <memory>

#include "engine/network/first_layers.hpp"
#include "engine/network/row_pass.hpp"

namespace fanin {

/// The arguments of the native loop that all networks share; see TrainingJob.
template <class T>
struct ManyJob {
  Data<T> data;
  const std::int64_t* order;
  index n_order, batch, first_step, last_step;
  std::uint64_t seed, first_stream;
  double budget;  // seconds after which no further step starts
};

/// The arguments of each network.
template <class T>
struct Learner {
  RuleSpec rule;
  RuleClock clock;  // in and out
  T* states[3];
  const double* lr;
  double l2;
  double* losses;
  std::int64_t* correct;
  bool diverged = false;  // in: it does not take part; out: the next step's loss was not finite
  index steps = 0;        // completed steps
};

/// Batched training of networks on one thread, on the same minibatches: rows are gathered and
/// multiplied by the first layers once for all. All have the first layer's shape and no
/// DropConnect; each gets the parameters that it would get alone, bit for bit.
template <class T>
class Many {
 public:
  Many(std::vector<Network<T>*> networks, index batch);
  ~Many();

  std::size_t size() const { return networks_.size(); }
  index batch() const { return batch_; }

  /// Steps of an epoch until the budget is spent or all have diverged; how many were done.
  index train(const ManyJob<T>& job, std::vector<Learner<T>>& learners, FunctionRef<void()> poll);

  /// Mean loss and right predictions of each network.
  std::vector<Evaluation> evaluate(const Data<T>& data, FunctionRef<void()> poll);

 private:
  struct State;

  void step(const ManyJob<T>& job, index number, std::vector<Learner<T>>& learners);
  void forward_and_back(const ManyJob<T>& job, const Batch<T>& batch, index done,
                        std::vector<Learner<T>>& learners);
  void update_first_weights(index rows, const std::vector<Learner<T>>& learners);
  void update_others(std::size_t n, const Batch<T>& batch, const Learner<T>& learner);

  std::vector<Network<T>*> networks_;
  index batch_, x_stride_;
  FirstLayers<T> first_;
  std::vector<std::unique_ptr<State>> states_;
  std::vector<StepCoefficients<T>> coefficients_;
  Aligned<T> x_, scratch_;
};

}  // namespace fanin
