#pragma once
#include <cmath>
#include <limits>

#include "kernels/loss.hpp"
#include "simd/partial.hpp"

namespace fanin::FANIN_ISA {

/// first, first + 1, ... as numbers: exact up to 2^24 classes.
template <class T>
FANIN_INLINE Vec<T> positions(index first) {
  return Vec<T>::set(static_cast<T>(first)) + Vec<T>::from_u32(U32::iota(0));
}

template <class T>
FANIN_INLINE T row_maximum(const T* s, index classes) {
  const Vec<T> lowest = Vec<T>::set(T(-INFINITY));
  Vec<T> top = lowest;
  each_vec<T>(classes,
              [&](index j, int n) { top = max(top, keep_some(load_some(s + j, n), n, lowest)); });
  return maximum(top);
}

/// Where the row's largest score stands first; 0 where NaN leaves none.
template <class T>
FANIN_INLINE std::int32_t first_position(const T* s, index classes, T largest) {
  const Vec<T> none = Vec<T>::set(T(-INFINITY)), target = Vec<T>::set(largest);
  Vec<T> found = none;
  each_vec<T>(classes, [&](index j, int n) {
    const Vec<T> x = load_some(s + j, n);
    const Vec<T> at = select(x == target, Vec<T>::zero() - positions<T>(j), none);
    found = max(found, keep_some(at, n, none));
  });
  const T position = -maximum(found);
  return position < static_cast<T>(classes) ? static_cast<std::int32_t>(position) : 0;
}

/// The targets of one row: soft, or 1 at its label.
template <class T>
struct Target {
  const T* soft;
  index label;

  FANIN_INLINE Target(const LossRows<T>& a, index i, index first = 0)
      : soft(a.soft ? a.soft + i * a.soft_stride : nullptr),
        label(a.soft ? 0 : a.labels[i] - first) {}

