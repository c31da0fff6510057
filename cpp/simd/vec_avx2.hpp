#pragma once
// AVX2 with FMA: a Vec is two registers. The contract is vec_scalar.hpp's.
//                 latency / per cycle on   Skylake    Zen 4
//   vfmadd (ymm)                           4 / 2      4 / 2
//   vdivps ymm                             11 / 0.2   11 / 0.2
//   vpmuludq ymm                           5 / 2      3 / 2
#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "core/view.hpp"

namespace fanin::FANIN_ISA {

template <class T>
inline constexpr int lanes = static_cast<int>(64 / sizeof(T));
inline constexpr int register_bytes = 32;

/// Vecs of a row of a product's tile, and of one that is a row alone: 6 rows x 1 are 12 of the 16
/// registers.
inline constexpr int panel_vecs = 1, single_row_vecs = 4;

template <class T>
struct Mask;
template <>
struct Mask<float> {
  __m256 lo, hi;
};
template <>
struct Mask<double> {
  __m256d lo, hi;
};

/// All bits set in lanes first, first + 1, ... that are below n.
FANIN_INLINE __m256i low8(int n, int first) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n - first), _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0));
}
FANIN_INLINE __m256i low4(int n, int first) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n - first), _mm256_set_epi64x(3, 2, 1, 0));
}
FANIN_INLINE __m128i low4_words(int n, int first) {
  return _mm_cmpgt_epi32(_mm_set1_epi32(n - first), _mm_set_epi32(3, 2, 1, 0));
}
/// The first n bytes from p, zero in the rest; there is no masked load of bytes.
FANIN_INLINE __m128i load_bytes(const std::uint8_t* p, int n) {
  alignas(16) std::uint8_t bytes[16] = {};
  for (int i = 0; i < n; ++i) bytes[i] = p[i];
  return _mm_load_si128(reinterpret_cast<const __m128i*>(bytes));
}

/// Sixteen unsigned 32-bit words.
struct U32 {
  __m256i lo, hi;

  static FANIN_INLINE U32 set(std::uint32_t x) {
    const __m256i v = _mm256_set1_epi32(static_cast<int>(x));
    return {v, v};
  }
  static FANIN_INLINE U32 load(const std::uint32_t* p) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
            _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 8))};
  }
  FANIN_INLINE void store(std::uint32_t* p) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), lo);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), hi);
  }
  static FANIN_INLINE U32 iota(std::uint32_t first) {
    const __m256i x = _mm256_set1_epi32(static_cast<int>(first));
    return {_mm256_add_epi32(x, _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0)),
            _mm256_add_epi32(x, _mm256_set_epi32(15, 14, 13, 12, 11, 10, 9, 8))};
  }
};

FANIN_INLINE U32 operator^(U32 a, U32 b) {
  return {_mm256_xor_si256(a.lo, b.lo), _mm256_xor_si256(a.hi, b.hi)};
}

/// The even and the odd words in the lower halves of 64-bit lanes, where vpmuludq takes them; the
/// upper halves hold anything.
struct Spread {
  U32 even, odd;

  static FANIN_INLINE Spread set(std::uint32_t x) { return {U32::set(x), U32::set(x)}; }
  static FANIN_INLINE Spread iota(std::uint32_t first) {
    const U32 all = U32::iota(first);
    return {all, {_mm256_srli_epi64(all.lo, 32), _mm256_srli_epi64(all.hi, 32)}};
  }
};
FANIN_INLINE Spread operator^(Spread a, Spread b) { return {a.even ^ b.even, a.odd ^ b.odd}; }
FANIN_INLINE void multiply_even(U32 a, __m256i factor, U32& high, U32& low) {
  low = {_mm256_mul_epu32(a.lo, factor), _mm256_mul_epu32(a.hi, factor)};
  high = {_mm256_srli_epi64(low.lo, 32), _mm256_srli_epi64(low.hi, 32)};
}
FANIN_INLINE void multiply_wide(Spread a, std::uint32_t m, Spread& high, Spread& low) {
  const __m256i factor = _mm256_set1_epi32(static_cast<int>(m));
  multiply_even(a.even, factor, high.even, low.even);
  multiply_even(a.odd, factor, high.odd, low.odd);
}
FANIN_INLINE U32 packed(Spread a) {
  return {_mm256_blend_epi32(a.even.lo, _mm256_slli_epi64(a.odd.lo, 32), 0xaa),
          _mm256_blend_epi32(a.even.hi, _mm256_slli_epi64(a.odd.hi, 32), 0xaa)};
}
template <int n>
FANIN_INLINE U32 shift_right(U32 a) {
  return {_mm256_srli_epi32(a.lo, n), _mm256_srli_epi32(a.hi, n)};
}
/// Words `8 part` .. of u.
FANIN_INLINE __m256i half_of(U32 u, int part) { return part == 0 ? u.lo : u.hi; }

