#define FANIN_ISA avx2
#include "simd/vec_avx2.hpp"

#include "isa/image_kernels.inl.hpp"
