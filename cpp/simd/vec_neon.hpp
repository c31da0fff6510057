#pragma once
// NEON (AArch64): a Vec is four registers. The contract is vec_scalar.hpp's.
// Partial stores and conversions go by way of memory, since there are no masked ones; max and min
// are selects, since vmaxq has other rules for NaN.
// While denormals are flushed, two things differ from x86: a result that rounds up to the smallest
// normal number is 0 here, and max and min give a denormal operand back as it is.
#include <arm_neon.h>

#include <cstring>

#include "core/view.hpp"

namespace fanin::FANIN_ISA {

template <class T>
inline constexpr int lanes = static_cast<int>(64 / sizeof(T));
inline constexpr int register_bytes = 16;

/// Vecs of a row of a product's tile, and of one that is a row alone: 6 rows x 1 are 24 of the 32
/// registers.
inline constexpr int panel_vecs = 1, single_row_vecs = 2;

template <class T>
struct Mask;
template <>
struct Mask<float> {
  uint32x4_t v[4];
};
template <>
struct Mask<double> {
  uint64x2_t v[4];
};

/// Sixteen unsigned 32-bit words.
struct U32 {
  uint32x4_t v[4];

  static FANIN_INLINE U32 set(std::uint32_t x) {
    const uint32x4_t all = vdupq_n_u32(x);
    return {{all, all, all, all}};
  }
  static FANIN_INLINE U32 load(const std::uint32_t* p) {
    return {{vld1q_u32(p), vld1q_u32(p + 4), vld1q_u32(p + 8), vld1q_u32(p + 12)}};
  }
  FANIN_INLINE void store(std::uint32_t* p) const {
    for (int i = 0; i < 4; ++i) vst1q_u32(p + 4 * i, v[i]);
  }
  static FANIN_INLINE U32 iota(std::uint32_t first) {
    const std::uint32_t steps[4] = {0, 1, 2, 3};
    const uint32x4_t step = vld1q_u32(steps);
    U32 r;
    for (int i = 0; i < 4; ++i) {
      r.v[i] = vaddq_u32(vdupq_n_u32(first + 4 * static_cast<std::uint32_t>(i)), step);
    }
    return r;
  }
};

FANIN_INLINE U32 operator^(U32 a, U32 b) {
  for (int i = 0; i < 4; ++i) a.v[i] = veorq_u32(a.v[i], b.v[i]);
  return a;
}
FANIN_INLINE void multiply_wide(U32 a, std::uint32_t m, U32& high, U32& low) {
  const uint32x4_t factor = vdupq_n_u32(m);
  for (int i = 0; i < 4; ++i) {
    const uint32x4_t first =
        vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a.v[i]), vget_low_u32(factor)));
    const uint32x4_t second = vreinterpretq_u32_u64(vmull_high_u32(a.v[i], factor));
    high.v[i] = vuzp2q_u32(first, second);
    low.v[i] = vuzp1q_u32(first, second);
  }
}
using Spread = U32;
FANIN_INLINE U32 packed(Spread a) { return a; }
template <int n>
FANIN_INLINE U32 shift_right(U32 a) {
  for (int i = 0; i < 4; ++i) a.v[i] = vshrq_n_u32(a.v[i], n);
  return a;
}

template <class T>
struct Vec;

template <>
struct Vec<float> {
  float32x4_t v[4];

