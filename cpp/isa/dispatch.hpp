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

inline const ImageKernels& image_kernels() { return table().images; }

}  // namespace fanin
