#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "bind/arrays.hpp"
#include "bind/signals.hpp"
#include "core/aligned.hpp"
#include "core/clock.hpp"
#include "core/parallel.hpp"
#include "isa/dispatch.hpp"

namespace fanin::bind {

namespace {

constexpr index scatter_block = 2048;  // rows of the data that are centred and multiplied at once
constexpr index project_block = 1024;
constexpr index sums_block = 32768;

/// Rows of data of any stored type.
struct Rows {
  const void* data;
  DType dtype;
  index n, cols;

  const void* row(index i) const {
    const index size = dtype == DType::u8 ? 1 : dtype == DType::f32 ? 4 : 8;
    return static_cast<const char*>(data) + i * cols * size;
  }
};

Rows rows_of(const py::array& a) {
  if (holds<std::uint8_t>(a)) {
    const void* p = read<std::uint8_t>(a, "X", {any, any});
    return {p, DType::u8, a.shape(0), a.shape(1)};
  }
  if (holds<double>(a)) {
    const void* p = read<double>(a, "X", {any, any});
    return {p, DType::f64, a.shape(0), a.shape(1)};
  }
  const void* p = read<float>(a, "X", {any, any});
  return {p, DType::f32, a.shape(0), a.shape(1)};
}

/// Calls f with 0 of the type that results have: double for double, else float.
template <class F>
auto by_result(const Rows& x, F&& f) {
  return x.dtype == DType::f64 ? f(double{}) : f(float{});
}

/// Runs item(i, worker) for each i in [0, n) on up to `threads` workers; signals are handled about
/// every 50 ms. An item's result must not depend on who runs it.
template <class F>
void share(index n, int threads, F&& item) {
  std::atomic<index> next{0};
  while (next < n) {
    const Stopwatch watch;
    parallel_for(threads, 1, threads, [&](index begin, index) {
      for (index i; watch.seconds() < poll_seconds && (i = next++) < n;) item(i, begin);
    });
    poll_signals();
  }
}

/// Runs range(begin, end) over [0, n) in steps.
template <class F>
void share_steps(index n, index step, int threads, F&& range) {
  share((n + step - 1) / step, threads,
        [&](index i, index) { range(Range{i * step, std::min(n, (i + 1) * step)}); });
}

double work(index a, index b, index c) {
  return static_cast<double>(a) * static_cast<double>(b) * static_cast<double>(c);
}

/// A mean in two parts: T's, and what T could not hold.
template <class T>
struct Shift {
  Aligned<T> shift, rest;

