#define FANIN_ISA amx
#include "simd/vec_avx512.hpp"

#include "simd/tile_amx.hpp"

#include "isa/bf16_kernels.inl.hpp"

namespace fanin {

/// AVX-512's but for these.
const Table table_amx = {"amx", f32_avx512, f64_avx512, images_avx512, bf16_amx};

}  // namespace fanin
