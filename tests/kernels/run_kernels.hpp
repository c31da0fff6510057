#pragma once
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "core/aligned.hpp"

#if __has_include(<valgrind/callgrind.h>) && defined(__x86_64__)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_DUMP_STATS_AT(name)
#endif

namespace fanin::test {

/// n numbers in [low, high), whole multiples of (high - low) / 4096: the same on every machine.
template <class T>
Aligned<T> numbers(index n, double low, double high, std::uint32_t seed) {
  Aligned<T> all(n);
  for (index i = 0; i < n; ++i) {
    std::uint32_t x = static_cast<std::uint32_t>(i) * 2654435761u + seed * 40503u;
    x = (x ^ (x >> 15)) * 2246822519u;
    all.data()[i] = static_cast<T>(low + (high - low) * (x >> 20) / 4096.0);
  }
  return all;
}

/// FNV-1a over the bits; all NaNs are one, since their sign is the processor's choice.
template <class T>
class Hash {
 public:
  void add(const T* p, index n) {
    for (index i = 0; i < n; ++i) {
      unsigned char bytes[sizeof(T)] = {};
      if (p[i] == p[i]) std::memcpy(bytes, p + i, sizeof(T));
      for (const unsigned char byte : bytes) state_ = (state_ ^ byte) * 1099511628211ull;
    }
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 14695981039346656037ull;
};

/// What a case writes, to be hashed.
template <class T>
struct Written {
  const T* data;
  index size;
};

/// Runs one kernel, with its instructions counted under its name where callgrind watches, and
/// prints the hash of what it wrote.
template <class T, class Kernel, class... Outputs>
void run(const std::string& name, Kernel kernel, Outputs... outputs) {
  const std::string full = name + (sizeof(T) == 4 ? " float" : " double");
  CALLGRIND_ZERO_STATS;
  kernel();
  CALLGRIND_DUMP_STATS_AT(full.c_str());
  std::uint64_t hash = 0;
  const auto add = [&]<class U>(Written<U> out) {
    Hash<U> h;
    h.add(out.data, out.size);
    hash = hash * 31 + h.value();
  };
  (add(outputs), ...);
  std::printf("%s: %016llx\n", full.c_str(), static_cast<unsigned long long>(hash));
}

template <class T>
Written<T> written(Aligned<T>& a) {
  return {a.data(), a.size()};
}

}  // namespace fanin::test
