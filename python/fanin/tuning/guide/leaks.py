"""Columns that tell the label alone, far better than all others together."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from fanin._typing import Array, Floats, Ints
from fanin.diagnostics.findings import Finding
from fanin.tuning.guide.budget import SEARCHED
from fanin.tuning.guide.run import GuideRun
from fanin.tuning.guide.trials import Trial

LOOKED_AT, MOST_COLUMNS = 2000, 512  # rows, and columns: pixels are no columns
NEIGHBOURS = 5  # along a single column
FOLDS = 5
SHARE = 0.25  # of the errors that all other columns together make
SIGMAS = 3.0


def leaking_column(run: GuideRun, best: Trial) -> Iterator[Finding]:
    """The column by which alone a quarter of the errors is made that are made without it."""
    problem = run.problem
    if problem.rows.dtype == np.uint8 or not 1 < problem.rows.shape[1] <= MOST_COLUMNS:
        return
    if problem.preprocess is not None and not isinstance(problem.preprocess, tuple):
        return  # columns are combined before they enter
    rows = np.linspace(0, problem.n - 1, min(problem.n, LOOKED_AT)).astype(int)
    y = problem.labels[rows]
    wrong = [_wrong_by_column(problem.rows[rows, c], y) for c in range(problem.rows.shape[1])]
    column = int(np.argmin([w.mean() for w in wrong]))
    alone = wrong[column]
    error = math.sqrt(max(alone.mean() * (1 - alone.mean()), 1 / len(rows)) / len(rows))
    if alone.mean() > np.nanmean(_wrong(run, best)) + SIGMAS * error:
        return  # the network knows much that the column does not tell
    others = run.cv.without(best, column, run.budget.until(SEARCHED))
    if others is None or not others.usable:
        return
    rest = _wrong(run, others)[rows]
    known = np.isfinite(rest)
    alone, rest = alone[known], rest[known]
    better, worse = int((rest > alone).sum()), int((rest < alone).sum())
    if alone.mean() > SHARE * rest.mean() or better - worse < SIGMAS * math.sqrt(better + worse):
        return
    yield Finding(
        "leaking-column",
        f"column {column} alone tells the label of {1 - alone.mean():.1%} of the rows; a network "
        f"without it is right in {1 - rest.mean():.1%}: {better} of {len(rest)} rows are told by "
        f"the column only, {worse} by the others only",
        "look whether that column is known when a label is to be predicted, or was made from it",
        columns=np.array([column]),
    )


def _wrong(run: GuideRun, trial: Trial) -> Floats:
    """1 for held-out rows that are wrong, 0 for those that are right, NaN for others."""
    problem, result = run.problem, np.full(run.problem.n, np.nan)
    for fold, one in trial.runs.items():
        if fold in problem.search_folds:
            held = problem.folds[fold][1]
            result[held] = problem.labels[held] != one.scores.argmax(axis=1)
    return result


def _wrong_by_column(values: Array, y: Ints) -> Floats:
    """Which rows the nearest others along one column mislead, each fold by the other folds."""
    part = np.arange(len(y)) % FOLDS
    wrong = np.ones(len(y))
    classes = int(y.max()) + 1
    for own in range(FOLDS):
        known, asked = part != own, part == own
        order = np.argsort(values[known], kind="stable")
        sorted_values, labels = values[known][order], y[known][order]
        first = np.searchsorted(sorted_values, values[asked], "left")
        last = np.searchsorted(sorted_values, values[asked], "right")
        # All equal values, and where they are few the nearest ones on both sides.
        reach = np.maximum(NEIGHBOURS - (last - first), 0)
        first = np.maximum(first - (reach + 1) // 2, 0)
        last = np.minimum(last + reach // 2, len(labels))
        counts = np.zeros((len(labels) + 1, classes))
        np.cumsum(np.eye(classes)[labels], axis=0, out=counts[1:])
        answers = (counts[last] - counts[first]).argmax(axis=1)
        wrong[asked] = answers != y[asked]
    return wrong