/// Unsigned words as floats, rounded once: the upper and lower 16 bits are exact.
FANIN_INLINE __m256 to_float(__m256i u) {
  const __m256 upper = _mm256_cvtepi32_ps(_mm256_srli_epi32(u, 16));
  const __m256 lower = _mm256_cvtepi32_ps(_mm256_and_si256(u, _mm256_set1_epi32(0xffff)));
  return _mm256_fmadd_ps(upper, _mm256_set1_ps(65536.0f), lower);
}
/// Unsigned words as doubles, exact: the signed conversion of u - 2^31, and 2^31 back.
FANIN_INLINE __m256d to_double(__m128i u) {
  const __m128i centred = _mm_xor_si128(u, _mm_set1_epi32(INT32_MIN));
  return _mm256_add_pd(_mm256_cvtepi32_pd(centred), _mm256_set1_pd(2147483648.0));
}

template <class T>
struct Vec;

template <>
struct Vec<float> {
  __m256 lo, hi;

  static FANIN_INLINE Vec zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static FANIN_INLINE Vec set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static FANIN_INLINE Vec load(const float* p) {
    return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
  }
  static FANIN_INLINE Vec load(const float* p, int n) {
    return {_mm256_maskload_ps(p, low8(n, 0)), _mm256_maskload_ps(p + 8, low8(n, 8))};
  }
  FANIN_INLINE void store(float* p) const {
    _mm256_storeu_ps(p, lo);
    _mm256_storeu_ps(p + 8, hi);
  }
  FANIN_INLINE void store(float* p, int n) const {
    _mm256_maskstore_ps(p, low8(n, 0), lo);
    _mm256_maskstore_ps(p + 8, low8(n, 8), hi);
  }

  static FANIN_INLINE Vec convert(const float* p) { return load(p); }
  static FANIN_INLINE Vec convert(const float* p, int n) { return load(p, n); }
  static FANIN_INLINE Vec convert(const std::uint8_t* p) {
    return from_bytes(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static FANIN_INLINE Vec convert(const std::uint8_t* p, int n) {
    return from_bytes(load_bytes(p, n));
  }
  static FANIN_INLINE Vec convert(const double* p) {
    return {join(_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)),
            join(_mm256_loadu_pd(p + 8), _mm256_loadu_pd(p + 12))};
  }
  static FANIN_INLINE Vec convert(const double* p, int n) {
    return {join(_mm256_maskload_pd(p, low4(n, 0)), _mm256_maskload_pd(p + 4, low4(n, 4))),
            join(_mm256_maskload_pd(p + 8, low4(n, 8)), _mm256_maskload_pd(p + 12, low4(n, 12)))};
  }
  static FANIN_INLINE Vec from_u32(U32 u, int = 0) { return {to_float(u.lo), to_float(u.hi)}; }

 private:
  static FANIN_INLINE __m256 join(__m256d low, __m256d high) {
    return _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low));
  }
  static FANIN_INLINE Vec from_bytes(__m128i bytes) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
            _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
  }
};

template <>
struct Vec<double> {
  __m256d lo, hi;

