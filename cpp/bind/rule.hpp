#pragma once
#include "kernels/optimizer.hpp"

namespace fanin::bind {

/// An optimizer's rule with what it carries from step to step besides its arrays.
struct Rule {
  RuleSpec spec;
  RuleClock clock;
};

}  // namespace fanin::bind
