#pragma once
#include <cstdint>

#include "core/view.hpp"

namespace fanin {

/// y * scale where the draw is below the threshold, else 0; without a threshold y * scale.
/// The draw of element (i, j) is word (j % 64 / 16) of Philox block ((first_row + i) *
/// blocks_per_row
/// + j / 64) * 16 + j % 16 under (seed, stream): a pure function of where the element stands.
template <class T>
struct Dropout {
  std::uint64_t seed = 0, stream = 0;
  index first_row = 0;          // the row of the whole mask that this call's row 0 is
  std::uint32_t threshold = 0;  // keep * 2^32; 0 stands for no dropout
  T scale = T(1);               // 1 / keep: inverted dropout

  FANIN_INLINE bool active() const { return threshold != 0; }
};

FANIN_INLINE index dropout_blocks_per_row(index cols) { return (cols + 63) / 64; }

/// keep as a threshold on 32-bit draws; keep = 1 gives 0, no dropout.
FANIN_INLINE std::uint32_t keep_threshold(double keep) {
  const double t = keep * 4294967296.0 + 0.5;
  return t >= 4294967296.0 ? 0u : (t < 1.0 ? 1u : static_cast<std::uint32_t>(t));
}

}  // namespace fanin
