#pragma once
// The tile product by AMX: a block is 2 x 2 tiles of 16 x 16, their sums in tmm0-3, the left
// operand's in tmm4, 5, the right one's in tmm6, 7. In a right operand's tile, the two k of a pair
// lie side by side. The contract is tile_vec.hpp's.
//                          cycles        Sapphire Rapids
//   tdpbf16ps              16, latency 52
//   tileloadd, from L1      8
// Inline assembly, since GCC 12's intrinsics do not say what memory they read and write.
#include "simd/partial.hpp"
#include "simd/tile.hpp"

namespace fanin::FANIN_ISA {

using Bf16 = std::uint16_t;

inline constexpr index bf16_block_rows = 32, bf16_block_panels = 2, bf16_block_k = 14;

using Bf16Block = TileBlock<Bf16>;
using Bf16Ahead = TilesAhead<Bf16>;

/// What `ldtilecfg` reads: all eight tiles have 16 rows of 64 bytes.
struct TileConfiguration {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfiguration) == 64);

/// Tiles are configured in its scope; 92 ns.
class TileScope {
 public:
  TileScope() {
    alignas(64) static constexpr TileConfiguration configuration{};
    asm volatile("ldtilecfg %0" : : "m"(configuration));
  }
  ~TileScope() { asm volatile("tilerelease" : : : "memory"); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

template <int tile>
FANIN_INLINE void tile_zero() {
  asm volatile("tilezero %%tmm%c0" : : "i"(tile) : "memory");
}
template <int tile>
FANIN_INLINE void tile_load(const void* p, index stride_bytes) {
  asm volatile("tileloadd (%0, %1, 1), %%tmm%c2"
               :
               : "r"(p), "r"(stride_bytes), "i"(tile)
               : "memory");
}
template <int tile>
FANIN_INLINE void tile_store(void* p, index stride_bytes) {
  asm volatile("tilestored %%tmm%c2, (%0, %1, 1)"
               :
               : "r"(p), "r"(stride_bytes), "i"(tile)
               : "memory");
}
/// sum += left · right
template <int sum, int left, int right>
FANIN_INLINE void tile_multiply() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0"
               :
               : "i"(sum), "i"(left), "i"(right)
               : "memory");
}

template <int MT, int NT>
FANIN_INLINE void bf16_tiles(const Bf16Block& b, const Bf16Ahead& ahead, float* c, index c_stride,
                             const float* bias, bool resume) noexcept {
  constexpr index side = 16;
  const index c_bytes = c_stride * 4;
  const auto start = [&]<int m, int n>() {
    if constexpr (m < MT && n < NT) {
      if (resume) {
        tile_load<2 * m + n>(c + m * side * c_stride + n * side, c_bytes);
      } else if (bias) {
        tile_load<2 * m + n>(bias + n * side, 0);  // the same line in all rows
      } else {
        tile_zero<2 * m + n>();
      }
    }
  };
  start.template operator()<0, 0>();
  start.template operator()<0, 1>();
  start.template operator()<1, 0>();
  start.template operator()<1, 1>();
  const index left_bytes = b.left_stride * 2;
  const Bf16 *left = b.left, *lower = left + side * b.left_stride;
  const Bf16 *right = b.right, *next = right + b.right_panel;
  for (index kt = 0; kt < b.k_tiles; ++kt) {
    tile_load<6>(right, 64);
    tile_load<4>(left, left_bytes);
    tile_multiply<0, 4, 6>();
    if constexpr (NT > 1) {
      tile_load<7>(next, 64);
      tile_multiply<1, 4, 7>();
    }
    if constexpr (MT > 1) {
      tile_load<5>(lower, left_bytes);
      tile_multiply<2, 5, 6>();
      if constexpr (NT > 1) tile_multiply<3, 5, 7>();
    }
    if (ahead.next) {
      const Bf16* p = ahead.next + (kt * 16 + ahead.first) * 32;  // a line has 32
      for (index l = 0; l < ahead.count; ++l) {
        __builtin_prefetch(p + l * 32, 0, 2);
        __builtin_prefetch(p + l * 32 + ahead.panel, 0, 2);
      }
    }
    left += bf16_k;
    lower += bf16_k;
    right += bf16_k * bf16_columns;
    next += bf16_k * bf16_columns;
  }
  const auto finish = [&]<int m, int n>() {
    if constexpr (m < MT && n < NT) {
      tile_store<2 * m + n>(c + m * side * c_stride + n * side, c_bytes);
    }
  };
  finish.template operator()<0, 0>();
  finish.template operator()<0, 1>();
  finish.template operator()<1, 0>();
  finish.template operator()<1, 1>();
}

FANIN_INLINE void bf16_copy(const float* from, index from_stride, float* to, index to_stride,
                            index rows, index cols) {
  for (index i = 0; i < rows; ++i) {
    each_vec<float>(cols, [&](index j, int n) {
      store_some(load_some(from + i * from_stride + j, n), to + i * to_stride + j, n);
    });
  }
}

