#pragma once
// The contract of the vector layer, in plain C++. A Vec<T> is always 64 bytes: 16 floats or 8
// doubles, whatever the machine's registers hold, so that every sum has one order on every machine.
// Each vec_<isa>.hpp offers the same names with the same results, bit for bit.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "core/view.hpp"

namespace fanin::FANIN_ISA {

template <class T>
inline constexpr int lanes = static_cast<int>(64 / sizeof(T));
inline constexpr int register_bytes = 16;

/// Vecs of a row of a product's tile, which fit the registers; and of a tile that is a row alone,
/// where the reading of b takes the time: half the registers are for its loads.
inline constexpr int panel_vecs = 1, single_row_vecs = 2;

template <class T>
struct Mask {
  bool v[lanes<T>];
};

/// Sixteen unsigned 32-bit words.
struct U32 {
  std::uint32_t v[16];

  static FANIN_INLINE U32 set(std::uint32_t x) {
    U32 r;
    for (int i = 0; i < 16; ++i) r.v[i] = x;
    return r;
  }
  static FANIN_INLINE U32 load(const std::uint32_t* p) {
    U32 r;
    std::memcpy(r.v, p, sizeof r.v);
    return r;
  }
  FANIN_INLINE void store(std::uint32_t* p) const { std::memcpy(p, v, sizeof v); }
  /// first, first + 1, ..., first + 15 (modulo 2^32).
  static FANIN_INLINE U32 iota(std::uint32_t first) {
    U32 r;
    for (int i = 0; i < 16; ++i) r.v[i] = first + static_cast<std::uint32_t>(i);
    return r;
  }
};

FANIN_INLINE U32 operator^(U32 a, U32 b) {
  for (int i = 0; i < 16; ++i) a.v[i] ^= b.v[i];
  return a;
}
/// The 64-bit product of each word of a with m, in halves.
FANIN_INLINE void multiply_wide(U32 a, std::uint32_t m, U32& high, U32& low) {
  for (int i = 0; i < 16; ++i) {
    const std::uint64_t p = static_cast<std::uint64_t>(a.v[i]) * m;
    high.v[i] = static_cast<std::uint32_t>(p >> 32);
    low.v[i] = static_cast<std::uint32_t>(p);
  }
}
/// Sixteen words in the form that this machine multiplies best; packed() gives them back in order.
using Spread = U32;
FANIN_INLINE U32 packed(Spread a) { return a; }
template <int n>
FANIN_INLINE U32 shift_right(U32 a) {
  for (int i = 0; i < 16; ++i) a.v[i] >>= n;
  return a;
}

template <class T>
struct Vec {
  T v[lanes<T>];

