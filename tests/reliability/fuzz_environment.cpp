// What C++ reads as text, by libFuzzer: sizes of OMP_STACKSIZE and quotas of cgroups. No file of
// ours is parsed in C++. With SEEDED_FAULT it must find a cast that overflows.
#include <cmath>
#include <cstdlib>
#include <string>

#include "core/cpu.cpp"
#include "core/spare_threads.cpp"

namespace fanin {

int available_cpus() { return 1; }

}  // namespace fanin

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::size_t bytes = fanin::bytes_of(text.c_str(), 10);
  if (bytes > 0 && std::strtoull(text.c_str(), nullptr, 10) == 0) std::abort();
  char* rest = nullptr;
  const double quota = std::strtod(text.c_str(), &rest), period = std::strtod(rest, nullptr);
  const int cpus = fanin::quota_from(quota, period);
  if (cpus < 0) std::abort();
#ifdef SEEDED_FAULT
  volatile int unbounded = static_cast<int>(std::ceil(quota / period));
#endif
  return 0;
}
