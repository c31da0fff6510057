// The machine's own roof: `roof THREADS` prints GFLOP/s of fused multiply-adds, GB/s of reads, and
// GB/s of updates in place (four arrays read, three of them written back: an Adam step's traffic).
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#if defined(__AVX512F__)
#define BYTES 64
#define CHAINS 24
#elif defined(__AVX__)
#define BYTES 32
#define CHAINS 12
#else
#define BYTES 16
#define CHAINS 12
#endif
typedef float Vector __attribute__((vector_size(BYTES)));
enum { LANES = BYTES / sizeof(float), REPEATS = 1 << 20, ROUNDS = 12, LINE = 64 };
static const size_t stream_bytes = (size_t)256 << 20; // of each thread, well out of any cache

typedef struct {
  Vector *stream;
  float sink;
} Thread;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *multiply_add(void *argument) {
  Thread *thread = argument;
  Vector sum[CHAINS], a, b;
  for (int i = 0; i < LANES; ++i) a[i] = 0.999f + thread->sink, b[i] = 1e-3f;
#pragma GCC unroll 24
  for (int c = 0; c < CHAINS; ++c) sum[c] = b * (float)c;
  for (int repeat = 0; repeat < REPEATS; ++repeat) {
#pragma GCC unroll 24
    for (int c = 0; c < CHAINS; ++c) sum[c] = sum[c] * a + b;
    __asm__ volatile("" : "+m"(*thread)); // keeps the loop from being reasoned away
  }
#pragma GCC unroll 24
  for (int c = 1; c < CHAINS; ++c) sum[0] += sum[c];
  thread->sink = 0 * sum[0][0];
  return NULL;
}

// Which way of reading is fastest differs from machine to machine: so many streams side by side,
// four lines of each at a time, with a prefetch so many bytes ahead.
static inline __attribute__((always_inline)) void *read_streams(Thread *thread, size_t streams,
                                                                size_t ahead) {
  enum { STEP = 4 * LINE / BYTES, SUMS = 4 };
  const size_t n = stream_bytes / BYTES / streams;
  Vector sum[SUMS];
  memset(sum, 0, sizeof sum);
  for (size_t i = 0; i < n; i += STEP) {
    for (size_t s = 0; s < streams; ++s) {
      const Vector *from = thread->stream + s * n + i;
      if (ahead)
        for (int line = 0; line < 4; ++line)
          __builtin_prefetch((const char *)from + ahead + LINE * line);
#pragma GCC unroll 16
      for (int v = 0; v < STEP; ++v) sum[v % SUMS] += from[v];
    }
  }
#pragma GCC unroll 4
  for (int s = 1; s < SUMS; ++s) sum[0] += sum[s];
  thread->sink = 0 * sum[0][0];
  return NULL;
}

static void *read_1_ahead(void *thread) { return read_streams(thread, 1, 512); }
static void *read_4(void *thread) { return read_streams(thread, 4, 0); }
static void *read_8(void *thread) { return read_streams(thread, 8, 0); }
static void *read_8_ahead(void *thread) { return read_streams(thread, 8, 512); }

static inline __attribute__((always_inline)) void *update_arrays(Thread *thread, size_t ahead) {
  const size_t n = stream_bytes / BYTES / 4;
  Vector *p = thread->stream, *g = p + n, *m = g + n, *v = m + n;
  for (size_t i = 0; i < n; ++i) {
    if (ahead && i % (LINE / BYTES) == 0) {
      __builtin_prefetch((const char *)(p + i) + ahead, 1);
      __builtin_prefetch((const char *)(g + i) + ahead);
      __builtin_prefetch((const char *)(m + i) + ahead, 1);
      __builtin_prefetch((const char *)(v + i) + ahead, 1);
    }
    m[i] += g[i];
    v[i] += g[i];
    p[i] += m[i];
  }
  return NULL;
}

static void *update(void *thread) { return update_arrays(thread, 0); }
static void *update_ahead(void *thread) { return update_arrays(thread, 512); }

typedef struct {
  void *(*work)(void *);
  double amount; // of each thread, in 1e9
  int figure;    // 0: GFLOP/s, 1: GB/s read, 2: GB/s updated
} Loop;

static double seconds_of(void *(*work)(void *), Thread *threads, int n_threads) {
  pthread_t ids[64];
  const double start = now();
  for (int t = 1; t < n_threads; ++t) pthread_create(&ids[t], NULL, work, &threads[t]);
  work(&threads[0]);
  for (int t = 1; t < n_threads; ++t) pthread_join(ids[t], NULL);
  return now() - start;
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  const int n_threads = argc > 1 ? atoi(argv[1]) : 1;
  if (n_threads < 1 || n_threads > 64) return 2;
  Thread threads[64];
  for (int t = 0; t < n_threads; ++t) {
    void *stream = aligned_alloc((size_t)2 << 20, stream_bytes + ((size_t)2 << 20));
    if (!stream) return 1;
#ifdef MADV_HUGEPAGE
    madvise(stream, stream_bytes, MADV_HUGEPAGE); // as NumPy does for its arrays
#endif
    memset(stream, 0, stream_bytes);
    threads[t] = (Thread){stream, 0};
  }
  const double flops = 2e-9 * LANES * CHAINS * REPEATS;
  const double reads = 1e-9 * (double)stream_bytes, updates = reads * 7 / 4;
  const Loop loops[] = {
      {multiply_add, flops, 0},
      {read_1_ahead, reads, 1},
      {read_4, reads, 1},
      {multiply_add, flops, 0},
      {read_8, reads, 1},
      {read_8_ahead, reads, 1},
      {update, updates, 2},
      {update_ahead, updates, 2},
  };
  enum { LOOPS = sizeof loops / sizeof loops[0] };
  double rates[LOOPS][ROUNDS];
  for (int round = 0; round < ROUNDS; ++round)
    for (int i = 0; i < LOOPS; ++i)
      rates[i][round] = loops[i].amount * n_threads / seconds_of(loops[i].work, threads, n_threads);
  // A core gives what it can at times, so its best counts; memory gives what its other users leave,
  // so the median does, of the fastest loop.
  double best[3] = {0, 0, 0};
  for (int i = 0; i < LOOPS; ++i) {
    qsort(rates[i], ROUNDS, sizeof(double), ascending);
    const double rate = rates[i][loops[i].figure ? ROUNDS / 2 : ROUNDS - 1];
    if (rate > best[loops[i].figure]) best[loops[i].figure] = rate;
  }
  printf("%.1f %.2f %.2f\n", best[0], best[1], best[2]);
  return 0;
}
