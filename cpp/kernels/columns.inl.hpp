#pragma once
#include "simd/partial.hpp"

namespace fanin::FANIN_ISA {

template <int NV, class T, class F>
FANIN_INLINE void chain_down(T* out, index rows, bool accumulate, index j, int last, F& next) {
  constexpr int L = lanes<T>;
  const int n = NV == 1 ? last : L;
  Vec<T> acc[NV];
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) {
    acc[v] = accumulate ? load_some(out + j + v * L, n) : Vec<T>::zero();
  }
  for (index i = 0; i < rows; ++i) {
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) acc[v] = next(i, j + v * L, n, acc[v]);
  }
#pragma GCC unroll 4
  for (int v = 0; v < NV; ++v) store_some(acc[v], out + j + v * L, n);
}

/// out[j] = the last of acc = next(row, j, lanes in use, acc) down the rows, in order, from 0 or,
/// accumulating, from out[j]; four Vecs of columns at once, which hide each other's latency.
template <class T, class F>
FANIN_INLINE void chains_down(T* out, index rows, bool accumulate, Range cols, F&& next) {
  constexpr index L = lanes<T>;
  index j = cols.begin;
  for (; j + 4 * L <= cols.end; j += 4 * L) {
    chain_down<4>(out, rows, accumulate, j, static_cast<int>(L), next);
  }
  for (; j < cols.end; j += L) {
    const int last = static_cast<int>(cols.end - j < L ? cols.end - j : L);
    chain_down<1>(out, rows, accumulate, j, last, next);
  }
}

}  // namespace fanin::FANIN_ISA