  static FANIN_INLINE Vec zero() { return set(0.0f); }
  static FANIN_INLINE Vec set(float x) {
    const float32x4_t all = vdupq_n_f32(x);
    return {{all, all, all, all}};
  }
  static FANIN_INLINE Vec load(const float* p) {
    return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
  }
  static FANIN_INLINE Vec load(const float* p, int n) {  // no memcpy: a call would spill a tile
    Vec r = zero();
    for (int i = 0; i < 4; ++i) {
      const float* from = p + 4 * i;
      const int left = n - 4 * i;
      if (left >= 4) {
        r.v[i] = vld1q_f32(from);
      } else {
        if (left > 0) r.v[i] = vld1q_lane_f32(from, r.v[i], 0);
        if (left > 1) r.v[i] = vld1q_lane_f32(from + 1, r.v[i], 1);
        if (left > 2) r.v[i] = vld1q_lane_f32(from + 2, r.v[i], 2);
      }
    }
    return r;
  }
  FANIN_INLINE void store(float* p) const {
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, v[i]);
  }
  FANIN_INLINE void store(float* p, int n) const {
    float all[16];
    store(all);
    std::memcpy(p, all, static_cast<std::size_t>(n) * sizeof(float));
  }

  static FANIN_INLINE Vec convert(const float* p) { return load(p); }
  static FANIN_INLINE Vec convert(const std::uint8_t* p) {
    const uint8x16_t bytes = vld1q_u8(p);
    const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
    return {{vcvtq_f32_u32(vmovl_u16(vget_low_u16(low))), vcvtq_f32_u32(vmovl_high_u16(low)),
             vcvtq_f32_u32(vmovl_u16(vget_low_u16(high))), vcvtq_f32_u32(vmovl_high_u16(high))}};
  }
  static FANIN_INLINE Vec convert(const double* p) {
    Vec r;
    for (int i = 0; i < 4; ++i) {
      r.v[i] = vcvt_high_f32_f64(vcvt_f32_f64(vld1q_f64(p + 4 * i)), vld1q_f64(p + 4 * i + 2));
    }
    return r;
  }
  template <class S>
  static FANIN_INLINE Vec convert(const S* p, int n) {
    S all[16] = {};
    std::memcpy(all, p, static_cast<std::size_t>(n) * sizeof(S));
    return convert(all);
  }
  static FANIN_INLINE Vec from_u32(U32 u, int = 0) {
    Vec r;
    for (int i = 0; i < 4; ++i) r.v[i] = vcvtq_f32_u32(u.v[i]);
    return r;
  }
};

template <>
struct Vec<double> {
  float64x2_t v[4];

  static FANIN_INLINE Vec zero() { return set(0.0); }
  static FANIN_INLINE Vec set(double x) {
    const float64x2_t all = vdupq_n_f64(x);
    return {{all, all, all, all}};
  }
  static FANIN_INLINE Vec load(const double* p) {
    return {{vld1q_f64(p), vld1q_f64(p + 2), vld1q_f64(p + 4), vld1q_f64(p + 6)}};
  }
  static FANIN_INLINE Vec load(const double* p, int n) {
    Vec r = zero();
    for (int i = 0; i < 4; ++i) {
      const int left = n - 2 * i;
      if (left >= 2) {
        r.v[i] = vld1q_f64(p + 2 * i);
      } else if (left > 0) {
        r.v[i] = vld1q_lane_f64(p + 2 * i, r.v[i], 0);
      }
    }
    return r;
  }
  FANIN_INLINE void store(double* p) const {
    for (int i = 0; i < 4; ++i) vst1q_f64(p + 2 * i, v[i]);
  }
  FANIN_INLINE void store(double* p, int n) const {
    double all[8];
    store(all);
    std::memcpy(p, all, static_cast<std::size_t>(n) * sizeof(double));
  }

  static FANIN_INLINE Vec convert(const double* p) { return load(p); }
  static FANIN_INLINE Vec convert(const float* p) {
    const float32x4_t low = vld1q_f32(p), high = vld1q_f32(p + 4);
    return {{vcvt_f64_f32(vget_low_f32(low)), vcvt_high_f64_f32(low),
             vcvt_f64_f32(vget_low_f32(high)), vcvt_high_f64_f32(high)}};
  }
  static FANIN_INLINE Vec convert(const std::uint8_t* p) {
    const uint16x8_t words = vmovl_u8(vld1_u8(p));
    return from_words(vmovl_u16(vget_low_u16(words)), vmovl_high_u16(words));
  }
  template <class S>
  static FANIN_INLINE Vec convert(const S* p, int n) {
    S all[8] = {};
    std::memcpy(all, p, static_cast<std::size_t>(n) * sizeof(S));
    return convert(all);
  }
  static FANIN_INLINE Vec from_u32(U32 u, int part = 0) {
    return part == 0 ? from_words(u.v[0], u.v[1]) : from_words(u.v[2], u.v[3]);
  }

 private:
  static FANIN_INLINE Vec from_words(uint32x4_t low, uint32x4_t high) {
    return {{vcvtq_f64_u64(vmovl_u32(vget_low_u32(low))), vcvtq_f64_u64(vmovl_high_u32(low)),
             vcvtq_f64_u64(vmovl_u32(vget_low_u32(high))), vcvtq_f64_u64(vmovl_high_u32(high))}};
  }
};

