#include "engine/network/training.hpp"

#include <algorithm>
#include <cmath>

namespace fanin {

namespace {

constexpr double fused_flops = 2e9;  // a longer pass over parameters must stay interruptible

index parts_of(index n, index most) { return (n + most - 1) / most; }

template <class T>
double total_weight(const Data<T>& data, const std::int64_t* indices, index first, index rows) {
  if (!data.weights) return static_cast<double>(rows);
  double total = 0;
  for (index i = first; i < first + rows; ++i) {
    total += static_cast<double>(data.weights[indices ? indices[i] : i]);
  }
  return total > 0 ? total : 1;  // no weight: no loss and no gradient
}

}  // namespace

/// One step of training.
template <class T>
struct Trainer<T>::Step {
  const TrainingJob<T>& job;
  StepCoefficients<T> coefficients;
  index first, rows;
  std::uint64_t number;
  double* loss;
  std::int64_t* correct;
};

template <class T>
Trainer<T>::Trainer(Network<T>& network, index batch)
    : network_(network), items_(network), pass_(network, items_, std::min(batch, workspace_rows)) {}

/// Memory for minibatches' images, for whole gradients where a step cannot use them up item by
/// item, and for an item's.
template <class T>
void Trainer<T>::reserve(const TrainingJob<T>& job, int members) {
  const index rows = std::min(job.batch, job.n_order);
  if (job.augmentation) {
    augmented_.begin(*job.augmentation, job.data, rows, network_.out(), members);
  }
  const double flops = 2 * network_.madds() * static_cast<double>(rows);
  if (job.clip_norm > 0 || job.batch > pass_.rows() || flops >= fused_flops) {
    gradient_.reserve(network_.size());
  }
  scratch_.resize(static_cast<std::size_t>(members));
  for (Aligned<T>& own : scratch_) own.reserve(items_.largest());
}

template <class T>
double Trainer<T>::clip_factor(Team& team, double norm) {
  items_.sum_squares(team, gradient_.data());
  return std::min(1.0, norm / (std::sqrt(items_.total_squares(true)) + 1e-6));
}

/// One step: rows, then parameters. False, with nothing changed, where the loss is not finite.
template <class T>
bool Trainer<T>::step(Team& team, const Step& s, Poller& poll) {
  const TrainingJob<T>& job = s.job;
  const Data<T>* data = &job.data;
  const std::int64_t* indices = job.order + s.first;
  if (job.augmentation) {
    data = &augmented_.make(team, indices, s.rows, poll);
    indices = nullptr;
  }
  const index parts = parts_of(s.rows, pass_.rows());
  const double flops = 2 * network_.madds() * static_cast<double>(s.rows);
  const bool fused = parts == 1 && job.clip_norm == 0 && flops < fused_flops;
  const double total = total_weight(*data, indices, 0, s.rows);
  double loss = 0;
  index correct = 0;
  auto key = items_.key_of(job.seed, s.number, 0);
  Batch<T> b{};
  for (index part = 0; part < parts; ++part) {
    const index begin = s.rows * part / parts, end = s.rows * (part + 1) / parts;
    key.first_row = begin;
    b = {data, indices, begin, end - begin, part > 0, part + 1 == parts, T(1 / total), &key};
    pass_.run(team, b, poll);
    loss += pass_.loss(b, &correct);
    if (fused) break;
    items_.share(team, [&](const ParameterItem& item, int member) {
      pass_.gradient(item, b, gradient_.data() + item.offset);
      poll(member);
    });
  }
  loss /= total;
  if (!std::isfinite(loss)) return false;
  const double factor = job.clip_norm > 0 ? clip_factor(team, job.clip_norm) : 1.0;
  const ParameterUpdate<T> u{s.coefficients, job.rule.rule, job.states, job.l2, factor};
  const auto next = items_.key_of(job.seed, s.number + 1, 0);
  items_.share(team, [&](const ParameterItem& item, int member) {
    T* gradient =
        fused ? scratch_[static_cast<std::size_t>(member)].data() : gradient_.data() + item.offset;
    if (fused) {
      items_.prefetch(item, u);
      pass_.gradient(item, b, gradient);
    }
    items_.update(item, u, gradient);
    items_.prepare(item, &next);
  });
  if (job.l2 > 0) loss += 0.5 * job.l2 * items_.total_squares(false);
  *s.loss = loss;
  *s.correct = correct;
  return true;
}

template <class T>
TrainingProgress Trainer<T>::run(TrainingJob<T>& job, double* losses, std::int64_t* correct,
                                 FunctionRef<void()> poll) {
  const double rows = static_cast<double>(std::min(job.batch, job.n_order));
  const double augmentation = job.augmentation ? job.augmentation->flops() : 0;
  const double flops = (6 * network_.madds() + augmentation) * rows;
  TrainingProgress progress;
  const Stopwatch watch;
  parallel_team(useful_threads(job.threads, flops), [&](Team& team) {
    Poller poller(poll);
    reserve(job, team.size());
    const auto first_step = static_cast<std::uint64_t>(job.first_step);
    const auto key = items_.key_of(job.seed, job.first_stream + first_step, 0);
    items_.prepare_all(team, &key);
    for (index i = job.first_step; i < job.last_step; ++i) {
      const index first = i * job.batch, done = i - job.first_step;
      if (done > 0 && watch.seconds() > job.budget) break;
      RuleClock next = job.clock;
      const Step s{job,
                   advance<T>(job.rule, next, job.lr[done]),
                   first,
                   std::min(job.batch, job.n_order - first),
                   job.first_stream + static_cast<std::uint64_t>(i),
                   losses + done,
                   correct + done};
      if (!step(team, s, poller)) {
        progress.diverged = true;
        break;
      }
      job.clock = next;
      ++progress.steps;
    }
  });
  return progress;
}

template <class T>
Evaluation Trainer<T>::gradient(const Data<T>& data, double l2, T* gradient, int threads,
                                const typename Network<T>::DropoutKey* dropout,
                                FunctionRef<void()> poll) {
  const double flops = 6 * network_.madds() * static_cast<double>(data.n);
  const double total = total_weight(data, nullptr, 0, data.n);
  const index parts = parts_of(data.n, pass_.rows());
  Evaluation e;
  parallel_team(useful_threads(threads, flops), [&](Team& team) {
    Poller poller(poll);
    auto key = dropout ? items_.key_of(dropout->seed, dropout->step, 0) : items_.key_of(0, 0, 0);
    const auto* masks = dropout ? &key : nullptr;
    items_.prepare_all(team, masks);
    for (index part = 0; part < parts; ++part) {
      const index begin = data.n * part / parts, end = data.n * (part + 1) / parts;
      key.first_row = begin;
      const Batch<T> b{&data,    nullptr,           begin,        end - begin,
                       part > 0, part + 1 == parts, T(1 / total), masks};
      pass_.run(team, b, poller);
      e.loss += pass_.loss(b, &e.correct);
      items_.share(team, [&](const ParameterItem& item, int) {
        T* g = gradient + item.offset;
        pass_.gradient(item, b, g);
        if (part + 1 == parts && !item.bias && l2 != 0) items_.add_l2(item, l2, g);
      });
    }
  });
  e.loss /= total;
  if (l2 > 0) e.loss += 0.5 * l2 * items_.total_squares(false);
  return e;
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace fanin
