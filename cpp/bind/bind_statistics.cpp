#include <algorithm>
#include <mutex>
#include <optional>

#include "bind/arrays.hpp"
#include "bind/gil.hpp"
#include "core/aligned.hpp"
#include "core/parallel.hpp"
#include "isa/dispatch.hpp"

namespace fanin::bind {

namespace {

void check_indices(const std::int64_t* indices, index n, index rows) {
  for (index i = 0; i < n; ++i) {
    if (indices[i] >= 0 && indices[i] < rows) continue;
    throw py::index_error("indices: expected rows in 0 .. " + std::to_string(rows - 1) + ", got " +
                          std::to_string(indices[i]) + " at position " + std::to_string(i));
  }
}

template <class T>
const T* read_columns(const py::object& a, const char* name, index cols, bool& per_column) {
  if (a.is_none()) return nullptr;
  per_column = py::isinstance<py::array>(a) && py::reinterpret_borrow<py::array>(a).size() != 1;
  return read_optional<T>(a, name, {per_column ? cols : 1});
}

constexpr index gather_block = 256;  // rows that are copied at once where they are not packed

template <class T>
void gather_range(const Rows& x, const GatherRows<T>& a, Range rows) {
  if (x.packed()) return kernels<T>().gather_rows(a, rows);
  char* packed = thread_scratch<char>(gather_block * x.cols * item_size(x.dtype));
  for (index i = rows.begin; i < rows.end; i += gather_block) {
    const Range part{i, std::min(i + gather_block, rows.end)};
    x.pack(a.indices, part, {0, x.cols}, packed);
    GatherRows<T> own = a;
    own.data = packed;
    own.indices = nullptr;
    own.out += i * x.cols;
    kernels<T>().gather_rows(own, {0, part.end - part.begin});
  }
}

template <class T>
py::array gather(const py::object& data, const py::object& indices, const py::object& mean,
                 const py::object& scale, int n_threads) {
  const Rows x = read_rows(data, "data");
  GatherRows<T> a{};
  a.dtype = x.dtype;
  a.data = x.data;
  index n = x.n;
  a.cols = a.out_stride = x.cols;
  a.indices = read_optional<std::int64_t>(indices, "indices", {any});
  if (a.indices) {
    n = py::reinterpret_borrow<py::array>(indices).size();
    check_indices(a.indices, n, x.n);
  }
  bool scale_per_column = false;
  a.mean = read_columns<double>(mean, "mean", a.cols, a.per_column);
  a.scale = read_columns<double>(scale, "scale", a.cols, scale_per_column);
  if (!a.mean != !a.scale || a.per_column != scale_per_column) {
    throw py::value_error("mean, scale: expected both or neither, of the same shape");
  }
  py::array_t<T> out({n, a.cols});
  a.out = out.mutable_data();
  without_gil([&] {
    const double flops = 2.0 * static_cast<double>(n * a.cols);
    parallel_for(n, 1, useful_threads(n_threads, flops),
                 [&](index b, index e) { gather_range(x, a, {b, e}); });
  });
  return out;
}

/// In blocks, their sums added up in double: the same bits for any length of x, and no drift.
template <class T>
double squares(const py::array& x) {
  check_layout<T>(x, "x");
  const T* p = static_cast<const T*>(x.data());
  const index n = x.size();
  double total = 0;
  without_gil([&] {
    parallel_for(n, n, 1, [&](index, index) {
      for (index i = 0; i < n; i += statistics_block) {
        total +=
            static_cast<double>(kernels<T>().sum_squares(p + i, std::min(statistics_block, n - i)));
      }
    });
  });
  return total;
}

template <class T>
index nonfinite(const py::array& x) {
  check_layout<T>(x, "x");
  const T* p = static_cast<const T*>(x.data());
  const index n = x.size();
  return without_gil([&] { return kernels<T>().first_nonfinite(p, n); });
}

constexpr index scan_block = 1 << 16;  // elements

/// Of elements [begin, end), block by block, until bytes have reached both ends of their range.
template <class T>
Extremes scan(const char* x, DType dtype, index begin, index end) {
  const index size = dtype == DType::u8 ? 1 : static_cast<index>(sizeof(T));
  std::optional<Extremes> all;
  for (index i = begin; i < end; i += scan_block) {
    const Extremes e = kernels<T>().extremes(x + i * size, dtype, std::min(scan_block, end - i));
    all = all ? joined(*all, e) : e;
    if (dtype == DType::u8 && all->lowest == 0 && all->highest == 255) break;
  }
  return *all;
}

template <class T>
py::tuple extremes(const py::array& x, DType dtype) {
  const index n = x.size();
  if (n == 0) throw py::value_error("x: expected at least one number, got " + describe(x));
  const auto* p = static_cast<const char*>(x.data());
  const auto scan_all = [&] {
    std::mutex lock;
    std::optional<Extremes> all;
    const int threads = useful_threads(0, static_cast<double>(n));
    parallel_for(n, scan_block, threads, [&](index begin, index end) {
      const Extremes e = scan<T>(p, dtype, begin, end);
      const std::lock_guard<std::mutex> guard(lock);
      all = all ? joined(*all, e) : e;
    });
    return *all;
  };
  const Extremes found =
      n <= scan_block ? kernels<T>().extremes(p, dtype, n) : without_gil(scan_all);
  return py::make_tuple(found.lowest, found.highest, found.finite);
}

}  // namespace

void bind_statistics(py::module_& m) {
  m.def(
      "gather_rows",
      [](const py::object& data, const py::object& indices, const py::object& mean,
         const py::object& scale, const py::dtype& dtype, int n_threads) -> py::array {
        if (dtype.is(py::dtype::of<float>()) || dtype.equal(py::dtype::of<float>())) {
          return gather<float>(data, indices, mean, scale, n_threads);
        }
        if (dtype.equal(py::dtype::of<double>())) {
          return gather<double>(data, indices, mean, scale, n_threads);
        }
        throw py::type_error("dtype: expected float32 or float64, got " +
                             py::str(dtype).cast<std::string>());
      },
      py::arg("data"), py::arg("indices"), py::arg("mean"), py::arg("scale"), py::arg("dtype"),
      py::arg("n_threads"),
      "(data[indices] - mean) * scale as dtype; mean and scale have one value or one a column.");
  m.def(
      "sum_squares",
      [](const py::array& x) {
        return by_dtype(x, "x", [&](auto t) { return squares<decltype(t)>(x); });
      },
      py::arg("x"), "The sum of squares of an array of any shape.");
  m.def(
      "first_nonfinite",
      [](const py::array& x) {
        return by_dtype(x, "x", [&](auto t) { return nonfinite<decltype(t)>(x); });
      },
      py::arg("x"), "Flat position of the first NaN or infinity, or x.size.");
  m.def(
      "extremes",
      [](const py::array& x) {
        if (holds<std::uint8_t>(x)) {
          check_layout<std::uint8_t>(x, "x");
          return extremes<float>(x, DType::u8);
        }
        return by_dtype(x, "x", [&](auto t) {
          using T = decltype(t);
          check_layout<T>(x, "x");
          return extremes<T>(x, sizeof(T) == sizeof(float) ? DType::f32 : DType::f64);
        });
      },
      py::arg("x"), "(lowest, highest, whether all are finite) of an array of any shape.");
}

}  // namespace fanin::bind
