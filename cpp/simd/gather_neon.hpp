#pragma once
// The contract is gather_scalar.hpp's.
#include "simd/pixels_neon.hpp"

namespace fanin::FANIN_ISA {

FANIN_INLINE U32 operator+(U32 a, U32 b) {
  for (int i = 0; i < 4; ++i) a.v[i] = vaddq_u32(a.v[i], b.v[i]);
  return a;
}
FANIN_INLINE U32 operator*(U32 a, U32 b) {
  for (int i = 0; i < 4; ++i) a.v[i] = vmulq_u32(a.v[i], b.v[i]);
  return a;
}
FANIN_INLINE U32 to_u32(Vec<float> a) {
  U32 r;
  for (int i = 0; i < 4; ++i) r.v[i] = vcvtq_u32_f32(a.v[i]);
  return r;
}
template <int n>
FANIN_INLINE Vec<float> byte_of(U32 a) {
  Vec<float> r;
  for (int i = 0; i < 4; ++i) {
    uint32x4_t x = a.v[i];
    if constexpr (n > 0) x = vshrq_n_u32(x, 8 * n);
    r.v[i] = vcvtq_f32_u32(vandq_u32(x, vdupq_n_u32(0xff)));
  }
  return r;
}
template <int n>
FANIN_INLINE U32 load_pixels(const std::uint8_t* p) {
  U32 r;
  if constexpr (n == 4) {
    for (int i = 0; i < 4; ++i) r.v[i] = vreinterpretq_u32_u8(vld1q_u8(p + 16 * i));
  } else {
    uint8x16x4_t bytes{{vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0)}};
    if constexpr (n == 1) {
      bytes.val[0] = vld1q_u8(p);
    } else {
      const uint8x16x3_t three = vld3q_u8(p);
      for (int c = 0; c < 3; ++c) bytes.val[c] = three.val[c];
    }
    const uint8x16_t low = vzip1q_u8(bytes.val[0], bytes.val[1]);
    const uint8x16_t high = vzip2q_u8(bytes.val[0], bytes.val[1]);
    const uint16x8_t low2 = vreinterpretq_u16_u8(vzip1q_u8(bytes.val[2], bytes.val[3]));
    const uint16x8_t high2 = vreinterpretq_u16_u8(vzip2q_u8(bytes.val[2], bytes.val[3]));
    r.v[0] = vreinterpretq_u32_u16(vzip1q_u16(vreinterpretq_u16_u8(low), low2));
    r.v[1] = vreinterpretq_u32_u16(vzip2q_u16(vreinterpretq_u16_u8(low), low2));
    r.v[2] = vreinterpretq_u32_u16(vzip1q_u16(vreinterpretq_u16_u8(high), high2));
    r.v[3] = vreinterpretq_u32_u16(vzip2q_u16(vreinterpretq_u16_u8(high), high2));
  }
  return r;
}
FANIN_INLINE Vec<float> gather(const float* p, U32 at) {
  std::uint32_t where[16];
  at.store(where);
  Vec<float> r;
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t* w = where + 4 * i;
    float32x4_t x = vld1q_dup_f32(p + w[0]);
    x = vld1q_lane_f32(p + w[1], x, 1);
    x = vld1q_lane_f32(p + w[2], x, 2);
    r.v[i] = vld1q_lane_f32(p + w[3], x, 3);
  }
  return r;
}
template <int n>
FANIN_INLINE Vec<float> gather_within(const float* p, U32 at) {
  return gather(p, at);
}
/// Four pairs, p[at[0]] ... p[at[3] + 1], parted into their first and second values.
FANIN_INLINE void load_pairs(const float* p, const std::uint32_t* at, float32x4_t& first,
                             float32x4_t& second) {
  const float32x4_t a = vcombine_f32(vld1_f32(p + at[0]), vld1_f32(p + at[1]));
  const float32x4_t b = vcombine_f32(vld1_f32(p + at[2]), vld1_f32(p + at[3]));
  first = vuzp1q_f32(a, b);
  second = vuzp2q_f32(a, b);
}
FANIN_INLINE void load_pairs(const std::uint32_t* p, const std::uint32_t* at, uint32x4_t& first,
                             uint32x4_t& second) {
  const uint32x4_t a = vcombine_u32(vld1_u32(p + at[0]), vld1_u32(p + at[1]));
  const uint32x4_t b = vcombine_u32(vld1_u32(p + at[2]), vld1_u32(p + at[3]));
  first = vuzp1q_u32(a, b);
  second = vuzp2q_u32(a, b);
}
template <class S, class V>
FANIN_INLINE void gather_squares(const S* p, index stride, U32 at, V (&tap)[4]) {
  std::uint32_t where[16];
  at.store(where);
  for (int i = 0; i < 4; ++i) {
    load_pairs(p, where + 4 * i, tap[0].v[i], tap[1].v[i]);
    load_pairs(p + stride, where + 4 * i, tap[2].v[i], tap[3].v[i]);
  }
}

}  // namespace fanin::FANIN_ISA
