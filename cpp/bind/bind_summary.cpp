#include <algorithm>
#include <mutex>
#include <vector>

#include "bind/arrays.hpp"
#include "bind/gil.hpp"
#include "core/parallel.hpp"
#include "isa/dispatch.hpp"
#include "kernels/statistics.hpp"
#include "kernels/summary.hpp"

namespace fanin::bind {

namespace {

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

void bind_summary(py::module_& m) {
  m.def(
      "summary",
      [](const py::array& x, double low, double high, int n_threads) {
        const Summary s = by_dtype(x, "x", [&](auto t) {
          using T = decltype(t);
          check_layout<T>(x, "x");
          const auto* data = static_cast<const T*>(x.data());
          const index n = x.size();
          return without_gil([&] { return summary(data, n, low, high, n_threads); });
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
          without_gil([&] { histogram(data, n, bounds, to, n_threads); });
        });
        return counts;
      },
      py::arg("x"), py::arg("edges"), py::arg("n_threads"),
      "How many of x fall between evenly spaced edges.");
}

}  // namespace fanin::bind
