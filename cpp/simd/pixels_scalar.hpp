#pragma once
// Interleaved pixels of one, three or four channels in memory, as one Vec a channel and back. The
// contract, in plain C++; each pixels_<isa>.hpp offers the same names with the same results.
#include "simd/vec_scalar.hpp"

namespace fanin::FANIN_ISA {

/// Lane l becomes lane 15 - l.
FANIN_INLINE Vec<float> reverse(Vec<float> a) {
  Vec<float> r;
  for (int l = 0; l < 16; ++l) r.v[l] = a.v[15 - l];
  return r;
}

/// Sixteen pixels of C bytes or floats from p: lane l of channel[c] is channel c of pixel l, or of
/// pixel 15 - l where Step is -1. Reads 16 C elements and no more.
template <int C, int Step = 1, class S>
FANIN_INLINE void deinterleave(const S* p, Vec<float> (&channel)[C]) {
  for (int l = 0; l < 16; ++l) {
    const S* pixel = p + C * (Step > 0 ? l : 15 - l);
    for (int c = 0; c < C; ++c) channel[c].v[l] = static_cast<float>(pixel[c]);
  }
}

/// The way back; bytes are rounded to nearest, ties to even, and clipped to 0 ... 255, NaN to 0.
template <int C>
FANIN_INLINE void interleave(const Vec<float> (&channel)[C], float* p) {
  for (int l = 0; l < 16; ++l) {
    for (int c = 0; c < C; ++c) p[C * l + c] = channel[c].v[l];
  }
}
template <int C>
FANIN_INLINE void interleave(const Vec<float> (&channel)[C], std::uint8_t* p) {
  for (int c = 0; c < C; ++c) {
    const Vec<float> low = max(channel[c], Vec<float>::zero());
    const Vec<float> whole = round_even(min(low, Vec<float>::set(255)));
    for (int l = 0; l < 16; ++l) p[C * l + c] = static_cast<std::uint8_t>(whole.v[l]);
  }
}

/// Copies sixteen pixels of C bytes, the last first.
template <int C>
FANIN_INLINE void reverse_pixels(const std::uint8_t* from, std::uint8_t* to) {
  for (int l = 0; l < 16; ++l) std::memcpy(to + C * l, from + C * (15 - l), C);
}

}  // namespace fanin::FANIN_ISA
