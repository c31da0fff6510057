#define FANIN_ISA avx512
#include "simd/gather_avx512.hpp"

#include "isa/image_kernels.inl.hpp"
