#include "engine/network/network.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/clock.hpp"
#include "core/cpu.hpp"
#include "engine/network/ops.hpp"
#include "engine/statistics/batch_moments.hpp"

namespace fanin {

namespace {

constexpr double madds_per_draw = 16;    // in time
constexpr double statistics_rate = 0.1;  // of running statistics towards a minibatch's

/// What a parameter holds before it is initialised or trained.
double start_of(Role role) {
  switch (role) {
    case Role::gamma:
    case Role::running_variance:
      return 1;
    case Role::slopes:
      return 0.25;  // He et al. (2015)
    case Role::weights:
    case Role::bias:
    case Role::beta:
    case Role::running_mean:
      break;
  }
  return 0;
}

template <class T>
constexpr index elements_per_line = 64 / static_cast<index>(sizeof(T));

}  // namespace

template <class T>
Network<T>::Network(std::vector<LayerSpec> layers, const LossSpec& loss, Dropping dropping,
                    Compute compute)
    : graph_(std::move(layers), elements_per_line<T>),
      loss_(loss),
      dropping_(dropping),
      compute_(compute) {
  levels_ = levels_of<T>(loss, out());
  params_.reserve(size());
  for (const Parameter& p : graph_.parameters()) {
    std::fill_n(params() + p.offset, p.size(), T(start_of(p.role)));
  }
}

template <class T>
double Network<T>::madds() const {
  double total = 0;
  for (const Op& op : graph_.ops()) {
    if (op.kind != OpKind::dense) continue;
    const Parameter& weights = graph_.parameters()[op.parameters];
    total += static_cast<double>(weights.size()) * (has_row_masks(op) ? madds_per_draw : 1);
  }
  return total;
}

template <class T>
bool Network<T>::is_wide(const Op& op) const {
  const index weights = op.kind == OpKind::dense ? graph_.parameters()[op.parameters].size() : 0;
  return weights * static_cast<index>(sizeof(T)) > core_cache_bytes();
}

template <class T>
T Network<T>::output_scale(const Op& op, bool training) const {
  if (dropping_.vanilla) return T(training ? 1 : op.keep);
  return T(training ? 1 / op.keep : 1);
}

template <class T>
Dropout<T> Network<T>::weight_mask(const Op& op, const DropoutKey<T>& key, index first_row) const {
  return {key.seed, stream_of(Purpose::drop_connect, op.layer, key.step), first_row,
          keep_threshold(op.keep_weights), T(1 / op.keep_weights)};
}

template <class T>
void Network<T>::use_running_statistics(Workspace<T>& w) const {
  for (std::size_t o = 0; o < graph_.ops().size(); ++o) {
    const Op& op = graph_.ops()[o];
    if (op.kind != OpKind::batch_norm) continue;
    const T *mean = parameter(op, 2), *variance = parameter(op, 3);
    for (index j = 0; j < graph_.slots()[op.out].width; ++j) {
      w.ops[o].mean[j] = mean[j];
      w.ops[o].inverse[j] = inverse_deviation(variance[j]);
    }
  }
}

/// The running variance is that of the population, estimated from a minibatch: over rows - 1.
template <class T>
void Network<T>::update_running_statistics(const Workspace<T>& w, index rows) {
  const T keep = T(1 - statistics_rate), unbiased = T(rows) / T(std::max<index>(rows - 1, 1));
  for (std::size_t o = 0; o < graph_.ops().size(); ++o) {
    const Op& op = graph_.ops()[o];
    if (op.kind != OpKind::batch_norm) continue;
    T *mean = parameter(op, 2), *variance = parameter(op, 3);
    for (index j = 0; j < graph_.slots()[op.out].width; ++j) {
      mean[j] = keep * mean[j] + T(statistics_rate) * w.ops[o].mean[j];
      variance[j] = keep * variance[j] + T(statistics_rate) * (w.ops[o].variance[j] * unbiased);
    }
  }
}

/// One member's squares of a layer's inputs and variances of its sums.
template <class T>
struct Network<T>::Moments {
  Aligned<T> squared, variance;
};

namespace {

/// to = from * from on whole rows.
template <class T>
void square(const T* from, T* to, index cols, index stride, Range rows) {
  kernels<T>().activation_backward({from, to, {from, nullptr, T(1)}, cols, stride}, rows);
}

}  // namespace

template <class T>
void Network<T>::square_weights(const Op& op, T* squares) const {
  const Parameter& weights = graph_.parameters()[op.parameters];
  square(params() + weights.offset, squares + weights.offset, weights.cols, weights.cols,
         {0, weights.rows});
}

/// A dense op at test time: its sums have mean x W + b and variance (1 - p) / p * x^2 W^2.
template <class T>
void Network<T>::forward_moments(const Op& op, Workspace<T>& w, Range rows, const T* squares,
                                 Moments& moments) const {
  const DenseForward<T> mean = Ops<T>(*this, w, nullptr).product(op);
  T* const panels = thread_scratch<T>(product_scratch<T>);
  kernels<T>().dense_forward(mean, rows, {0, mean.out}, panels);
  moments.squared.reserve(w.rows * mean.x_stride);
  moments.variance.reserve(w.rows * mean.y_stride);
  square(mean.x, moments.squared.data(), mean.in, mean.x_stride, rows);
  DenseForward<T> variance = mean;
  variance.x = moments.squared.data();
  variance.w = squares + offset(op, 0);
  variance.b = nullptr;
  variance.y = moments.variance.data();
  kernels<T>().dense_forward(variance, rows, {0, mean.out}, panels);
  const GaussianActivation<T> activation{mean.y,
                                         variance.y,
                                         mean.y,
                                         op.activation,
                                         T((1 - op.keep_weights) / op.keep_weights),
                                         output_scale(op, false),
                                         mean.out,
                                         mean.y_stride};
  kernels<T>().gaussian_activation(activation, rows);
}

template <class T>
void Network<T>::load_rows(const Data<T>& data, const std::int64_t* indices, index first,
                           Workspace<T>& w, Range rows) const {
  load_inputs(data, indices, first, w.slots.front().y, w.slots.front().stride, rows);
  load_targets(data, indices, first, w, rows);
}

template <class T>
void Network<T>::load_inputs(const Data<T>& data, const std::int64_t* indices, index first, T* x,
                             index x_stride, Range rows) const {
  GatherRows<T> g{data.data, data.dtype, indices ? indices + first : nullptr,
                  data.mean, data.scale, data.per_column,
                  x,         in(),       x_stride};
  if (!data.packed()) {
    const index n = rows.end - rows.begin;
    char* packed = thread_scratch<char>(n * in() * item_size(data.dtype));
    data.pack(indices, {first + rows.begin, first + rows.end}, {0, in()}, packed);
    g.data = packed;
    g.indices = nullptr;
    g.out += rows.begin * x_stride;
    return kernels<T>().gather_rows(g, {0, n});
  }
  if (!indices) g.data = data.row(first);
  kernels<T>().gather_rows(g, rows);
}

template <class T>
void Network<T>::load_targets(const Data<T>& data, const std::int64_t* indices, index first,
                              Workspace<T>& w, Range rows) const {
  const auto row_of = [&](index i) { return indices ? indices[first + i] : first + i; };
  for (index i = rows.begin; i < rows.end; ++i) {
    if (data.labels) w.labels.data()[i] = data.labels[row_of(i)];
    if (data.weights) w.weights.data()[i] = data.weights[row_of(i)];
    if (data.soft) {
      std::copy_n(data.soft + row_of(i) * out(), out(), w.soft.data() + i * out());
    }
  }
}

template <class T>
void Network<T>::loss_of_rows(const Data<T>& data, Workspace<T>& w, Range rows, bool gradient,
                              T scale) const {
  const auto& last = w.slots.back();
  LossRows<T> r{};
  r.loss = loss_.loss;
  r.scores = last.y;
  r.labels = data.labels ? w.labels.data() : nullptr;
  r.soft = data.soft ? w.soft.data() : nullptr;
  r.weights = data.weights ? w.weights.data() : nullptr;
  r.scale = scale;
  r.row_loss = w.row_loss.data();
  r.dscores = gradient ? last.d : nullptr;
  r.predicted = w.predicted.data();
  r.classes = out();
  r.stride = last.stride;
  r.soft_stride = out();
  r.mean = loss_.mean;
  r.smoothing = T(loss_.smoothing);
  r.sharpness = T(1 / loss_.temperature);
  r.delta = T(loss_.delta);
  r.levels = levels_.data();
  r.positive = data.positive;
  kernels<T>().loss_rows(r, rows);
}

/// Runs all rows forward, block by block on whichever thread is free, and hands each block to
/// use(workspace, first row, rows).
template <class T>
template <class F>
void Network<T>::for_row_blocks(const Data<T>& data, int threads, FunctionRef<void()> poll,
                                F&& use) const {
  const index blocks = (data.n + evaluation_rows - 1) / evaluation_rows;
  const double flops = 2 * madds() * static_cast<double>(data.n);
  const int team_size =
      static_cast<int>(std::min<index>(useful_threads(threads, flops), std::max<index>(blocks, 1)));
  Aligned<T> squares;
  for (const Op& op : graph_.ops()) {
    if (!by_moments(op)) continue;
    squares.reserve(size());
    square_weights(op, squares.data());
  }
  Bf16Weights<T> weights(*this, /*transposed=*/false);
  parallel_team(team_size, [&](Team& team) {
    weights.pack_all(team, params());
    std::vector<std::optional<Workspace<T>>> workspaces(static_cast<std::size_t>(team.size()));
    std::vector<Moments> moments(static_cast<std::size_t>(team.size()));
    Poller poller(poll);
    team.share(blocks, [&](index b, int member) {
      auto& own = workspaces[static_cast<std::size_t>(member)];
      if (!own) {
        own.emplace(graph_, std::min(data.n, evaluation_rows), Keeps{false, true, bf16()});
        use_running_statistics(*own);
      }
      Workspace<T>& w = *own;
      const Range block{data.n * b / blocks, data.n * (b + 1) / blocks};
      const Range rows{0, block.end - block.begin};
      load_rows(data, nullptr, block.begin, w, rows);
      for (std::size_t o = 0; o < graph_.ops().size(); ++o) {
        const Op& op = graph_.ops()[o];
        if (by_moments(op)) {
          forward_moments(op, w, rows, squares.data(), moments[static_cast<std::size_t>(member)]);
        } else {
          Ops<T>(*this, w, nullptr, &weights).forward_all(o, rows);
        }
      }
      use(w, block.begin, rows);
      poller(member);
    });
  });
}

template <class T>
void Network<T>::scores(const Data<T>& data, T* result, int threads,
                        FunctionRef<void()> poll) const {
  for_row_blocks(data, threads, poll, [&](Workspace<T>& w, index first, Range rows) {
    const auto& last = w.slots.back();
    for (index i = rows.begin; i < rows.end; ++i) {
      std::copy_n(last.y + i * last.stride, out(), result + (first + i) * out());
    }
  });
}

template <class T>
Evaluation Network<T>::evaluate(const Data<T>& data, int threads, FunctionRef<void()> poll) const {
  Aligned<T> losses(data.n);
  Aligned<std::int32_t> predicted(data.n);
  for_row_blocks(data, threads, poll, [&](Workspace<T>& w, index first, Range rows) {
    loss_of_rows(data, w, rows, false, T(1));
    std::copy_n(w.row_loss.data(), rows.end, losses.data() + first);
    std::copy_n(w.predicted.data(), rows.end, predicted.data() + first);
  });
  return mean_of_rows(data, losses.data(), predicted.data());
}

template <class T>
Evaluation mean_of_rows(const Data<T>& data, const T* losses, const std::int32_t* predicted) {
  Evaluation e;
  double weight = 0;
  for (index i = 0; i < data.n; ++i) {
    e.loss += static_cast<double>(losses[i]);
    weight += data.weights ? static_cast<double>(data.weights[i]) : 1.0;
    if (data.labels) e.correct += predicted[i] == data.labels[i];
  }
  e.loss /= weight;
  return e;
}

template Evaluation mean_of_rows(const Data<float>&, const float*, const std::int32_t*);
template Evaluation mean_of_rows(const Data<double>&, const double*, const std::int32_t*);
template class Network<float>;
template class Network<double>;

}  // namespace fanin
