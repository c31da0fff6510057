#define FANIN_ISA avx512
#include "simd/vec_avx512.hpp"

#include "simd/tile_vec.hpp"

#include "isa/kernels.inl.hpp"
