#pragma once
#include <pybind11/pybind11.h>

#include "kernels/optimizer.hpp"

namespace fanin::bind {

/// An optimizer's rule with what it carries from step to step besides its arrays.
struct Rule {
  RuleSpec spec;
  RuleClock clock;
};

inline pybind11::dict clock_to_dict(const RuleClock& c) {
  using pybind11::arg;
  return pybind11::dict(arg("t") = c.t, arg("beta1_power") = c.beta1_power,
                        arg("beta2_power") = c.beta2_power,
                        arg("mu_decay_power") = c.mu_decay_power, arg("mu_product") = c.mu_product);
}

inline RuleClock clock_from(const pybind11::dict& d) {
  return {d["t"].cast<std::int64_t>(), d["beta1_power"].cast<double>(),
          d["beta2_power"].cast<double>(), d["mu_decay_power"].cast<double>(),
          d["mu_product"].cast<double>()};
}

}  // namespace fanin::bind
