#pragma once
#include "kernels/gemm.hpp"
#include "kernels/pack.inl.hpp"

namespace fanin::FANIN_ISA {

constexpr int tile_rows(int vecs) { return vecs < panel_vecs ? 8 : 6; }

inline constexpr index row_block = 256;     // rows of c that are finished while they are in cache
inline constexpr index k_block = 512;       // two packed panels of b: a quarter of an L2 of 1 MB
inline constexpr index fetch_rows = 32;     // rows of b between a prefetch and its load
inline constexpr index fetch_a = 16;        // steps of k between a prefetch of a and its use
inline constexpr index unpacked_rows = 24;  // up to so many rows, packing does not pay
inline constexpr index far_apart = 8192;    // unless b's rows are so many bytes apart; then
inline constexpr index short_k_block = 64;  // the rows whose next lines L2 can hold ahead of time
inline constexpr index streams = 32;        // rows of b that one row of a reads at once

/// Asks for the line of p[0] in L2: L1 holds only eight lines at strides of 4 KB.
template <class T>
FANIN_INLINE void prefetch(const T* p) {
  __builtin_prefetch(p, 0, 2);
}

/// Rows [k0, k1) of b from some column on, in place or packed.
template <class T>
struct Operand {
  const T* b;
  index stride;
  index k0, k1;
};

/// What a tile copies meanwhile of the panel after it: some Vecs of each of `rows` rows, `fetch`
/// elements before that the prefetch.
template <class T>
struct Ahead {
  const T* from;
  index from_stride, fetch;
  T* to;
  index to_stride;
  index rows;
};

/// One register tile: rows [i, i + MR) x NV Vecs. Masked: b's last Vec has at.last lanes. Copies:
/// Vecs of the next panel to copy from each row.
template <class T, int MR, int NV, bool Masked, int Copies>
[[gnu::noinline]] void tile(const Product<T>& p, const Panel& at, const Left<T>& left,
                            const Operand<T>& o, index i, const Ahead<T>& ahead) noexcept {
  constexpr int L = lanes<T>;
  Vec<T> acc[MR][NV];
  T* c = p.c + i * p.c_row + at.j;
  const bool resume = p.accumulate || at.k0 > 0;
#pragma GCC unroll 16
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < NV; ++v) {
      const T* first = resume ? c + r * p.c_row + v * L : p.bias ? p.bias + at.j + v * L : nullptr;
      acc[r][v] = !first        ? Vec<T>::zero()
                  : v == NV - 1 ? load_some(first, at.last)
                                : Vec<T>::load(first);
    }
  }
  const T* a = left.a;
  const T* b = o.b;
  const T* from = ahead.from;
  T* to = ahead.to;
  const index a_row = left.row, a_k = left.k, b_k = o.stride;
  const index from_k = ahead.from_stride, to_k = ahead.to_stride, fetch = ahead.fetch;
  const int last = at.last;
  const auto multiply_add = [&]() FANIN_INLINE_LAMBDA {
    Vec<T> bv[NV];
#pragma GCC unroll 16
    for (int v = 0; v < NV; ++v) {
      bv[v] = Masked && v == NV - 1 ? Vec<T>::load(b + v * L, last) : Vec<T>::load(b + v * L);
    }
    __builtin_prefetch(a + fetch_a * a_k, 0, 3);  // matters where a is transposed
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r) {
      const Vec<T> av = Vec<T>::set(a[r * a_row]);
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) acc[r][v] = fma(av, bv[v], acc[r][v]);
    }
    a += a_k;
    b += b_k;
  };
  index k = at.k0;
  if constexpr (Copies > 0) {
    for (const index end = at.k0 + ahead.rows; k < end; ++k) {
      multiply_add();
#pragma GCC unroll 2
      for (int v = 0; v < Copies; ++v) {
        prefetch(from + fetch + v * L);
        Vec<T>::load(from + v * L).store(to + v * L);
      }
      from += from_k;
      to += to_k;
    }
  }
  for (; k < at.k1; ++k) multiply_add();
#pragma GCC unroll 16
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < NV; ++v) {
      T* out = c + r * p.c_row + v * L;
      v == NV - 1 ? store_some(acc[r][v], out, at.last) : acc[r][v].store(out);
    }
  }
}

/// Calls tile() with the wanted number of rows, at most MR.
template <class T, int MR, int NV, bool Masked, int Copies>
FANIN_INLINE void tile_of(index mr, const Product<T>& p, const Panel& at, const Left<T>& left,
                          const Operand<T>& o, index i, const Ahead<T>& ahead) noexcept {
  if constexpr (MR > 1) {
    if (mr < MR) return tile_of<T, MR - 1, NV, Masked, Copies>(mr, p, at, left, o, i, ahead);
  }
  tile<T, MR, NV, Masked, Copies>(p, at, left, o, i, ahead);
}

