"""Columns that tell the target alone, as no other does."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from fanin._typing import Array, Floats
from fanin.diagnostics.findings import Finding
from fanin.tuning.guide.budget import SEARCHED
from fanin.tuning.guide.judging import compare, held_rows
from fanin.tuning.guide.problem import Problem
from fanin.tuning.guide.run import GuideRun
from fanin.tuning.guide.tasks import Task
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
    y, task = problem.labels[rows], problem.task
    columns = range(problem.rows.shape[1])
    wrong = [_wrong_by_column(problem.rows[rows, c], y, task) for c in columns]
    alone = np.array([one.mean() for one in wrong])
    column, second = (int(c) for c in np.argsort(alone, kind="stable")[:2])
    network = _wrong(run, best)
    noise = math.hypot(_error(wrong[column]), _error(network))
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
    words = task.words
    yield Finding(
        "leaking-column",
        words.by_column.format(_named(problem, column), 1 - alone[column], 1 - alone[second])
        + f"; without it the {words.loss_title} of the network is {without:.4f}, {gain.mean:.4f} "
        f"more (standard error {gain.error:.4f})",
        f"look whether that column is known when a {words.one} is to be predicted, or was made "
        "from it",
        columns=np.array([column]),
    )


def _named(problem: Problem, column: int) -> str:
    """A column of the rows, by its name where it has one."""
    names = problem.columns
    if problem.table is not None:
        names = tuple(problem.table.get_feature_names_out())
    return f"column {column}" if names is None else f"column {names[column]!r}"


def _error(wrong: Floats) -> float:
    """The standard error of their mean, not 0 where none or all of the rows are wrong."""
    n = len(wrong)
    return math.sqrt(max(float(wrong.var()), 1 / n) / n)


def _wrong(run: GuideRun, trial: Trial) -> Floats:
    """How wrong each held-out row is."""
    problem, task = run.problem, run.problem.task
    folds = [fold for fold in problem.search_folds if fold in trial.runs]
    outputs = [task.outputs(trial.runs[fold].scores) for fold in folds]
    rows = np.concatenate([problem.folds[fold][1] for fold in folds])
    return task.wrong(np.concatenate(outputs), problem.labels[rows])


def _wrong_by_column(values: Array, y: Array, task: Task) -> Floats:
    """How far the nearest others along one column mislead, each fold by the other folds."""
    part = np.arange(len(y)) % FOLDS
    answers = task.answers(y)
    found = np.empty_like(answers)
    for own in range(FOLDS):
        known, asked = part != own, part == own
        order = np.argsort(values[known], kind="stable")
        sorted_values, right = values[known][order], answers[known][order]
        first = np.searchsorted(sorted_values, values[asked], "left")
        last = np.searchsorted(sorted_values, values[asked], "right")
        # All equal values, and where they are few the nearest ones on both sides.
        reach = np.maximum(NEIGHBOURS - (last - first), 0)
        first = np.maximum(first - (reach + 1) // 2, 0)
        last = np.minimum(last + reach // 2, len(right))
        sums = np.zeros((len(right) + 1, right.shape[1]))
        np.cumsum(right, axis=0, out=sums[1:])
        found[asked] = (sums[last] - sums[first]) / np.maximum(last - first, 1)[:, None]
    return task.wrong(found, y)
