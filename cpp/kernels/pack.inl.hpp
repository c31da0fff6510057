#pragma once
#include "kernels/gemm.hpp"
#include "simd/partial.hpp"
#include "simd/square.hpp"

namespace fanin::FANIN_ISA {

/// Rows [k0, k1) of b, `vecs` Vecs from column j, the last with `last` lanes.
struct Panel {
  index k0, k1, j;
  int vecs, last;
};

/// The panel from column j on, of those before `end`.
template <class T>
FANIN_INLINE Panel panel_from(Range k, index j, index end) {
  constexpr index L = lanes<T>;
  const index vecs = (end - j + L - 1) / L;
  const int width = static_cast<int>(vecs < panel_vecs ? vecs : panel_vecs);
  const index last = end - j - (width - 1) * L;
  return {k.begin, k.end, j, width, static_cast<int>(last < L ? last : L)};
}

/// Rows [k0, k1) of b from some column on, in place or packed.
template <class T>
struct Operand {
  const T* b;
  index stride;
  index k0, k1;
};

/// A panel of a transposed b, by squares, zeros beyond its last column.
template <class T>
void pack_transposed(const Product<T>& p, const Panel& at, T* to) noexcept {
  constexpr index L = lanes<T>, side = square_side<T>;
  const index stride = at.vecs * L, n = at.k1 - at.k0, strips = n / L * L;
  for (index v = 0; v < at.vecs; ++v) {
    const T* b = p.b + at.k0 + (at.j + v * L) * p.b_j;
    const index width = v == at.vecs - 1 ? at.last : L, squared = width / side * side;
    T* column = to + v * L;
    for (index k = 0; k < strips; k += L) {
      if (width == L) transpose_lines(b + k, p.b_j, column + k * stride, stride);
      for (index j = 0; j < squared && width < L; j += side) {
        transpose_strip(b + j * p.b_j + k, p.b_j, column + k * stride + j, stride);
      }
    }
    for (index j = 0; j < L; ++j) {
      for (index k = j < squared ? strips : 0; k < n; ++k) {
        column[k * stride + j] = j < width ? b[j * p.b_j + k] : T(0);
      }
    }
  }
}

/// Some rows of a, from the same k on: of the whole matrix, or of a packed block of it.
template <class T>
struct Left {
  const T* a;
  index row, k;  // strides
};

template <class T>
FANIN_INLINE Left<T> left_in_place(const Product<T>& p, index i, index k0) {
  return {p.a + i * p.a_row + k0 * p.a_k, p.a_row, p.a_k};
}

/// Rows of a left operand that are packed next to each other: whole tiles of 6 and of 8.
inline constexpr index left_strip = 48;

/// Some rows of a over some k: where they lie, or packed in strips, row after row of each k.
template <class T>
struct LeftBlock {
  const T* a;
  index row, k, strip;  // strides; strip is 0 where it is not packed

  /// From a row of the block on.
  FANIN_INLINE Left<T> at(index i) const {
    if (strip == 0) return {a + i * row, row, k};
    return {a + i / left_strip * strip + i % left_strip, row, k};
  }
  /// Where tile t of n rows begins: of nearly equal height, or none across two strips.
  FANIN_INLINE index tile(index n, index tiles, index height, index t) const {
    if (strip == 0) return n * t / tiles;
    return t * height < n ? t * height : n;
  }
};

/// A transposed a of long rows: each k of a tile is on a page of its own.
template <class T>
FANIN_INLINE bool packs_left(const Product<T>& p, index rows, Range cols) {
  const bool far = p.a_k * static_cast<index>(sizeof(T)) >= 1024;
  return p.a_row == 1 && far && rows >= 24 && p.k >= 32 && cols.end - cols.begin >= 256;
}

/// The block, packed where there is room for it.
template <class T>
FANIN_INLINE LeftBlock<T> left_block(const Product<T>& p, Range rows, Range k, T* room) noexcept {
  const T* a = p.a + rows.begin * p.a_row + k.begin * p.a_k;
  if (!room) return {a, p.a_row, p.a_k, 0};
  const index n = rows.end - rows.begin, depth = k.end - k.begin;
  for (index i = 0; i < n; i += left_strip) {
    const index height = n - i < left_strip ? n - i : left_strip;
    T* to = room + i * depth;
    for (index j = 0; j < depth; ++j, to += left_strip) {
      const T* from = a + i + j * p.a_k;
      each_vec<T>(height, [&](index r, int lanes_used) {
        store_some(load_some(from + r, lanes_used), to + r, lanes_used);
      });
    }
  }
  return {room, 1, left_strip, left_strip * depth};
}

/// Copies a panel, from row k on, to its place in `to`, zeros beyond its last column.
template <class T>
void pack(const Product<T>& p, const Panel& at, index k, T* to) noexcept {
  constexpr index L = lanes<T>;
  if (p.b_j != 1) return pack_transposed(p, at, to);
  const T* b = p.b + k * p.b_k + at.j;
  to += (k - at.k0) * at.vecs * L;
  for (; k < at.k1; ++k, b += p.b_k) {
    for (int v = 0; v < at.vecs; ++v, to += L) {
      (v == at.vecs - 1 ? load_some(b + v * L, at.last) : Vec<T>::load(b + v * L)).store(to);
    }
  }
}

}  // namespace fanin::FANIN_ISA
