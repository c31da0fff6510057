#include <algorithm>

#include "bind/arrays.hpp"
#include "bind/gil.hpp"
#include "bind/names.hpp"
#include "core/clock.hpp"
#include "core/parallel.hpp"
#include "isa/dispatch.hpp"

namespace fanin::bind {

namespace {

// A draw costs about as much as 50 operations, and a signal must not wait for more than some
// 10 ms of work: one item is at most 256 columns of W by 1024 rows of x.
constexpr double draw_flops = 50;
constexpr index item_columns = 256, item_rows = 1024;

template <class T>
void run(const RandomDense<T>& d, index rows, int n_threads) {
  const index across = (d.out + item_columns - 1) / item_columns;
  const index down = (rows + item_rows - 1) / item_rows;
  const double weights = static_cast<double>(d.in) * static_cast<double>(d.out);
  const double flops = weights * (draw_flops + 2.0 * static_cast<double>(rows));
  const index threads = std::min<index>(useful_threads(n_threads, flops), across * down);
  parallel_team(static_cast<int>(std::max<index>(threads, 1)), [&](Team& team) {
    Poller poller(poll_signals);
    team.share(across * down, [&](index i, int member) {
      const index row = i / across * item_rows, column = i % across * item_columns;
      kernels<T>().random_dense(d, {row, std::min(row + item_rows, rows)},
                                {column, std::min(column + item_columns, d.out)});
      poller(member);
    });
  });
}

template <class T>
py::array random_dense(const py::array& x, index out, bool normal, PhiloxKey key,
                       std::uint64_t first_group, double a, double b, int activation,
                       int n_threads) {
  const T* xp = read<T>(x, "x", {any, any});
  const index rows = x.shape(0), in = x.shape(1);
  if (in < 1 || out < 1) throw py::value_error("x, out: expected at least one column each");
  py::array_t<T> y({rows, out});
  const Distribution distribution = normal ? Distribution::normal : Distribution::uniform;
  const RandomFill<T> weights{distribution,      key, first_group, static_cast<T>(a),
                              static_cast<T>(b), 0,   nullptr};
  const RandomDense<T> d{xp,      y.mutable_data(),
                         in,      out,
                         in,      out,
                         weights, checked<Activation>("activation", activation)};
  without_gil([&] { run(d, rows, n_threads); });
  return y;
}

}  // namespace

void bind_random_dense(py::module_& m) {
  m.def(
      "random_dense",
      [](const py::array& x, index out, bool normal, std::uint64_t seed, std::uint64_t stream,
         std::uint64_t first_group, double a, double b, int activation, int n_threads) {
        return by_dtype(x, "x", [&](auto t) {
          return random_dense<decltype(t)>(x, out, normal, {seed, stream}, first_group, a, b,
                                           activation, n_threads);
        });
      },
      py::arg("x"), py::arg("out"), py::arg("normal"), py::arg("seed"), py::arg("stream"),
      py::arg("first_group"), py::arg("a"), py::arg("b"), py::arg("activation"),
      py::arg("n_threads"),
      "activation(x W) for the W (columns of x, out) that random_fill would draw; W is not "
      "stored.");
}

}  // namespace fanin::bind
