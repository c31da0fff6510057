#include "kernels/random.hpp"

#include <utility>

namespace fanin {

namespace {

struct Wide {
  std::uint64_t low, high;
};

/// The 128-bit product, in halves; no compiler's own 128-bit type is needed.
Wide multiply(std::uint64_t a, std::uint64_t b) {
  constexpr std::uint64_t low_half = 0xffffffffull;
  const std::uint64_t a0 = a & low_half, a1 = a >> 32, b0 = b & low_half, b1 = b >> 32;
  const std::uint64_t p00 = a0 * b0, p01 = a0 * b1, p10 = a1 * b0, p11 = a1 * b1;
  const std::uint64_t middle = (p00 >> 32) + (p01 & low_half) + (p10 & low_half);
  return {(middle << 32) | (p00 & low_half), p11 + (p01 >> 32) + (p10 >> 32) + (middle >> 32)};
}

std::uint64_t join(std::uint32_t low, std::uint32_t high) {
  return (static_cast<std::uint64_t>(high) << 32) | low;
}

}  // namespace

PhiloxBlock philox(PhiloxKey key, std::uint64_t block) {
  std::uint32_t c0 = static_cast<std::uint32_t>(block);
  std::uint32_t c1 = static_cast<std::uint32_t>(block >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(key.stream);
  std::uint32_t c3 = static_cast<std::uint32_t>(key.stream >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(key.seed);
  std::uint32_t k1 = static_cast<std::uint32_t>(key.seed >> 32);
  for (int round = 0; round < philox_rounds; ++round) {
    const std::uint64_t p0 = std::uint64_t{philox_multiplier[0]} * c0;
    const std::uint64_t p1 = std::uint64_t{philox_multiplier[1]} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += philox_weyl[0];
    k1 += philox_weyl[1];
  }
  return {{c0, c1, c2, c3}};
}

std::uint64_t bounded(PhiloxBlock block, std::uint64_t range) {
  const std::uint64_t low = join(block.word[0], block.word[1]);
  const std::uint64_t high = join(block.word[2], block.word[3]);
  if (range == 0) return high;
  const Wide of_low = multiply(low, range), of_high = multiply(high, range);
  const bool carry = of_high.low + of_low.high < of_high.low;
  return of_high.high + (carry ? 1 : 0);
}

void random_integers(PhiloxKey key, std::uint64_t first, std::int64_t low, std::uint64_t range,
                     std::int64_t* out, index n) {
  for (index i = 0; i < n; ++i) {
    const std::uint64_t draw = bounded(philox(key, first + static_cast<std::uint64_t>(i)), range);
    out[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + draw);
  }
}

void random_permutation(PhiloxKey key, std::int64_t* out, index n, std::uint64_t first) {
  for (index i = 0; i < n; ++i) out[i] = i;
  for (index i = n - 1; i > 0; --i) {
    const auto at = static_cast<std::uint64_t>(i);
    const std::uint64_t j = bounded(philox(key, first + at), at + 1);
    std::swap(out[i], out[static_cast<index>(j)]);
  }
}

}  // namespace fanin
