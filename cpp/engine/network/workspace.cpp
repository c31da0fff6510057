#include "engine/network/workspace.hpp"

#include "kernels/bf16_gemm.hpp"

namespace fanin {

template <class T>
Workspace<T>::Workspace(const Graph& graph, index n_rows, Keeps keeps)
    : rows(n_rows), slots(graph.slots().size()), ops(graph.ops().size()) {
  for (std::size_t s = 0; s < slots.size(); ++s) {
    slots[s].stride = padded<T>(graph.slots()[s].width);
  }
  index total = 0;
  lay_out(graph, keeps, [&](index n) {
    total += n;
    return static_cast<T*>(nullptr);
  });
  memory_.reserve(total);
  T* next = memory_.data();
  lay_out(graph, keeps, [&](index n) {
    next += n;
    return next - n;
  });
  soft.reserve(rows * graph.slots().back().width);
  weights.reserve(rows);
  row_loss.reserve(rows);
  labels.reserve(rows);
  predicted.reserve(rows);
}

namespace {

/// An add hands its gradient on to in2 as it is.
bool shares_gradient(const Graph& graph, std::size_t slot) {
  const auto& consumers = graph.slots()[slot].consumers;
  if (consumers.empty()) return false;
  const Op& last = graph.ops()[consumers.back()];
  return last.kind == OpKind::add && last.in2 == slot;
}

}  // namespace

template <class T>
template <class Take>
void Workspace<T>::lay_out(const Graph& graph, Keeps keeps, Take take) {
  const auto take_if = [&](bool wanted, index n) { return wanted ? take(n) : nullptr; };
  slots.front().y = take_if(keeps.inputs, rows * slots.front().stride);
  slots.front().d = nullptr;
  for (std::size_t o = 0; o < ops.size(); ++o) {
    const fanin::Op& op = graph.ops()[o];
    Slot& out = slots[op.out];
    const index n = rows * out.stride;
    out.y = take(n);
    ops[o].slope = take_if(keeps.backward && needs_slope(op.activation, op.keep < 1), n);
    const bool scores = op.out + 1 == slots.size();  // their gradient takes their place
    out.d = !keeps.backward ? nullptr
            : scores        ? out.y
                            : take_if(!shares_gradient(graph, op.out), n);
    const bool by_row = op.has_row_moments(), batch = op.has_column_moments();
    const index means = padded<T>(by_row ? rows : graph.slots()[op.out].width);
    ops[o].mean = take_if(by_row || batch, means);
    ops[o].inverse = take_if(by_row || batch, means);
    ops[o].variance = take_if(batch, means);
    ops[o].sum_dy = take_if(batch, means);
    ops[o].sum_dy_h = take_if(batch, means);
    ops[o].mean_dy = take_if(batch, means);
    ops[o].mean_dy_h = take_if(batch, means);
    const bool packed = keeps.bf16 && op.kind == OpKind::dense && (op.in > 0 || keeps.inputs);
    const bool trained = packed && keeps.backward;
    const index in_width = graph.slots()[op.in].width, out_width = graph.slots()[op.out].width;
    ops[o].x = take_if(packed, bf16_left_size(rows, in_width));
    ops[o].x_t = take_if(trained, bf16_left_size(in_width, rows));
    ops[o].dz = take_if(trained && op.in > 0, bf16_left_size(rows, out_width));
    ops[o].dz_right = take_if(trained, bf16_right_size(rows, out_width));
  }
  for (std::size_t s = slots.size(); keeps.backward && s-- > 1;) {
    if (shares_gradient(graph, s)) {
      slots[s].d = slots[graph.ops()[graph.slots()[s].consumers.back()].out].d;
    }
  }
}

template class Workspace<float>;
template class Workspace<double>;

}  // namespace fanin
