"""Whether the targets have anything to do with the inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from fanin._typing import Floats
from fanin.diagnostics.findings import Finding
from fanin.random import Generator
from fanin.tuning.guide.budget import COARSE, SEARCHED
from fanin.tuning.guide.judging import Gain, outputs_of, trivial_outputs
from fanin.tuning.guide.problem import Problem
from fanin.tuning.guide.run import GuideRun
from fanin.tuning.guide.trials import Trial

JUDGES = 2  # the best settings, whose mean is judged
CERTAIN = 5.0  # standard errors better than what knows no row: no need to shuffle
TIMES = 8  # shuffled targets
# Of the gains with these, and standard errors over the rows: the former tell weak signals of few
# rows from none, the latter guard against the choice of the best settings by these very labels.
SIGMAS, SURE = 2.5, 1.5
ENOUGH, ALONE = 2, 2.5  # shufflings to tell a spread by, else so many standard errors
MIXTURES = np.linspace(0.0, 1.0, 11)
SHUFFLED = "look whether the {targets} belong to these rows: were they shuffled?"


def unrelated_targets(run: GuideRun) -> Iterator[Finding]:
    """Where the best settings tell no more of the targets than of shuffled ones."""
    problem, best = run.problem, run.ranked()[:JUDGES]
    if _gain(problem, best).exceeds(CERTAIN):
        return
    deadline = run.budget.until((COARSE + SEARCHED) / 2)
    for trial in best:  # the folds of the search have chosen these settings: others judge too
        run.cv.extend(trial, list(range(problem.n_folds)), run.budget.until(COARSE + 0.1))
    gain = _gain(problem, best)
    if gain.exceeds(CERTAIN):
        return
    chance: list[Gain] = []
    for trials in run.cv.shuffled(best, TIMES, deadline):
        seed = trials[0].shuffled
        assert seed is not None
        mixed = problem.with_labels(problem.labels[Generator(seed).permutation(problem.n)])
        chance.append(_gain(mixed, trials))
    usual, scale = _usual(chance)
    sure = SURE if len(chance) >= ENOUGH else ALONE
    if gain.mean > usual + SIGMAS * scale and gain.exceeds(sure):
        return
    words = problem.task.words
    told = (
        f"; with shuffled {words.targets}, {len(chance)} times, by {usual:.4f} (spread {scale:.4f})"
    )
    yield Finding(
        words.unrelated,
        f"the best of {len(run.cv.trials)} settings, mixed with {words.trivial}, lower the "
        f"{words.loss_title} of these by {gain.mean:.4f} (standard error {gain.error:.4f}) on rows "
        f"that they were not trained on{told if chance else ''}",
        SHUFFLED.format(targets=words.targets),
    )


def _usual(chance: Sequence[Gain]) -> tuple[float, float]:
    """The mean of gains by chance, and the spread of one more: over them, or over their rows."""
    if not chance:
        return 0.0, 0.0
    means = [gain.mean for gain in chance]
    spread = float(np.std(means, ddof=1)) * math.sqrt(1 + 1 / len(means)) if means[1:] else 0.0
    rows = math.sqrt(float(np.mean([gain.error**2 for gain in chance])))
    return float(np.mean(means)), max(spread, rows)


def _gain(problem: Problem, trials: Sequence[Trial]) -> Gain:
    """Over what knows no row, of the best mixture of that with the trials' mean.

    Networks that are too sure of a weak signal are worse than it, mixed with it they are not.
    """
    trivial, judge = trivial_outputs(problem), problem.task.row_losses
    found: Floats = np.mean([outputs_of(problem, trial) for trial in trials], axis=0)
    known = np.isfinite(found[:, 0] + trivial[:, 0])
    y, own, plain = problem.labels[known], found[known], trivial[known]
    before = judge(plain, y)
    gains = [before - judge(part * own + (1 - part) * plain, y) for part in MIXTURES]
    best = max(gains, key=lambda gain: float(gain.mean()))
    return Gain(float(best.mean()), max(float(best.std()), 1e-12) / math.sqrt(len(best)))
