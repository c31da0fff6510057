#include <memory>

#include "bind/arrays.hpp"
#include "bind/gil.hpp"
#include "bind/names.hpp"
#include "core/aligned.hpp"
#include "core/parallel.hpp"
#include "isa/dispatch.hpp"
#include "kernels/gemm.hpp"

namespace fanin::bind {

namespace {

constexpr double releasing_flops = 3e5;  // below, the GIL's release takes longer than it is worth

double product_flops(index rows, index cols, index k) {
  return 2.0 * static_cast<double>(rows) * static_cast<double>(cols) * static_cast<double>(k);
}

/// Work on a product's result, cut over the threads: by columns where the weights are the larger
/// operand, so that each thread's share of them stays in its own cache; else by rows.
void over_result(index rows, index cols, index k, int threads,
                 FunctionRef<void(Range, Range)> body) {
  const int n = useful_threads(threads, product_flops(rows, cols, k));
  if (cols > rows && cols >= block_columns * n) {
    parallel_for(cols, block_columns, n, [&](index b, index e) { body({0, rows}, {b, e}); });
  } else {
    parallel_for(rows, 1, n, [&](index b, index e) { body({b, e}, {0, cols}); });
  }
}

/// The product in bf16, its operands packed here.
template <class T>
void forward_in_bf16(const DenseForward<T>& d, index rows, int n_threads) {
  const index left = bf16_left_size(rows, d.in), right = bf16_right_size(d.in, d.out);
  T* const packed = thread_scratch<T>(left + right);
  Bf16Pack<T> x{d.x, d.in, d.x_stride}, w{d.w, d.out, d.out};
  x.left = packed;
  x.left_stride = bf16_stride(d.in);
  w.right = packed + left;
  w.right_panel = bf16_panel(d.in);
  const Bf16Product<T> p{x.left, x.left_stride, w.right, w.right_panel, d.y, d.y_stride,
                         d.in,   d.out,         d.b};
  const auto& k = bf16_kernels<T>();
  const int threads = useful_threads(n_threads, product_flops(rows, d.out, d.in));
  parallel_for(rows, bf16_k, threads, [&](index b, index e) { k.pack(x, {b, e}); });
  parallel_for(d.in, bf16_k, threads, [&](index b, index e) { k.pack(w, {b, e}); });
  over_result(rows, d.out, d.in, n_threads,
              [&](Range r, Range c) { k.forward(p, d.epilogue, r, c); });
}

template <class T>
Tuple<py::array, MaybeArray> forward(const py::array& x, const py::array& w, const py::object& b,
                                     int activation, double keep, std::uint64_t seed,
                                     std::uint64_t stream, index first_row, const py::object& out,
                                     bool with_slope, int n_threads, bool bf16) {
  if (bf16 && sizeof(T) != sizeof(float)) {
    throw py::value_error("compute: expected None with float64, got 'bf16'");
  }
  const T* wp = read<T>(w, "W", {any, any});
  const index in = w.shape(0), width = w.shape(1);
  const T* xp = read<T>(x, "x", {any, in});
  const index rows = x.shape(0);
  const T* bp = read_optional<T>(b, "b", {width});
  py::array y = output<T>(out, "out", {rows, width});
  require_disjoint(y, "out", x, "x");
  require_disjoint(y, "out", w, "W");
  if (bp) require_disjoint(y, "out", py::reinterpret_borrow<py::array>(b), "b");
  py::object slope = py::none();
  DenseForward<T> d{xp, wp, bp, static_cast<T*>(y.mutable_data()), in, width, in, width, {}};
  d.epilogue.activation = checked<Activation>("activation", activation);
  d.epilogue.dropout = {seed, stream, first_row, keep_threshold(keep), T(1.0 / keep)};
  if (with_slope) {
    py::array_t<T> s({rows, width});
    d.epilogue.slope = s.mutable_data();
    slope = std::move(s);
  }
  without_gil_if(product_flops(rows, width, in) > releasing_flops, [&] {
    if (bf16) return forward_in_bf16(d, rows, n_threads);
    over_result(rows, width, in, n_threads, [&](Range r, Range c) {
      kernels<T>().dense_forward(d, r, c, thread_scratch<T>(product_scratch<T>));
    });
  });
  return py::make_tuple(std::move(y), std::move(slope));
}

template <class T>
Tuple<MaybeArray, py::array, py::array> backward(const py::array& dy, const py::array& x,
                                                 const py::array& w, const py::object& slope,
                                                 const py::object& gate, double factor,
                                                 bool with_dx, int n_threads) {
  const T* wp = read<T>(w, "W", {any, any});
  const index in = w.shape(0), out = w.shape(1);
  const T* xp = read<T>(x, "x", {any, in});
  const index rows = x.shape(0);
  const T* dyp = read<T>(dy, "dout", {rows, out});
  const Derivative<T> derivative{read_optional<T>(slope, "slope", {rows, out}),
                                 read_optional<T>(gate, "gate", {rows, out}), T(factor)};
  const index dx_rows = with_dx ? rows : 0;
  py::array_t<T> dx({dx_rows, in}), dw({in, out});
  py::array_t<T> db(out);
  T *dxp = dx.mutable_data(), *dwp = dw.mutable_data(), *dbp = db.mutable_data();
  without_gil([&] {
    const auto& k = kernels<T>();
    std::unique_ptr<T[]> dz_memory;
    const T* dz = dyp;
    const double elements = static_cast<double>(rows) * static_cast<double>(out);
    if (derivative.slope || derivative.gate) {
      dz_memory = std::make_unique_for_overwrite<T[]>(static_cast<std::size_t>(rows * out));
      const ActivationBackward<T> a{dyp, dz_memory.get(), derivative, out, out};
      parallel_for(rows, 1, useful_threads(n_threads, elements),
                   [&](index b, index e) { k.activation_backward(a, {b, e}); });
      dz = dz_memory.get();
    }
    if (with_dx) {
      const DenseBackwardInput<T> d{dz, nullptr, dxp, in, out, out, in, {}, wp};
      over_result(rows, in, out, n_threads, [&](Range r, Range c) {
        k.dense_backward_input(d, r, c, thread_scratch<T>(product_scratch<T>));
      });
    }
    const WeightGradient<T> g{xp, dz, rows, out, in, out, false};
    const int threads = useful_threads(n_threads, 2 * elements * static_cast<double>(in));
    parallel_for(in, 48, threads,  // whole tiles and whole lines of x
                 [&](index b, index e) {
                   k.weight_gradient(g, {b, e}, dwp + b * out,
                                     thread_scratch<T>(product_scratch<T>));
                 });
    k.bias_gradient({dz, dbp, rows, out, out, false}, {0, out});
  });
  return py::make_tuple(with_dx ? py::object(dx) : py::none(), dw, db);
}

}  // namespace

void bind_dense(py::module_& m) {
  m.def(
      "dense_forward",
      [](const py::array& x, const py::array& w, const py::object& b, int activation, double keep,
         std::uint64_t seed, std::uint64_t stream, index first_row, const py::object& out,
         bool slope, int n_threads, bool bf16) {
        return by_dtype(w, "W", [&](auto t) {
          return forward<decltype(t)>(x, w, b, activation, keep, seed, stream, first_row, out,
                                      slope, n_threads, bf16);
        });
      },
      py::arg("x"), py::arg("W"), py::arg("b"), py::arg("activation"), py::arg("keep"),
      py::arg("seed"), py::arg("stream"), py::arg("first_row"), py::arg("out"), py::arg("slope"),
      py::arg("n_threads"), py::arg("bf16") = false,
      "(y, slope or None): dropout(activation(x W + b)) and, on request, its derivative; bf16: the "
      "product of operands rounded to that.");
  m.def(
      "dense_backward",
      [](const py::array& dy, const py::array& x, const py::array& w, const py::object& slope,
         const py::object& gate, double factor, bool dx, int n_threads) {
        return by_dtype(w, "W", [&](auto t) {
          return backward<decltype(t)>(dy, x, w, slope, gate, factor, dx, n_threads);
        });
      },
      py::arg("dy"), py::arg("x"), py::arg("W"), py::arg("slope"), py::arg("gate"),
      py::arg("factor"), py::arg("dx"), py::arg("n_threads"),
      "(dx or None, dW, db) from the gradient over the layer's outputs.");
}

}  // namespace fanin::bind