  static FANIN_INLINE Vec zero() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
  static FANIN_INLINE Vec set(double x) { return {_mm256_set1_pd(x), _mm256_set1_pd(x)}; }
  static FANIN_INLINE Vec load(const double* p) {
    return {_mm256_loadu_pd(p), _mm256_loadu_pd(p + 4)};
  }
  static FANIN_INLINE Vec load(const double* p, int n) {
    return {_mm256_maskload_pd(p, low4(n, 0)), _mm256_maskload_pd(p + 4, low4(n, 4))};
  }
  FANIN_INLINE void store(double* p) const {
    _mm256_storeu_pd(p, lo);
    _mm256_storeu_pd(p + 4, hi);
  }
  FANIN_INLINE void store(double* p, int n) const {
    _mm256_maskstore_pd(p, low4(n, 0), lo);
    _mm256_maskstore_pd(p + 4, low4(n, 4), hi);
  }

  static FANIN_INLINE Vec convert(const double* p) { return load(p); }
  static FANIN_INLINE Vec convert(const double* p, int n) { return load(p, n); }
  static FANIN_INLINE Vec convert(const float* p) {
    return {_mm256_cvtps_pd(_mm_loadu_ps(p)), _mm256_cvtps_pd(_mm_loadu_ps(p + 4))};
  }
  static FANIN_INLINE Vec convert(const float* p, int n) {
    return {_mm256_cvtps_pd(_mm_maskload_ps(p, low4_words(n, 0))),
            _mm256_cvtps_pd(_mm_maskload_ps(p + 4, low4_words(n, 4)))};
  }
  static FANIN_INLINE Vec convert(const std::uint8_t* p) {
    return from_bytes(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static FANIN_INLINE Vec convert(const std::uint8_t* p, int n) {
    return from_bytes(load_bytes(p, n));
  }
  static FANIN_INLINE Vec from_u32(U32 u, int part = 0) {
    const __m256i words = half_of(u, part);
    return {to_double(_mm256_castsi256_si128(words)),
            to_double(_mm256_extracti128_si256(words, 1))};
  }

 private:
  static FANIN_INLINE Vec from_bytes(__m128i bytes) {
    return {_mm256_cvtepi32_pd(_mm_cvtepu8_epi32(bytes)),
            _mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_srli_si128(bytes, 4)))};
  }
};

// One line for float and one for double of each operation on both halves.
#define FANIN_UNARY(name, f, d)                                             \
  FANIN_INLINE Vec<float> name(Vec<float> a) { return {f(a.lo), f(a.hi)}; } \
  FANIN_INLINE Vec<double> name(Vec<double> a) { return {d(a.lo), d(a.hi)}; }
#define FANIN_BINARY(name, f, d)                                \
  FANIN_INLINE Vec<float> name(Vec<float> a, Vec<float> b) {    \
    return {f(a.lo, b.lo), f(a.hi, b.hi)};                      \
  }                                                             \
  FANIN_INLINE Vec<double> name(Vec<double> a, Vec<double> b) { \
    return {d(a.lo, b.lo), d(a.hi, b.hi)};                      \
  }
#define FANIN_TERNARY(name, f, d)                                              \
  FANIN_INLINE Vec<float> name(Vec<float> a, Vec<float> b, Vec<float> c) {     \
    return {f(a.lo, b.lo, c.lo), f(a.hi, b.hi, c.hi)};                         \
  }                                                                            \
  FANIN_INLINE Vec<double> name(Vec<double> a, Vec<double> b, Vec<double> c) { \
    return {d(a.lo, b.lo, c.lo), d(a.hi, b.hi, c.hi)};                         \
  }
#define FANIN_COMPARE(name, predicate)                                                   \
  FANIN_INLINE Mask<float> name(Vec<float> a, Vec<float> b) {                            \
    return {_mm256_cmp_ps(a.lo, b.lo, predicate), _mm256_cmp_ps(a.hi, b.hi, predicate)}; \
  }                                                                                      \
  FANIN_INLINE Mask<double> name(Vec<double> a, Vec<double> b) {                         \
    return {_mm256_cmp_pd(a.lo, b.lo, predicate), _mm256_cmp_pd(a.hi, b.hi, predicate)}; \
  }
