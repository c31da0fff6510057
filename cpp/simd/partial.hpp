#pragma once
#include <cstdint>

#include "core/view.hpp"

namespace fanin::FANIN_ISA {

/// The first n lanes; no mask where n is known to be all of them.
template <class T, class S>
FANIN_INLINE Vec<T> convert_some(const S* p, int n) {
  return n == lanes<T> ? Vec<T>::convert(p) : Vec<T>::convert(p, n);
}
template <class T>
FANIN_INLINE Vec<T> load_some(const T* p, int n) {
  return n == lanes<T> ? Vec<T>::load(p) : Vec<T>::load(p, n);
}
template <class T>
FANIN_INLINE void store_some(Vec<T> x, T* p, int n) {
  n == lanes<T> ? x.store(p) : x.store(p, n);
}
/// x in the first n lanes, `rest` in the others.
template <class T>
FANIN_INLINE Vec<T> keep_some(Vec<T> x, int n, Vec<T> rest) {
  return n == lanes<T> ? x : select(first_lanes<T>(n), x, rest);
}

/// Elements from p on up to where a Vec lies in as few cache lines as it can.
template <class T>
FANIN_INLINE index up_to_line(const T* p) {
  const index past = static_cast<index>(reinterpret_cast<std::uintptr_t>(p) / sizeof(T)) % lanes<T>;
  return past == 0 ? 0 : lanes<T> - past;
}

/// Calls f(first, lanes in use) for each Vec of n elements; only the last may be partial.
template <class T, class F>
FANIN_INLINE void each_vec(index n, F&& f) {
  constexpr index L = lanes<T>;
  index j = 0;
  for (; j + L <= n; j += L) f(j, static_cast<int>(L));
  if (j < n) f(j, static_cast<int>(n - j));
}

}  // namespace fanin::FANIN_ISA
