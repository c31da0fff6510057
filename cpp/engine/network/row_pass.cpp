#include "engine/network/row_pass.hpp"

#include <algorithm>

#include "core/aligned.hpp"
#include "engine/statistics/batch_moments.hpp"
#include "kernels/gemm.hpp"

namespace fanin {

namespace {

using Kind = Instruction::Kind;

constexpr index thread_rows = 12;  // fewer for each thread, and weights weigh more than rows
constexpr index piece_rows = 96;   // rows that one thread takes at a time
constexpr index drawn_rows = 8;    // the same where each row has masks to draw

constexpr auto ignore = [](std::size_t, Range) {};

/// The way forward alone.
std::vector<Stage> until_loss(std::vector<Stage> stages) {
  const auto is_loss = [](const Instruction& i) { return i.kind == Kind::loss; };
  for (std::size_t s = 0; s < stages.size(); ++s) {
    auto& list = stages[s].instructions;
    const auto loss = std::find_if(list.begin(), list.end(), is_loss);
    if (loss == list.end()) continue;
    list.erase(loss, list.end());
    stages[s].reduction = Reduction::none;
    stages.resize(s + 1);
  }
  return stages;
}

}  // namespace

template <class T>
RowPass<T>::RowPass(const Network<T>& network, const ParameterItems<T>& items, index rows,
                    bool inputs)
    : network_(network),
      items_(items),
      inputs_(inputs),
      work_(network.graph(), rows, {true, inputs}),
      stages_(plan(network.graph(), /*fuse=*/true)) {}

/// How a gradient over an op's output becomes one over what its activation took.
template <class T>
Derivative<T> RowPass<T>::derivative_of(std::size_t o, bool training) const {
  const Op& op = network_.graph().ops()[o];
  Derivative<T> d{};
  d.slope = work_.ops[o].slope;
  if (op.activation == Activation::relu) d.gate = work_.slots[op.out].y;
  d.factor = network_.output_scale(op, training);
  return d;
}

template <class T>
void RowPass<T>::backward_dense(const Instruction& i, const Batch<T>& b, Range rows, Range cols) {
  const Op& op = network_.graph().ops()[i.op];
  const auto &upper = work_.slots[op.out], &lower = work_.slots[op.in];
  DenseBackwardInput<T> d{};
  d.dz = upper.d;
  d.wt = items_.transposed(i.op);
  d.dx = lower.d;
  d.in = network_.graph().slots()[op.in].width;
  d.out = network_.graph().slots()[op.out].width;
  d.dz_stride = upper.stride;
  d.dx_stride = lower.stride;
  d.accumulate = i.accumulates;
  if (i.derives) {
    d.derivative = derivative_of(network_.graph().slots()[op.in].producer, b.dropout != nullptr);
  }
  if (b.dropout && network_.has_row_masks(op)) {
    d.w = network_.parameter(op, 0);
    const RowMasks<T> masks{network_.weight_mask(op, *b.dropout, b.dropout->first_row), d.in};
    return kernels<T>().drop_connect_backward_input(d, masks, rows, cols);
  }
  kernels<T>().dense_backward_input(d, rows, cols, thread_scratch<T>(product_scratch<T>));
}

/// The gradient over an op's input, from that over its output.
template <class T>
void RowPass<T>::backward(const Instruction& i, const Batch<T>& b, Range rows, Range cols) {
  const Op& op = network_.graph().ops()[i.op];
  const auto& own = work_.ops[i.op];
  const auto &out = work_.slots[op.out], &in = work_.slots[op.in];
  const index width = network_.graph().slots()[op.out].width;
  switch (op.kind) {
    case OpKind::dense:
      return backward_dense(i, b, rows, cols);
    case OpKind::layer_norm:
      return kernels<T>().layer_norm_backward(
          {out.d, in.y, network_.parameter(op, 0), own.mean, own.inverse, in.d, width, in.stride},
          rows);
    case OpKind::batch_norm:
      return kernels<T>().batch_norm_backward(
          {out.d, in.y, network_.parameter(op, 0), own.mean, own.inverse, own.mean_dy,
           own.mean_dy_h, in.d, width, in.stride},
          rows);
    case OpKind::prelu:
      return kernels<T>().prelu_backward(
          {out.d, in.y, network_.parameter(op, 0), in.d, width, in.stride}, rows);
    case OpKind::add: {
      const std::size_t producer = network_.graph().slots()[op.in].producer;
      const Derivative<T> derivative =
          i.derives ? derivative_of(producer, b.dropout != nullptr) : Derivative<T>{};
      return kernels<T>().activation_backward({out.d, in.d, derivative, width, in.stride}, rows);
    }
  }
}

template <class T>
void RowPass<T>::execute(const Instruction& i, const Batch<T>& b, Range rows, Range cols,
                         Observer observer) {
  switch (i.kind) {
    case Kind::load:
      return inputs_ ? network_.load_rows(*b.data, b.indices, b.first, work_, rows)
                     : network_.load_targets(*b.data, b.indices, b.first, work_, rows);
    case Kind::forward:
      return i.op == 0 && !inputs_ ? network_.finish(0, work_, rows, b.dropout)
                                   : network_.forward(i.op, work_, rows, cols, b.dropout);
    case Kind::loss:
      return network_.loss_of_rows(*b.data, work_, rows, true, b.scale);
    case Kind::observe:
      return observer(i.op, rows);
    case Kind::derive: {
      const std::size_t out = network_.graph().ops()[i.op].out;
      T* d = work_.slots[out].d;
      return kernels<T>().activation_backward(
          {d, d, derivative_of(i.op, b.dropout != nullptr), network_.graph().slots()[out].width,
           work_.slots[out].stride},
          rows);
    }
    case Kind::backward:
      return backward(i, b, rows, cols);
  }
}

/// The columns that an instruction writes, where they can be worked on apart; else 0.
template <class T>
index RowPass<T>::split_columns(const Instruction& i) const {
  const bool passes = i.kind == Kind::forward || i.kind == Kind::backward;
  const Op& op = network_.graph().ops()[i.op];
  if (!passes || op.kind != OpKind::dense) return 0;
  return network_.graph().slots()[i.kind == Kind::forward ? op.out : op.in].width;
}

/// Rows of a batch all the way through a stage: no thread waits for another.
template <class T>
void RowPass<T>::by_rows(Team& team, const Stage& stage, const Batch<T>& b, Poller& poll,
                         Observer observer) {
  const index most = !inputs_                                     ? b.rows
                     : b.dropout && network_.dropping().row_masks ? drawn_rows
                                                                  : piece_rows;
  const index rounds = (b.rows + team.size() * most - 1) / (team.size() * most);
  const index pieces = std::min<index>(b.rows, team.size() * rounds);
  team.share(pieces, [&](index piece, int member) {
    const Range rows{b.rows * piece / pieces, b.rows * (piece + 1) / pieces};
    for (const Instruction& i : stage.instructions) {
      const index cols = split_columns(i);
      execute(i, b, rows, {0, cols}, observer);
      if (inputs_ && cols > 0) poll(member);
    }
  });
}

/// The same for few rows: every thread takes all of them through its columns of each product, so
/// that each weight is read by one thread only.
template <class T>
void RowPass<T>::by_columns(Team& team, const Stage& stage, const Batch<T>& b, Poller& poll,
                            Observer observer) {
  const Range rows{0, b.rows};
  for (const Instruction& i : stage.instructions) {
    if (const index cols = split_columns(i); cols > 0) {
      const index blocks = (cols + block_columns - 1) / block_columns;
      const index pieces = std::min<index>(blocks, 4 * team.size());
      team.share(pieces, [&](index piece, int member) {
        execute(i, b, rows, split(cols, block_columns, piece, pieces), observer);
        poll(member);
      });
    } else if (i.kind == Kind::load) {
      team.share(b.rows, [&](index row, int) { execute(i, b, {row, row + 1}, {}, observer); });
    } else {
      execute(i, b, rows, {}, observer);
    }
  }
}

/// What a batch norm needs of all rows, each column on one thread.
template <class T>
void RowPass<T>::reduce(Team& team, const Stage& stage, index rows) {
  const Op& op = network_.graph().ops()[stage.op];
  const index cols = network_.graph().slots()[op.out].width;
  const index blocks = (cols + block_columns - 1) / block_columns;
  const auto &in = work_.slots[op.in], &out = work_.slots[op.out];
  const auto& own = work_.ops[stage.op];
  team.share(blocks, [&](index block, int) {
    const Range part = split(cols, block_columns, block, blocks);
    if (stage.reduction == Reduction::statistics) {
      return network_.take_statistics(stage.op, work_, rows, part);
    }
    batch_gradients(out.d, in.y, own.mean, own.inverse, rows, in.stride, part, own.sum_dy,
                    own.sum_dy_h);
    for (index j = part.begin; j < part.end; ++j) {
      own.mean_dy[j] = own.sum_dy[j] / T(rows);
      own.mean_dy_h[j] = own.sum_dy_h[j] / T(rows);
    }
  });
}

template <class T>
void RowPass<T>::run_stages(Team& team, const std::vector<Stage>& stages, const Batch<T>& b,
                            Poller& poll, Observer observer) {
  const bool few = team.size() > 1 && b.rows < thread_rows * team.size();
  for (const Stage& stage : stages) {
    few ? by_columns(team, stage, b, poll, observer) : by_rows(team, stage, b, poll, observer);
    if (stage.reduction != Reduction::none) reduce(team, stage, b.rows);
  }
}

template <class T>
void RowPass<T>::run(Team& team, const Batch<T>& b, Poller& poll) {
  run_stages(team, stages_, b, poll, ignore);
}

template <class T>
void RowPass<T>::run_observed(Team& team, const Batch<T>& b, Poller& poll, Observer observer) {
  std::vector<Stage> stages = plan(network_.graph(), /*fuse=*/false);
  if (!b.data->labels && !b.data->soft) stages = until_loss(std::move(stages));
  run_stages(team, stages, b, poll, observer);
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
void RowPass<T>::weight_gradient(const ParameterItem& item, const Batch<T>& b, T* gradient) const {
  const Op& op = network_.graph().ops()[item.of->op];
  const auto &in = work_.slots[op.in], &out = work_.slots[op.out];
  const WeightGradient<T> w{in.y,      out.d,      b.rows,      item.of->cols,
                            in.stride, out.stride, b.accumulate};
  if (b.dropout && network_.has_row_masks(op)) {
    const Dropout<T> draws = network_.weight_mask(op, *b.dropout, b.dropout->first_row);
    return kernels<T>().drop_connect_weight_gradient(w, {draws, item.of->rows}, item.rows,
                                                     gradient);
  }
  kernels<T>().weight_gradient(w, item.rows, gradient, thread_scratch<T>(product_scratch<T>));
  if (b.last && b.dropout && network_.shares_weight_mask(op)) {
    items_.mask_weights(item, *b.dropout, gradient, gradient);
  }
}

template <class T>
void RowPass<T>::gradient(const ParameterItem& item, const Batch<T>& b, T* gradient) const {
  const Op& op = network_.graph().ops()[item.of->op];
  const auto& own = work_.ops[item.of->op];
  const auto &in = work_.slots[op.in], &out = work_.slots[op.out];
  const index cols = item.of->cols;
  switch (item.of->role) {
    case Role::weights:
      return weight_gradient(item, b, gradient);
    case Role::gamma:
      if (op.kind == OpKind::batch_norm) return void(std::copy_n(own.sum_dy_h, cols, gradient));
      return kernels<T>().norm_gradient(
          {out.d, in.y, own.mean, own.inverse, false, gradient, b.rows, out.stride, b.accumulate},
          {0, cols});
    case Role::slopes:
      return kernels<T>().prelu_gradient({out.d, in.y, gradient, b.rows, out.stride, b.accumulate},
                                         {0, cols});
    case Role::bias:
    case Role::beta:
      if (op.kind == OpKind::batch_norm) return void(std::copy_n(own.sum_dy, cols, gradient));
      return kernels<T>().bias_gradient({out.d, gradient, b.rows, cols, out.stride, b.accumulate},
                                        {0, cols});
    case Role::running_mean:
    case Role::running_variance:
      return;  // not trained
  }
}

template class RowPass<float>;
template class RowPass<double>;

}  // namespace fanin