FANIN_BINARY(operator+, _mm256_add_ps, _mm256_add_pd)
FANIN_BINARY(operator-, _mm256_sub_ps, _mm256_sub_pd)
FANIN_BINARY(operator*, _mm256_mul_ps, _mm256_mul_pd)
FANIN_BINARY(operator/, _mm256_div_ps, _mm256_div_pd)
template <class T>
FANIN_INLINE Vec<T> quotient(Vec<T> a, Vec<T> b, Vec<T>) {
  return a / b;
}
FANIN_TERNARY(fma, _mm256_fmadd_ps, _mm256_fmadd_pd)
FANIN_TERNARY(fnma, _mm256_fnmadd_ps, _mm256_fnmadd_pd)
FANIN_UNARY(sqrt, _mm256_sqrt_ps, _mm256_sqrt_pd)
FANIN_BINARY(max, _mm256_max_ps, _mm256_max_pd)
FANIN_BINARY(min, _mm256_min_ps, _mm256_min_pd)
FANIN_COMPARE(operator<, _CMP_LT_OQ)
FANIN_COMPARE(operator>, _CMP_GT_OQ)
FANIN_COMPARE(operator==, _CMP_EQ_OQ)
#undef FANIN_UNARY
#undef FANIN_BINARY
#undef FANIN_TERNARY
#undef FANIN_COMPARE

FANIN_INLINE Vec<float> abs(Vec<float> a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
FANIN_INLINE Vec<double> abs(Vec<double> a) {
  const __m256d sign = _mm256_set1_pd(-0.0);
  return {_mm256_andnot_pd(sign, a.lo), _mm256_andnot_pd(sign, a.hi)};
}
FANIN_INLINE Vec<float> copysign(Vec<float> a, Vec<float> b) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  const Vec<float> size = abs(a);
  return {_mm256_or_ps(size.lo, _mm256_and_ps(sign, b.lo)),
          _mm256_or_ps(size.hi, _mm256_and_ps(sign, b.hi))};
}
FANIN_INLINE Vec<double> copysign(Vec<double> a, Vec<double> b) {
  const __m256d sign = _mm256_set1_pd(-0.0);
  const Vec<double> size = abs(a);
  return {_mm256_or_pd(size.lo, _mm256_and_pd(sign, b.lo)),
          _mm256_or_pd(size.hi, _mm256_and_pd(sign, b.hi))};
}
FANIN_INLINE Vec<float> select(Mask<float> m, Vec<float> a, Vec<float> b) {
  return {_mm256_blendv_ps(b.lo, a.lo, m.lo), _mm256_blendv_ps(b.hi, a.hi, m.hi)};
}
FANIN_INLINE Vec<double> select(Mask<double> m, Vec<double> a, Vec<double> b) {
  return {_mm256_blendv_pd(b.lo, a.lo, m.lo), _mm256_blendv_pd(b.hi, a.hi, m.hi)};
}

template <class T>
FANIN_INLINE Mask<T> first_lanes(int n) {
  if constexpr (sizeof(T) == 4) {
    return {_mm256_castsi256_ps(low8(n, 0)), _mm256_castsi256_ps(low8(n, 8))};
  } else {
    return {_mm256_castsi256_pd(low4(n, 0)), _mm256_castsi256_pd(low4(n, 4))};
  }
}
/// Words of u below x; the comparison is signed, hence the flipped top bits.
FANIN_INLINE __m256i words_below(__m256i u, std::uint32_t x) {
  const __m256i limit = _mm256_set1_epi32(static_cast<int>(x ^ 0x80000000u));
  return _mm256_cmpgt_epi32(limit, _mm256_xor_si256(u, _mm256_set1_epi32(INT32_MIN)));
}
template <class T>
FANIN_INLINE Mask<T> below(U32 u, std::uint32_t threshold, int part = 0) {
  if constexpr (sizeof(T) == 4) {
    return {_mm256_castsi256_ps(words_below(u.lo, threshold)),
            _mm256_castsi256_ps(words_below(u.hi, threshold))};
  } else {
    const __m256i m = words_below(half_of(u, part), threshold);
    return {_mm256_castsi256_pd(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(m))),
            _mm256_castsi256_pd(_mm256_cvtepi32_epi64(_mm256_extracti128_si256(m, 1)))};
  }
}

