#pragma once
// The contract is pixels_scalar.hpp's.
#include "simd/vec_avx2.hpp"

namespace fanin::FANIN_ISA {

FANIN_INLINE __m256 reverse(__m256 a) {
  return _mm256_permutevar8x32_ps(a, _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0));
}
FANIN_INLINE Vec<float> reverse(Vec<float> a) { return {reverse(a.hi), reverse(a.lo)}; }

FANIN_INLINE __m128i load16(const std::uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
FANIN_INLINE void store16(__m128i bytes, std::uint8_t* p) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
}
/// Sixteen bytes f(0) ... f(15); -1 makes a shuffled byte zero.
template <class F>
FANIN_INLINE __m128i bytes_of(F f) {
  const auto at = [&](int i) { return static_cast<char>(f(i)); };
  return _mm_setr_epi8(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8), at(9), at(10),
                       at(11), at(12), at(13), at(14), at(15));
}

/// Pixels 4 q ... 4 q + 3 of C bytes, of sixteen from p.
template <int C>
FANIN_INLINE __m128i load_quarter(const std::uint8_t* p, int q) {
  if (C == 3 && q == 3) return _mm_srli_si128(load16(p + 32), 4);  // reads nothing beyond
  return load16(p + 4 * C * q);
}
template <int C, int Step = 1>
FANIN_INLINE void deinterleave(const std::uint8_t* p, Vec<float> (&channel)[C]) {
  if constexpr (C == 1) {
    channel[0] = Vec<float>::convert(p);
    if (Step < 0) channel[0] = reverse(channel[0]);
  } else {
    const auto quarter = [&](int q) { return load_quarter<C>(p, Step > 0 ? q : 3 - q); };
    const __m256i low = _mm256_set_m128i(quarter(1), quarter(0));
    const __m256i high = _mm256_set_m128i(quarter(3), quarter(2));
    for (int c = 0; c < C; ++c) {
      const auto from = [&](int i) {
        return i % 4 == 0 ? C * (Step > 0 ? i / 4 : 3 - i / 4) + c : -1;
      };
      const __m256i bytes = _mm256_broadcastsi128_si256(bytes_of(from));
      channel[c] = {_mm256_cvtepi32_ps(_mm256_shuffle_epi8(low, bytes)),
                    _mm256_cvtepi32_ps(_mm256_shuffle_epi8(high, bytes))};
    }
  }
}

/// Eight pixels of C floats, the first four in the lower halves, to one register a channel.
FANIN_INLINE void transpose_out(const __m256 (&m)[3], __m256 (&c)[3]) {
  const __m256 xy = _mm256_shuffle_ps(m[1], m[2], _MM_SHUFFLE(2, 1, 3, 2));  // x2 y2 x3 y3
  const __m256 yz = _mm256_shuffle_ps(m[0], m[1], _MM_SHUFFLE(1, 0, 2, 1));  // y0 z0 y1 z1
  c[0] = _mm256_shuffle_ps(m[0], xy, _MM_SHUFFLE(2, 0, 3, 0));
  c[1] = _mm256_shuffle_ps(yz, xy, _MM_SHUFFLE(3, 1, 2, 0));
  c[2] = _mm256_shuffle_ps(yz, m[2], _MM_SHUFFLE(3, 0, 3, 1));
}
FANIN_INLINE void transpose_in(const __m256 (&c)[3], __m256 (&m)[3]) {
  const __m256 xy = _mm256_shuffle_ps(c[0], c[1], _MM_SHUFFLE(2, 0, 2, 0));  // x0 x2 y0 y2
  const __m256 yz = _mm256_shuffle_ps(c[1], c[2], _MM_SHUFFLE(3, 1, 3, 1));  // y1 y3 z1 z3
  const __m256 zx = _mm256_shuffle_ps(c[2], c[0], _MM_SHUFFLE(3, 1, 2, 0));  // z0 z2 x1 x3
  m[0] = _mm256_shuffle_ps(xy, zx, _MM_SHUFFLE(2, 0, 2, 0));
  m[1] = _mm256_shuffle_ps(yz, xy, _MM_SHUFFLE(3, 1, 2, 0));
  m[2] = _mm256_shuffle_ps(zx, yz, _MM_SHUFFLE(3, 1, 3, 1));
}
FANIN_INLINE void transpose_out(const __m256 (&m)[4], __m256 (&c)[4]) {
  const __m256 low01 = _mm256_unpacklo_ps(m[0], m[1]), high01 = _mm256_unpackhi_ps(m[0], m[1]);
  const __m256 low23 = _mm256_unpacklo_ps(m[2], m[3]), high23 = _mm256_unpackhi_ps(m[2], m[3]);
  c[0] = _mm256_shuffle_ps(low01, low23, _MM_SHUFFLE(1, 0, 1, 0));
  c[1] = _mm256_shuffle_ps(low01, low23, _MM_SHUFFLE(3, 2, 3, 2));
  c[2] = _mm256_shuffle_ps(high01, high23, _MM_SHUFFLE(1, 0, 1, 0));
  c[3] = _mm256_shuffle_ps(high01, high23, _MM_SHUFFLE(3, 2, 3, 2));
}
FANIN_INLINE void transpose_in(const __m256 (&c)[4], __m256 (&m)[4]) { transpose_out(c, m); }

