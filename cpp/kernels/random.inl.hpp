#pragma once
#include "kernels/random.hpp"
#include "simd/math.hpp"

namespace fanin::FANIN_ISA {

/// The 64 words of one group: lane l of word[w] is word w of its block l.
struct Group {
  U32 word[4];
};

/// Groups first, first + step, ...: more than one at once hides the multiplications' latency.
/// The lanes' counters differ in word 0 alone, and no lane of a group carries. So rounds 1 and 2
/// have one product each that is the same in all lanes; scalars do these.
template <int N>
FANIN_INLINE void philox_groups(PhiloxKey key, std::uint64_t first, Group (&groups)[N],
                                std::uint64_t step = 1) {
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  std::uint32_t k0 = low(key.seed), k1 = high(key.seed);
  const std::uint64_t of_stream = std::uint64_t{philox_multiplier[1]} * low(key.stream);
  Spread c[N][4], high0, low0, high1, low1;
  for (int n = 0; n < N; ++n) {
    const std::uint64_t block = (first + step * static_cast<std::uint64_t>(n)) * 16;
    const std::uint64_t of_block =
        std::uint64_t{philox_multiplier[0]} * (high(of_stream) ^ high(block) ^ k0);
    multiply_wide(Spread::iota(low(block)), philox_multiplier[0], high0, low0);
    multiply_wide(high0 ^ Spread::set(high(key.stream) ^ k1), philox_multiplier[1], high1, low1);
    c[n][0] = high1 ^ Spread::set(low(of_stream) ^ (k0 + philox_weyl[0]));
    c[n][1] = low1;
    c[n][2] = low0 ^ Spread::set(high(of_block) ^ (k1 + philox_weyl[1]));
    c[n][3] = Spread::set(low(of_block));
  }
#pragma GCC unroll 8
  for (int round = 2; round < philox_rounds; ++round) {
    const auto turns = static_cast<std::uint32_t>(round);
    const Spread key0 = Spread::set(k0 + turns * philox_weyl[0]);
    const Spread key1 = Spread::set(k1 + turns * philox_weyl[1]);
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      multiply_wide(c[n][0], philox_multiplier[0], high0, low0);
      multiply_wide(c[n][2], philox_multiplier[1], high1, low1);
      c[n][0] = high1 ^ c[n][1] ^ key0;
      c[n][1] = low1;
      c[n][2] = high0 ^ c[n][3] ^ key1;
      c[n][3] = low0;
    }
  }
  for (int n = 0; n < N; ++n) {
    for (int w = 0; w < 4; ++w) groups[n].word[w] = packed(c[n][w]);
  }
}

FANIN_INLINE Group philox_group(PhiloxKey key, std::uint64_t group) {
  Group g[1];
  philox_groups(key, group, g);
  return g[0];
}

/// What one group fills: out[lanes * v ...] = vec[v].
template <class T, int N>
struct Values {
  Vec<T> vec[N];
};

/// The top 53 bits of (high, low) as a fraction of 2^53, exact.
FANIN_INLINE Vec<double> uniform53(U32 low, U32 high, int part) {
  const Vec<double> top = Vec<double>::from_u32(high, part);
  const Vec<double> rest = Vec<double>::from_u32(shift_right<11>(low), part);
  return fma(top, Vec<double>::set(0x1p21), rest) * Vec<double>::set(0x1p-53);
}

FANIN_INLINE Values<float, 4> uniforms(const Group& g, float) {
  Values<float, 4> r;
  for (int w = 0; w < 4; ++w) {
    r.vec[w] = Vec<float>::from_u32(shift_right<8>(g.word[w])) * Vec<float>::set(0x1p-24f);
  }
  return r;
}
FANIN_INLINE Values<double, 4> uniforms(const Group& g, double) {
  Values<double, 4> r;
  for (int v = 0; v < 4; ++v) {
    r.vec[v] = uniform53(g.word[v / 2 * 2], g.word[v / 2 * 2 + 1], v % 2);
  }
  return r;
}

/// Box-Muller: two normals from u in (0, 1] and an angle of 0 to 4 quarters of a circle.
template <class T>
FANIN_INLINE void box_muller(Vec<T> u, Vec<T> quarters, Vec<T>& first, Vec<T>& second) {
  const Vec<T> radius = sqrt(log_positive<-2>(u));
  Vec<T> sine, cosine;
  sincos_quarters(quarters, sine, cosine);
  first = radius * cosine;
  second = radius * sine;
}

