"""How trials are compared: log losses of held-out rows, with standard errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fanin import losses, metrics
from fanin._typing import Floats
from fanin.ensemble.held_out import log_losses
from fanin.tuning.guide.problem import Problem
from fanin.tuning.guide.trials import SMOOTHED, Trial


@dataclass(frozen=True)
class Gain:
    """A mean difference of log losses over rows, above 0 where the second is better."""

    mean: float
    error: float

    def exceeds(self, sigmas: float) -> bool:
        return self.mean > sigmas * self.error


def probabilities(problem: Problem, trial: Trial, temperature: float = 1.0) -> Floats:
    """Of each row, the mean over the networks that were not trained on it; NaN where none."""
    total = np.zeros((problem.n, problem.n_classes))
    count = np.zeros(problem.n)
    for fold, run in trial.runs.items():
        held = problem.folds[fold][1]
        total[held] += losses.softmax(run.scores.astype(np.float64) / temperature)
        count[held] += 1
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count[:, None])


def held_rows(problem: Problem, trial: Trial, folds: Sequence[int]) -> Floats:
    """The log loss of each row by the network that was not trained on it; NaN where none."""
    total, count = np.zeros(problem.n), np.zeros(problem.n)
    for fold in folds:
        run = trial.runs[fold]
        held = problem.folds[fold][1]
        own = losses.softmax(run.scores.astype(np.float64))
        total[held] += problem.weighted(log_losses(own, problem.labels[held]), held)
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


def class_shares(problem: Problem) -> Floats:
    """For each held-out row the classes' shares among the rows trained on; NaN for others."""
    result = np.full((problem.n, problem.n_classes), np.nan)
    for train, held in problem.folds[: problem.n_folds]:
        shares = np.bincount(problem.labels[train], minlength=problem.n_classes) + 0.5
        if problem.weights is not None:
            shares = shares * problem.weights
        result[held] = shares / shares.sum()
    return result


def majority_rows(problem: Problem) -> Floats:
    """The log losses of answering with the classes' shares."""
    found, result = class_shares(problem), np.full(problem.n, np.nan)
    known = np.flatnonzero(np.isfinite(found[:, 0]))
    result[known] = problem.weighted(log_losses(found[known], problem.labels[known]), known)
    return result


def summary(problem: Problem, found: Floats) -> dict[str, Any]:
    """The metrics of probabilities; rows that are NaN are left out."""
    known = np.isfinite(found[:, 0])
    y, own = problem.labels[known], found[known]
    rows = log_losses(own, y)
    result = {
        "log_loss": float(rows.mean()),
        "error": float(rows.std()) / math.sqrt(len(rows)),
        "accuracy": metrics.accuracy_score(y, own.argmax(axis=1)),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, own.argmax(axis=1)),
        "rows": len(rows),
    }
    present = np.unique(y)
    if len(present) > 1:
        areas = [metrics.roc_auc_score((y == c).astype(np.int64), own[:, c]) for c in present]
        result["roc_auc"] = float(np.mean(areas))
    return result
