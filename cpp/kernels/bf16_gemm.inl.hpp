#pragma once
#include "kernels/activation.inl.hpp"
#include "kernels/bf16_gemm.hpp"

namespace fanin::FANIN_ISA {

inline constexpr index bf16_group_rows = 256;  // of c and the left operand, which stay in L2

inline constexpr index bf16_far = 1 << 20;  // bytes of the right operand: not in L2 then

FANIN_INLINE index bf16_least(index a, index b) { return a < b ? a : b; }

/// The product on rows x cols (cols.begin a multiple of block_columns); finish(rows, cols) is
/// called on each block of the result once it is complete.
template <class F>
FANIN_INLINE void bf16_multiply(const Bf16Product<float>& p, Range rows, Range cols,
                                F finish) noexcept {
  constexpr index width = bf16_block_panels * bf16_columns;
  static_assert(block_columns % width == 0);
  const TileScope tiles;
  const auto* left = static_cast<const Bf16*>(p.left);
  const auto* right = static_cast<const Bf16*>(p.right);
  const index k_tiles = (p.k + bf16_k - 1) / bf16_k;
  const index parts = (k_tiles + bf16_block_k - 1) / bf16_block_k;
  const bool far = p.k * p.cols * 2 > bf16_far;
  for (index i0 = rows.begin; i0 < rows.end; i0 += bf16_group_rows) {
    const Range group{i0, bf16_least(i0 + bf16_group_rows, rows.end)};
    // A block of rows fetches so many of the 16 lines of each tile that comes next.
    const index blocks = (group.end - group.begin + bf16_block_rows - 1) / bf16_block_rows;
    const index lines = (16 + blocks - 1) / blocks;
    for (index part = 0; part < parts; ++part) {
      const Range k{k_tiles * part / parts, k_tiles * (part + 1) / parts};
      for (index j = cols.begin; j < cols.end; j += width) {
        Bf16Block b{};
        b.left_stride = p.left_stride;
        b.right = right + j / bf16_columns * p.right_panel + k.begin * bf16_k * bf16_columns;
        b.right_panel = p.right_panel;
        b.k_tiles = k.end - k.begin;
        b.c_stride = p.c_stride;
        b.cols = bf16_least(width, cols.end - j);
        b.bias = p.bias ? p.bias + j : nullptr;
        b.resume = p.accumulate || part > 0;
        Bf16Ahead ahead{};
        if (far && j + width < cols.end) {
          ahead = {b.right + bf16_block_panels * p.right_panel, p.right_panel, 0, lines};
        }
        for (index i = group.begin; i < group.end; i += bf16_block_rows) {
          b.left = left + i * p.left_stride + k.begin * bf16_k;
          b.c = p.c + i * p.c_stride + j;
          b.rows = bf16_least(bf16_block_rows, group.end - i);
          bf16_block(tiles, b, ahead);
          ahead.first += lines;
          if (ahead.first >= 16) ahead.next = nullptr;
        }
        const index end = j + b.cols;
        if (part + 1 == parts && (end % block_columns == 0 || end == cols.end)) {
          finish(group, Range{(end - 1) / block_columns * block_columns, end});
        }
      }
    }
  }
}

inline void bf16_forward(const Bf16Product<float>& p, const Epilogue<float>& e, Range rows,
                         Range cols) noexcept {
  const bool plain = changes_nothing(e);
  bf16_multiply(p, rows, cols, [&](Range r, Range c) {
    if (!plain) finish_block(e, p.c, p.c, p.c_stride, p.cols, r, c);
  });
}

inline void bf16_backward_input(const Bf16Product<float>& p, const Derivative<float>& d, Range rows,
                                Range cols) noexcept {
  bf16_multiply(p, rows, cols,
                [&](Range r, Range c) { apply_derivative(d, p.c, p.c, p.c_stride, r, c); });
}

inline void bf16_weight_gradient(const Bf16Product<float>& p, Range rows) noexcept {
  Bf16Product<float> own = p;
  own.left = static_cast<const Bf16*>(p.left) + rows.begin * p.left_stride;
  bf16_multiply(own, {0, rows.end - rows.begin}, {0, p.cols}, [](Range, Range) {});
}

inline void bf16_pack(const Bf16Pack<float>& p, Range rows) noexcept {
  const auto at = [](void* to, index element) { return static_cast<Bf16*>(to) + element; };
  alignas(64) Bf16 block[bf16_k * bf16_k];
  for (index i = rows.begin; i < rows.end; i += bf16_k) {
    const index n = bf16_least(bf16_k, rows.end - i);
    for (index j = 0; j < p.cols; j += bf16_k) {
      const index m = bf16_least(bf16_k, p.cols - j);
      bf16_round(p.from + i * p.stride + j, p.stride, n, m, block);
      for (index r = 0; p.left && r < n; ++r) {
        bf16_row(block + r * bf16_k, at(p.left, (i + r) * p.left_stride + j));
      }
      for (index half = 0; half < m; half += bf16_columns) {
        const index column = j + half, panel = column / bf16_columns * p.right_panel;
        if (p.right) bf16_right_tile(block + half, at(p.right, panel + i * bf16_columns));
        if (p.left_t) {
          bf16_left_tile_t(block + half, at(p.left_t, column * p.left_t_stride + i),
                           p.left_t_stride);
        }
      }
      for (index half = 0; p.right_t && half < n; half += bf16_columns) {
        const index panel = (i + half) / bf16_columns * p.right_t_panel;
        bf16_right_tile_t(block + half * bf16_k, at(p.right_t, panel + j * bf16_columns));
      }
    }
  }
}

}  // namespace fanin::FANIN_ISA
