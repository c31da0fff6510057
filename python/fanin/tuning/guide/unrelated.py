"""Whether the labels have anything to do with the inputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fanin.diagnostics.findings import Finding
from fanin.random import Generator
from fanin.tuning.guide.budget import COARSE, SEARCHED
from fanin.tuning.guide.judging import Gain, compare, held_rows, majority_rows, optimism
from fanin.tuning.guide.run import GuideRun
from fanin.tuning.guide.trials import Trial

CERTAIN = 5.0  # standard errors above the majority: no need to shuffle
TIMES = 5  # shuffled labels
SIGMAS = 3.0  # of the gains with these
NAME = "unrelated-labels"
SHUFFLED = "look whether the labels belong to these rows: were they shuffled?"


def over_majority(run: GuideRun, trial: Trial) -> Gain:
    """How much better than the classes' shares the settings' networks are, row by row."""
    found = compare(run.problem, majority_rows(run.problem), run.rows(trial))
    folds = [fold for fold in run.problem.search_folds if fold in trial.runs]
    return Gain(found.mean - optimism(trial, folds), found.error)


def unrelated_labels(run: GuideRun, best: Trial) -> Iterator[Finding]:
    """Where the best settings are no better than the majority, or than on shuffled labels."""
    gain = over_majority(run, best)
    if gain.exceeds(CERTAIN):
        return
    chance = [g.mean for g in _on_shuffled_labels(run, best)]
    scale, usual = 0.0, 0.0
    if len(chance) > 1:
        usual = float(np.mean(chance))
        scale = float(np.std(chance, ddof=1)) * (1 + 1 / len(chance)) ** 0.5
    if gain.mean > max(usual + SIGMAS * scale, gain.error):
        return
    told = (
        f"; with shuffled labels, {len(chance)} times, by {usual:.4f} (spread {scale:.4f})"
        if chance
        else ""
    )
    yield Finding(
        NAME,
        f"the best of {len(run.cv.trials)} settings has a log loss {gain.mean:.4f} below that of "
        f"the classes' shares (standard error {gain.error:.4f}) on rows that it was not trained on"
        + told,
        SHUFFLED,
    )


def _on_shuffled_labels(run: GuideRun, best: Trial) -> list[Gain]:
    problem, gains = run.problem, []
    deadline = run.budget.until((COARSE + SEARCHED) / 2)
    for trial in run.cv.shuffled(best, TIMES, deadline):
        assert trial.shuffled is not None
        order = Generator(trial.shuffled).permutation(problem.n)
        mixed = problem.with_labels(problem.labels[order])
        rows = held_rows(mixed, trial, trial.folds)
        found = compare(mixed, majority_rows(mixed), rows)
        gains.append(Gain(found.mean - optimism(trial, trial.folds), found.error))
    return gains
