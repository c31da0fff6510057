#pragma once
#include <string>
#include <vector>

#include "isa/table.hpp"

namespace fanin {

/// Names of the instruction sets that are compiled in and that this machine runs, best first.
std::vector<std::string> supported_isas();

/// The table in use: the best, or what FANIN_ISA names. Chosen once; throws std::invalid_argument
/// with the list of what is supported where FANIN_ISA names another.
const Table& table();

template <class T>
const Kernels<T>& kernels() {
  return of<T>(table());
}

/// Those of the table in use. With the first call this process asks the system for tiles, if the
/// table has any; where it may not use them, or they fail a test, AVX-512 takes their place.
template <class T>
const Bf16Kernels<T>& bf16_kernels();

/// Whether products of bf16 use tiles: "in use", "not asked for yet" or "none: " and the reason.
/// ask: asks for them, as the first product of bf16 does.
std::string tiles(bool ask);

inline const ImageKernels& image_kernels() { return table().images; }

}  // namespace fanin