/// A block of which only a part exists, by way of memory of its own.
template <int MT, int NT>
[[gnu::noinline]] void bf16_part(const Bf16Block& b, const Bf16Ahead& ahead) noexcept {
  constexpr index stride = NT * 16;
  alignas(64) float c[MT * 16 * stride], bias[stride];
  if (b.resume) bf16_copy(b.c, b.c_stride, c, stride, b.rows, b.cols);
  if (b.bias) bf16_copy(b.bias, 0, bias, 0, 1, b.cols);
  bf16_tiles<MT, NT>(b, ahead, c, stride, b.bias ? bias : nullptr, b.resume);
  bf16_copy(c, stride, b.c, b.c_stride, b.rows, b.cols);
}

template <int MT, int NT>
[[gnu::noinline]] void bf16_block_of(const Bf16Block& b, const Bf16Ahead& ahead) noexcept {
  if (b.rows == MT * 16 && b.cols == NT * 16) {
    bf16_tiles<MT, NT>(b, ahead, b.c, b.c_stride, b.bias, b.resume);
  } else {
    bf16_part<MT, NT>(b, ahead);
  }
}

FANIN_INLINE void bf16_block(const TileScope&, const Bf16Block& b,
                             const Bf16Ahead& ahead) noexcept {
  if (b.rows > 16) {
    b.cols > 16 ? bf16_block_of<2, 2>(b, ahead) : bf16_block_of<2, 1>(b, ahead);
  } else {
    b.cols > 16 ? bf16_block_of<1, 2>(b, ahead) : bf16_block_of<1, 1>(b, ahead);
  }
}

/// A block of 32 x 32 numbers, of which rows x cols exist, rounded; zeros in the rest.
FANIN_INLINE void bf16_round(const float* from, index stride, index rows, index cols, Bf16* to) {
  const auto mask = [](index n) { return low16(static_cast<int>(n < 0 ? 0 : n < 16 ? n : 16)); };
  const __mmask16 first = mask(cols), second = mask(cols - 16);
  for (index i = 0; i < rows; ++i, from += stride) {
    const __m512 low = _mm512_maskz_loadu_ps(first, from);
    const __m512 high = _mm512_maskz_loadu_ps(second, from + 16);
    _mm512_store_si512(to + i * bf16_k, (__m512i)_mm512_cvtne2ps_pbh(high, low));
  }
  for (index i = rows; i < bf16_k; ++i) {
    _mm512_store_si512(to + i * bf16_k, _mm512_setzero_si512());
  }
}

/// From a block: 32 numbers of a left operand's row.
FANIN_INLINE void bf16_row(const Bf16* block, Bf16* to) {
  _mm512_storeu_si512(to, _mm512_load_si512(block));
}

/// Words of 16 columns of two rows in turn: what two k of a right operand's pair are.
FANIN_INLINE __m512i bf16_woven(const Bf16* block) {
  const __m512i order = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40,
                                         8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  const auto half = [](const Bf16* p) {
    return _mm512_castsi256_si512(_mm256_load_si256(reinterpret_cast<const __m256i*>(p)));
  };
  return _mm512_permutex2var_epi16(half(block), order, half(block + bf16_k));
}

/// A right operand's tile of its 32 rows x 16 columns.
FANIN_INLINE void bf16_right_tile(const Bf16* block, Bf16* to) {
  for (index k = 0; k < bf16_k; k += 2) {
    _mm512_storeu_si512(to + k * bf16_columns, bf16_woven(block + k * bf16_k));
  }
}

/// A square of 16 x 16 words transposed.
FANIN_INLINE void bf16_transpose(__m512i (&r)[16]) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {  // r[4 g + i]: column 4 q + i of rows 4 g .. in quarter q
    t[i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88);
    t[4 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88);
    t[8 + i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xdd);
    t[12 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xdd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[4 + i], 0x88);
    r[8 + i] = _mm512_shuffle_i32x4(t[i], t[4 + i], 0xdd);
    r[4 + i] = _mm512_shuffle_i32x4(t[8 + i], t[12 + i], 0x88);
    r[12 + i] = _mm512_shuffle_i32x4(t[8 + i], t[12 + i], 0xdd);
  }
}

/// 32 numbers of 16 rows of a left operand, of its 32 rows x 16 columns transposed.
FANIN_INLINE void bf16_left_tile_t(const Bf16* block, Bf16* to, index to_stride) {
  __m512i r[16];
#pragma GCC unroll 16
  for (index i = 0; i < 16; ++i) r[i] = bf16_woven(block + 2 * i * bf16_k);
  bf16_transpose(r);
#pragma GCC unroll 16
  for (index j = 0; j < 16; ++j) _mm512_storeu_si512(to + j * to_stride, r[j]);
}

/// A right operand's tile of its 16 rows x 32 columns transposed.
FANIN_INLINE void bf16_right_tile_t(const Bf16* block, Bf16* to) {
  __m512i r[16];
#pragma GCC unroll 16
  for (index i = 0; i < 16; ++i) r[i] = _mm512_load_si512(block + i * bf16_k);
  bf16_transpose(r);
#pragma GCC unroll 16
  for (index k = 0; k < 16; ++k) _mm512_storeu_si512(to + k * bf16_k, r[k]);
}

}  // namespace fanin::FANIN_ISA