  FANIN_INLINE Vec<T> load(index j, int n) const {
    if (soft) return load_some(soft + j, n);
    const Mask<T> here = positions<T>(j) == Vec<T>::set(static_cast<T>(label));
    return select(here, Vec<T>::set(T(1)), Vec<T>::zero());
  }
};

/// What is left of a softmax row for its loss: mass * log(total) - cross.
template <class T>
struct SoftmaxParts {
  T total, cross, mass;
};

/// Adjusted: with label smoothing or a temperature.
template <bool Adjusted, class T>
FANIN_INLINE SoftmaxParts<T> softmax_row(const LossRows<T>& a, index i) {
  const T* s = a.scores + i * a.stride;
  T* d = a.dscores ? a.dscores + i * a.stride : nullptr;
  const Target<T> target(a, i);
  const bool spread = Adjusted || target.soft;  // over several classes
  const Vec<T> even = Vec<T>::set(a.smoothing / static_cast<T>(a.classes));
  const Vec<T> certain = Vec<T>::set(T(1) - a.smoothing);
  const auto wanted = [&](index j, int n) {
    const Vec<T> q = target.load(j, n);
    return Adjusted ? fma(q, certain, even) : q;
  };
  const T largest = row_maximum(s, a.classes);
  if (a.predicted) a.predicted[i] = first_position(s, a.classes, largest);
  SoftmaxParts<T> parts{T(0), spread ? T(0) : s[target.label] - largest, T(1)};
  const Vec<T> top = Vec<T>::set(largest);
  Vec<T> total = Vec<T>::zero(), cross = Vec<T>::zero(), mass = Vec<T>::zero();
  each_vec<T>(a.classes, [&](index j, int n) {
    Vec<T> x = load_some(s + j, n) - top;
    if (Adjusted) x = x * Vec<T>::set(a.sharpness);
    const Vec<T> e = keep_some(exp(x), n, Vec<T>::zero());
    total = total + e;
    if (spread) {
      const Vec<T> q = Adjusted ? keep_some(wanted(j, n), n, Vec<T>::zero()) : target.load(j, n);
      cross = fma(q, x, cross);
      mass = mass + q;
    }
    if (d) store_some(e, d + j, n);
  });
  parts.total = sum(total);
  if (spread) {
    parts.cross = sum(cross);
    parts.mass = sum(mass);
  }
  if (!d) return parts;
  const Vec<T> share = Vec<T>::set(parts.mass / parts.total);
  const T scale = a.weights ? a.weights[i] * a.scale : a.scale;
  const Vec<T> factor = Vec<T>::set(Adjusted ? scale * a.sharpness : scale);
  each_vec<T>(a.classes, [&](index j, int n) {
    store_some((load_some(d + j, n) * share - wanted(j, n)) * factor, d + j, n);
  });
  return parts;
}

/// The loss of a probability that counts as [eps, 1 - eps]; NaN stays.
template <class T>
FANIN_INLINE Vec<T> clipped_log_loss(Vec<T> loss) {
  constexpr T eps = std::numeric_limits<T>::epsilon();
  constexpr T most = sizeof(T) == 8 ? T(36.04365338911715) : T(15.942385152878742);  // -log(eps)
  return max(Vec<T>::set(eps), min(Vec<T>::set(most), loss));
}

/// A Vec of rows at a time, so that one logarithm serves them all.
template <bool Adjusted, class T>
void softmax_loss(const LossRows<T>& a, Range rows) noexcept {
  constexpr int L = lanes<T>;
  const Vec<T> one = Vec<T>::set(T(1));
  for (index i = rows.begin; i < rows.end; i += L) {
    const int n = static_cast<int>(rows.end - i < L ? rows.end - i : L);
    T total[L], cross[L], mass[L];
    for (int r = 0; r < n; ++r) {
      const SoftmaxParts<T> parts = softmax_row<Adjusted>(a, i + r);
      total[r] = parts.total;
      cross[r] = parts.cross;
      mass[r] = parts.mass;
    }
    const Vec<T> log_total = log(keep_some(load_some(total, n), n, one));
    Vec<T> loss = load_some(mass, n) * log_total - load_some(cross, n);
    if (a.loss == Loss::log_loss) loss = clipped_log_loss(loss);
    store_some(a.weights ? loss * load_some(a.weights + i, n) : loss, a.row_loss + i, n);
  }
}

/// Sum over j of max(0, s_j - s_label + 1), j != label. Adds its gradient, times factor, to d,
/// which may be s where `fresh`: d is then written and not read.
template <class T>
FANIN_INLINE T hinge_row(const T* s, index classes, index label, T factor, T* d, bool fresh) {
  const Vec<T> zero = Vec<T>::zero(), one = Vec<T>::set(T(1));
  const Vec<T> own = Vec<T>::set(s[label]), at = Vec<T>::set(static_cast<T>(label));
  Vec<T> loss = zero, count = zero;
  each_vec<T>(classes, [&](index j, int n) {
    // The label's own margin is 0, or NaN where its score is not finite.
    const Vec<T> one_elsewhere = select(positions<T>(j) == at, zero, one);
    const Vec<T> margin = keep_some(load_some(s + j, n) - own + one_elsewhere, n, zero);
    const Mask<T> violated = margin > zero;
    loss = loss + max(zero, margin);  // this order lets a NaN through
    count = count + select(violated, one, zero);
    if (!d) return;
    const Vec<T> g = select(violated, Vec<T>::set(factor), zero);
    store_some(fresh ? g : load_some(d + j, n) + g, d + j, n);
  });
  if (d) d[label] -= sum(count) * factor;
  return sum(loss);
}

/// The hinge losses of all labels, weighted by the soft targets q.
template <class T>
T soft_hinge_row(const T* s, const T* q, index classes, T factor, T* d) noexcept {
  T scores[most_soft_svm_classes];  // d may stand where the scores do
  for (index j = 0; j < classes; ++j) scores[j] = s[j];
  T loss = T(0);
  for (index j = 0; d && j < classes; ++j) d[j] = T(0);
  for (index label = 0; label < classes; ++label) {
    if (q[label] == T(0)) continue;
    loss += q[label] * hinge_row(scores, classes, label, q[label] * factor, d, false);
  }
  return loss;
}

template <class T>
void svm_loss(const LossRows<T>& a, Range rows) noexcept {
  for (index i = rows.begin; i < rows.end; ++i) {
    const T* s = a.scores + i * a.stride;
    T* d = a.dscores ? a.dscores + i * a.stride : nullptr;
    const T weight = a.weights ? a.weights[i] : T(1), factor = weight * a.scale;
    if (a.predicted) a.predicted[i] = first_position(s, a.classes, row_maximum(s, a.classes));
    a.row_loss[i] =
        weight * (a.soft ? soft_hinge_row(s, a.soft + i * a.soft_stride, a.classes, factor, d)
                         : hinge_row(s, a.classes, a.labels[i], factor, d, true));
  }
}

/// What a loss adds up over the outputs, and its gradient over the score s with target y.
template <class T>
struct OutputLoss {
  Vec<T> loss, gradient;
};

template <class T>
FANIN_INLINE OutputLoss<T> binary_log_loss(Vec<T> s, Vec<T> y) {
  constexpr T eps = std::numeric_limits<T>::epsilon();
  const Vec<T> zero = Vec<T>::zero(), one = Vec<T>::set(T(1));
  const Vec<T> probability = sigmoid(s);
  const Vec<T> p = max(Vec<T>::set(eps), min(Vec<T>::set(T(1) - eps), probability));
  return {zero - (y * log(p) + (one - y) * log(one - p)), probability - y};
}

template <class T>
FANIN_INLINE OutputLoss<T> half_squared_error(Vec<T> s, Vec<T> y) {
  const Vec<T> difference = s - y;
  return {Vec<T>::set(T(0.5)) * difference * difference, difference};
}

template <class T>
FANIN_INLINE OutputLoss<T> poisson(Vec<T> s, Vec<T> y) {
  const Vec<T> zero = Vec<T>::zero(), mean = exp(s);
  const Mask<T> counts = y > zero;
  const Vec<T> log_ratio = log(select(counts, y, Vec<T>::set(T(1)))) - s;
  return {select(counts, y * log_ratio, zero) - y + mean, mean - y};
}

/// Each side's logarithm is log(1 + e^-|s|), and -s or s where it is the less likely one: nothing
/// cancels. A target of 1 weighs `positive`.
template <class T>
FANIN_INLINE OutputLoss<T> logistic(Vec<T> s, Vec<T> y, Vec<T> positive) {
  const Vec<T> zero = Vec<T>::zero(), one = Vec<T>::set(T(1));
  const Vec<T> u = exp(zero - abs(s)), inverse = one / (one + u), other = u * inverse;
  const Mask<T> likely = s > zero;
  const Vec<T> yes = positive * y, no = one - y;
  const Vec<T> loss = fma(yes, max(zero, zero - s), no * max(zero, s));
  return {fma(yes + no, log1p_unit(u), loss),
          no * select(likely, inverse, other) - yes * select(likely, other, inverse)};
}

template <class T>
FANIN_INLINE OutputLoss<T> absolute_error(Vec<T> s, Vec<T> y) {
  const Vec<T> d = s - y, zero = Vec<T>::zero();
  return {abs(d), select(d == zero, zero, copysign(Vec<T>::set(T(1)), d))};
}

template <class T>
FANIN_INLINE OutputLoss<T> huber(Vec<T> s, Vec<T> y, T delta) {
  const Vec<T> d = s - y, far = abs(d), near = min(Vec<T>::set(delta), far);
  return {near * fnma(Vec<T>::set(T(0.5)), near, far), copysign(near, d)};
}

template <class T>
FANIN_INLINE OutputLoss<T> pinball(Vec<T> s, Vec<T> y, Vec<T> level) {
  const Vec<T> d = y - s, zero = Vec<T>::zero(), above = level - Vec<T>::set(T(1));
  return {max(level * d, above * d), zero - select(d > zero, level, select(d < zero, above, zero))};
}

/// Losses that are a mean or a sum over the outputs, each with a target of its own: of_output takes
/// the first output, how many, and their scores and targets.
template <class T, class F>
FANIN_INLINE void over_outputs(const LossRows<T>& a, Range rows, F&& of_output) {
  const T outputs = a.mean ? static_cast<T>(a.classes) : T(1);
  const bool binary = a.loss == Loss::logistic && a.classes == 1;  // the label is the target
  for (index i = rows.begin; i < rows.end; ++i) {
    const T* s = a.scores + i * a.stride;
    T* d = a.dscores ? a.dscores + i * a.stride : nullptr;
    const Target<T> target(a, i, binary);
    const T weight = a.weights ? a.weights[i] : T(1);
    const Vec<T> factor = Vec<T>::set(weight * a.scale / outputs);
    if (a.predicted) {
      a.predicted[i] =
          binary ? s[0] > T(0) : first_position(s, a.classes, row_maximum(s, a.classes));
    }
    Vec<T> total = Vec<T>::zero();
    each_vec<T>(a.classes, [&](index j, int n) {
      const OutputLoss<T> o = of_output(j, n, load_some(s + j, n), target.load(j, n));
      total = total + keep_some(o.loss, n, Vec<T>::zero());
      if (d) store_some(o.gradient * factor, d + j, n);
    });
    a.row_loss[i] = weight * (sum(total) / outputs);
  }
}

/// The same of a function of score and target alone.
template <class T, class F>
FANIN_INLINE void over_alike_outputs(const LossRows<T>& a, Range rows, F&& of_output) {
  over_outputs(a, rows, [&](index, int, Vec<T> s, Vec<T> y) { return of_output(s, y); });
}

template <class T>
void logistic_loss(const LossRows<T>& a, Range rows) noexcept {
  const Vec<T> even = Vec<T>::set(a.smoothing / T(2)), one = Vec<T>::set(T(1));
  const Vec<T> certain = Vec<T>::set(T(1) - a.smoothing);
  over_outputs(a, rows, [&](index j, int n, Vec<T> s, Vec<T> y) {
    return logistic(s, fma(y, certain, even), a.positive ? load_some(a.positive + j, n) : one);
  });
}

template <class T>
void quantile_loss(const LossRows<T>& a, Range rows) noexcept {
  over_outputs(a, rows, [&](index j, int n, Vec<T> s, Vec<T> y) {
    return pinball(s, y, load_some(a.levels + j, n));
  });
}

template <class T>
void huber_loss(const LossRows<T>& a, Range rows) noexcept {
  over_alike_outputs(a, rows, [&](Vec<T> s, Vec<T> y) { return huber(s, y, a.delta); });
}

template <class T>
void mse_loss(const LossRows<T>& a, Range rows) noexcept {
  const T classes = static_cast<T>(a.classes);
  for (index i = rows.begin; i < rows.end; ++i) {
    const T* s = a.scores + i * a.stride;
    T* d = a.dscores ? a.dscores + i * a.stride : nullptr;
    const Target<T> target(a, i);
    const T weight = a.weights ? a.weights[i] : T(1);
    const Vec<T> factor = Vec<T>::set(T(2) / classes * (weight * a.scale));
    if (a.predicted) a.predicted[i] = first_position(s, a.classes, row_maximum(s, a.classes));
    Vec<T> squares = Vec<T>::zero();
    each_vec<T>(a.classes, [&](index j, int n) {
      const Vec<T> difference = load_some(s + j, n) - target.load(j, n);
      squares = fma(difference, difference, squares);
      if (d) store_some(difference * factor, d + j, n);
    });
    a.row_loss[i] = weight * (sum(squares) / classes);
  }
}

template <class T>
void loss_rows(const LossRows<T>& a, Range rows) noexcept {
  switch (a.loss) {
    case Loss::softmax:
    case Loss::log_loss:
      return a.smoothing == T(0) && a.sharpness == T(1) ? softmax_loss<false>(a, rows)
                                                        : softmax_loss<true>(a, rows);
    case Loss::svm:
      return svm_loss(a, rows);
    case Loss::mse:
      return mse_loss(a, rows);
    case Loss::binary_log_loss:
      return over_alike_outputs(a, rows, binary_log_loss<T>);
    case Loss::half_squared_error:
      return over_alike_outputs(a, rows, half_squared_error<T>);
    case Loss::poisson:
      return over_alike_outputs(a, rows, poisson<T>);
    case Loss::logistic:
      return logistic_loss(a, rows);
    case Loss::mae:
      return over_alike_outputs(a, rows, absolute_error<T>);
    case Loss::huber:
      return huber_loss(a, rows);
    case Loss::quantile:
      return quantile_loss(a, rows);
  }
}

template <class T>
void softmax_rows(const SoftmaxRows<T>& a, Range rows) noexcept {
  for (index i = rows.begin; i < rows.end; ++i) {
    const T* s = a.scores + i * a.stride;
    T* p = a.probabilities + i * a.stride;
    const Vec<T> top = Vec<T>::set(row_maximum(s, a.classes));
    Vec<T> total = Vec<T>::zero();
    each_vec<T>(a.classes, [&](index j, int n) {
      const Vec<T> e = keep_some(exp(load_some(s + j, n) - top), n, Vec<T>::zero());
      total = total + e;
      store_some(e, p + j, n);
    });
    const Vec<T> share = Vec<T>::set(T(1) / sum(total));
    each_vec<T>(a.classes,
                [&](index j, int n) { store_some(load_some(p + j, n) * share, p + j, n); });
  }
}

}  // namespace fanin::FANIN_ISA