template <class T>
FANIN_INLINE Vec<T> round_even(Vec<T> a) {
  const Vec<T> magic = Vec<T>::set(sizeof(T) == 4 ? T(12582912.0) : T(6755399441055744.0));
  return (a + magic) - magic;
}
FANIN_INLINE __m256 scale_by_power(__m256 a, __m256 n) {
  const __m256i shift = _mm256_slli_epi32(_mm256_cvttps_epi32(n), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), shift));
}
FANIN_INLINE __m256d scale_by_power(__m256d a, __m256d n) {
  const __m256i shift = _mm256_slli_epi64(_mm256_cvtepi32_epi64(_mm256_cvttpd_epi32(n)), 52);
  return _mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(a), shift));
}
template <class T>
FANIN_INLINE Vec<T> scale_by_power(Vec<T> a, Vec<T> n) {
  return {scale_by_power(a.lo, n.lo), scale_by_power(a.hi, n.hi)};
}
FANIN_INLINE __m256 round_to_bf16(__m256 a) {
  const __m256i bits = _mm256_castps_si256(a), one = _mm256_set1_epi32(1);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), one);
  const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x00400000));
  const __m256i exponent = _mm256_set1_epi32(0x7f800000), sign = _mm256_set1_epi32(INT32_MIN);
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
  const __m256i small =
      _mm256_cmpeq_epi32(_mm256_and_si256(bits, exponent), _mm256_setzero_si256());
  __m256i r = _mm256_blendv_epi8(up, quiet, nan);
  r = _mm256_and_si256(r, _mm256_set1_epi32(-0x00010000));
  return _mm256_castsi256_ps(_mm256_blendv_epi8(r, _mm256_and_si256(bits, sign), small));
}
FANIN_INLINE Vec<float> round_to_bf16(Vec<float> a) {
  return {round_to_bf16(a.lo), round_to_bf16(a.hi)};
}
FANIN_INLINE __m256 split_exponent(__m256 a, __m256& exponent) {
  const __m256i bits = _mm256_castps_si256(a);
  const __m256i above = _mm256_sub_epi32(bits, _mm256_set1_epi32(0x3f3504f4));
  exponent = _mm256_cvtepi32_ps(_mm256_srai_epi32(above, 23));
  const __m256i power = _mm256_and_si256(above, _mm256_set1_epi32(-0x00800000));
  return _mm256_castsi256_ps(_mm256_sub_epi32(bits, power));
}
/// The exponent becomes a number as the low bits of 2^52 + exponent.
FANIN_INLINE __m256d split_exponent(__m256d a, __m256d& exponent) {
  const __m256i one = _mm256_set1_epi64x(0x3ff0000000000000);
  const __m256i bits = _mm256_castpd_si256(a);
  const __m256i above =
      _mm256_add_epi64(bits, _mm256_set1_epi64x(0x3ff0000000000000 - 0x3fe6a09e667f3bce));
  const __m256i shifted =
      _mm256_or_si256(_mm256_srli_epi64(above, 52), _mm256_set1_epi64x(0x4330000000000000));
  exponent = _mm256_sub_pd(_mm256_castsi256_pd(shifted), _mm256_set1_pd(0x1p52 + 1023.0));
  const __m256i power = _mm256_and_si256(above, _mm256_set1_epi64x(-0x0010000000000000));
  return _mm256_castsi256_pd(_mm256_sub_epi64(_mm256_add_epi64(bits, one), power));
}
template <class T>
FANIN_INLINE Vec<T> split_exponent(Vec<T> a, Vec<T>& exponent) {
  return {split_exponent(a.lo, exponent.lo), split_exponent(a.hi, exponent.hi)};
}

