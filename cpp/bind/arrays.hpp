#pragma once
// The only file that knows py::array: dtype, shape, layout, writability and aliasing are checked
// here, each failure naming the argument, what was expected and what came.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/typing.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>

#include "core/rows.hpp"
#include "core/view.hpp"

namespace fanin::bind {

namespace py = pybind11;

using py::typing::Tuple;  // a py::tuple whose signature names the types
using MaybeArray = py::typing::Optional<py::array>;

/// Stands for a dimension of any size.
inline constexpr index any = -1;

template <class T>
const char* dtype_name() {
  if constexpr (std::is_same_v<T, float>) return "float32";
  if constexpr (std::is_same_v<T, double>) return "float64";
  if constexpr (std::is_same_v<T, std::uint8_t>) return "uint8";
  if constexpr (std::is_same_v<T, std::int32_t>) return "int32";
  if constexpr (std::is_same_v<T, std::int64_t>) return "int64";
  return "?";
}

using Shape = std::span<const index>;

inline Shape shape_of(const py::array& a) {
  return {a.shape(), static_cast<std::size_t>(a.ndim())};
}

inline std::string shape_text(Shape shape) {
  std::string text;
  for (const index s : shape) {
    text += (text.empty() ? "(" : ", ") + (s == any ? "N" : std::to_string(s));
  }
  return shape.empty() ? "()" : text + (shape.size() == 1 ? ",)" : ")");
}

inline std::string describe(const py::array& a) {
  return shape_text(shape_of(a)) + " " + py::str(a.dtype()).cast<std::string>();
}

inline bool has_shape(const py::array& a, Shape shape) {
  return std::ranges::equal(shape_of(a), shape,
                            [](index got, index s) { return s == any || s == got; });
}

inline bool is_masked(const py::array& a) {
  const PyTypeObject* type = Py_TYPE(a.ptr());
  return type != py::detail::npy_api::get().PyArray_Type_ &&
         std::strstr(type->tp_name, "MaskedArray") != nullptr;
}

inline bool is_native(const py::dtype& type) {
  return type.byteorder() == '=' || type.byteorder() == '|';
}

/// True where a has exactly the dtype T in native byte order.
template <class T>
bool holds(const py::array& a) {
  const py::dtype type = a.dtype();
  if (type.num() == py::detail::npy_format_descriptor<T>::value && is_native(type)) return true;
  return py::isinstance<py::array_t<T>>(a);  // two types of 64 bits are one to NumPy
}

template <class T>
bool is_aligned(const py::array& a) {
  return a.size() == 0 || reinterpret_cast<std::uintptr_t>(a.data()) % alignof(T) == 0;
}

/// True for a plain, C-contiguous, aligned array of exactly T.
template <class T>
bool fits(const py::array& a) {
  return holds<T>(a) && (a.flags() & py::array::c_style) && is_aligned<T>(a) && !is_masked(a);
}
template <class T>
bool fits(const py::array& a, Shape shape) {
  return fits<T>(a) && has_shape(a, shape);
}

/// Says why an array does not fit; its shape is to blame where the rest is as it should be.
template <class T>
[[noreturn]] void refuse(const py::array& a, const std::string& name, const std::string& shape) {
  const std::string expected = name + ": expected " + shape + dtype_name<T>();
  if (is_masked(a)) throw py::type_error(expected + ", got a masked array; fill or drop its mask");
  if (!holds<T>(a)) throw py::type_error(expected + ", got " + describe(a));
  if (!(a.flags() & py::array::c_style)) {
    throw py::value_error(expected + " C-contiguous, got other strides; np.ascontiguousarray(" +
                          name + ") makes a copy that fits");
  }
  if (!is_aligned<T>(a)) {
    throw py::value_error(expected + " aligned to its items, got an unaligned array");
  }
  throw py::value_error(expected + ", got " + describe(a));
}
template <class T>
[[noreturn]] void refuse(const py::array& a, const std::string& name, Shape shape) {
  const std::string text = "shape " + shape_text(shape) + " ";
  if (holds<T>(a) && !is_masked(a) && !has_shape(a, shape)) {
    throw py::value_error(name + ": expected " + text + dtype_name<T>() + ", got " + describe(a));
  }
  refuse<T>(a, name, text);
}

template <class T>
void check_layout(const py::array& a, const char* name) {
  if (!fits<T>(a)) refuse<T>(a, name, "");
}

template <class T>
void check(const py::array& a, const char* name, Shape shape) {
  if (!fits<T>(a, shape)) refuse<T>(a, name, shape);
}

[[noreturn]] inline void refuse_read_only(const std::string& name) {
  throw py::value_error(name + ": expected a writable array, got a read-only one");
}

/// The data of an input array of that dtype and shape.
template <class T>
const T* read(const py::array& a, const char* name, std::initializer_list<index> shape) {
  check<T>(a, name, shape);
  return static_cast<const T*>(a.data());
}

/// The same for an optional input: None gives null.
template <class T>
const T* read_optional(const py::object& a, const char* name, std::initializer_list<index> shape) {
  if (a.is_none()) return nullptr;
  if (!py::isinstance<py::array>(a)) {
    throw py::type_error(std::string(name) + ": expected an array of shape " + shape_text(shape) +
                         " " + dtype_name<T>() + " or None, got " +
                         py::str(py::type::of(a)).cast<std::string>());
  }
  return read<T>(py::reinterpret_borrow<py::array>(a), name, shape);
}

/// Calls f(T{}) with the type that a holds, of those that rows of data have.
template <class F>
auto by_stored(const py::array& a, F&& f) {
  if (holds<std::uint8_t>(a)) return f(std::uint8_t{});
  if (holds<double>(a)) return f(double{});
  return f(float{});
}

template <class T>
constexpr DType stored_as() {
  return sizeof(T) == 1 ? DType::u8 : sizeof(T) == 4 ? DType::f32 : DType::f64;
}

/// Data (N, cols) of uint8, float32 or float64 as they lie, with any strides.
template <class T>
Rows read_dense(const py::array& a, const char* name, index cols) {
  const std::array<index, 2> shape{any, cols};
  if (!holds<T>(a) || is_masked(a) || !has_shape(a, shape)) refuse<T>(a, name, Shape(shape));
  return {a.data(),     stored_as<T>(), a.shape(0), a.shape(1),
          a.strides(0), a.strides(1),   nullptr,    nullptr};
}

/// The nonzeros of rows, as fanin's SparseRows has them; a wrong one must not read elsewhere.
inline Rows read_sparse(const py::object& x, const char* name, index cols) {
  const auto shape = x.attr("shape").cast<std::pair<index, index>>();
  const py::array values = x.attr("values"), starts = x.attr("starts"), at = x.attr("columns");
  if (cols != any && shape.second != cols) {
    throw py::value_error(std::string(name) + ": expected " + std::to_string(cols) +
                          " columns, got " + std::to_string(shape.second));
  }
  Rows rows{nullptr, DType::f32, shape.first, shape.second, 0, 0, nullptr, nullptr};
  by_stored(values, [&](auto t) {
    using T = decltype(t);
    rows.data = read<T>(values, name, {any});
    rows.dtype = stored_as<T>();
  });
  rows.starts = read<std::int64_t>(starts, "starts", {rows.n + 1});
  rows.columns = read<std::int32_t>(at, "columns", {values.size()});
  if (rows.starts[0] < 0 || rows.starts[rows.n] > values.size() ||
      !std::is_sorted(rows.starts, rows.starts + rows.n + 1)) {
    throw py::value_error(std::string(name) + ": expected starts that rise within its values");
  }
  return rows;
}

/// Rows of data, dense or sparse.
inline Rows read_rows(const py::object& x, const char* name, index cols = any) {
  if (py::isinstance<py::array>(x)) {
    const auto a = py::reinterpret_borrow<py::array>(x);
    return by_stored(a, [&](auto t) { return read_dense<decltype(t)>(a, name, cols); });
  }
  if (py::hasattr(x, "starts")) return read_sparse(x, name, cols);
  throw py::type_error(std::string(name) + ": expected an array or sparse rows, got " +
                       py::str(py::type::of(x)).cast<std::string>());
}

/// The data of an array that is written to, of any shape ...
template <class T>
T* write(py::array& a, const char* name) {
  check_layout<T>(a, name);
  if (!a.writeable()) refuse_read_only(name);
  return static_cast<T*>(a.mutable_data());
}

/// ... or of one.
template <class T>
T* write(py::array& a, const char* name, Shape shape) {
  check<T>(a, name, shape);
  return write<T>(a, name);
}
template <class T>
T* write(py::array& a, const char* name, std::initializer_list<index> shape) {
  return write<T>(a, name, Shape(shape));
}

/// Both C-contiguous.
inline bool share_memory(const py::array& a, const py::array& b) {
  const auto *p = static_cast<const char*>(a.data()), *q = static_cast<const char*>(b.data());
  return p < q + b.nbytes() && q < p + a.nbytes();
}

[[noreturn]] inline void refuse_shared(const std::string& out, const std::string& in) {
  throw py::value_error(out + ": expected an array apart from " + in +
                        ", got one that shares its memory");
}

/// Refuses an output that shares memory with an input.
inline void require_disjoint(const py::array& out, const char* out_name, const py::array& in,
                             const char* in_name) {
  if (share_memory(out, in)) refuse_shared(out_name, in_name);
}

/// A fresh C-contiguous array, or `out` where the caller gave one that fits.
template <class T>
py::array output(const py::object& out, const char* name, Shape shape) {
  if (out.is_none()) return py::array_t<T>(std::vector<py::ssize_t>(shape.begin(), shape.end()));
  if (!py::isinstance<py::array>(out)) {
    throw py::type_error(std::string(name) + ": expected an array or None, got " +
                         py::str(py::type::of(out)).cast<std::string>());
  }
  auto a = py::reinterpret_borrow<py::array>(out);
  write<T>(a, name, shape);
  return a;
}
template <class T>
py::array output(const py::object& out, const char* name, std::initializer_list<index> shape) {
  return output<T>(out, name, Shape(shape));
}

[[noreturn]] inline void refuse_dtype(const py::array& a, const std::string& name) {
  if (is_masked(a)) {
    throw py::type_error(name +
                         ": expected a plain array, got a masked array; fill or drop its mask");
  }
  throw py::type_error(name + ": expected float32 or float64, got " + describe(a));
}

/// Calls f(T{}) with the float type that a holds.
template <class F>
auto by_dtype(const py::array& a, const char* name, F&& f) {
  if (!is_masked(a) && holds<float>(a)) return f(float{});
  if (!is_masked(a) && holds<double>(a)) return f(double{});
  refuse_dtype(a, name);
}

}  // namespace fanin::bind
