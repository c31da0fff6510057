#include "engine/network/row_pass.hpp"

#include <algorithm>

#include "engine/network/ops.hpp"
#include "kernels/gemm.hpp"

namespace fanin {

namespace {

using Kind = Instruction::Kind;

constexpr index thread_rows = 12;  // fewer for each thread, and weights weigh more than rows
constexpr index piece_rows = 96;   // rows that one thread takes at a time
constexpr index wide_rows = 256;   // the same where weights are read from memory for each piece
constexpr index bf16_rows = 256;   // the same where a right operand is read for each piece
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
      work_(network.graph(), rows, {true, inputs, network.bf16()}),
      stages_(stages(/*fuse=*/true)) {}

template <class T>
std::vector<Stage> RowPass<T>::stages(bool fuse) const {
  std::vector<Stage> planned = plan(network_.graph(), fuse, network_.bf16());
  if (!inputs_ || network_.bf16() || network_.dropping().row_masks) return planned;
  for (Stage& stage : planned) {
    const auto& list = stage.instructions;
    stage.wide = std::any_of(list.begin(), list.end(), [&](const Instruction& i) {
      return network_.is_wide(network_.graph().ops()[i.op]);
    });
  }
  return planned;
}

template <class T>
void RowPass<T>::execute(const Instruction& i, const Batch<T>& b, Range rows, Range cols,
                         Observer observer) {
  const Ops<T> ops(network_, work_, b.dropout, &items_.bf16());
  const bool elsewhere = i.op == 0 && !inputs_;  // the first op's products
  switch (i.kind) {
    case Kind::load:
      return inputs_ ? network_.load_rows(*b.data, b.indices, b.first, work_, rows)
                     : network_.load_targets(*b.data, b.indices, b.first, work_, rows);
    case Kind::pack_input:
      return elsewhere ? void() : ops.pack_input(i.op, rows);
    case Kind::forward:
      return elsewhere ? ops.finish(0, rows) : ops.forward(i.op, rows, cols);
    case Kind::loss:
      return network_.loss_of_rows(*b.data, work_, rows, true, b.scale);
    case Kind::observe:
      return observer(i.op, rows);
    case Kind::derive:
      return ops.derive(i.op, rows);
    case Kind::pack_gradient:
      return elsewhere ? void() : ops.pack_gradient(i.op, rows);
    case Kind::backward:
      return ops.backward(i, items_.transposed(i.op), rows, cols);
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
                     : network_.bf16()                            ? bf16_rows
                     : b.dropout && network_.dropping().row_masks ? drawn_rows
                     : stage.wide                                 ? wide_rows
                                                                  : piece_rows;
  const index rounds = (b.rows + team.size() * most - 1) / (team.size() * most);
  const index step = network_.row_step();
  const index pieces = std::min<index>(parts_of(b.rows, step), team.size() * rounds);
  team.share(pieces, [&](index piece, int member) {
    const Range rows = split(b.rows, step, piece, pieces);
    for (const Instruction& i : stage.instructions) {
      const index cols = split_columns(i);
      execute(i, b, rows, {0, cols}, observer);
      if (inputs_ && cols > 0) poll(member);
    }
  });
}

/// One instruction after the other, all threads at each: where weights weigh more than rows, each
/// weight is then read by one thread only.
template <class T>
void RowPass<T>::by_instructions(Team& team, const Stage& stage, const Batch<T>& b, Poller& poll,
                                 Observer observer) {
  const index step = network_.row_step(), size = team.size();
  const bool few = b.rows < thread_rows * size;
  for (const Instruction& i : stage.instructions) {
    const index cols = split_columns(i);
    const bool columns = few || network_.is_wide(network_.graph().ops()[i.op]);
    if (columns && cols >= block_columns * size) {
      by_columns(team, i, b, poll, observer);
    } else {
      const index pieces = i.kind == Kind::load ? parts_of(b.rows, step) : few ? 1 : size;
      team.share(pieces, [&](index piece, int member) {
        execute(i, b, split(b.rows, step, piece, pieces), {0, cols}, observer);
        if (cols > 0) poll(member);
      });
    }
  }
}

template <class T>
void RowPass<T>::by_columns(Team& team, const Instruction& i, const Batch<T>& b, Poller& poll,
                            Observer observer) {
  const index cols = split_columns(i);
  const index blocks = parts_of(cols, block_columns);
  const index pieces = std::min<index>(blocks, 4 * team.size());
  team.share(pieces, [&](index piece, int member) {
    execute(i, b, {0, b.rows}, split(cols, block_columns, piece, pieces), observer);
    poll(member);
  });
}

/// Each column on one thread.
template <class T>
void RowPass<T>::reduce(Team& team, const Stage& stage, index rows) {
  const index cols = network_.width(stage.op);
  const index blocks = (cols + block_columns - 1) / block_columns;
  team.share(blocks, [&](index block, int) {
    const Range part = split(cols, block_columns, block, blocks);
    Ops<T>(network_, work_, nullptr).reduce(stage, rows, part);
  });
}

template <class T>
void RowPass<T>::run_stages(Team& team, const std::vector<Stage>& stages, const Batch<T>& b,
                            Poller& poll, Observer observer) {
  const bool few = b.rows < thread_rows * team.size();
  for (const Stage& stage : stages) {
    const bool together = team.size() > 1 && (few || stage.wide);
    together ? by_instructions(team, stage, b, poll, observer)
             : by_rows(team, stage, b, poll, observer);
    if (stage.reduction != Reduction::none) reduce(team, stage, b.rows);
  }
}

template <class T>
void RowPass<T>::run(Team& team, const Batch<T>& b, Poller& poll) {
  run_stages(team, stages_, b, poll, ignore);
}

template <class T>
void RowPass<T>::run_observed(Team& team, const Batch<T>& b, Poller& poll, Observer observer) {
  std::vector<Stage> observed = stages(/*fuse=*/false);
  if (!b.data->labels && !b.data->soft) observed = until_loss(std::move(observed));
  run_stages(team, observed, b, poll, observer);
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
void RowPass<T>::gradient(const ParameterItem& item, const Batch<T>& b, T* gradient) {
  const Ops<T> ops(network_, work_, b.dropout, &items_.bf16());
  ops.gradient(*item.of, item.rows, b.rows, b.accumulate, gradient);
  const Op& op = network_.graph().ops()[item.of->op];
  if (item.weights() && b.last && b.dropout && network_.shares_weight_mask(op)) {
    items_.mask_weights(item, *b.dropout, gradient, gradient);
  }
}

template class RowPass<float>;
template class RowPass<double>;

}  // namespace fanin
