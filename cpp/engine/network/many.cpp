#include "engine/network/many.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/clock.hpp"

namespace fanin {

/// What a network needs of its own while it trains, and a step's part of it.
template <class T>
struct Many<T>::State {
  State(Network<T>& network, index batch)
      : items(network), pass(network, items, batch, /*inputs=*/false) {}

  ParameterItems<T> items;
  RowPass<T> pass;
  typename Network<T>::DropoutKey key{};
  bool live = true;
};

template <class T>
Many<T>::Many(std::vector<Network<T>*> networks, index batch)
    : networks_(std::move(networks)),
      batch_(batch),
      x_stride_(padded<T>(networks_.front()->in())),
      first_(networks_),
      coefficients_(networks_.size()) {
  for (Network<T>* network : networks_) {
    states_.push_back(std::make_unique<State>(*network, batch));
    scratch_.reserve(states_.back()->items.largest());
  }
  x_.reserve(std::max(batch, evaluation_rows) * x_stride_);
}

template <class T>
Many<T>::~Many() = default;

namespace {

template <class T>
double total_weight(const Data<T>& data, const std::int64_t* indices, index rows) {
  if (!data.weights) return static_cast<double>(rows);
  double total = 0;
  for (index i = 0; i < rows; ++i) total += static_cast<double>(data.weights[indices[i]]);
  return total > 0 ? total : 1;
}

}  // namespace

/// The losses of a batch, and the gradients over the first layers' sums. Who diverges drops out.
template <class T>
void Many<T>::forward_and_back(const ManyJob<T>& job, const Batch<T>& batch, index done,
                               std::vector<Learner<T>>& learners) {
  const double total = total_weight(job.data, batch.indices, batch.rows);
  std::vector<T*> sums(size());
  std::vector<const T*> dz(size());
  for (std::size_t n = 0; n < size(); ++n) {
    if (states_[n]->live) sums[n] = states_[n]->pass.first().y;
  }
  const index stride = states_.front()->pass.first().stride;
  first_.forward(x_.data(), x_stride_, batch.rows, sums.data(), stride);
  for (std::size_t n = 0; n < size(); ++n) {
    State& state = *states_[n];
    Learner<T>& learner = learners[n];
    if (!state.live) continue;
    Batch<T> own = batch;
    own.scale = T(1 / total);
    own.dropout = &state.key;
    state.pass.run_from_sums(own);
    index correct = 0;
    const double loss = state.pass.loss(own, &correct) / total;
    if (!std::isfinite(loss)) {
      learner.diverged = true;
      state.live = false;
      continue;
    }
    learner.losses[done] = loss;
    learner.correct[done] = correct;
    dz[n] = state.pass.first().dz;
  }
  first_.load_gradients(batch.rows, dz.data(), stride);
}

template <class T>
void Many<T>::update_first_weights(index rows, const std::vector<Learner<T>>& learners) {
  // All have the same items of the first layer, and these come first.
  for (const ParameterItem& item : states_.front()->items.all()) {
    if (item.bias) break;
    const index count = item.rows.end - item.rows.begin;
    first_.weight_gradients(x_.data(), x_stride_, rows, item.rows);
    for (std::size_t n = 0; n < size(); ++n) {
      State& state = *states_[n];
      if (!state.live) continue;
      const Learner<T>& own = learners[n];
      const ParameterUpdate<T> u{coefficients_[n], own.rule.rule, own.states, own.l2, 1.0};
      state.items.prefetch(item, u);
      first_.take_gradient(n, count, scratch_.data());
      state.items.update(item, u, scratch_.data());
      first_.load_rows(n, item.rows);
    }
  }
}

template <class T>
void Many<T>::update_others(std::size_t n, const Batch<T>& batch, const Learner<T>& learner) {
  State& state = *states_[n];
  const ParameterUpdate<T> u{coefficients_[n], learner.rule.rule, learner.states, learner.l2, 1.0};
  for (const ParameterItem& item : state.items.all()) {
    if (item.layer == 0 && !item.bias) continue;
    state.pass.gradient(item, batch, scratch_.data());
    state.items.update(item, u, scratch_.data());
    state.items.prepare(item, nullptr);
  }
  first_.load_biases(n);
}

template <class T>
void Many<T>::step(const ManyJob<T>& job, index number, std::vector<Learner<T>>& learners) {
  const index done = number - job.first_step;
  const index begin = number * job.batch, rows = std::min(job.batch, job.n_order - begin);
  const std::uint64_t stream = job.first_stream + static_cast<std::uint64_t>(number);
  const Batch<T> batch{&job.data, job.order + begin, 0, rows, false, true, T(1), nullptr};
  networks_.front()->load_inputs(job.data, batch.indices, 0, x_.data(), x_stride_, {0, rows});
  for (auto& state : states_) state->key = state->items.key_of(job.seed, stream, 0);
  forward_and_back(job, batch, done, learners);
  for (std::size_t n = 0; n < size(); ++n) {
    if (!states_[n]->live) continue;
    Learner<T>& learner = learners[n];
    coefficients_[n] = advance<T>(learner.rule, learner.clock, learner.lr[done]);
    update_others(n, batch, learner);
  }
  update_first_weights(rows, learners);
  for (std::size_t n = 0; n < size(); ++n) {
    if (!states_[n]->live) continue;
    Learner<T>& learner = learners[n];
    if (learner.l2 > 0) {
      learner.losses[done] += 0.5 * learner.l2 * states_[n]->items.total_squares(false);
    }
    ++learner.steps;
  }
}

template <class T>
index Many<T>::train(const ManyJob<T>& job, std::vector<Learner<T>>& learners,
                     FunctionRef<void()> poll) {
  const Stopwatch watch;
  index done = 0;
  parallel_team(1, [&](Team& team) {
    Poller poller(poll);
    for (std::size_t n = 0; n < size(); ++n) {
      states_[n]->live = !learners[n].diverged;
      states_[n]->items.prepare_all(team, nullptr);
      first_.load(n);
    }
    const auto alive = [&] {
      return std::any_of(states_.begin(), states_.end(),
                         [](const auto& state) { return state->live; });
    };
    for (index i = job.first_step; i < job.last_step && alive(); ++i) {
      if (done > 0 && watch.seconds() > job.budget) break;
      team.share(1, [&](index, int) { step(job, i, learners); });
      ++done;
      poller(0);
    }
  });
  return done;
}

template <class T>
std::vector<Evaluation> Many<T>::evaluate(const Data<T>& data, FunctionRef<void()> poll) {
  std::vector<Workspace<T>> workspaces;
  std::vector<Aligned<T>> losses(size());
  std::vector<Aligned<std::int32_t>> predicted(size());
  std::vector<T*> sums;
  for (std::size_t n = 0; n < size(); ++n) {
    workspaces.emplace_back(networks_[n]->layers(), std::min(data.n, evaluation_rows), false,
                            false);
    sums.push_back(workspaces.back().layers.front().y);
    losses[n].reserve(data.n);
    predicted[n].reserve(data.n);
  }
  parallel_team(1, [&](Team& team) {
    Poller poller(poll);
    for (std::size_t n = 0; n < size(); ++n) first_.load(n);
    for (index begin = 0; begin < data.n; begin += evaluation_rows) {
      const Range rows{0, std::min(evaluation_rows, data.n - begin)};
      team.share(1, [&](index, int) {
        networks_.front()->load_inputs(data, nullptr, begin, x_.data(), x_stride_, rows);
        first_.forward(x_.data(), x_stride_, rows.end, sums.data(), workspaces[0].layers[0].stride);
        for (std::size_t n = 0; n < size(); ++n) {
          Workspace<T>& w = workspaces[n];
          networks_[n]->load_targets(data, nullptr, begin, w, rows);
          networks_[n]->finish_layer(0, w, rows, nullptr);
          for (std::size_t l = 1; l < networks_[n]->layers().size(); ++l) {
            networks_[n]->forward_layer(l, w, rows, {0, networks_[n]->layers()[l].out}, nullptr);
          }
          networks_[n]->loss_of_rows(data, w, rows, false, T(1));
          std::copy_n(w.row_loss.data(), rows.end, losses[n].data() + begin);
          std::copy_n(w.predicted.data(), rows.end, predicted[n].data() + begin);
        }
      });
      poller(0);
    }
  });
  std::vector<Evaluation> results;
  for (std::size_t n = 0; n < size(); ++n) {
    results.push_back(mean_of_rows(data, losses[n].data(), predicted[n].data()));
  }
  return results;
}

template class Many<float>;
template class Many<double>;

}  // namespace fanin