FANIN_INLINE void turn_quarters(__m256 n, __m256& sine, __m256& cosine) {
  const __m256i q = _mm256_castps_si256(n);
  const __m256 sign = _mm256_set1_ps(-0.0f);
  const __m256 odd = _mm256_castsi256_ps(_mm256_slli_epi32(q, 31));
  const __m256 s = _mm256_blendv_ps(sine, cosine, odd), c = _mm256_blendv_ps(cosine, sine, odd);
  const __m256i next = _mm256_add_epi32(q, _mm256_set1_epi32(1));
  sine = _mm256_xor_ps(s, _mm256_and_ps(_mm256_castsi256_ps(_mm256_slli_epi32(q, 30)), sign));
  cosine = _mm256_xor_ps(c, _mm256_and_ps(_mm256_castsi256_ps(_mm256_slli_epi32(next, 30)), sign));
}
FANIN_INLINE void turn_quarters(__m256d n, __m256d& sine, __m256d& cosine) {
  const __m256i q = _mm256_castpd_si256(n);
  const __m256d sign = _mm256_set1_pd(-0.0);
  const __m256d odd = _mm256_castsi256_pd(_mm256_slli_epi64(q, 63));
  const __m256d s = _mm256_blendv_pd(sine, cosine, odd), c = _mm256_blendv_pd(cosine, sine, odd);
  const __m256i next = _mm256_add_epi64(q, _mm256_set1_epi64x(1));
  sine = _mm256_xor_pd(s, _mm256_and_pd(_mm256_castsi256_pd(_mm256_slli_epi64(q, 62)), sign));
  cosine = _mm256_xor_pd(c, _mm256_and_pd(_mm256_castsi256_pd(_mm256_slli_epi64(next, 62)), sign));
}
template <class T>
FANIN_INLINE void turn_quarters(Vec<T> n, Vec<T>& sine, Vec<T>& cosine) {
  turn_quarters(n.lo, sine.lo, cosine.lo);
  turn_quarters(n.hi, sine.hi, cosine.hi);
}

FANIN_INLINE float sum(Vec<float> a) {
  const __m256 a8 = _mm256_add_ps(a.lo, a.hi);
  const __m128 a4 = _mm_add_ps(_mm256_castps256_ps128(a8), _mm256_extractf128_ps(a8, 1));
  const __m128 a2 = _mm_add_ps(a4, _mm_movehl_ps(a4, a4));
  return _mm_cvtss_f32(_mm_add_ss(a2, _mm_shuffle_ps(a2, a2, 1)));
}
FANIN_INLINE double sum(Vec<double> a) {
  const __m256d a4 = _mm256_add_pd(a.lo, a.hi);
  const __m128d a2 = _mm_add_pd(_mm256_castpd256_pd128(a4), _mm256_extractf128_pd(a4, 1));
  return _mm_cvtsd_f64(_mm_add_sd(a2, _mm_unpackhi_pd(a2, a2)));
}
FANIN_INLINE float maximum(Vec<float> a) {
  const __m256 a8 = _mm256_max_ps(a.lo, a.hi);
  const __m128 a4 = _mm_max_ps(_mm256_castps256_ps128(a8), _mm256_extractf128_ps(a8, 1));
  const __m128 a2 = _mm_max_ps(a4, _mm_movehl_ps(a4, a4));
  return _mm_cvtss_f32(_mm_max_ss(a2, _mm_shuffle_ps(a2, a2, 1)));
}
FANIN_INLINE double maximum(Vec<double> a) {
  const __m256d a4 = _mm256_max_pd(a.lo, a.hi);
  const __m128d a2 = _mm_max_pd(_mm256_castpd256_pd128(a4), _mm256_extractf128_pd(a4, 1));
  return _mm_cvtsd_f64(_mm_max_sd(a2, _mm_unpackhi_pd(a2, a2)));
}

}  // namespace fanin::FANIN_ISA
