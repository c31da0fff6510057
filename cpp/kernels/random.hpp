#pragma once
#include <cstdint>

#include "core/names.hpp"
#include "core/view.hpp"

namespace fanin {

/// Philox4x32-10 (Salmon et al., SC'11): key = seed, counter = (block: 64 bits, stream: 64 bits),
/// low words first. Everything random is a pure function of (seed, stream, position). Sixteen
/// consecutive blocks, 16 b ... 16 b + 15, make one group b of 64 words: word w of block 16 b + l
/// is element 64 b + 16 w + l.
struct PhiloxKey {
  std::uint64_t seed = 0, stream = 0;
};

struct PhiloxBlock {
  std::uint32_t word[4];
};
PhiloxBlock philox(PhiloxKey key, std::uint64_t block);

inline constexpr int philox_rounds = 10;
inline constexpr std::uint32_t philox_multiplier[2] = {0xD2511F53u, 0xCD9E8D57u};
inline constexpr std::uint32_t philox_weyl[2] = {0x9E3779B9u, 0xBB67AE85u};

/// Streams that the package itself draws from have a purpose in the top byte; users' streams
/// are below 2^56.
enum class Purpose : std::uint64_t {
  user = 0,
  init,
  dropout,
  shuffle,
  replacement,
  augment,
  search,
  drop_connect
};
template <>
inline constexpr const char* names<Purpose>[] = {
    "user", "init", "dropout", "shuffle", "replacement", "augment", "search", "drop_connect"};

FANIN_INLINE std::uint64_t stream_of(Purpose purpose, std::uint64_t layer, std::uint64_t step) {
  return (static_cast<std::uint64_t>(purpose) << 56) | ((layer & 0xffff) << 40) |
         (step & 0xffffffffffull);
}

/// floor(range * x / 2^128) of one block's 128 bits x: a whole number in [0, range), bias below
/// range / 2^128. A range of 0 stands for 2^64.
std::uint64_t bounded(PhiloxBlock block, std::uint64_t range);

/// out[i] = low + bounded(block first + i, range).
void random_integers(PhiloxKey key, std::uint64_t first, std::int64_t low, std::uint64_t range,
                     std::int64_t* out, index n);

/// Fisher-Yates from the top: position i swaps with bounded(block first + i, i + 1).
void random_permutation(PhiloxKey key, std::int64_t* out, index n, std::uint64_t first = 0);

enum class Distribution : int { uniform, normal, bernoulli };
template <>
inline constexpr const char* names<Distribution>[] = {"uniform", "normal", "bernoulli"};

/// Fills out[range] of a flat array, beginning with group first_group.
/// uniform: fma([0, 1), b, a). float: element e has the top 24 bits of word e % 64 of group e / 64.
/// double: e % 32 = 16 h + l has the top 53 bits of words (2 h, 2 h + 1), low first, of lane l of
/// group e / 32.
/// normal: fma(Box-Muller, b, a). Radius and angle come from u = (word + 1/2) / 2^32 of words 0, 1
/// (slots 0, 1: cosine, sine) and 2, 3 (slots 2, 3) in float, and from the 53-bit draws of words
/// (0, 1) and (2, 3) in double (h = 0: cosine, h = 1: sine).
/// bernoulli: 1 where word e % 64 of group e / 64 is below the threshold, else 0, in both types.
template <class T>
struct RandomFill {
  Distribution distribution;
  PhiloxKey key;
  std::uint64_t first_group;
  T a, b;                   // uniform: low, high - low; normal: mean, std
  std::uint32_t threshold;  // bernoulli: p * 2^32
  T* out;
};

/// Elements of a flat array of T that one group of 64 words fills.
template <class T>
FANIN_INLINE constexpr index elements_per_group(Distribution d) {
  return sizeof(T) == 4 || d == Distribution::bernoulli ? 64 : 32;
}

}  // namespace fanin
