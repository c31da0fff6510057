#pragma once
#include "kernels/random.hpp"
#include "simd/math.hpp"

namespace fanin::FANIN_ISA {

/// The 64 words of one group: lane l of word[w] is word w of its block l.
struct Group {
  U32 word[4];
};

/// N groups at once: more than one hides the multiplications' latency.
template <int N>
FANIN_INLINE void philox_groups(PhiloxKey key, std::uint64_t first, Group (&groups)[N]) {
  for (int n = 0; n < N; ++n) {
    const std::uint64_t block = (first + static_cast<std::uint64_t>(n)) * 16;
    groups[n] = {{U32::iota(static_cast<std::uint32_t>(block)),  // no lane of a group carries
                  U32::set(static_cast<std::uint32_t>(block >> 32)),
                  U32::set(static_cast<std::uint32_t>(key.stream)),
                  U32::set(static_cast<std::uint32_t>(key.stream >> 32))}};
  }
  std::uint32_t k0 = static_cast<std::uint32_t>(key.seed);
  std::uint32_t k1 = static_cast<std::uint32_t>(key.seed >> 32);
  for (int round = 0; round < philox_rounds; ++round) {
    const U32 key0 = U32::set(k0), key1 = U32::set(k1);
    for (Group& g : groups) {
      U32 high0, low0, high1, low1;
      multiply_wide(g.word[0], philox_multiplier[0], high0, low0);
      multiply_wide(g.word[2], philox_multiplier[1], high1, low1);
      g = {{high1 ^ g.word[1] ^ key0, low1, high0 ^ g.word[3] ^ key1, low0}};
    }
    k0 += philox_weyl[0];
    k1 += philox_weyl[1];
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

/// Box-Muller: two normals from u and angle in (0, 1].
template <class T>
FANIN_INLINE void box_muller(Vec<T> u, Vec<T> angle, Vec<T>& first, Vec<T>& second) {
  const Vec<T> radius = sqrt(log_positive(u) * Vec<T>::set(T(-2)));
  Vec<T> sine, cosine;
  sincospi(angle + angle, sine, cosine);
  first = radius * cosine;
  second = radius * sine;
}

/// (word + 1/2) / 2^32, rounded to float: in (0, 1].
FANIN_INLINE Vec<float> uniform32(U32 word) {
  return fma(Vec<float>::from_u32(word), Vec<float>::set(0x1p-32f), Vec<float>::set(0x1p-33f));
}

FANIN_INLINE Values<float, 4> normals(const Group& g, float) {
  Values<float, 4> r;
  box_muller(uniform32(g.word[0]), uniform32(g.word[1]), r.vec[0], r.vec[1]);
  box_muller(uniform32(g.word[2]), uniform32(g.word[3]), r.vec[2], r.vec[3]);
  return r;
}
FANIN_INLINE Values<double, 4> normals(const Group& g, double) {
  const Vec<double> half = Vec<double>::set(0x1p-54);
  Values<double, 4> r;
  for (int part = 0; part < 2; ++part) {
    const Vec<double> u = uniform53(g.word[0], g.word[1], part) + half;
    const Vec<double> angle = uniform53(g.word[2], g.word[3], part) + half;
    box_muller(u, angle, r.vec[part], r.vec[2 + part]);
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
  Group pair[2];
  index e = elements.begin;
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
  philox_groups(f.key, group, pair);
  for (const Group& g : pair) {
    const auto values = draws<D>(f, g);
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
