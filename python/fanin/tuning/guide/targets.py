"""What a guide is asked to learn, by the targets or by name, and these checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fanin import _validate
from fanin._typing import Array
from fanin.losses.checks import check_soft
from fanin.losses.spec import LossSpec
from fanin.network.classes import as_labels, encoded, positions
from fanin.tuning.guide.tasks import TASKS, Task

MOST_CLASSES, LEAST_ROWS = 20, 5  # beyond it, whole numbers are classes that all have some rows
LOSS_OPTIONS = ("label_smoothing", "temperature", "huber_delta", "quantiles")


def task_of(y: Any, given: str | None) -> str:
    """The task's name: the given one, or what y can only be.

    Raises where it can be either, and says how to ask.
    """
    if given is not None:
        return _validate.one_of("task", given, TASKS)
    array = as_labels("y", y)
    if array.ndim == 2 and array.size:
        return _of_columns(array)
    if array.ndim != 1 or array.dtype.kind not in "fiu" or not array.size:
        return "classification"  # text and truth values; the rest is refused there
    if array.dtype.kind == "f" and (np.isfinite(array) & (array != np.round(array))).any():
        return "regression"
    different, counts = np.unique(array, return_counts=True)
    from_0_on = np.array_equal(different, np.arange(len(different)))
    if len(different) > MOST_CLASSES and not (from_0_on and counts.min() >= LEAST_ROWS):
        raise ValueError(
            f"y: expected classes or values, got {len(different)} different whole numbers in "
            f"{len(array)} rows, which may be either; say task='classification' or "
            "task='regression'"
        )
    return "classification"


def _of_columns(y: Array) -> str:
    zeros_and_ones = y.dtype.kind == "b" or (y.dtype.kind in "fiu" and np.isin(y, (0, 1)).all())
    if not zeros_and_ones:
        if y.dtype.kind == "f" and (np.isfinite(y) & (y != np.round(y))).any():
            return "regression"
        raise ValueError(
            f"y: expected shape (N,) of classes, (N, C) of 0 and 1, or (N, M) values, got "
            f"{_validate.describe(y)} of whole numbers; say task='regression' where they are values"
        )
    if y.shape[1] > 1 and (y.sum(axis=1) != 1).any():
        return "multilabel"
    raise ValueError(
        f"y: expected classes (N,), or labels (N, C) of which rows have several or none, got "
        f"{_validate.describe(y)} with one in each row; say task='multilabel', task='regression', "
        "or give y.argmax(axis=1)"
        if y.shape[1] > 1
        else f"y: expected shape (N,), got {_validate.describe(y)}; say task='regression' for "
        "values, or give y[:, 0]"
    )


def as_targets(
    name: str,
    y: Any,
    n_rows: int,
    task: str,
    trained: Array | None = None,
    classes: Array | None = None,
) -> tuple[Array, Array | None]:
    """Targets as a problem has them, and the classes that they stand for.

    Those of validation rows have the classes and the columns of the trained ones.
    """
    if task == "classification":
        return _classes(name, y, n_rows, trained is not None, classes)
    array = as_labels(name, y)
    if task == "multilabel":
        return _several(name, array, n_rows, trained), None
    return _values(name, array, n_rows, trained), None


def _classes(
    name: str, y: Any, n_rows: int, known: bool, classes: Array | None
) -> tuple[Array, Array | None]:
    if not known:
        y, classes = encoded(name, y)
    elif classes is not None:
        y = positions(name, y, classes)
    labels = as_labels(name, y)
    if labels.shape != (n_rows,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{name}: expected shape ({n_rows},) of whole-number labels, "
            f"got {_validate.describe(labels)}"
        )
    if labels.min() < 0:
        row = int(labels.argmin())
        raise ValueError(f"{name}: expected labels from 0 on, got {labels[row]} in row {row}")
    return labels.astype(np.int64), classes


def _several(name: str, y: Array, n_rows: int, trained: Array | None) -> Array:
    columns = "C" if trained is None else trained.shape[1]
    good = y.ndim == 2 and len(y) == n_rows and y.shape[1] > 1 and y.dtype.kind in "bfiu"
    if not good or (trained is not None and y.shape[1] != columns):
        raise ValueError(
            f"{name}: expected shape ({n_rows}, {columns}) of 0 and 1, at least two labels, got "
            f"{_validate.describe(y)}"
        )
    wrong = ~np.isin(y, (0, 1)).all(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"{name}: expected 0 and 1, got {y[row].tolist()} in row {row}")
    return y.astype(np.uint8)


def _values(name: str, y: Array, n_rows: int, trained: Array | None) -> Array:
    columns = "M" if trained is None else trained.shape[1]
    values = y.reshape(-1, 1) if y.ndim == 1 else y
    good = values.ndim == 2 and len(values) == n_rows and values.dtype.kind in "bfiu"
    if not good or (trained is not None and values.shape[1] != columns) or not values.shape[1]:
        raise ValueError(
            f"{name}: expected shape ({n_rows},) or ({n_rows}, {columns}) of values, got "
            f"{_validate.describe(y)}"
        )
    values = values.astype(np.float64)
    check_soft(name, values, "mse")
    return values


def make_task(name: str, y: Array, options: Mapping[str, Any]) -> Task:
    """The task with the loss that the network's options ask for."""
    kind = TASKS[name]
    loss = options.get("loss", kind.losses[0])
    if loss not in kind.losses:
        known = " or ".join(kind.losses) if len(kind.losses) < 3 else ", ".join(kind.losses)
        raise ValueError(f"loss: expected {known} for task={name!r}, got {loss!r}")
    spec = LossSpec(loss, **{n: options[n] for n in LOSS_OPTIONS if n in options})
    if name == "classification":
        return kind(spec, int(y.max()) + 1)
    if name == "multilabel":
        return kind(spec, y.shape[1])
    if 0.5 not in spec.levels:
        raise ValueError(
            f"quantiles: expected 0.5 among them, so that R² can be told, got {list(spec.levels)}"
        )
    check_soft("y", y, spec)
    mean, scale = y.mean(axis=0), y.std(axis=0)
    if loss == "poisson":
        mean, scale = np.zeros_like(mean), mean
    noise = len(y) * np.finfo(np.float64).eps * np.abs(mean)  # of equal values
    scale = np.where(scale > noise, scale, 1.0)
    units = {"mean": tuple(mean.tolist()), "scale": tuple(scale.tolist())}
    return kind(spec, y.shape[1] * len(spec.levels), **units)