// One function for float and one for double of each operation on the four parts.
#define FANIN_UNARY(name, f, d)                     \
  FANIN_INLINE Vec<float> name(Vec<float> a) {      \
    for (int i = 0; i < 4; ++i) a.v[i] = f(a.v[i]); \
    return a;                                       \
  }                                                 \
  FANIN_INLINE Vec<double> name(Vec<double> a) {    \
    for (int i = 0; i < 4; ++i) a.v[i] = d(a.v[i]); \
    return a;                                       \
  }
#define FANIN_BINARY(name, f, d)                                \
  FANIN_INLINE Vec<float> name(Vec<float> a, Vec<float> b) {    \
    for (int i = 0; i < 4; ++i) a.v[i] = f(a.v[i], b.v[i]);     \
    return a;                                                   \
  }                                                             \
  FANIN_INLINE Vec<double> name(Vec<double> a, Vec<double> b) { \
    for (int i = 0; i < 4; ++i) a.v[i] = d(a.v[i], b.v[i]);     \
    return a;                                                   \
  }
// The instructions add to or take from their first operand: c +- a * b.
#define FANIN_TERNARY(name, f, d)                                              \
  FANIN_INLINE Vec<float> name(Vec<float> a, Vec<float> b, Vec<float> c) {     \
    for (int i = 0; i < 4; ++i) c.v[i] = f(c.v[i], a.v[i], b.v[i]);            \
    return c;                                                                  \
  }                                                                            \
  FANIN_INLINE Vec<double> name(Vec<double> a, Vec<double> b, Vec<double> c) { \
    for (int i = 0; i < 4; ++i) c.v[i] = d(c.v[i], a.v[i], b.v[i]);            \
    return c;                                                                  \
  }
#define FANIN_COMPARE(name, f, d)                                \
  FANIN_INLINE Mask<float> name(Vec<float> a, Vec<float> b) {    \
    Mask<float> m;                                               \
    for (int i = 0; i < 4; ++i) m.v[i] = f(a.v[i], b.v[i]);      \
    return m;                                                    \
  }                                                              \
  FANIN_INLINE Mask<double> name(Vec<double> a, Vec<double> b) { \
    Mask<double> m;                                              \
    for (int i = 0; i < 4; ++i) m.v[i] = d(a.v[i], b.v[i]);      \
    return m;                                                    \
  }
FANIN_INLINE float32x4_t larger(float32x4_t a, float32x4_t b) {
  return vbslq_f32(vcgtq_f32(a, b), a, b);
}
FANIN_INLINE float64x2_t larger(float64x2_t a, float64x2_t b) {
  return vbslq_f64(vcgtq_f64(a, b), a, b);
}
FANIN_INLINE float32x4_t smaller(float32x4_t a, float32x4_t b) {
  return vbslq_f32(vcltq_f32(a, b), a, b);
}
FANIN_INLINE float64x2_t smaller(float64x2_t a, float64x2_t b) {
  return vbslq_f64(vcltq_f64(a, b), a, b);
}
FANIN_INLINE float32x4_t with_sign(float32x4_t a, float32x4_t b) {
  return vbslq_f32(vdupq_n_u32(0x80000000u), b, a);
}
FANIN_INLINE float64x2_t with_sign(float64x2_t a, float64x2_t b) {
  return vbslq_f64(vdupq_n_u64(0x8000000000000000u), b, a);
}
FANIN_BINARY(operator+, vaddq_f32, vaddq_f64)
FANIN_BINARY(operator-, vsubq_f32, vsubq_f64)
FANIN_BINARY(operator*, vmulq_f32, vmulq_f64)
FANIN_BINARY(operator/, vdivq_f32, vdivq_f64)
template <class T>
FANIN_INLINE Vec<T> quotient(Vec<T> a, Vec<T> b, Vec<T>) {
  return a / b;
}
FANIN_TERNARY(fma, vfmaq_f32, vfmaq_f64)
FANIN_TERNARY(fnma, vfmsq_f32, vfmsq_f64)
FANIN_UNARY(sqrt, vsqrtq_f32, vsqrtq_f64)
FANIN_UNARY(abs, vabsq_f32, vabsq_f64)
FANIN_BINARY(max, larger, larger)
FANIN_BINARY(min, smaller, smaller)
FANIN_BINARY(copysign, with_sign, with_sign)
FANIN_COMPARE(operator<, vcltq_f32, vcltq_f64)
FANIN_COMPARE(operator>, vcgtq_f32, vcgtq_f64)
FANIN_COMPARE(operator==, vceqq_f32, vceqq_f64)
#undef FANIN_UNARY
#undef FANIN_BINARY
#undef FANIN_TERNARY
#undef FANIN_COMPARE

