// The machine's own roof: `roof THREADS` prints GFLOP/s of fused multiply-adds and GB/s of reads.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
enum { LANES = BYTES / sizeof(float), REPEATS = 1 << 20, ROUNDS = 25 };
static const size_t stream_bytes = (size_t)256 << 20; // of each thread, well out of any cache

typedef struct {
  const Vector *stream;
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

static void *read_stream(void *argument) {
  Thread *thread = argument;
  enum { STREAMS = 8 };
  const size_t n = stream_bytes / sizeof(Vector) / STREAMS;
  Vector sum[STREAMS];
  memset(sum, 0, sizeof sum);
  for (size_t i = 0; i < n; ++i) {
#pragma GCC unroll 8
    for (size_t s = 0; s < STREAMS; ++s) sum[s] += thread->stream[s * n + i];
  }
#pragma GCC unroll 8
  for (int s = 1; s < STREAMS; ++s) sum[0] += sum[s];
  thread->sink = 0 * sum[0][0];
  return NULL;
}

static double best_seconds(void *(*work)(void *), Thread *threads, int n_threads) {
  double best = 1e30;
  for (int round = 0; round < ROUNDS; ++round) {
    pthread_t ids[64];
    const double start = now();
    for (int t = 1; t < n_threads; ++t) pthread_create(&ids[t], NULL, work, &threads[t]);
    work(&threads[0]);
    for (int t = 1; t < n_threads; ++t) pthread_join(ids[t], NULL);
    const double seconds = now() - start;
    if (seconds < best) best = seconds;
  }
  return best;
}

int main(int argc, char **argv) {
  const int n_threads = argc > 1 ? atoi(argv[1]) : 1;
  if (n_threads < 1 || n_threads > 64) return 2;
  Thread threads[64];
  for (int t = 0; t < n_threads; ++t) {
    void *stream = aligned_alloc(4096, stream_bytes);
    if (!stream) return 1;
    memset(stream, 0, stream_bytes);
    threads[t] = (Thread){stream, 0};
  }
  const double flops = 2.0 * LANES * CHAINS * REPEATS * n_threads;
  const double bytes = (double)stream_bytes * n_threads;
  printf("%.1f %.2f\n", 1e-9 * flops / best_seconds(multiply_add, threads, n_threads),
         1e-9 * bytes / best_seconds(read_stream, threads, n_threads));
  return 0;
}
