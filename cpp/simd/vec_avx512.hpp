#pragma once
// AVX-512 F, BW, DQ, VL: a Vec is one register. The contract is vec_scalar.hpp's.
//                 latency / per cycle on   Skylake-X  Zen 4   Zen 5
//   vfmadd zmm, operands from memory too   4 / 2      4 / 1   4 / 2
// Zen 4 does each 512-bit operation in two halves; a broadcast from memory costs nothing more.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC's header: bug 105593
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif

#include "core/view.hpp"

namespace fanin::FANIN_ISA {

template <class T>
inline constexpr int lanes = static_cast<int>(64 / sizeof(T));
inline constexpr int register_bytes = 64;

/// Vecs of a row of a product's tile, and of one that is a row alone. Of 32 registers, 6 rows x 4
/// take 24 accumulators, 4 for b and 1 for a.
inline constexpr int panel_vecs = 4, single_row_vecs = 8;

template <class T>
struct Mask;
template <>
struct Mask<float> {
  __mmask16 m;
};
template <>
struct Mask<double> {
  __mmask8 m;
};

FANIN_INLINE __mmask16 low16(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
FANIN_INLINE __mmask8 low8(int n) { return static_cast<__mmask8>((1u << n) - 1u); }

/// Sixteen unsigned 32-bit words.
struct U32 {
  __m512i v;

  static FANIN_INLINE U32 set(std::uint32_t x) { return {_mm512_set1_epi32(static_cast<int>(x))}; }
  static FANIN_INLINE U32 load(const std::uint32_t* p) { return {_mm512_loadu_si512(p)}; }
  FANIN_INLINE void store(std::uint32_t* p) const { _mm512_storeu_si512(p, v); }
  static FANIN_INLINE U32 iota(std::uint32_t first) {
    const __m512i steps = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return {_mm512_add_epi32(set(first).v, steps)};
  }
};

/// The even and the odd words in the lower halves of 64-bit lanes, where vpmuludq takes them; the
/// upper halves hold anything.
struct Spread {
  __m512i even, odd;

  static FANIN_INLINE Spread set(std::uint32_t x) { return {U32::set(x).v, U32::set(x).v}; }
  static FANIN_INLINE Spread iota(std::uint32_t first) {
    const U32 all = U32::iota(first);
    return {all.v, _mm512_srli_epi64(all.v, 32)};
  }
};
FANIN_INLINE Spread operator^(Spread a, Spread b) {
  return {_mm512_xor_si512(a.even, b.even), _mm512_xor_si512(a.odd, b.odd)};
}
FANIN_INLINE void multiply_wide(Spread a, std::uint32_t m, Spread& high, Spread& low) {
  const __m512i factor = _mm512_set1_epi32(static_cast<int>(m));
  low = {_mm512_mul_epu32(a.even, factor), _mm512_mul_epu32(a.odd, factor)};
  high = {_mm512_srli_epi64(low.even, 32), _mm512_srli_epi64(low.odd, 32)};
}
FANIN_INLINE U32 packed(Spread a) {
  return {_mm512_mask_shuffle_epi32(a.even, 0xaaaa, a.odd, _MM_PERM_CCAA)};
}
template <int n>
FANIN_INLINE U32 shift_right(U32 a) {
  return {_mm512_srli_epi32(a.v, n)};
}
/// Words `8 part` .. of u.
FANIN_INLINE __m256i half_of(U32 u, int part) {
  return part == 0 ? _mm512_castsi512_si256(u.v) : _mm512_extracti64x4_epi64(u.v, 1);
}

template <class T>
struct Vec;

template <>
struct Vec<float> {
  __m512 v;

  static FANIN_INLINE Vec zero() { return {_mm512_setzero_ps()}; }
  static FANIN_INLINE Vec set(float x) { return {_mm512_set1_ps(x)}; }
  static FANIN_INLINE Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static FANIN_INLINE Vec load(const float* p, int n) {
    return {_mm512_maskz_loadu_ps(low16(n), p)};
  }
  FANIN_INLINE void store(float* p) const { _mm512_storeu_ps(p, v); }
  FANIN_INLINE void store(float* p, int n) const { _mm512_mask_storeu_ps(p, low16(n), v); }

  static FANIN_INLINE Vec convert(const float* p) { return load(p); }
  static FANIN_INLINE Vec convert(const float* p, int n) { return load(p, n); }
  static FANIN_INLINE Vec convert(const std::uint8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes))};
  }
  static FANIN_INLINE Vec convert(const std::uint8_t* p, int n) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(low16(n), p)))};
  }
  static FANIN_INLINE Vec convert(const double* p) {
    return join(_mm512_loadu_pd(p), _mm512_loadu_pd(p + 8));
  }
  static FANIN_INLINE Vec convert(const double* p, int n) {
    const __mmask16 m = low16(n);
    const __mmask8 upper = static_cast<__mmask8>(m >> 8);
    return join(_mm512_maskz_loadu_pd(static_cast<__mmask8>(m), p),
                n > 8 ? _mm512_maskz_loadu_pd(upper, p + 8) : _mm512_setzero_pd());
  }
  static FANIN_INLINE Vec from_u32(U32 u, int = 0) { return {_mm512_cvtepu32_ps(u.v)}; }

 private:
  static FANIN_INLINE Vec join(__m512d low, __m512d high) {
    return {
        _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high), 1)};
  }
};

