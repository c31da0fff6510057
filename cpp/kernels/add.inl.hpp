#pragma once
#include "kernels/add.hpp"
#include "simd/partial.hpp"

namespace fanin::FANIN_ISA {

template <class T>
void add(const Add<T>& a, Range rows) noexcept {
  for (index i = rows.begin; i < rows.end; ++i) {
    const index row = i * a.stride;
    each_vec<T>(a.cols, [&](index j, int n) {
      store_some(load_some(a.a + row + j, n) + load_some(a.b + row + j, n), a.y + row + j, n);
    });
  }
}

}  // namespace fanin::FANIN_ISA
