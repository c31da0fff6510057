#define FANIN_ISA avx2
#include "simd/vec_avx2.hpp"

#include "simd/tile_vec.hpp"

#include "isa/kernels.inl.hpp"
