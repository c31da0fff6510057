"""Columns that tell the label alone, as no other does."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from fanin._typing import Array, Floats, Ints
from fanin.diagnostics.findings import Finding
from fanin.tuning.guide.budget import SEARCHED
from fanin.tuning.guide.judging import compare, held_rows
from fanin.tuning.guide.run import GuideRun
from fanin.tuning.guide.trials import Trial

LOOKED_AT, MOST_COLUMNS = 2000, 512  # rows, and columns: pixels are no columns
NEIGHBOURS = 5  # along a single column
FOLDS = 5
SHARE = 0.25  # of the errors by any other column alone
LOSS = 0.25  # of the log loss without the column
SIGMAS = 2.0  # of its gain: a few rows make most of a small loss, and of its standard error
NOISE = 3.0  # standard errors between the column alone and the network


def leaking_column(run: GuideRun, best: Trial) -> Iterator[Finding]:
    """The column that alone tells about as much as all, and that the others cannot replace."""
    problem = run.problem
    if problem.rows.dtype == np.uint8 or not 1 < problem.rows.shape[1] <= MOST_COLUMNS:
        return
    if problem.preprocess is not None and not isinstance(problem.preprocess, tuple):
        return  # columns are combined before they enter
    rows = np.linspace(0, problem.n - 1, min(problem.n, LOOKED_AT)).astype(int)
    y = problem.labels[rows]
    columns = range(problem.rows.shape[1])
    alone = np.array([_wrong_by_column(problem.rows[rows, c], y).mean() for c in columns])
    column, second = (int(c) for c in np.argsort(alone, kind="stable")[:2])
    network = _wrong(run, best)
    noise = math.hypot(_error(alone[column], len(rows)), _error(network.mean(), len(network)))
    if alone[column] > network.mean() + NOISE * noise:
        return  # the network knows much that the column does not tell
    if alone[column] > SHARE * alone[second]:
        return
    others = run.cv.without(best, column, run.budget.until(SEARCHED))
    if others is None or not others.usable:
        return
    folds = [fold for fold in problem.search_folds if fold in best.runs and fold in others.runs]
    after = held_rows(problem, others, folds)
    gain = compare(problem, after, held_rows(problem, best, folds))
    without = float(np.nanmean(after))
    if without - gain.mean > LOSS * without or not gain.exceeds(SIGMAS):
        return
    yield Finding(
        "leaking-column",
        f"column {column} alone tells the label of {1 - alone[column]:.1%} of the rows, the next "
        f"best column of {1 - alone[second]:.1%}; without it the log loss of the network is "
        f"{without:.4f}, {gain.mean:.4f} more (standard error {gain.error:.4f})",
        "look whether that column is known when a label is to be predicted, or was made from it",
        columns=np.array([column]),
    )


def _error(share: float, n: int) -> float:
    """The standard error of a share, not 0 where none or all of the rows are meant."""
    return math.sqrt(max(share * (1 - share), 1 / n) / n)


def _wrong(run: GuideRun, trial: Trial) -> Floats:
    """1 for each held-out row that is wrong, 0 for one that is right."""
    problem = run.problem
    folds = [fold for fold in problem.search_folds if fold in trial.runs]
    found = [
        problem.labels[problem.folds[fold][1]] != trial.runs[fold].scores.argmax(axis=1)
        for fold in folds
    ]
    return np.concatenate(found).astype(np.float64)


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
