#pragma once
#include <cstring>
#include <new>
#include <utility>

#include "core/view.hpp"

namespace fanin {

/// Prefetches a cache line for writing.
FANIN_INLINE void prefetch_for_write(const void* p) {
#if defined(__x86_64__) && defined(__GNUC__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p)));
#elif defined(__GNUC__)
  __builtin_prefetch(p, 1);
#else
  (void)p;
#endif
}

/// A zeroed, 64-byte-aligned, move-only array. Grows on `reserve`, never shrinks.
template <class T>
class Aligned {
 public:
  static constexpr std::align_val_t alignment{64};

  Aligned() = default;
  explicit Aligned(index n) { reserve(n); }
  Aligned(Aligned&& other) noexcept { swap(other); }
  Aligned& operator=(Aligned&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Aligned() { ::operator delete(data_, alignment); }

  /// Allocates n elements at least; the contents are lost when it grows.
  void reserve(index n) {
    if (n <= size_) return;
    const auto bytes = static_cast<std::size_t>(n) * sizeof(T);
    void* fresh = ::operator new(bytes, alignment);
    std::memset(fresh, 0, bytes);
    ::operator delete(data_, alignment);
    data_ = static_cast<T*>(fresh);
    size_ = n;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  index size() const { return size_; }

 private:
  void swap(Aligned& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

  T* data_ = nullptr;
  index size_ = 0;
};

/// Uninitialised scratch memory of n elements, one per thread, reused by its next call.
template <class T>
T* thread_scratch(index n) {
  thread_local Aligned<T> scratch;
  scratch.reserve(n);
  return scratch.data();
}

}  // namespace fanin
