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
void FirstLayers<T>::forward(const T* x, index x_stride, index rows, T* const* sums, index stride) {
  sums_.reserve(panels() * rows * block_columns);
  for (index p = 0; p < panels(); ++p) {
    DenseForward<T> d{};
    d.x = x;
    d.x_stride = x_stride;
    d.w = weights_.data() + p * in_ * block_columns;
    d.b = biases_.data() + p * block_columns;
    d.y = sums_.data() + p * rows * block_columns;
    d.y_stride = block_columns;
    d.in = in_;
    d.out = width(p);
    d.epilogue.dropout.scale = T(1);
    kernels<T>().dense_forward(d, {0, rows}, {0, d.out}, thread_scratch<T>(product_scratch<T>));
  }
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
}

template <class T>
void FirstLayers<T>::weight_gradients(const T* x, index x_stride, index rows, Range in) {
  const index n = in.end - in.begin;
  gradients_.reserve(panels() * n * block_columns);
  for (index p = 0; p < panels(); ++p) {
    const WeightGradient<T> w{
        x, dz_.data() + p * rows * block_columns, rows, width(p), x_stride, block_columns, false};
    kernels<T>().weight_gradient(w, in, gradients_.data() + p * n * block_columns,
                                 thread_scratch<T>(product_scratch<T>));
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
