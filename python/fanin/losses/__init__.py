"""Losses over scores, with their gradients: of classes, of labels, of values and of counts.

Each ``*_loss(scores, y)`` returns ``(loss, dscores)`` as in the course's assignments: the mean over
the batch and its gradient over the scores, which are (N, C), float32 or float64.
"""

from fanin.losses.functions import (
    expected_initial_loss,
    get,
    half_squared_error_loss,
    huber_loss,
    logistic_loss,
    mae_loss,
    mse_loss,
    poisson_loss,
    quantile_loss,
    sigmoid,
    softmax,
    softmax_loss,
    svm_loss,
)
from fanin.losses.spec import NAMES as NAMES

__all__ = [
    "expected_initial_loss",
    "get",
    "half_squared_error_loss",
    "huber_loss",
    "logistic_loss",
    "mae_loss",
    "mse_loss",
    "poisson_loss",
    "quantile_loss",
    "sigmoid",
    "softmax",
    "softmax_loss",
    "svm_loss",
]
