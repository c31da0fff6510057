#pragma once
// The only file that knows py::array: dtype, shape, layout, writability and aliasing are checked
// here, each failure naming the argument, what was expected and what came.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstring>
#include <initializer_list>
#include <string>

#include "core/view.hpp"

namespace fanin::bind {

namespace py = pybind11;

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

inline std::string shape_text(const py::array& a) {
  std::string text = "(";
  for (py::ssize_t i = 0; i < a.ndim(); ++i) text += (i ? ", " : "") + std::to_string(a.shape(i));
  return text + (a.ndim() == 1 ? ",)" : ")");
}

inline std::string shape_text(std::initializer_list<index> shape) {
  std::string text = "(";
  for (const index* s = shape.begin(); s != shape.end(); ++s) {
    text += (s == shape.begin() ? "" : ", ") + (*s == any ? std::string("N") : std::to_string(*s));
  }
  return text + (shape.size() == 1 ? ",)" : ")");
}

inline std::string describe(const py::array& a) {
  return shape_text(a) + " " + py::str(a.dtype()).cast<std::string>();
}

inline bool is_masked(const py::array& a) {
  return std::strstr(Py_TYPE(a.ptr())->tp_name, "MaskedArray") != nullptr;
}

inline bool has_shape(const py::array& a, std::initializer_list<index> shape) {
  if (a.ndim() != static_cast<py::ssize_t>(shape.size())) return false;
  py::ssize_t i = 0;
  for (const index s : shape) {
    if (s != any && a.shape(i) != s) return false;
    ++i;
  }
  return true;
}

/// True where a has exactly the dtype T in native byte order.
template <class T>
bool holds(const py::array& a) {
  return py::isinstance<py::array_t<T>>(a);
}

/// Refuses anything but a plain, C-contiguous, aligned array of exactly T.
template <class T>
void check_layout(const py::array& a, const char* name, const std::string& shape = "") {
  const std::string expected = std::string(name) + ": expected " + shape + dtype_name<T>();
  if (is_masked(a)) throw py::type_error(expected + ", got a masked array; fill or drop its mask");
  if (!holds<T>(a)) throw py::type_error(expected + ", got " + describe(a));
  if (!(a.flags() & py::array::c_style)) {
    throw py::value_error(expected + " C-contiguous, got other strides; np.ascontiguousarray(" +
                          name + ") makes a copy that fits");
  }
  if (reinterpret_cast<std::uintptr_t>(a.data()) % alignof(T) != 0) {
    throw py::value_error(expected + " aligned to its items, got an unaligned array");
  }
}

template <class T>
void check(const py::array& a, const char* name, std::initializer_list<index> shape) {
  const std::string expected = "shape " + shape_text(shape) + " ";
  if (!has_shape(a, shape) && holds<T>(a)) {
    throw py::value_error(std::string(name) + ": expected " + expected + dtype_name<T>() +
                          ", got " + describe(a));
  }
  check_layout<T>(a, name, expected);
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

/// The data of an array that is written to.
template <class T>
T* write(py::array& a, const char* name, std::initializer_list<index> shape) {
  check<T>(a, name, shape);
  if (!a.writeable())
    throw py::value_error(std::string(name) + ": expected a writable array, got a read-only one");
  return static_cast<T*>(a.mutable_data());
}

/// Refuses an output that shares memory with an input (both C-contiguous).
inline void require_disjoint(const py::array& out, const char* out_name, const py::array& in,
                             const char* in_name) {
  const auto* a = static_cast<const char*>(out.data());
  const auto* b = static_cast<const char*>(in.data());
  if (a < b + in.nbytes() && b < a + out.nbytes()) {
    throw py::value_error(std::string(out_name) + ": expected an array apart from " + in_name +
                          ", got one that shares its memory");
  }
}

/// A fresh C-contiguous array, or `out` where the caller gave one that fits.
template <class T>
py::array output(const py::object& out, const char* name, std::initializer_list<index> shape) {
  if (out.is_none()) return py::array_t<T>(std::vector<py::ssize_t>(shape.begin(), shape.end()));
  if (!py::isinstance<py::array>(out)) {
    throw py::type_error(std::string(name) + ": expected an array or None, got " +
                         py::str(py::type::of(out)).cast<std::string>());
  }
  auto a = py::reinterpret_borrow<py::array>(out);
  write<T>(a, name, shape);
  return a;
}

/// Calls f(T{}) with the float type that a holds.
template <class F>
auto by_dtype(const py::array& a, const char* name, F&& f) {
  if (is_masked(a)) {
    throw py::type_error(std::string(name) +
                         ": expected a plain array, got a masked array; fill or drop its mask");
  }
  if (holds<float>(a)) return f(float{});
  if (holds<double>(a)) return f(double{});
  throw py::type_error(std::string(name) + ": expected float32 or float64, got " + describe(a));
}

}  // namespace fanin::bind
