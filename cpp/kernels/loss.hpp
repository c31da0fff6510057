#pragma once
#include "core/names.hpp"
#include "core/view.hpp"

namespace fanin {

/// softmax: log-sum-exp minus the score of the label. svm: Weston-Watkins, margin 1.
/// mse: the mean over the outputs of the squared difference.
/// The others are scikit-learn's. log_loss: softmax whose probabilities count as [eps, 1 - eps],
/// eps that of the type, in the loss but not in the gradient. binary_log_loss: the same of a
/// logistic function of each output, summed. half_squared_error: half the sum of the squared
/// differences. poisson: the sum of y log(y / e^s) - y + e^s, half the deviance.
enum class Loss : int { softmax, svm, mse, log_loss, binary_log_loss, half_squared_error, poisson };
template <>
inline constexpr const char* names<Loss>[] = {
    "softmax", "svm", "mse", "log_loss", "binary_log_loss", "half_squared_error", "poisson"};

/// The most classes that svm takes with soft targets: its rows are worked on in a buffer.
inline constexpr index most_soft_svm_classes = 4096;

/// One row's loss, its gradient and its prediction, from scores (rows, classes).
/// Targets are labels (int32) or, where soft is given, rows of `classes` numbers: probabilities for
/// softmax, svm and log_loss (the loss is their weighted sum over labels) and, of each output, for
/// binary_log_loss, values for the others.
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
};

/// probabilities (rows, classes) = softmax of scores; they may be the same.
template <class T>
struct SoftmaxRows {
  const T* scores;
  T* probabilities;
  index classes, stride;
};

}  // namespace fanin
