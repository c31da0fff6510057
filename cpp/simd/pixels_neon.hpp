#pragma once
// The contract is pixels_scalar.hpp's.
#include "simd/vec_neon.hpp"

namespace fanin::FANIN_ISA {

FANIN_INLINE float32x4_t reverse(float32x4_t a) {
  const float32x4_t pairs = vrev64q_f32(a);
  return vextq_f32(pairs, pairs, 2);
}
FANIN_INLINE Vec<float> reverse(Vec<float> a) {
  return {{reverse(a.v[3]), reverse(a.v[2]), reverse(a.v[1]), reverse(a.v[0])}};
}
FANIN_INLINE uint8x16_t reverse(uint8x16_t a) {
  const uint8x16_t halves = vrev64q_u8(a);
  return vextq_u8(halves, halves, 8);
}

template <int C>
FANIN_INLINE void load_channels(const std::uint8_t* p, uint8x16_t (&bytes)[C]) {
  if constexpr (C == 1) {
    bytes[0] = vld1q_u8(p);
  } else if constexpr (C == 3) {
    const uint8x16x3_t all = vld3q_u8(p);
    for (int c = 0; c < C; ++c) bytes[c] = all.val[c];
  } else {
    const uint8x16x4_t all = vld4q_u8(p);
    for (int c = 0; c < C; ++c) bytes[c] = all.val[c];
  }
}
template <int C>
FANIN_INLINE void store_channels(const uint8x16_t (&bytes)[C], std::uint8_t* p) {
  if constexpr (C == 1) {
    vst1q_u8(p, bytes[0]);
  } else if constexpr (C == 3) {
    vst3q_u8(p, uint8x16x3_t{{bytes[0], bytes[1], bytes[2]}});
  } else {
    vst4q_u8(p, uint8x16x4_t{{bytes[0], bytes[1], bytes[2], bytes[3]}});
  }
}

FANIN_INLINE Vec<float> from_bytes(uint8x16_t bytes) {
  const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
  return {{vcvtq_f32_u32(vmovl_u16(vget_low_u16(low))), vcvtq_f32_u32(vmovl_high_u16(low)),
           vcvtq_f32_u32(vmovl_u16(vget_low_u16(high))), vcvtq_f32_u32(vmovl_high_u16(high))}};
}
template <int C, int Step = 1>
FANIN_INLINE void deinterleave(const std::uint8_t* p, Vec<float> (&channel)[C]) {
  uint8x16_t bytes[C];
  load_channels(p, bytes);
  for (int c = 0; c < C; ++c) channel[c] = from_bytes(Step > 0 ? bytes[c] : reverse(bytes[c]));
}

template <int C, int Step = 1>
FANIN_INLINE void deinterleave(const float* p, Vec<float> (&channel)[C]) {
  for (int q = 0; q < 4; ++q) {
    if constexpr (C == 1) {
      channel[0].v[q] = vld1q_f32(p + 4 * q);
    } else if constexpr (C == 3) {
      const float32x4x3_t all = vld3q_f32(p + 12 * q);
      for (int c = 0; c < C; ++c) channel[c].v[q] = all.val[c];
    } else {
      const float32x4x4_t all = vld4q_f32(p + 16 * q);
      for (int c = 0; c < C; ++c) channel[c].v[q] = all.val[c];
    }
  }
  if constexpr (Step < 0) {
    for (Vec<float>& v : channel) v = reverse(v);
  }
}

template <int C>
FANIN_INLINE void interleave(const Vec<float> (&channel)[C], float* p) {
  for (int q = 0; q < 4; ++q) {
    if constexpr (C == 1) {
      vst1q_f32(p + 4 * q, channel[0].v[q]);
    } else if constexpr (C == 3) {
      vst3q_f32(p + 12 * q, float32x4x3_t{{channel[0].v[q], channel[1].v[q], channel[2].v[q]}});
    } else {
      vst4q_f32(p + 16 * q, float32x4x4_t{{channel[0].v[q], channel[1].v[q], channel[2].v[q],
                                           channel[3].v[q]}});
    }
  }
}
FANIN_INLINE uint8x16_t to_bytes(Vec<float> a) {
  const Vec<float> x = min(max(a, Vec<float>::zero()), Vec<float>::set(255));
  uint16x4_t words[4];
  for (int i = 0; i < 4; ++i) words[i] = vmovn_u32(vcvtnq_u32_f32(x.v[i]));
  return vcombine_u8(vmovn_u16(vcombine_u16(words[0], words[1])),
                     vmovn_u16(vcombine_u16(words[2], words[3])));
}
template <int C>
FANIN_INLINE void interleave(const Vec<float> (&channel)[C], std::uint8_t* p) {
  uint8x16_t bytes[C];
  for (int c = 0; c < C; ++c) bytes[c] = to_bytes(channel[c]);
  store_channels(bytes, p);
}

template <int C>
FANIN_INLINE void reverse_pixels(const std::uint8_t* from, std::uint8_t* to) {
  uint8x16_t bytes[C];
  load_channels(from, bytes);
  for (uint8x16_t& b : bytes) b = reverse(b);
  store_channels(bytes, to);
}

}  // namespace fanin::FANIN_ISA
