#pragma once
#include "core/view.hpp"

namespace fanin {

/// Bytes of an element.
inline index item_size(DType dtype) { return dtype == DType::u8 ? 1 : dtype == DType::f32 ? 4 : 8; }

/// Rows of data where the caller has them: dense with any strides, or the nonzeros of each row.
struct Rows {
  const void* data = nullptr;  // element (0, 0); of sparse rows the nonzeros, row after row
  DType dtype = DType::f32;
  index n = 0, cols = 0;
  index row_stride = 0, col_stride = 0;   // bytes, of dense rows
  const std::int64_t* starts = nullptr;   // sparse: row i has nonzeros starts[i] .. starts[i + 1]
  const std::int32_t* columns = nullptr;  // of each nonzero, rising within a row

  /// Whether they are dense, one after another without a gap and aligned, as kernels take them.
  bool packed() const {
    const index item = item_size(dtype);
    const bool aligned =
        reinterpret_cast<std::uintptr_t>(data) % static_cast<std::size_t>(item) == 0;
    return !starts && (col_stride == item || cols == 1) && (row_stride == cols * item || n <= 1) &&
           aligned;
  }

  /// Of packed rows.
  const void* row(index i) const {
    return static_cast<const char*>(data) + i * cols * item_size(dtype);
  }

  /// to (rows, cols) = those columns of rows indices[i], or i where indices is null, packed.
  void pack(const std::int64_t* indices, Range rows, Range cols, void* to) const;
};

/// Packed rows.
inline Rows packed_rows(const void* data, DType dtype, index n, index cols) {
  const index item = item_size(dtype);
  return {data, dtype, n, cols, cols * item, item, nullptr, nullptr};
}

}  // namespace fanin
