#include "engine/network/row_pass.hpp"

#include <algorithm>

#include "core/aligned.hpp"
#include "kernels/gemm.hpp"

namespace fanin {

namespace {

constexpr index thread_rows = 12;  // fewer for each thread, and weights weigh more than rows
constexpr index piece_rows = 96;   // rows that one thread takes at a time
constexpr index drawn_rows = 8;    // the same where each row has masks to draw

}  // namespace

template <class T>
RowPass<T>::RowPass(const Network<T>& network, const ParameterItems<T>& items, index rows,
                    bool inputs)
    : network_(network), items_(items), work_(network.layers(), rows, true, inputs) {}

template <class T>
void RowPass<T>::backward_layer(std::size_t l, const Batch<T>& b, Range rows, Range cols) {
  const LayerSpec& spec = network_.layers()[l];
  const LayerSpec& below = network_.layers()[l - 1];
  const auto& upper = work_.layers[l];
  const auto& lower = work_.layers[l - 1];
  DenseBackwardInput<T> d{};
  d.dz = upper.dz;
  d.wt = items_.transposed(l);
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
  kernels<T>().dense_backward_input(d, rows, cols, thread_scratch<T>(product_scratch<T>));
}

/// Rows of a batch all the way forward and back: no thread waits for another.
template <class T>
void RowPass<T>::run_rows(const Batch<T>& b, Range rows, int member, Poller& poll) {
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

template <class T>
void RowPass<T>::run_from_sums(const Batch<T>& b) {
  const auto& layers = network_.layers();
  const Range rows{0, b.rows};
  network_.load_targets(*b.data, b.indices, b.first, work_, rows);
  network_.finish_layer(0, work_, rows, b.dropout);
  for (std::size_t l = 1; l < layers.size(); ++l) {
    network_.forward_layer(l, work_, rows, {0, layers[l].out}, b.dropout);
  }
  network_.loss_of_rows(*b.data, work_, rows, true, b.scale);
  for (std::size_t l = layers.size() - 1; l > 0; --l) {
    backward_layer(l, b, rows, {0, layers[l].in});
  }
}

/// The same for few rows: every thread takes all of them through its columns of each layer, so that
/// each weight is read by one thread only.
template <class T>
void RowPass<T>::run_columns(Team& team, const Batch<T>& b, Poller& poll) {
  const auto& layers = network_.layers();
  const Range rows{0, b.rows};
  const auto share_columns = [&](index cols, auto&& work) {
    const index blocks = (cols + block_columns - 1) / block_columns;
    const index pieces = std::min<index>(blocks, 4 * team.size());
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
void RowPass<T>::run(Team& team, const Batch<T>& b, Poller& poll) {
  if (team.size() > 1 && b.rows < thread_rows * team.size()) return run_columns(team, b, poll);
  const index most = b.dropout && network_.dropping().row_masks ? drawn_rows : piece_rows;
  const index rounds = (b.rows + team.size() * most - 1) / (team.size() * most);
  const index pieces = std::min<index>(b.rows, team.size() * rounds);
  team.share(pieces, [&](index i, int member) {
    run_rows(b, {b.rows * i / pieces, b.rows * (i + 1) / pieces}, member, poll);
  });
}

template <class T>
double RowPass<T>::loss(const Batch<T>& b, index* correct) const {
  double loss = 0;
  for (index i = 0; i < b.rows; ++i) {
    loss += static_cast<double>(work_.row_loss.data()[i]);
    if (b.data->labels) *correct += work_.predicted.data()[i] == work_.labels.data()[i];
  }
  return loss;
}

template <class T>
void RowPass<T>::gradient(const ParameterItem& item, const Batch<T>& b, T* gradient) const {
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
  kernels<T>().weight_gradient(w, item.rows, gradient, thread_scratch<T>(product_scratch<T>));
  if (b.last && b.dropout && network_.shares_weight_mask(item.layer)) {
    items_.mask_weights(item, *b.dropout, gradient, gradient);
  }
}

template class RowPass<float>;
template class RowPass<double>;

}  // namespace fanin
