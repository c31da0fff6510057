#pragma once
// The contract is gather_scalar.hpp's.
#include "simd/in_memory.hpp"
#include "simd/pixels_avx512.hpp"

namespace fanin::FANIN_ISA {

FANIN_INLINE U32 operator+(U32 a, U32 b) { return {_mm512_add_epi32(a.v, b.v)}; }
FANIN_INLINE U32 operator*(U32 a, U32 b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
FANIN_INLINE U32 to_u32(Vec<float> a) { return {_mm512_cvttps_epi32(a.v)}; }
template <int n>
FANIN_INLINE Vec<float> byte_of(U32 a) {
  const __m512i byte = _mm512_and_si512(_mm512_srli_epi32(a.v, 8 * n), _mm512_set1_epi32(0xff));
  return {_mm512_cvtepi32_ps(byte)};
}
template <int n>
FANIN_INLINE U32 load_pixels(const std::uint8_t* p) {
  if constexpr (n == 1) {
    return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  } else if constexpr (n == 4) {
    return {_mm512_loadu_si512(p)};
  } else {
    const __m512i fours = _mm512_set_epi32(0, 11, 10, 9, 0, 8, 7, 6, 0, 5, 4, 3, 0, 2, 1, 0);
    const __m512i bytes = _mm512_permutexvar_epi32(fours, _mm512_maskz_loadu_epi32(0xfff, p));
    const __m128i spread = _mm_set_epi8(-1, 11, 10, 9, -1, 8, 7, 6, -1, 5, 4, 3, -1, 2, 1, 0);
    return {_mm512_shuffle_epi8(bytes, _mm512_broadcast_i32x4(spread))};
  }
}
/// Loads one by one: gather instructions are slower on Zen and where microcode guards them.
FANIN_INLINE Vec<float> gather(const float* p, U32 at) {
  const InMemory where(at);
  const auto f = [&](int i) { return p[where.v[i]]; };
  return {_mm512_setr_ps(f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11),
                         f(12), f(13), f(14), f(15))};
}
template <int n>
FANIN_INLINE Vec<float> gather_within(const float* p, U32 at) {
  if constexpr (n == 16) {
    return {_mm512_permutexvar_ps(at.v, _mm512_loadu_ps(p))};
  } else {
    const __m512 low = _mm512_permutex2var_ps(_mm512_loadu_ps(p), at.v, _mm512_loadu_ps(p + 16));
    if constexpr (n == 32) return {low};
    const __mmask16 beyond = _mm512_cmpgt_epi32_mask(at.v, _mm512_set1_epi32(31));
    const __m512 high =
        _mm512_permutex2var_ps(_mm512_loadu_ps(p + 32), at.v, _mm512_loadu_ps(p + 48));
    return {_mm512_mask_blend_ps(beyond, low, high)};
  }
}
/// Eight pairs from p[at[0]], p[at[1]] ...
FANIN_INLINE __m512i load_pairs(const std::uint32_t* p, const std::uint32_t* at) {
  const auto two = [&](int i) {
    const __m128i a = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + at[i]));
    return _mm_castps_si128(
        _mm_loadh_pi(_mm_castsi128_ps(a), reinterpret_cast<const __m64*>(p + at[i + 1])));
  };
  const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(two(0)), two(2), 1);
  const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(two(4)), two(6), 1);
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}
FANIN_INLINE void gather_pairs(const std::uint32_t* p, const std::uint32_t* at, __m512i& first,
                               __m512i& second) {
  const __m512i low = load_pairs(p, at), high = load_pairs(p, at + 8);
  first = _mm512_permutex2var_epi32(low, lane_indices([](int l) { return 2 * l; }), high);
  second = _mm512_permutex2var_epi32(low, lane_indices([](int l) { return 2 * l + 1; }), high);
}
FANIN_INLINE void gather_squares(const std::uint32_t* p, index stride, U32 at, U32 (&tap)[4]) {
  const InMemory where(at);
  gather_pairs(p, where.v, tap[0].v, tap[1].v);
  gather_pairs(p + stride, where.v, tap[2].v, tap[3].v);
}
FANIN_INLINE void gather_squares(const float* p, index stride, U32 at, Vec<float> (&tap)[4]) {
  U32 bits[4];
  gather_squares(reinterpret_cast<const std::uint32_t*>(p), stride, at, bits);
  for (int i = 0; i < 4; ++i) tap[i].v = _mm512_castsi512_ps(bits[i].v);
}

}  // namespace fanin::FANIN_ISA
