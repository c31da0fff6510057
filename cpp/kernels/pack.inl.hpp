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
  const int width = vecs >= panel_vecs ? panel_vecs : vecs >= 2 ? 2 : 1;
  const index last = end - j - (width - 1) * L;
  return {k.begin, k.end, j, width, static_cast<int>(last < L ? last : L)};
}

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
      for (index j = 0; j < squared; j += side) {
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
