#include "engine/augment/mixing.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "isa/dispatch.hpp"
#include "simd/math_function.hpp"

namespace fanin {

namespace {

constexpr std::uint64_t mixing_layer = 0xffff, groups_of_sample = std::uint64_t{1} << 20;

/// The draws of one sample, by block.
class Draws {
 public:
  Draws(std::uint64_t seed, std::uint64_t sample, std::uint64_t epoch)
      : key_{seed, stream_of(Purpose::augment, mixing_layer, epoch)},
        first_(sample * groups_of_sample * 16) {}
  PhiloxBlock block(std::uint64_t i) const { return philox(key_, first_ + i); }

 private:
  PhiloxKey key_;
  std::uint64_t first_;
};

/// (x + 1/2) / 2^53 of the top 53 bits of (high, low).
double uniform(std::uint32_t low, std::uint32_t high) {
  const std::uint64_t x = (std::uint64_t{high} << 21) | (low >> 11);
  return static_cast<double>(x) * 0x1p-53 + 0x1p-54;
}

double apply(MathFunction f, double x) {
  double y;
  kernels<double>().map(static_cast<int>(f), &x, &y, 1);
  return y;
}

/// Beta(alpha, alpha) is (1 + t / sqrt(2 alpha + t^2)) / 2 of Student's t with 2 alpha degrees of
/// freedom, and Bailey's polar method (1994, Math. Comp. 62, 779-781) draws that without
/// rejection: t^2 = 2 alpha (1 / e - 1) c^2 with e = u^(1 / alpha) and c = cos(2 pi v). The
/// smaller of the two shares is made without cancellation.
double symmetric_beta(double alpha, PhiloxBlock draw) {
  const double u = uniform(draw.word[0], draw.word[1]), v = uniform(draw.word[2], draw.word[3]);
  const double power = apply(MathFunction::log, u) / alpha;
  const double e = apply(MathFunction::exp, power), rest = -apply(MathFunction::expm1, power);
  const double c = apply(MathFunction::cospi, 2 * v);
  const double spread = rest * (c * c), all = e + spread;
  const double smaller = 0.5 * (e / all) / (1 + std::sqrt(spread / all));
  return c < 0 ? smaller : 1 - smaller;
}

index whole(std::uint32_t word, index range) {
  return static_cast<index>((std::uint64_t{word} * static_cast<std::uint64_t>(range)) >> 32);
}

/// Half the sides sqrt(1 - lambda) of the image's, rounded down, to each side of a centre anywhere.
Mixed clipped_box(double lambda, PhiloxBlock draw, index height, index width) {
  const double half = 0.5 * std::sqrt(1 - lambda);
  const auto reach = [&](index side) {
    return static_cast<index>(half * static_cast<double>(side));
  };
  const index y = whole(draw.word[0], height), x = whole(draw.word[1], width);
  Mixed m;
  m.top = std::max<index>(y - reach(height), 0);
  m.left = std::max<index>(x - reach(width), 0);
  m.bottom = std::min(y + reach(height), height);
  m.right = std::min(x + reach(width), width);
  const index area = (m.bottom - m.top) * (m.right - m.left);
  m.lambda = 1 - static_cast<double>(area) / static_cast<double>(height * width);
  return m;
}

}  // namespace

Mixed draw_mix(const Mixing& mixing, std::uint64_t sample, std::uint64_t epoch, index height,
               index width) {
  const Draws draws(mixing.seed, sample, epoch);
  if (mixing.alpha <= 0 || height * width == 0) return {};
  if (mixing.p < 1 && draws.block(0).word[0] * 0x1p-32 >= mixing.p) return {};
  Mixed mixed;
  mixed.lambda = symmetric_beta(mixing.alpha, draws.block(1));
  if (mixing.kind == MixKind::mixup) return mixed;
  return clipped_box(mixed.lambda, draws.block(2), height, width);
}

void draw_mix(const Mixing& mixing, const std::int64_t* samples, index n, std::uint64_t epoch,
              index height, index width, Mixed* mixed) {
  for (index i = 0; i < n; ++i) {
    const auto sample = static_cast<std::uint64_t>(samples[i]);
    mixed[i] =
        i == 0 || mixing.per_sample ? draw_mix(mixing, sample, epoch, height, width) : mixed[0];
  }
}

void mix_images(MixKind kind, const Mixed& mixed, const MixImages& a) {
  const index item = a.dtype == DType::u8 ? 1 : 4;
  const index pixels = a.height * a.width;
  if (kind == MixKind::mixup && mixed.lambda < 1) {
    const Blend blend{a.own, a.partner, a.out, a.dtype, static_cast<float>(mixed.lambda)};
    image_kernels().blend(blend, {0, pixels * a.channels});
    return;
  }
  std::memcpy(a.out, a.own, static_cast<std::size_t>(pixels * a.channels * item));
  const index planes = a.planar ? a.channels : 1, pixel = a.planar ? item : a.channels * item;
  const auto bytes = static_cast<std::size_t>((mixed.right - mixed.left) * pixel);
  for (index c = 0; c < planes; ++c) {
    for (index i = mixed.top; i < mixed.bottom; ++i) {
      const index at = ((c * a.height + i) * a.width + mixed.left) * pixel;
      std::memcpy(static_cast<char*>(a.out) + at, static_cast<const char*>(a.partner) + at, bytes);
    }
  }
}

}  // namespace fanin
