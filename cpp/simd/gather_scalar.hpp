#pragma once
// Pixels as words, and loads from where a Vec of indices says. The contract, in plain C++; each
// gather_<isa>.hpp offers the same names with the same results.
#include "simd/pixels_scalar.hpp"

namespace fanin::FANIN_ISA {

/// Modulo 2^32.
FANIN_INLINE U32 operator+(U32 a, U32 b) {
  for (int i = 0; i < 16; ++i) a.v[i] += b.v[i];
  return a;
}
FANIN_INLINE U32 operator*(U32 a, U32 b) {
  for (int i = 0; i < 16; ++i) a.v[i] *= b.v[i];
  return a;
}
/// Whole parts, as words; 0 <= a < 2^31.
FANIN_INLINE U32 to_u32(Vec<float> a) {
  U32 r;
  for (int i = 0; i < 16; ++i)
    r.v[i] = static_cast<std::uint32_t>(static_cast<std::int32_t>(a.v[i]));
  return r;
}
/// Byte n of each word, the lowest being 0, as a number.
template <int n>
FANIN_INLINE Vec<float> byte_of(U32 a) {
  Vec<float> r;
  for (int i = 0; i < 16; ++i) r.v[i] = static_cast<float>(a.v[i] >> (8 * n) & 0xff);
  return r;
}
/// Sixteen pixels of n bytes (1, 3 or 4) as words, the first byte lowest, zero above the last;
/// reads 16 n bytes.
template <int n>
FANIN_INLINE U32 load_pixels(const std::uint8_t* p) {
  U32 r;
  for (int i = 0; i < 16; ++i) {
    r.v[i] = 0;
    for (int c = 0; c < n; ++c) r.v[i] |= static_cast<std::uint32_t>(p[n * i + c]) << (8 * c);
  }
  return r;
}
/// p[at[i]]; `within` says that at[i] < n (16, 32 or 64) and that all n may be read.
FANIN_INLINE Vec<float> gather(const float* p, U32 at) {
  Vec<float> r;
  for (int i = 0; i < 16; ++i) r.v[i] = p[at.v[i]];
  return r;
}
template <int n>
FANIN_INLINE Vec<float> gather_within(const float* p, U32 at) {
  return gather(p, at);
}
/// With q = p + at[i]: q[0], q[1], q[stride] and q[stride + 1]. Words in U32s, floats in Vecs.
template <class S, class V>
FANIN_INLINE void gather_squares(const S* p, index stride, U32 at, V (&tap)[4]) {
  for (int i = 0; i < 16; ++i) {
    const S* q = p + at.v[i];
    tap[0].v[i] = q[0];
    tap[1].v[i] = q[1];
    tap[2].v[i] = q[stride];
    tap[3].v[i] = q[stride + 1];
  }
}

}  // namespace fanin::FANIN_ISA
