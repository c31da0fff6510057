#pragma once
// The contract is gather_scalar.hpp's.
#include "simd/in_memory.hpp"
#include "simd/pixels_avx2.hpp"

namespace fanin::FANIN_ISA {

FANIN_INLINE U32 operator+(U32 a, U32 b) {
  return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)};
}
FANIN_INLINE U32 operator*(U32 a, U32 b) {
  return {_mm256_mullo_epi32(a.lo, b.lo), _mm256_mullo_epi32(a.hi, b.hi)};
}
FANIN_INLINE U32 to_u32(Vec<float> a) {
  return {_mm256_cvttps_epi32(a.lo), _mm256_cvttps_epi32(a.hi)};
}
template <int n>
FANIN_INLINE Vec<float> byte_of(U32 a) {
  const U32 x = shift_right<8 * n>(a);
  const __m256i byte = _mm256_set1_epi32(0xff);
  return {_mm256_cvtepi32_ps(_mm256_and_si256(x.lo, byte)),
          _mm256_cvtepi32_ps(_mm256_and_si256(x.hi, byte))};
}
template <int n>
FANIN_INLINE U32 load_pixels(const std::uint8_t* p) {
  const auto load16 = [](const std::uint8_t* q) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(q));
  };
  if constexpr (n == 1) {
    const __m128i bytes = load16(p);
    return {_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))};
  } else if constexpr (n == 4) {
    return U32::load(reinterpret_cast<const std::uint32_t*>(p));
  } else {
    // Four pixels are 12 bytes; the last four are read from four bytes earlier, to stay inside.
    const __m256i lo = _mm256_set_m128i(load16(p + 12), load16(p));
    const __m256i hi = _mm256_set_m128i(load16(p + 32), load16(p + 24));
    const __m256i first = _mm256_broadcastsi128_si256(
        _mm_set_epi8(-1, 11, 10, 9, -1, 8, 7, 6, -1, 5, 4, 3, -1, 2, 1, 0));
    const __m256i last = _mm256_set_epi8(-1, 15, 14, 13, -1, 12, 11, 10, -1, 9, 8, 7, -1, 6, 5, 4,
                                         -1, 11, 10, 9, -1, 8, 7, 6, -1, 5, 4, 3, -1, 2, 1, 0);
    return {_mm256_shuffle_epi8(lo, first), _mm256_shuffle_epi8(hi, last)};
  }
}
/// Loads one by one: gather instructions are slower on Zen and where microcode guards them.
FANIN_INLINE __m256 gather8(const float* p, const std::uint32_t* at) {
  return _mm256_setr_ps(p[at[0]], p[at[1]], p[at[2]], p[at[3]], p[at[4]], p[at[5]], p[at[6]],
                        p[at[7]]);
}
FANIN_INLINE Vec<float> gather(const float* p, U32 at) {
  const InMemory where(at);
  return {gather8(p, where.v), gather8(p, where.v + 8)};
}
/// p[at[i]] of 8 n values, by the bits of at: three choose within a register, the next ones which.
template <int n>
FANIN_INLINE __m256 lookup(const float* p, __m256i at) {
  if constexpr (n == 1) {
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(p), at);
  } else {
    const __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(at, n == 2 ? 28 : 27));
    return _mm256_blendv_ps(lookup<n / 2>(p, at), lookup<n / 2>(p + 4 * n, at), upper);
  }
}
template <int n>
FANIN_INLINE Vec<float> gather_within(const float* p, U32 at) {
  if constexpr (n > 32) {
    return gather(p, at);
  } else {
    return {lookup<n / 8>(p, at.lo), lookup<n / 8>(p, at.hi)};
  }
}
/// Eight pairs from p[at[0]], p[at[1]] ..., parted into their first and second words.
FANIN_INLINE void load_pairs(const std::uint32_t* p, const std::uint32_t* at, __m256i& first,
                             __m256i& second) {
  const auto two = [&](int i) {
    const __m128i a = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + at[i]));
    return _mm_loadh_pi(_mm_castsi128_ps(a), reinterpret_cast<const __m64*>(p + at[i + 1]));
  };
  const __m256 a = _mm256_set_m128(two(4), two(0)), b = _mm256_set_m128(two(6), two(2));
  first = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88));
  second = _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd));
}
FANIN_INLINE void gather_pairs(const std::uint32_t* p, const std::uint32_t* at, U32& first,
                               U32& second) {
  load_pairs(p, at, first.lo, second.lo);
  load_pairs(p, at + 8, first.hi, second.hi);
}
FANIN_INLINE void gather_squares(const std::uint32_t* p, index stride, U32 at, U32 (&tap)[4]) {
  const InMemory where(at);
  gather_pairs(p, where.v, tap[0], tap[1]);
  gather_pairs(p + stride, where.v, tap[2], tap[3]);
}
FANIN_INLINE void gather_squares(const float* p, index stride, U32 at, Vec<float> (&tap)[4]) {
  U32 bits[4];
  gather_squares(reinterpret_cast<const std::uint32_t*>(p), stride, at, bits);
  for (int i = 0; i < 4; ++i) {
    tap[i] = {_mm256_castsi256_ps(bits[i].lo), _mm256_castsi256_ps(bits[i].hi)};
  }
}

}  // namespace fanin::FANIN_ISA
