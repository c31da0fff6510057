// The bf16 kernels over the Vec and the tiles that the including file picked.
#include "isa/bf16_table.hpp"
#include "isa/join.hpp"
#include "isa/table.hpp"
#include "simd/math.hpp"

#include "kernels/bf16_gemm.inl.hpp"

namespace fanin {

const Bf16Kernels<float> FANIN_JOIN(bf16_, FANIN_ISA) = {
    FANIN_ISA::bf16_pack, FANIN_ISA::bf16_forward, FANIN_ISA::bf16_backward_input,
    FANIN_ISA::bf16_weight_gradient};

}  // namespace fanin
