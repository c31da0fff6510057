"""Losses over scores, with their gradients: softmax, the multiclass SVM and squared error.

Each ``*_loss(scores, y)`` returns ``(loss, dscores)`` as in the course's assignments: the mean over
the batch and its gradient over the scores, which are (N, C), float32 or float64.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from fanin import _core
from fanin._typing import Array, Labels
from fanin._validate import describe, labels, one_of, plain_array, threads, weights

__all__ = ["expected_initial_loss", "get", "mse_loss", "softmax", "softmax_loss", "svm_loss"]

NAMES: tuple[str, ...] = ("softmax", "svm", "mse")  # the core's others are the estimators'
Targets = tuple[Labels | None, Array | None]  # labels (N,), or soft targets (N, C): never both


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


def softmax(scores: Array, *, out: Array | None = None, n_threads: int | None = None) -> Array:
    """Probabilities of the classes: ``exp(s) / sum(exp(s))`` of each row, safe from overflow.

    Parameters
    ----------
    scores : ndarray of shape (N, C), float32 or float64
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
    return _core.softmax_rows(_score_rows(scores), out, threads(n_threads))


def softmax_loss(
    scores: Array, y: Array, *, sample_weight: Array | None = None, n_threads: int | None = None
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
    return _loss("softmax", scores, y, sample_weight, n_threads)


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
    return _loss("svm", scores, y, sample_weight, n_threads)


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
    return _loss("mse", scores, y, sample_weight, n_threads)


_FUNCTIONS: dict[str, Loss] = {"softmax": softmax_loss, "svm": svm_loss, "mse": mse_loss}


def get(name: str) -> Loss:
    """The loss function of that name.

    Parameters
    ----------
    name : {"softmax", "svm", "mse"}

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
    loss : {"softmax", "svm", "mse"}
        log C for softmax, C - 1 for svm (the lecture's first check); None for mse, where it depends
        on the targets.
    n_classes : int

    Examples
    --------
    >>> import fanin
    >>> fanin.losses.expected_initial_loss("svm", 10)
    9.0
    """
    if one_of("loss", loss, NAMES) == "mse":
        return None
    return math.log(n_classes) if loss == "softmax" else float(n_classes - 1)


def check_soft(name: str, soft: Array, loss: str) -> None:
    """Refuses soft targets (N, C) that the loss cannot take, naming the first bad row."""
    finite = np.isfinite(soft).all(axis=1)
    if not finite.all():
        raise ValueError(f"{name}: expected finite values, got others in row {np.argmin(finite)}")
    if loss == "mse":
        return
    most = _core.most_soft_svm_classes
    if loss == "svm" and soft.shape[1] > most:
        expected = f"at most {most} classes for svm with soft targets"
        raise ValueError(f"{name}: expected {expected}, got {soft.shape[1]}")
    negative = (soft < 0).any(axis=1)
    if negative.any():
        row = np.argmax(negative)
        got = f"{soft[row].min()} in row {row}"
        raise ValueError(f"{name}: expected probabilities, at least 0; got {got}")
    total = soft.sum(axis=1, dtype=np.float64)
    off = np.abs(total - 1) > 1e-3
    if off.any():
        row = np.argmax(off)
        got = f"a sum of {total[row]:g} in row {row}"
        raise ValueError(f"{name}: expected rows that sum to 1, got {got}")


def targets(
    name: str, y: object, n_rows: int, n_outputs: int, loss: str, dtype: np.dtype[Any]
) -> Targets:
    """Targets as the core takes them: (labels, None) or (None, soft (N, C) in dtype)."""
    y = plain_array(name, y)
    if y.ndim == 1 and y.dtype.kind in "iu" and not (loss == "mse" and n_outputs == 1):
        return labels(name, y, n_rows, n_outputs), None
    if y.ndim == 1 and n_outputs == 1:
        y = y.reshape(-1, 1)
    if y.shape != (n_rows, n_outputs) or y.dtype.kind not in "fiu":
        raise ValueError(
            f"{name}: expected ({n_rows},) whole-number labels or ({n_rows}, {n_outputs}) "
            f"{'values' if loss == 'mse' else 'probabilities'}, got {describe(y)}"
        )
    with np.errstate(over="ignore"):  # check_soft names the row
        soft = np.ascontiguousarray(y, dtype=dtype)
    check_soft(name, soft, loss)
    return None, soft


def _score_rows(scores: object) -> Array:
    array = plain_array("scores", scores)
    if array.ndim != 2 or array.dtype.kind != "f" or array.shape[1] == 0:
        raise ValueError(f"scores: expected shape (N, C) float32 or float64, got {describe(array)}")
    return array


def _loss(
    loss: str, scores: Array, y: Array, sample_weight: Array | None, n_threads: int | None
) -> tuple[float, Array]:
    scores = _score_rows(scores)
    n, classes = scores.shape
    if n == 0:
        raise ValueError(f"scores: expected at least one row, got {describe(scores)}")
    hard, soft = targets("y", y, n, classes, loss, scores.dtype)
    w = weights(sample_weight, n, scores.dtype)
    # Running sums in float64: the order of the native loop, so that both give the same bits.
    total = float(n) if w is None else float(np.cumsum(w, dtype=np.float64)[-1])
    row_loss, dscores, _ = _core.loss_rows(
        _core.losses.index(loss), scores, hard, soft, w, 1 / total, True, threads(n_threads)
    )
    assert dscores is not None
    return float(np.cumsum(row_loss, dtype=np.float64)[-1]) / total, dscores