template <>
struct Vec<double> {
  __m512d v;

  static FANIN_INLINE Vec zero() { return {_mm512_setzero_pd()}; }
  static FANIN_INLINE Vec set(double x) { return {_mm512_set1_pd(x)}; }
  static FANIN_INLINE Vec load(const double* p) { return {_mm512_loadu_pd(p)}; }
  static FANIN_INLINE Vec load(const double* p, int n) {
    return {_mm512_maskz_loadu_pd(low8(n), p)};
  }
  FANIN_INLINE void store(double* p) const { _mm512_storeu_pd(p, v); }
  FANIN_INLINE void store(double* p, int n) const { _mm512_mask_storeu_pd(p, low8(n), v); }

  static FANIN_INLINE Vec convert(const double* p) { return load(p); }
  static FANIN_INLINE Vec convert(const double* p, int n) { return load(p, n); }
  static FANIN_INLINE Vec convert(const float* p) { return {_mm512_cvtps_pd(_mm256_loadu_ps(p))}; }
  static FANIN_INLINE Vec convert(const float* p, int n) {
    return {_mm512_cvtps_pd(_mm256_maskz_loadu_ps(low8(n), p))};
  }
  static FANIN_INLINE Vec convert(const std::uint8_t* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return {_mm512_cvtepi32_pd(_mm256_cvtepu8_epi32(bytes))};
  }
  static FANIN_INLINE Vec convert(const std::uint8_t* p, int n) {
    return {_mm512_cvtepi32_pd(_mm256_cvtepu8_epi32(_mm_maskz_loadu_epi8(low16(n), p)))};
  }
  static FANIN_INLINE Vec from_u32(U32 u, int part = 0) {
    return {_mm512_cvtepu32_pd(half_of(u, part))};
  }
};

