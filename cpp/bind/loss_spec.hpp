#pragma once
#include <pybind11/stl.h>

#include "bind/classes.hpp"
#include "bind/names.hpp"
#include "kernels/loss.hpp"

namespace fanin::bind {

namespace py = pybind11;

/// A loss as Python gives it: with its options, or its name or number alone.
inline LossSpec spec_of(const py::object& given) {
  if (py::isinstance<py::str>(given)) return {choice<Loss>("loss", given.cast<std::string>())};
  if (py::isinstance<py::int_>(given)) return {checked<Loss>("loss", given.cast<int>())};
  return given.cast<LossSpec>();
}

/// Refuses quantiles that do not go with the number of outputs.
inline void check_outputs(const LossSpec& spec, index outputs) {
  if (spec.loss != Loss::quantile) return;
  const auto n = static_cast<index>(spec.quantiles.size());
  if (n > 0 && outputs % n == 0) return;
  throw py::value_error("quantiles: expected a number that divides the " + std::to_string(outputs) +
                        " outputs, got " + std::to_string(n));
}

}  // namespace fanin::bind
