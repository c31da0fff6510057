#pragma once
#include "kernels/gemm.hpp"
#include "kernels/partial.inl.hpp"

namespace fanin::FANIN_ISA {

// Tiles in Vecs of 64 bytes. With 32 registers of 512 bits: 6 rows x 4 Vecs = 24 accumulators, 4
// for b, and a's element is broadcast by the multiply itself. A Vec is two registers on AVX2 and
// four on NEON: 6 x 1 keeps 12 or 24 accumulators there.
#if defined(__AVX512F__)
inline constexpr int panel_vecs = 4;
#else
inline constexpr int panel_vecs = 1;
#endif

constexpr int most_rows(int vecs) {
#if defined(__AVX512F__)
  return vecs == 4 ? 6 : vecs == 2 ? 12 : 14;
#else
  return vecs == 1 ? 6 : 0;
#endif
}

inline constexpr index k_block = 384;    // a block of b, 384 x 64 floats, is 96 KB of L2
inline constexpr index row_block = 256;  // rows of c that are finished while they are in cache

/// Rows [k0, k1) of b from the column that a tile begins at, in place or packed.
template <class T>
struct Operand {
  const T* b;
  index stride;
  index k0, k1;
};

/// One register tile: rows [i, i + MR) x NV Vecs from column j. The last Vec has `last` lanes where
/// Tail.
template <class T, int MR, int NV, bool Tail>
void tile(const Product<T>& p, const Operand<T>& o, index i, index j, int last) noexcept {
  constexpr int L = lanes<T>;
  Vec<T> acc[MR][NV];
  T* c = p.c + i * p.c_row + j;
  const bool resume = p.accumulate || o.k0 > 0;
#pragma GCC unroll 16
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      const T* from = resume ? c + r * p.c_row + v * L : p.bias ? p.bias + j + v * L : nullptr;
      if (!from) {
        acc[r][v] = Vec<T>::zero();
      } else if (Tail && v == NV - 1) {
        acc[r][v] = Vec<T>::load(from, last);
      } else {
        acc[r][v] = Vec<T>::load(from);
      }
    }
  }
  const T* a = p.a + i * p.a_row + o.k0 * p.a_k;
  const T* b = o.b;
  const index a_row = p.a_row, a_k = p.a_k, b_k = o.stride;
  for (index k = o.k0; k < o.k1; ++k, a += a_k, b += b_k) {
    Vec<T> bv[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      bv[v] = Tail && v == NV - 1 ? Vec<T>::load(b + v * L, last) : Vec<T>::load(b + v * L);
    }
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r) {
      const Vec<T> av = Vec<T>::set(a[r * a_row]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[r][v] = fma(av, bv[v], acc[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      T* to = c + r * p.c_row + v * L;
      if (Tail && v == NV - 1) {
        acc[r][v].store(to, last);
      } else {
        acc[r][v].store(to);
      }
    }
  }
}

/// Calls tile() with the wanted number of rows, at most MR.
template <class T, int MR, int NV, bool Tail>
FANIN_INLINE void tile_of(index mr, const Product<T>& p, const Operand<T>& o, index i, index j,
                          int last) noexcept {
  if (mr == MR) {
    tile<T, MR, NV, Tail>(p, o, i, j, last);
  } else if constexpr (MR > 1) {
    tile_of<T, MR - 1, NV, Tail>(mr, p, o, i, j, last);
  }
}

/// NV Vecs of columns from j down all rows, in tiles of nearly equal height.
template <class T, int NV>
void panel(const Product<T>& p, const Operand<T>& o, Range rows, index j, int last) noexcept {
  constexpr int MR = most_rows(NV);
  const index n = rows.end - rows.begin;
  const index tiles = (n + MR - 1) / MR;
  for (index t = 0; t < tiles; ++t) {
    const index begin = rows.begin + n * t / tiles;
    const index end = rows.begin + n * (t + 1) / tiles;
    if (last == lanes<T>) {
      tile_of<T, MR, NV, false>(end - begin, p, o, begin, j, last);
    } else {
      tile_of<T, MR, NV, true>(end - begin, p, o, begin, j, last);
    }
  }
}

/// Columns [j, end), at most block_columns of them, over one block of k.
template <class T>
void columns(const Product<T>& p, Operand<T> o, Range rows, index j, index end) noexcept {
  constexpr index L = lanes<T>;
  const auto advance = [&](index vecs, index left, auto panel_of) {
    const index width = vecs * L < left ? vecs * L : left;
    panel_of(static_cast<int>(width - (vecs - 1) * L));
    j += vecs * L;
    o.b += vecs * L;
  };
  while (j < end) {
    const index left = end - j, vecs = (left + L - 1) / L;
    if (panel_vecs >= 4 && vecs >= 4) {
      advance(4, left, [&](int last) { panel<T, panel_vecs>(p, o, rows, j, last); });
    } else if (panel_vecs >= 2 && vecs >= 2) {
      advance(2, left, [&](int last) { panel<T, panel_vecs >= 2 ? 2 : 1>(p, o, rows, j, last); });
    } else {
      advance(1, left, [&](int last) { panel<T, 1>(p, o, rows, j, last); });
    }
  }
}

/// True where b's rows lie so far apart that a block of it crowds a few sets of the cache. With 512
/// bits a whole panel is read per row, and packing first pays at twice the distance.
template <class T>
FANIN_INLINE bool worth_packing(const Product<T>& p, index rows) {
  const index bytes = p.b_k * static_cast<index>(sizeof(T));
  return rows > 40 && p.k >= 64 && bytes >= (panel_vecs >= 4 ? 8192 : 4096);
}

/// Copies the block of b to consecutive rows of block_columns, zero beyond its last column.
template <class T>
void pack(const Product<T>& p, Operand<T>& o, index j, index end, T* room) noexcept {
  const T* b = p.b + o.k0 * p.b_k;
  T* to = room;
  for (index k = o.k0; k < o.k1; ++k, b += p.b_k, to += block_columns) {
    each_vec<T>(end - j, [&](index c, int n) { load_some(b + j + c, n).store(to + c); });
  }
  o.b = room;
  o.stride = block_columns;
}

/// The product on rows x cols (cols.begin a multiple of block_columns); finish(rows, cols) is
/// called on each block of the result once it is complete and still in cache.
template <class T, class F>
FANIN_INLINE void multiply(const Product<T>& p, Range rows, Range cols, F finish) noexcept {
  alignas(64) T room[k_block * block_columns];
  const index n = rows.end - rows.begin;
  const index groups = (n + row_block - 1) / row_block;
  const index k_blocks = p.k > k_block ? (p.k + k_block - 1) / k_block : 1;
  for (index g = 0; g < groups; ++g) {
    const Range group{rows.begin + n * g / groups, rows.begin + n * (g + 1) / groups};
    for (index kb = 0; kb < k_blocks; ++kb) {
      for (index j = cols.begin; j < cols.end; j += block_columns) {
        const index end = j + block_columns < cols.end ? j + block_columns : cols.end;
        const index k0 = p.k * kb / k_blocks, k1 = p.k * (kb + 1) / k_blocks;
        Operand<T> o{p.b + k0 * p.b_k + j, p.b_k, k0, k1};
        if (worth_packing(p, group.end - group.begin)) pack(p, o, j, end, room);
        columns(p, o, group, j, end);
        if (kb + 1 == k_blocks) finish(group, Range{j, end});
      }
    }
  }
}

}  // namespace fanin::FANIN_ISA
