#define FANIN_ISA scalar
#include "simd/vec_scalar.hpp"

#include "isa/image_kernels.inl.hpp"
