#include "engine/network/training.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/network/ops.hpp"

namespace fanin {

namespace {

constexpr double fused_flops = 2e9;  // a longer pass over parameters must stay interruptible

}  // namespace

/// A network in training.
template <class T>
struct Trainer<T>::Member {
  Member(Network<T>& network, index rows, bool inputs)
      : net(network), items(network), pass(network, items, rows, inputs) {}

  Network<T>& net;
  ParameterItems<T> items;
  RowPass<T> pass;
  Aligned<T> gradient;  // whole, where a step cannot use it up item by item
  bool live = true;
  // Of this step:
  DropoutKey<T> key{};
  Batch<T> batch{};
  StepCoefficients<T> coefficients{};
};

/// What its networks share of one step.
template <class T>
struct Trainer<T>::Step {
  const TrainingJob<T>& job;
  index done, rows;
  std::uint64_t number;
  const Data<T>* data;
  const std::int64_t* indices;
  double total = 0;    // of the rows' weights
  bool fused = false;  // each item is updated as soon as its gradient is known
};

/// The scope in which a step changes its networks, which their readers see as a whole.
template <class T>
class Trainer<T>::Writing {
 public:
  Writing(const std::vector<std::unique_ptr<Member>>& members, Poller& poller) : members_(members) {
    while (held_ < members_.size()) {
      if (!live() || lock().try_write()) {
        ++held_;
        continue;
      }
      // A reader of one network may be about to read another: none is held while one waits.
      const std::size_t busy = std::exchange(held_, 0);
      release(busy);
      members_[busy]->net.lock().begin_write(poller);
      members_[busy]->net.lock().end_write();
    }
  }
  ~Writing() { release(held_); }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;

 private:
  bool live() const { return members_[held_]->live; }
  StepLock& lock() const { return members_[held_]->net.lock(); }
  void release(std::size_t count) {
    for (std::size_t n = 0; n < count; ++n) {
      if (members_[n]->live) members_[n]->net.lock().end_write();
    }
  }

