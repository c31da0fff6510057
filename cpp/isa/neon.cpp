#define FANIN_ISA neon
#include "simd/vec_neon.hpp"

#include "simd/tile_vec.hpp"

#include "isa/kernels.inl.hpp"
