#pragma once
#include "core/names.hpp"
#include "core/view.hpp"

namespace fanin {

enum class Rule : int {
  sgd,
  momentum,
  nesterov,
  adagrad,
  rmsprop,
  adadelta,
  adam,
  adamw,
  nadam,
  amsgrad,
  lion
};
template <>
inline constexpr const char* names<Rule>[] = {"sgd",     "momentum", "nesterov", "adagrad",
                                              "rmsprop", "adadelta", "adam",     "adamw",
                                              "nadam",   "amsgrad",  "lion"};

/// Arrays of state that a rule keeps for each parameter.
FANIN_INLINE constexpr int state_count(Rule rule) {
  switch (rule) {
    case Rule::sgd:
      return 0;
    case Rule::momentum:
    case Rule::nesterov:
    case Rule::adagrad:
    case Rule::rmsprop:
    case Rule::lion:
      return 1;
    case Rule::adadelta:
    case Rule::adam:
    case Rule::adamw:
    case Rule::nadam:
      return 2;
    case Rule::amsgrad:
      return 3;
  }
  return 0;
}

/// The hyperparameters of a rule, as the user gave them. A rule reads only those of its formula.
struct RuleSpec {
  Rule rule = Rule::sgd;
  double rho = 0.9;  // momentum, nesterov, adadelta; alpha of rmsprop
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;     // decoupled: adamw, lion
  double momentum_decay = 4e-3;  // nadam; negative stands for the textbook form
};

/// What a rule carries from step to step besides its arrays.
struct RuleClock {
  std::int64_t t = 0;
  double beta1_power = 1.0, beta2_power = 1.0;
  double mu_decay_power = 1.0, mu_product = 1.0;  // nadam
};

/// The numbers of one step, folded so that the loop over parameters has as little to do as it can:
/// bias corrections go into rate and eps.
template <class T>
struct StepCoefficients {
  Rule rule;
  T rate;           // of the update
  T rate_gradient;  // nadam: of the gradient beside the first moment
  T keep1, add1;    // first moment m = keep1 * m + add1 * g; velocity: rho, 1
  T keep2, add2;    // second moment v = keep2 * v + add2 * g * g
  T eps;
  T shrink;  // p is multiplied by it first: 1 - lr * weight_decay
};

/// Advances the clock by one step at learning rate lr and gives the step's numbers.
template <class T>
StepCoefficients<T> advance(const RuleSpec& spec, RuleClock& clock, double lr);

/// The step's numbers for parameters that learn `rate` times as fast.
template <class T>
StepCoefficients<T> at_rate(StepCoefficients<T> c, double rate) {
  if (rate == 1) return c;
  c.rate *= T(rate);
  c.rate_gradient *= T(rate);
  c.shrink = T(1) - T(rate) * (T(1) - c.shrink);
  return c;
}

/// One step on n parameters: p is updated from g and the states. No two of the arrays may overlap.
template <class T>
struct OptimizerStep {
  StepCoefficients<T> coefficients;
  T* p;
  const T* g;
  T* state[3];  // state_count(rule) of them
  T l2;         // added to the gradient as l2 * p, before the rule
  T g_scale;    // multiplies the gradient first: 1, or the clip factor
  index size;   // elements of p and the states: what lies behind a range is updated next
};

}  // namespace fanin
