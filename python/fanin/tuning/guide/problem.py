"""The user's data as the guide works on them, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fanin import _validate, datasets
from fanin._typing import Array
from fanin.network import inputs
from fanin.preprocessing.transformers import standardization

MOST_HELD_OUT, LEAST_HELD_OUT, ENOUGH_HELD_OUT = 0.25, 0.1, 1000  # shares, and rows


@dataclass(frozen=True, eq=False)
class Problem:
    """Training and validation rows."""

    X: Array  # of shape (N, D), uint8, float32 or float64
    y: Array  # of shape (N,), labels from 0 on
    X_val: Array
    y_val: Array
    n_classes: int
    preprocess: Any  # as `MLP.fit` takes it
    width: int  # features that enter the network
    batch_size: int
    split_off: bool  # whether the validation rows were held out of the user's training rows
    notes: tuple[str, ...]  # on defaults that the user should know of

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return -(-len(self.X) // self.batch_size)

    @property
    def chance(self) -> float:
        """Validation accuracy of always predicting the most frequent class."""
        common = np.bincount(self.y).argmax()
        return float(np.mean(self.y_val == common))

    def noise(self, accuracy: float) -> float:
        """The standard error of an accuracy on the validation rows."""
        return math.sqrt(max(accuracy * (1 - accuracy), 0.0) / len(self.y_val))

    def all_rows(self) -> tuple[Array, Array]:
        """Training and validation rows in one array."""
        return np.concatenate([self.X, self.X_val]), np.concatenate([self.y, self.y_val])


def make_problem(
    X: Any, y: Any, X_val: Any, y_val: Any, *, preprocess: Any, batch_size: int | None, seed: int
) -> Problem:
    """Checks everything that can be wrong with data; holds out rows where none are given."""
    notes = []
    X, y = _checked("", X, y, None)
    if (X_val is None) != (y_val is None):
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(f"{missing}: expected both X_val and y_val or neither, got None")
    split_off = X_val is None
    if split_off:
        share = min(max(ENOUGH_HELD_OUT / len(y), LEAST_HELD_OUT), MOST_HELD_OUT)
        (X, y), (X_val, y_val) = datasets.split(X, y, test_size=share, seed=seed)
        notes.append(
            f"No validation rows were given: {len(y_val)} of {len(y) + len(y_val)} were held out, "
            f"evenly over the classes, by seed {seed}."
        )
    else:
        X_val, y_val = _checked("_val", X_val, y_val, X.shape[1])
    n_classes = int(max(y.max(), y_val.max())) + 1
    if len(np.unique(y)) < 2:
        raise ValueError(f"y: expected at least two classes, got only class {y[0]}")
    how, width, note = _fitted_preprocess(preprocess, X)
    if batch_size is None:
        batch_size = min(128 if len(X) >= 10_000 else 64 if len(X) >= 4000 else 32, len(X))
    batch = _validate.whole("batch_size", batch_size, 1, len(X))
    notes += [note] if note else []
    return Problem(X, y, X_val, y_val, n_classes, how, width, batch, split_off, tuple(notes))


def _checked(suffix: str, X: Any, y: Any, columns: int | None) -> tuple[Array, Array]:
    name = f"X{suffix}"
    array = _validate.numbers(name, X)
    if array.ndim < 2 or 0 in array.shape:
        raise ValueError(
            f"{name}: expected shape (N, D) or (N, ...), at least one row and column, "
            f"got {_validate.describe(array)}"
        )
    width = math.prod(array.shape[1:]) if columns is None else columns
    rows = _validate.data_rows(name, array, width, np.dtype(np.float32))
    labels = _validate.plain_array(f"y{suffix}", y)
    if labels.shape != (len(rows),) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"y{suffix}: expected shape ({len(rows)},) of whole-number labels, "
            f"got {_validate.describe(labels)}"
        )
    if labels.min() < 0:
        row = int(labels.argmin())
        raise ValueError(f"y{suffix}: expected labels from 0 on, got {labels[row]} in row {row}")
    return rows, labels.astype(np.int64)


def _fitted_preprocess(preprocess: Any, X: Array) -> tuple[Any, int, str]:
    """The preprocessing, fitted once; the width after it; notes on it."""
    if isinstance(preprocess, str):
        _validate.one_of("preprocess", preprocess, ("auto", "none", "standardize"))
        if preprocess == "auto" and X.dtype == np.uint8:
            pair = inputs.automatic(X)
            mean, scale = (float(v[0]) for v in pair or ())
            note = (
                f"The inputs are bytes: one mean ({mean:.1f}) and one scale "
                f"(1 / {1 / scale:.1f}) for all, so that they enter with a spread of 1."
            )
            return pair, X.shape[1], note
        if preprocess != "none":
            note = "Each feature was standardised: mean 0, spread 1."
            return standardization(X), X.shape[1], note
        preprocess = None
    if preprocess is None:
        return None, X.shape[1], "The inputs enter as they are."
    if steps := inputs.transformers(preprocess):
        fitted, _ = inputs.fitted(steps, X)
        return fitted, fitted[-1].n_features_out_, ""
    return preprocess, X.shape[1], ""
