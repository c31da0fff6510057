#include "core/rows.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace fanin {

namespace {

/// One element; the caller's memory need not be aligned.
template <class S>
void copy_item(const char* from, S* to) {
  std::memcpy(to, from, sizeof(S));
}

template <class S, class RowOf>
void pack_dense(const Rows& x, RowOf row_of, Range rows, Range cols, S* to) {
  const auto* data = static_cast<const char*>(x.data);
  const index width = cols.end - cols.begin;
  const auto at = [&](index i, index j) {
    return data + row_of(i) * x.row_stride + j * x.col_stride;
  };
  if (x.col_stride == static_cast<index>(sizeof(S))) {
    for (index i = rows.begin; i < rows.end; ++i, to += width) {
      std::memcpy(to, at(i, cols.begin), static_cast<std::size_t>(width) * sizeof(S));
    }
    return;
  }
  if (std::abs(x.col_stride) <= std::abs(x.row_stride)) {
    for (index i = rows.begin; i < rows.end; ++i) {
      for (index j = cols.begin; j < cols.end; ++j) copy_item(at(i, j), to++);
    }
    return;
  }
  for (index j = cols.begin; j < cols.end; ++j, ++to) {  // neighbours in memory are rows
    for (index i = rows.begin; i < rows.end; ++i) {
      copy_item(at(i, j), to + (i - rows.begin) * width);
    }
  }
}

template <class S, class RowOf>
void pack_sparse(const Rows& x, RowOf row_of, Range rows, Range cols, S* to) {
  const auto* values = static_cast<const S*>(x.data);
  const index width = cols.end - cols.begin;
  for (index i = rows.begin; i < rows.end; ++i, to += width) {
    std::fill_n(to, width, S(0));
    const index row = row_of(i);
    const std::int32_t *first = x.columns + x.starts[row], *last = x.columns + x.starts[row + 1];
    for (const auto* c = std::lower_bound(first, last, cols.begin); c < last && *c < cols.end;
         ++c) {
      to[*c - cols.begin] = values[c - x.columns];
    }
  }
}

template <class S, class RowOf>
void pack_as(const Rows& x, RowOf row_of, Range rows, Range cols, void* to) {
  if (x.starts) return pack_sparse(x, row_of, rows, cols, static_cast<S*>(to));
  pack_dense(x, row_of, rows, cols, static_cast<S*>(to));
}

template <class RowOf>
void pack_rows(const Rows& x, RowOf row_of, Range rows, Range cols, void* to) {
  switch (x.dtype) {
    case DType::u8:
      return pack_as<std::uint8_t>(x, row_of, rows, cols, to);
    case DType::f32:
      return pack_as<float>(x, row_of, rows, cols, to);
    case DType::f64:
      return pack_as<double>(x, row_of, rows, cols, to);
  }
}

}  // namespace

void Rows::pack(const std::int64_t* indices, Range rows, Range across, void* to) const {
  if (!indices) return pack_rows(*this, [](index i) { return i; }, rows, across, to);
  pack_rows(*this, [&](index i) { return static_cast<index>(indices[i]); }, rows, across, to);
}

}  // namespace fanin
