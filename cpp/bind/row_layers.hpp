#pragma once
#include <cstdint>
#include <tuple>

#include "bind/arrays.hpp"
#include "bind/gil.hpp"
#include "bind/names.hpp"
#include "core/parallel.hpp"
#include "kernels/activation.hpp"

namespace fanin::bind {

/// (activation, keep, seed, stream, first row): what happens to a kernel's outputs.
using EpilogueKey = std::tuple<int, double, std::uint64_t, std::uint64_t, index>;

/// slope: null, or where the derivatives go.
template <class T>
Epilogue<T> epilogue_of(const EpilogueKey& key, T* slope) {
  const auto& [activation, keep, seed, stream, first_row] = key;
  const Dropout<T> dropout{seed, stream, first_row, keep_threshold(keep), T(1.0 / keep)};
  return {checked<Activation>("activation", activation), dropout, slope};
}

/// An array of x's shape for the derivatives, or None.
template <class T>
MaybeArray slope_like(const py::array& x, bool wanted, T*& data) {
  data = nullptr;
  if (!wanted) return py::none();
  py::array_t<T> slope({x.shape(0), x.shape(1)});
  data = slope.mutable_data();
  return slope;
}

/// The data of rows at least `cols` long; what is beyond is neither read nor written.
template <class T>
const T* read_rows(const py::array& a, const char* name, index cols) {
  if (fits<T>(a) && a.ndim() == 2 && a.shape(1) > cols) return static_cast<const T*>(a.data());
  return read<T>(a, name, {any, cols});
}

/// body(Range) on pieces of [0, n), cut at multiples of step, without the GIL.
template <class F>
void in_pieces(index n, index step, index elements, int n_threads, F&& body) {
  without_gil([&] {
    const int threads = useful_threads(n_threads, 10.0 * static_cast<double>(elements));
    parallel_for(n, step, threads, [&](index begin, index end) { body(Range{begin, end}); });
  });
}

}  // namespace fanin::bind
