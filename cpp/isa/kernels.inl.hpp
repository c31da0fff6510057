// Every kernel family over the Vec that the including file picked, and the table that exports them.
#include "isa/bf16_kernels.inl.hpp"
#include "isa/join.hpp"
#include "isa/table.hpp"
#include "simd/math.hpp"

#include "kernels/activation.inl.hpp"
#include "kernels/add.inl.hpp"
#include "kernels/covariance.inl.hpp"
#include "kernels/dense.inl.hpp"
#include "kernels/drop_connect.inl.hpp"
#include "kernels/dropout.inl.hpp"
#include "kernels/gather.inl.hpp"
#include "kernels/gemm.inl.hpp"
#include "kernels/loss.inl.hpp"
#include "kernels/norm.inl.hpp"
#include "kernels/optimizer.inl.hpp"
#include "kernels/prelu.inl.hpp"
#include "kernels/random.inl.hpp"
#include "kernels/random_dense.inl.hpp"
#include "kernels/statistics.inl.hpp"
#include "kernels/summary.inl.hpp"

namespace fanin {

namespace FANIN_ISA {

template <class T>
constexpr Kernels<T> make_kernels() {
  return {dense_forward<T>,
          dense_backward_input<T>,
          weight_gradient<T>,
          bias_gradient<T>,
          drop_connect_forward<T>,
          drop_connect_backward_input<T>,
          drop_connect_weight_gradient<T>,
          gaussian_activation<T>,
          activation_forward<T>,
          activation_backward<T>,
          gather_rows<T>,
          loss_rows<T>,
          softmax_rows<T>,
          optimizer_step<T>,
          random_fill<T>,
          random_dense<T>,
          summarize<T>,
          sum_squares<T>,
          first_nonfinite<T>,
          extremes<T>,
          transpose<T>,
          column_sums<T>,
          centre_rows<T>,
          scatter<T>,
          project<T>,
          map<T>,
          layer_norm_forward<T>,
          layer_norm_backward<T>,
          batch_norm_forward<T>,
          batch_norm_backward<T>,
          norm_gradient<T>,
          squared_deviations<T>,
          prelu_forward<T>,
          prelu_backward<T>,
          prelu_gradient<T>,
          add<T>};
}

}  // namespace FANIN_ISA

const Kernels<float> FANIN_JOIN(f32_, FANIN_ISA) = FANIN_ISA::make_kernels<float>();
const Kernels<double> FANIN_JOIN(f64_, FANIN_ISA) = FANIN_ISA::make_kernels<double>();
const Table FANIN_JOIN(table_, FANIN_ISA) = {
    FANIN_TEXT(FANIN_ISA), FANIN_JOIN(f32_, FANIN_ISA), FANIN_JOIN(f64_, FANIN_ISA),
    FANIN_JOIN(images_, FANIN_ISA), FANIN_JOIN(bf16_, FANIN_ISA)};

}  // namespace fanin
