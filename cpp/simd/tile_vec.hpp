#pragma once
// The tile product on any machine with fused multiply-adds: operands are floats that hold bf16
// values. In a right operand's tile, the 16 rows of even k come before those of odd k.
#include "core/fpenv.hpp"
#include "simd/partial.hpp"
#include "simd/square.hpp"
#include "simd/tile.hpp"

namespace fanin::FANIN_ISA {

using Bf16 = float;

/// Rows and panels of a block of the product, and the most tiles of k that go through all rows
/// before the next: a block's part of the right operand stays in a near cache.
inline constexpr index bf16_block_rows = panel_vecs == 1 ? 6 : 24 / panel_vecs;
inline constexpr index bf16_block_panels = panel_vecs, bf16_block_k = 8;

using Bf16Block = TileBlock<Bf16>;
using Bf16Ahead = TilesAhead<Bf16>;  // of no use here: rows of floats come in order

/// Nothing to set up.
struct TileScope {};

/// a * b + c, a subnormal result flushed after rounding. Where a thread's mode flushes before, only
/// what rounds to the smallest normal number differs; scaled by 2^48, it is rounded as it should
/// be.
FANIN_INLINE Vec<float> fma_flushed_late(Vec<float> a, Vec<float> b, Vec<float> c) {
  const Vec<float> up = Vec<float>::set(0x1p48f), down = Vec<float>::set(0x1p-48f);
  const Vec<float> early = fma(a, b, c), exact = fma(a * up, b, c * up);
  const Mask<float> zero = early == Vec<float>::zero();
  const Mask<float> normal = Vec<float>::set(0x1.fffffep-79f) < abs(exact);
  return select(zero, select(normal, exact * down, early), early);
}

/// Sums of every other k of a tile, in chains from 0.
template <int MR, int NV, bool Late>
FANIN_INLINE void bf16_chains(const Bf16Block& b, const Bf16* left, const Bf16* right,
                              Vec<float> (&acc)[MR][NV]) {
  constexpr int L = lanes<float>;
#pragma GCC unroll 16
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < NV; ++v) acc[r][v] = Vec<float>::zero();
  }
  const index left_stride = b.left_stride, panel = b.right_panel;
#pragma GCC unroll 1
  for (int s = 0; s < 16; ++s, left += 2, right += L) {
    Vec<float> rv[NV];
#pragma GCC unroll 16
    for (int v = 0; v < NV; ++v) rv[v] = Vec<float>::load(right + v * panel);
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r) {
      const Vec<float> lv = Vec<float>::set(left[r * left_stride]);
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) {
        acc[r][v] = Late ? fma_flushed_late(lv, rv[v], acc[r][v]) : fma(lv, rv[v], acc[r][v]);
      }
    }
  }
}

/// One tile of k, from where c stands.
template <int MR, int NV, bool Late>
FANIN_INLINE void bf16_step(const Bf16Block& b, index kt, int last, Vec<float> (&sums)[MR][NV]) {
  constexpr int L = lanes<float>;
  const Bf16 *left = b.left + kt * bf16_k, *right = b.right + kt * bf16_k * bf16_columns;
  Vec<float> even[MR][NV], acc[MR][NV];
  bf16_chains<MR, NV, Late>(b, left, right, acc);
#pragma GCC unroll 16
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < NV; ++v) even[r][v] = acc[r][v];
  }
  bf16_chains<MR, NV, Late>(b, left + 1, right + 16 * bf16_columns, acc);
  const bool resume = b.resume || kt > 0;
#pragma GCC unroll 16
  for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < NV; ++v) {
      const float* first = resume   ? b.c + r * b.c_stride + v * L
                           : b.bias ? b.bias + v * L
                                    : nullptr;
      const Vec<float> start = !first        ? Vec<float>::zero()
                               : v == NV - 1 ? load_some(first, last)
                                             : Vec<float>::load(first);
      sums[r][v] = start + (even[r][v] + acc[r][v]);
    }
  }
}

