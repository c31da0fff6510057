#pragma once
#include "kernels/dropout.hpp"
#include "kernels/random.inl.hpp"

namespace fanin::FANIN_ISA {

/// The draws of rows row, row + 1, ..., columns col0 ... col0 + 63, of a mask `cols` wide; col0 a
/// multiple of 64.
template <class T, int N>
FANIN_INLINE void dropout_groups(const Dropout<T>& d, index row, index col0, index cols,
                                 Group (&groups)[N]) {
  const index per_row = dropout_blocks_per_row(cols);
  const index first = (d.first_row + row) * per_row + col0 / 64;
  philox_groups({d.seed, d.stream}, static_cast<std::uint64_t>(first), groups,
                static_cast<std::uint64_t>(per_row));
}

/// Which of columns col0 + lanes * v ... stay.
template <class T>
FANIN_INLINE Mask<T> kept(const Group& draws, std::uint32_t threshold, int v) {
  return below<T>(draws, threshold, v);
}

}  // namespace fanin::FANIN_ISA