FANIN_INLINE Vec<float> operator+(Vec<float> a, Vec<float> b) { return {_mm512_add_ps(a.v, b.v)}; }
FANIN_INLINE Vec<double> operator+(Vec<double> a, Vec<double> b) {
  return {_mm512_add_pd(a.v, b.v)};
}
FANIN_INLINE Vec<float> operator-(Vec<float> a, Vec<float> b) { return {_mm512_sub_ps(a.v, b.v)}; }
FANIN_INLINE Vec<double> operator-(Vec<double> a, Vec<double> b) {
  return {_mm512_sub_pd(a.v, b.v)};
}
FANIN_INLINE Vec<float> operator*(Vec<float> a, Vec<float> b) { return {_mm512_mul_ps(a.v, b.v)}; }
FANIN_INLINE Vec<double> operator*(Vec<double> a, Vec<double> b) {
  return {_mm512_mul_pd(a.v, b.v)};
}
FANIN_INLINE Vec<float> operator/(Vec<float> a, Vec<float> b) { return {_mm512_div_ps(a.v, b.v)}; }
FANIN_INLINE Vec<double> operator/(Vec<double> a, Vec<double> b) {
  return {_mm512_div_pd(a.v, b.v)};
}
FANIN_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
FANIN_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return {_mm512_fmadd_pd(a.v, b.v, c.v)};
}
FANIN_INLINE Vec<float> fnma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return {_mm512_fnmadd_ps(a.v, b.v, c.v)};
}
FANIN_INLINE Vec<double> fnma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return {_mm512_fnmadd_pd(a.v, b.v, c.v)};
}
FANIN_INLINE Vec<float> sqrt(Vec<float> a) { return {_mm512_sqrt_ps(a.v)}; }
FANIN_INLINE Vec<double> sqrt(Vec<double> a) { return {_mm512_sqrt_pd(a.v)}; }
/// Newton's steps for 1 / b and Markstein's for the quotient (IBM J. Res. Dev. 34, 1990), which
/// round as a division does where no remainder is subnormal. The first step rounds up, since from
/// below the second one would miss the b all of whose bits are set.
FANIN_INLINE Vec<float> quotient(Vec<float> a, Vec<float> b, Vec<float> least) {
  constexpr int up = _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC;
  const Vec<float> one = Vec<float>::set(1.0f), guess = {_mm512_rcp14_ps(b.v)};
  Vec<float> inverse = {_mm512_fmadd_round_ps(fnma(b, guess, one).v, guess.v, guess.v, up)};
  inverse = fma(fnma(b, inverse, one), inverse, inverse);
  const Vec<float> near = a * inverse, excess = {_mm512_fmsub_ps(b.v, near.v, a.v)};
  const Vec<float> result = fnma(excess, inverse, near);  // -0 / b is -0 this way around

  // |a| - 1 as bits, so that 0 is the largest
  const auto size = [](Vec<float> x) {
    return _mm512_sub_epi32(_mm512_slli_epi32(_mm512_castps_si512(x.v), 1), U32::set(1).v);
  };
  constexpr int nan_or_infinite = 0x99;
  const __mmask16 small = _mm512_cmplt_epu32_mask(size(a), size(least));
  const __mmask16 special = _mm512_fpclass_ps_mask(result.v, nan_or_infinite);
  return __builtin_expect(_mm512_kortestz(small, special), 1) ? result : a / b;
}
FANIN_INLINE Vec<double> quotient(Vec<double> a, Vec<double> b, Vec<double>) { return a / b; }
FANIN_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return {_mm512_max_ps(a.v, b.v)}; }
FANIN_INLINE Vec<double> max(Vec<double> a, Vec<double> b) { return {_mm512_max_pd(a.v, b.v)}; }
FANIN_INLINE Vec<float> min(Vec<float> a, Vec<float> b) { return {_mm512_min_ps(a.v, b.v)}; }
FANIN_INLINE Vec<double> min(Vec<double> a, Vec<double> b) { return {_mm512_min_pd(a.v, b.v)}; }
FANIN_INLINE Vec<float> abs(Vec<float> a) { return {_mm512_abs_ps(a.v)}; }
FANIN_INLINE Vec<double> abs(Vec<double> a) { return {_mm512_abs_pd(a.v)}; }
FANIN_INLINE Vec<float> copysign(Vec<float> a, Vec<float> b) {
  const __m512 sign = _mm512_set1_ps(-0.0f);
  return {_mm512_or_ps(_mm512_andnot_ps(sign, a.v), _mm512_and_ps(sign, b.v))};
}
FANIN_INLINE Vec<double> copysign(Vec<double> a, Vec<double> b) {
  const __m512d sign = _mm512_set1_pd(-0.0);
  return {_mm512_or_pd(_mm512_andnot_pd(sign, a.v), _mm512_and_pd(sign, b.v))};
}

