#include "core/spare_threads.hpp"

#if defined(__unix__) || defined(__APPLE__)

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

namespace fanin {

namespace {

struct StackVariable {
  const char* name;
  int shift;  // of a number without a unit
};

#if defined(__clang__)  // LLVM's runtime
constexpr StackVariable stack_variables[] = {
    {"OMP_STACKSIZE", 10}, {"GOMP_STACKSIZE", 10}, {"KMP_STACKSIZE", 0}};
constexpr std::size_t default_stack = std::size_t{4} << 20;
#else
constexpr StackVariable stack_variables[] = {{"OMP_STACKSIZE", 10}, {"GOMP_STACKSIZE", 10}};
constexpr std::size_t default_stack = 0;  // that of any thread
#endif
constexpr std::size_t runtime_memory = 1 << 10;  // which OpenMP allocates for each thread, at most
// Stacks, which stay mapped after their threads, could take all there is and leave none to compute
// with.
constexpr std::size_t working_memory = std::size_t{8} << 20;

const char* after_spaces(const char* text) {
  while (std::isspace(static_cast<unsigned char>(*text))) ++text;
  return text;
}

/// The bytes of "512", "64 k", "1G"; 0 where the text is no size, which OpenMP then ignores too.
std::size_t bytes_of(const char* text, int shift) {
  char* end = nullptr;
  errno = 0;
  const unsigned long long n = std::strtoull(text, &end, 10);
  if (end == text || errno != 0) return 0;
  const char* unit = after_spaces(end);
  if (*unit != '\0') {
    switch (std::tolower(static_cast<unsigned char>(*unit++))) {
      case 'b':
        shift = 0;
        break;
      case 'k':
        shift = 10;
        break;
      case 'm':
        shift = 20;
        break;
      case 'g':
        shift = 30;
        break;
      case 't':
        shift = 40;
        break;
      default:
        return 0;
    }
  }
  if (*after_spaces(unit) != '\0' || n > SIZE_MAX >> shift) return 0;
  return static_cast<std::size_t>(n) << shift;
}

std::size_t stack_of_environment() {
  std::size_t largest = 0;
  for (const StackVariable& v : stack_variables) {
    if (const char* text = std::getenv(v.name))
      largest = std::max(largest, bytes_of(text, v.shift));
  }
  return largest > 0 ? largest : default_stack;
}

// As OpenMP does, when the library is loaded: later changes of the environment are not for it.
const std::size_t stack_size = stack_of_environment();

struct Spare {
  pthread_t thread;
  const std::atomic<bool>* over;
  long id;
};

void* wait_for_end(void* argument) {
  Spare& spare = *static_cast<Spare*>(argument);
#if defined(__linux__)
  spare.id = syscall(SYS_gettid);
#endif
  spare.over->wait(false);
  return nullptr;
}

bool memory_is_limited() {
  rlimit limit{};
  return getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

/// Address space that nobody else gets meanwhile. From malloc, a block as large would raise the
/// size up to which freed memory is kept.
class Kept {
 public:
  explicit Kept(std::size_t bytes) : bytes_(bytes) {
    if (bytes_ > 0) {
      place_ = mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
  }
  ~Kept() {
    if (bytes_ > 0 && !failed()) munmap(place_, bytes_);
  }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  bool failed() const { return place_ == MAP_FAILED; }

 private:
  std::size_t bytes_;
  void* place_ = nullptr;
};

/// A thread that was joined counts against the limits until the kernel has let go of it.
void wait_until_gone([[maybe_unused]] const Spare& spare) {
#if defined(__linux__)
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (syscall(SYS_tgkill, getpid(), spare.id, 0) == 0 &&
         std::chrono::steady_clock::now() < end) {
    sched_yield();
  }
#endif
}

}  // namespace

int spare_threads(int n) {
  n = std::clamp(n, 0, most_threads);
  const Kept working(memory_is_limited() ? working_memory : 0);
  if (working.failed()) return 0;
  const std::unique_ptr<void, void (*)(void*)> memory(
      std::malloc(runtime_memory * static_cast<std::size_t>(n + 16)), std::free);
  pthread_attr_t attributes;
  if (!memory || pthread_attr_init(&attributes) != 0) return 0;
  // A size that is refused (too small) is not taken by OpenMP either.
  if (stack_size > 0) pthread_attr_setstacksize(&attributes, stack_size);

  std::atomic<bool> over{false};
  Spare spares[most_threads];
  int had = 0;
  for (; had < n; ++had) {
    Spare& spare = spares[had];
    spare.over = &over;
    if (pthread_create(&spare.thread, &attributes, wait_for_end, &spare) != 0) break;
  }
  over = true;
  over.notify_all();
  for (int i = 0; i < had; ++i) pthread_join(spares[i].thread, nullptr);
  for (int i = 0; i < had; ++i) wait_until_gone(spares[i]);
  pthread_attr_destroy(&attributes);
  return had;
}

}  // namespace fanin

#else

namespace fanin {

int spare_threads(int n) { return n; }

}  // namespace fanin

#endif
