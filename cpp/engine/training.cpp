#include "engine/training.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "core/clock.hpp"
#include "kernels/gemm.hpp"

namespace fanin {

namespace {

constexpr index few_rows = 12;          // for each thread: fewer, and weights weigh more than rows
constexpr index piece_rows = 96;        // rows that one thread takes at a time
constexpr index item_elements = 12288;  // parameters that one thread updates at a time
constexpr double fused_flops = 2e9;     // a longer pass over parameters must stay interruptible

index parts_of(index n, index most) { return (n + most - 1) / most; }

}  // namespace

/// One step of training as all members see it.
template <class T>
struct Trainer<T>::Step {
  const TrainingJob<T>& job;
  StepCoefficients<T> coefficients;
  index first, rows;
  std::uint64_t number;
  double* loss;
  std::int64_t* correct;
  const std::atomic<bool>& stop;  // written by member 0 before the first meeting of a step
  bool last = false;              // what it said, the same for all
};

template <class T>
Trainer<T>::Trainer(Network<T>& network, index batch)
    : network_(network), rows_(std::min(batch, most_rows)), work_(network.layers(), rows_, true) {
  plan_items();
  index total = 0;
  for (std::size_t l = 0; l < network_.layers().size(); ++l) {
    transpose_offsets_.push_back(total);
    if (l > 0) total += (network_.layers()[l].in * network_.layers()[l].out + 15) / 16 * 16;
  }
  transposes_.reserve(total);
}

template <class T>
void Trainer<T>::plan_items() {
  for (std::size_t l = 0; l < network_.layers().size(); ++l) {
    const LayerSpec& spec = network_.layers()[l];
    const index step = std::max<index>(1, item_elements / spec.out / 12) * 12;
    for (index i = 0; i < spec.in; i += step) {
      const Range rows{i, std::min(i + step, spec.in)};
      items_.push_back({l, rows, false, network_.weight_offset(l) + i * spec.out,
                        (rows.end - rows.begin) * spec.out});
    }
    items_.push_back({l, {0, spec.out}, true, network_.bias_offset(l), spec.out});
  }
  for (const Item& item : items_) scratch_size_ = std::max(scratch_size_, item.size);
  squares_.resize(items_.size());
  gradient_squares_.resize(items_.size());
}

template <class T>
void Trainer<T>::transpose_rows(std::size_t layer, Range rows) {
  const LayerSpec& spec = network_.layers()[layer];
  const Transpose<T> t{network_.params() + network_.weight_offset(layer),
                       transposes_.data() + transpose_offsets_[layer], spec.in, spec.out};
  kernels<T>().transpose(t, rows);
}

template <class T>
void Trainer<T>::refresh_transposes(Team& team) {
  team.share(static_cast<index>(items_.size()), [&](index i) {
    const Item& item = items_[static_cast<std::size_t>(i)];
    if (item.layer > 0 && !item.bias) transpose_rows(item.layer, item.rows);
  });
}

template <class T>
double Trainer<T>::total_weight(const Data<T>& data, const std::int64_t* indices, index first,
                                index rows) const {
  if (!data.weights) return static_cast<double>(rows);
  double total = 0;
  for (index i = first; i < first + rows; ++i) {
    total += static_cast<double>(data.weights[indices ? indices[i] : i]);
  }
  return total > 0 ? total : 1;  // no weight: no loss and no gradient
}

template <class T>
void Trainer<T>::backward_layer(std::size_t l, const Batch& b, Range rows, Range cols) {
  const LayerSpec& spec = network_.layers()[l];
  const LayerSpec& below = network_.layers()[l - 1];
  const auto& upper = work_.layers[l];
  const auto& lower = work_.layers[l - 1];
  DenseBackwardInput<T> d{};
  d.dz = upper.dz;
  d.wt = transposes_.data() + transpose_offsets_[l];
  d.dx = lower.dz;
  d.in = spec.in;
  d.out = spec.out;
  d.dz_stride = upper.stride;
  d.dx_stride = lower.stride;
  d.derivative.slope = lower.slope;
  if (below.activation == Activation::relu) d.derivative.gate = lower.y;
  d.derivative.factor = b.dropout ? T(1.0 / below.keep) : T(1);
  kernels<T>().dense_backward_input(d, rows, cols);
}

/// Rows of a batch all the way forward and back: no thread waits for another.
template <class T>
void Trainer<T>::pass_rows(const Batch& b, Range rows, Poller& poll) {
  const auto& layers = network_.layers();
  network_.load_rows(*b.data, b.indices, b.first, work_, rows);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    network_.forward_layer(l, work_, rows, {0, layers[l].out}, b.dropout);
    poll();
  }
  network_.loss_of_rows(*b.data, work_, rows, true, b.scale);
  for (std::size_t l = layers.size() - 1; l > 0; --l) {
    backward_layer(l, b, rows, {0, layers[l].in});
    poll();
  }
}

