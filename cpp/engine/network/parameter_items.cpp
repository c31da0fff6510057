#include "engine/network/parameter_items.hpp"

#include <algorithm>

namespace fanin {

namespace {

constexpr index item_elements = 3072;        // parameters that one thread updates at a time
constexpr index wide_item_elements = 49152;  // the same where an item is read from memory
constexpr index bf16_item_elements = 8192;   // the same where whole tiles are packed of them

}  // namespace

template <class T>
ParameterItems<T>::ParameterItems(Network<T>& network)
    : network_(network), bf16_(network, /*transposed=*/true) {
  plan();
  index total = 0;
  for (const Op& op : network_.graph().ops()) {
    if (network_.shares_weight_mask(op)) masked_.reserve(network_.size());
    const bool kept = op.kind == OpKind::dense && op.in > 0 && !network_.bf16();
    transpose_offsets_.push_back(kept && !network_.is_wide(op) ? total : -1);
    if (transpose_offsets_.back() < 0) continue;
    const index size = network_.graph().parameters()[op.parameters].size();
    total += (size + 15) / 16 * 16;
  }
  transposes_.reserve(total);
}

template <class T>
void ParameterItems<T>::plan() {
  std::size_t square = 0;
  for (const Parameter& p : network_.graph().parameters()) {
    if (p.rate == 0) continue;
    const bool packed = network_.bf16() && p.role == Role::weights;
    const index rows_of_tile = packed ? bf16_k : 12;
    const bool wide = network_.is_wide(network_.graph().ops()[p.op]);
    const index elements = packed ? bf16_item_elements : wide ? wide_item_elements : item_elements;
    const index step = std::max<index>(1, elements / p.cols / rows_of_tile) * rows_of_tile;
    for (index i = 0; i < p.rows; i += step) {
      const Range rows{i, std::min(i + step, p.rows)};
      const index count = rows.end - rows.begin;
      items_.push_back({&p, rows, p.offset + i * p.cols, count * p.cols, square});
      square += static_cast<std::size_t>(count);
    }
  }
  for (const ParameterItem& item : items_) largest_ = std::max(largest_, item.size);
  squares_.resize(square);
}

template <class T>
DropoutKey<T> ParameterItems<T>::key_of(std::uint64_t seed, std::uint64_t step,
                                        index first_row) const {
  return {seed, step, first_row, masked_.data()};
}

template <class T>
void ParameterItems<T>::mask_weights(const ParameterItem& item, const DropoutKey<T>& key,
                                     const T* from, T* to) const {
  const Op& op = network_.graph().ops()[item.of->op];
  const index cols = item.of->cols;
  const Dropout<T> mask = network_.weight_mask(op, key, item.rows.begin);
  kernels<T>().activation_forward({from, to, {Activation::identity, mask, nullptr}, cols, cols},
                                  {0, item.rows.end - item.rows.begin});
}

template <class T>
void ParameterItems<T>::prepare(const ParameterItem& item, const DropoutKey<T>* dropout) {
  if (!item.weights()) return;
  const Op& op = network_.graph().ops()[item.of->op];
  const T* arena = network_.params();
  if (dropout && network_.shares_weight_mask(op)) {
    mask_weights(item, *dropout, arena + item.offset, masked_.data() + item.offset);
    arena = masked_.data();
  }
  if (network_.bf16()) return bf16_.pack(item.of->op, arena, item.rows);
  const index at = transpose_offsets_[item.of->op];
  if (at < 0) return;
  const Transpose<T> t{arena + item.of->offset, transposes_.data() + at, item.of->rows,
                       item.of->cols};
  kernels<T>().transpose(t, item.rows);
}

template <class T>
const T* ParameterItems<T>::transposed(std::size_t op) const {
  const index at = transpose_offsets_[op];
  return at < 0 ? nullptr : transposes_.data() + at;
}

template <class T>
void ParameterItems<T>::prepare_all(Team& team, const DropoutKey<T>* dropout) {
  share(team, [&](const ParameterItem& item, int) { prepare(item, dropout); });
}

template <class T>
void ParameterItems<T>::update(const ParameterItem& item, const ParameterUpdate<T>& u,
                               const T* gradient) {
  OptimizerStep<T> o{};
  o.coefficients = at_rate(u.coefficients, item.of->rate);
  o.p = network_.params() + item.offset;
  o.g = gradient;
  for (int k = 0; k < state_count(u.rule); ++k) o.state[k] = u.states[k] + item.offset;
  o.l2 = item.of->decays ? T(u.l2) : T(0);
  o.g_scale = T(u.factor);
  // Weights of bf16 are read where they are packed, by the thread that updates them.
  if (!network_.bf16()) o.size = network_.size() - item.offset;
  if (u.l2 > 0 && item.of->decays) sum_row_squares(item, o.p);
  kernels<T>().optimizer_step(o, {0, item.size});
}

/// One step of SGD on the gradient with lr = -l2.
template <class T>
void ParameterItems<T>::add_l2(const ParameterItem& item, double l2, T* gradient) {
  OptimizerStep<T> o{};
  RuleClock clock;
  o.coefficients = advance<T>({}, clock, -l2);
  o.p = gradient;
  o.g = network_.params() + item.offset;
  o.g_scale = T(1);
  sum_row_squares(item, o.g);
  kernels<T>().optimizer_step(o, {0, item.size});
}

template <class T>
void ParameterItems<T>::sum_row_squares(const ParameterItem& item, const T* p) {
  const index width = item.of->cols;
  double* to = squares_.data() + item.square;
  for (index i = 0; i < item.size; i += width) {
    *to++ = static_cast<double>(kernels<T>().sum_squares(p + i, width));
  }
}

template <class T>
void ParameterItems<T>::sum_squares(Team& team, const T* arena) {
  share(team, [&](const ParameterItem& item, int) { sum_row_squares(item, arena + item.offset); });
}

/// Row after row, in one order whatever the items.
template <class T>
double ParameterItems<T>::sum_of_squares(bool decaying_only) const {
  double total = 0;
  const double* next = squares_.data();
  for (const Parameter& p : network_.graph().parameters()) {
    if (p.rate == 0) continue;
    const bool counts = p.decays || !decaying_only;
    for (const double* end = next + p.rows; next < end; ++next) total += counts ? *next : 0;
  }
  return total;
}

template class ParameterItems<float>;
template class ParameterItems<double>;

}  // namespace fanin
