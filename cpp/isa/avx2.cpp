#define FANIN_ISA avx2
#include "simd/vec_avx2.hpp"

#include "isa/kernels.inl.hpp"
