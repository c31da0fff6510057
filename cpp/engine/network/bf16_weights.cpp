#include "engine/network/bf16_weights.hpp"

namespace fanin {

template <class T>
Bf16Weights<T>::Bf16Weights(const Network<T>& network, bool transposed)
    : network_(network), with_transposes_(transposed) {
  if (!network.bf16()) return;
  index total = 0;
  for (const Op& op : network.graph().ops()) {
    plain_.push_back(total);
    transposed_.push_back(total);
    if (op.kind != OpKind::dense) continue;
    const Parameter& weights = network.graph().parameters()[op.parameters];
    total += bf16_right_size(weights.rows, weights.cols);
    transposed_.back() = total;
    if (has_transpose(op)) total += bf16_right_size(weights.cols, weights.rows);
  }
  memory_.reserve(total);
}

template <class T>
void Bf16Weights<T>::pack(std::size_t o, const T* arena, Range rows) {
  const Op& op = network_.graph().ops()[o];
  const Parameter& weights = network_.graph().parameters()[op.parameters];
  Bf16Pack<T> pack{arena + weights.offset, weights.cols, weights.cols};
  pack.right = memory_.data() + plain_[o];
  pack.right_panel = bf16_panel(weights.rows);
  if (has_transpose(op)) {
    pack.right_t = memory_.data() + transposed_[o];
    pack.right_t_panel = bf16_panel(weights.cols);
  }
  bf16_kernels<T>().pack(pack, rows);
}

template <class T>
void Bf16Weights<T>::pack_all(Team& team, const T* arena) {
  if (!network_.bf16()) return;
  for (std::size_t o = 0; o < network_.graph().ops().size(); ++o) {
    const Op& op = network_.graph().ops()[o];
    if (op.kind != OpKind::dense) continue;
    const index rows = network_.graph().parameters()[op.parameters].rows;
    const index tiles = (rows + bf16_k - 1) / bf16_k;
    team.share(tiles, [&](index i, int) { pack(o, arena, split(rows, bf16_k, i, tiles)); });
  }
}

template class Bf16Weights<float>;
template class Bf16Weights<double>;

}  // namespace fanin
