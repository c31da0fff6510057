#define FANIN_ISA avx2
#include "simd/pixels_avx2.hpp"

#include "isa/image_kernels.inl.hpp"
