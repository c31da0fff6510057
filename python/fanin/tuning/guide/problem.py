"""The user's data as the guide works on them, checked once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fanin import _validate, datasets
from fanin._typing import Array, Floats, Ints
from fanin.arrays import as_array, column_names, is_table
from fanin.network import inputs
from fanin.preprocessing import TableEncoder
from fanin.preprocessing.transformers import standardization
from fanin.training.class_weights import class_weights
from fanin.tuning.guide.targets import as_targets, make_task, task_of
from fanin.tuning.guide.tasks import Task

N_FOLDS, REPEATS, SPLIT_FOLDS = 5, 3, 10
REPEATED_BELOW, SPLIT_FROM = 2000, 20_000  # rows
EVENLY = {
    "classification": "evenly over the classes",
    "regression": "evenly over the target's range",
    "multilabel": "evenly over the rarest labels",
}
ENOUGH_HELD_OUT = 200  # rows, to tell good settings from bad ones


@dataclass(frozen=True, eq=False)
class Problem:
    """The rows, and which of them judge the networks that were trained on the others."""

    rows: Array  # of shape (N, D), uint8, float32 or float64: all, the user's validation rows last
    labels: Array  # classes (N,) from 0 on, labels (N, C) of 0 and 1, or values (N, M)
    folds: Sequence[tuple[Ints, Ints]]  # rows to train on and rows held out, repeat after repeat
    n_folds: int  # of a repeat
    task: Task
    preprocess: Any  # as `MLP.fit` takes it
    width: int  # features that enter the network
    batch_size: int
    split_off: bool  # whether the validation rows were held out of the user's training rows
    notes: tuple[str, ...]  # on defaults that the user should know of
    weights: Floats | None = None  # of the classes, in all losses; mean 1 over the rows
    classes: Array | None = None  # the user's labels, where they are not 0 .. C-1
    table: TableEncoder | None = None  # which has made the rows of a frame
    columns: tuple[str, ...] | None = None  # of a frame that was taken as an array

    @property
    def n(self) -> int:
        return len(self.labels)

    @property
    def dims(self) -> tuple[int, int]:
        """Inputs and outputs of a network."""
        return self.width, self.task.n_outputs

    @property
    def n_train(self) -> int:
        """Rows that the network of a fold is trained on."""
        return len(self.folds[0][0])

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return -(-self.n_train // self.batch_size)

    @property
    def coarse_folds(self) -> list[int]:
        """As many as hold out enough rows to tell good settings from bad ones."""
        held = len(self.folds[0][1])
        return self.search_folds[: -(-ENOUGH_HELD_OUT // held)]

    def losses(self, outputs: Floats, rows: Ints) -> Floats:
        """Of the outputs for these rows, times the weights of their classes."""
        found = self.task.row_losses(outputs, self.labels[rows])
        return found if self.weights is None else found * self.weights[self.labels[rows]]

    @property
    def search_folds(self) -> list[int]:
        """The folds that settings are compared on: where rows are many, one tells enough."""
        return list(range(self.n_folds if self.n < REPEATED_BELOW else 1))

    @cached_property
    def first(self) -> tuple[Array, Array, Array, Array]:
        """X and y of the first fold, and its held-out rows and labels."""
        train, held = self.folds[0]
        return self.rows[train], self.labels[train], self.rows[held], self.labels[held]

    def with_labels(self, labels: Array) -> Problem:
        """The same with others."""
        return replace(self, labels=labels)

    @property
    def chance(self) -> float | None:
        """The score of answering all alike, on the first fold's held-out rows."""
        _, y, _, y_held = self.first
        return self.task.chance(y, y_held)


def make_problem(
    X: Any,
    y: Any,
    X_val: Any,
    y_val: Any,
    *,
    task: str | None,
    options: Mapping[str, Any],
    preprocess: Any,
    batch_size: int | None,
    seed: int,
    groups: Any = None,
    class_weight: Any = None,
) -> Problem:
    """Checks everything that can be wrong with data; makes folds where no rows are given.

    Options are those of the network, such as its loss.
    """
    notes = []
    columns, preprocess, table = _columns_of(X, preprocess)
    X, X_val = (_encoded(name, part, table) for name, part in (("X", X), ("X_val", X_val)))
    X = _checked("X", X, None)
    name = task_of(y, task)
    y, classes = as_targets("y", y, len(X), name)
    if (X_val is None) != (y_val is None):
        missing = "X_val" if X_val is None else "y_val"
        raise ValueError(f"{missing}: expected both X_val and y_val or neither, got None")
    split_off = X_val is None
    held: Array | None = None
    if not split_off:
        X_val = _checked("X_val", X_val, X.shape[1])
        held, _ = as_targets("y_val", y_val, len(X_val), name, y, classes)
    asked = make_task(name, y if held is None else np.concatenate([y, held]), options)
    if split_off:
        folds, n_folds, note = _folds(asked, y, groups, seed)
        notes.append(note)
    else:
        if groups is not None:
            raise ValueError("groups: expected None beside X_val, which is the judge, got groups")
        n = len(X)
        folds, n_folds = [(np.arange(n), n + np.arange(len(X_val)))], 1
    _refuse_constant(asked, y, folds, groups)
    if table is not None:
        notes.append(f"Columns: {table.describe()}.")
    how, width, note = _fitted_preprocess(preprocess, X)
    least = min(len(train) for train, _ in folds)
    if batch_size is None:
        batch_size = _usual_batch(least)
    batch = _validate.whole("batch_size", batch_size, 1, least)
    notes += [note] if note else []
    if held is not None:
        X, y = np.concatenate([X, X_val]), np.concatenate([y, held])
    weights = None
    if class_weight is not None:
        if name != "classification":
            got = f"{class_weight!r} with task={name!r}"
            raise ValueError(f"class_weight: expected None for other tasks than classes, got {got}")
        weights = class_weights(class_weight, y, asked.n_outputs, classes)
        weights = weights / weights[y].mean()
    return Problem(
        X,
        y,
        folds,
        n_folds,
        asked,
        how,
        width,
        batch,
        split_off,
        tuple(notes),
        weights,
        classes,
        table,
        columns,
    )