/// scale * (word + 1/2) / 2^32, rounded to float: in (0, scale]; scale is a power of two.
FANIN_INLINE Vec<float> uniform32(U32 word, float scale) {
  const Vec<float> step = Vec<float>::set(scale * 0x1p-32f),
                   half = Vec<float>::set(scale * 0x1p-33f);
  return fma(Vec<float>::from_u32(word), step, half);
}

FANIN_INLINE Values<float, 4> normals(const Group& g, float) {
  Values<float, 4> r;
  for (int p = 0; p < 4; p += 2) {
    box_muller(uniform32(g.word[p], 1), uniform32(g.word[p + 1], 4), r.vec[p], r.vec[p + 1]);
  }
  return r;
}
FANIN_INLINE Values<double, 4> normals(const Group& g, double) {
  const Vec<double> half = Vec<double>::set(0x1p-54), four = Vec<double>::set(4);
  Values<double, 4> r;
  for (int part = 0; part < 2; ++part) {
    const Vec<double> u = uniform53(g.word[0], g.word[1], part) + half;
    const Vec<double> angle = uniform53(g.word[2], g.word[3], part) + half;
    box_muller(u, angle * four, r.vec[part], r.vec[2 + part]);
  }
  return r;
}

/// Which of elements lanes * v ... of the group have a word below the threshold.
template <class T>
FANIN_INLINE Mask<T> below(const Group& g, std::uint32_t threshold, int v) {
  constexpr int parts = 16 / lanes<T>;
  return below<T>(g.word[v / parts], threshold, v % parts);
}

template <class T>
FANIN_INLINE Values<T, 64 / lanes<T>> trials(const Group& g, std::uint32_t threshold) {
  Values<T, 64 / lanes<T>> r;
  for (int v = 0; v < 64 / lanes<T>; ++v) {
    r.vec[v] = select(below<T>(g, threshold, v), Vec<T>::set(T(1)), Vec<T>::zero());
  }
  return r;
}

/// a + b * draw.
template <class T>
FANIN_INLINE Values<T, 4> scaled(Values<T, 4> r, T a, T b) {
  for (int v = 0; v < 4; ++v) r.vec[v] = fma(r.vec[v], Vec<T>::set(b), Vec<T>::set(a));
  return r;
}

template <Distribution D, class T>
FANIN_INLINE auto draws(const RandomFill<T>& f, const Group& g) {
  if constexpr (D == Distribution::uniform) {
    return scaled(uniforms(g, T{}), f.a, f.b);
  } else if constexpr (D == Distribution::normal) {
    return scaled(normals(g, T{}), f.a, f.b);
  } else {
    return trials<T>(g, f.threshold);
  }
}

/// f by value: a store to its `out` cannot change it, so that the round keys stay in registers.
template <Distribution D, class T>
void fill_groups(const RandomFill<T> f, Range elements) noexcept {
  constexpr index L = lanes<T>, per_group = elements_per_group<T>(D);
  std::uint64_t group = f.first_group + static_cast<std::uint64_t>(elements.begin / per_group);
  index e = elements.begin;
  Group pair[2];
  for (; e + 2 * per_group <= elements.end; group += 2) {
    philox_groups(f.key, group, pair);
    for (const Group& g : pair) {
      const auto values = draws<D>(f, g);
      for (const Vec<T>& v : values.vec) {
        v.store(f.out + e);
        e += L;
      }
    }
  }
  for (; e < elements.end; ++group) {
    const auto values = draws<D>(f, philox_group(f.key, group));
    for (const Vec<T>& v : values.vec) {
      const index left = elements.end - e;
      if (left <= 0) return;
      v.store(f.out + e, static_cast<int>(left < L ? left : L));
      e += L;
    }
  }
}

template <class T>
void random_fill(const RandomFill<T>& f, Range elements) noexcept {
  switch (f.distribution) {
    case Distribution::uniform:
      return fill_groups<Distribution::uniform>(f, elements);
    case Distribution::normal:
      return fill_groups<Distribution::normal>(f, elements);
    case Distribution::bernoulli:
      return fill_groups<Distribution::bernoulli>(f, elements);
  }
}

}  // namespace fanin::FANIN_ISA
