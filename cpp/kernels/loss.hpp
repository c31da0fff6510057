#pragma once
#include <vector>

#include "core/names.hpp"
#include "core/view.hpp"

namespace fanin {

/// softmax: log-sum-exp minus the score of the label. svm: Weston-Watkins, margin 1.
/// Of these two the probabilities count as [eps, 1 - eps], eps that of the type, in the loss but
/// not in the gradient, as in scikit-learn. log_loss: softmax. binary_log_loss: logistic.
/// mse: the mean over the outputs of (s - y)^2, of scores s and targets y.
/// The others are a sum over the outputs, or their mean. half_squared_error: (s - y)^2 / 2.
/// poisson: y log(y / e^s) - y + e^s, half the deviance. logistic: -log(sigmoid(s)) where y is 1,
/// -log(sigmoid(-s)) where it is 0. mae: |s - y|. huber: (s - y)^2 / 2 to |s - y| = delta, then a
/// line. quantile: max(q (y - s), (q - 1) (y - s)) for the output's level q.
enum class Loss : int {
  softmax,
  svm,
  mse,
  log_loss,
  binary_log_loss,
  half_squared_error,
  poisson,
  logistic,
  mae,
  huber,
  quantile
};
template <>
inline constexpr const char* names<Loss>[] = {
    "softmax", "svm",      "mse", "log_loss", "binary_log_loss", "half_squared_error",
    "poisson", "logistic", "mae", "huber",    "quantile"};

/// A loss with its options.
struct LossSpec {
  Loss loss = Loss::softmax;
  bool mean = false;       // over the outputs, where there would be a sum
  double smoothing = 0;    // of softmax and logistic: the share of a target that is even
  double temperature = 1;  // of softmax: the scores are divided by it
  double delta = 1;        // of huber
  std::vector<double> quantiles = {};  // the levels of the outputs, in turn
};

/// The level of each output, for quantile.
template <class T>
std::vector<T> levels_of(const LossSpec& spec, index outputs) {
  std::vector<T> levels;
  for (index j = 0; !spec.quantiles.empty() && j < outputs; ++j) {
    levels.push_back(
        static_cast<T>(spec.quantiles[static_cast<std::size_t>(j) % spec.quantiles.size()]));
  }
  return levels;
}

/// The most classes that svm takes with soft targets: its rows are worked on in a buffer.
inline constexpr index most_soft_svm_classes = 4096;

/// One row's loss, its gradient and its prediction, from scores (rows, classes).
/// Targets are labels (int32) or, where soft is given, rows of `classes` numbers: probabilities for
/// softmax, svm and log_loss (the loss is their weighted sum over labels) and, of each output, for
/// binary_log_loss and logistic, values for the others. A single logistic output takes labels 0
/// and 1.
/// A NaN among the scores makes the row's loss NaN.
template <class T>
struct LossRows {
  Loss loss;
  const T* scores;
  const std::int32_t* labels;  // of each row, or null
  const T* soft;               // (rows, classes), stride soft_stride, or null
  const T* weights;            // of each row, or null for 1
  T scale;                     // of the gradient: 1 / sum of weights
  T* row_loss;                 // (rows) weight * loss
  T* dscores;                  // (rows, classes), may be scores; or null for no gradient
  std::int32_t* predicted;     // (rows) the first largest score's index; or null
  index classes, stride, soft_stride;
  bool mean = false;                          // of LossSpec
  T smoothing = 0, sharpness = 1, delta = 1;  // sharpness: 1 / temperature
  const T* levels = nullptr;                  // (classes), for quantile
  const T* positive = nullptr;  // (classes), for logistic: weights of targets 1; or null
};

/// probabilities (rows, classes) = softmax of scores; they may be the same.
template <class T>
struct SoftmaxRows {
  const T* scores;
  T* probabilities;
  index classes, stride;
};

}  // namespace fanin
