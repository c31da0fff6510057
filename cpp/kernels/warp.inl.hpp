#pragma once
#include <cstring>

#include "kernels/image_geometry.hpp"
#include "kernels/warp_workspace.hpp"
#include "simd/partial.hpp"

namespace fanin::FANIN_ISA {

FANIN_INLINE Vec<float> clamp(Vec<float> x, float low, float high) {
  return min(max(x, Vec<float>::set(low)), Vec<float>::set(high));  // NaN: low
}

/// A fill as a pixel's byte: rounded to nearest, ties to even, clipped.
FANIN_INLINE std::uint32_t rounded_byte(float x) {
  float all[16];
  round_even(clamp(Vec<float>::set(x), 0.0f, 255.0f)).store(all);
  return static_cast<std::uint32_t>(all[0]);
}

/// n pixels from interleaved bytes to words.
template <int channels>
FANIN_INLINE void copy_words(const std::uint8_t* from, index n, std::uint32_t* to) {
  index j = 0;
  for (; j + 16 <= n; j += 16) load_pixels<channels>(from + j * channels).store(to + j);
  for (; j < n; ++j) {
    to[j] = 0;
    for (int c = 0; c < channels; ++c) {
      to[j] |= static_cast<std::uint32_t>(from[j * channels + c]) << (8 * c);
    }
  }
}

/// One plane with its border: `copy(y, to)` writes row y of the window.
template <class P, class F>
FANIN_INLINE void frame(const WarpStage& s, bool constant, P fill, P* plane, F&& copy) {
  const index pitch = warp_pitch(s.width);
  for (index i = 0; i < warp_rows(s.height); ++i) {
    P* to = plane + i * pitch;
    const index y = i - border_before;
    if (constant && (y < 0 || y >= s.height)) {
      for (index j = 0; j < pitch; ++j) to[j] = fill;
      continue;
    }
    P* window = to + border_before;
    copy(y < 0 ? 0 : (y < s.height ? y : s.height - 1), window);
    to[0] = constant ? fill : window[0];
    for (index j = 0; j < border_after; ++j) {
      window[s.width + j] = constant ? fill : window[s.width - 1];
    }
  }
}

template <int channels>
void prepare_words(const WarpImage& a) noexcept {
  const WarpStage& s = a.stages[a.n_stages - 1];
  const bool constant = s.border == Border::constant;
  std::uint32_t fill = 0;
  for (int c = 0; constant && c < channels; ++c) {
    fill |= rounded_byte(a.fills[s.fill * most_channels + c]) << (8 * c);
  }
  const std::uint8_t* data = static_cast<const std::uint8_t*>(a.source.data);
  frame(s, constant, fill, static_cast<std::uint32_t*>(a.workspace),
        [&](index y, std::uint32_t* to) {
          const index first = (s.top + y) * a.source.width + s.left;
          copy_words<channels>(data + first * channels, s.width, to);
        });
}

inline void prepare_planes(const WarpImage& a) noexcept {
  const WarpStage& s = a.stages[a.n_stages - 1];
  const bool constant = s.border == Border::constant;
  const index channels = a.source.channels, size = warp_pitch(s.width) * warp_rows(s.height);
  const float* data = static_cast<const float*>(a.source.data);
  for (index c = 0; c < channels; ++c) {
    const float fill = constant ? a.fills[s.fill * most_channels + c] : 0.0f;
    frame(s, constant, fill, static_cast<float*>(a.workspace) + c * size, [&](index y, float* to) {
      const float* from = data + ((s.top + y) * a.source.width + s.left) * channels + c;
      for (index j = 0; j < s.width; ++j) to[j] = from[j * channels];
    });
  }
}

inline void prepare_warp(const WarpImage& a) noexcept {
  if (a.source.dtype != DType::u8) return prepare_planes(a);
  switch (a.source.channels) {
    case 1:
      return prepare_words<1>(a);
    case 3:
      return prepare_words<3>(a);
    default:
      return prepare_words<4>(a);
  }
}

/// What a step back makes of 16 places.
FANIN_INLINE void step_back(const WarpStage& s, Vec<float>& x, Vec<float>& y) {
  const auto set = [](float v) { return Vec<float>::set(v); };
  const float* m = s.matrix;
  const Vec<float> u = fma(set(m[0]), x, fma(set(m[1]), y, set(m[2])));
  const Vec<float> v = fma(set(m[3]), x, fma(set(m[4]), y, set(m[5])));
  x = u;
  y = v;
  if (!s.lens) return;
  const Vec<float> dx = u - set(s.centre_x), dy = v - set(s.centre_y);
  const Vec<float> r2 = fma(dx, dx, dy * dy) * set(1.0f / (s.radius * s.radius));
  const Vec<float> stretch = fma(r2, fma(r2, set(s.k2), set(s.k1)), set(1.0f));
  x = fma(dx, stretch, set(s.centre_x));
  y = fma(dy, stretch, set(s.centre_y));
}

/// x mod period and back again: a zigzag between 0 and period / 2.
FANIN_INLINE Vec<float> zigzag(Vec<float> x, float period) {
  const Vec<float> whole = Vec<float>::set(period);
  x = min(abs(x), Vec<float>::set(0x1p22f));
  x = abs(fnma(whole, Vec<float>::from_u32(to_u32(x / whole)), x));
  return abs(min(x, whole - x));
}

/// x folded back into n pixels from `first` on, as the border says.
FANIN_INLINE Vec<float> folded(Vec<float> x, Border border, index first, index n) {
  const float low = static_cast<float>(first), size = static_cast<float>(n);
  if (border == Border::symmetric) {
    const Vec<float> edge = Vec<float>::set(low - 0.5f);
    return zigzag(x - edge, 2.0f * size) + edge;
  }
  if (border == Border::reflect && n > 1) {
    const Vec<float> edge = Vec<float>::set(low);
    return zigzag(x - edge, 2.0f * size - 2.0f) + edge;
  }
  return border == Border::constant ? x : clamp(x, low, low + size - 1.0f);
}

/// `fill` where no fill is set yet (they are negative) and x is not in [low, high).
FANIN_INLINE Vec<float> fill_outside(Vec<float> fills, float fill, Vec<float> x, float low,
                                     float high) {
  const Vec<float> unset = select(fills < Vec<float>::zero(), Vec<float>::set(fill), fills);
  fills = select(x < Vec<float>::set(low), unset, fills);
  return select(x < Vec<float>::set(high), fills, unset);
}

/// Where 16 places of the output lie in the framed window of the last stage; `fills` has the
/// number of the fill where an earlier stage was left, else -1.
FANIN_INLINE void walk_back(const WarpImage& a, Vec<float>& x, Vec<float>& y, Vec<float>& fills) {
  for (int k = 0; k < a.n_stages - 1; ++k) {
    const WarpStage& s = a.stages[k];
    step_back(s, x, y);
    if (s.border == Border::constant) {
      const float left = static_cast<float>(s.left) - 0.5f, top = static_cast<float>(s.top) - 0.5f;
      const float fill = static_cast<float>(s.fill);
      fills = fill_outside(fills, fill, x, left, left + static_cast<float>(s.width));
      fills = fill_outside(fills, fill, y, top, top + static_cast<float>(s.height));
    } else {
      x = folded(x, s.border, s.left, s.width);
      y = folded(y, s.border, s.top, s.height);
    }
  }
  const WarpStage& s = a.stages[a.n_stages - 1];
  step_back(s, x, y);
  x = folded(x, s.border, s.left, s.width) -
      Vec<float>::set(static_cast<float>(s.left - border_before));
  y = folded(y, s.border, s.top, s.height) -
      Vec<float>::set(static_cast<float>(s.top - border_before));
  x = clamp(x, 0.0f, static_cast<float>(s.width + border_before));
  y = clamp(y, 0.0f, static_cast<float>(s.height + border_before));
}

FANIN_INLINE Vec<float> lerp(Vec<float> a, Vec<float> b, Vec<float> t) { return fma(t, b - a, a); }

/// Between four taps, two of a row and two of the next; the first of them where `nearest`.
FANIN_INLINE Vec<float> sample(bool nearest, const Vec<float> (&tap)[4], Vec<float> tx,
                               Vec<float> ty) {
  return nearest ? tap[0] : lerp(lerp(tap[0], tap[1], tx), lerp(tap[2], tap[3], tx), ty);
}
/// The same of channel c of pixels in words.
template <int c>
FANIN_INLINE Vec<float> sample(bool nearest, const U32 (&tap)[4], Vec<float> tx, Vec<float> ty) {
  if (nearest) return byte_of<c>(tap[0]);
  return sample(false,
                {byte_of<c>(tap[0]), byte_of<c>(tap[1]), byte_of<c>(tap[2]), byte_of<c>(tap[3])},
                tx, ty);
}

/// Writes channel c of 16 pixels, of which n are wanted.
FANIN_INLINE void finish(const WarpImage& a, int c, Vec<float> x, Vec<float> fills, float* to,
                         int n) {
  for (int k = 0; k < a.n_stages - 1; ++k) {
    const std::int32_t fill = a.stages[k].fill;
    if (a.stages[k].border != Border::constant) continue;
    x = select(fills == Vec<float>::set(static_cast<float>(fill)),
               Vec<float>::set(a.fills[fill * most_channels + c]), x);
  }
  x = fma(x, Vec<float>::set(a.affine.scale[c]), Vec<float>::set(a.affine.shift[c]));
  store_some(x, to + c * a.out.plane_stride, n);
}

template <class S, int channels>
void warp_as(const WarpImage& a, Range rows) noexcept {
  const WarpStage& last = a.stages[a.n_stages - 1];
  const index pitch = warp_pitch(last.width), size = pitch * warp_rows(last.height);
  for (index i = rows.begin; i < rows.end; ++i) {
    float* row = a.out.data + i * a.out.row_stride;
    each_vec<float>(a.width, [&](index j, int n) {
      Vec<float> x = Vec<float>::from_u32(U32::iota(static_cast<std::uint32_t>(j)));
      Vec<float> y = Vec<float>::set(static_cast<float>(i)), fills = Vec<float>::set(-1.0f);
      walk_back(a, x, y, fills);
      if (a.nearest) {
        x = x + Vec<float>::set(0.5f);
        y = y + Vec<float>::set(0.5f);
      }
      const U32 column = to_u32(x), line = to_u32(y);
      const Vec<float> tx = x - Vec<float>::from_u32(column), ty = y - Vec<float>::from_u32(line);
      const U32 at = line * U32::set(static_cast<std::uint32_t>(pitch)) + column;
      const auto write = [&](int c, Vec<float> value) { finish(a, c, value, fills, row + j, n); };
      if constexpr (sizeof(S) == 1) {
        U32 tap[4];
        gather_squares(static_cast<const std::uint32_t*>(a.workspace), pitch, at, tap);
        write(0, sample<0>(a.nearest, tap, tx, ty));
        if constexpr (channels > 1) write(1, sample<1>(a.nearest, tap, tx, ty));
        if constexpr (channels > 2) write(2, sample<2>(a.nearest, tap, tx, ty));
        if constexpr (channels > 3) write(3, sample<3>(a.nearest, tap, tx, ty));
      } else {
        for (int c = 0; c < channels; ++c) {
          Vec<float> tap[4];
          gather_squares(static_cast<const float*>(a.workspace) + c * size, pitch, at, tap);
          write(c, sample(a.nearest, tap, tx, ty));
        }
      }
    });
  }
}

template <class S>
void warp_from(const WarpImage& a, Range rows) noexcept {
  switch (a.source.channels) {
    case 1:
      return warp_as<S, 1>(a, rows);
    case 3:
      return warp_as<S, 3>(a, rows);
    default:
      return warp_as<S, 4>(a, rows);
  }
}

inline void warp_image(const WarpImage& a, Range rows) noexcept {
  a.source.dtype == DType::u8 ? warp_from<std::uint8_t>(a, rows) : warp_from<float>(a, rows);
}

}  // namespace fanin::FANIN_ISA
