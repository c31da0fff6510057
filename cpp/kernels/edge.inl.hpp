#pragma once
#include "kernels/pack.inl.hpp"
#include "simd/partial.hpp"
#include "simd/square.hpp"

namespace fanin::FANIN_ISA {

// Columns of a product beyond its last whole Vec, where they are few: a Vec then holds rows of one
// column, so that no lane is spent on a column that is not there.

inline constexpr index edge_depth = 64;                     // steps of k turned at a time
inline constexpr int edge_vecs = panel_vecs == 1 ? 6 : 28;  // sums and rows of a, in registers
inline constexpr index turning = 4;                         // columns that turning a costs

/// The most columns that an edge may have.
template <class T>
inline constexpr int most_edge = sizeof(T) == 8    ? 4
                                 : panel_vecs == 1 ? 5
                                                   : 10;

/// Vecs of rows that are worked on at once, for so many columns.
template <int columns>
inline constexpr int edge_height = edge_vecs / (columns + 1) < 4 ? edge_vecs / (columns + 1) : 4;

/// How many of the last columns are an edge: none where whole Vecs cost as little.
template <class T>
FANIN_INLINE index edge_columns(const Product<T>& p, index rows, Range cols) {
  constexpr index L = lanes<T>;
  const index edge = (cols.end - cols.begin) % L, vecs = (rows + L - 1) / L;
  const index cost = vecs * (edge + (p.a_row == 1 ? 0 : turning));
  return p.b_j == 1 && edge <= most_edge<T> && cost < rows && p.k >= edge_depth / 2 ? edge : 0;
}

/// c^T (columns, rows) += b^T (columns, k) a^T (k, rows): in each step of k a Vec of rows of a,
/// `height` of them, the last with `last` rows, times one element of b.
template <class T, int columns, int height>
[[gnu::noinline]] void edge_tile(const Left<T>& left, const Operand<T>& o, int last,
                                 T* sums) noexcept {
  constexpr index L = lanes<T>;
  Vec<T> acc[columns][height];
#pragma GCC unroll 16
  for (int j = 0; j < columns; ++j) {
#pragma GCC unroll 4
    for (int v = 0; v < height; ++v) acc[j][v] = Vec<T>::load(sums + (j * height + v) * L);
  }
  const T *a = left.a, *b = o.b;
  for (index k = o.k0; k < o.k1; ++k, a += left.k, b += o.stride) {
    Vec<T> av[height];
#pragma GCC unroll 4
    for (int v = 0; v < height; ++v) {
      av[v] = v == height - 1 ? Vec<T>::load(a + v * L, last) : Vec<T>::load(a + v * L);
    }
#pragma GCC unroll 16
    for (int j = 0; j < columns; ++j) {
      const Vec<T> bv = Vec<T>::set(b[j]);
#pragma GCC unroll 4
      for (int v = 0; v < height; ++v) acc[j][v] = fma(av[v], bv, acc[j][v]);
    }
  }
#pragma GCC unroll 16
  for (int j = 0; j < columns; ++j) {
#pragma GCC unroll 4
    for (int v = 0; v < height; ++v) acc[j][v].store(sums + (j * height + v) * L);
  }
}

/// to (depth, width) = `rows` rows of a plain a over some k, one beside the other.
template <class T>
FANIN_INLINE void turn_rows(const Left<T>& left, index rows, index depth, index width,
                            T* to) noexcept {
  constexpr index side = square_side<T, register_bytes>;
  const index squares = rows < side ? 0 : depth / side * side;
  for (index r = 0; r < rows && squares > 0; r += side) {
    const index first = r + side < rows ? r : rows - side;  // the last begins in the one before
    const T* from = left.a + first * left.row;
    for (index k = 0; k < squares; k += side) {
      transpose_square<register_bytes>(from + k, left.row, to + k * width + first, width);
    }
  }
  for (index k = squares; k < depth; ++k) {
    for (index r = 0; r < rows; ++r) to[k * width + r] = left.a[r * left.row + k];
  }
}

/// An edge's sums where they begin, and where they end up.
template <class T, int columns, int height>
struct EdgeSums {
  static constexpr index L = lanes<T>, width = height * L;
  alignas(64) T sums[columns * width];

  FANIN_INLINE void begin(const Product<T>& p, Range rows, index j, bool resume) {
    for (index c = 0; c < columns; ++c) {
      T* sum = sums + c * width;
      const Vec<T> first = Vec<T>::set(p.bias ? p.bias[j + c] : T(0));
      for (index r = 0; r < width; r += L) first.store(sum + r);
      for (index i = rows.begin; i < rows.end && resume; ++i) *sum++ = p.c[i * p.c_row + j + c];
    }
  }
  FANIN_INLINE void end(const Product<T>& p, Range rows, index j) const {
    for (index i = rows.begin; i < rows.end; ++i) {
      for (index c = 0; c < columns; ++c) {
        p.c[i * p.c_row + j + c] = sums[c * width + i - rows.begin];
      }
    }
  }
};

/// Rows of an edge, as many as `height` Vecs hold or fewer, over a block of k.
template <class T, int columns, int height>
FANIN_INLINE void edge_strip(const Product<T>& p, Range rows, index j, Range k) noexcept {
  constexpr index L = lanes<T>, width = height * L;
  const index n = rows.end - rows.begin;
  if constexpr (height > 1) {
    if (n <= width - L) return edge_strip<T, columns, height - 1>(p, rows, j, k);
  }
  const int last = static_cast<int>(n - (height - 1) * L);
  EdgeSums<T, columns, height> c;
  c.begin(p, rows, j, p.accumulate || k.begin > 0);
  const Left<T> left{p.a + rows.begin * p.a_row + k.begin * p.a_k, p.a_row, p.a_k};
  const Operand<T> o{p.b + k.begin * p.b_k + j, p.b_k, k.begin, k.end};
  if (p.a_row == 1) {
    edge_tile<T, columns, height>(left, o, last, c.sums);
  } else {
    alignas(64) T turned[edge_depth * width];
    for (index at = k.begin; at < k.end; at += edge_depth) {
      const index end = at + edge_depth < k.end ? at + edge_depth : k.end, done = at - k.begin;
      turn_rows<T>({left.a + done, left.row, 1}, n, end - at, width, turned);
      edge_tile<T, columns, height>({turned, 1, width}, {o.b + done * o.stride, o.stride, at, end},
                                    last, c.sums);
    }
  }
  c.end(p, rows, j);
}

/// An edge over a block of k, of at most `columns` columns.
template <class T, int columns>
void multiply_edge(const Product<T>& p, Range rows, Range cols, Range k) noexcept {
  if constexpr (columns > 1) {
    if (cols.end - cols.begin < columns) return multiply_edge<T, columns - 1>(p, rows, cols, k);
  }
  constexpr index height = edge_height<columns>, step = height * lanes<T>;
  for (index i = rows.begin; i < rows.end; i += step) {
    const Range strip{i, i + step < rows.end ? i + step : rows.end};
    edge_strip<T, columns, height>(p, strip, cols.begin, k);
  }
}

}  // namespace fanin::FANIN_ISA
