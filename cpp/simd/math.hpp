#pragma once
// Elementary functions of a Vec<T>, one formula for every machine: only +, -, *, / and fma, each
// rounded once, so the bits never differ. Coefficients are minimax fits, made for each type.
// No branch: the special cases are selects, and NaN comes through. Where exp or sigmoid would be
// denormal it is 0, whatever the floating-point mode.
//
// Largest error seen, in ulp:  exp   log   expm1  tanh  sigmoid  erf   gelu  sinpi  cospi
//   float, every 7th number    0.98  0.85  1.44   2.42  2.48     2.32  7.5   1.60   1.57
//   double, 6e7 numbers        1.00  0.88  1.82   2.56  2.43     1.97  8.6   1.50   1.49
// gelu is that good relative to its value, out to where Phi(x) is denormal; so are, on a million
// numbers each, silu (2.68, 2.36), mish (4.00, 4.51) and softplus (1.70, 2.05) while e^x is normal.
#include <cmath>

#include "core/view.hpp"
#include "simd/math_function.hpp"

namespace fanin::FANIN_ISA {

template <class T>
struct MathConstants;

template <>
struct MathConstants<float> {
  static constexpr float round = 0x1.8p23f;  // adding it rounds to a whole number
  static constexpr float ln2_high = 0x1.62e430p-1f, ln2_low = -0x1.05c610p-29f;
  static constexpr float exp_lowest = -0x1.5d589ep6f;  // ln(2^-126)
  static constexpr float exp_highest = 0x1.62e42ep6f;  // the last whose exponential is finite
  static constexpr float smallest = 0x1p-126f;         // normal number
  // (e^r - 1 - r) / r^2 on |r| <= ln(2) / 2
  static constexpr float exp[] = {0.5f,         0.16666666f,   0.041666485f,
                                  0.008333571f, 0.0013933025f, 0.00019739656f};
  // (log(1 + r) - r + r^2 / 2) / r^3 on [sqrt(1/2) - 1, sqrt(2) - 1]
  static constexpr float log[] = {0.3333333f,  -0.25000823f, 0.2000126f,  -0.16623321f,
                                  0.14200944f, -0.1315965f,  0.12767163f, -0.07643041f};
  // sin(pi r) / r and cos(pi r) in r^2, |r| <= 1/4
  static constexpr float sine[] = {3.1415927f, -5.167733f, 2.5508008f, -0.5998044f};
  static constexpr float cosine[] = {1.0f, -4.934802f, 4.0586963f, -1.334735f, 0.22872452f};
  // erf(x) / x in x^2, |x| <= 1
  static constexpr float erf[] = {1.1283791f,   -0.37612215f,    0.11278917f,   -0.026658641f,
                                  0.004817816f, -0.00047580004f, -2.875507e-05f};
  // (a + k) e^(a^2 / 2) Phi(-a) in (a - k) / (a + k), 0 <= a <= tail_end
  static constexpr float tail_k = 4.0f, tail_end = 14.0f;
  static constexpr float tail[] = {0.75528514f,   -0.6078966f,    0.38713688f,    -0.18652268f,
                                   0.060404625f,  -0.0075302953f, -0.0035199833f, 0.0015773925f,
                                   0.0001972818f, -0.00012387773f};
};

template <>
struct MathConstants<double> {
  static constexpr double round = 0x1.8p52;
  static constexpr double ln2_high = 0x1.62e42fefa39efp-1, ln2_low = 0x1.abc9e3b39803fp-56;
  static constexpr double exp_lowest = -0x1.6232bdd7abcd2p9;
  static constexpr double exp_highest = 0x1.62e42fefa39efp9;
  static constexpr double smallest = 0x1p-1022;
  static constexpr double exp[] = {0.5,
                                   0.16666666666666666,
                                   0.0416666666666667,
                                   0.008333333333334518,
                                   0.0013888888888864198,
                                   0.00019841269836544205,
                                   2.4801587368936182e-05,
                                   2.755732731150675e-06,
                                   2.7557234335541466e-07,
                                   2.5045873209012296e-08,
                                   2.092722084763993e-09,
                                   1.7848928163406316e-10};
  static constexpr double log[] = {
      0.3333333333333314,  -0.24999999999987968, 0.2000000000006701,   -0.16666666669830255,
      0.1428571428005612,  -0.12499999691116474, 0.11111111148077005,  -0.10000015218263957,
      0.09090923970566826, -0.08332913331999728, 0.0769152805232965,   -0.07149439871222513,
      0.06684616773442886, -0.06196713244510483, 0.056682006218048406, -0.05677391467050203,
      0.06503763665473511, -0.05982942738980257, 0.02615884902948976};
  static constexpr double sine[] = {
      3.141592653589793,  -5.167712780049824,    2.5501640398488012,    -0.5992645272534913,
      0.0821458169388526, -0.007369276129300346, 0.00045754500745244644};
  static constexpr double cosine[] = {1.0,
                                      -4.934802200544679,
                                      4.058712126416667,
                                      -1.3352627688435816,
                                      0.23533062979384223,
                                      -0.025806876103888425,
                                      0.0019293528175452494,
                                      -0.00010304534917505066};
  static constexpr double erf[] = {
      1.1283791670955126,      -0.3761263890318332,     0.11283791670934933,
      -0.026866170641417164,   0.005223977590037814,    -0.0008548325026725192,
      0.00012055261406556766,  -1.4923956533823658e-05, 1.6435275291042594e-06,
      -1.6083357426641575e-07, 1.2901749740616586e-08,  -4.71794675914243e-10,
      -5.070359581310762e-11};
  static constexpr double tail_k = 5.0, tail_end = 40.0;
  static constexpr double tail[] = {
      0.769193049750063,       -0.6653825028900566,     0.4953056159699767,
      -0.3135331566713122,     0.16502036617037638,     -0.06911863870605714,
      0.02079506679993856,     -0.0029933767742937635,  -0.0007978693982047746,
      0.0005448990959765012,   -5.937573218696805e-05,  -4.976297051684943e-05,
      1.6681227884021845e-05,  3.981400196882113e-06,   -2.7692623388392554e-06,
      -3.3763591840470807e-07, 4.3300115956057577e-07,  4.3580763141201364e-08,
      -6.558558133001054e-08,  -1.0264633059834035e-08, 7.277425167347824e-09,
      2.05436298035192e-09};
};

/// c[0] + c[1] x + c[2] x^2 + ..., by Horner's rule.
template <int I = 0, class T, int N>
FANIN_INLINE Vec<T> polynomial(Vec<T> x, const T (&c)[N]) {
  if constexpr (I + 1 == N) {
    return Vec<T>::set(c[I]);
  } else {
    return fma(polynomial<I + 1>(x, c), x, Vec<T>::set(c[I]));
  }
}

/// x within [low, high]; NaN stays.
template <class T>
FANIN_INLINE Vec<T> clamp(Vec<T> x, T low, T high) {
  return min(Vec<T>::set(high), max(Vec<T>::set(low), x));
}

/// e^r - 1 and the whole n of x = n ln(2) + r, |r| <= ln(2) / 2: e^x = 2^n e^r.
template <class T>
FANIN_INLINE Vec<T> reduced_expm1(Vec<T> x, Vec<T>& n) {
  using C = MathConstants<T>;
  const Vec<T> round = Vec<T>::set(C::round);
  n = fma(x, Vec<T>::set(T(1.4426950408889634)), round) - round;
  Vec<T> r = fnma(n, Vec<T>::set(C::ln2_high), x);
  r = fnma(n, Vec<T>::set(C::ln2_low), r);
  return fma(r * r, polynomial(r, C::exp), r);
}

template <class T>
FANIN_INLINE Vec<T> exp(Vec<T> x) {
  using C = MathConstants<T>;
  Vec<T> n;
  const Vec<T> q = reduced_expm1(x, n);
  Vec<T> y = scale_by_power(q + Vec<T>::set(T(1)), n);
  y = select(x > Vec<T>::set(C::exp_highest), Vec<T>::set(T(INFINITY)), y);
  return select(x < Vec<T>::set(C::exp_lowest), Vec<T>::zero(), y);
}

/// e^x - 1. The power of two is halved meanwhile, so that it never overflows; where x is so small
/// that half of it could be denormal, the result is x.
template <class T>
FANIN_INLINE Vec<T> expm1(Vec<T> x) {
  using C = MathConstants<T>;
  const Vec<T> half = Vec<T>::set(T(0.5));
  Vec<T> n;
  const Vec<T> q = reduced_expm1(clamp(x, T(-80), C::exp_highest), n);
  const Vec<T> power = scale_by_power(half, n);
  const Vec<T> y = fma(power, q, power - half);
  const Vec<T> linear = Vec<T>::set(sizeof(T) == 4 ? T(0x1p-25) : T(0x1p-54));
  const Vec<T> finite = select(abs(x) < linear, x, y + y);
  return select(x > Vec<T>::set(C::exp_highest), Vec<T>::set(T(INFINITY)), finite);
}

/// The coefficients of `factor` times c's polynomial in `ratio` times the variable; exact where
/// both are powers of two.
template <class T, int N>
struct Scaled {
  T c[N];
  constexpr Scaled(const T (&from)[N], T factor, T ratio) : c{} {
    for (int i = 0; i < N; ++i, factor *= ratio) c[i] = from[i] * factor;
  }
};

/// Scale (plus or minus a power of two) times the logarithm of a positive, normal, finite x; the
/// bits of 1 are those of log, and those of the others follow from them.
template <int Scale = 1, class T>
FANIN_INLINE Vec<T> log_positive(Vec<T> x) {
  using C = MathConstants<T>;
  constexpr T scale = Scale;
  constexpr Scaled series(C::log, scale, T(1));
  Vec<T> e;
  const Vec<T> r = split_exponent(x, e) - Vec<T>::set(T(1)), r2 = r * r;
  Vec<T> y = fma(e, Vec<T>::set(scale * C::ln2_low), r2 * r * polynomial(r, series.c));
  y = Scale == -2 ? y + r2 : fnma(Vec<T>::set(scale / 2), r2, y);
  const Vec<T> sum = Scale == 1 ? r + y : fma(Vec<T>::set(scale), r, y);
  return fma(e, Vec<T>::set(scale * C::ln2_high), sum);
}

/// -inf at zeros and denormals, NaN below.
template <class T>
FANIN_INLINE Vec<T> log(Vec<T> x) {
  const Vec<T> infinity = Vec<T>::set(T(INFINITY)), zero = Vec<T>::zero();
  Vec<T> y = select(x < infinity, log_positive(x), x);
  y = select(x < Vec<T>::set(MathConstants<T>::smallest), zero - infinity, y);
  return select(x < zero, Vec<T>::set(T(NAN)), y);
}

/// (e^2a - 1) / (e^2a + 1) for a = |x|; no further out than where it is 1.
template <class T>
FANIN_INLINE Vec<T> tanh(Vec<T> x) {
  const Vec<T> a = min(Vec<T>::set(T(20)), abs(x)), one = Vec<T>::set(T(1));
  Vec<T> n;
  const Vec<T> q = reduced_expm1(a + a, n);
  const Vec<T> power = scale_by_power(one, n);
  const Vec<T> e = fma(power, q, power - one);
  return copysign(e / (e + Vec<T>::set(T(2))), x);
}

/// 1 / (1 + e^-x).
template <class T>
FANIN_INLINE Vec<T> sigmoid(Vec<T> x) {
  constexpr T end = -MathConstants<T>::exp_lowest;
  const Vec<T> one = Vec<T>::set(T(1)), zero = Vec<T>::zero();
  Vec<T> n;
  const Vec<T> q = reduced_expm1(clamp(zero - x, -end, end), n);
  const Vec<T> y = one / fma(q + one, scale_by_power(one, n), one);
  return select(x < Vec<T>::set(-end), zero, y);
}

/// e^(-a^2 / 2); what rounding takes from a^2 is put back.
template <class T>
FANIN_INLINE Vec<T> gaussian(Vec<T> a) {
  const Vec<T> half = Vec<T>::set(T(0.5)), square = a * a;
  const Vec<T> lost = fma(a, a, Vec<T>::zero() - square);
  const Vec<T> y = exp(Vec<T>::set(T(-0.5)) * square);
  return fnma(y * half, lost, y);
}

/// Phi(-a), the upper tail of the normal distribution beyond 0 <= a <= tail_end.
/// After Shepherd and Laframboise (1981), Math. Comp. 36, 249-253.
template <class T>
FANIN_INLINE Vec<T> normal_tail(Vec<T> a) {
  using C = MathConstants<T>;
  const Vec<T> one = Vec<T>::set(T(1));
  const Vec<T> inverse = one / (a + Vec<T>::set(C::tail_k));
  const Vec<T> t = fnma(Vec<T>::set(2 * C::tail_k), inverse, one);
  return gaussian(a) * (polynomial(t, C::tail) * inverse);
}
/// |x|, and no further out than the tail's fit.
template <class T>
FANIN_INLINE Vec<T> tail_argument(Vec<T> x) {
  return min(Vec<T>::set(MathConstants<T>::tail_end), abs(x));
}

template <class T>
FANIN_INLINE Vec<T> normal_cdf(Vec<T> x) {
  const Vec<T> tail = normal_tail(tail_argument(x));
  return select(x > Vec<T>::zero(), Vec<T>::set(T(1)) - tail, tail);
}
template <class T>
FANIN_INLINE Vec<T> normal_pdf(Vec<T> x) {
  return gaussian(tail_argument(x)) * Vec<T>::set(T(0.3989422804014327));
}

template <class T>
FANIN_INLINE Vec<T> erf(Vec<T> x) {
  const Vec<T> one = Vec<T>::set(T(1));
  const Vec<T> near = x * polynomial(x * x, MathConstants<T>::erf);
  const Vec<T> tail = normal_tail(tail_argument(x * Vec<T>::set(T(1.4142135623730951))));
  return select(abs(x) < one, near, copysign(one - (tail + tail), x));
}

/// x Phi(x) and its slope Phi(x) + x phi(x); the clamp keeps -inf from making 0 * inf.
template <class T>
FANIN_INLINE Vec<T> gelu(Vec<T> x, Vec<T>& slope) {
  const Vec<T> end = Vec<T>::set(MathConstants<T>::tail_end), zero = Vec<T>::zero();
  const Vec<T> cdf = normal_cdf(x), lower = max(zero - end, x);
  slope = fma(min(end, lower), normal_pdf(x), cdf);
  return lower * cdf;
}

/// x sigmoid(x) and its slope; the clamps keep an infinity from making 0 * inf.
template <class T>
FANIN_INLINE Vec<T> silu(Vec<T> x, Vec<T>& slope) {
  const Vec<T> end = Vec<T>::set(-MathConstants<T>::exp_lowest), one = Vec<T>::set(T(1));
  const Vec<T> s = sigmoid(x), lower = max(Vec<T>::zero() - end, x);
  slope = fma(min(end, lower) * s, one - s, s);
  return lower * s;
}

/// x tanh(log(1 + e^x)) and its slope. With e = e^x the tanh is n / (n + 2), n = e (e + 2), and
/// its slope 4 e (1 + e) / (n + 2)^2; no further out than where these are 1 and 0.
template <class T>
FANIN_INLINE Vec<T> mish(Vec<T> x, Vec<T>& slope) {
  const Vec<T> zero = Vec<T>::zero(), one = Vec<T>::set(T(1)), two = Vec<T>::set(T(2));
  const Vec<T> lower = max(Vec<T>::set(MathConstants<T>::exp_lowest) - one, x);
  const Vec<T> near = min(Vec<T>::set(T(24)), lower);
  const Vec<T> e = exp(near), n = e * (e + two), inverse = one / (n + two);
  const Vec<T> t = select(x > zero, fnma(two, inverse, one), n * inverse);
  const Vec<T> change = ((inverse * Vec<T>::set(T(4))) * e) * ((e + one) * inverse);
  slope = fma(near, change, t);
  return lower * t;
}

/// log(1 + u), 0 <= u <= 1.
template <class T>
FANIN_INLINE Vec<T> log1p_unit(Vec<T> u) {
  const Vec<T> one = Vec<T>::set(T(1)), half = Vec<T>::set(T(0.5));
  const Mask<T> halved = u > Vec<T>::set(T(0.41421356237309503));
  const Vec<T> r = select(halved, (u - one) * half, u), r2 = r * r;
  const Vec<T> y = r + fnma(half, r2, r2 * r * polynomial(r, MathConstants<T>::log));
  return select(halved, y + Vec<T>::set(T(0.6931471805599453)), y);
}

/// log(1 + e^x) and its slope, sigmoid(x).
template <class T>
FANIN_INLINE Vec<T> softplus(Vec<T> x, Vec<T>& slope) {
  const Vec<T> zero = Vec<T>::zero(), one = Vec<T>::set(T(1));
  const Vec<T> u = exp(zero - abs(x));
  slope = select(x > zero, one, u) / (one + u);
  return max(zero, x) + log1p_unit(u);
}

/// Sine and cosine of t quarters of a circle, |t| < 2^22 (float) or 2^51 (double): with t = q + r
/// they are those of r, turned exactly by q whole quarters.
template <class T>
FANIN_INLINE void sincos_quarters(Vec<T> t, Vec<T>& sine, Vec<T>& cosine) {
  using C = MathConstants<T>;
  constexpr Scaled sine_of(C::sine, T(0.5), T(0.25));
  constexpr Scaled cosine_of(C::cosine, T(1), T(0.25));
  const Vec<T> round = Vec<T>::set(C::round);
  const Vec<T> quarters = t + round;
  const Vec<T> r = t - (quarters - round), z = r * r;
  sine = r * polynomial(z, sine_of.c);
  cosine = polynomial(z, cosine_of.c);
  turn_quarters(quarters, sine, cosine);
}

template <MathFunction F, class T>
FANIN_INLINE Vec<T> apply(Vec<T> x) {
  Vec<T> other, sine, cosine;
  if constexpr (F == MathFunction::exp) return exp(x);
  if constexpr (F == MathFunction::log) return log(x);
  if constexpr (F == MathFunction::tanh) return tanh(x);
  if constexpr (F == MathFunction::sigmoid) return sigmoid(x);
  if constexpr (F == MathFunction::erf) return erf(x);
  if constexpr (F == MathFunction::gelu) return gelu(x, other);
  if constexpr (F == MathFunction::expm1) return expm1(x);
  if constexpr (F == MathFunction::silu) return silu(x, other);
  if constexpr (F == MathFunction::mish) return mish(x, other);
  if constexpr (F == MathFunction::softplus) return softplus(x, other);
  sincos_quarters(x + x, sine, cosine);
  return F == MathFunction::sinpi ? sine : cosine;
}

template <MathFunction F, class T>
void map_as(const T* x, T* out, index n) noexcept {
  constexpr index L = lanes<T>;
  index i = 0;
  for (; i + L <= n; i += L) apply<F>(Vec<T>::load(x + i)).store(out + i);
  const int left = static_cast<int>(n - i);
  if (left > 0) apply<F>(Vec<T>::load(x + i, left)).store(out + i, left);
}

/// out[i] = f(x[i]); out may be x.
template <class T>
void map(int function, const T* x, T* out, index n) noexcept {
  switch (static_cast<MathFunction>(function)) {
    case MathFunction::exp:
      return map_as<MathFunction::exp>(x, out, n);
    case MathFunction::log:
      return map_as<MathFunction::log>(x, out, n);
    case MathFunction::tanh:
      return map_as<MathFunction::tanh>(x, out, n);
    case MathFunction::sigmoid:
      return map_as<MathFunction::sigmoid>(x, out, n);
    case MathFunction::erf:
      return map_as<MathFunction::erf>(x, out, n);
    case MathFunction::gelu:
      return map_as<MathFunction::gelu>(x, out, n);
    case MathFunction::expm1:
      return map_as<MathFunction::expm1>(x, out, n);
    case MathFunction::sinpi:
      return map_as<MathFunction::sinpi>(x, out, n);
    case MathFunction::cospi:
      return map_as<MathFunction::cospi>(x, out, n);
    case MathFunction::silu:
      return map_as<MathFunction::silu>(x, out, n);
    case MathFunction::mish:
      return map_as<MathFunction::mish>(x, out, n);
    case MathFunction::softplus:
      return map_as<MathFunction::softplus>(x, out, n);
  }
}

}  // namespace fanin::FANIN_ISA
