#pragma once
#include "kernels/summary.hpp"
#include "simd/partial.hpp"

namespace fanin::FANIN_ISA {

/// Two passes over elements that fit into the cache.
template <class T>
void summarize(const Summarize<T>& s, Range elements, Summary& result) noexcept {
  using V = Vec<double>;
  const T* x = s.x + elements.begin;
  const index n = elements.end - elements.begin;
  const V zero = V::zero(), one = V::set(1), low = V::set(s.low), high = V::set(s.high);
  V total = zero, zeros = zero, outside = zero;
  V least = V::set(result.lowest), most = V::set(result.highest);
  each_vec<double>(n, [&](index i, int k) {
    const V v = convert_some<double>(x + i, k);
    total = total + v;
    zeros = zeros + keep_some(select(v == zero, one, zero), k, zero);
    const V inside = select(v > low, select(v < high, one, zero), zero);
    outside = outside + keep_some(one - inside, k, zero);
    least = min(least, keep_some(v, k, least));
    most = max(most, keep_some(v, k, most));
  });
  const double mean = sum(total) / static_cast<double>(n);
  V squares = zero;
  each_vec<double>(n, [&](index i, int k) {
    const V from_mean = convert_some<double>(x + i, k) - V::set(mean);
    const V d = keep_some(from_mean, k, zero);
    squares = fma(d, d, squares);
  });
  result = {static_cast<double>(n), mean,       sum(squares), -maximum(zero - least),
            maximum(most),          sum(zeros), sum(outside)};
}

}  // namespace fanin::FANIN_ISA