/// A panel read where it lies.
template <class T, int NV>
void panel_in_place(const Product<T>& p, const Panel& at, const Operand<T>& o,
                    Range rows) noexcept {
  constexpr int MR = tile_rows(NV);
  const index n = rows.end - rows.begin, tiles = (n + MR - 1) / MR;
  for (index t = 0; t < tiles; ++t) {
    const index begin = rows.begin + n * t / tiles, end = rows.begin + n * (t + 1) / tiles;
    const Left<T> left = left_in_place(p, begin, at.k0);
    if (at.last == lanes<T>) {
      tile_of<T, MR, NV, false, 0>(end - begin, p, at, left, o, begin, {});
    } else {
      tile_of<T, MR, NV, true, 0>(end - begin, p, at, left, o, begin, {});
    }
  }
}

template <int n>
struct Width {
  static constexpr int vecs = n;
};

/// Calls f with the width of a panel as a constant.
template <class F>
FANIN_INLINE void by_width(const Panel& at, F&& f) {
  if (at.vecs == panel_vecs) {
    f(Width<panel_vecs>{});
  } else if (at.vecs == 2) {
    f(Width<(panel_vecs > 2 ? 2 : 1)>{});
  } else {
    f(Width<1>{});
  }
}

/// Columns [j, end) over the rows of b in o, for a caller that goes through the blocks itself.
template <class T>
void columns(const Product<T>& p, Operand<T> o, Range rows, index j, index end) noexcept {
  while (j < end) {
    const Panel at = panel_from<T>({o.k0, o.k1}, j, end);
    by_width(at, [&](auto width) { panel_in_place<T, width.vecs>(p, at, o, rows); });
    j += at.vecs * lanes<T>;
    o.b += at.vecs * lanes<T>;
  }
}

/// How a panel's tiles share the copying of the next one: each of the first takes a Vec or two of
/// its columns, and some of its rows. Spread over more tiles, its loads hide behind more arithmetic.
struct Sharing {
  int copies;  // Vecs that a tile takes of each row
  index parts;  // of the rows
};

FANIN_INLINE Sharing sharing(index tiles, int vecs) {
  if (tiles < vecs) return {panel_vecs == 1 ? 1 : 2, 1};
  return {1, tiles >= 4 * vecs ? 4 : tiles >= 2 * vecs ? 2 : 1};
}

/// A packed panel down all rows, in tiles of nearly equal height, which pack the next one.
template <class T, int NV>
void panel_packed(const Product<T>& p, const Panel& at, const LeftBlock<T>& left, const T* packed,
                  Range rows, const Panel& next, index fetch, T* packed_next) noexcept {
  constexpr int MR = tile_rows(NV), L = lanes<T>;
  const index n = rows.end - rows.begin, tiles = (n + MR - 1) / MR;
  const Operand<T> o{packed, NV * L, at.k0, at.k1};
  const bool whole = p.b_j == 1 && next.last == L;  // else it is packed afterwards
  const Sharing share = sharing(tiles, next.vecs);
  const index shared = at.k1 - at.k0 < next.k1 - next.k0 ? at.k1 - at.k0 : next.k1 - next.k0;
  index done = whole ? 0 : next.vecs * share.parts;  // parts of Vecs of columns
  const index all = next.vecs * share.parts;
  for (index t = 0; t < tiles; ++t) {
    const index begin = left.tile(n, tiles, MR, t), end = left.tile(n, tiles, MR, t + 1);
    const index v = done / share.parts, part = done % share.parts;
    const index from = shared * part / share.parts, to = shared * (part + 1) / share.parts;
    // The last element of a Vec is what is fetched: the line of the first came with the one before.
    const Ahead<T> ahead{p.b + (next.k0 + from) * p.b_k + next.j + v * L, p.b_k, fetch + L - 1,
                         packed_next + (from * next.vecs + v) * L, next.vecs * L, to - from};
    const Left<T> a = left.at(begin);
    const index i = rows.begin + begin;
    if (done >= all) {
      tile_of<T, MR, NV, false, 0>(end - begin, p, at, a, o, i, ahead);
    } else if (panel_vecs == 1 || share.copies == 1 || next.vecs - v == 1) {
      tile_of<T, MR, NV, false, 1>(end - begin, p, at, a, o, i, ahead);
    } else {
      tile_of<T, MR, NV, false, panel_vecs == 1 ? 1 : 2>(end - begin, p, at, a, o, i, ahead);
    }
    if (done < all) done += share.copies;
  }
  const index rows_done = whole && done >= all ? shared : 0;
  if (rows_done < next.k1 - next.k0) pack(p, next, next.k0 + rows_done, packed_next);
}

/// The panels of a product in order: columns within blocks of k within groups of rows.
template <class T>
struct Walk {
  Range rows, cols;
  index k, groups, k_blocks;
  index group = 0, kb = 0, j = cols.begin;

