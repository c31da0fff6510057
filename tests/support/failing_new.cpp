// Loaded before a process's libraries: a chosen `operator new` fails, or each from it on.
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {
// A node in pybind11's table of instances, which it makes where it catches nothing: an error there
// ends any process with any module of pybind11, and is left out.
constexpr std::size_t kInstance = 24;

std::atomic<long> left{-1};  // allocations until the one that fails; below 0 none does
std::atomic<bool> always{false};
std::atomic<long> failed{0};

void* allocate(std::size_t bytes, std::size_t alignment) {
  long before = bytes == kInstance ? -1 : left.load();
  while (before >= 0 &&
         !left.compare_exchange_weak(before, before == 0 && always ? 0 : before - 1)) {
  }
  if (before == 0) {
    ++failed;
    throw std::bad_alloc();
  }
  void* fresh = nullptr;
  if (alignment <= alignof(std::max_align_t)) {
    fresh = std::malloc(bytes ? bytes : 1);
  } else if (posix_memalign(&fresh, alignment, bytes ? bytes : 1)) {
    fresh = nullptr;
  }
  if (!fresh) throw std::bad_alloc();
  return fresh;
}
}  // namespace

extern "C" void fail_allocation(long n, bool persistently) {
  failed = 0;
  always = persistently;
  left = n;
}

extern "C" long end_of_failures() {
  left = -1;
  return failed;
}

// A seeded fault: an error that nothing can catch.
extern "C" void careless() noexcept { ::operator delete(::operator new(1)); }

void* operator new(std::size_t bytes) { return allocate(bytes, 1); }
void* operator new[](std::size_t bytes) { return allocate(bytes, 1); }
void* operator new(std::size_t bytes, std::align_val_t a) {
  return allocate(bytes, std::size_t(a));
}
void* operator new[](std::size_t bytes, std::align_val_t a) {
  return allocate(bytes, std::size_t(a));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