/// The same for few rows: every thread takes all of them through its columns of each layer, so that
/// each weight is read by one thread only.
template <class T>
void Trainer<T>::pass_columns(Team& team, const Batch& b, Poller& poll) {
  const auto& layers = network_.layers();
  const Range rows{0, b.rows};
  const auto share_columns = [&](index cols, auto&& work) {
    const index pieces = std::min<index>(parts_of(cols, block_columns), 4 * team.size());
    team.share(pieces, [&](index i) {
      work(split(cols, block_columns, i, pieces));
      poll();
    });
  };
  team.share(b.rows,
             [&](index i) { network_.load_rows(*b.data, b.indices, b.first, work_, {i, i + 1}); });
  for (std::size_t l = 0; l < layers.size(); ++l) {
    share_columns(layers[l].out,
                  [&](Range cols) { network_.forward_layer(l, work_, rows, cols, b.dropout); });
  }
  team.share(1, [&](index) { network_.loss_of_rows(*b.data, work_, rows, true, b.scale); });
  for (std::size_t l = layers.size() - 1; l > 0; --l) {
    share_columns(layers[l].in, [&](Range cols) { backward_layer(l, b, rows, cols); });
  }
}

template <class T>
void Trainer<T>::pass(Team& team, const Batch& b, Poller& poll) {
  if (team.size() > 1 && b.rows < few_rows * team.size()) return pass_columns(team, b, poll);
  const index pieces =
      std::min<index>(b.rows, team.size() * parts_of(b.rows, team.size() * piece_rows));
  team.share(pieces, [&](index i) {
    pass_rows(b, {b.rows * i / pieces, b.rows * (i + 1) / pieces}, poll);
  });
}

template <class T>
double Trainer<T>::batch_loss(const Batch& b, index* correct) const {
  double loss = 0;
  for (index i = 0; i < b.rows; ++i) {
    loss += static_cast<double>(work_.row_loss.data()[i]);
    if (b.data->labels) *correct += work_.predicted.data()[i] == work_.labels.data()[i];
  }
  return loss;
}

template <class T>
void Trainer<T>::item_gradient(const Item& item, const Batch& b, T* gradient) {
  const LayerSpec& spec = network_.layers()[item.layer];
  const auto& layer = work_.layers[item.layer];
  if (item.bias) {
    kernels<T>().bias_gradient({layer.dz, gradient, b.rows, spec.out, layer.stride, b.accumulate},
                               {0, spec.out});
    return;
  }
  const bool first = item.layer == 0;
  const WeightGradient<T> w{first ? work_.x : work_.layers[item.layer - 1].y,
                            layer.dz,
                            b.rows,
                            spec.out,
                            first ? work_.x_stride : work_.layers[item.layer - 1].stride,
                            layer.stride,
                            b.accumulate};
  kernels<T>().weight_gradient(w, item.rows, gradient);
}

template <class T>
void Trainer<T>::update(const Item& item, const Step& s, T* gradient, double factor) {
  const TrainingJob<T>& job = s.job;
  OptimizerStep<T> o{};
  o.coefficients = s.coefficients;
  o.p = network_.params() + item.offset;
  o.g = gradient;
  for (int k = 0; k < state_count(job.rule.rule); ++k) o.state[k] = job.states[k] + item.offset;
  o.l2 = item.bias ? T(0) : T(job.l2);
  o.g_scale = T(factor);
  if (job.l2 > 0 && !item.bias) {
    squares_[static_cast<std::size_t>(&item - items_.data())] =
        static_cast<double>(kernels<T>().sum_squares(o.p, item.size));
  }
  kernels<T>().optimizer_step(o, {0, item.size});
  if (item.layer > 0 && !item.bias) transpose_rows(item.layer, item.rows);
}

/// One step: rows, then parameters. False, with nothing changed, where the loss is not finite.
template <class T>
bool Trainer<T>::step(Team& team, Step& s, T* scratch, Poller& poll) {
  const TrainingJob<T>& job = s.job;
  const index parts = parts_of(s.rows, rows_);
  const double flops = 2 * network_.madds() * static_cast<double>(s.rows);
  const bool fused = parts == 1 && job.clip_norm == 0 && flops < fused_flops;
  const double total = total_weight(job.data, job.order, s.first, s.rows);
  const T scale = T(1 / total);
  const index n_items = static_cast<index>(items_.size());
  double loss = 0, factor = 1;
  index correct = 0;
  Batch b{};
  for (index part = 0; part < parts; ++part) {
    const index begin = s.rows * part / parts, end = s.rows * (part + 1) / parts;
    const typename Network<T>::DropoutKey key{job.seed, s.number, begin};
    b = {&job.data, job.order, s.first + begin, end - begin, part > 0, scale, &key};
    pass(team, b, poll);
    s.last = s.stop;
    loss += batch_loss(b, &correct);
    if (fused) break;
    team.share(n_items, [&](index i) {
      const Item& item = items_[static_cast<std::size_t>(i)];
      item_gradient(item, b, gradient_.data() + item.offset);
      poll();
    });
  }
  loss /= total;
  if (!std::isfinite(loss)) return false;
  if (job.clip_norm > 0) {
    team.share(n_items, [&](index i) {
      const Item& item = items_[static_cast<std::size_t>(i)];
      gradient_squares_[static_cast<std::size_t>(i)] =
          static_cast<double>(kernels<T>().sum_squares(gradient_.data() + item.offset, item.size));
    });
    double squares = 0;
    for (const double q : gradient_squares_) squares += q;
    factor = std::min(1.0, job.clip_norm / (std::sqrt(squares) + 1e-6));
  }
  team.share(n_items, [&](index i) {
    const Item& item = items_[static_cast<std::size_t>(i)];
    T* gradient = fused ? scratch : gradient_.data() + item.offset;
    if (fused) item_gradient(item, b, gradient);
    update(item, s, gradient, factor);
  });
  if (team.member() == 0) {
    if (job.l2 > 0) {
      double squares = 0;
      for (std::size_t i = 0; i < items_.size(); ++i) squares += items_[i].bias ? 0 : squares_[i];
      loss += 0.5 * job.l2 * squares;
    }
    *s.loss = loss;
    *s.correct = correct;
  }
  return true;
}

