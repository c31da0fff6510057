#pragma once
#include "kernels/dropout.hpp"
#include "kernels/random.inl.hpp"

namespace fanin::FANIN_ISA {

/// The draws of row `row`, columns col0 ... col0 + 63, of a mask `cols` wide; col0 a multiple
/// of 64.
template <class T>
FANIN_INLINE Group dropout_group(const Dropout<T>& d, index row, index col0, index cols) {
  const index group = (d.first_row + row) * dropout_blocks_per_row(cols) + col0 / 64;
  return philox_group({d.seed, d.stream}, static_cast<std::uint64_t>(group));
}

/// Which of columns col0 + lanes * v ... stay.
template <class T>
FANIN_INLINE Mask<T> kept(const Group& draws, std::uint32_t threshold, int v) {
  return below<T>(draws, threshold, v);
}

}  // namespace fanin::FANIN_ISA
