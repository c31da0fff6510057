"""``class_weight``: the weights of the rows by their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fanin import _validate
from fanin._typing import Array, Floats, Labels
from fanin.network.classes import label_names, position_of
from fanin.network.targets import Targets


def row_weights(
    targets: Targets,
    y: Array,
    labels: Labels | None,
    class_weight: Any,
    sample_weight: Array | None,
) -> Array:
    """The sample weights that ``class_weight`` stands for, times those given."""
    if labels is None:
        got = _validate.describe(y)
        raise ValueError(f"class_weight: expected labels to go with, got y of {got}")
    weights = class_weights(class_weight, labels, targets.n_classes, targets.classes)[labels]
    given = _validate.weights(sample_weight, len(labels), np.dtype(np.float64))
    return weights if given is None else weights * given


def positive_weights(targets: Targets, soft: Array, class_weight: Any) -> Array:
    """What having each of several labels weighs, (C,), for ``class_weight``."""
    if not isinstance(class_weight, str):
        return _of_mapping(class_weight, targets.n_outputs).astype(targets.dtype)
    _validate.one_of("class_weight", class_weight, ["balanced"])
    have = soft.sum(axis=0, dtype=np.float64)
    lack = len(soft) - have
    # A label that all rows or none have says nothing to balance.
    both = (have > 0) & (lack > 0)
    weights: Array = np.divide(lack, have, out=np.ones(len(have)), where=both)
    return weights.astype(targets.dtype)


def class_weights(
    class_weight: Any, labels: Labels, n_classes: int, classes: Array | None = None
) -> Floats:
    """The weight of each class, (C,)."""
    return weights_by_counts(class_weight, np.bincount(labels, minlength=n_classes), classes)


def weights_by_counts(class_weight: Any, counts: Array, classes: Array | None = None) -> Floats:
    """The weight of each class, (C,), of which there are so many rows."""
    if isinstance(class_weight, str):
        _validate.one_of("class_weight", class_weight, ["balanced"])
        weights: Floats = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
        return weights
    weights = _of_mapping(class_weight, len(counts), classes)
    if not weights[counts > 0].any():
        raise ValueError("class_weight: expected a weight above 0 for a class of y, got only zeros")
    return weights


def _of_mapping(class_weight: Any, n_classes: int, classes: Array | None = None) -> Floats:
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            "class_weight: expected 'balanced', None or a dict of labels and weights, "
            f"got {_validate.describe(class_weight)}"
        )
    weights = np.ones(n_classes)
    for label, weight in class_weight.items():
        at = position_of(classes, label, n_classes)
        if at is None:
            known = f"in 0 .. {n_classes - 1}"
            if classes is not None:
                known = f"among {', '.join(label_names(classes))}"
            raise ValueError(f"class_weight: expected labels {known}, got {label!r}")
        weights[at] = _validate.real(f"class_weight[{label}]", weight, 0)
    return weights
