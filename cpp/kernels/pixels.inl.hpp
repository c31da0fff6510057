#pragma once
#include <cmath>
#include <cstring>

#include "kernels/image.hpp"
#include "simd/partial.hpp"

namespace fanin::FANIN_ISA {

/// What the kernels of images share: pixels by number of channels and type, and parts of sixteen.

template <int C>
struct Channels {
  static constexpr int count = C;
};
template <class F>
FANIN_INLINE void by_channels(index channels, F&& f) {
  if (channels == 1) return f(Channels<1>{});
  if (channels == 3) return f(Channels<3>{});
  f(Channels<4>{});
}
/// Calls f with a null pointer to u8 or float.
template <class F>
FANIN_INLINE void by_pixel_type(DType dtype, F&& f) {
  dtype == DType::u8 ? f(static_cast<const std::uint8_t*>(nullptr))
                     : f(static_cast<const float*>(nullptr));
}

/// deinterleave() of n pixels, 0 < n <= 16; the other lanes hold zeros. Step -1: lane l is pixel
/// n - 1 - l.
template <int C, int Step = 1, class S>
FANIN_INLINE void deinterleave_some(const S* p, int n, Vec<float> (&channel)[C]) {
  if (n == 16) return deinterleave<C, Step>(p, channel);
  S pixels[16 * C] = {};
  std::memcpy(pixels + (Step > 0 ? 0 : (16 - n) * C), p,
              static_cast<std::size_t>(n * C) * sizeof(S));
  deinterleave<C, Step>(pixels, channel);
}
template <int C, class S>
FANIN_INLINE void interleave_some(const Vec<float> (&channel)[C], S* p, int n) {
  if (n == 16) return interleave<C>(channel, p);
  S pixels[16 * C];
  interleave<C>(channel, pixels);
  std::memcpy(p, pixels, static_cast<std::size_t>(n * C) * sizeof(S));
}

/// A ChannelAffine for vectors.
template <int C>
struct Affine {
  Vec<float> scale[C], shift[C];

  explicit FANIN_INLINE Affine(const ChannelAffine& a) {
    for (int c = 0; c < C; ++c) {
      scale[c] = Vec<float>::set(a.scale[c]);
      shift[c] = Vec<float>::set(a.shift[c]);
    }
  }
  FANIN_INLINE Vec<float> operator()(Vec<float> x, int c) const {
    return fma(x, scale[c], shift[c]);
  }
};

}  // namespace fanin::FANIN_ISA
