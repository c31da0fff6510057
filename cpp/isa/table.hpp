#pragma once
#include "isa/bf16_table.hpp"
#include "isa/image_table.hpp"
#include "kernels/activation.hpp"
#include "kernels/add.hpp"
#include "kernels/covariance.hpp"
#include "kernels/dense.hpp"
#include "kernels/drop_connect.hpp"
#include "kernels/dropout.hpp"
#include "kernels/gather.hpp"
#include "kernels/loss.hpp"
#include "kernels/norm.hpp"
#include "kernels/optimizer.hpp"
#include "kernels/prelu.hpp"
#include "kernels/random.hpp"
#include "kernels/random_dense.hpp"
#include "kernels/statistics.hpp"
#include "kernels/summary.hpp"

namespace fanin {

/// The kernels of one instruction set and one type. All are pure range functions: no allocation,
/// no threads, no exceptions. A Range is of rows unless said otherwise; scratch is memory of
/// product_scratch<T> elements.
template <class T>
struct Kernels {
  void (*dense_forward)(const DenseForward<T>&, Range rows, Range cols, T* scratch) noexcept;
  void (*dense_backward_input)(const DenseBackwardInput<T>&, Range rows, Range cols,
                               T* scratch) noexcept;
  void (*weight_gradient)(const WeightGradient<T>&, Range in, T* dw, T* scratch) noexcept;
  void (*bias_gradient)(const BiasGradient<T>&, Range cols) noexcept;
  void (*drop_connect_forward)(const DenseForward<T>&, const RowMasks<T>&, Range rows,
                               Range cols) noexcept;
  void (*drop_connect_backward_input)(const DenseBackwardInput<T>&, const RowMasks<T>&, Range rows,
                                      Range cols) noexcept;
  void (*drop_connect_weight_gradient)(const WeightGradient<T>&, const RowMasks<T>&, Range in,
                                       T* dw) noexcept;
  void (*gaussian_activation)(const GaussianActivation<T>&, Range rows) noexcept;
  void (*activation_forward)(const ActivationForward<T>&, Range rows) noexcept;
  void (*activation_backward)(const ActivationBackward<T>&, Range rows) noexcept;
  void (*gather_rows)(const GatherRows<T>&, Range rows) noexcept;
  void (*loss_rows)(const LossRows<T>&, Range rows) noexcept;
  void (*softmax_rows)(const SoftmaxRows<T>&, Range rows) noexcept;
  void (*optimizer_step)(const OptimizerStep<T>&, Range elements) noexcept;
  void (*random_fill)(const RandomFill<T>&, Range elements) noexcept;  // begin: a multiple of 64
  void (*random_dense)(const RandomDense<T>&, Range rows, Range cols) noexcept;
  void (*summarize)(const Summarize<T>&, Range elements, Summary&) noexcept;
  T (*sum_squares)(const T*, index n) noexcept;
  index (*first_nonfinite)(const T*, index n) noexcept;
  Extremes (*extremes)(const void*, DType, index n) noexcept;
  void (*transpose)(const Transpose<T>&, Range rows) noexcept;
  void (*column_sums)(const ColumnSums&, Range cols) noexcept;
  void (*centre_rows)(const CentreRows<T>&, Range rows) noexcept;
  void (*scatter)(const Scatter<T>&, Range rows, Range cols) noexcept;
  void (*project)(const Project<T>&, Range rows, Range cols) noexcept;
  void (*map)(int math_function, const T* x, T* out, index n) noexcept;
  void (*layer_norm_forward)(const LayerNormForward<T>&, Range rows) noexcept;
  void (*layer_norm_backward)(const LayerNormBackward<T>&, Range rows) noexcept;
  void (*batch_norm_forward)(const BatchNormForward<T>&, Range rows) noexcept;
  void (*batch_norm_backward)(const BatchNormBackward<T>&, Range rows) noexcept;
  void (*norm_gradient)(const NormGradient<T>&, Range cols) noexcept;
  void (*squared_deviations)(const SquaredDeviations<T>&, Range cols) noexcept;
  void (*prelu_forward)(const PreluForward<T>&, Range rows) noexcept;
  void (*prelu_backward)(const PreluBackward<T>&, Range rows) noexcept;
  void (*prelu_gradient)(const PreluGradient<T>&, Range cols) noexcept;
  void (*add)(const Add<T>&, Range rows) noexcept;
};

struct Table {
  const char* name;
  const Kernels<float>& f32;
  const Kernels<double>& f64;
  const ImageKernels& images;
  const Bf16Kernels<float>& bf16;
};

template <class T>
FANIN_INLINE const Kernels<T>& of(const Table& table) {
  if constexpr (sizeof(T) == 4) {
    return table.f32;
  } else {
    return table.f64;
  }
}

extern const Kernels<float> f32_scalar, f32_avx2, f32_avx512, f32_neon;
extern const Kernels<double> f64_scalar, f64_avx2, f64_avx512, f64_neon;
extern const Table table_scalar, table_avx2, table_avx512, table_neon, table_amx;

}  // namespace fanin
