"""How trials are compared: losses of held-out rows, with standard errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fanin._typing import Floats
from fanin.tuning.guide.problem import Problem
from fanin.tuning.guide.trials import SMOOTHED, Trial


@dataclass(frozen=True)
class Gain:
    """A mean difference of losses over rows, above 0 where the second is better."""

    mean: float
    error: float

    def exceeds(self, sigmas: float) -> bool:
        return self.mean > sigmas * self.error


def outputs_of(problem: Problem, trial: Trial, temperature: float = 1.0) -> Floats:
    """Of each row, the mean over the networks that were not trained on it; NaN where none."""
    total = np.zeros((problem.n, problem.task.n_outputs))
    count = np.zeros(problem.n)
    for fold, run in trial.runs.items():
        held = problem.folds[fold][1]
        total[held] += problem.task.outputs(run.scores.astype(np.float64) / temperature)
        count[held] += 1
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count[:, None])


def held_rows(problem: Problem, trial: Trial, folds: Sequence[int]) -> Floats:
    """The loss of each row by the network that was not trained on it; NaN where none."""
    total, count = np.zeros(problem.n), np.zeros(problem.n)
    for fold in folds:
        run = trial.runs[fold]
        held = problem.folds[fold][1]
        total[held] += problem.losses(problem.task.outputs(run.scores.astype(np.float64)), held)
        count[held] += 1
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count)


def compare(problem: Problem, before: Floats, now: Floats) -> Gain:
    """The gain of the second row losses over the first, over the rows that both have.

    The error is the larger of that over rows, and that over folds where there are several: rows of
    a fold share a network.
    """
    differences = before - now
    both = np.isfinite(differences)
    found = differences[both]
    if len(found) < 2:
        return Gain(float(found.mean()) if len(found) else 0.0, math.inf)
    error = float(found.std(ddof=1)) / math.sqrt(len(found))
    first = problem.folds[: problem.n_folds]
    means = [float(d.mean()) for _, held in first if len(d := differences[held][both[held]])]
    if len(means) > 2:
        error = max(error, float(np.std(means, ddof=1)) / math.sqrt(len(means)))
    return Gain(float(found.mean()), error)


def optimism(trial: Trial, folds: Sequence[int]) -> float:
    """What choosing each fold's epoch by its own held-out rows hides of the loss.

    Measured by giving each fold the epoch that the others would choose.
    """
    curves = [_smoothed(trial.runs[fold].losses) for fold in folds if trial.runs[fold].losses]
    if len(curves) < 2:
        return 0.0
    length = max(map(len, curves))
    all_curves = np.stack([np.pad(c, (0, length - len(c)), mode="edge") for c in curves])
    total, hidden = all_curves.sum(axis=0), []
    for own in all_curves:
        others = total - own
        chosen = int(np.where(np.isfinite(others), others, np.inf).argmin())
        hidden.append(float(own[chosen] - np.nanmin(own)))
    return max(float(np.mean(hidden)), 0.0)


def _smoothed(curve: Sequence[float]) -> Floats:
    values = np.asarray(curve, dtype=np.float64)
    parts = [values[max(i + 1 - SMOOTHED, 0) : i + 1].mean() for i in range(len(values))]
    return np.asarray(parts)


def trivial_outputs(problem: Problem) -> Floats:
    """For each held-out row those of what knows the targets trained on alone; NaN for others."""
    result = np.full((problem.n, problem.task.n_outputs), np.nan)
    for train, held in problem.folds[: problem.n_folds]:
        found = problem.task.trivial(problem.labels[train])
        if problem.weights is not None:
            found = found * problem.weights
            found = found / found.sum()
        result[held] = found
    return result


def trivial_rows(problem: Problem) -> Floats:
    """The losses of these."""
    found, result = trivial_outputs(problem), np.full(problem.n, np.nan)
    known = np.flatnonzero(np.isfinite(found[:, 0]))
    result[known] = problem.losses(found[known], known)
    return result


def summary(problem: Problem, outputs: Floats) -> dict[str, Any]:
    """The metrics of outputs; rows that are NaN are left out."""
    return problem.task.summary(outputs, problem.labels)
