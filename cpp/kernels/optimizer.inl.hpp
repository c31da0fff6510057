#pragma once
#include <algorithm>
#include <limits>

#include "core/aligned.hpp"
#include "kernels/optimizer.hpp"
#include "simd/partial.hpp"

namespace fanin::FANIN_ISA {

/// StepCoefficients in all lanes.
template <class T>
struct StepVecs {
  Vec<T> rate, rate_gradient, keep1, add1, keep2, add2, eps, shrink;
  Vec<T> least;  // of a quotient whose denominator is a root and eps

  explicit FANIN_INLINE StepVecs(const StepCoefficients<T>& c)
      : rate(Vec<T>::set(c.rate)),
        rate_gradient(Vec<T>::set(c.rate_gradient)),
        keep1(Vec<T>::set(c.keep1)),
        add1(Vec<T>::set(c.add1)),
        keep2(Vec<T>::set(c.keep2)),
        add2(Vec<T>::set(c.add2)),
        eps(Vec<T>::set(c.eps)),
        shrink(Vec<T>::set(c.shrink)),
        least(Vec<T>::set(c.eps < T(1) ? T(1e-17) : std::numeric_limits<T>::infinity())) {}
};

/// 1, -1, or x itself where it is 0 or NaN.
template <class T>
FANIN_INLINE Vec<T> sign(Vec<T> x) {
  const Vec<T> zero = Vec<T>::zero();
  return select(x > zero, Vec<T>::set(T(1)), select(x < zero, Vec<T>::set(T(-1)), x));
}

/// The new p from the old one and its gradient; s holds the states, old on entry and new on return.
template <Rule R, class T>
FANIN_INLINE Vec<T> updated(const StepVecs<T>& c, Vec<T> p, Vec<T> g, Vec<T>* s) {
  if constexpr (R == Rule::sgd) {
    return fnma(c.rate, g, p);
  } else if constexpr (R == Rule::momentum) {
    s[0] = fma(c.keep1, s[0], g);
    return fnma(c.rate, s[0], p);
  } else if constexpr (R == Rule::nesterov) {
    s[0] = fma(c.keep1, s[0], g);
    return fnma(c.rate, fma(c.keep1, s[0], g), p);
  } else if constexpr (R == Rule::adagrad) {
    s[0] = fma(g, g, s[0]);
    return p - quotient(c.rate * g, sqrt(s[0]) + c.eps, c.least);
  } else if constexpr (R == Rule::rmsprop) {
    s[0] = fma(c.keep2, s[0], c.add2 * g * g);
    return p - quotient(c.rate * g, sqrt(s[0]) + c.eps, c.least);
  } else if constexpr (R == Rule::adadelta) {
    s[0] = fma(c.keep2, s[0], c.add2 * g * g);
    const Vec<T> delta = sqrt((s[1] + c.eps) / (s[0] + c.eps)) * g;
    s[1] = fma(c.keep2, s[1], c.add2 * delta * delta);
    return fnma(c.rate, delta, p);
  } else if constexpr (R == Rule::lion) {
    const Vec<T> direction = sign(fma(c.keep1, s[0], c.add1 * g));
    s[0] = fma(c.keep2, s[0], c.add2 * g);
    return fnma(c.rate, direction, p * c.shrink);
  } else {
    s[0] = fma(c.keep1, s[0], c.add1 * g);
    s[1] = fma(c.keep2, s[1], c.add2 * g * g);
    Vec<T> second = s[1];
    if constexpr (R == Rule::amsgrad) second = s[2] = max(s[2], s[1]);
    Vec<T> first = c.rate * s[0];
    if constexpr (R == Rule::nadam) first = fma(c.rate_gradient, g, first);
    if constexpr (R == Rule::adamw) p = p * c.shrink;
    return p - quotient(first, sqrt(second) + c.eps, c.least);
  }
}

template <Rule R, class T>
FANIN_INLINE void step_vec(const OptimizerStep<T>& a, const StepVecs<T>& c, Vec<T> l2,
                           Vec<T> g_scale, index i, int n) {
  constexpr int n_states = state_count(R);
  Vec<T> p = load_some(a.p + i, n), g = load_some(a.g + i, n);
  Vec<T> s[n_states + 1];
  for (int k = 0; k < n_states; ++k) s[k] = load_some(a.state[k] + i, n);
  g = fma(l2, p, g * g_scale);
  store_some(updated<R>(c, p, g, s), a.p + i, n);
  for (int k = 0; k < n_states; ++k) store_some(s[k], a.state[k] + i, n);
}

/// Asks for what the rule writes a few items later. Their lines are in another core's cache where
/// that has read them, and an item is too short for the hardware to see where it goes.
template <Rule R, class T>
FANIN_INLINE void fetch_ahead(const OptimizerStep<T>& a, index i) {
  prefetch_for_write(a.p + i);
  for (int k = 0; k < state_count(R); ++k) prefetch_for_write(a.state[k] + i);
}

template <Rule R, class T>
void step_as(const OptimizerStep<T>& args, Range elements) noexcept {
  constexpr index L = lanes<T>, ahead = 32768 / sizeof(T);
  const OptimizerStep<T> a = args;  // a local copy: no store through a.p can change it
  const StepVecs<T> c(a.coefficients);
  const Vec<T> l2 = Vec<T>::set(a.l2), g_scale = Vec<T>::set(a.g_scale);
  const auto step = [&](index i, index n) {
    step_vec<R>(a, c, l2, g_scale, i, static_cast<int>(n));
  };
  index i = elements.begin;
  const index head = std::min(up_to_line(a.p + i), elements.end - i);
  if (head > 0) step(i, head);
  i += head;
  for (const index end = std::min(elements.end, a.size - ahead); i + L <= end; i += L) {
    fetch_ahead<R>(a, i + ahead);
    step(i, L);
  }
  for (; i + L <= elements.end; i += L) step(i, L);
  if (i < elements.end) step(i, elements.end - i);
}

template <class T>
void optimizer_step(const OptimizerStep<T>& a, Range elements) noexcept {
  switch (a.coefficients.rule) {
    case Rule::sgd:
      return step_as<Rule::sgd>(a, elements);
    case Rule::momentum:
      return step_as<Rule::momentum>(a, elements);
    case Rule::nesterov:
      return step_as<Rule::nesterov>(a, elements);
    case Rule::adagrad:
      return step_as<Rule::adagrad>(a, elements);
    case Rule::rmsprop:
      return step_as<Rule::rmsprop>(a, elements);
    case Rule::adadelta:
      return step_as<Rule::adadelta>(a, elements);
    case Rule::adam:
      return step_as<Rule::adam>(a, elements);
    case Rule::adamw:
      return step_as<Rule::adamw>(a, elements);
    case Rule::nadam:
      return step_as<Rule::nadam>(a, elements);
    case Rule::amsgrad:
      return step_as<Rule::amsgrad>(a, elements);
    case Rule::lion:
      return step_as<Rule::lion>(a, elements);
  }
}

}  // namespace fanin::FANIN_ISA
