#include <algorithm>
#include <mutex>
#include <vector>

#include "bind/arrays.hpp"
#include "core/clock.hpp"
#include "core/parallel.hpp"
#include "isa/dispatch.hpp"
#include "kernels/statistics.hpp"

namespace fanin::bind {

namespace {

struct Interrupted {};

/// Lets pending signals be handled; a handler's exception (Ctrl-C) ends the work.
const auto poll_signals = [] {
  const py::gil_scoped_acquire acquire;
  if (PyErr_CheckSignals() != 0) throw Interrupted{};
};

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
  const RandomDense<T> d{
      xp, y.mutable_data(), in, out, in, out, weights, static_cast<Activation>(activation)};
  bool interrupted = false;
  {
    const py::gil_scoped_release release;
    try {
      run(d, rows, n_threads);
    } catch (const Interrupted&) {
      interrupted = true;
    }
  }
  if (interrupted) throw py::error_already_set();
  return y;
}

template <class T>
Summary summary(const T* x, index n, double low, double high, int n_threads) {
  const index blocks = (n + statistics_block - 1) / statistics_block;
  std::vector<Summary> parts(static_cast<std::size_t>(blocks));
  const Summarize<T> s{x, low, high};
  parallel_for(blocks, 1, useful_threads(n_threads, 8.0 * static_cast<double>(n)),
               [&](index begin, index end) {
                 for (index b = begin; b < end; ++b) {
                   const Range block{b * statistics_block, std::min((b + 1) * statistics_block, n)};
                   kernels<T>().summarize(s, block, parts[static_cast<std::size_t>(b)]);
                 }
               });
  Summary all;
  for (const Summary& part : parts) all = all.joined(part);
  return all;
}

/// NumPy's histogram: bin i holds edges[i] <= x < edges[i + 1], the last one its upper edge too.
/// What lies outside is not counted.
template <class T>
void count(const T* x, Range elements, const std::vector<double>& edges, std::int64_t* counts) {
  const index bins = static_cast<index>(edges.size()) - 1;
  const double low = edges.front(), high = edges.back(), width = high - low;
  for (index i = elements.begin; i < elements.end; ++i) {
    const double v = static_cast<double>(x[i]);
    if (!(v >= low && v <= high)) continue;
    const auto near = static_cast<index>((v - low) / width * static_cast<double>(bins));
    index bin = std::min(near, bins - 1);
    if (v < edges[static_cast<std::size_t>(bin)]) --bin;
    if (bin + 1 < bins && v >= edges[static_cast<std::size_t>(bin + 1)]) ++bin;
    ++counts[bin];
  }
}

template <class T>
void histogram(const T* x, index n, const std::vector<double>& edges, std::int64_t* counts,
               int n_threads) {
  const int threads = useful_threads(n_threads, 100.0 * static_cast<double>(n));
  std::mutex lock;
  parallel_for(n, 1, threads, [&](index begin, index end) {
    std::vector<std::int64_t> own(edges.size() - 1);
    count(x, {begin, end}, edges, own.data());
    const std::lock_guard<std::mutex> hold(lock);
    for (std::size_t bin = 0; bin < own.size(); ++bin) counts[bin] += own[bin];
  });
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
  m.def(
      "summary",
      [](const py::array& x, double low, double high, int n_threads) {
        const Summary s = by_dtype(x, "x", [&](auto t) {
          using T = decltype(t);
          check_layout<T>(x, "x");
          const auto* data = static_cast<const T*>(x.data());
          const py::gil_scoped_release release;
          return summary(data, x.size(), low, high, n_threads);
        });
        return py::make_tuple(s.mean, s.squares, s.lowest, s.highest, s.zeros, s.outside);
      },
      py::arg("x"), py::arg("low"), py::arg("high"), py::arg("n_threads"),
      "(mean, sum of squared deviations, lowest, highest, how many zero, how many outside).");
  m.def(
      "histogram",
      [](const py::array& x, const py::array& edges, int n_threads) {
        const double* e = read<double>(edges, "edges", {any});
        const std::vector<double> bounds(e, e + edges.size());
        if (bounds.size() < 2 || !(bounds.front() < bounds.back())) {
          throw py::value_error("edges: expected two or more, increasing");
        }
        py::array_t<std::int64_t> counts(static_cast<index>(bounds.size()) - 1);
        std::int64_t* to = counts.mutable_data();
        std::fill_n(to, counts.size(), 0);
        by_dtype(x, "x", [&](auto t) {
          using T = decltype(t);
          check_layout<T>(x, "x");
          const auto* data = static_cast<const T*>(x.data());
          const index n = x.size();
          const py::gil_scoped_release release;
          histogram(data, n, bounds, to, n_threads);
        });
        return counts;
      },
      py::arg("x"), py::arg("edges"), py::arg("n_threads"),
      "How many of x fall between evenly spaced edges.");
}

}  // namespace fanin::bind
