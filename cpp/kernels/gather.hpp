#pragma once
#include "core/view.hpp"

namespace fanin {

/// out (rows, cols): row i is (data[indices[i]] - mean) * scale, computed in T, or in double where
/// the data are: the mean of large numbers must cancel before they are rounded. A double that T
/// holds gives the bits that it gives as a T, unless the mean as a T is off by over 2^-10 of the
/// scale. mean and scale have `cols` values, or one, or are null for the data as they are.
template <class T>
struct GatherRows {
  const void* data;  // (N, cols), rows contiguous
  DType dtype;
  const std::int64_t* indices;  // null: rows 0, 1, ...
  const double* mean;
  const double* scale;
  bool per_column;  // mean and scale have `cols` values
  T* out;
  index cols, out_stride;
};

}  // namespace fanin
