#include "kernels/optimizer.hpp"

#include <cmath>

namespace fanin {

namespace {

/// 0.96^x for x >= 0 by halving and the exponential series: libm's pow differs between systems.
double power_of_096(double x) {
  double y = x * -0.040821994520255166;  // ln 0.96
  int halvings = 0;
  for (; y < -0.1 && halvings < 60; ++halvings) y *= 0.5;
  double r = 1.0;
  for (int k = 12; k > 0; --k) r = 1.0 + r * y / k;
  while (halvings-- > 0) r *= r;
  return r;
}

struct Moments {
  double rate, rate_gradient;
};

/// Rates of the first moment and of the gradient before the second moment's correction.
/// Nadam with a schedule is PyTorch's (Dozat 2016); without, Ruder's with a constant beta1.
Moments nesterov_moments(const RuleSpec& spec, RuleClock& clock, double lr) {
  const double b1 = spec.beta1;
  if (spec.momentum_decay < 0) {
    const double corrected = lr / (1.0 - clock.beta1_power);
    return {corrected * b1, corrected * (1.0 - b1)};
  }
  const double decay = power_of_096(spec.momentum_decay);
  clock.mu_decay_power *= decay;
  const double mu = b1 * (1.0 - 0.5 * clock.mu_decay_power);
  const double next = b1 * (1.0 - 0.5 * clock.mu_decay_power * decay);
  clock.mu_product *= mu;
  return {lr * next / (1.0 - clock.mu_product * next), lr * (1.0 - mu) / (1.0 - clock.mu_product)};
}

}  // namespace

template <class T>
StepCoefficients<T> advance(const RuleSpec& spec, RuleClock& clock, double lr) {
  clock.t += 1;
  clock.beta1_power *= spec.beta1;
  clock.beta2_power *= spec.beta2;
  double rate = lr, rate_gradient = 0, eps = spec.eps, shrink = 1.0;
  double keep1 = spec.beta1, add1 = 1.0 - spec.beta1;
  double keep2 = spec.beta2, add2 = 1.0 - spec.beta2;
  switch (spec.rule) {
    case Rule::sgd:
    case Rule::adagrad:
      break;
    case Rule::momentum:
    case Rule::nesterov:
      keep1 = spec.rho;
      break;
    case Rule::rmsprop:
    case Rule::adadelta:
      keep2 = spec.rho;
      add2 = 1.0 - spec.rho;
      break;
    case Rule::nadam: {
      const Moments moments = nesterov_moments(spec, clock, lr);
      const double root = std::sqrt(1.0 - clock.beta2_power);
      rate = moments.rate * root;
      rate_gradient = moments.rate_gradient * root;
      eps *= root;
      break;
    }
    case Rule::adamw:
      shrink = 1.0 - lr * spec.weight_decay;
      [[fallthrough]];
    case Rule::adam:
    case Rule::amsgrad: {
      // lr m^ / (sqrt(v^) + eps) with both sides times sqrt(1 - beta2^t): one division is left.
      const double root = std::sqrt(1.0 - clock.beta2_power);
      rate = lr * root / (1.0 - clock.beta1_power);
      eps *= root;
      break;
    }
    case Rule::lion:
      shrink = 1.0 - lr * spec.weight_decay;
      break;
  }
  return {spec.rule, T(rate), T(rate_gradient), T(keep1), T(add1),
          T(keep2),  T(add2), T(eps),           T(shrink)};
}

template StepCoefficients<float> advance<float>(const RuleSpec&, RuleClock&, double);
template StepCoefficients<double> advance<double>(const RuleSpec&, RuleClock&, double);

}  // namespace fanin
