#include "engine/network/first_layers.hpp"

#include <algorithm>

#include "core/aligned.hpp"
#include "core/copy.hpp"

namespace fanin {

namespace {

/// std::copy_n of one run.
template <class T>
FANIN_INLINE void copy_run(const T* from, index n, T* to) {
  constexpr index block = 32, bytes = sizeof(T);
  if (n * bytes >= block) return copy_blocks<block>(from, to, n * bytes);
  for (index i = 0; i < n; ++i) to[i] = from[i];
}

}  // namespace

template <class T>
FirstLayers<T>::FirstLayers(const std::vector<Network<T>*>& networks)
    : networks_(networks),
      in_(networks.front()->in()),
      out_(networks.front()->graph().layers().front().out),
      columns_(static_cast<index>(networks.size()) * out_) {
  weights_.reserve(panels() * in_ * block_columns);
  biases_.reserve(panels() * block_columns);
}

/// use(panel, column of the panel, column of the network, columns) for each part of a network's
/// columns that lies in one panel.
template <class T>
template <class F>
void FirstLayers<T>::for_runs(std::size_t network, F&& use) const {
  const index first = static_cast<index>(network) * out_;
  for (index column = 0; column < out_;) {
    const index at = first + column, inside = at % block_columns;
    const index count = std::min(block_columns - inside, out_ - column);
    use(at / block_columns, inside, column, count);
    column += count;
  }
}

template <class T>
void FirstLayers<T>::load(std::size_t network) {
  load_rows(network, {0, in_});
  load_biases(network);
}

template <class T>
void FirstLayers<T>::load_rows(std::size_t network, Range rows) {
  packed_ = false;
  const Network<T>& source = *networks_[network];
  const T* from = source.parameter(source.graph().ops().front(), 0);
  for_runs(network, [&](index panel, index inside, index column, index count) {
    const index stride = width(panel);
    T* to = weights_.data() + panel * in_ * block_columns + inside;
    for (index i = rows.begin; i < rows.end; ++i) {
      copy_run(from + i * out_ + column, count, to + i * stride);
    }
  });
}

template <class T>
void FirstLayers<T>::load_biases(std::size_t network) {
  const Network<T>& from = *networks_[network];
  const Op& first = from.graph().ops().front();
  if (!first.has_bias) return;  // they are zero
  std::copy_n(from.parameter(first, 1), out_, biases_.data() + static_cast<index>(network) * out_);
}

template <class T>
void FirstLayers<T>::pack_weights() {
  if (packed_) return;
  weights_right_.reserve(panels() * bf16_right_size(in_, block_columns));
  for (index p = 0; p < panels(); ++p) {
    Bf16Pack<T> pack{weights_.data() + p * in_ * block_columns, width(p), width(p)};
    pack.right = weights_right_.data() + p * bf16_right_size(in_, block_columns);
    pack.right_panel = bf16_panel(in_);
    bf16_kernels<T>().pack(pack, {0, in_});
  }
  packed_ = true;
}

/// The sums of a panel.
template <class T>
void FirstLayers<T>::product(const T* x, index x_stride, index rows, index panel) {
  const T* biases = biases_.data() + panel * block_columns;
  T* sums = sums_.data() + panel * rows * block_columns;
  const index out = width(panel);
  Epilogue<T> plain{};
  plain.dropout.scale = T(1);
  if (bf16()) {
    const T* weights = weights_right_.data() + panel * bf16_right_size(in_, block_columns);
    const Bf16Product<T> p{x_left_.data(), bf16_stride(in_), weights, bf16_panel(in_),
                           sums,           block_columns,    in_,     out,
                           biases};
    return bf16_kernels<T>().forward(p, plain, {0, rows}, {0, out});
  }
  const T* weights = weights_.data() + panel * in_ * block_columns;
  const DenseForward<T> d{x, weights, biases, sums, in_, out, x_stride, block_columns, plain};
  kernels<T>().dense_forward(d, {0, rows}, {0, out}, thread_scratch<T>(product_scratch<T>));
}

template <class T>
void FirstLayers<T>::forward(const T* x, index x_stride, index rows, T* const* sums, index stride) {
  sums_.reserve(panels() * rows * block_columns);
  if (bf16()) {
    pack_weights();
    x_left_.reserve(bf16_left_size(rows, in_));
    x_left_t_.reserve(bf16_left_size(in_, rows));
    Bf16Pack<T> pack{x, in_, x_stride};
    pack.left = x_left_.data();
    pack.left_stride = bf16_stride(in_);
    pack.left_t = x_left_t_.data();
    pack.left_t_stride = bf16_stride(rows);
    bf16_kernels<T>().pack(pack, {0, rows});
  }
  for (index p = 0; p < panels(); ++p) product(x, x_stride, rows, p);
  for (std::size_t n = 0; n < networks_.size(); ++n) {
    if (!sums[n]) continue;
    for_runs(n, [&](index panel, index inside, index column, index count) {
      const T* from = sums_.data() + panel * rows * block_columns + inside;
      for (index i = 0; i < rows; ++i) {
        copy_run(from + i * block_columns, count, sums[n] + i * stride + column);
      }
    });
  }
}

template <class T>
void FirstLayers<T>::load_gradients(index rows, const T* const* dz, index stride) {
  dz_.reserve(panels() * rows * block_columns);
  for (std::size_t n = 0; n < networks_.size(); ++n) {
    if (!dz[n]) continue;
    for_runs(n, [&](index panel, index inside, index column, index count) {
      T* to = dz_.data() + panel * rows * block_columns + inside;
      for (index i = 0; i < rows; ++i) {
        copy_run(dz[n] + i * stride + column, count, to + i * block_columns);
      }
    });
  }
  if (!bf16()) return;
  dz_right_.reserve(panels() * bf16_right_size(rows, block_columns));
  for (index p = 0; p < panels(); ++p) {
    Bf16Pack<T> pack{dz_.data() + p * rows * block_columns, width(p), block_columns};
    pack.right = dz_right_.data() + p * bf16_right_size(rows, block_columns);
    pack.right_panel = bf16_panel(rows);
    bf16_kernels<T>().pack(pack, {0, rows});
  }
}

template <class T>
void FirstLayers<T>::weight_gradients(const T* x, index x_stride, index rows, Range in) {
  const index n = in.end - in.begin;
  gradients_.reserve(panels() * n * block_columns);
  for (index p = 0; p < panels(); ++p) {
    T* gradient = gradients_.data() + p * n * block_columns;
    if (bf16()) {
      const T* dz = dz_right_.data() + p * bf16_right_size(rows, block_columns);
      const Bf16Product<T> product{x_left_t_.data(), bf16_stride(rows), dz,   bf16_panel(rows),
                                   gradient,         width(p),          rows, width(p)};
      bf16_kernels<T>().weight_gradient(product, in);
      continue;
    }
    const WeightGradient<T> w{
        x, dz_.data() + p * rows * block_columns, rows, width(p), x_stride, block_columns, false};
    kernels<T>().weight_gradient(w, in, gradient, thread_scratch<T>(product_scratch<T>));
  }
}

template <class T>
void FirstLayers<T>::take_gradient(std::size_t network, index rows, T* gradient) const {
  for_runs(network, [&](index panel, index inside, index column, index count) {
    const index stride = width(panel);
    const T* from = gradients_.data() + panel * rows * block_columns + inside;
    for (index i = 0; i < rows; ++i) {
      copy_run(from + i * stride, count, gradient + i * out_ + column);
    }
  });
}

template class FirstLayers<float>;
template class FirstLayers<double>;

}  // namespace fanin
