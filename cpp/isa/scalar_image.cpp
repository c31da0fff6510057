#define FANIN_ISA scalar
#include "simd/gather_scalar.hpp"

#include "isa/image_kernels.inl.hpp"