  Shift(const double* mean, index n, bool whole = false) : shift(n), rest(n) {
    for (index j = 0; j < n; ++j) {
      shift.data()[j] = static_cast<T>(whole ? std::nearbyint(mean[j]) : mean[j]);
      rest.data()[j] = static_cast<T>(mean[j] - static_cast<double>(shift.data()[j]));
    }
  }
};

template <class T>
Aligned<T> converted(const double* values, index n) {
  Aligned<T> out(values ? n : 0);
  for (index j = 0; j < out.size(); ++j) out.data()[j] = static_cast<T>(values[j]);
  return out;
}

void column_sums(const Rows& x, const double* shift, bool squared, double* sums, int n_threads) {
  constexpr index step = 256;  // columns: whole lines of each row
  const int threads = useful_threads(n_threads, 2 * work(x.n, x.cols, 1));
  for (index i = 0; i < x.n; i += sums_block) {
    const index rows = std::min(sums_block, x.n - i);
    const ColumnSums c{x.row(i), x.dtype, shift, sums, rows, x.cols, squared};
    share_steps(x.cols, step, threads, [&](Range r) { kernels<double>().column_sums(c, r); });
  }
}

template <class T>
void centre(const Rows& x, const double* mean, const double* scale, T* out, int n_threads) {
  const Shift<T> s(mean, x.cols);
  const Aligned<T> factors = converted<T>(scale, x.cols);
  const CentreRows<T> c{x.data, x.dtype, s.shift.data(), s.rest.data(), factors.data(), out, x.cols,
                        x.cols, 0,       x.cols};
  share_steps(x.n, std::max<index>(1, (1 << 16) / std::max<index>(x.cols, 1)),
              useful_threads(n_threads, 4 * work(x.n, x.cols, 1)),
              [&](Range r) { kernels<T>().centre_rows(c, r); });
}

/// Blocks on and above the diagonal.
struct Block {
  Range rows, cols;
};

std::vector<Block> upper_blocks(index size) {
  const bool large = size >= 4 * scatter_rows;  // else smaller blocks, enough for all threads
  const index height = large ? scatter_rows : block_columns;
  const index width = large ? scatter_cols : block_columns;
  std::vector<Block> blocks;
  for (index i = 0; i < size; i += height) {
    for (index j = i; j < size; j += width) {
      const index end = std::min(j + width, size);
      blocks.push_back({{i, std::min({i + height, end, size})}, {j, end}});
    }
  }
  return blocks;
}

/// Moves a block from sums about the shift to sums about the mean, and mirrors it.
template <class T>
void finish_block(const Block& b, const double* mean, const T* shift, index n, double* total,
                  index d, double* room) {
  const auto rest = [&](index j) { return mean[j] - static_cast<double>(shift[j]); };
  for (index i = b.rows.begin; i < b.rows.end; ++i) {
    const double moved = static_cast<double>(n) * rest(i);
    for (index j = std::max(i, b.cols.begin); j < b.cols.end; ++j) {
      total[i * d + j] -= moved * rest(j);
      room[(i - b.rows.begin) * scatter_cols + j - b.cols.begin] = total[i * d + j];
    }
  }
  for (index j = b.cols.begin; j < b.cols.end; ++j) {
    const double* from = room + j - b.cols.begin;
    double* to = total + j * d + b.rows.begin;
    const index above = std::min(b.rows.end, j) - b.rows.begin;
    for (index i = 0; i < above; ++i) to[i] = from[i * scatter_cols];
  }
}

/// total (cols, cols) = the sum over rows of (x - mean)ᵀ (x - mean). The sums are made about a
/// nearby shift that T holds (for bytes a whole number, so that they are exact), and moved.
template <class T>
void scatter(const Rows& x, const double* mean, double* total, int n_threads) {
  const index d = x.cols, panels = (d + block_columns - 1) / block_columns;
  const index block = std::min(scatter_block, x.n), panel_stride = block * block_columns;
  const Shift<T> s(mean, d, x.dtype == DType::u8);
  Aligned<T> centred(panels * panel_stride);
  const int threads = useful_threads(n_threads, work(x.n, d, d));
  struct Room {
    Aligned<T> chains{block_columns * block_columns};
    Aligned<double> sums{scatter_rows * scatter_cols};
  };
  std::vector<Room> rooms(static_cast<std::size_t>(threads));
  const std::vector<Block> blocks = upper_blocks(d);
  for (index begin = 0; begin < x.n; begin += block) {
    const index rows = std::min(block, x.n - begin);
    const CentreRows<T> c{x.row(begin),   x.dtype, s.shift.data(), nullptr,      nullptr,
                          centred.data(), d,       block_columns,  panel_stride, block_columns};
    share_steps(rows, 32, threads, [&](Range r) { kernels<T>().centre_rows(c, r); });
    share(static_cast<index>(blocks.size()), threads, [&](index i, index worker) {
      Room& room = rooms[static_cast<std::size_t>(worker)];
      const Scatter<T> product{centred.data(),  rows, panel_stride, total, d, room.chains.data(),
                               room.sums.data()};
      const Block& b = blocks[static_cast<std::size_t>(i)];
      kernels<T>().scatter(product, b.rows, b.cols);
    });
  }
  share(static_cast<index>(blocks.size()), threads, [&](index k, index worker) {
    const Block& b = blocks[static_cast<std::size_t>(k)];
    finish_block(b, mean, s.shift.data(), x.n, total, d,
                 rooms[static_cast<std::size_t>(worker)].sums.data());
  });
}

/// out (n, m) = ((x - mean) · vectorsᵀ) * scale + add, vectors (m, cols).
template <class T>
void project(const Rows& x, const double* mean, const T* vectors, index m, const double* scale,
             const double* add, T* out, int n_threads) {
  const index d = x.cols;
  const index width = m >= 4 * project_cols ? project_cols : block_columns;
  const index parts = (m + width - 1) / width;
  const index stride = (d / 32 * 2 + 3) * 16;  // whole lines, an odd number of them
  const index block = std::min(project_block, x.n);
  const Shift<T> s(mean, d);
  const Aligned<T> factors = converted<T>(scale, m), terms = converted<T>(add, m);
  Aligned<T> centred(block * stride), transposed(m * d);
  const int threads = useful_threads(n_threads, 2 * work(x.n, d, m));
  std::vector<Aligned<T>> rooms;
  for (int i = 0; i < threads; ++i) rooms.emplace_back(project_rows * project_cols);
  share_steps(m, block_columns, threads, [&](Range r) {
    const index n = r.end - r.begin, at = r.begin * d;
    kernels<T>().transpose({vectors + at, transposed.data() + at, n, d}, {0, n});
  });
  for (index begin = 0; begin < x.n; begin += block) {
    const index rows = std::min(block, x.n - begin);
    const CentreRows<T> c{
        x.row(begin), x.dtype, s.shift.data(), s.rest.data(), nullptr, centred.data(), d, d, 0,
        stride};
    share_steps(rows, 16, threads, [&](Range r) { kernels<T>().centre_rows(c, r); });
    const index groups = (rows + project_rows - 1) / project_rows;
    const Project<T> p{
        centred.data(),  stride, d,      transposed.data(), factors.data(), terms.data(),
        out + begin * m, m,      nullptr};
    share(groups * parts, threads, [&](index i, index worker) {
      const index row = i / parts * project_rows, col = i % parts * width;
      Project<T> mine = p;
      mine.room = rooms[static_cast<std::size_t>(worker)].data();
      kernels<T>().project(mine, {row, std::min(row + project_rows, rows)},
                           {col, std::min(col + width, m)});
    });
  }
}

}  // namespace

void bind_covariance(py::module_& m) {
  m.def(
      "column_sums",
      [](const py::array& data, const py::object& shift, bool squared, int n_threads) {
        const Rows x = rows_of(data);
        const double* s = read_optional<double>(shift, "shift", {x.cols});
        py::array_t<double> out(x.cols);
        double* sums = out.mutable_data();
        std::fill_n(sums, x.cols, 0.0);
        without_gil([&] { column_sums(x, s, squared, sums, n_threads); });
        return out;
      },
      py::arg("X"), py::arg("shift"), py::arg("squared"), py::arg("n_threads"),
      "The sum over rows of X - shift, or of its square, in float64.");
  m.def(
      "centre_rows",
      [](const py::array& data, const py::array& mean, const py::object& scale, int n_threads) {
        const Rows x = rows_of(data);
        const double* centre_of = read<double>(mean, "mean", {x.cols});
        const double* factors = read_optional<double>(scale, "scale", {x.cols});
        return by_result(x, [&](auto t) -> py::array {
          using T = decltype(t);
          py::array_t<T> out({x.n, x.cols});
          T* to = out.mutable_data();
          without_gil([&] { centre<T>(x, centre_of, factors, to, n_threads); });
          return out;
        });
      },
      py::arg("X"), py::arg("mean"), py::arg("scale"), py::arg("n_threads"),
      "(X - mean) * scale; float64 for float64, else float32.");
  m.def(
      "scatter",
      [](const py::array& data, const py::array& mean, bool precise, int n_threads) {
        const Rows x = rows_of(data);
        const double* centre_of = read<double>(mean, "mean", {x.cols});
        py::array_t<double> out({x.cols, x.cols});
        double* total = out.mutable_data();
        std::fill_n(total, out.size(), 0.0);
        without_gil([&] {
          if (precise || x.dtype == DType::f64)
            return scatter<double>(x, centre_of, total, n_threads);
          scatter<float>(x, centre_of, total, n_threads);
        });
        return out;
      },
      py::arg("X"), py::arg("mean"), py::arg("precise"), py::arg("n_threads"),
      "The sum over rows of (X - mean)' (X - mean), (D, D) float64; products in float64 where "
      "precise.");
  m.def(
      "project",
      [](const py::array& data, const py::array& mean, const py::array& vectors,
         const py::object& scale, const py::object& add, int n_threads) {
        const Rows x = rows_of(data);
        const double* centre_of = read<double>(mean, "mean", {x.cols});
        return by_result(x, [&](auto t) -> py::array {
          using T = decltype(t);
          const T* v = read<T>(vectors, "vectors", {any, x.cols});
          const index n = vectors.shape(0);
          const double* factors = read_optional<double>(scale, "scale", {n});
          const double* terms = read_optional<double>(add, "add", {n});
          py::array_t<T> out({x.n, n});
          T* to = out.mutable_data();
          without_gil([&] { project<T>(x, centre_of, v, n, factors, terms, to, n_threads); });
          return out;
        });
      },
      py::arg("X"), py::arg("mean"), py::arg("vectors"), py::arg("scale"), py::arg("add"),
      py::arg("n_threads"),
      "((X - mean) @ vectors.T) * scale + add; float64 for float64, else float32.");
}

}  // namespace fanin::bind
