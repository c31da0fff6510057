#pragma once
#include <cstdint>

#include "core/view.hpp"

namespace fanin {

/// Philox4x32-10 (Salmon et al., SC'11): key = seed, counter = (block: 64 bits, stream: 64 bits).
/// Everything random is a pure function of (seed, stream, position). Sixteen consecutive blocks,
/// 16 b ... 16 b + 15, make one group b of 64 words: word w of block 16 b + l is element 64 b + 16 w + l.
struct PhiloxKey {
  std::uint64_t seed = 0, stream = 0;
};

struct PhiloxBlock {
  std::uint32_t word[4];
};
PhiloxBlock philox(PhiloxKey key, std::uint64_t block);

/// Streams that the package itself draws from have a purpose in the top byte; users' streams
/// are below 2^56.
enum class Purpose : std::uint64_t { user = 0, init, dropout, shuffle, replacement, augment, search };

FANIN_INLINE std::uint64_t stream_of(Purpose purpose, std::uint64_t layer, std::uint64_t step) {
  return (static_cast<std::uint64_t>(purpose) << 56) | ((layer & 0xffff) << 40) |
         (step & 0xffffffffffull);
}

/// A whole number in [0, range) from one block's 128 bits: bias below range / 2^128.
std::uint64_t bounded(PhiloxBlock block, std::uint64_t range);

/// out[i] = low + bounded(block first + i, range).
void random_integers(PhiloxKey key, std::uint64_t first, std::int64_t low, std::uint64_t range,
                     std::int64_t* out, index n);

/// Fisher-Yates from the top: position i swaps with bounded(block i, i + 1).
void random_permutation(PhiloxKey key, std::int64_t* out, index n);

enum class Distribution : int { uniform, normal, bernoulli };

/// Fills out[range] of a flat array; element e of float comes from group e / 64, of double from
/// group e / 32 (two words each). uniform: low + [0, 1) * (high - low), 24 or 53 bits. normal: a + b *
/// Box-Muller. bernoulli (float draws): 1 where the word is below a * 2^32, else 0.
template <class T>
struct RandomFill {
  Distribution distribution;
  PhiloxKey key;
  std::uint64_t first_group;
  T a, b;  // uniform: low, high - low; normal: mean, std
  std::uint32_t threshold;  // bernoulli
  T* out;
  index n;
};

}  // namespace fanin