template <class T>
TrainingProgress Trainer<T>::run(TrainingJob<T>& job, double* losses, std::int64_t* correct,
                                 FunctionRef<void()> poll) {
  const double flops = 6 * network_.madds() * static_cast<double>(std::min(job.batch, job.n_order));
  if (job.clip_norm > 0 || job.batch > rows_ || flops / 3 >= fused_flops) {
    gradient_.reserve(network_.size());
  }
  TrainingProgress progress;
  std::atomic<bool> stop = false;
  bool diverged = false;
  const Stopwatch watch;
  parallel_team(useful_threads(job.threads, flops), [&](Team& team) {
    Poller poller(team, poll);
    Aligned<T> scratch(scratch_size_);
    RuleClock clock = job.clock;
    refresh_transposes(team);
    for (index i = job.first_step; i < job.last_step; ++i) {
      const index first = i * job.batch, done = i - job.first_step;
      RuleClock next = clock;
      Step s{job,
             advance<T>(job.rule, next, job.lr[done]),
             first,
             std::min(job.batch, job.n_order - first),
             job.first_stream + static_cast<std::uint64_t>(i),
             losses + done,
             correct + done,
             stop};
      if (team.member() == 0 && watch.seconds() > job.budget) stop = true;
      const bool whole = step(team, s, scratch.data(), poller);
      if (whole) clock = next;
      if (team.member() == 0) {
        progress.steps += whole;
        job.clock = clock;
        diverged = !whole;
      }
      if (!whole || s.last) break;
    }
  });
  progress.diverged = diverged;
  return progress;
}

template <class T>
Evaluation Trainer<T>::gradient(const Data<T>& data, double l2, T* gradient, int threads,
                                const typename Network<T>::DropoutKey* dropout,
                                FunctionRef<void()> poll) {
  const double flops = 6 * network_.madds() * static_cast<double>(data.n);
  Evaluation e;
  parallel_team(useful_threads(threads, flops), [&](Team& team) {
    Poller poller(team, poll);
    refresh_transposes(team);
    const double total = total_weight(data, nullptr, 0, data.n);
    const T scale = T(1 / total);
    const index parts = parts_of(data.n, rows_);
    double loss = 0;
    index correct = 0;
    for (index part = 0; part < parts; ++part) {
      const index begin = data.n * part / parts, end = data.n * (part + 1) / parts;
      typename Network<T>::DropoutKey key{};
      if (dropout) key = {dropout->seed, dropout->step, begin};
      const Batch b{&data, nullptr, begin, end - begin, part > 0, scale, dropout ? &key : nullptr};
      pass(team, b, poller);
      loss += batch_loss(b, &correct);
      team.share(static_cast<index>(items_.size()), [&](index i) {
        const Item& item = items_[static_cast<std::size_t>(i)];
        item_gradient(item, b, gradient + item.offset);
        if (part + 1 < parts || item.bias || l2 == 0) return;
        OptimizerStep<T> o{};  // g += l2 * w is one step of SGD on g with lr = -l2
        RuleClock clock;
        o.coefficients = advance<T>({}, clock, -l2);
        o.p = gradient + item.offset;
        o.g = network_.params() + item.offset;
        o.g_scale = T(1);
        squares_[static_cast<std::size_t>(i)] =
            static_cast<double>(kernels<T>().sum_squares(o.g, item.size));
        kernels<T>().optimizer_step(o, {0, item.size});
      });
    }
    if (team.member() != 0) return;
    e = {loss / total, correct};
    for (std::size_t i = 0; l2 > 0 && i < items_.size(); ++i) {
      e.loss += items_[i].bias ? 0 : 0.5 * l2 * squares_[i];
    }
  });
  return e;
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace fanin
