#define FANIN_ISA neon
#include "simd/gather_neon.hpp"

#include "isa/image_kernels.inl.hpp"
