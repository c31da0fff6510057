#include <pybind11/stl.h>

#include "bind/arrays.hpp"
#include "bind/row_layers.hpp"
#include "isa/dispatch.hpp"
#include "kernels/gemm.hpp"

namespace fanin::bind {

namespace {

template <class T>
Tuple<py::array, MaybeArray> forward(const py::array& x, const py::array& slopes,
                                     const EpilogueKey& epilogue, const py::object& out,
                                     bool with_slope, int n_threads) {
  const T* a = read<T>(slopes, "slopes", {any});
  const index cols = slopes.size();
  const T* xp = read_rows<T>(x, "x", cols);
  py::array y = output<T>(out, "out", shape_of(x));
  require_disjoint(y, "out", x, "x");
  T* derivatives;
  py::object slope = slope_like<T>(x, with_slope, derivatives);
  const index rows = x.shape(0);
  const PreluForward<T> p{xp,   a,          static_cast<T*>(y.mutable_data()),
                          cols, x.shape(1), epilogue_of(epilogue, derivatives)};
  in_pieces(rows, 1, rows * cols, n_threads, [&](Range r) { kernels<T>().prelu_forward(p, r); });
  return py::make_tuple(std::move(y), std::move(slope));
}

template <class T>
py::array backward(const py::array& dy, const py::array& x, const py::array& slopes,
                   const py::object& out, int n_threads) {
  const T* a = read<T>(slopes, "slopes", {any});
  const index cols = slopes.size();
  const T* xp = read_rows<T>(x, "x", cols);
  const index rows = x.shape(0), stride = x.shape(1);
  const T* g = read<T>(dy, "dout", {rows, stride});
  py::array dx = output<T>(out, "out", shape_of(x));
  const PreluBackward<T> p{g, xp, a, static_cast<T*>(dx.mutable_data()), cols, stride};
  in_pieces(rows, 1, rows * cols, n_threads, [&](Range r) { kernels<T>().prelu_backward(p, r); });
  return dx;
}

template <class T>
void gradient(const py::array& dy, const py::array& x, py::array& dslopes, bool accumulate,
              int n_threads) {
  T* sums = write<T>(dslopes, "dslopes", {any});
  const index cols = dslopes.size();
  const T* xp = read_rows<T>(x, "x", cols);
  const index rows = x.shape(0), stride = x.shape(1);
  const PreluGradient<T> p{read<T>(dy, "dout", {rows, stride}), xp, sums, rows, stride, accumulate};
  in_pieces(cols, block_columns, rows * cols, n_threads,
            [&](Range r) { kernels<T>().prelu_gradient(p, r); });
}

template <class T>
py::array sum(const py::array& a, const py::array& b, index cols, const py::object& out,
              int n_threads) {
  const T* ap = read_rows<T>(a, "a", cols);
  const index rows = a.shape(0), stride = a.shape(1);
  const T* bp = read<T>(b, "b", {rows, stride});
  py::array y = output<T>(out, "out", shape_of(a));
  const Add<T> args{ap, bp, static_cast<T*>(y.mutable_data()), cols, stride};
  in_pieces(rows, 1, rows * cols, n_threads, [&](Range r) { kernels<T>().add(args, r); });
  return y;
}

}  // namespace

void bind_prelu(py::module_& m) {
  m.def(
      "prelu_forward",
      [](const py::array& x, const py::array& slopes, const EpilogueKey& epilogue,
         const py::object& out, bool slope, int n_threads) {
        return by_dtype(x, "x", [&](auto t) {
          return forward<decltype(t)>(x, slopes, epilogue, out, slope, n_threads);
        });
      },
      py::arg("x"), py::arg("slopes"), py::arg("epilogue"), py::arg("out"), py::arg("slope"),
      py::arg("n_threads"),
      "(y, slope or None); rows of x may be longer than slopes: what is beyond is not touched.");
  m.def(
      "prelu_backward",
      [](const py::array& dy, const py::array& x, const py::array& slopes, const py::object& out,
         int n_threads) {
        return by_dtype(
            x, "x", [&](auto t) { return backward<decltype(t)>(dy, x, slopes, out, n_threads); });
      },
      py::arg("dy"), py::arg("x"), py::arg("slopes"), py::arg("out"), py::arg("n_threads"),
      "dx; out may be dy.");
  m.def(
      "prelu_gradient",
      [](const py::array& dy, const py::array& x, py::array& dslopes, bool accumulate,
         int n_threads) {
        by_dtype(x, "x",
                 [&](auto t) { gradient<decltype(t)>(dy, x, dslopes, accumulate, n_threads); });
      },
      py::arg("dy"), py::arg("x"), py::arg("dslopes"), py::arg("accumulate"), py::arg("n_threads"),
      "Writes or adds the sums over the rows of dy min(0, x).");
  m.def(
      "add",
      [](const py::array& a, const py::array& b, index cols, const py::object& out, int n_threads) {
        return by_dtype(a, "a",
                        [&](auto t) { return sum<decltype(t)>(a, b, cols, out, n_threads); });
      },
      py::arg("a"), py::arg("b"), py::arg("cols"), py::arg("out"), py::arg("n_threads"),
      "a + b in their first columns; out may be either.");
}

}  // namespace fanin::bind