  const std::vector<std::unique_ptr<Member>>& members_;
  std::size_t held_ = 0;
};

template <class T>
Trainer<T>::Trainer(std::vector<Network<T>*> networks, index batch)
    : batch_(batch), x_stride_(padded<T>(networks.front()->in())) {
  const bool several = networks.size() > 1;
  for (Network<T>* network : networks) {
    const index rows = rows_of_pass(network->graph(), batch);
    members_.push_back(std::make_unique<Member>(*network, rows, !several));
  }
  if (!several) return;
  first_.emplace(networks);
  x_.reserve(std::max(batch, evaluation_rows) * x_stride_);
  for (auto& m : members_) m->pass.set_inputs(x_.data());
}

template <class T>
Trainer<T>::~Trainer() = default;

template <class T>
void Trainer<T>::reserve(const TrainingJob<T>& job, int threads) {
  const index rows = std::min(job.batch, job.n_order);
  if (job.augmentation) {
    const index out = members_.front()->net.out();
    augmented_.begin(*job.augmentation, job.data, rows, out, threads);
  }
  scratch_.resize(static_cast<std::size_t>(threads));
  for (auto& m : members_) {
    for (Aligned<T>& own : scratch_) own.reserve(m->items.largest());
    if (!is_fused(job, *m, job.batch)) m->gradient.reserve(m->net.size());
  }
}

template <class T>
bool Trainer<T>::is_fused(const TrainingJob<T>& job, const Member& m, index rows) const {
  const double flops = 2 * m.net.madds() * static_cast<double>(rows);
  return rows <= m.pass.rows() && job.clip_norm == 0 && flops < fused_flops;
}

/// The first layers' sums of all networks.
template <class T>
void Trainer<T>::share_sums(const Step& s) {
  members_.front()->net.load_inputs(*s.data, s.indices, 0, x_.data(), x_stride_, {0, s.rows});
  sums_.assign(size(), nullptr);
  for (std::size_t n = 0; n < size(); ++n) {
    if (members_[n]->live) sums_[n] = members_[n]->pass.sums();
  }
  first_->forward(x_.data(), x_stride_, s.rows, sums_.data(), members_.front()->pass.sums_stride());
}

template <class T>
void Trainer<T>::share_gradients(const Step& s) {
  gradients_.assign(size(), nullptr);
  for (std::size_t n = 0; n < size(); ++n) {
    if (members_[n]->live) gradients_[n] = members_[n]->pass.sums_gradient();
  }
  first_->load_gradients(s.rows, gradients_.data(), members_.front()->pass.sums_stride());
}

/// The loss of a minibatch, and gradients over the ops' outputs; where it is not fused, over the
/// parameters too. False where the loss is not finite.
template <class T>
bool Trainer<T>::forward_and_back(Team& team, const Step& s, Member& m, Learner<T>& learner,
                                  Poller& poll) {
  const index parts = parts_of(s.rows, m.pass.rows());
  double loss = 0;
  index correct = 0;
  for (index part = 0; part < parts; ++part) {
    const Range rows = split(s.rows, m.net.row_step(), part, parts);
    m.key = m.items.key_of(s.job.seed, s.number, rows.begin);
    m.batch = {s.data,   s.indices,         rows.begin,     rows.end - rows.begin,
               part > 0, part + 1 == parts, T(1 / s.total), &m.key};
    m.pass.run(team, m.batch, poll);
    loss += m.pass.loss(m.batch, &correct);
    if (s.fused) break;
    m.items.share(team, [&](const ParameterItem& item, int member) {
      m.pass.gradient(item, m.batch, m.gradient.data() + item.offset);
      poll(member);
    });
  }
  learner.losses[s.done] = loss / s.total;
  learner.correct[s.done] = correct;
  return std::isfinite(loss / s.total);
}

/// One step of the rule on all items but those that the networks share.
template <class T>
void Trainer<T>::update(Team& team, const Step& s, Member& m, const Learner<T>& learner) {
  double factor = 1;
  if (s.job.clip_norm > 0) {
    m.items.sum_squares(team, m.gradient.data());
    factor = std::min(1.0, s.job.clip_norm / (std::sqrt(m.items.total_squares()) + 1e-6));
  }
  const ParameterUpdate<T> u{m.coefficients, learner.rule.rule, learner.states, learner.l2, factor};
  const DropoutKey<T> next = m.items.key_of(s.job.seed, s.number + 1, 0);
  m.items.share(team, [&](const ParameterItem& item, int thread) {
    if (first_ && item.first_weights()) return;
    T* gradient = s.fused ? scratch_[static_cast<std::size_t>(thread)].data()
                          : m.gradient.data() + item.offset;
    if (s.fused) m.pass.gradient(item, m.batch, gradient);
    m.items.update(item, u, gradient);
    m.items.prepare(item, &next);
  });
  m.net.update_running_statistics(m.pass.workspace(), s.rows);
}

/// The same for the first layers' weights of several networks.
template <class T>
void Trainer<T>::update_first_weights(const Step& s, const std::vector<Learner<T>>& learners) {
  T* const gradient = scratch_.front().data();
  // All have the same items of the first layer.
  for (const ParameterItem& item : members_.front()->items.all()) {
    if (!item.first_weights()) break;
    first_->weight_gradients(x_.data(), x_stride_, s.rows, item.rows);
    for (std::size_t n = 0; n < size(); ++n) {
      Member& m = *members_[n];
      if (!m.live) continue;
      const Learner<T>& own = learners[n];
      const ParameterUpdate<T> u{m.coefficients, own.rule.rule, own.states, own.l2, 1.0};
      first_->take_gradient(n, item.rows.end - item.rows.begin, gradient);
      m.items.update(item, u, gradient);
      first_->load_rows(n, item.rows);
    }
  }
  for (std::size_t n = 0; n < size(); ++n) first_->load_biases(n);
}

/// Rows, then parameters. A network whose loss is not finite stays as it was.
template <class T>
void Trainer<T>::step(Team& team, Step& s, std::vector<Learner<T>>& learners, Poller& poll) {
  if (s.job.augmentation) {
    s.data = &augmented_.make(team, s.indices, s.rows, poll);
    s.indices = nullptr;
  }
  s.total = total_weight(*s.data, s.indices, s.rows);
  s.fused = first_ || is_fused(s.job, *members_.front(), s.rows);
  if (first_) share_sums(s);
  for (std::size_t n = 0; n < size(); ++n) {
    Member& m = *members_[n];
    if (!m.live) continue;
    m.live = forward_and_back(team, s, m, learners[n], poll);
    learners[n].diverged = !m.live;
  }
  if (first_) share_gradients(s);
  {
    const Writing writing(members_, poll);
    for (std::size_t n = 0; n < size(); ++n) {
      Member& m = *members_[n];
      Learner<T>& learner = learners[n];
      if (!m.live) continue;
      m.coefficients = advance<T>(learner.rule, *learner.clock, learner.lr[s.done]);
      update(team, s, m, learner);
      m.net.steps.fetch_add(1, std::memory_order_relaxed);
    }
    if (first_) update_first_weights(s, learners);
  }
  for (std::size_t n = 0; n < size(); ++n) {
    Learner<T>& learner = learners[n];
    if (!members_[n]->live) continue;
    if (learner.l2 > 0) {
      learner.losses[s.done] += 0.5 * learner.l2 * members_[n]->items.decaying_squares();
    }
    ++learner.steps;
  }
}

template <class T>
void Trainer<T>::run(const TrainingJob<T>& job, std::vector<Learner<T>>& learners,
                     FunctionRef<void()> poll) {
  const double rows = static_cast<double>(std::min(job.batch, job.n_order));
  const double augmentation = job.augmentation ? job.augmentation->flops() : 0;
  const double flops = (6 * members_.front()->net.madds() + augmentation) * rows;
  const Stopwatch watch;
  parallel_team(first_ ? 1 : useful_threads(job.threads, flops), [&](Team& team) {
    Poller poller(poll);
    reserve(job, team.size());
    const auto stream = [&](index step) {
      return job.first_stream + static_cast<std::uint64_t>(step);
    };
    for (std::size_t n = 0; n < size(); ++n) {
      Member& m = *members_[n];
      m.live = !learners[n].diverged;
      const DropoutKey<T> key = m.items.key_of(job.seed, stream(job.first_step), 0);
      m.items.prepare_all(team, &key);
      if (first_) first_->load(n);
    }
    const auto alive = [&] {
      return std::any_of(members_.begin(), members_.end(), [](const auto& m) { return m->live; });
    };
    for (index i = job.first_step; i < job.last_step && alive(); ++i) {
      const index first = i * job.batch, done = i - job.first_step;
      if (done > 0 && watch.seconds() > job.budget) break;
      Step s{job,       done,      std::min(job.batch, job.n_order - first),
             stream(i), &job.data, job.order + first};
      step(team, s, learners, poller);
      poller(0);
    }
  });
}

template <class T>
std::vector<Evaluation> Trainer<T>::evaluate(const Data<T>& data, FunctionRef<void()> poll) {
  if (!first_) return {members_.front()->net.evaluate(data, 1, poll)};
  std::vector<Workspace<T>> workspaces;
  std::vector<Bf16Weights<T>> weights;
  std::vector<Aligned<T>> losses(size());
  std::vector<Aligned<std::int32_t>> predicted(size());
  std::vector<T*> sums;
  for (std::size_t n = 0; n < size(); ++n) {
    const Network<T>& net = members_[n]->net;
    const Keeps keeps{false, /*inputs=*/false, net.bf16()};
    workspaces.emplace_back(net.graph(), std::min(data.n, evaluation_rows), keeps);
    workspaces.back().set_inputs(x_.data());
    weights.emplace_back(net, /*transposed=*/false);
    net.use_running_statistics(workspaces.back());
    sums.push_back(workspaces.back().slots[1].y);
    losses[n].reserve(data.n);
    predicted[n].reserve(data.n);
  }
  parallel_team(1, [&](Team& team) {
    Poller poller(poll);
    for (std::size_t n = 0; n < size(); ++n) {
      first_->load(n);
      weights[n].pack_all(team, members_[n]->net.params());
    }
    for (index begin = 0; begin < data.n; begin += evaluation_rows) {
      const Range rows{0, std::min(evaluation_rows, data.n - begin)};
      members_.front()->net.load_inputs(data, nullptr, begin, x_.data(), x_stride_, rows);
      first_->forward(x_.data(), x_stride_, rows.end, sums.data(), workspaces[0].slots[1].stride);
      for (std::size_t n = 0; n < size(); ++n) {
        const Network<T>& net = members_[n]->net;
        Workspace<T>& w = workspaces[n];
        net.load_targets(data, nullptr, begin, w, rows);
        const Ops<T> ops(net, w, nullptr, &weights[n]);
        ops.finish(0, rows);
        for (std::size_t o = 1; o < net.graph().ops().size(); ++o) ops.forward_all(o, rows);
        net.loss_of_rows(data, w, rows, false, T(1));
        std::copy_n(w.row_loss.data(), rows.end, losses[n].data() + begin);
        std::copy_n(w.predicted.data(), rows.end, predicted[n].data() + begin);
      }
      poller(0);
    }
  });
  std::vector<Evaluation> results;
  for (std::size_t n = 0; n < size(); ++n) {
    results.push_back(mean_of_rows(data, losses[n].data(), predicted[n].data()));
  }
  return results;
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace fanin