  FANIN_INLINE bool done() const { return group == groups; }
  FANIN_INLINE Range group_rows() const {
    const index n = rows.end - rows.begin;
    return {rows.begin + n * group / groups, rows.begin + n * (group + 1) / groups};
  }
  FANIN_INLINE Panel panel() const {
    return panel_from<T>({k * kb / k_blocks, k * (kb + 1) / k_blocks}, j, cols.end);
  }
  FANIN_INLINE void step() {
    j += panel().vecs * lanes<T>;
    if (j < cols.end) return;
    j = cols.begin;
    if (++kb < k_blocks) return;
    kb = 0;
    ++group;
  }
};

FANIN_INLINE index parts(index n, index most) { return n > most ? (n + most - 1) / most : 1; }

/// One row: wide tiles over a few rows of b at a time, which are so many sequential streams.
template <class T>
FANIN_INLINE void multiply_row(const Product<T>& p, index i, Range cols) noexcept {
  constexpr index L = lanes<T>, wide = single_row_vecs, half = wide / 2;
  const index k_blocks = parts(p.k, streams);
  for (index kb = 0; kb < k_blocks; ++kb) {
    Panel at{p.k * kb / k_blocks, p.k * (kb + 1) / k_blocks, cols.begin, 1, L};
    const Left<T> left = left_in_place(p, i, at.k0);
    while (at.j < cols.end) {
      const index more = cols.end - at.j;
      const Operand<T> o{p.b + at.k0 * p.b_k + at.j, p.b_k, at.k0, at.k1};
      if (more >= wide * L) {
        tile<T, 1, wide, false, 0>(p, at, left, o, i, {});
        at.j += wide * L;
      } else if (more >= half * L) {
        tile<T, 1, half, false, 0>(p, at, left, o, i, {});
        at.j += half * L;
      } else {
        at.last = static_cast<int>(more < L ? more : L);
        tile<T, 1, 1, true, 0>(p, at, left, o, i, {});
        at.j += L;
      }
    }
  }
}

/// The product on rows x cols (cols.begin a multiple of block_columns); finish(rows, cols) is
/// called on each block of the result once it is complete and still in cache. scratch is
/// product_scratch<T> elements, or null where no row of b is wider than block_columns.
template <class T, class F>
FANIN_INLINE void multiply(const Product<T>& p, Range rows, Range cols, T* scratch,
                           F finish) noexcept {
  const index n = rows.end - rows.begin;
  if (n <= 0 || cols.end <= cols.begin) return;
  if (n == 1 && p.b_j == 1) {
    multiply_row(p, rows.begin, cols);
    for (index j = cols.begin; j < cols.end; j += block_columns) {
      finish(rows, Range{j, j + block_columns < cols.end ? j + block_columns : cols.end});
    }
    return;
  }
  constexpr index panel_size = k_block * panel_vecs * lanes<T>;
  static_assert(2 * panel_size + (row_block + left_strip) * k_block <= product_scratch<T>);
  const auto panel = [&](int side) { return scratch + side * panel_size; };
  const bool plain = p.b_j == 1, far = p.b_k * static_cast<index>(sizeof(T)) >= far_apart;
  // A narrow b lies in the cache's order already.
  const bool in_place = plain && (n <= 6 || (n <= unpacked_rows && !far) || p.b_k <= block_columns);
  const bool short_k = plain && n <= unpacked_rows && far;
  const index fetch = short_k ? block_columns : fetch_rows * p.b_k;
  Walk<T> walk{rows, cols, p.k, parts(n, row_block), parts(p.k, short_k ? short_k_block : k_block)};
  Panel at = walk.panel();
  if (!in_place) pack(p, at, at.k0, panel(0));
  T* const packed_left = packs_left(p, n, cols) ? scratch + 2 * panel_size : nullptr;
  LeftBlock<T> left;
  for (int side = 0; !walk.done(); side ^= 1) {
    const Range group = walk.group_rows();
    if (at.j == cols.begin) left = left_block(p, group, {at.k0, at.k1}, packed_left);
    const bool complete = walk.kb + 1 == walk.k_blocks;
    walk.step();
    const Panel next = walk.done() ? Panel{at.k0, at.k0, at.j, 0, 0} : walk.panel();
    by_width(at, [&](auto width) {
      if (in_place) {
        const Operand<T> o{p.b + at.k0 * p.b_k + at.j, p.b_k, at.k0, at.k1};
        panel_in_place<T, width.vecs>(p, at, o, group);
      } else {
        panel_packed<T, width.vecs>(p, at, left, panel(side), group, next, fetch, panel(side ^ 1));
      }
    });
    const index past = at.j + at.vecs * lanes<T>;
    const index end = past < cols.end ? past : cols.end;
    if (complete && (end % block_columns == 0 || end == cols.end)) {
      finish(group, Range{(end - 1) / block_columns * block_columns, end});
    }
    at = next;
  }
}

}  // namespace fanin::FANIN_ISA