  static FANIN_INLINE Vec zero() { return set(T(0)); }
  static FANIN_INLINE Vec set(T x) {
    Vec r;
    for (int i = 0; i < lanes<T>; ++i) r.v[i] = x;
    return r;
  }
  static FANIN_INLINE Vec load(const T* p) {
    Vec r;
    std::memcpy(r.v, p, sizeof r.v);
    return r;
  }
  /// The first n lanes from p (0 <= n <= lanes), zero in the rest; reads nothing beyond.
  static FANIN_INLINE Vec load(const T* p, int n) { return convert(p, n); }
  FANIN_INLINE void store(T* p) const { std::memcpy(p, v, sizeof v); }
  FANIN_INLINE void store(T* p, int n) const {
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }
  /// Loads that convert, rounding to nearest: S is std::uint8_t, float or double.
  template <class S>
  static FANIN_INLINE Vec convert(const S* p) {
    Vec r;
    for (int i = 0; i < lanes<T>; ++i) r.v[i] = static_cast<T>(p[i]);
    return r;
  }
  template <class S>
  static FANIN_INLINE Vec convert(const S* p, int n) {
    Vec r = zero();
    for (int i = 0; i < n; ++i) r.v[i] = static_cast<T>(p[i]);
    return r;
  }
  /// Words `part * lanes` .. of u as numbers, rounded to nearest (float: part 0; double: 0 or 1).
  static FANIN_INLINE Vec from_u32(U32 u, int part = 0) {
    Vec r;
    for (int i = 0; i < lanes<T>; ++i) r.v[i] = static_cast<T>(u.v[part * lanes<T> + i]);
    return r;
  }
};

template <class T, class F>
FANIN_INLINE Vec<T> each(Vec<T> a, Vec<T> b, F f) {
  for (int i = 0; i < lanes<T>; ++i) a.v[i] = f(a.v[i], b.v[i]);
  return a;
}
template <class T, class F>
FANIN_INLINE Mask<T> compare(Vec<T> a, Vec<T> b, F f) {
  Mask<T> m;
  for (int i = 0; i < lanes<T>; ++i) m.v[i] = f(a.v[i], b.v[i]);
  return m;
}

template <class T>
FANIN_INLINE Vec<T> operator+(Vec<T> a, Vec<T> b) {
  return each(a, b, [](T x, T y) { return x + y; });
}
template <class T>
FANIN_INLINE Vec<T> operator-(Vec<T> a, Vec<T> b) {
  return each(a, b, [](T x, T y) { return x - y; });
}
template <class T>
FANIN_INLINE Vec<T> operator*(Vec<T> a, Vec<T> b) {
  return each(a, b, [](T x, T y) { return x * y; });
}
template <class T>
FANIN_INLINE Vec<T> operator/(Vec<T> a, Vec<T> b) {
  return each(a, b, [](T x, T y) { return x / y; });
}
/// a / b for loops that keep the divider busy with roots: computed without it where |a| is 0 or at
/// least `least`, which is no less than 2^-58, and b at most 2^66.
template <class T>
FANIN_INLINE Vec<T> quotient(Vec<T> a, Vec<T> b, Vec<T>) {
  return a / b;
}
/// a * b + c, rounded once.
template <class T>
FANIN_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
  for (int i = 0; i < lanes<T>; ++i) a.v[i] = std::fma(a.v[i], b.v[i], c.v[i]);
  return a;
}
/// c - a * b, rounded once.
template <class T>
FANIN_INLINE Vec<T> fnma(Vec<T> a, Vec<T> b, Vec<T> c) {
  for (int i = 0; i < lanes<T>; ++i) a.v[i] = std::fma(-a.v[i], b.v[i], c.v[i]);
  return a;
}
template <class T>
FANIN_INLINE Vec<T> sqrt(Vec<T> a) {
  for (int i = 0; i < lanes<T>; ++i) a.v[i] = std::sqrt(a.v[i]);
  return a;
}
/// The second where either is NaN or both are zero, as x86 has it.
template <class T>
FANIN_INLINE Vec<T> max(Vec<T> a, Vec<T> b) {
  return each(a, b, [](T x, T y) { return x > y ? x : y; });
}
template <class T>
FANIN_INLINE Vec<T> min(Vec<T> a, Vec<T> b) {
  return each(a, b, [](T x, T y) { return x < y ? x : y; });
}
template <class T>
FANIN_INLINE Vec<T> abs(Vec<T> a) {
  for (int i = 0; i < lanes<T>; ++i) a.v[i] = std::fabs(a.v[i]);
  return a;
}
/// |a| with the sign bit of b.
template <class T>
FANIN_INLINE Vec<T> copysign(Vec<T> a, Vec<T> b) {
  return each(a, b, [](T x, T y) { return std::copysign(x, y); });
}
/// Ordered comparisons: false where either is NaN.
template <class T>
FANIN_INLINE Mask<T> operator<(Vec<T> a, Vec<T> b) {
  return compare(a, b, [](T x, T y) { return x < y; });
}
template <class T>
FANIN_INLINE Mask<T> operator>(Vec<T> a, Vec<T> b) {
  return compare(a, b, [](T x, T y) { return x > y; });
}
template <class T>
FANIN_INLINE Mask<T> operator==(Vec<T> a, Vec<T> b) {
  return compare(a, b, [](T x, T y) { return x == y; });
}
/// a where the mask holds, else b.
template <class T>
FANIN_INLINE Vec<T> select(Mask<T> m, Vec<T> a, Vec<T> b) {
  for (int i = 0; i < lanes<T>; ++i) a.v[i] = m.v[i] ? a.v[i] : b.v[i];
  return a;
}
/// True where any lane of the mask holds.
/// The mask of lanes below n.
template <class T>
FANIN_INLINE Mask<T> first_lanes(int n) {
  Mask<T> m;
  for (int i = 0; i < lanes<T>; ++i) m.v[i] = i < n;
  return m;
}
/// Words `part * lanes` .. of u below the threshold.
template <class T>
FANIN_INLINE Mask<T> below(U32 u, std::uint32_t threshold, int part = 0) {
  Mask<T> m;
  for (int i = 0; i < lanes<T>; ++i) m.v[i] = u.v[part * lanes<T> + i] < threshold;
  return m;
}
/// To the nearest whole number, ties to even; |a| must be below 2^22 (float) or 2^51 (double).
/// Adding and taking away 1.5 * 2^p rounds in the default mode on every machine.
template <class T>
FANIN_INLINE Vec<T> round_even(Vec<T> a) {
  const Vec<T> magic = Vec<T>::set(sizeof(T) == 4 ? T(12582912.0) : T(6755399441055744.0));
  return (a + magic) - magic;
}
/// a * 2^n by adding n to the exponent field: a normal or a sum that stays normal; n whole.
FANIN_INLINE Vec<float> scale_by_power(Vec<float> a, Vec<float> n) {
  for (int i = 0; i < 16; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, &a.v[i], 4);
    bits += static_cast<std::uint32_t>(static_cast<std::int32_t>(n.v[i])) << 23;
    std::memcpy(&a.v[i], &bits, 4);
  }
  return a;
}
FANIN_INLINE Vec<double> scale_by_power(Vec<double> a, Vec<double> n) {
  for (int i = 0; i < 8; ++i) {
    std::uint64_t bits;
    std::memcpy(&bits, &a.v[i], 8);
    bits += static_cast<std::uint64_t>(static_cast<std::int64_t>(n.v[i])) << 52;
    std::memcpy(&a.v[i], &bits, 8);
  }
  return a;
}
/// To the nearest bf16, ties to even; a subnormal number counts as zero.
FANIN_INLINE Vec<float> round_to_bf16(Vec<float> a) {
  for (int i = 0; i < 16; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, &a.v[i], 4);
    const std::uint32_t size = bits & 0x7fffffffu;
    if (size < 0x00800000u) {
      bits &= 0x80000000u;
    } else if (size > 0x7f800000u) {
      bits |= 0x00400000u;  // stays NaN
    } else {
      bits += 0x7fffu + ((bits >> 16) & 1u);
    }
    bits &= 0xffff0000u;
    std::memcpy(&a.v[i], &bits, 4);
  }
  return a;
}
/// Splits a positive normal a = mantissa * 2^exponent, the mantissa above sqrt(1/2) and at most
/// sqrt(2), the exponent whole.
FANIN_INLINE Vec<float> split_exponent(Vec<float> a, Vec<float>& exponent) {
  for (int i = 0; i < 16; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, &a.v[i], 4);
    const std::uint32_t above = bits + (0x3f800000u - 0x3f3504f4u);
    exponent.v[i] = static_cast<float>(static_cast<std::int32_t>(above >> 23) - 127);
    bits += 0x3f800000u - (above & 0xff800000u);
    std::memcpy(&a.v[i], &bits, 4);
  }
  return a;
}
FANIN_INLINE Vec<double> split_exponent(Vec<double> a, Vec<double>& exponent) {
  for (int i = 0; i < 8; ++i) {
    std::uint64_t bits;
    std::memcpy(&bits, &a.v[i], 8);
    const std::uint64_t above = bits + (0x3ff0000000000000u - 0x3fe6a09e667f3bceu);
    exponent.v[i] = static_cast<double>(static_cast<std::int64_t>(above >> 52) - 1023);
    bits += 0x3ff0000000000000u - (above & 0xfff0000000000000u);
    std::memcpy(&a.v[i], &bits, 8);
  }
  return a;
}
/// Turns the point (cosine, sine) by n quarters of a circle, n in the low bits of what
/// 1.5 * 2^p + n holds (see round_even): swaps and signs, so the bits stay.
template <class T>
FANIN_INLINE void turn_quarters(Vec<T> n, Vec<T>& sine, Vec<T>& cosine) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  for (int i = 0; i < lanes<T>; ++i) {
    Bits bits;
    std::memcpy(&bits, &n.v[i], sizeof bits);
    const T s = bits & 1 ? cosine.v[i] : sine.v[i];
    const T c = bits & 1 ? sine.v[i] : cosine.v[i];
    sine.v[i] = bits & 2 ? -s : s;
    cosine.v[i] = (bits + 1) & 2 ? -c : c;
  }
}

/// Folds lane i onto lane i + half, half = lanes/2, ..., 1: the one tree of every sum and maximum.
template <class T, class F>
FANIN_INLINE T fold(Vec<T> a, F f) {
  for (int half = lanes<T> / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) a.v[i] = f(a.v[i], a.v[i + half]);
  }
  return a.v[0];
}
template <class T>
FANIN_INLINE T sum(Vec<T> a) {
  return fold(a, [](T x, T y) { return x + y; });
}
template <class T>
FANIN_INLINE T maximum(Vec<T> a) {
  return fold(a, [](T x, T y) { return x > y ? x : y; });
}

}  // namespace fanin::FANIN_ISA
