"""``class_weight``: the weights of the rows by their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fanin import _validate
from fanin._core import TrainingData
from fanin._typing import Array, Floats, Labels
from fanin.network import MLP


def row_weights(net: MLP, y: Array, class_weight: Any, sample_weight: Array | None) -> Array:
    """The sample weights that ``class_weight`` stands for, times those given."""
    labels, _ = net.targets.checked("y", y, y.shape[0] if y.ndim else 0)
    if labels is None:
        got = _validate.describe(y)
        raise ValueError(f"class_weight: expected labels to go with, got y of {got}")
    n_classes = net.targets.loss.n_classes(net.dims[-1])
    weights = class_weights(class_weight, labels, n_classes)[labels]
    given = _validate.weights(sample_weight, len(labels), np.dtype(np.float64))
    return weights if given is None else weights * given


def positive_weights(net: MLP, y: Array, class_weight: Any) -> Array:
    """What having each of several labels weighs, (C,), for ``class_weight``."""
    _, soft = net.targets.checked("y", y, y.shape[0] if y.ndim else 0)
    assert soft is not None
    if not isinstance(class_weight, str):
        return _of_mapping(class_weight, net.dims[-1]).astype(net.dtype)
    _validate.one_of("class_weight", class_weight, ["balanced"])
    have = soft.sum(axis=0, dtype=np.float64)
    lack = len(soft) - have
    # A label that all rows or none have says nothing to balance.
    both = (have > 0) & (lack > 0)
    weights: Array = np.divide(lack, have, out=np.ones(len(have)), where=both)
    return weights.astype(net.dtype)


def with_positive_weights(data: TrainingData, positive: Array) -> TrainingData:
    return TrainingData(
        data.X, data.mean, data.scale, data.labels, data.soft, data.weights, positive
    )


def class_weights(class_weight: Any, labels: Labels, n_classes: int) -> Floats:
    """The weight of each class, (C,)."""
    if isinstance(class_weight, str):
        _validate.one_of("class_weight", class_weight, ["balanced"])
        counts = np.bincount(labels, minlength=n_classes)
        return len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    weights = _of_mapping(class_weight, n_classes)
    if not weights[labels].any():
        raise ValueError("class_weight: expected a weight above 0 for a class of y, got only zeros")
    return weights


def _of_mapping(class_weight: Any, n_classes: int) -> Floats:
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            "class_weight: expected 'balanced', None or a dict of labels and weights, "
            f"got {_validate.describe(class_weight)}"
        )
    weights = np.ones(n_classes)
    for label, weight in class_weight.items():
        whole = isinstance(label, (int, np.integer)) and not isinstance(label, bool)
        if not whole or not 0 <= label < n_classes:
            raise ValueError(
                f"class_weight: expected labels in 0 .. {n_classes - 1}, got {label!r}"
            )
        weights[label] = _validate.real(f"class_weight[{label}]", weight, 0)
    return weights
