#define FANIN_ISA neon
#include "simd/pixels_neon.hpp"

#include "isa/image_kernels.inl.hpp"
