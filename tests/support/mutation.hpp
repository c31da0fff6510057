// A change of the code that is made where FANIN_MUTANT has its number when the core is loaded, so
// that one build has all of them: kernel_mutants.py writes these into a copy of the kernels.
// `a + b` becomes `a + Plus<7>() + b`, which keeps its place among the operators around it.
#pragma once
#include <cstdlib>

namespace fanin::mutation {

inline const int chosen = std::getenv("FANIN_MUTANT") ? std::atoi(std::getenv("FANIN_MUTANT")) : 0;

template <int N>
inline bool is() {
  return chosen == N;
}

/// `a op b`, or `a other b`, or what stands last where there is no such operator.
#define FANIN_MUTATED(name, op, other, last)                      \
  template <int N>                                                \
  struct name {};                                                 \
  template <int N, class A>                                       \
  struct name##Left {                                             \
    A a;                                                          \
  };                                                              \
  template <int N, class A>                                       \
  inline name##Left<N, A> operator op(A a, name<N>) {             \
    return {a};                                                   \
  }                                                               \
  template <int N, class A, class B>                              \
  inline auto operator op(name##Left<N, A> left, B b) {           \
    const A a = left.a;                                           \
    using Result = decltype(a op b);                              \
    if (!is<N>()) return static_cast<Result>(a op b);             \
    if constexpr (requires { static_cast<Result>(a other b); }) { \
      return static_cast<Result>(a other b);                      \
    } else {                                                      \
      return static_cast<Result>(last);                           \
    }                                                             \
  }

FANIN_MUTATED(Plus, +, -, a)
FANIN_MUTATED(Minus, -, +, b - a)
FANIN_MUTATED(Times, *, +, a)
FANIN_MUTATED(Over, /, *, a)
FANIN_MUTATED(Modulo, %, *, a)
FANIN_MUTATED(Less, <, <=, b < a)
FANIN_MUTATED(LessOrEqual, <=, <, b <= a)
FANIN_MUTATED(Greater, >, >=, b > a)
FANIN_MUTATED(GreaterOrEqual, >=, >, b >= a)
FANIN_MUTATED(Equal, ==, !=, a > b)
FANIN_MUTATED(Unequal, !=, ==, a == b)
FANIN_MUTATED(Xor, ^, &, a)
FANIN_MUTATED(ShiftLeft, <<, >>, a)
FANIN_MUTATED(ShiftRight, >>, <<, a)

/// n, or the number after it.
template <int N, class A>
inline A next(A n) {
  return is<N>() ? static_cast<A>(n + 1) : n;
}

/// f(a, b ...), or g of the same.
#define FANIN_EXCHANGED(f, g)           \
  template <int N, class... A>          \
  inline auto f##_(A... a) {            \
    return is<N>() ? g(a...) : f(a...); \
  }

FANIN_EXCHANGED(fma, fnma)
FANIN_EXCHANGED(fnma, fma)
FANIN_EXCHANGED(max, min)
FANIN_EXCHANGED(min, max)

}  // namespace fanin::mutation
