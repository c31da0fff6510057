#pragma once
#include <string>

#include "core/view.hpp"

namespace fanin {

enum class Rule : int {
  sgd, momentum, nesterov, adagrad, rmsprop, adadelta, adam, adamw, nadam, amsgrad, lion
};

/// Arrays of state that a rule keeps for each parameter.
int state_count(Rule rule);

/// The hyperparameters of a rule, as the user gave them. A rule reads only those of its formula.
struct RuleSpec {
  Rule rule = Rule::sgd;
  double lr = 1e-2;
  double rho = 0.9;               // momentum, nesterov, adadelta; alpha of rmsprop
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;      // decoupled: adamw, lion
  double momentum_decay = 4e-3;   // nadam; negative stands for the textbook form
};

/// What a rule carries from step to step besides its arrays.
struct RuleClock {
  std::int64_t t = 0;
  double beta1_power = 1.0, beta2_power = 1.0;
  double mu_decay_power = 1.0, mu_product = 1.0;  // nadam
};

/// The numbers of one step, folded so that the loop over parameters has as little to do as it can.
template <class T>
struct StepCoefficients {
  Rule rule;
  T c[8];
};

/// Advances the clock by one step at learning rate lr and gives the step's numbers.
template <class T>
StepCoefficients<T> advance(const RuleSpec& spec, RuleClock& clock, double lr);

/// One step on n parameters: p is updated from g and the states.
template <class T>
struct OptimizerStep {
  StepCoefficients<T> coefficients;
  T* p;
  const T* g;
  T* state[3];  // state_count(rule) of them
  T l2;         // added to the gradient as l2 * p, before the rule
  T g_scale;    // multiplies the gradient first: 1, or the clip factor
};

}  // namespace fanin
