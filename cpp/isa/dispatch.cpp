#include "isa/dispatch.hpp"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

#include "core/cpu.hpp"
#include "isa/self_test.hpp"

namespace fanin {

namespace {

std::vector<const Table*> supported_tables() {
  std::vector<const Table*> found;
#if defined(FANIN_HAS_AMX)
  if (cpu_has_amx()) found.push_back(&table_amx);
#endif
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

std::atomic<bool> asked_for_tiles{false};

/// Why this process must do without tiles; empty where it has them.
const std::string& refusal_of_tiles() {
  asked_for_tiles = true;
  static const std::string refusal = []() -> std::string {
#if defined(FANIN_HAS_AMX)
    const std::string answer = ask_for_amx();
    if (!answer.empty()) return "the system refuses them (" + answer + ")";
    if (!same_products(bf16_amx, bf16_avx512)) return "they fail a test on this machine";
    return "";
#else
    return "fanin was built without amx";
#endif
  }();
  return refusal;
}

bool has_tiles(const Table& t) { return std::string(t.name) == "amx"; }

const Bf16Kernels<float>& choose_bf16() {
#if defined(FANIN_HAS_AMX)
  if (has_tiles(table()) && !refusal_of_tiles().empty()) return bf16_avx512;
#endif
  return table().bf16;
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
    if (std::string(wanted) == t->name) {
      if (has_tiles(*t) && !refusal_of_tiles().empty()) {
        throw std::invalid_argument("FANIN_ISA: expected tiles for 'amx', " + refusal_of_tiles());
      }
      return *t;
    }
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

template <>
const Bf16Kernels<float>& bf16_kernels() {
  static const Bf16Kernels<float>& chosen = choose_bf16();
  return chosen;
}

template <>
const Bf16Kernels<double>& bf16_kernels() {
  static constexpr Bf16Kernels<double> none{};
  return none;
}

std::string tiles(bool ask) {
  if (!has_tiles(table())) {
    return cpu_has_amx() ? "none: the instruction set in use is " + std::string(table().name)
                         : "none: this CPU or its system has no AMX with bf16";
  }
  if (!ask && !asked_for_tiles) return "not asked for yet";
  return refusal_of_tiles().empty() ? "in use" : "none: " + refusal_of_tiles();
}

}  // namespace fanin
