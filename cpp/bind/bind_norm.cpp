#include <pybind11/stl.h>

#include <algorithm>

#include "bind/arrays.hpp"
#include "bind/row_layers.hpp"
#include "engine/statistics/batch_moments.hpp"
#include "isa/dispatch.hpp"
#include "kernels/gemm.hpp"

namespace fanin::bind {

namespace {

/// What is normalised, and the numbers of its columns.
template <class T>
struct Normalised {
  const T* x;
  const T *gamma, *beta;
  index rows, cols, stride;

  Normalised(const py::array& x_array, const py::array& gamma_array)
      : gamma(read<T>(gamma_array, "gamma", {any})), beta(nullptr), cols(gamma_array.size()) {
    x = read_rows<T>(x_array, "x", cols);
    rows = x_array.shape(0);
    stride = x_array.shape(1);
  }
  Normalised(const py::array& x_array, const py::array& gamma_array, const py::array& beta_array)
      : Normalised(x_array, gamma_array) {
    beta = read<T>(beta_array, "beta", {cols});
  }
};

template <class T>
Tuple<py::array, py::array, py::array, MaybeArray> layer_forward(
    const py::array& x, const py::array& gamma, const py::array& beta, const EpilogueKey& epilogue,
    const py::object& out, bool with_slope, int n_threads) {
  const Normalised<T> n(x, gamma, beta);
  py::array y = output<T>(out, "out", shape_of(x));
  require_disjoint(y, "out", x, "x");
  py::array_t<T> mean(n.rows), inverse(n.rows);
  T* slopes;
  py::object slope = slope_like<T>(x, with_slope, slopes);
  const LayerNormForward<T> a{n.x,
                              n.gamma,
                              n.beta,
                              static_cast<T*>(y.mutable_data()),
                              mean.mutable_data(),
                              inverse.mutable_data(),
                              n.cols,
                              n.stride,
                              epilogue_of(epilogue, slopes)};
  in_pieces(n.rows, 1, n.rows * n.cols, n_threads,
            [&](Range rows) { kernels<T>().layer_norm_forward(a, rows); });
  return py::make_tuple(std::move(y), std::move(mean), std::move(inverse), std::move(slope));
}

template <class T>
py::array layer_backward(const py::array& dy, const py::array& x, const py::array& gamma,
                         const py::array& mean, const py::array& inverse, const py::object& out,
                         int n_threads) {
  const Normalised<T> n(x, gamma);
  const T* g = read<T>(dy, "dout", {n.rows, n.stride});
  const T* m = read<T>(mean, "mean", {n.rows});
  const T* s = read<T>(inverse, "inverse", {n.rows});
  py::array dx = output<T>(out, "out", shape_of(x));
  const LayerNormBackward<T> a{g,      n.x,     n.gamma, m, s, static_cast<T*>(dx.mutable_data()),
                               n.cols, n.stride};
  in_pieces(n.rows, 1, n.rows * n.cols, n_threads,
            [&](Range rows) { kernels<T>().layer_norm_backward(a, rows); });
  return dx;
}

template <class T>
Tuple<py::array, MaybeArray> batch_forward(const py::array& x, const py::array& gamma,
                                           const py::array& beta, const py::array& mean,
                                           const py::array& inverse, const EpilogueKey& epilogue,
                                           const py::object& out, bool with_slope, int n_threads) {
  const Normalised<T> n(x, gamma, beta);
  const T* m = read<T>(mean, "mean", {n.cols});
  const T* s = read<T>(inverse, "inverse", {n.cols});
  py::array y = output<T>(out, "out", shape_of(x));
  T* slopes;
  py::object slope = slope_like<T>(x, with_slope, slopes);
  const BatchNormForward<T> a{n.x,    n.gamma,  n.beta,
                              m,      s,        static_cast<T*>(y.mutable_data()),
                              n.cols, n.stride, epilogue_of(epilogue, slopes)};
  in_pieces(n.rows, 1, n.rows * n.cols, n_threads,
            [&](Range rows) { kernels<T>().batch_norm_forward(a, rows); });
  return py::make_tuple(std::move(y), std::move(slope));
}

template <class T>
py::array batch_backward(const py::array& dy, const py::array& x, const py::array& gamma,
                         const py::array& mean, const py::array& inverse, const py::array& mean_dy,
                         const py::array& mean_dy_h, const py::object& out, int n_threads) {
  const Normalised<T> n(x, gamma);
  const T* g = read<T>(dy, "dout", {n.rows, n.stride});
  const T* m = read<T>(mean, "mean", {n.cols});
  const T* s = read<T>(inverse, "inverse", {n.cols});
  const T* mg = read<T>(mean_dy, "mean_dy", {n.cols});
  const T* mgh = read<T>(mean_dy_h, "mean_dy_h", {n.cols});
  py::array dx = output<T>(out, "out", shape_of(x));
  const BatchNormBackward<T> a{
      g, n.x, n.gamma, m, s, mg, mgh, static_cast<T*>(dx.mutable_data()), n.cols, n.stride};
  in_pieces(n.rows, 1, n.rows * n.cols, n_threads,
            [&](Range rows) { kernels<T>().batch_norm_backward(a, rows); });
  return dx;
}

template <class T>
void gradient(const py::array& dy, const py::array& x, const py::array& mean,
              const py::array& inverse, bool per_column, py::array& dgamma, py::array& dbeta,
              bool accumulate, int n_threads) {
  T* sums_h = write<T>(dgamma, "dgamma", {any});
  const index cols = dgamma.size();
  T* sums = write<T>(dbeta, "dbeta", {cols});
  const T* xp = read_rows<T>(x, "x", cols);
  const index rows = x.shape(0), stride = x.shape(1), moments = per_column ? cols : rows;
  const T* g = read<T>(dy, "dout", {rows, stride});
  const T* m = read<T>(mean, "mean", {moments});
  const T* s = read<T>(inverse, "inverse", {moments});
  const NormGradient<T> a{g, xp, m, s, per_column, sums_h, rows, stride, accumulate};
  const BiasGradient<T> b{g, sums, rows, cols, stride, accumulate};
  in_pieces(cols, block_columns, rows * cols, n_threads, [&](Range range) {
    kernels<T>().norm_gradient(a, range);
    kernels<T>().bias_gradient(b, range);
  });
}

template <class T>
Tuple<py::array, py::array> moments(const py::array& x, index cols, int n_threads) {
  const T* xp = read_rows<T>(x, "x", cols);
  const index rows = x.shape(0), stride = x.shape(1);
  py::array_t<T> mean(cols), variance(cols);
  T *m = mean.mutable_data(), *v = variance.mutable_data();
  in_pieces(cols, block_columns, rows * cols, n_threads,
            [&](Range range) { batch_moments(xp, rows, stride, range, m, v); });
  return py::make_tuple(std::move(mean), std::move(variance));
}

template <class T>
Tuple<py::array, py::array> gradients(const py::array& dy, const py::array& x,
                                      const py::array& mean, const py::array& inverse,
                                      int n_threads) {
  const T* m = read<T>(mean, "mean", {any});
  const index cols = mean.size();
  const T* s = read<T>(inverse, "inverse", {cols});
  const T* xp = read_rows<T>(x, "x", cols);
  const index rows = x.shape(0), stride = x.shape(1);
  const T* g = read<T>(dy, "dout", {rows, stride});
  py::array_t<T> sum_dy(cols), sum_dy_h(cols);
  T *sums = sum_dy.mutable_data(), *sums_h = sum_dy_h.mutable_data();
  in_pieces(cols, block_columns, rows * cols, n_threads,
            [&](Range range) { batch_gradients(g, xp, m, s, rows, stride, range, sums, sums_h); });
  return py::make_tuple(std::move(sum_dy), std::move(sum_dy_h));
}

template <class T>
py::array inverses(const py::array& variance) {
  const T* v = read<T>(variance, "variance", {any});
  py::array_t<T> out(variance.size());
  std::transform(v, v + variance.size(), out.mutable_data(), inverse_deviation<T>);
  return out;
}

void bind_layer_norm(py::module_& m) {
  m.def(
      "layer_norm_forward",
      [](const py::array& x, const py::array& gamma, const py::array& beta,
         const EpilogueKey& epilogue, const py::object& out, bool slope, int n_threads) {
        return by_dtype(x, "x", [&](auto t) {
          return layer_forward<decltype(t)>(x, gamma, beta, epilogue, out, slope, n_threads);
        });
      },
      py::arg("x"), py::arg("gamma"), py::arg("beta"), py::arg("epilogue"), py::arg("out"),
      py::arg("slope"), py::arg("n_threads"),
      "(y, mean, 1 / deviation, slope or None) of each row of x, which may be longer than gamma: "
      "what is beyond is not touched.");
  m.def(
      "layer_norm_backward",
      [](const py::array& dy, const py::array& x, const py::array& gamma, const py::array& mean,
         const py::array& inverse, const py::object& out, int n_threads) {
        return by_dtype(x, "x", [&](auto t) {
          return layer_backward<decltype(t)>(dy, x, gamma, mean, inverse, out, n_threads);
        });
      },
      py::arg("dy"), py::arg("x"), py::arg("gamma"), py::arg("mean"), py::arg("inverse"),
      py::arg("out"), py::arg("n_threads"), "dx; out may be dy.");
  m.def(
      "norm_gradient",
      [](const py::array& dy, const py::array& x, const py::array& mean, const py::array& inverse,
         bool per_column, py::array& dgamma, py::array& dbeta, bool accumulate, int n_threads) {
        by_dtype(x, "x", [&](auto t) {
          gradient<decltype(t)>(dy, x, mean, inverse, per_column, dgamma, dbeta, accumulate,
                                n_threads);
        });
      },
      py::arg("dy"), py::arg("x"), py::arg("mean"), py::arg("inverse"), py::arg("per_column"),
      py::arg("dgamma"), py::arg("dbeta"), py::arg("accumulate"), py::arg("n_threads"),
      "Writes or adds the sums over the rows of dy (x - mean) inverse and of dy.");
}

void bind_batch_norm(py::module_& m) {
  m.def(
      "batch_norm_forward",
      [](const py::array& x, const py::array& gamma, const py::array& beta, const py::array& mean,
         const py::array& inverse, const EpilogueKey& epilogue, const py::object& out, bool slope,
         int n_threads) {
        return by_dtype(x, "x", [&](auto t) {
          return batch_forward<decltype(t)>(x, gamma, beta, mean, inverse, epilogue, out, slope,
                                            n_threads);
        });
      },
      py::arg("x"), py::arg("gamma"), py::arg("beta"), py::arg("mean"), py::arg("inverse"),
      py::arg("epilogue"), py::arg("out"), py::arg("slope"), py::arg("n_threads"),
      "(y, slope or None) from the mean and 1 / deviation of each column; out may be x.");
  m.def(
      "batch_norm_backward",
      [](const py::array& dy, const py::array& x, const py::array& gamma, const py::array& mean,
         const py::array& inverse, const py::array& mean_dy, const py::array& mean_dy_h,
         const py::object& out, int n_threads) {
        return by_dtype(x, "x", [&](auto t) {
          return batch_backward<decltype(t)>(dy, x, gamma, mean, inverse, mean_dy, mean_dy_h, out,
                                             n_threads);
        });
      },
      py::arg("dy"), py::arg("x"), py::arg("gamma"), py::arg("mean"), py::arg("inverse"),
      py::arg("mean_dy"), py::arg("mean_dy_h"), py::arg("out"), py::arg("n_threads"),
      "dx; out may be dy.");
  m.def(
      "batch_moments",
      [](const py::array& x, index cols, int n_threads) {
        return by_dtype(x, "x", [&](auto t) { return moments<decltype(t)>(x, cols, n_threads); });
      },
      py::arg("x"), py::arg("cols"), py::arg("n_threads"),
      "(mean, biased variance) of the first columns over the rows.");
  m.def(
      "batch_gradients",
      [](const py::array& dy, const py::array& x, const py::array& mean, const py::array& inverse,
         int n_threads) {
        return by_dtype(x, "x", [&](auto t) {
          return gradients<decltype(t)>(dy, x, mean, inverse, n_threads);
        });
      },
      py::arg("dy"), py::arg("x"), py::arg("mean"), py::arg("inverse"), py::arg("n_threads"),
      "The sums over the rows of dy and of dy (x - mean) inverse.");
  m.def(
      "inverse_deviation",
      [](const py::array& variance) {
        return by_dtype(variance, "variance",
                        [&](auto t) { return inverses<decltype(t)>(variance); });
      },
      py::arg("variance"), "1 / sqrt(variance + norm_eps).");
}

}  // namespace

void bind_norm(py::module_& m) {
  m.attr("norm_eps") = norm_eps;
  bind_layer_norm(m);
  bind_batch_norm(m);
}

}  // namespace fanin::bind
