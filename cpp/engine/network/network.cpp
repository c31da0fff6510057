#include "engine/network/network.hpp"

#include <algorithm>
#include <optional>

#include "core/aligned.hpp"
#include "core/clock.hpp"

namespace fanin {

namespace {

constexpr double madds_per_draw = 16;  // in time

}  // namespace

template <class T>
Workspace<T>::Workspace(const std::vector<LayerSpec>& specs, index n_rows, bool backward,
                        bool inputs)
    : rows(n_rows), x_stride(padded<T>(specs.front().in)), layers(specs.size()) {
  index total = inputs ? rows * x_stride : 0;
  for (std::size_t l = 0; l < specs.size(); ++l) {
    layers[l].stride = padded<T>(specs[l].out);
    total += 3 * rows * layers[l].stride;
  }
  memory_.reserve(total);
  T* next = memory_.data();
  const auto take = [&](index n) {
    T* p = next;
    next += n;
    return p;
  };
  x = inputs ? take(rows * x_stride) : nullptr;
  for (std::size_t l = 0; l < specs.size(); ++l) {
    const index n = rows * layers[l].stride;
    const bool last = l + 1 == specs.size();
    layers[l].y = take(n);
    const bool slope = backward && !last && needs_slope(specs[l].activation, specs[l].keep < 1);
    layers[l].slope = slope ? take(n) : nullptr;
    // The gradient over the scores takes their place.
    layers[l].dz = !backward ? nullptr : last ? layers[l].y : take(n);
  }
  const index classes = specs.back().out;
  soft.reserve(rows * classes);
  weights.reserve(rows);
  row_loss.reserve(rows);
  labels.reserve(rows);
  predicted.reserve(rows);
}

template <class T>
Network<T>::Network(std::vector<LayerSpec> layers, Loss loss, Dropping dropping)
    : layers_(std::move(layers)), loss_(loss), dropping_(dropping) {
  const index line = 64 / static_cast<index>(sizeof(T));
  for (const LayerSpec& l : layers_) {
    offsets_.push_back(size_);
    size_ += (l.in * l.out + line - 1) / line * line;
    offsets_.push_back(size_);
    size_ += (l.out + line - 1) / line * line;
  }
  params_.reserve(size_);
}

template <class T>
double Network<T>::madds() const {
  double total = 0;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    total += static_cast<double>(layers_[l].in) * static_cast<double>(layers_[l].out) *
             (has_row_masks(l) ? madds_per_draw : 1);
  }
  return total;
}

template <class T>
T Network<T>::output_scale(std::size_t l, bool training) const {
  const double keep = layers_[l].keep;
  if (dropping_.vanilla) return T(training ? 1 : keep);
  return T(training ? 1 / keep : 1);
}

template <class T>
Dropout<T> Network<T>::weight_mask(std::size_t l, const DropoutKey& key, index first_row) const {
  const double keep = layers_[l].keep_weights;
  return {key.seed, stream_of(Purpose::drop_connect, l, key.step), first_row, keep_threshold(keep),
          T(1 / keep)};
}

/// Layer l over the workspace, its activation and masks left out.
template <class T>
DenseForward<T> Network<T>::layer_product(std::size_t l, const Workspace<T>& w) const {
  const LayerSpec& spec = layers_[l];
  DenseForward<T> d{};
  d.x = l == 0 ? w.x : w.layers[l - 1].y;
  d.x_stride = l == 0 ? w.x_stride : w.layers[l - 1].stride;
  d.w = params() + weight_offset(l);
  d.b = params() + bias_offset(l);
  d.y = w.layers[l].y;
  d.y_stride = w.layers[l].stride;
  d.in = spec.in;
  d.out = spec.out;
  return d;
}

template <class T>
Epilogue<T> Network<T>::epilogue(std::size_t l, const Workspace<T>& w,
                                 const DropoutKey* dropout) const {
  const LayerSpec& spec = layers_[l];
  Epilogue<T> e{};
  e.activation = spec.activation;
  e.slope = w.layers[l].slope;
  e.dropout.scale = output_scale(l, dropout != nullptr);
  if (dropout && spec.keep < 1) {
    e.dropout.seed = dropout->seed;
    e.dropout.stream = stream_of(Purpose::dropout, l, dropout->step);
    e.dropout.first_row = dropout->first_row;
    e.dropout.threshold = keep_threshold(spec.keep);
  }
  return e;
}

template <class T>
void Network<T>::forward_layer(std::size_t l, Workspace<T>& w, Range rows, Range cols,
                               const DropoutKey* dropout) const {
  DenseForward<T> d = layer_product(l, w);
  d.epilogue = epilogue(l, w, dropout);
  if (dropout && has_row_masks(l)) {
    const RowMasks<T> masks{weight_mask(l, *dropout, dropout->first_row), layers_[l].in};
    return kernels<T>().drop_connect_forward(d, masks, rows, cols);
  }
  if (dropout && shares_weight_mask(l)) d.w = dropout->masked + weight_offset(l);
  kernels<T>().dense_forward(d, rows, cols, thread_scratch<T>(product_scratch<T>));
}

