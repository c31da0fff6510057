#pragma once
#include "kernels/bf16_gemm.hpp"

namespace fanin {

/// The kernels of one instruction set that work on bf16; like Kernels, pure range functions. Those
/// of double are null: it has none.
template <class T>
struct Bf16Kernels {
  void (*pack)(const Bf16Pack<T>&, Range rows) noexcept;
  void (*forward)(const Bf16Product<T>&, const Epilogue<T>&, Range rows, Range cols) noexcept;
  void (*backward_input)(const Bf16Product<T>&, const Derivative<T>&, Range rows,
                         Range cols) noexcept;
  /// Rows of the product are written to c[0...].
  void (*weight_gradient)(const Bf16Product<T>&, Range rows) noexcept;
};

extern const Bf16Kernels<float> bf16_scalar, bf16_avx2, bf16_avx512, bf16_neon, bf16_amx;

}  // namespace fanin
