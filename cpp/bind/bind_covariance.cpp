#include <algorithm>

#include "bind/arrays.hpp"
#include "bind/gil.hpp"
#include "engine/statistics/covariance.hpp"

namespace fanin::bind {

namespace {

/// Calls f with 0 of the type that results have: double for double, else float.
template <class F>
auto by_result(const Rows& x, F&& f) {
  return x.dtype == DType::f64 ? f(double{}) : f(float{});
}

}  // namespace

void bind_covariance(py::module_& m) {
  m.def(
      "column_sums",
      [](const py::object& data, const py::object& shift, bool squared, int n_threads) {
        const Rows x = read_rows(data, "X");
        const double* s = read_optional<double>(shift, "shift", {x.cols});
        py::array_t<double> out(x.cols);
        double* sums = out.mutable_data();
        std::fill_n(sums, x.cols, 0.0);
        without_gil([&] { column_sums(x, s, squared, sums, n_threads, poll_signals); });
        return out;
      },
      py::arg("X"), py::arg("shift"), py::arg("squared"), py::arg("n_threads"),
      "The sum over rows of X - shift, or of its square, in float64.");
  m.def(
      "centre_rows",
      [](const py::object& data, const py::array& mean, const py::object& scale, int n_threads) {
        const Rows x = read_rows(data, "X");
        const double* centre_of = read<double>(mean, "mean", {x.cols});
        const double* factors = read_optional<double>(scale, "scale", {x.cols});
        return by_result(x, [&](auto t) -> py::array {
          using T = decltype(t);
          py::array_t<T> out({x.n, x.cols});
          T* to = out.mutable_data();
          without_gil([&] { centre<T>(x, centre_of, factors, to, n_threads, poll_signals); });
          return out;
        });
      },
      py::arg("X"), py::arg("mean"), py::arg("scale"), py::arg("n_threads"),
      "(X - mean) * scale; float64 for float64, else float32.");
  m.def(
      "scatter",
      [](const py::object& data, const py::array& mean, bool precise, int n_threads) {
        const Rows x = read_rows(data, "X");
        const double* centre_of = read<double>(mean, "mean", {x.cols});
        py::array_t<double> out({x.cols, x.cols});
        double* total = out.mutable_data();
        std::fill_n(total, out.size(), 0.0);
        without_gil([&] {
          if (precise || x.dtype == DType::f64)
            return scatter<double>(x, centre_of, total, n_threads, poll_signals);
          scatter<float>(x, centre_of, total, n_threads, poll_signals);
        });
        return out;
      },
      py::arg("X"), py::arg("mean"), py::arg("precise"), py::arg("n_threads"),
      "The sum over rows of (X - mean)' (X - mean), (D, D) float64; products in float64 where "
      "precise.");
  m.def(
      "project",
      [](const py::object& data, const py::array& mean, const py::array& vectors,
         const py::object& scale, const py::object& add, int n_threads) {
        const Rows x = read_rows(data, "X");
        const double* centre_of = read<double>(mean, "mean", {x.cols});
        return by_result(x, [&](auto t) -> py::array {
          using T = decltype(t);
          const T* v = read<T>(vectors, "vectors", {any, x.cols});
          const index n = vectors.shape(0);
          const double* factors = read_optional<double>(scale, "scale", {n});
          const double* terms = read_optional<double>(add, "add", {n});
          py::array_t<T> out({x.n, n});
          T* to = out.mutable_data();
          without_gil(
              [&] { project<T>(x, centre_of, v, n, factors, terms, to, n_threads, poll_signals); });
          return out;
        });
      },
      py::arg("X"), py::arg("mean"), py::arg("vectors"), py::arg("scale"), py::arg("add"),
      py::arg("n_threads"),
      "((X - mean) @ vectors.T) * scale + add; float64 for float64, else float32.");
}

}  // namespace fanin::bind
