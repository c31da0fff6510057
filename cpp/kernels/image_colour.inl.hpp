#pragma once
#include "kernels/image_colour.hpp"
#include "kernels/pixels.inl.hpp"
#include "kernels/random.inl.hpp"

namespace fanin::FANIN_ISA {

FANIN_INLINE Vec<float> luma(const Vec<float> (&x)[1]) { return x[0]; }
FANIN_INLINE Vec<float> luma(const Vec<float> (&x)[3]) {
  const Vec<float> red = x[0] * Vec<float>::set(0.2989f);
  return fma(x[2], Vec<float>::set(0.114f), fma(x[1], Vec<float>::set(0.587f), red));
}

/// Each channel's x f + rest, clamped to [0, top].
template <int C>
FANIN_INLINE void mix_with(Vec<float> (&x)[C], float f, Vec<float> rest, Vec<float> top) {
  const Vec<float> factor = Vec<float>::set(f), zero = Vec<float>::zero();
  for (Vec<float>& v : x) v = min(max(fma(v, factor, rest), zero), top);
}

/// Hue h in sixths of a circle from red, value v and chroma c of HSV; with h + shift in [-3, 3],
/// red is v - c (1 - clamp(2 - |h|)), and green and blue alike with their gaps about -1 and 1.
FANIN_INLINE void turn_hue(Vec<float> (&x)[3], float turns) {
  const auto set = [](float v) { return Vec<float>::set(v); };
  const Vec<float> zero = Vec<float>::zero(), one = set(1);
  const Vec<float> high = max(max(x[0], x[1]), x[2]), low = min(min(x[0], x[1]), x[2]);
  const Vec<float> chroma = high - low;
  const Mask<float> red = high == x[0], green = high == x[1];
  const Vec<float> along = select(red, x[1] - x[2], select(green, x[2] - x[0], x[0] - x[1]));
  const Vec<float> from = select(red, zero, select(green, set(2), set(4)));
  const Vec<float> grey_safe = select(chroma > zero, chroma, one);
  Vec<float> h = along / grey_safe + (from + set(6 * turns));
  h = fnma(round_even(h * set(1.0f / 6)), set(6), h);
  const auto ramp = [&](Vec<float> t) { return fma(chroma, min(max(t, zero), one), low); };
  x[0] = ramp(set(2) - abs(h));
  x[1] = ramp(abs(h + one) - one);
  x[2] = ramp(abs(h - one) - one);
}

template <int C>
FANIN_INLINE void colour(const ColourStep& step, Vec<float> top, Vec<float> (&x)[C]) {
  const float f = step.factor;
  switch (step.kind) {
    case Colour::brightness:
      return mix_with(x, f, Vec<float>::zero(), top);
    case Colour::contrast:
      return mix_with(x, f, Vec<float>::set((1 - f) * step.mean), top);
    case Colour::saturation:
      if constexpr (C == 3) mix_with(x, f, Vec<float>::set(1 - f) * luma(x), top);
      return;
    case Colour::hue:
      if constexpr (C == 3) turn_hue(x, f);
      return;
    case Colour::grayscale:
      if constexpr (C == 3) x[0] = x[1] = x[2] = luma(x);
      return;
  }
}

template <int C>
void colour_rows_of(const ColourRows& args, Range rows) noexcept {
  const ColourRows a = args;
  const Vec<float> top = Vec<float>::set(a.top);
  for (index i = rows.begin; i < rows.end; ++i) {
    float* row = a.planes.data + i * a.planes.row_stride;
    Vec<float> total = Vec<float>::zero();
    each_vec<float>(a.width, [&](index j, int lanes) {
      Vec<float> x[C];
      for (int c = 0; c < C; ++c) x[c] = load_some(row + c * a.planes.plane_stride + j, lanes);
      for (int s = 0; s < a.n_steps; ++s) colour(a.steps[s], top, x);
      if (a.luma) total = total + keep_some(luma(x), lanes, Vec<float>::zero());
      if (a.n_steps == 0) return;
      for (int c = 0; c < C; ++c) store_some(x[c], row + c * a.planes.plane_stride + j, lanes);
    });
    if (a.luma) a.luma[i] = static_cast<double>(sum(total));
  }
}

inline void colour_rows(const ColourRows& a, Range rows) noexcept {
  a.channels == 1 ? colour_rows_of<1>(a, rows) : colour_rows_of<3>(a, rows);
}

/// Adds group g's deviates to 64 columns of a row, or as many as there are.
FANIN_INLINE void add_noise(const NoiseRows& a, const Group& g, float* x, index width) {
  const auto z = normals(g, 0.0f);
  const Vec<float> mean = Vec<float>::set(a.mean), std = Vec<float>::set(a.std);
  const Vec<float> zero = Vec<float>::zero(), top = Vec<float>::set(a.top);
  for (int v = 0; v < 4; ++v) {
    const index left = width - 16 * v;
    if (left <= 0) return;
    const int lanes = left < 16 ? static_cast<int>(left) : 16;
    const Vec<float> y = load_some(x + 16 * v, lanes) + fma(z.vec[v], std, mean);
    store_some(a.clip ? min(max(y, zero), top) : y, x + 16 * v, lanes);
  }
}

inline void noise_rows(const NoiseRows& args, Range rows) noexcept {
  const NoiseRows a = args;
  const index groups = (a.width + 63) / 64, all = (rows.end - rows.begin) * groups;
  for (index c = 0; c < a.channels; ++c) {
    float* plane = a.planes.data + c * a.planes.plane_stride;
    const auto first =
        a.first_group + static_cast<std::uint64_t>((c * a.height + rows.begin) * groups);
    const auto add = [&](index q, const Group& g) {
      const index row = rows.begin + q / groups, j = q % groups * 64;
      add_noise(a, g, plane + row * a.planes.row_stride + j, a.width - j);
    };
    index q = 0;
    for (Group pair[2]; q + 2 <= all; q += 2) {
      philox_groups(a.key, first + static_cast<std::uint64_t>(q), pair);
      add(q, pair[0]);
      add(q + 1, pair[1]);
    }
    if (q < all) add(q, philox_group(a.key, first + static_cast<std::uint64_t>(q)));
  }
}

}  // namespace fanin::FANIN_ISA