FANIN_INLINE Vec<float> select(Mask<float> m, Vec<float> a, Vec<float> b) {
  for (int i = 0; i < 4; ++i) a.v[i] = vbslq_f32(m.v[i], a.v[i], b.v[i]);
  return a;
}
FANIN_INLINE Vec<double> select(Mask<double> m, Vec<double> a, Vec<double> b) {
  for (int i = 0; i < 4; ++i) a.v[i] = vbslq_f64(m.v[i], a.v[i], b.v[i]);
  return a;
}

/// Words `part * lanes` .. of u below the threshold.
template <class T>
FANIN_INLINE Mask<T> below(U32 u, std::uint32_t threshold, int part = 0) {
  const uint32x4_t limit = vdupq_n_u32(threshold);
  Mask<T> m;
  if constexpr (sizeof(T) == 4) {
    for (int i = 0; i < 4; ++i) m.v[i] = vcltq_u32(u.v[i], limit);
  } else {
    for (int i = 0; i < 2; ++i) {
      const int32x4_t words = vreinterpretq_s32_u32(vcltq_u32(u.v[2 * part + i], limit));
      m.v[2 * i] = vreinterpretq_u64_s64(vmovl_s32(vget_low_s32(words)));
      m.v[2 * i + 1] = vreinterpretq_u64_s64(vmovl_high_s32(words));
    }
  }
  return m;
}
template <class T>
FANIN_INLINE Mask<T> first_lanes(int n) {
  return below<T>(U32::iota(0), static_cast<std::uint32_t>(n));
}

template <class T>
FANIN_INLINE Vec<T> round_even(Vec<T> a) {
  const Vec<T> magic = Vec<T>::set(sizeof(T) == 4 ? T(12582912.0) : T(6755399441055744.0));
  return (a + magic) - magic;
}
FANIN_INLINE Vec<float> scale_by_power(Vec<float> a, Vec<float> n) {
  for (int i = 0; i < 4; ++i) {
    const int32x4_t shift = vshlq_n_s32(vcvtq_s32_f32(n.v[i]), 23);
    a.v[i] = vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(a.v[i]), shift));
  }
  return a;
}
FANIN_INLINE Vec<double> scale_by_power(Vec<double> a, Vec<double> n) {
  for (int i = 0; i < 4; ++i) {
    const int64x2_t shift = vshlq_n_s64(vcvtq_s64_f64(n.v[i]), 52);
    a.v[i] = vreinterpretq_f64_s64(vaddq_s64(vreinterpretq_s64_f64(a.v[i]), shift));
  }
  return a;
}
FANIN_INLINE Vec<float> round_to_bf16(Vec<float> a) {
  const uint32x4_t size = vdupq_n_u32(0x7fffffffu), infinity = vdupq_n_u32(0x7f800000u);
  for (int i = 0; i < 4; ++i) {
    const uint32x4_t bits = vreinterpretq_u32_f32(a.v[i]);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t up = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fffu)));
    const uint32x4_t nan = vcgtq_u32(vandq_u32(bits, size), infinity);
    const uint32x4_t small = vceqq_u32(vandq_u32(bits, infinity), vdupq_n_u32(0));
    uint32x4_t r = vbslq_u32(nan, vorrq_u32(bits, vdupq_n_u32(0x00400000u)), up);
    r = vandq_u32(r, vdupq_n_u32(0xffff0000u));
    r = vbslq_u32(small, vandq_u32(bits, vdupq_n_u32(0x80000000u)), r);
    a.v[i] = vreinterpretq_f32_u32(r);
  }
  return a;
}
FANIN_INLINE Vec<float> split_exponent(Vec<float> a, Vec<float>& exponent) {
  const uint32x4_t power = vdupq_n_u32(0xff800000u);
  for (int i = 0; i < 4; ++i) {
    const uint32x4_t bits = vreinterpretq_u32_f32(a.v[i]);
    const uint32x4_t above = vsubq_u32(bits, vdupq_n_u32(0x3f3504f4u));
    exponent.v[i] = vcvtq_f32_s32(vshrq_n_s32(vreinterpretq_s32_u32(above), 23));
    a.v[i] = vreinterpretq_f32_u32(vsubq_u32(bits, vandq_u32(above, power)));
  }
  return a;
}
FANIN_INLINE Vec<double> split_exponent(Vec<double> a, Vec<double>& exponent) {
  const uint64x2_t power = vdupq_n_u64(0xfff0000000000000u);
  for (int i = 0; i < 4; ++i) {
    const uint64x2_t bits = vreinterpretq_u64_f64(a.v[i]);
    const uint64x2_t above = vsubq_u64(bits, vdupq_n_u64(0x3fe6a09e667f3bceu));
    exponent.v[i] = vcvtq_f64_s64(vshrq_n_s64(vreinterpretq_s64_u64(above), 52));
    a.v[i] = vreinterpretq_f64_u64(vsubq_u64(bits, vandq_u64(above, power)));
  }
  return a;
}

