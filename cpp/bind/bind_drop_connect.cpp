#include <memory>

#include "bind/arrays.hpp"
#include "bind/gil.hpp"
#include "bind/names.hpp"
#include "core/parallel.hpp"
#include "isa/dispatch.hpp"

namespace fanin::bind {

namespace {

constexpr double flops_per_draw = 32;  // in time

template <class T>
struct Shapes {
  Shapes(const py::array& x, const py::array& w)
      : wp(read<T>(w, "W", {any, any})),
        in(w.shape(0)),
        out(w.shape(1)),
        xp(read<T>(x, "x", {any, in})),
        rows(x.shape(0)) {}

  int threads(int n) const {
    return useful_threads(n, flops_per_draw * static_cast<double>(rows) * static_cast<double>(in) *
                                 static_cast<double>(out));
  }

  const T* wp;
  index in, out;
  const T* xp;
  index rows;
};

/// The masks of rows first_row, first_row + 1, ...: keep below 1.
template <class T>
RowMasks<T> masks_of(double keep, std::uint64_t seed, std::uint64_t stream, index first_row,
                     index in) {
  const std::uint32_t threshold = keep_threshold(keep);  // 0: so near 1 that no draw is above
  return {{seed, stream, first_row, threshold ? threshold : ~0u, T(1.0 / keep)}, in};
}

template <class T>
Tuple<py::array, MaybeArray> forward(const py::array& x, const py::array& w, const py::object& b,
                                     int activation, double keep, std::uint64_t seed,
                                     std::uint64_t stream, index first_row, bool with_slope,
                                     int n_threads) {
  const Shapes<T> s(x, w);
  py::array_t<T> y({s.rows, s.out}), slope({with_slope ? s.rows : 0, s.out});
  DenseForward<T> d{
      s.xp,  s.wp, read_optional<T>(b, "b", {s.out}), y.mutable_data(), s.in, s.out, s.in,
      s.out, {}};
  d.epilogue.activation = checked<Activation>("activation", activation);
  if (with_slope) d.epilogue.slope = slope.mutable_data();
  const RowMasks<T> masks = masks_of<T>(keep, seed, stream, first_row, s.in);
  without_gil([&] {
    parallel_for(s.rows, 1, s.threads(n_threads), [&](index begin, index end) {
      kernels<T>().drop_connect_forward(d, masks, {begin, end}, {0, s.out});
    });
  });
  return py::make_tuple(std::move(y), with_slope ? py::object(std::move(slope)) : py::none());
}

template <class T>
Tuple<MaybeArray, py::array, py::array> backward(const py::array& dy, const py::array& x,
                                                 const py::array& w, const py::object& slope,
                                                 const py::object& gate, double keep,
                                                 std::uint64_t seed, std::uint64_t stream,
                                                 index first_row, bool with_dx, int n_threads) {
  const Shapes<T> s(x, w);
  const T* dyp = read<T>(dy, "dout", {s.rows, s.out});
  const Derivative<T> derivative{read_optional<T>(slope, "slope", {s.rows, s.out}),
                                 read_optional<T>(gate, "gate", {s.rows, s.out}), T(1)};
  py::array_t<T> dx({with_dx ? s.rows : 0, s.in}), dw({s.in, s.out}), db(s.out);
  T *dxp = dx.mutable_data(), *dwp = dw.mutable_data(), *dbp = db.mutable_data();
  const RowMasks<T> masks = masks_of<T>(keep, seed, stream, first_row, s.in);
  without_gil([&] {
    const auto& k = kernels<T>();
    const auto dz = std::make_unique_for_overwrite<T[]>(static_cast<std::size_t>(s.rows * s.out));
    k.activation_backward({dyp, dz.get(), derivative, s.out, s.out}, {0, s.rows});
    const int threads = s.threads(n_threads);
    if (with_dx) {
      const DenseBackwardInput<T> d{dz.get(), nullptr, dxp, s.in, s.out, s.out, s.in, {}, s.wp};
      parallel_for(s.rows, 1, threads, [&](index begin, index end) {
        k.drop_connect_backward_input(d, masks, {begin, end}, {0, s.in});
      });
    }
    const WeightGradient<T> g{s.xp, dz.get(), s.rows, s.out, s.in, s.out, false};
    parallel_for(s.in, 1, threads, [&](index begin, index end) {
      k.drop_connect_weight_gradient(g, masks, {begin, end}, dwp + begin * s.out);
    });
    k.bias_gradient({dz.get(), dbp, s.rows, s.out, s.out, false}, {0, s.out});
  });
  return py::make_tuple(with_dx ? py::object(std::move(dx)) : py::none(), std::move(dw),
                        std::move(db));
}

template <class T>
py::array gaussian(const py::array& mean, const py::array& variance, int activation, double ratio,
                   int n_threads) {
  const T* m = read<T>(mean, "mean", {any, any});
  const index rows = mean.shape(0), cols = mean.shape(1);
  const T* v = read<T>(variance, "variance", {rows, cols});
  py::array_t<T> y({rows, cols});
  const GaussianActivation<T> g{
      m,    v,   y.mutable_data(), checked<Activation>("activation", activation), T(ratio), T(1),
      cols, cols};
  without_gil([&] {
    const double flops = 100.0 * static_cast<double>(rows) * static_cast<double>(cols);
    parallel_for(rows, 1, useful_threads(n_threads, flops), [&](index begin, index end) {
      kernels<T>().gaussian_activation(g, {begin, end});
    });
  });
  return y;
}

}  // namespace

void bind_drop_connect(py::module_& m) {
  m.def(
      "drop_connect_forward",
      [](const py::array& x, const py::array& w, const py::object& b, int activation, double keep,
         std::uint64_t seed, std::uint64_t stream, index first_row, bool slope, int n_threads) {
        return by_dtype(w, "W", [&](auto t) {
          return forward<decltype(t)>(x, w, b, activation, keep, seed, stream, first_row, slope,
                                      n_threads);
        });
      },
      py::arg("x"), py::arg("W"), py::arg("b"), py::arg("activation"), py::arg("keep"),
      py::arg("seed"), py::arg("stream"), py::arg("first_row"), py::arg("slope"),
      py::arg("n_threads"),
      "(y, slope or None): activation(x_i (M_i W) / keep + b), with a mask for each row.");
  m.def(
      "drop_connect_backward",
      [](const py::array& dy, const py::array& x, const py::array& w, const py::object& slope,
         const py::object& gate, double keep, std::uint64_t seed, std::uint64_t stream,
         index first_row, bool dx, int n_threads) {
        return by_dtype(w, "W", [&](auto t) {
          return backward<decltype(t)>(dy, x, w, slope, gate, keep, seed, stream, first_row, dx,
                                       n_threads);
        });
      },
      py::arg("dy"), py::arg("x"), py::arg("W"), py::arg("slope"), py::arg("gate"), py::arg("keep"),
      py::arg("seed"), py::arg("stream"), py::arg("first_row"), py::arg("dx"), py::arg("n_threads"),
      "(dx or None, dW, db), the masks drawn once more.");
  m.def(
      "gaussian_activation",
      [](const py::array& mean, const py::array& variance, int activation, double ratio,
         int n_threads) {
        return by_dtype(mean, "mean", [&](auto t) {
          return gaussian<decltype(t)>(mean, variance, activation, ratio, n_threads);
        });
      },
      py::arg("mean"), py::arg("variance"), py::arg("activation"), py::arg("ratio"),
      py::arg("n_threads"),
      "E[activation(z)], z normal with these means and variances times ratio.");
}

}  // namespace fanin::bind
