#pragma once
#include <cstdint>

#include "kernels/edge.inl.hpp"
#include "kernels/pack.inl.hpp"

namespace fanin::FANIN_ISA {

constexpr int tile_rows(int vecs) { return vecs == panel_vecs ? 6 : vecs == 3 ? 7 : 8; }

inline constexpr index row_block = 256;     // rows of c that are finished while they are in cache
inline constexpr index k_block = 512;       // two packed panels of b: a quarter of an L2 of 1 MB
inline constexpr index fetch_rows = 16;     // rows of b between a prefetch and its load
inline constexpr index fetch_a = 16;        // steps of k between a prefetch of a and its use
inline constexpr index unpacked_rows = 24;  // up to so many rows, packing does not pay
inline constexpr index far_apart = 8192;    // unless b's rows are so many bytes apart; then
inline constexpr index short_k_block = 48;  // the rows of b that caches hold the next lines of
inline constexpr index short_rows = 64;     // with more rows of a, memory has the time
inline constexpr index in_cache = 1 << 20;  // bytes of b that need no such care
inline constexpr index streams = 64;        // rows of b that one row of a reads at once

/// What a tile copies meanwhile of the panel after it: some Vecs of a row in each step, `fetch`
/// elements before that the prefetch.
template <class T>
struct Ahead {
  const T* from;
  index from_stride, fetch;
  T* to;
  index to_stride;
};

/// One register tile: rows [i, i + MR) x NV Vecs. Masked: b's last Vec has at.last lanes. Copies:
/// Vecs of the next panel to copy at once.
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
  for (index k = at.k0; k < at.k1; ++k, a += a_k, b += b_k) {
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
    if constexpr (Copies > 0) {
#pragma GCC unroll 2
      for (int v = 0; v < Copies; ++v) {
        __builtin_prefetch(from + fetch + v * L, 0, 3);
        Vec<T>::load(from + v * L).store(to + v * L);
      }
      from += from_k;
      to += to_k;
    }
  }
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
  } else if (at.vecs == 3) {
    f(Width<(panel_vecs > 3 ? 3 : 1)>{});
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

/// How the tiles of a panel share the packing of the next one: some rows to each, so that its loads
/// hide behind more arithmetic. Two Vecs at a time, since the hardware fetches lines in pairs.
struct Sharing {
  int copies;
  index rows;

  Sharing(index tiles, index depth, const Panel& next) : copies(next.vecs % 2 == 0 ? 2 : 1) {
    constexpr index least = 64;  // a tile in two parts stores and loads its sums once more
    const index all = next.k1 - next.k0, turns = next.vecs > 0 ? next.vecs / copies : 1;
    const index each = tiles > turns ? tiles / turns : 1, even = (all + each - 1) / each;
    rows = even > least ? even : least;
    rows = rows < depth ? rows : depth;
  }
};

/// A tile, the first `count` steps of which copy.
template <class T, int MR, int NV>
FANIN_INLINE void tile_copying(index mr, const Product<T>& p, const Panel& at, const Left<T>& left,
                               const Operand<T>& o, index i, const Ahead<T>& ahead, int copies,
                               index count) noexcept {
  constexpr int pair = panel_vecs == 1 ? 1 : 2;
  Panel first = at, rest = at;
  first.k1 = rest.k0 = at.k0 + count;
  if (count > 0 && copies == 2) {
    tile_of<T, MR, NV, false, pair>(mr, p, first, left, o, i, ahead);
  } else if (count > 0) {
    tile_of<T, MR, NV, false, 1>(mr, p, first, left, o, i, ahead);
  }
  if (count > 0 && rest.k0 == rest.k1) return;
  const Left<T> left_rest{left.a + count * left.k, left.row, left.k};
  const Operand<T> o_rest{o.b + count * o.stride, o.stride, rest.k0, rest.k1};
  tile_of<T, MR, NV, false, 0>(mr, p, rest, left_rest, o_rest, i, ahead);
}

/// A packed panel down all rows, in tiles of nearly equal height, which pack the next panel.
template <class T, int NV>
void panel_packed(const Product<T>& p, const Panel& at, const LeftBlock<T>& left, const T* packed,
                  Range rows, const Panel& next, index fetch, T* packed_next) noexcept {
  constexpr int MR = tile_rows(NV), L = lanes<T>;
  const index n = rows.end - rows.begin, tiles = (n + MR - 1) / MR, all = next.k1 - next.k0;
  const Operand<T> o{packed, NV * L, at.k0, at.k1};
  const Sharing share(tiles, at.k1 - at.k0, next);
  const bool whole = p.b_j == 1 && next.last == L;  // else it is packed afterwards
  index k = 0;                                      // of next, and its Vec: what is to be copied
  int v = whole ? 0 : next.vecs;
  for (index t = 0; t < tiles; ++t) {
    const index begin = left.tile(n, tiles, MR, t), end = left.tile(n, tiles, MR, t + 1);
    const index some = all - k < share.rows ? all - k : share.rows;
    const index count = v < next.vecs ? some : 0;
    // The last element of a Vec is what is fetched: the line of the first came with the one before.
    const Ahead<T> ahead{p.b + (next.k0 + k) * p.b_k + next.j + v * L, p.b_k, fetch + L - 1,
                         packed_next + (k * next.vecs + v) * L, next.vecs * L};
    tile_copying<T, MR, NV>(end - begin, p, at, left.at(begin), o, rows.begin + begin, ahead,
                            share.copies, count);
    k += count;
    if (k < all) continue;
    k = 0;
    v += share.copies;
  }
  if (!whole || v < next.vecs) pack(p, next, next.k0, packed_next);
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

/// Columns of one row: `head` of them up to a cache line of b, then NV Vecs, then `tail`.
template <class T, int NV, bool Partial>
[[gnu::noinline]] void row_tile(const Product<T>& p, Range k, index i, index j, int head,
                                int tail) noexcept {
  constexpr int L = lanes<T>;
  T* c = p.c + i * p.c_row + j;
  const bool resume = p.accumulate || k.begin > 0;
  const T* first = resume ? c : p.bias ? p.bias + j : nullptr;
  Vec<T> acc[NV], before = Vec<T>::zero(), after = Vec<T>::zero();
  if (Partial && first) {
    before = Vec<T>::load(first, head);
    after = Vec<T>::load(first + head + NV * L, tail);
  }
#pragma GCC unroll 16
  for (int v = 0; v < NV; ++v) acc[v] = first ? Vec<T>::load(first + head + v * L) : Vec<T>::zero();
  const T* a = p.a + i * p.a_row + k.begin * p.a_k;
  const T* b = p.b + k.begin * p.b_k + j;
  for (index n = k.begin; n < k.end; ++n, a += p.a_k, b += p.b_k) {
    const Vec<T> av = Vec<T>::set(*a);
    if constexpr (Partial) {
      before = fma(av, Vec<T>::load(b, head), before);
      after = fma(av, Vec<T>::load(b + head + NV * L, tail), after);
    }
#pragma GCC unroll 16
    for (int v = 0; v < NV; ++v) acc[v] = fma(av, Vec<T>::load(b + head + v * L), acc[v]);
  }
  if constexpr (Partial) {
    before.store(c, head);
    after.store(c + head + NV * L, tail);
  }
#pragma GCC unroll 16
  for (int v = 0; v < NV; ++v) acc[v].store(c + head + v * L);
}

/// Vecs between a head and a tail, whose masks take registers too.
inline constexpr index most_between = single_row_vecs > 4 ? single_row_vecs : single_row_vecs - 1;

/// Calls row_tile() with the wanted number of Vecs, at most NV.
template <class T, int NV>
FANIN_INLINE void row_tile_of(index vecs, const Product<T>& p, Range k, index i, index j, int head,
                              int tail) noexcept {
  if constexpr (NV > 0) {
    if (vecs < NV) return row_tile_of<T, NV - 1>(vecs, p, k, i, j, head, tail);
  }
  if constexpr (NV > 0) {
    if (head + tail == 0) return row_tile<T, NV, false>(p, k, i, j, head, tail);
  }
  if constexpr (NV <= most_between) row_tile<T, NV, true>(p, k, i, j, head, tail);
}

/// One row: wide tiles over a few rows of b at a time, which are so many sequential streams.
template <class T>
FANIN_INLINE void multiply_row(const Product<T>& p, index i, Range cols) noexcept {
  constexpr index L = lanes<T>, wide = single_row_vecs;
  const index k_blocks = parts(p.k, streams);
  for (index kb = 0; kb < k_blocks; ++kb) {
    const Range k{p.k * kb / k_blocks, p.k * (kb + 1) / k_blocks};
    for (index j = cols.begin, end; j < cols.end; j = end) {
      const index left = cols.end - j;
      index head = j == cols.begin && p.b_k % L == 0 ? up_to_line(p.b + j) : 0;
      head = head < left ? head : left;
      index vecs = (left - head) / L < wide ? (left - head) / L : wide;
      index rest = left - head - vecs * L;
      if ((head > 0 || (rest > 0 && rest < L)) && vecs > most_between) vecs = most_between;
      rest = left - head - vecs * L;
      const index tail = rest < L ? rest : 0;
      row_tile_of<T, wide>(vecs, p, k, i, j, static_cast<int>(head), static_cast<int>(tail));
      end = j + head + vecs * L + tail;
    }
  }
}

/// Calls finish for each block of columns, the first of which begins at one.
template <class F>
FANIN_INLINE void finish_blocks(Range rows, Range cols, F& finish) {
  for (index j = cols.begin; j < cols.end; j += block_columns) {
    finish(rows, Range{j, j + block_columns < cols.end ? j + block_columns : cols.end});
  }
}

/// A product all of whose columns are an edge.
template <class T, class F>
void multiply_edges(const Product<T>& p, Walk<T> walk, Range edge, F& finish) noexcept {
  for (; walk.group < walk.groups; ++walk.group) {
    for (walk.kb = 0; walk.kb < walk.k_blocks; ++walk.kb) {
      const Panel at = walk.panel();
      multiply_edge<T, most_edge<T>>(p, walk.group_rows(), edge, {at.k0, at.k1});
    }
    finish(walk.group_rows(), edge);
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
    return finish_blocks(rows, cols, finish);
  }
  constexpr index panel_size = k_block * panel_vecs * lanes<T>;
  static_assert(2 * panel_size + (row_block + left_strip) * k_block <= product_scratch<T>);
  const auto panel = [&](int side) { return scratch + side * panel_size; };
  const bool plain = p.b_j == 1, far = p.b_k * static_cast<index>(sizeof(T)) >= far_apart;
  // A narrow b lies in the cache's order already.
  const bool in_place = plain && (n <= 6 || (n <= unpacked_rows && !far) || p.b_k <= block_columns);
  const index b_bytes = p.k * (cols.end - cols.begin) * static_cast<index>(sizeof(T));
  const bool short_k = plain && n <= short_rows && far && b_bytes > in_cache;
  const index fetch = short_k ? block_columns : fetch_rows * p.b_k;
  const index edge_width = edge_columns(p, n, cols);
  const Range whole{cols.begin, cols.end - edge_width}, edge{whole.end, cols.end};
  Walk<T> walk{rows, whole, p.k, parts(n, row_block),
               parts(p.k, short_k ? short_k_block : k_block)};
  if (whole.end == whole.begin) return multiply_edges(p, walk, edge, finish);
  Panel at = walk.panel();
  if (!in_place) pack(p, at, at.k0, panel(0));
  T* const packed_left = packs_left(p, n, whole) ? scratch + 2 * panel_size : nullptr;
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
    const bool last = past >= whole.end;
    if (last && edge_width > 0) {
      multiply_edge<T, most_edge<T>>(p, group, edge, {at.k0, at.k1});
    }
    if (complete && (last || past % block_columns == 0)) {
      finish_blocks(group, {at.j / block_columns * block_columns, last ? cols.end : past}, finish);
    }
    at = next;
  }
}

}  // namespace fanin::FANIN_ISA
