#define FANIN_ISA neon
#include "simd/vec_neon.hpp"

#include "isa/image_kernels.inl.hpp"
