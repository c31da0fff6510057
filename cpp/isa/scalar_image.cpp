#define FANIN_ISA scalar
#include "simd/pixels_scalar.hpp"

#include "isa/image_kernels.inl.hpp"