FANIN_INLINE Mask<float> operator<(Vec<float> a, Vec<float> b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)};
}
FANIN_INLINE Mask<double> operator<(Vec<double> a, Vec<double> b) {
  return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_LT_OQ)};
}
FANIN_INLINE Mask<float> operator>(Vec<float> a, Vec<float> b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)};
}
FANIN_INLINE Mask<double> operator>(Vec<double> a, Vec<double> b) {
  return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_GT_OQ)};
}
FANIN_INLINE Mask<float> operator==(Vec<float> a, Vec<float> b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)};
}
FANIN_INLINE Mask<double> operator==(Vec<double> a, Vec<double> b) {
  return {_mm512_cmp_pd_mask(a.v, b.v, _CMP_EQ_OQ)};
}
FANIN_INLINE Vec<float> select(Mask<float> m, Vec<float> a, Vec<float> b) {
  return {_mm512_mask_blend_ps(m.m, b.v, a.v)};
}
FANIN_INLINE Vec<double> select(Mask<double> m, Vec<double> a, Vec<double> b) {
  return {_mm512_mask_blend_pd(m.m, b.v, a.v)};
}

template <class T>
FANIN_INLINE Mask<T> first_lanes(int n) {
  if constexpr (sizeof(T) == 4) {
    return {low16(n)};
  } else {
    return {low8(n)};
  }
}
template <class T>
FANIN_INLINE Mask<T> below(U32 u, std::uint32_t threshold, int part = 0) {
  if constexpr (sizeof(T) == 4) {
    return {_mm512_cmplt_epu32_mask(u.v, U32::set(threshold).v)};
  } else {
    return {
        _mm256_cmplt_epu32_mask(half_of(u, part), _mm256_set1_epi32(static_cast<int>(threshold)))};
  }
}

template <class T>
FANIN_INLINE Vec<T> round_even(Vec<T> a) {
  const Vec<T> magic = Vec<T>::set(sizeof(T) == 4 ? T(12582912.0) : T(6755399441055744.0));
  return (a + magic) - magic;
}
FANIN_INLINE Vec<float> scale_by_power(Vec<float> a, Vec<float> n) {
  const __m512i shift = _mm512_slli_epi32(_mm512_cvttps_epi32(n.v), 23);
  return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a.v), shift))};
}
FANIN_INLINE Vec<double> scale_by_power(Vec<double> a, Vec<double> n) {
  const __m512i shift = _mm512_slli_epi64(_mm512_cvttpd_epi64(n.v), 52);
  return {_mm512_castsi512_pd(_mm512_add_epi64(_mm512_castpd_si512(a.v), shift))};
}
FANIN_INLINE Vec<float> round_to_bf16(Vec<float> a) {
  const __m512i bits = _mm512_castps_si512(a.v), one = _mm512_set1_epi32(1);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), one);
  __m512i r = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
  r = _mm512_mask_or_epi32(r, nan, bits, _mm512_set1_epi32(0x00400000));
  const __mmask16 normal = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x7f800000));
  const __m512i sign = _mm512_set1_epi32(INT32_MIN);
  r = _mm512_mask_and_epi32(_mm512_and_si512(bits, sign), normal, r,
                            _mm512_set1_epi32(-0x00010000));
  return {_mm512_castsi512_ps(r)};
}
FANIN_INLINE Vec<float> split_exponent(Vec<float> a, Vec<float>& exponent) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i above = _mm512_sub_epi32(bits, _mm512_set1_epi32(0x3f3504f4));
  exponent.v = _mm512_cvtepi32_ps(_mm512_srai_epi32(above, 23));
  const __m512i power = _mm512_and_si512(above, _mm512_set1_epi32(-0x00800000));
  return {_mm512_castsi512_ps(_mm512_sub_epi32(bits, power))};
}
FANIN_INLINE Vec<double> split_exponent(Vec<double> a, Vec<double>& exponent) {
  const __m512i bits = _mm512_castpd_si512(a.v);
  const __m512i above = _mm512_sub_epi64(bits, _mm512_set1_epi64(0x3fe6a09e667f3bce));
  exponent.v = _mm512_cvtepi64_pd(_mm512_srai_epi64(above, 52));
  const __m512i power = _mm512_and_si512(above, _mm512_set1_epi64(-0x0010000000000000));
  return {_mm512_castsi512_pd(_mm512_sub_epi64(bits, power))};
}

