#include <pybind11/stl.h>

#include "bind/arrays.hpp"
#include "bind/gil.hpp"
#include "bind/names.hpp"
#include "core/parallel.hpp"
#include "isa/dispatch.hpp"
#include "simd/math_function.hpp"

namespace fanin::bind {

namespace {

/// Rows and columns of an array of any shape, the last axis being the columns.
struct Flat {
  explicit Flat(const py::array& a) {
    cols = a.ndim() ? a.shape(a.ndim() - 1) : 1;
    rows = cols ? a.size() / cols : 0;
  }
  index rows, cols;
};

template <class T>
Tuple<py::array, MaybeArray> forward(const py::array& z, int activation, double keep, double scale,
                                     std::uint64_t seed, std::uint64_t stream, index first_row,
                                     const py::object& out, bool with_slope, int n_threads) {
  check_layout<T>(z, "x");
  const Flat shape(z);
  py::array y = output<T>(out, "out", shape_of(z));
  if (y.data() != z.data()) require_disjoint(y, "out", z, "x");
  py::object slope = py::none();
  ActivationForward<T> a{static_cast<const T*>(z.data()),
                         static_cast<T*>(y.mutable_data()),
                         {},
                         shape.cols,
                         shape.cols};
  a.epilogue.activation = checked<Activation>("activation", activation);
  a.epilogue.dropout = {seed, stream, first_row, keep_threshold(keep), T(scale)};
  if (with_slope) {
    py::array_t<T> s(std::vector<py::ssize_t>(z.shape(), z.shape() + z.ndim()));
    a.epilogue.slope = s.mutable_data();
    slope = std::move(s);
  }
  without_gil([&] {
    const double flops = 10.0 * static_cast<double>(shape.rows * shape.cols);
    parallel_for(shape.rows, 1, useful_threads(n_threads, flops),
                 [&](index b, index e) { kernels<T>().activation_forward(a, {b, e}); });
  });
  return py::make_tuple(std::move(y), std::move(slope));
}

template <class T>
py::array map_array(MathFunction function, const py::array& x) {
  check_layout<T>(x, "x");
  py::array_t<T> out(std::vector<py::ssize_t>(x.shape(), x.shape() + x.ndim()));
  const T* from = static_cast<const T*>(x.data());
  T* to = out.mutable_data();
  parallel_for(x.size(), 64, 1, [&](index b, index e) {
    kernels<T>().map(static_cast<int>(function), from + b, to + b, e - b);
  });
  return out;
}

}  // namespace

void bind_activation(py::module_& m) {
  m.attr("activations") = names_of<Activation>();
  m.def(
      "activation_forward",
      [](const py::array& z, int activation, double keep, double scale, std::uint64_t seed,
         std::uint64_t stream, index first_row, const py::object& out, bool slope, int n_threads) {
        return by_dtype(z, "x", [&](auto t) {
          return forward<decltype(t)>(z, activation, keep, scale, seed, stream, first_row, out,
                                      slope, n_threads);
        });
      },
      py::arg("x"), py::arg("activation"), py::arg("keep"), py::arg("scale"), py::arg("seed"),
      py::arg("stream"), py::arg("first_row"), py::arg("out"), py::arg("slope"),
      py::arg("n_threads"),
      "(y, slope or None): scale * mask * activation(x), the last axis being a row of the mask; "
      "out "
      "may be x.");
  m.def(
      "map",
      [](const std::string& name, const py::array& x) {
        const auto f = choice<MathFunction>("name", name);
        return by_dtype(x, "x", [&](auto t) { return map_array<decltype(t)>(f, x); });
      },
      py::arg("name"), py::arg("x"),
      "An elementary function of each element, by our own polynomials.");
}

}  // namespace fanin::bind
