#pragma once
#include "isa/bf16_table.hpp"

namespace fanin {

/// Whether two tables give the same bits on one product of random numbers, ragged in every
/// direction.
bool same_products(const Bf16Kernels<float>& a, const Bf16Kernels<float>& b);

}  // namespace fanin
