"""Metrics of classification and regression, by scikit-learn's definitions and names.

`MLP.evaluate`, `MLP.fit`, ensembles and the command line take them by their short names, which are
in `NAMES`: "balanced_accuracy" is `balanced_accuracy_score`. `larger_is_better` says of these, and
of any other name that is known, which way is better.

>>> import numpy as np
>>> from fanin import metrics
>>> y, predicted = np.array([0] * 99 + [1]), np.zeros(100, int)
>>> metrics.accuracy_score(y, predicted), metrics.balanced_accuracy_score(y, predicted)
(0.99, 0.5)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fanin import _validate
from fanin._typing import Array, Floats, Ints

__all__ = [
    "NAMES",
    "RareClassWarning",
    "accuracy_score",
    "balanced_accuracy_score",
    "confusion_matrix",
    "coverage",
    "f1_score",
    "hamming_loss",
    "larger_is_better",
    "log_loss",
    "mean_absolute_error",
    "mean_pinball_loss",
    "mean_poisson_deviance",
    "mean_squared_error",
    "r2_score",
    "roc_auc_score",
    "root_mean_squared_error",
]


class RareClassWarning(UserWarning):
    """A rare class is never predicted, so that the accuracy says nothing about it.

    Examples
    --------
    >>> issubclass(fanin.metrics.RareClassWarning, UserWarning)
    True
    """


# Classification


def accuracy_score(y: Array, predicted: Array, *, sample_weight: Array | None = None) -> float:
    """The share of the rows (of their weight) whose label is predicted.

    Parameters
    ----------
    y, predicted : ndarray of shape (N,)
        Integer labels from 0 on.
    sample_weight : ndarray of shape (N,), optional

    Examples
    --------
    >>> accuracy_score(np.array([0, 1, 1]), np.array([0, 1, 0])).__round__(3)
    0.667
    """
    y, predicted, w = two_labels(y, predicted, sample_weight)
    return float(w[y == predicted].sum() / w.sum())


def balanced_accuracy_score(
    y: Array, predicted: Array, *, sample_weight: Array | None = None
) -> float:
    """The mean recall of the classes that are among the labels: 0.5 for one of two classes alone.

    Parameters
    ----------
    y, predicted, sample_weight
        As in `accuracy_score`.

    Examples
    --------
    >>> balanced_accuracy_score(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]))
    0.5
    """
    y, predicted, w = two_labels(y, predicted, sample_weight)
    of_class = np.bincount(y, w)
    right = np.bincount(y[y == predicted], w[y == predicted], minlength=len(of_class))
    return float(np.mean(right[of_class > 0] / of_class[of_class > 0]))


def confusion_matrix(
    y: Array, predicted: Array, *, n_classes: int | None = None, sample_weight: Array | None = None
) -> Array:
    """How many rows of each class (a row of the matrix) are predicted as each class (a column).

    Parameters
    ----------
    y, predicted, sample_weight
        As in `accuracy_score`.
    n_classes : int, optional
        By default up to the largest label.

    Returns
    -------
    ndarray of shape (C, C), int64; with weights their sums, float64

    Examples
    --------
    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]))
    array([[1, 1],
           [0, 1]])
    """
    y, predicted, w = two_labels(y, predicted, sample_weight)
    needed = int(max(y.max(), predicted.max())) + 1
    n = needed if n_classes is None else _validate.whole("n_classes", n_classes, needed)
    cells = np.bincount(y * n + predicted, w, minlength=n * n).reshape(n, n)
    return cells if sample_weight is not None else cells.astype(np.int64)


def f1_score(
    y: Array, predicted: Array, *, average: str = "auto", sample_weight: Array | None = None
) -> float:
    """F1, ``2 * tp / (2 * tp + fp + fn)``: the harmonic mean of precision and recall.

    Parameters
    ----------
    y, predicted, sample_weight
        As in `accuracy_score`.
    average : {"auto", "binary", "macro"}
        "binary": of class 1. "macro": the mean over the classes among labels and predictions.
        "auto": binary where no label is above 1, else macro.

    Examples
    --------
    >>> f1_score(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])).__round__(3)
    0.667
    """
    _validate.one_of("average", average, ("auto", "binary", "macro"))
    y, predicted, w = two_labels(y, predicted, sample_weight)
    n = int(max(y.max(), predicted.max(), 1)) + 1
    if average == "binary" and n > 2:
        raise ValueError(f"average: expected 'macro' for {n} classes, got 'binary'")
    right = np.bincount(y[y == predicted], w[y == predicted], minlength=n)
    both = np.bincount(y, w, minlength=n) + np.bincount(predicted, w, minlength=n)
    f1 = 2 * np.divide(right, both, out=np.zeros(n), where=both > 0)
    if n == 2 and average != "macro":
        return float(f1[1])
    return float(f1[np.union1d(y, predicted)].mean())


def roc_auc_score(y: Array, scores: Array, *, sample_weight: Array | None = None) -> float:
    """Area under the ROC curve: how often a row of the class has a higher score than another row.

    Ties count one half. With more than two classes each one against the rest, and the mean of
    these over the classes that are among the labels ("ovr", "macro").

    Parameters
    ----------
    y : ndarray of shape (N,)
        Integer labels from 0 on.
    scores : ndarray of shape (N,), (N, 2) or (N, C)
        Of class 1 (alone, or in its column); or of each class.
    sample_weight : ndarray of shape (N,), optional

    Returns
    -------
    float
        NaN where there are no two classes to tell apart.

    Examples
    --------
    >>> roc_auc_score(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8]))
    0.75
    """
    y, w = _labels("y", y), _weights(sample_weight, len(y))
    columns = _score_columns("scores", scores, y)
    if columns.shape[1] < 3:
        return _area(y == 1, columns[:, -1], w)
    present = [c for c in range(columns.shape[1]) if w[y == c].sum() > 0]
    return float(np.mean([_area(y == c, columns[:, c], w) for c in present]))


def _area(positive: Array, scores: Floats, weights: Floats) -> float:
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # of ties
    hits = np.cumsum(np.where(positive, weights, 0.0)[order])[ends]
    alarms = np.cumsum(np.where(positive, 0.0, weights)[order])[ends]
    if hits[-1] <= 0 or alarms[-1] <= 0:
        return float("nan")
    return float(np.trapezoid(np.append(0, hits), np.append(0, alarms)) / hits[-1] / alarms[-1])


def log_loss(y: Array, probabilities: Array, *, sample_weight: Array | None = None) -> float:
    """The mean of minus the log of the label's probability: the cross-entropy.

    Parameters
    ----------
    y : ndarray of shape (N,)
        Integer labels from 0 on.
    probabilities : ndarray of shape (N, C), or (N,) of class 1
        Taken as at least the epsilon of their dtype and at most 1 minus it, as in scikit-learn.
    sample_weight : ndarray of shape (N,), optional

    Examples
    --------
    >>> log_loss(np.array([0, 1]), np.array([[0.9, 0.1], [0.5, 0.5]])).__round__(4)
    0.3993
    """
    y, w = _labels("y", y), _weights(sample_weight, len(y))
    p = _score_columns("probabilities", probabilities, y)
    if p.min() < 0 or p.max() > 1:
        raise ValueError(
            f"probabilities: expected values from 0 to 1, got {p.min():g} ... {p.max():g}"
        )
    if p.shape[1] == 1:
        p = np.hstack([1 - p, p])
    epsilon = np.finfo(probabilities.dtype).eps if probabilities.dtype.kind == "f" else 0.0
    chosen = np.clip(p[np.arange(len(y)), y], epsilon, 1 - epsilon)
    return float(-(w * np.log(chosen)).sum() / w.sum())


# Several labels a row


def hamming_loss(y: Array, predicted: Array, *, sample_weight: Array | None = None) -> float:
    """The share of the labels that are wrong, over all rows and labels.

    Parameters
    ----------
    y, predicted : ndarray of shape (N, C)
        0 and 1, or bools: which labels a row has.
    sample_weight : ndarray of shape (N,), optional

    Examples
    --------
    >>> hamming_loss(np.array([[0, 1], [1, 1]]), np.array([[0, 1], [0, 1]]))
    0.25
    """
    y, predicted, w = _two_values(1.0 * y, 1.0 * predicted, sample_weight)
    return float(_mean(y != predicted, w).mean())


def _rows_right(y: Array, probabilities: Array, w: Floats) -> float:
    return float(np.average(((probabilities > 0.5) == y).all(axis=1), weights=w))


def _f1_of_several(y: Array, probabilities: Array, w: Floats, *, micro: bool) -> float:
    p = probabilities > 0.5
    counts = [(w[:, None] * part).sum(axis=0) for part in (y * p, y, p)]
    right, have, said = (c.sum(keepdims=True) for c in counts) if micro else counts
    both = have + said
    return float((2 * np.divide(right, both, out=np.zeros(len(both)), where=both > 0)).mean())


def _area_of_several(y: Array, probabilities: Array, w: Floats) -> float:
    areas = [_area(y[:, c] == 1, probabilities[:, c], w) for c in range(y.shape[1])]
    return float(np.mean(areas))


_OF_SEVERAL: dict[str, Callable[..., float]] = {
    "accuracy": _rows_right,
    "hamming_loss": lambda y, p, w: hamming_loss(y, p > 0.5, sample_weight=w),
    "f1_macro": lambda y, p, w: _f1_of_several(y, p, w, micro=False),
    "f1_micro": lambda y, p, w: _f1_of_several(y, p, w, micro=True),
    "roc_auc": _area_of_several,
}


# Regression


def mean_squared_error(y: Array, predicted: Array, *, sample_weight: Array | None = None) -> float:
    """The mean over rows and outputs of ``(predicted - y)**2``.

    Parameters
    ----------
    y, predicted : ndarray of shape (N,) or (N, C)
    sample_weight : ndarray of shape (N,), optional

    Examples
    --------
    >>> mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    2.0
    """
    y, predicted, w = _two_values(y, predicted, sample_weight)
    return float(_mean(np.square(predicted - y), w).mean())


def root_mean_squared_error(
    y: Array, predicted: Array, *, sample_weight: Array | None = None
) -> float:
    """The root of the mean squared error of each output, and the mean of these.

    Parameters
    ----------
    y, predicted, sample_weight
        As in `mean_squared_error`.

    Examples
    --------
    >>> root_mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0])).__round__(3)
    1.414
    """
    y, predicted, w = _two_values(y, predicted, sample_weight)
    return float(np.sqrt(_mean(np.square(predicted - y), w)).mean())


def mean_absolute_error(y: Array, predicted: Array, *, sample_weight: Array | None = None) -> float:
    """The mean over rows and outputs of ``abs(predicted - y)``.

    Parameters
    ----------
    y, predicted, sample_weight
        As in `mean_squared_error`.

    Examples
    --------
    >>> mean_absolute_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    1.0
    """
    y, predicted, w = _two_values(y, predicted, sample_weight)
    return float(_mean(np.abs(predicted - y), w).mean())


def r2_score(y: Array, predicted: Array, *, sample_weight: Array | None = None) -> float:
    """The share of the variance that is explained, the mean over the outputs.

    Of a constant output 1 where it is predicted exactly, else 0; NaN for a single row.

    Parameters
    ----------
    y, predicted, sample_weight
        As in `mean_squared_error`.

    Examples
    --------
    >>> r2_score(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
    0.5
    """
    y, predicted, w = _two_values(y, predicted, sample_weight)
    if len(y) < 2:
        return float("nan")
    left = (w[:, None] * np.square(predicted - y)).sum(axis=0)
    whole = (w[:, None] * np.square(y - _mean(y, w))).sum(axis=0)
    shares = np.where(left == 0, 1.0, 0.0)
    varies = whole != 0  # or NaN, where squares overflow
    shares[varies] = 1 - left[varies] / whole[varies]
    return float(shares.mean())


def mean_poisson_deviance(
    y: Array, predicted: Array, *, sample_weight: Array | None = None
) -> float:
    """The mean of ``2 * (y * log(y / predicted) - y + predicted)`` over rows and outputs.

    Parameters
    ----------
    y : ndarray of shape (N,) or (N, C)
        Counts, at least 0.
    predicted : ndarray of the same shape
        Above 0.
    sample_weight : ndarray of shape (N,), optional

    Examples
    --------
    >>> mean_poisson_deviance(np.array([0.0, 1.0]), np.array([1.0, 1.0]))
    1.0
    """
    y, predicted, w = _two_values(y, predicted, sample_weight)
    for name, values, bad in (("y", y, y < 0), ("predicted", predicted, predicted <= 0)):
        if bad.any():
            least = "at least 0" if name == "y" else "above 0"
            raise ValueError(f"{name}: expected numbers {least}, got {values.min():g}")
    ratio = np.where(y > 0, y, 1.0) / np.where(y > 0, predicted, 1.0)
    return float(_mean(2 * (y * np.log(ratio) - y + predicted), w).mean())


def mean_pinball_loss(
    y: Array, predicted: Array, *, alpha: float = 0.5, sample_weight: Array | None = None
) -> float:
    """The mean of ``max(alpha * (y - predicted), (alpha - 1) * (y - predicted))``.

    Parameters
    ----------
    y, predicted, sample_weight
        As in `mean_squared_error`.
    alpha : float
        The level of the quantile that is predicted.

    Examples
    --------
    >>> mean_pinball_loss(np.array([1.0, 2.0]), np.array([2.0, 2.0]), alpha=0.1).__round__(3)
    0.45
    """
    y, predicted, w = _two_values(y, predicted, sample_weight)
    d = y - predicted
    return float(_mean(np.maximum(alpha * d, (alpha - 1) * d), w).mean())


def coverage(y: Array, low: Array, high: Array, *, sample_weight: Array | None = None) -> float:
    """The share of the values that lie within [low, high].

    Parameters
    ----------
    y, low, high : ndarray of shape (N,) or (N, C)
    sample_weight : ndarray of shape (N,), optional

    Examples
    --------
    >>> coverage(np.array([1.0, 5.0]), np.array([0.0, 0.0]), np.array([2.0, 2.0]))
    0.5
    """
    y, low, w = _two_values(y, low, sample_weight)
    _, high, _ = _two_values(y, high, sample_weight)
    return float(_mean((low <= y) & (y <= high), w).mean())


def _mean(values: Array, weights: Floats) -> Floats:
    return np.asarray(np.average(values, axis=0, weights=weights))


# By name


@dataclass(frozen=True)
class _Metric:
    function: Callable[..., Any]
    takes: str  # labels, scores, probabilities or values
    options: tuple[tuple[str, str], ...] = ()


_METRICS = {
    "accuracy": _Metric(accuracy_score, "labels"),
    "balanced_accuracy": _Metric(balanced_accuracy_score, "labels"),
    "f1": _Metric(f1_score, "labels"),
    "f1_macro": _Metric(f1_score, "labels", (("average", "macro"),)),
    "roc_auc": _Metric(roc_auc_score, "scores"),
    "log_loss": _Metric(log_loss, "probabilities"),
    "confusion_matrix": _Metric(confusion_matrix, "labels"),
    "mse": _Metric(mean_squared_error, "values"),
    "rmse": _Metric(root_mean_squared_error, "values"),
    "mae": _Metric(mean_absolute_error, "values"),
    "r2": _Metric(r2_score, "values"),
    "poisson_deviance": _Metric(mean_poisson_deviance, "counts"),
    "pinball_loss": _Metric(mean_pinball_loss, "quantiles"),
    "coverage": _Metric(coverage, "quantiles"),
    "hamming_loss": _Metric(hamming_loss, "multilabel"),
    "f1_micro": _Metric(f1_score, "multilabel"),
}
NAMES: tuple[str, ...] = tuple(_METRICS)
OF_VALUES = tuple(name for name, metric in _METRICS.items() if metric.takes == "values")
OF_LABELS = tuple(
    name for name, m in _METRICS.items() if m.takes in ("labels", "scores", "probabilities")
)
OF_COUNTS = (*OF_VALUES, "poisson_deviance")
OF_SEVERAL = tuple(_OF_SEVERAL)
OF_QUANTILES = (*OF_VALUES, "pinball_loss", "coverage")


def check_names(names: Any, *, numbers: bool = False) -> tuple[str, ...]:
    """The names of ``metrics=``, each once; with `numbers` only those that are one number."""
    given = _validate.sequence("metrics", names, "a list of names")
    known = [n for n in NAMES if not (numbers and n == "confusion_matrix")]
    for name in given:
        if not isinstance(name, str):
            raise TypeError(f"metrics: expected names such as 'f1', got {_validate.describe(name)}")
        _validate.one_of("metrics", name, known)
    return tuple(dict.fromkeys(given))


def check_targets(names: Sequence[str], targets: str, loss: str) -> None:
    """Refuses metrics that do not go with the targets and loss.

    Targets are "labels", "soft", "values" or "multilabel", which is several labels a row.
    """
    of_values = {"poisson": OF_COUNTS, "quantile": OF_QUANTILES}.get(loss, OF_VALUES)
    known = {"labels": OF_LABELS, "values": of_values, "multilabel": tuple(_OF_SEVERAL)}
    what = {
        "soft": "soft labels",
        "labels": "labels",
        "values": f"values (loss={loss!r})",
        "multilabel": "several labels a row",
    }
    for name in names:
        takes, fitting = _METRICS[name].takes, known.get(targets, ())
        if name not in fitting:
            raise ValueError(
                f"metrics: expected {'one of ' + ', '.join(fitting) if fitting else 'none'} "
                f"for targets that are {what[targets]}, got {name!r}"
            )
        if takes == "probabilities" and loss != "softmax":
            raise ValueError(
                f"metrics: expected no {name!r} with loss={loss!r}, which gives no probabilities"
            )


def compute(
    names: Sequence[str],
    y: Array,
    outputs: Array,
    loss: str,
    sample_weight: Array | None = None,
    predicted: Array | None = None,
) -> dict[str, Any]:
    """The metrics by name, of outputs (N, C) that are probabilities where the loss is softmax.

    y is labels (N,), or values (N, C); `predicted` are labels, by default those of the outputs.
    """
    result: dict[str, Any] = {}
    classes = outputs.shape[1]
    if predicted is None:
        predicted = outputs.argmax(axis=1)
    for name in names:
        metric = _METRICS[name]
        options: dict[str, Any] = dict(metric.options)
        given = outputs
        if metric.takes == "labels":
            given = predicted
        elif metric.takes == "scores" and classes == 2:
            given = outputs[:, 1] if loss == "softmax" else outputs[:, 1] - outputs[:, 0]
        if name == "f1":
            options["average"] = "binary" if classes == 2 else "macro"
        elif name == "confusion_matrix":
            options["n_classes"] = classes
        result[name] = metric.function(y, given, sample_weight=sample_weight, **options)
    return result


def compute_of_several(
    names: Sequence[str], y: Array, probabilities: Array, sample_weight: Array | None = None
) -> dict[str, Any]:
    """The metrics by name, of the probabilities (N, C) that rows have each of C labels."""
    w = _weights(sample_weight, len(y))
    return {name: _OF_SEVERAL[name](y, probabilities, w) for name in names}


def check_quantiles(names: Sequence[str], levels: Sequence[float]) -> None:
    """Refuses metrics that these levels do not give."""
    for name in names:
        if name == "coverage" and len(levels) < 2:
            raise ValueError(
                f"metrics: expected several quantiles for 'coverage', got {list(levels)}"
            )
        if name in OF_VALUES and 0.5 not in levels:
            raise ValueError(f"metrics: expected quantile 0.5 for {name!r}, got {list(levels)}")


def compute_of_quantiles(
    names: Sequence[str],
    y: Array,
    predicted: Array,
    levels: Sequence[float],
    sample_weight: Array | None = None,
) -> dict[str, Any]:
    """The metrics by name, of predicted quantiles of these levels; values' are of the median."""
    each = predicted.reshape(*y.shape, len(levels))
    weights = {"sample_weight": sample_weight}
    result: dict[str, Any] = {}
    for name in names:
        if name == "pinball_loss":
            losses = [
                mean_pinball_loss(y, each[..., i], alpha=level, **weights)
                for i, level in enumerate(levels)
            ]
            result[name] = float(np.mean(losses))
        elif name == "coverage":
            result[name] = coverage(y, each[..., 0], each[..., -1], **weights)
        else:
            median = each[..., levels.index(0.5)]
            result[name] = _METRICS[name].function(y, median, **weights)
    return result


# Better and worse

# What a name ends with says what it is: "val_f1_macro" is an F1, "accumulated_loss" a loss.
_UP = """
    accuracy acc auc auroc auprc average_precision f1 f2 fbeta precision recall sensitivity
    specificity r2 explained_variance d2 kappa mcc matthews_corrcoef corrcoef correlation pearson
    spearman jaccard iou dice likelihood loglikelihood ndcg mrr bleu psnr ssim reward gmean g_mean
    true_positive_rate true_negative_rate tpr tnr hit_rate score correct informedness
"""
_DOWN = """
    loss losses logloss error errors mse rmse mae mape smape msle rmsle medae nll
    negative_log_likelihood neg_log_likelihood cross_entropy crossentropy perplexity deviance
    hinge huber brier brier_score kl divergence ece cost regret error_rate misclassification
    misclassification_rate false_positive_rate false_negative_rate fpr fnr miss_rate wer cer eer
    sse rss
"""
_UP_WORDS = {tuple(name.split("_")) for name in _UP.split()}
_DOWN_WORDS = {tuple(name.split("_")) for name in _DOWN.split()}
_LONGEST = max(map(len, _UP_WORDS | _DOWN_WORDS))
_SUFFIXES = {
    "macro", "micro", "weighted", "samples", "binary", "multiclass", "ovr", "ovo", "score",
    "mean", "avg", "average", "total", "val", "valid", "validation", "train", "training", "test",
    "epoch", "batch", "step", "at",
}  # fmt: skip
_ONE_MINUS = re.compile(r"^((?:val|valid|validation|train|training|test)_)?1 *- *")
_NEGATIONS = {"neg", "negated", "minus"}
_UNCLEAR = {"negative", "inverse", "inverted", "reciprocal", "not", "non", "no", "delta", "diff"}


def larger_is_better(name: str) -> bool | None:
    """Which way a metric is better, by its name: True for larger, False for smaller.

    The name's last words decide, after "macro", "weighted", a number and the like; ``val_``
    and other words before them do not matter, but for ``neg_``, which turns it round
    (scikit-learn's "neg_log_loss").

    Parameters
    ----------
    name : str

    Returns
    -------
    bool or None
        None for a name that is not known.

    Examples
    --------
    >>> [larger_is_better(n) for n in ("val_f1_macro", "rmse", "accumulated_loss", "lr")]
    [True, False, False, None]
    """
    name = _ONE_MINUS.sub(r"\1minus_", name.lower())
    words = [word for word in re.split(r"[^a-z0-9]+", name) if word]
    while words:
        for length in range(min(_LONGEST, len(words)), 0, -1):
            known, before = tuple(words[-length:]), words[:-length]
            if known in _UP_WORDS | _DOWN_WORDS and (known != ("score",) or {*before} <= _SUFFIXES):
                turned = not _NEGATIONS.isdisjoint(before)
                return (known in _UP_WORDS) != turned if _UNCLEAR.isdisjoint(before) else None
        if not (words[-1] in _SUFFIXES or words[-1].isdigit()):
            return None
        words.pop()
    return None


# Checks


def _labels(name: str, value: Any, n_rows: int | None = None) -> Ints:
    array = _validate.plain_array(name, value)
    expected = f"({'N' if n_rows is None else n_rows},)"
    if array.ndim != 1 or len(array) != (len(array) if n_rows is None else n_rows):
        raise ValueError(f"{name}: expected shape {expected}, got {_validate.describe(array)}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected whole-number labels, got {_validate.describe(array)}")
    if not len(array):
        raise ValueError(f"{name}: expected at least one row, got none")
    if array.min() < 0:
        raise ValueError(f"{name}: expected labels from 0 on, got {array.min()}")
    return array.astype(np.int64, copy=False)


def _weights(value: Any, n_rows: int) -> Floats:
    weights = _validate.weights(value, n_rows, np.dtype(np.float64))
    return np.ones(n_rows) if weights is None else weights


def two_labels(y: Any, predicted: Any, weights: Any = None) -> tuple[Ints, Ints, Floats]:
    """Labels from 0 on, as int64, and the weights."""
    y = _labels("y", y)
    return y, _labels("predicted", predicted, len(y)), _weights(weights, len(y))


def _score_columns(name: str, value: Any, y: Ints) -> Floats:
    """Scores (N, C), of class 1 alone (N, 1), as float64."""
    array = _validate.plain_array(name, value)
    columns = array.reshape(-1, 1) if array.ndim == 1 else array
    if columns.ndim != 2 or len(columns) != len(y) or array.dtype.kind not in "fiu":
        raise ValueError(
            f"{name}: expected shape ({len(y)},) or ({len(y)}, C) of numbers, "
            f"got {_validate.describe(array)}"
        )
    if y.max() >= max(columns.shape[1], 2):
        raise ValueError(
            f"{name}: expected a column for each label up to {y.max()}, "
            f"got {_validate.describe(array)}"
        )
    return _validate.cast(name, columns, np.dtype(np.float64))


def _two_values(y: Any, predicted: Any, weights: Any) -> tuple[Floats, Floats, Floats]:
    """Values of one shape (N, C), as float64, and the weights."""
    pair = []
    for name, value in (("y", y), ("predicted", predicted)):
        array = _validate.plain_array(name, value)
        if array.ndim not in (1, 2) or not array.size or array.dtype.kind not in "fiu":
            raise ValueError(
                f"{name}: expected shape (N,) or (N, C) of numbers, got {_validate.describe(array)}"
            )
        columns = array.reshape(len(array), -1)
        pair.append(_validate.cast(name, columns, np.dtype(np.float64)))
    if pair[0].shape != pair[1].shape:
        raise ValueError(
            f"predicted: expected the shape of y, {np.shape(y)}, got {np.shape(predicted)}"
        )
    return pair[0], pair[1], _weights(weights, len(pair[0]))
