#pragma once
#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace fanin {

// A thread's floating-point mode, and the bits of it that flush denormals to zero.
#if defined(__x86_64__) || defined(_M_X64)
using FloatMode = unsigned;
inline constexpr FloatMode flushing = 0x8040u;
inline FloatMode float_mode() { return _mm_getcsr(); }
inline void set_float_mode(FloatMode mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
using FloatMode = std::uint64_t;
inline constexpr FloatMode flushing = FloatMode{1} << 24;
inline FloatMode float_mode() {
  FloatMode mode;
  asm volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
}
inline void set_float_mode(FloatMode mode) { asm volatile("msr fpcr, %0" : : "r"(mode)); }
#else
using FloatMode = unsigned;
inline constexpr FloatMode flushing = 0;
inline FloatMode float_mode() { return 0; }
inline void set_float_mode(FloatMode) {}
#endif

// AArch64 flushes a result that would be subnormal before it is rounded, x86 after: they differ on
// what rounds up to the smallest normal number. There a flag tells that a result was flushed.
#if defined(__aarch64__)
inline constexpr std::uint64_t underflow_flag = 8;
inline void clear_early_flush() {
  std::uint64_t status;
  asm volatile("mrs %0, fpsr" : "=r"(status));
  asm volatile("msr fpsr, %0" : : "r"(status & ~underflow_flag) : "memory");
}
inline bool flushed_early() {
  std::uint64_t status;
  asm volatile("mrs %0, fpsr" : "=r"(status) : : "memory");
  return status & underflow_flag;
}
#else
inline void clear_early_flush() {}
inline bool flushed_early() { return false; }
#endif

/// Sets the thread's mode in its scope, then restores what it was.
class FloatModeScope {
 public:
  explicit FloatModeScope(FloatMode mode) : saved_(float_mode()) { set_float_mode(mode); }
  ~FloatModeScope() { set_float_mode(saved_); }
  FloatModeScope(const FloatModeScope&) = delete;
  FloatModeScope& operator=(const FloatModeScope&) = delete;

 private:
  FloatMode saved_;
};

/// Flushes denormals to zero in its scope.
/// A dead unit's Adam moment decays into denormals and would halve the speed for ever.
struct FlushDenormals : FloatModeScope {
  FlushDenormals() : FloatModeScope(float_mode() | flushing) {}
};

}  // namespace fanin
