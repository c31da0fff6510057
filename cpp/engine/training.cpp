#include "engine/training.hpp"

#include <algorithm>
#include <cmath>

#include "core/clock.hpp"
#include "kernels/gemm.hpp"

namespace fanin {

namespace {

constexpr index few_rows = 12;         // for each thread: fewer, and weights weigh more than rows
constexpr index piece_rows = 96;       // rows that one thread takes at a time
constexpr index drawn_rows = 8;        // the same where each row has masks to draw
constexpr index item_elements = 3072;  // parameters that one thread updates at a time
constexpr double fused_flops = 2e9;    // a longer pass over parameters must stay interruptible

index parts_of(index n, index most) { return (n + most - 1) / most; }

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
    : network_(network), rows_(std::min(batch, most_rows)), work_(network.layers(), rows_, true) {
  plan_items();
  index total = 0;
  for (std::size_t l = 0; l < network_.layers().size(); ++l) {
    transpose_offsets_.push_back(total);
    if (l > 0) total += (network_.layers()[l].in * network_.layers()[l].out + 15) / 16 * 16;
  }
  transposes_.reserve(total);
  for (std::size_t l = 0; l < network_.layers().size(); ++l) {
    if (network_.shares_weight_mask(l)) masked_.reserve(network_.size());
  }
}

template <class T>
void Trainer<T>::plan_items() {
  std::size_t square = 0;
  for (std::size_t l = 0; l < network_.layers().size(); ++l) {
    const LayerSpec& spec = network_.layers()[l];
    const index step = std::max<index>(1, item_elements / spec.out / 12) * 12;
    for (index i = 0; i < spec.in; i += step) {
      const Range rows{i, std::min(i + step, spec.in)};
      items_.push_back({l, rows, false, network_.weight_offset(l) + i * spec.out,
                        (rows.end - rows.begin) * spec.out, square});
      square += static_cast<std::size_t>(rows.end - rows.begin);
    }
    items_.push_back({l, {0, spec.out}, true, network_.bias_offset(l), spec.out, square++});
  }
  for (const Item& item : items_) scratch_size_ = std::max(scratch_size_, item.size);
  squares_.resize(square);
}

template <class T>
typename Network<T>::DropoutKey Trainer<T>::key_of(std::uint64_t seed, std::uint64_t step,
                                                   index first) const {
  return {seed, step, first, masked_.data()};
}

/// The mask that all rows share, applied to an item's weights or their gradient.
template <class T>
void Trainer<T>::mask_weights(const Item& item, const typename Network<T>::DropoutKey& key,
                              const T* from, T* to) const {
  const index out = network_.layers()[item.layer].out;
  const Dropout<T> mask = network_.weight_mask(item.layer, key, item.rows.begin);
  kernels<T>().activation_forward({from, to, {Activation::identity, mask, nullptr}, out, out},
                                  {0, item.rows.end - item.rows.begin});
}

/// An item's weights as the next products take them: masked, then transposed.
template <class T>
void Trainer<T>::prepare(const Item& item, const typename Network<T>::DropoutKey* dropout) {
  if (item.bias) return;
  const T* arena = network_.params();
  if (dropout && network_.shares_weight_mask(item.layer)) {
    mask_weights(item, *dropout, arena + item.offset, masked_.data() + item.offset);
    arena = masked_.data();
  }
  if (item.layer == 0) return;
  const LayerSpec& spec = network_.layers()[item.layer];
  const Transpose<T> t{arena + network_.weight_offset(item.layer),
                       transposes_.data() + transpose_offsets_[item.layer], spec.in, spec.out};
  kernels<T>().transpose(t, item.rows);
}

template <class T>
void Trainer<T>::reserve_scratch(int members) {
  scratch_.resize(static_cast<std::size_t>(members));
  for (Aligned<T>& room : scratch_) room.reserve(scratch_size_);
}

/// Runs work(item, member) for each item.
template <class T>
template <class F>
void Trainer<T>::share_items(Team& team, F&& work) {
  team.share(static_cast<index>(items_.size()),
             [&](index i, int member) { work(items_[static_cast<std::size_t>(i)], member); });
}

template <class T>
void Trainer<T>::prepare_all(Team& team, const typename Network<T>::DropoutKey* dropout) {
  share_items(team, [&](const Item& item, int) { prepare(item, dropout); });
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
  d.derivative.factor = network_.output_scale(l - 1, b.dropout != nullptr);
  if (b.dropout && network_.has_row_masks(l)) {
    d.w = network_.params() + network_.weight_offset(l);
    const RowMasks<T> masks{network_.weight_mask(l, *b.dropout, b.dropout->first_row), spec.in};
    return kernels<T>().drop_connect_backward_input(d, masks, rows, cols);
  }
  kernels<T>().dense_backward_input(d, rows, cols);
}

/// Rows of a batch all the way forward and back: no thread waits for another.
template <class T>
void Trainer<T>::pass_rows(const Batch& b, Range rows, int member, Poller& poll) {
  const auto& layers = network_.layers();
  network_.load_rows(*b.data, b.indices, b.first, work_, rows);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    network_.forward_layer(l, work_, rows, {0, layers[l].out}, b.dropout);
    poll(member);
  }
  network_.loss_of_rows(*b.data, work_, rows, true, b.scale);
  for (std::size_t l = layers.size() - 1; l > 0; --l) {
    backward_layer(l, b, rows, {0, layers[l].in});
    poll(member);
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
    team.share(pieces, [&](index i, int member) {
      work(split(cols, block_columns, i, pieces));
      poll(member);
    });
  };
  team.share(b.rows, [&](index i, int) {
    network_.load_rows(*b.data, b.indices, b.first, work_, {i, i + 1});
  });
  for (std::size_t l = 0; l < layers.size(); ++l) {
    share_columns(layers[l].out,
                  [&](Range cols) { network_.forward_layer(l, work_, rows, cols, b.dropout); });
  }
  network_.loss_of_rows(*b.data, work_, rows, true, b.scale);
  for (std::size_t l = layers.size() - 1; l > 0; --l) {
    share_columns(layers[l].in, [&](Range cols) { backward_layer(l, b, rows, cols); });
  }
}

template <class T>
void Trainer<T>::pass(Team& team, const Batch& b, Poller& poll) {
  if (team.size() > 1 && b.rows < few_rows * team.size()) return pass_columns(team, b, poll);
  const index most = b.dropout && network_.dropping().row_masks ? drawn_rows : piece_rows;
  const index pieces = std::min<index>(b.rows, team.size() * parts_of(b.rows, team.size() * most));
  team.share(pieces, [&](index i, int member) {
    pass_rows(b, {b.rows * i / pieces, b.rows * (i + 1) / pieces}, member, poll);
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
  if (b.dropout && network_.has_row_masks(item.layer)) {
    const Dropout<T> draws = network_.weight_mask(item.layer, *b.dropout, b.dropout->first_row);
    return kernels<T>().drop_connect_weight_gradient(w, {draws, spec.in}, item.rows, gradient);
  }
  kernels<T>().weight_gradient(w, item.rows, gradient);
  if (b.last && b.dropout && network_.shares_weight_mask(item.layer)) {
    mask_weights(item, *b.dropout, gradient, gradient);
  }
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
    sum_row_squares(item, o.p);
  }
  kernels<T>().optimizer_step(o, {0, item.size});
  const auto next = key_of(job.seed, s.number + 1, 0);
  prepare(item, &next);
}

/// Asks for what the update of an item will change, while its gradient is on the way: the weights
/// are in the other threads' caches too, and the short pieces are over before hardware sees
/// streams.
template <class T>
void Trainer<T>::prefetch_update(const Item& item, const TrainingJob<T>& job) const {
  constexpr index line = 64 / sizeof(T);
  const auto ask = [&](const T* arena) {
    for (index i = 0; i < item.size; i += line) prefetch_for_write(arena + item.offset + i);
  };
  ask(network_.params());
  for (int k = 0; k < state_count(job.rule.rule); ++k) ask(job.states[k]);
}

/// Sums of squares by row, so that their total does not depend on how parameters are cut to items.
template <class T>
void Trainer<T>::sum_row_squares(const Item& item, const T* p) {
  const index width = network_.layers()[item.layer].out;
  double* to = squares_.data() + item.square;
  for (index i = 0; i < item.size; i += width) {
    *to++ = static_cast<double>(kernels<T>().sum_squares(p + i, width));
  }
}

template <class T>
double Trainer<T>::total_squares(bool biases) const {
  double total = 0;
  const double* next = squares_.data();
  for (const LayerSpec& spec : network_.layers()) {
    for (const double* end = next + spec.in; next < end; ++next) total += *next;
    total += biases ? *next : 0;
    ++next;
  }
  return total;
}

template <class T>
double Trainer<T>::clip_factor(Team& team, double norm) {
  share_items(
      team, [&](const Item& item, int) { sum_row_squares(item, gradient_.data() + item.offset); });
  return std::min(1.0, norm / (std::sqrt(total_squares(true)) + 1e-6));
}

/// One step: rows, then parameters. False, with nothing changed, where the loss is not finite.
template <class T>
bool Trainer<T>::step(Team& team, const Step& s, Poller& poll) {
  const TrainingJob<T>& job = s.job;
  const index parts = parts_of(s.rows, rows_);
  const double flops = 2 * network_.madds() * static_cast<double>(s.rows);
  const bool fused = parts == 1 && job.clip_norm == 0 && flops < fused_flops;
  const double total = total_weight(job.data, job.order, s.first, s.rows);
  double loss = 0;
  index correct = 0;
  auto key = key_of(job.seed, s.number, 0);
  Batch b{};
  for (index part = 0; part < parts; ++part) {
    const index begin = s.rows * part / parts, end = s.rows * (part + 1) / parts;
    key.first_row = begin;
    b = {&job.data, job.order,         s.first + begin, end - begin,
         part > 0,  part + 1 == parts, T(1 / total),    &key};
    pass(team, b, poll);
    loss += batch_loss(b, &correct);
    if (fused) break;
    share_items(team, [&](const Item& item, int member) {
      item_gradient(item, b, gradient_.data() + item.offset);
      poll(member);
    });
  }
  loss /= total;
  if (!std::isfinite(loss)) return false;
  const double factor = job.clip_norm > 0 ? clip_factor(team, job.clip_norm) : 1.0;
  share_items(team, [&](const Item& item, int member) {
    T* gradient =
        fused ? scratch_[static_cast<std::size_t>(member)].data() : gradient_.data() + item.offset;
    if (fused) {
      prefetch_update(item, job);
      item_gradient(item, b, gradient);
    }
    update(item, s, gradient, factor);
  });
  if (job.l2 > 0) loss += 0.5 * job.l2 * total_squares(false);
  *s.loss = loss;
  *s.correct = correct;
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
  const Stopwatch watch;
  parallel_team(useful_threads(job.threads, flops), [&](Team& team) {
    Poller poller(poll);
    reserve_scratch(team.size());
    const auto key =
        key_of(job.seed, job.first_stream + static_cast<std::uint64_t>(job.first_step), 0);
    prepare_all(team, &key);
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
  const index parts = parts_of(data.n, rows_);
  Evaluation e;
  parallel_team(useful_threads(threads, flops), [&](Team& team) {
    Poller poller(poll);
    auto key = dropout ? key_of(dropout->seed, dropout->step, 0) : key_of(0, 0, 0);
    const auto* masks = dropout ? &key : nullptr;
    prepare_all(team, masks);
    for (index part = 0; part < parts; ++part) {
      const index begin = data.n * part / parts, end = data.n * (part + 1) / parts;
      key.first_row = begin;
      const Batch b{&data,    nullptr,           begin,        end - begin,
                    part > 0, part + 1 == parts, T(1 / total), masks};
      pass(team, b, poller);
      e.loss += batch_loss(b, &e.correct);
      share_items(team, [&](const Item& item, int) {
        item_gradient(item, b, gradient + item.offset);
        if (part + 1 == parts && !item.bias && l2 != 0) add_l2(item, l2, gradient + item.offset);
      });
    }
  });
  e.loss /= total;
  if (l2 > 0) e.loss += 0.5 * l2 * total_squares(false);
  return e;
}

/// g += l2 * w over an item's weights: one step of SGD on g with lr = -l2.
template <class T>
void Trainer<T>::add_l2(const Item& item, double l2, T* gradient) {
  OptimizerStep<T> o{};
  RuleClock clock;
  o.coefficients = advance<T>({}, clock, -l2);
  o.p = gradient;
  o.g = network_.params() + item.offset;
  o.g_scale = T(1);
  sum_row_squares(item, o.g);
  kernels<T>().optimizer_step(o, {0, item.size});
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace fanin
