#include "isa/dispatch.hpp"

#include <cstdlib>
#include <stdexcept>

#include "core/cpu.hpp"

namespace fanin {

namespace {

std::vector<const Table*> supported_tables() {
  std::vector<const Table*> found;
#if defined(FANIN_HAS_AVX512)
  if (cpu_has_avx512()) found.push_back(&table_avx512);
#endif
#if defined(FANIN_HAS_AVX2)
  if (cpu_has_avx2()) found.push_back(&table_avx2);
#endif
#if defined(FANIN_HAS_NEON)
  found.push_back(&table_neon);
#endif
#if defined(FANIN_HAS_SCALAR)
  found.push_back(&table_scalar);
#endif
  return found;
}

const Table& choose() {
  const auto tables = supported_tables();
  if (tables.empty()) {
    throw std::runtime_error(
        "fanin was built without an instruction set of this machine; build it with "
        "FANIN_ISAS=scalar, or without FANIN_ISAS");
  }
  const char* wanted = std::getenv("FANIN_ISA");
  if (!wanted || !*wanted) return *tables.front();
  std::string names;
  for (const Table* t : tables) {
    if (std::string(wanted) == t->name) return *t;
    names += (names.empty() ? "" : ", ") + std::string(t->name);
  }
  throw std::invalid_argument("FANIN_ISA: expected one of " + names + " on this machine, got '" +
                              wanted + "'");
}

}  // namespace

std::vector<std::string> supported_isas() {
  std::vector<std::string> names;
  for (const Table* t : supported_tables()) names.emplace_back(t->name);
  return names;
}

const Table& table() {
  static const Table& chosen = choose();
  return chosen;
}

}  // namespace fanin
