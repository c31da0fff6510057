#define FANIN_ISA avx2
#include "simd/gather_avx2.hpp"

#include "isa/image_kernels.inl.hpp"
