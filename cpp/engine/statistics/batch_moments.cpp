#include "engine/statistics/batch_moments.hpp"

#include <algorithm>

#include "isa/dispatch.hpp"

namespace fanin {

namespace {

constexpr index cols_at_once = 64;

/// The sums of a few columns over all rows: sum_block(first row, rows, sums) has those of a block.
template <class T, class F>
void add_blocks(index rows, index cols, double* total, F&& sum_block) {
  T sums[cols_at_once];
  std::fill_n(total, cols, 0.0);
  for (index i = 0; i < rows; i += batch_block) {
    sum_block(i, std::min(batch_block, rows - i), sums);
    for (index j = 0; j < cols; ++j) total[j] += static_cast<double>(sums[j]);
  }
}

/// work(first column, columns) on a few columns at a time.
template <class F>
void each_few(Range cols, F&& work) {
  for (index j = cols.begin; j < cols.end; j += cols_at_once) {
    work(j, std::min(cols_at_once, cols.end - j));
  }
}

}  // namespace

template <class T>
void batch_moments(const T* x, index rows, index stride, Range cols, T* mean, T* variance) {
  const Kernels<T>& k = kernels<T>();
  const double n_rows = static_cast<double>(rows);
  each_few(cols, [&](index j, index n) {
    double total[cols_at_once];
    add_blocks<T>(rows, n, total, [&](index i, index block, T* sums) {
      k.bias_gradient({x + i * stride + j, sums, block, n, stride, false}, {0, n});
    });
    for (index c = 0; c < n; ++c) mean[j + c] = static_cast<T>(total[c] / n_rows);
    add_blocks<T>(rows, n, total, [&](index i, index block, T* sums) {
      k.squared_deviations({x + i * stride + j, mean + j, sums, block, stride}, {0, n});
    });
    for (index c = 0; c < n; ++c) variance[j + c] = static_cast<T>(total[c] / n_rows);
  });
}

template <class T>
void batch_gradients(const T* dy, const T* x, const T* mean, const T* inverse, index rows,
                     index stride, Range cols, T* sum_dy, T* sum_dy_h) {
  const Kernels<T>& k = kernels<T>();
  each_few(cols, [&](index j, index n) {
    double total[cols_at_once];
    add_blocks<T>(rows, n, total, [&](index i, index block, T* sums) {
      k.bias_gradient({dy + i * stride + j, sums, block, n, stride, false}, {0, n});
    });
    for (index c = 0; c < n; ++c) sum_dy[j + c] = static_cast<T>(total[c]);
    add_blocks<T>(rows, n, total, [&](index i, index block, T* sums) {
      const index at = i * stride + j;
      k.norm_gradient({dy + at, x + at, mean + j, inverse + j, true, sums, block, stride, false},
                      {0, n});
    });
    for (index c = 0; c < n; ++c) sum_dy_h[j + c] = static_cast<T>(total[c]);
  });
}

template void batch_moments(const float*, index, index, Range, float*, float*);
template void batch_moments(const double*, index, index, Range, double*, double*);
template void batch_gradients(const float*, const float*, const float*, const float*, index, index,
                              Range, float*, float*);
template void batch_gradients(const double*, const double*, const double*, const double*, index,
                              index, Range, double*, double*);

}  // namespace fanin