template <int MR, int NV>
[[gnu::noinline]] void bf16_tile(const Bf16Block& b) noexcept {
  constexpr int L = lanes<float>;
  const int last = static_cast<int>(b.cols - (NV - 1) * L);
  for (index kt = 0; kt < b.k_tiles; ++kt) {
    Vec<float> sums[MR][NV];
    clear_early_flush();
    bf16_step<MR, NV, false>(b, kt, last, sums);
    if (flushed_early()) bf16_step<MR, NV, true>(b, kt, last, sums);
#pragma GCC unroll 16
    for (int r = 0; r < MR; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < NV; ++v) {
        float* out = b.c + r * b.c_stride + v * L;
        v == NV - 1 ? store_some(sums[r][v], out, last) : sums[r][v].store(out);
      }
    }
  }
}

template <int MR, int NV>
FANIN_INLINE void bf16_tile_of(const Bf16Block& b) noexcept {
  if constexpr (MR > 1) {
    if (b.rows < MR) return bf16_tile_of<MR - 1, NV>(b);
  }
  bf16_tile<MR, NV>(b);
}

template <int NV>
FANIN_INLINE void bf16_panels_of(const Bf16Block& b) noexcept {
  if constexpr (NV > 1) {
    if (b.cols <= (NV - 1) * bf16_columns) return bf16_panels_of<NV - 1>(b);
  }
  bf16_tile_of<static_cast<int>(bf16_block_rows), NV>(b);
}

FANIN_INLINE void bf16_block(const TileScope&, const Bf16Block& b, const Bf16Ahead&) noexcept {
  bf16_panels_of<static_cast<int>(bf16_block_panels)>(b);
}

/// A block of 32 x 32 numbers, of which rows x cols exist, rounded; zeros in the rest.
FANIN_INLINE void bf16_round(const float* from, index stride, index rows, index cols, Bf16* to) {
  constexpr index L = lanes<float>;
  for (index i = 0; i < bf16_k; ++i, from += stride) {
    for (index j = 0; j < bf16_k; j += L, to += L) {
      const index left = i < rows ? cols - j : 0;
      const int n = static_cast<int>(left < 0 ? 0 : left < L ? left : L);
      round_to_bf16(n == 0 ? Vec<float>::zero() : load_some(from + j, n)).store(to);
    }
  }
}

/// From a block: 32 numbers of a left operand's row.
FANIN_INLINE void bf16_row(const Bf16* block, Bf16* to) {
  for (index j = 0; j < bf16_k; j += lanes<float>) Vec<float>::load(block + j).store(to + j);
}

FANIN_INLINE index bf16_place(index k) { return (k % 2) * 16 + k / 2; }

/// A right operand's tile of its 32 rows x 16 columns.
FANIN_INLINE void bf16_right_tile(const Bf16* block, Bf16* to) {
  for (index k = 0; k < bf16_k; ++k) {
    Vec<float>::load(block + k * bf16_k).store(to + bf16_place(k) * bf16_columns);
  }
}

/// 32 numbers of 16 rows of a left operand, of its 32 rows x 16 columns transposed.
FANIN_INLINE void bf16_left_tile_t(const Bf16* block, Bf16* to, index to_stride) {
  for (index i = 0; i < bf16_k; i += lanes<float>) {
    transpose_lines(block + i * bf16_k, bf16_k, to + i, to_stride);
  }
}

/// A right operand's tile of its 16 rows x 32 columns transposed.
FANIN_INLINE void bf16_right_tile_t(const Bf16* block, Bf16* to) {
  alignas(64) Bf16 turned[bf16_k * bf16_columns];
  for (index half = 0; half < bf16_k; half += bf16_columns) {
    transpose_lines(block + half, bf16_k, turned + half * bf16_columns, bf16_columns);
  }
  for (index k = 0; k < bf16_k; ++k) {
    Vec<float>::load(turned + k * bf16_columns).store(to + bf16_place(k) * bf16_columns);
  }
}

}  // namespace fanin::FANIN_ISA