template <int C, int Step = 1>
FANIN_INLINE void deinterleave(const float* p, Vec<float> (&channel)[C]) {
  if constexpr (C == 1) {
    channel[0] = Vec<float>::load(p);
  } else {
    for (int half = 0; half < 2; ++half) {
      const float* from = p + 8 * C * half;
      __m256 m[C], c[C];
      for (int i = 0; i < C; ++i) {
        m[i] = _mm256_set_m128(_mm_loadu_ps(from + 4 * (C + i)), _mm_loadu_ps(from + 4 * i));
      }
      transpose_out(m, c);
      for (int i = 0; i < C; ++i) (half == 0 ? channel[i].lo : channel[i].hi) = c[i];
    }
  }
  if constexpr (Step < 0) {
    for (Vec<float>& v : channel) v = reverse(v);
  }
}

template <int C>
FANIN_INLINE void interleave(const Vec<float> (&channel)[C], float* p) {
  if constexpr (C == 1) {
    channel[0].store(p);
  } else {
    for (int half = 0; half < 2; ++half) {
      float* to = p + 8 * C * half;
      __m256 m[C], c[C];
      for (int i = 0; i < C; ++i) c[i] = half == 0 ? channel[i].lo : channel[i].hi;
      transpose_in(c, m);
      for (int i = 0; i < C; ++i) {
        _mm_storeu_ps(to + 4 * i, _mm256_castps256_ps128(m[i]));
        _mm_storeu_ps(to + 4 * (C + i), _mm256_extractf128_ps(m[i], 1));
      }
    }
  }
}
/// In 0 ... 255.
FANIN_INLINE __m256i to_bytes(__m256 a) {
  const __m256 low = _mm256_max_ps(a, _mm256_setzero_ps());
  return _mm256_cvtps_epi32(_mm256_min_ps(low, _mm256_set1_ps(255)));
}
/// Eight pixels of C bytes; `last`: nothing may be written beyond them.
template <int C>
FANIN_INLINE void store_half(__m256i pixels, std::uint8_t* p, bool last) {
  const __m128i first = _mm256_castsi256_si128(pixels);
  const __m128i second = _mm256_extracti128_si256(pixels, 1);
  store16(first, p);
  if (C == 3 && last) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p + 12), second);
    const int rest = _mm_extract_epi32(second, 2);
    std::memcpy(p + 20, &rest, 4);
  } else {
    store16(second, p + 4 * C);
  }
}
template <int C>
FANIN_INLINE __m256i join_channels(const __m256 (&c)[C]) {
  __m256i pixels = to_bytes(c[0]);
  pixels = _mm256_or_si256(pixels, _mm256_slli_epi32(to_bytes(c[1]), 8));
  pixels = _mm256_or_si256(pixels, _mm256_slli_epi32(to_bytes(c[2]), 16));
  if constexpr (C == 4) {
    return _mm256_or_si256(pixels, _mm256_slli_epi32(to_bytes(c[3]), 24));
  } else {
    const __m128i from = bytes_of([](int i) { return i < 12 ? i / 3 * 4 + i % 3 : -1; });
    return _mm256_shuffle_epi8(pixels, _mm256_broadcastsi128_si256(from));
  }
}
template <int C>
FANIN_INLINE void interleave(const Vec<float> (&channel)[C], std::uint8_t* p) {
  if constexpr (C == 1) {
    const __m256i words = _mm256_packs_epi32(to_bytes(channel[0].lo), to_bytes(channel[0].hi));
    const __m256i ordered = _mm256_permute4x64_epi64(words, _MM_SHUFFLE(3, 1, 2, 0));
    store16(_mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)),
            p);
  } else {
    __m256 low[C], high[C];
    for (int c = 0; c < C; ++c) {
      low[c] = channel[c].lo;
      high[c] = channel[c].hi;
    }
    store_half<C>(join_channels<C>(low), p, false);
    store_half<C>(join_channels<C>(high), p + 8 * C, true);
  }
}

template <int C>
FANIN_INLINE void reverse_pixels(const std::uint8_t* from, std::uint8_t* to) {
  if constexpr (C == 1) {
    store16(_mm_shuffle_epi8(load16(from), bytes_of([](int i) { return 15 - i; })), to);
  } else if constexpr (C == 4) {
    for (int q = 0; q < 4; ++q) {
      store16(_mm_shuffle_epi32(load16(from + 16 * q), _MM_SHUFFLE(0, 1, 2, 3)), to + 48 - 16 * q);
    }
  } else {
    // Five pixels a store, in its bytes 1 ... 15; the next store repairs byte 0.
    const __m128i five =
        bytes_of([](int i) { return i < 1 ? -1 : (4 - (i - 1) / 3) * 3 + (i - 1) % 3; });
    const __m128i last =
        _mm_shuffle_epi8(load16(from + 32),
                         bytes_of([](int i) { return i < 8 ? 1 + (4 - i / 3) * 3 + i % 3 : -1; }));
    for (int i = 0; i < 3; ++i) {
      store16(_mm_shuffle_epi8(load16(from + 15 * i), five), to + 32 - 15 * i);
    }
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), last);
  }
}

}  // namespace fanin::FANIN_ISA
