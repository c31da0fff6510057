#define FANIN_ISA scalar
#include "simd/vec_scalar.hpp"

#include "simd/tile_vec.hpp"

#include "isa/kernels.inl.hpp"
