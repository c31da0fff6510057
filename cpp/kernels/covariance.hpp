#pragma once
#include "core/view.hpp"
#include "kernels/gemm.hpp"

namespace fanin {

/// sums[j] += the sum over rows of x - shift, or of its square; in double, one chain over the rows,
/// in order. A Range is of columns.
struct ColumnSums {
  const void* data;  // (rows, cols), rows contiguous
  DType dtype;
  const double* shift;  // (cols), or null
  double* sums;
  index rows, cols;
  bool squared;
};

/// out = ((data - shift) - rest) * scale in T, where shift + rest is a mean of more digits than T
/// has: large means cancel before anything is rounded. Column j goes to panel j / panel_columns;
/// rows of a panel are row_stride apart, panels panel_stride.
template <class T>
struct CentreRows {
  const void* data;  // (rows, cols), rows contiguous
  DType dtype;
  const T *shift, *rest, *scale;  // (cols) each, or null
  T* out;
  index cols, panel_columns, panel_stride, row_stride;
};

/// Products of so many rows are one chain of fused multiply-adds in T that begins at 0; the chains
/// are added up in double, in order. Whole numbers up to 255 give exact sums.
inline constexpr index chain_rows = 256;
/// A block of the result that one panel of x after another is used for while it is in cache.
inline constexpr index scatter_rows = 256, scatter_cols = 192;

/// total[i, j] += the sum over rows of x[., i] * x[., j], for i in `rows` and j in `cols`, both
/// from a multiple of block_columns, at most scatter_rows and scatter_cols; only panels of columns
/// on or above the diagonal.
template <class T>
struct Scatter {
  const T* x;  // panels of block_columns, as CentreRows writes them
  index rows, panel_stride;
  double* total;  // (cols, cols)
  index cols;
  T* scratch;    // block_columns * block_columns
  double* sums;  // scatter_rows * scatter_cols
};

inline constexpr index project_rows = 256, project_cols = 256;

/// out = (x · w) * scale + add in the columns `cols`, at most project_cols from a multiple of
/// block_columns, of at most project_rows rows: each a chain of fused multiply-adds in T over k, in
/// order, from 0.
template <class T>
struct Project {
  const T* x;
  index x_stride, k;
  const T* panels;       // of block_columns, the last as wide as is left: (k, width) each
  const T *scale, *add;  // (columns of out) each, or null
  T* out;
  index out_stride;  // and the number of columns
  T* scratch;        // project_rows * project_cols
};

}  // namespace fanin
