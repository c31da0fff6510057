#pragma once
#include <cstdint>

#include "core/view.hpp"

namespace fanin::FANIN_ISA {

/// Sixteen words to be read one by one. GCC would else take them out of their register again, which
/// is slow.
template <class Words>
struct InMemory {
  alignas(Words) std::uint32_t v[16];

  explicit FANIN_INLINE InMemory(Words words) {
    words.store(v);
#if defined(__GNUC__)
    asm("" : "+m"(v));
#endif
  }
};

}  // namespace fanin::FANIN_ISA