/// x ^ (y & z)
FANIN_INLINE __m512i xor_and(__m512i x, __m512i y, __m512i z) {
  return _mm512_ternarylogic_epi64(x, y, z, 0x78);
}
FANIN_INLINE void turn_quarters(Vec<float> n, Vec<float>& sine, Vec<float>& cosine) {
  const __m512i q = _mm512_castps_si512(n.v), one = _mm512_set1_epi32(1);
  const __m512i sign = _mm512_set1_epi32(INT32_MIN);
  const __mmask16 odd = _mm512_test_epi32_mask(q, one);
  const __m512i s = _mm512_castps_si512(_mm512_mask_blend_ps(odd, sine.v, cosine.v));
  const __m512i c = _mm512_castps_si512(_mm512_mask_blend_ps(odd, cosine.v, sine.v));
  const __m512i next = _mm512_add_epi32(q, one);
  sine.v = _mm512_castsi512_ps(xor_and(s, _mm512_slli_epi32(q, 30), sign));
  cosine.v = _mm512_castsi512_ps(xor_and(c, _mm512_slli_epi32(next, 30), sign));
}
FANIN_INLINE void turn_quarters(Vec<double> n, Vec<double>& sine, Vec<double>& cosine) {
  const __m512i q = _mm512_castpd_si512(n.v), one = _mm512_set1_epi64(1);
  const __m512i sign = _mm512_set1_epi64(INT64_MIN);
  const __mmask8 odd = _mm512_test_epi64_mask(q, one);
  const __m512i s = _mm512_castpd_si512(_mm512_mask_blend_pd(odd, sine.v, cosine.v));
  const __m512i c = _mm512_castpd_si512(_mm512_mask_blend_pd(odd, cosine.v, sine.v));
  const __m512i next = _mm512_add_epi64(q, one);
  sine.v = _mm512_castsi512_pd(xor_and(s, _mm512_slli_epi64(q, 62), sign));
  cosine.v = _mm512_castsi512_pd(xor_and(c, _mm512_slli_epi64(next, 62), sign));
}

FANIN_INLINE float sum(Vec<float> a) {
  const __m256 a8 = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 a4 = _mm_add_ps(_mm256_castps256_ps128(a8), _mm256_extractf128_ps(a8, 1));
  const __m128 a2 = _mm_add_ps(a4, _mm_movehl_ps(a4, a4));
  return _mm_cvtss_f32(_mm_add_ss(a2, _mm_shuffle_ps(a2, a2, 1)));
}
FANIN_INLINE double sum(Vec<double> a) {
  const __m256d a4 = _mm256_add_pd(_mm512_castpd512_pd256(a.v), _mm512_extractf64x4_pd(a.v, 1));
  const __m128d a2 = _mm_add_pd(_mm256_castpd256_pd128(a4), _mm256_extractf128_pd(a4, 1));
  return _mm_cvtsd_f64(_mm_add_sd(a2, _mm_unpackhi_pd(a2, a2)));
}
FANIN_INLINE float maximum(Vec<float> a) {
  const __m256 a8 = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 a4 = _mm_max_ps(_mm256_castps256_ps128(a8), _mm256_extractf128_ps(a8, 1));
  const __m128 a2 = _mm_max_ps(a4, _mm_movehl_ps(a4, a4));
  return _mm_cvtss_f32(_mm_max_ss(a2, _mm_shuffle_ps(a2, a2, 1)));
}
FANIN_INLINE double maximum(Vec<double> a) {
  const __m256d a4 = _mm256_max_pd(_mm512_castpd512_pd256(a.v), _mm512_extractf64x4_pd(a.v, 1));
  const __m128d a2 = _mm_max_pd(_mm256_castpd256_pd128(a4), _mm256_extractf128_pd(a4, 1));
  return _mm_cvtsd_f64(_mm_max_sd(a2, _mm_unpackhi_pd(a2, a2)));
}

}  // namespace fanin::FANIN_ISA
