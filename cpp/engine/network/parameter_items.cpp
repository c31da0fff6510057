#include "engine/network/parameter_items.hpp"

#include <algorithm>

namespace fanin {

namespace {

constexpr index item_elements = 3072;  // parameters that one thread updates at a time

}  // namespace

template <class T>
ParameterItems<T>::ParameterItems(Network<T>& network) : network_(network) {
  plan();
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
void ParameterItems<T>::plan() {
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
  for (const ParameterItem& item : items_) largest_ = std::max(largest_, item.size);
  squares_.resize(square);
}

template <class T>
typename Network<T>::DropoutKey ParameterItems<T>::key_of(std::uint64_t seed, std::uint64_t step,
                                                          index first_row) const {
  return {seed, step, first_row, masked_.data()};
}

template <class T>
void ParameterItems<T>::mask_weights(const ParameterItem& item, const DropoutKey& key,
                                     const T* from, T* to) const {
  const index out = network_.layers()[item.layer].out;
  const Dropout<T> mask = network_.weight_mask(item.layer, key, item.rows.begin);
  kernels<T>().activation_forward({from, to, {Activation::identity, mask, nullptr}, out, out},
                                  {0, item.rows.end - item.rows.begin});
}

template <class T>
void ParameterItems<T>::prepare(const ParameterItem& item, const DropoutKey* dropout) {
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
void ParameterItems<T>::prepare_all(Team& team, const DropoutKey* dropout) {
  share(team, [&](const ParameterItem& item, int) { prepare(item, dropout); });
}

template <class T>
void ParameterItems<T>::prefetch(const ParameterItem& item, const ParameterUpdate<T>& u) const {
  constexpr index line = 64 / sizeof(T);
  const auto ask = [&](const T* arena) {
    for (index i = 0; i < item.size; i += line) prefetch_for_write(arena + item.offset + i);
  };
  ask(network_.params());
  for (int k = 0; k < state_count(u.rule); ++k) ask(u.states[k]);
}

template <class T>
void ParameterItems<T>::update(const ParameterItem& item, const ParameterUpdate<T>& u,
                               const T* gradient) {
  OptimizerStep<T> o{};
  o.coefficients = u.coefficients;
  o.p = network_.params() + item.offset;
  o.g = gradient;
  for (int k = 0; k < state_count(u.rule); ++k) o.state[k] = u.states[k] + item.offset;
  o.l2 = item.bias ? T(0) : T(u.l2);
  o.g_scale = T(u.factor);
  if (u.l2 > 0 && !item.bias) sum_row_squares(item, o.p);
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
  const index width = network_.layers()[item.layer].out;
  double* to = squares_.data() + item.square;
  for (index i = 0; i < item.size; i += width) {
    *to++ = static_cast<double>(kernels<T>().sum_squares(p + i, width));
  }
}

template <class T>
void ParameterItems<T>::sum_squares(Team& team, const T* arena) {
  share(team, [&](const ParameterItem& item, int) { sum_row_squares(item, arena + item.offset); });
}

template <class T>
double ParameterItems<T>::total_squares(bool biases) const {
  double total = 0;
  const double* next = squares_.data();
  for (const LayerSpec& spec : network_.layers()) {
    for (const double* end = next + spec.in; next < end; ++next) total += *next;
    total += biases ? *next : 0;
    ++next;
  }
  return total;
}

template class ParameterItems<float>;
template class ParameterItems<double>;

}  // namespace fanin
