#pragma once
// The contract is pixels_scalar.hpp's.
#include "simd/vec_avx512.hpp"

namespace fanin::FANIN_ISA {

/// Sixteen indices for a permutation of lanes, f(0) ... f(15).
template <class F>
FANIN_INLINE __m512i lane_indices(F f) {
  return _mm512_setr_epi32(f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11),
                           f(12), f(13), f(14), f(15));
}
/// The same sixteen bytes in each quarter, f(0) ... f(15); -1 makes a shuffled byte zero.
template <class F>
FANIN_INLINE __m512i quarter_bytes(F f) {
  const auto at = [&](int i) { return static_cast<char>(f(i)); };
  return _mm512_broadcast_i32x4(_mm_setr_epi8(at(0), at(1), at(2), at(3), at(4), at(5), at(6),
                                              at(7), at(8), at(9), at(10), at(11), at(12), at(13),
                                              at(14), at(15)));
}

FANIN_INLINE Vec<float> reverse(Vec<float> a) {
  return {_mm512_permutexvar_ps(lane_indices([](int l) { return 15 - l; }), a.v)};
}

/// Four pixels of C bytes at the beginning of each quarter; Step -1: the last four first.
template <int C, int Step>
FANIN_INLINE __m512i load_quarters(const std::uint8_t* p) {
  constexpr __mmask16 words = C == 4 ? 0xffff : 0x0fff;
  const auto from = [](int l) { return (Step > 0 ? l / 4 : 3 - l / 4) * C + l % 4 % C; };
  return _mm512_permutexvar_epi32(lane_indices(from), _mm512_maskz_loadu_epi32(words, p));
}
template <int C, int Step = 1>
FANIN_INLINE void deinterleave(const std::uint8_t* p, Vec<float> (&channel)[C]) {
  const auto in_quarter = [](int l) { return Step > 0 ? l : 3 - l; };
  if constexpr (C == 1) {
    channel[0] = Vec<float>::convert(p);
    if (Step < 0) channel[0] = reverse(channel[0]);
  } else {
    const __m512i pixels = load_quarters<C, Step>(p);
    for (int c = 0; c < C; ++c) {
      const auto from = [&](int i) { return i % 4 == 0 ? C * in_quarter(i / 4) + c : -1; };
      channel[c].v = _mm512_cvtepi32_ps(_mm512_shuffle_epi8(pixels, quarter_bytes(from)));
    }
  }
}

template <int C, int Step = 1>
FANIN_INLINE void deinterleave(const float* p, Vec<float> (&channel)[C]) {
  __m512 part[C];
  for (int i = 0; i < C; ++i) part[i] = _mm512_loadu_ps(p + 16 * i);
  for (int c = 0; c < C; ++c) {
    const __m512i first = lane_indices([&](int l) { return (C * l + c) % 32; });
    if constexpr (C == 1) {
      channel[c].v = part[0];
    } else if constexpr (C == 3) {
      const __m512 low = _mm512_permutex2var_ps(part[0], first, part[1]);
      const __m512i second =
          lane_indices([&](int l) { return C * l + c < 32 ? l : 16 + (C * l + c) % 16; });
      channel[c].v = _mm512_permutex2var_ps(low, second, part[2]);
    } else {
      const __m512 low = _mm512_permutex2var_ps(part[0], first, part[1]);
      const __m512 high = _mm512_permutex2var_ps(part[2], first, part[3]);
      channel[c].v = _mm512_mask_blend_ps(0xff00, low, high);
    }
    if (Step < 0) channel[c] = reverse(channel[c]);
  }
}

template <int C>
FANIN_INLINE void interleave(const Vec<float> (&channel)[C], float* p) {
  if constexpr (C == 1) {
    channel[0].store(p);
  } else {
    for (int r = 0; r < C; ++r) {
      const __m512i pixel = lane_indices([&](int l) { return (16 * r + l) / C; });
      const __m512i two =
          lane_indices([&](int l) { return (16 * r + l) / C + ((16 * r + l) % C == 1 ? 16 : 0); });
      __m512 all = _mm512_permutex2var_ps(channel[0].v, two, channel[1].v);
      for (int c = 2; c < C; ++c) {
        unsigned lanes_of_c = 0;
        for (unsigned l = 0; l < 16; ++l) {
          if ((16 * static_cast<unsigned>(r) + l) % C == static_cast<unsigned>(c)) {
            lanes_of_c |= 1u << l;
          }
        }
        all = _mm512_mask_permutexvar_ps(all, static_cast<__mmask16>(lanes_of_c), pixel,
                                         channel[c].v);
      }
      _mm512_storeu_ps(p + 16 * r, all);
    }
  }
}
/// In 0 ... 255.
FANIN_INLINE __m512i to_bytes(Vec<float> a) {
  const Vec<float> low = max(a, Vec<float>::zero());
  return _mm512_cvtps_epi32(min(low, Vec<float>::set(255)).v);
}
/// Stores what load_quarters() takes apart; two plain stores are faster than a masked one.
template <int C>
FANIN_INLINE void store_quarters(__m512i pixels, std::uint8_t* p) {
  const auto from = [](int l) { return l / C * 4 + l % C; };
  const __m512i all = _mm512_permutexvar_epi32(lane_indices(from), pixels);
  if constexpr (C == 4) {
    _mm512_storeu_si512(p, all);
  } else {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_castsi512_si256(all));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 32), _mm512_extracti32x4_epi32(all, 2));
  }
}
template <int C>
FANIN_INLINE void interleave(const Vec<float> (&channel)[C], std::uint8_t* p) {
  __m512i pixels = to_bytes(channel[0]);
  if constexpr (C == 1) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(pixels));
  } else {
    pixels = _mm512_or_si512(pixels, _mm512_slli_epi32(to_bytes(channel[1]), 8));
    pixels = _mm512_or_si512(pixels, _mm512_slli_epi32(to_bytes(channel[2]), 16));
    if constexpr (C == 4) {
      pixels = _mm512_or_si512(pixels, _mm512_slli_epi32(to_bytes(channel[3]), 24));
      _mm512_storeu_si512(p, pixels);
    } else {
      const auto from = [](int i) { return i < 12 ? i / 3 * 4 + i % 3 : -1; };
      store_quarters<3>(_mm512_shuffle_epi8(pixels, quarter_bytes(from)), p);
    }
  }
}

template <int C>
FANIN_INLINE void reverse_pixels(const std::uint8_t* from, std::uint8_t* to) {
  if constexpr (C == 1) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m512i last_first = quarter_bytes([](int i) { return 15 - i; });
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                     _mm_shuffle_epi8(bytes, _mm512_castsi512_si128(last_first)));
  } else {
    const auto source = [](int i) { return i < 4 * C ? (3 - i / C) * C + i % C : -1; };
    const __m512i pixels = load_quarters<C, -1>(from);
    store_quarters<C>(_mm512_shuffle_epi8(pixels, quarter_bytes(source)), to);
  }
}

}  // namespace fanin::FANIN_ISA