def _refuse_constant(task: Task, y: Array, folds: Sequence[tuple[Ints, Ints]], groups: Any) -> None:
    """Raises where all targets, or those that a fold is trained on, are equal."""
    classes = task.name == "classification"
    if not task.varies(y):
        expected = "at least two classes" if classes else "rows with different targets"
        raise ValueError(f"y: expected {expected}, got only {'class ' if classes else ''}{y[0]}")
    for train, _ in folds:
        if not task.varies(y[train]):
            expected = "two classes" if classes else "different targets"
            raise ValueError(
                f"y: expected {expected} among the rows of each fold to train on, got only "
                f"{'class ' if classes else ''}{y[train][0]} in one: more rows are needed"
                f"{'' if groups is None else ', or groups'}"
            )


def _columns_of(X: Any, preprocess: Any) -> tuple[tuple[str, ...] | None, Any, Any]:
    """A frame's columns where it is taken as an array; what comes after its encoder; and that.

    Frames of other columns than numbers, or with missing ones, are encoded; so are all where an
    encoder is given.
    """
    steps = None if isinstance(preprocess, str) else inputs.transformers(preprocess)
    if steps and isinstance(steps[0], TableEncoder):
        first = steps[0]
        fitted = first.__sklearn_is_fitted__()
        table = first.frozen() if fitted else type(first)(**first.get_params()).fit(X)
        return None, steps[1:] or "auto", table
    if not is_table(X):
        return None, preprocess, None
    try:
        as_array("X", X)
        return column_names(X), preprocess, None
    except (TypeError, ValueError):  # other kinds of columns, or missing values
        return None, preprocess, TableEncoder().fit(X)


def _encoded(name: str, X: Any, table: TableEncoder | None) -> Any:
    return X if X is None or table is None else table.encode(X, name=name)


def _usual_batch(n: int) -> int:
    """A sixteenth of the rows, as a power of two between 8 and 128: some 16 steps an epoch."""
    power = round(math.log2(max(n / 16, 1)))
    return min(max(1 << power, 8), 128, n)


def _folds(
    task: Task, y: Array, groups: Any, seed: int
) -> tuple[list[tuple[Ints, Ints]], int, str]:
    """Folds, how many of them are one repeat, and what to say of them."""
    n, evenly = len(y), EVENLY[task.name] if groups is None else "by groups"
    y = task.strata(y)
    options: dict[str, Any] = {"seed": seed, "groups": groups}
    if n >= SPLIT_FROM:
        folds = datasets.folds(y, SPLIT_FOLDS, **options)[:1]
        held = f"{len(folds[0][1])} of {n} were held out, {evenly}, by seed {seed}"
        return folds, 1, f"No validation rows were given: {held}."
    _, counts = np.unique(y, return_counts=True)
    n_folds = max(min(N_FOLDS, int(counts[counts > 1].sum())), 2)
    repeats = REPEATS if n < REPEATED_BELOW else 1
    folds = datasets.folds(y, n_folds, repeats=repeats, **options)
    times = f", {repeats} times over for the best settings" if repeats > 1 else ""
    return (
        folds,
        n_folds,
        (
            f"No validation rows were given: {n_folds} folds of the {n} rows are held out in turn, "
            f"{evenly}, by seed {seed}{times}."
        ),
    )


def _checked(name: str, X: Any, columns: int | None) -> Array:
    array = _validate.numbers(name, as_array(name, X))
    if array.ndim < 2 or 0 in array.shape:
        raise ValueError(
            f"{name}: expected shape (N, D) or (N, ...), at least one row and column, "
            f"got {_validate.describe(array)}"
        )
    width = math.prod(array.shape[1:]) if columns is None else columns
    rows: Array = _validate.data_rows(name, array, width, np.dtype(np.float32))
    return rows


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
