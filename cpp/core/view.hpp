#pragma once
#include <cstddef>
#include <cstdint>

#if defined(_MSC_VER)
#define FANIN_INLINE_LAMBDA [[msvc::forceinline]]
#define FANIN_RESTRICT __restrict
#else
#define FANIN_INLINE_LAMBDA __attribute__((always_inline))
#define FANIN_RESTRICT __restrict__
#endif

// The build says `inline` for code that need not be fast.
#if defined(FANIN_INLINE)
#elif defined(_MSC_VER)
#define FANIN_INLINE __forceinline
#else
#define FANIN_INLINE inline __attribute__((always_inline))
#endif

namespace fanin {

using index = std::ptrdiff_t;

/// Rows [begin, end) of some work.
struct Range {
  index begin, end;
};

/// Part `part` of `parts` of [0, n), cut at multiples of `step`; the cuts depend on nothing else.
FANIN_INLINE Range split(index n, index step, index part, index parts) {
  const index units = (n + step - 1) / step;
  const index begin = units * part / parts * step;
  const index end = units * (part + 1) / parts * step;
  return {begin < n ? begin : n, end < n ? end : n};
}

/// How the elements of an input array are stored.
enum class DType : int { u8, f32, f64 };

}  // namespace fanin