FANIN_INLINE void turn_quarters(Vec<float> n, Vec<float>& sine, Vec<float>& cosine) {
  const uint32x4_t one = vdupq_n_u32(1), sign = vdupq_n_u32(0x80000000u);
  for (int i = 0; i < 4; ++i) {
    const uint32x4_t q = vreinterpretq_u32_f32(n.v[i]), odd = vtstq_u32(q, one);
    const uint32x4_t s = vreinterpretq_u32_f32(vbslq_f32(odd, cosine.v[i], sine.v[i]));
    const uint32x4_t c = vreinterpretq_u32_f32(vbslq_f32(odd, sine.v[i], cosine.v[i]));
    const uint32x4_t next = vaddq_u32(q, one);
    sine.v[i] = vreinterpretq_f32_u32(veorq_u32(s, vandq_u32(vshlq_n_u32(q, 30), sign)));
    cosine.v[i] = vreinterpretq_f32_u32(veorq_u32(c, vandq_u32(vshlq_n_u32(next, 30), sign)));
  }
}
FANIN_INLINE void turn_quarters(Vec<double> n, Vec<double>& sine, Vec<double>& cosine) {
  const uint64x2_t one = vdupq_n_u64(1), sign = vdupq_n_u64(0x8000000000000000u);
  for (int i = 0; i < 4; ++i) {
    const uint64x2_t q = vreinterpretq_u64_f64(n.v[i]), odd = vtstq_u64(q, one);
    const uint64x2_t s = vreinterpretq_u64_f64(vbslq_f64(odd, cosine.v[i], sine.v[i]));
    const uint64x2_t c = vreinterpretq_u64_f64(vbslq_f64(odd, sine.v[i], cosine.v[i]));
    const uint64x2_t next = vaddq_u64(q, one);
    sine.v[i] = vreinterpretq_f64_u64(veorq_u64(s, vandq_u64(vshlq_n_u64(q, 62), sign)));
    cosine.v[i] = vreinterpretq_f64_u64(veorq_u64(c, vandq_u64(vshlq_n_u64(next, 62), sign)));
  }
}

FANIN_INLINE float sum(Vec<float> a) {
  const float32x4_t a4 = vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]));
  const float32x2_t a2 = vadd_f32(vget_low_f32(a4), vget_high_f32(a4));
  return vget_lane_f32(a2, 0) + vget_lane_f32(a2, 1);
}
FANIN_INLINE double sum(Vec<double> a) {
  const float64x2_t a2 = vaddq_f64(vaddq_f64(a.v[0], a.v[2]), vaddq_f64(a.v[1], a.v[3]));
  return vgetq_lane_f64(a2, 0) + vgetq_lane_f64(a2, 1);
}
FANIN_INLINE float maximum(Vec<float> a) {
  const float32x4_t a4 = larger(larger(a.v[0], a.v[2]), larger(a.v[1], a.v[3]));
  const float32x4_t a2 = larger(a4, vextq_f32(a4, a4, 2));
  const float x = vgetq_lane_f32(a2, 0), y = vgetq_lane_f32(a2, 1);
  return x > y ? x : y;
}
FANIN_INLINE double maximum(Vec<double> a) {
  const float64x2_t a2 = larger(larger(a.v[0], a.v[2]), larger(a.v[1], a.v[3]));
  const double x = vgetq_lane_f64(a2, 0), y = vgetq_lane_f64(a2, 1);
  return x > y ? x : y;
}

}  // namespace fanin::FANIN_ISA
