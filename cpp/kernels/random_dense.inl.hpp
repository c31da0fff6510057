#pragma once
#include "kernels/activation.inl.hpp"
#include "kernels/gemm.inl.hpp"
#include "kernels/random.inl.hpp"
#include "kernels/random_dense.hpp"

namespace fanin::FANIN_ISA {

/// Some rows of a panel of W. Where W's width is a multiple of 64, each group of draws lies in one
/// block of 64 columns, and blocks are stored one after the other, each in consecutive rows. Else
/// groups hang over both ends of a row, into margins, and a row is stored as it is.
template <class T>
struct DrawnPanel {
  static constexpr index group = 64, width = 256, depth = 32;
  alignas(64) T memory[depth * (width + 2 * group)];
  const bool even;
  const index stride;

  explicit DrawnPanel(index out)
      : even(out % group == 0), stride(even ? group : width + 2 * group) {}

  /// Where row k of the panel has its column j.
  T* at(index k, index j) {
    return even ? memory + (j / group * depth + k) * group + j % group
                : memory + k * stride + group + j;
  }

  /// Columns `cols` of rows `ks` of W, in whole groups, two at once. f by value: no store can
  /// change it.
  template <Distribution D>
  void draw(const RandomFill<T> f, index out, Range ks, Range cols) noexcept {
    constexpr index per_group = elements_per_group<T>(D);
    const auto put = [&](const Group& g, T* to) {
      const auto values = draws<D>(f, g);
      for (const Vec<T>& v : values.vec) {
        v.store(to);
        to += lanes<T>;
      }
    };
    Group pair[2];
    for (index k = 0; k < ks.end - ks.begin; ++k) {
      const index first = (ks.begin + k) * out + cols.begin, end = cols.end - cols.begin;
      auto next = f.first_group + static_cast<std::uint64_t>(first / per_group);
      index j = -(first % per_group);
      for (; j + per_group < end; j += 2 * per_group, next += 2) {
        philox_groups(f.key, next, pair);
        put(pair[0], at(k, j));
        put(pair[1], at(k, j + per_group));
      }
      if (j < end) put(philox_group(f.key, next), at(k, j));
    }
  }
};

template <Distribution D, class T>
void multiply_drawn(const RandomDense<T>& d, Range rows, Range cols) noexcept {
  DrawnPanel<T> panel(d.out);
  const Product<T> p{d.x, d.x_stride, 1, nullptr, 0, d.y, d.y_stride, d.in, nullptr, false};
  const Epilogue<T> epilogue{d.activation, {}, nullptr};
  const auto next = [](index at, index step, index end) {
    return at + step < end ? at + step : end;
  };
  for (index j0 = cols.begin, j1; j0 < cols.end; j0 = j1) {
    j1 = next(j0, panel.width, cols.end);
    for (index k0 = 0, k1; k0 < d.in; k0 = k1) {
      k1 = next(k0, panel.depth, d.in);
      panel.template draw<D>(d.weights, d.out, {k0, k1}, {j0, j1});
      for (index j = j0, end; j < j1; j = end) {
        end = next(j, block_columns, j1);
        columns(p, Operand<T>{panel.at(0, j - j0), panel.stride, k0, k1}, rows, j, end);
        if (k1 == d.in) finish_block(epilogue, d.y, d.y, d.y_stride, d.out, rows, Range{j, end});
      }
    }
  }
}

template <class T>
void random_dense(const RandomDense<T>& d, Range rows, Range cols) noexcept {
  if (d.weights.distribution == Distribution::normal) {
    multiply_drawn<Distribution::normal>(d, rows, cols);
  } else {
    multiply_drawn<Distribution::uniform>(d, rows, cols);
  }
}

}  // namespace fanin::FANIN_ISA