template <class T>
void Network<T>::finish_layer(std::size_t l, Workspace<T>& w, Range rows,
                              const DropoutKey* dropout) const {
  T* y = w.layers[l].y;
  kernels<T>().activation_forward(
      {y, y, epilogue(l, w, dropout), layers_[l].out, w.layers[l].stride}, rows);
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
void Network<T>::square_weights(std::size_t l, T* squares) const {
  const index offset = weight_offset(l), out = layers_[l].out;
  square(params() + offset, squares + offset, out, out, {0, layers_[l].in});
}

/// Layer l at test time: its sums have mean x W + b and variance (1 - p) / p * x^2 W^2.
template <class T>
void Network<T>::forward_moments(std::size_t l, Workspace<T>& w, Range rows, const T* squares,
                                 Moments& moments) const {
  const LayerSpec& spec = layers_[l];
  const DenseForward<T> mean = layer_product(l, w);
  T* const panels = thread_scratch<T>(product_scratch<T>);
  kernels<T>().dense_forward(mean, rows, {0, spec.out}, panels);
  moments.squared.reserve(w.rows * mean.x_stride);
  moments.variance.reserve(w.rows * mean.y_stride);
  square(mean.x, moments.squared.data(), spec.in, mean.x_stride, rows);
  DenseForward<T> variance = mean;
  variance.x = moments.squared.data();
  variance.w = squares + weight_offset(l);
  variance.b = nullptr;
  variance.y = moments.variance.data();
  kernels<T>().dense_forward(variance, rows, {0, spec.out}, panels);
  const GaussianActivation<T> activation{mean.y,
                                         variance.y,
                                         mean.y,
                                         spec.activation,
                                         T((1 - spec.keep_weights) / spec.keep_weights),
                                         output_scale(l, false),
                                         spec.out,
                                         mean.y_stride};
  kernels<T>().gaussian_activation(activation, rows);
}

template <class T>
void Network<T>::load_rows(const Data<T>& data, const std::int64_t* indices, index first,
                           Workspace<T>& w, Range rows) const {
  load_inputs(data, indices, first, w.x, w.x_stride, rows);
  load_targets(data, indices, first, w, rows);
}

template <class T>
void Network<T>::load_inputs(const Data<T>& data, const std::int64_t* indices, index first, T* x,
                             index x_stride, Range rows) const {
  const auto row_bytes = in() * (data.dtype == DType::u8 ? 1 : data.dtype == DType::f32 ? 4 : 8);
  GatherRows<T> g{data.x,    data.dtype, indices ? indices + first : nullptr,
                  data.mean, data.scale, data.per_column,
                  x,         in(),       x_stride};
  if (!indices) g.data = static_cast<const char*>(data.x) + first * row_bytes;
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
  const auto& last = w.layers.back();
  LossRows<T> r{};
  r.loss = loss_;
  r.scores = last.y;
  r.labels = data.labels ? w.labels.data() : nullptr;
  r.soft = data.soft ? w.soft.data() : nullptr;
  r.weights = data.weights ? w.weights.data() : nullptr;
  r.scale = scale;
  r.row_loss = w.row_loss.data();
  r.dscores = gradient ? last.dz : nullptr;
  r.predicted = w.predicted.data();
  r.classes = out();
  r.stride = last.stride;
  r.soft_stride = out();
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
  const auto by_moments = [&](std::size_t l) {
    return dropping_.moments && layers_[l].masks_weights();
  };
  Aligned<T> squares;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    if (!by_moments(l)) continue;
    squares.reserve(size_);
    square_weights(l, squares.data());
  }
  parallel_team(team_size, [&](Team& team) {
    std::vector<std::optional<Workspace<T>>> workspaces(static_cast<std::size_t>(team.size()));
    std::vector<Moments> moments(static_cast<std::size_t>(team.size()));
    Poller poller(poll);
    team.share(blocks, [&](index b, int member) {
      auto& own = workspaces[static_cast<std::size_t>(member)];
      if (!own) own.emplace(layers_, std::min(data.n, evaluation_rows), false);
      Workspace<T>& w = *own;
      const Range block{data.n * b / blocks, data.n * (b + 1) / blocks};
      const Range rows{0, block.end - block.begin};
      load_rows(data, nullptr, block.begin, w, rows);
      for (std::size_t l = 0; l < layers_.size(); ++l) {
        if (by_moments(l)) {
          forward_moments(l, w, rows, squares.data(), moments[static_cast<std::size_t>(member)]);
        } else {
          forward_layer(l, w, rows, {0, layers_[l].out}, nullptr);
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
    const auto& last = w.layers.back();
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
template class Workspace<float>;
template class Workspace<double>;
template class Network<float>;
template class Network<double>;

}  // namespace fanin
