"""Losses over scores, with their gradients: of classes, of labels, of values and of counts.

Each ``*_loss(scores, y)`` returns ``(loss, dscores)`` as in the course's assignments: the mean over
the batch and its gradient over the scores, which are (N, C), float32 or float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from fanin import _core
from fanin._typing import Array
from fanin._validate import describe, float_array, one_of, plain_array, real, threads, weights
from fanin.losses.checks import targets
from fanin.losses.spec import NAMES, LossSpec


class Loss(Protocol):
    """A function that returns (loss, dscores), as `get` returns it."""

    def __call__(
        self,
        scores: Array,
        y: Array,
        *,
        sample_weight: Array | None = None,
        n_threads: int | None = None,
    ) -> tuple[float, Array]: ...


def softmax(
    scores: Array,
    *,
    temperature: float = 1.0,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    """Probabilities of the classes: ``exp(s) / sum(exp(s))`` of each row, safe from overflow.

    Parameters
    ----------
    scores : ndarray of shape (N, C), float32 or float64
    temperature : float
        The scores are divided by it: above 1 the probabilities are more alike.
    out : ndarray, optional
        Receives the result; may be `scores` itself.
    n_threads : int, optional

    Returns
    -------
    ndarray of shape (N, C)

    Examples
    --------
    >>> import numpy as np, fanin
    >>> fanin.losses.softmax(np.log([[1.0, 3.0]])).round(12)
    array([[0.25, 0.75]])
    """
    scores = _score_rows(scores)
    if real("temperature", temperature, 0, above=True) != 1:
        scores = scores * scores.dtype.type(1 / temperature)
    return _core.softmax_rows(scores, out, threads(n_threads))


def sigmoid(scores: Array) -> Array:
    """The probability ``1 / (1 + exp(-s))`` of each score by itself.

    Parameters
    ----------
    scores : ndarray, float32 or float64

    Examples
    --------
    >>> import numpy as np, fanin
    >>> fanin.losses.sigmoid(np.log([[1.0, 3.0]])).round(12)
    array([[0.5 , 0.75]])
    """
    result: Array = _core.map("sigmoid", float_array("scores", scores))
    return result


def softmax_loss(
    scores: Array,
    y: Array,
    *,
    sample_weight: Array | None = None,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    n_threads: int | None = None,
) -> tuple[float, Array]:
    """Softmax (cross-entropy) loss: the mean of log-sum-exp minus the score of the label.

    Parameters
    ----------
    scores : ndarray of shape (N, C), float32 or float64
    y : ndarray of shape (N,) or (N, C)
        Labels 0 .. C-1, or a distribution over the classes for each row (from mixup, say); the loss
        is then ``-sum(y * log softmax(scores))``.
    sample_weight : ndarray of shape (N,), optional
        The loss becomes ``sum(w * l) / sum(w)``.
    label_smoothing : float in [0, 1)
        The share of every target that is spread evenly over the classes (Szegedy et al. 2016).
    temperature : float
        The scores are divided by it.
    n_threads : int, optional

    Returns
    -------
    loss : float
    dscores : ndarray of shape (N, C), dtype of scores

    Raises
    ------
    ValueError, TypeError
        For a label out of range or a row that is no distribution (the first one is named), weights
        that are negative or all 0, a wrong shape or dtype.

    Examples
    --------
    At the start of training, with all scores near 0, the loss is log C:

    >>> import numpy as np, fanin
    >>> loss, dscores = fanin.losses.softmax_loss(np.zeros((2, 10)), np.array([3, 7]))
    >>> round(loss, 4)
    2.3026
    """
    spec = LossSpec("softmax", label_smoothing=label_smoothing, temperature=temperature)
    return _loss(spec, scores, y, sample_weight, n_threads)


def svm_loss(
    scores: Array, y: Array, *, sample_weight: Array | None = None, n_threads: int | None = None
) -> tuple[float, Array]:
    """Multiclass SVM loss: the mean of ``sum_j max(0, s_j - s_y + 1)`` over the wrong classes j.

    Weston & Watkins 1999, margin 1, as in the course's notes. Where a term is exactly 0 its
    gradient is 0.

    Parameters
    ----------
    scores, y, sample_weight, n_threads
        As in `softmax_loss`; with soft labels the loss is the expectation over the label (C at most
        4096).

    Examples
    --------
    The lecture's cat: scores 3.2 (cat, right), 5.1 (car), -1.7 (frog).

    >>> import numpy as np, fanin
    >>> loss, dscores = fanin.losses.svm_loss(np.array([[3.2, 5.1, -1.7]]), np.array([0]))
    >>> round(loss, 6)
    2.9
    >>> dscores
    array([[-1.,  1.,  0.]])
    """
    return _loss(LossSpec("svm"), scores, y, sample_weight, n_threads)


def mse_loss(
    scores: Array, y: Array, *, sample_weight: Array | None = None, n_threads: int | None = None
) -> tuple[float, Array]:
    """Squared error: the mean over rows and outputs of ``(scores - y)**2``.

    Parameters
    ----------
    scores, sample_weight, n_threads
        As in `softmax_loss`.
    y : ndarray of shape (N, C), or (N,)
        Any finite values; (N,) where C is 1. Integer labels (N,) stand for their one-hot rows.

    Examples
    --------
    >>> import numpy as np, fanin
    >>> fanin.losses.mse_loss(np.array([[3.0], [1.0]]), np.array([1.0, 1.0]))
    (2.0, array([[2.],
           [0.]]))
    """
    return _loss(LossSpec("mse"), scores, y, sample_weight, n_threads)


def logistic_loss(
    scores: Array,
    y: Array,
    *,
    sample_weight: Array | None = None,
    positive_weight: Array | None = None,
    label_smoothing: float = 0.0,
    n_threads: int | None = None,
) -> tuple[float, Array]:
    """Binary cross-entropy of a logistic function of each score, the mean over rows and outputs.

    ``-log(sigmoid(s))`` where y is 1 and ``-log(sigmoid(-s))`` where it is 0, between them the
    weighted sum of both. PyTorch's BCEWithLogitsLoss.

    Parameters
    ----------
    scores : ndarray of shape (N, 1) or (N, C), float32 or float64
        One for two classes, or one for each of C labels that a row has or has not.
    y : ndarray of shape (N,) or (N, C)
        0 and 1, bools, or probabilities; (N,) where C is 1.
    sample_weight : ndarray of shape (N,), optional
    positive_weight : ndarray of shape (C,), optional
        What a target of 1 weighs, where one of 0 weighs 1.
    label_smoothing : float in [0, 1)
        The share of every target that is 0.5.
    n_threads : int, optional

    Examples
    --------
    >>> import numpy as np, fanin
    >>> loss, dscores = fanin.losses.logistic_loss(np.zeros((2, 1)), np.array([0, 1]))
    >>> round(loss, 4), dscores.ravel()
    (0.6931, array([ 0.25, -0.25]))
    """
    spec = LossSpec("logistic", label_smoothing=label_smoothing)
    return _loss(spec, scores, y, sample_weight, n_threads, positive_weight)


def half_squared_error_loss(
    scores: Array, y: Array, *, sample_weight: Array | None = None, n_threads: int | None = None
) -> tuple[float, Array]:
    """Half the squared error: the mean over rows and outputs of ``(scores - y)**2 / 2``.

    Parameters
    ----------
    scores, y, sample_weight, n_threads
        As in `mse_loss`, but y holds values.

    Examples
    --------
    >>> import numpy as np, fanin
    >>> fanin.losses.half_squared_error_loss(np.array([[3.0], [1.0]]), np.array([1.0, 1.0]))
    (1.0, array([[1.],
           [0.]]))
    """
    return _loss(LossSpec("half_squared_error"), scores, y, sample_weight, n_threads)


def mae_loss(
    scores: Array, y: Array, *, sample_weight: Array | None = None, n_threads: int | None = None
) -> tuple[float, Array]:
    """Absolute error: the mean over rows and outputs of ``abs(scores - y)``.

    Where a difference is exactly 0 its gradient is 0.

    Parameters
    ----------
    scores, y, sample_weight, n_threads
        As in `mse_loss`, but y holds values.

    Examples
    --------
    >>> import numpy as np, fanin
    >>> fanin.losses.mae_loss(np.array([[3.0], [1.0]]), np.array([1.0, 1.0]))
    (1.0, array([[0.5],
           [0. ]]))
    """
    return _loss(LossSpec("mae"), scores, y, sample_weight, n_threads)


def huber_loss(
    scores: Array,
    y: Array,
    *,
    sample_weight: Array | None = None,
    huber_delta: float = 1.0,
    n_threads: int | None = None,
) -> tuple[float, Array]:
    """Huber's loss (1964): half the squared error up to `huber_delta`, then a line of that slope.

    ``d**2 / 2`` for ``d = abs(scores - y)`` up to delta, else ``delta * (d - delta / 2)``: the mean
    over rows and outputs. PyTorch's HuberLoss.

    Parameters
    ----------
    scores, y, sample_weight, n_threads
        As in `mse_loss`, but y holds values.
    huber_delta : float
        In the units of y.

    Examples
    --------
    >>> import numpy as np, fanin
    >>> fanin.losses.huber_loss(np.array([[3.0], [1.5]]), np.array([1.0, 1.0]))
    (0.8125, array([[0.5 ],
           [0.25]]))
    """
    spec = LossSpec("huber", huber_delta=huber_delta)
    return _loss(spec, scores, y, sample_weight, n_threads)


def quantile_loss(
    scores: Array,
    y: Array,
    *,
    sample_weight: Array | None = None,
    quantiles: float | Sequence[float] = 0.5,
    n_threads: int | None = None,
) -> tuple[float, Array]:
    """Quantile (pinball) loss: least where a share q of the targets lies below the score.

    ``max(q * (y - s), (q - 1) * (y - s))``, the mean over rows and outputs. Where a difference is
    exactly 0 its gradient is 0. Koenker and Bassett (1978).

    Parameters
    ----------
    scores : ndarray of shape (N, M * Q), float32 or float64
        The Q quantiles of the first of M values, then those of the next.
    y : ndarray of shape (N, M), or (N,)
    sample_weight : ndarray of shape (N,), optional
    quantiles : float or sequence of Q floats, between 0 and 1 and ascending
    n_threads : int, optional

    Examples
    --------
    >>> import numpy as np, fanin
    >>> scores, y = np.array([[0.0, 5.0]]), np.array([2.0])
    >>> loss, dscores = fanin.losses.quantile_loss(scores, y, quantiles=[0.1, 0.9])
    >>> round(loss, 3), dscores.round(3)
    (0.25, array([[-0.05,  0.05]]))
    """
    spec = LossSpec("quantile", quantiles=quantiles)
    return _loss(spec, scores, y, sample_weight, n_threads)


def poisson_loss(
    scores: Array, y: Array, *, sample_weight: Array | None = None, n_threads: int | None = None
) -> tuple[float, Array]:
    """Half the Poisson deviance of means ``exp(scores)``, the mean over rows and outputs.

    ``y * log(y / exp(s)) - y + exp(s)``; PyTorch's PoissonNLLLoss but for terms of y alone.

    Parameters
    ----------
    scores, sample_weight, n_threads
        As in `softmax_loss`.
    y : ndarray of shape (N, C), or (N,)
        Counts, at least 0; they need not be whole.

    Examples
    --------
    >>> import numpy as np, fanin
    >>> loss, dscores = fanin.losses.poisson_loss(np.zeros((2, 1)), np.array([0, 1]))
    >>> loss, dscores.ravel()
    (0.5, array([0.5, 0. ]))
    """
    return _loss(LossSpec("poisson"), scores, y, sample_weight, n_threads)


_FUNCTIONS: dict[str, Loss] = {
    "softmax": softmax_loss,
    "svm": svm_loss,
    "logistic": logistic_loss,
    "mse": mse_loss,
    "half_squared_error": half_squared_error_loss,
    "mae": mae_loss,
    "huber": huber_loss,
    "quantile": quantile_loss,
    "poisson": poisson_loss,
}


def get(name: str) -> Loss:
    """The loss function of that name.

    Parameters
    ----------
    name : {"softmax", "svm", "logistic", "mse", "half_squared_error", "mae", "huber", \
            "quantile", "poisson"}

    Examples
    --------
    >>> import fanin
    >>> fanin.losses.get("svm").__name__
    'svm_loss'
    """
    return _FUNCTIONS[one_of("loss", name, NAMES)]


def expected_initial_loss(loss: str, n_classes: int) -> float | None:
    """The loss of all-equal scores, which small initial weights give.

    Parameters
    ----------
    loss : str
        As in `get`. log C for softmax, C - 1 for svm (the lecture's first check), log 2 for
        logistic; None for the others, where it depends on the targets (`History` has it after a
        fit).
    n_classes : int

    Examples
    --------
    >>> import fanin
    >>> fanin.losses.expected_initial_loss("svm", 10)
    9.0
    """
    known = {"softmax": math.log(n_classes), "svm": float(n_classes - 1), "logistic": math.log(2)}
    return known.get(one_of("loss", loss, NAMES))


def loss_of_zero(loss: LossSpec, y: Array, sample_weight: Array | None = None) -> float:
    """The mean loss of scores 0 for targets (N, C) of values, as the core takes them."""
    return _mean_loss(loss, np.zeros_like(y), None, y, sample_weight, None, with_gradient=False)[0]


def row_losses(loss: LossSpec, scores: Array, values: Array) -> Array:
    """The loss of each row, of scores and values (N, C) of one dtype as the core takes them."""
    n = float(len(scores))
    rows, _, _ = _core.loss_rows(
        loss.core, scores, None, values, None, 1 / n, False, threads(None), None
    )
    return np.asarray(rows, np.float64)


def _score_rows(scores: object) -> Array:
    array = plain_array("scores", scores)
    if array.ndim != 2 or array.dtype.kind != "f" or array.shape[1] == 0:
        raise ValueError(f"scores: expected shape (N, C) float32 or float64, got {describe(array)}")
    return array


def _loss(
    loss: LossSpec,
    scores: Array,
    y: Array,
    sample_weight: Array | None,
    n_threads: int | None,
    positive_weight: Array | None = None,
) -> tuple[float, Array]:
    scores = _score_rows(scores)
    n, outputs = scores.shape
    if n == 0:
        raise ValueError(f"scores: expected at least one row, got {describe(scores)}")
    hard, soft = targets("y", y, n, outputs, loss, scores.dtype)
    if soft is not None and loss.name == "quantile":
        soft = np.repeat(soft, len(loss.levels), axis=1)
    w = weights(sample_weight, n, scores.dtype)
    positive = _positive_weights(positive_weight, outputs, scores.dtype)
    result, dscores = _mean_loss(loss, scores, hard, soft, w, n_threads, positive)
    assert dscores is not None
    return result, dscores


def _positive_weights(given: Array | None, outputs: int, dtype: np.dtype[Any]) -> Array | None:
    if given is None:
        return None
    array = plain_array("positive_weight", np.asarray(given))
    if array.shape != (outputs,) or not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(
            f"positive_weight: expected shape ({outputs},) of finite weights, at least 0, "
            f"got {describe(array)}"
        )
    return np.ascontiguousarray(array, dtype)


def _mean_loss(
    loss: LossSpec,
    scores: Array,
    hard: Array | None,
    soft: Array | None,
    w: Array | None,
    n_threads: int | None,
    positive: Array | None = None,
    *,
    with_gradient: bool = True,
) -> tuple[float, Array | None]:
    # Running sums in float64: the order of the native loop, so that both give the same bits.
    total = float(len(scores)) if w is None else float(np.cumsum(w, dtype=np.float64)[-1])
    row_loss, dscores, _ = _core.loss_rows(
        loss.core, scores, hard, soft, w, 1 / total, with_gradient, threads(n_threads), positive
    )
    return float(np.cumsum(row_loss, dtype=np.float64)[-1]) / total, dscores
