"""The questions that a guide's steps have, which each task answers in its own way."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fanin._typing import Array, Floats, Ints
from fanin.diagnostics.findings import Finding
from fanin.losses.spec import LossSpec
from fanin.network import MLP

Numbers = dict[str, Any]
SMALLEST_PART = 5  # rows of each stratum, at least


def percent(share: float) -> str:
    return f"{100 * float(share):.2f} %"


@dataclass(frozen=True)
class Words:
    """How a task's numbers are called in facts and reports."""

    loss: str  # the key of the loss that settings are compared by
    loss_title: str
    score: str  # the key of the score that people ask for
    score_title: str
    told: Callable[[float], str]  # the score as text
    metrics: tuple[tuple[str, str, Callable[[float], str]], ...]  # keys and titles of the outcome
    guess: str  # says a trivial score
    trivial: str  # what knows nothing of the rows
    no_better: str  # the finding where nothing is better than that
    unrelated: str  # the finding where inputs tell nothing of the targets
    targets: str
    one: str  # of these
    by_column: str  # what a column alone tells, that column, and the next best one


@dataclass(frozen=True)
class Task(ABC):
    """A kind of target: the loss with its options, and the outputs of a network.

    Outputs are what is averaged over networks, (N, C): probabilities, or values in deviations.
    """

    name: ClassVar[str]
    words: ClassVar[Words]
    losses: ClassVar[tuple[str, ...]]  # that a network may have, the usual one first
    by_heart: ClassVar[float] = 1.0  # of what can be learnt of a small sample, that is all of it
    least_learnt: ClassVar[float] = 0.0  # of a small sample, whatever is left to noise
    least_ceiling: ClassVar[float] = 0.0  # where equal rows leave less, the targets are wrong
    of_sample: ClassVar[str] = ""  # what a share that is learnt is of

    spec: LossSpec
    n_outputs: int

    @property
    def cools(self) -> bool:
        """Whether outputs may be better where scores are divided by a temperature."""
        return True

    @property
    def beside(self) -> tuple[str, ...]:
        """Metrics of `MLP.evaluate` that are told beside the loss."""
        return ()

    def start(self, net: MLP) -> MLP:
        """A fresh network, made ready for the targets."""
        return net

    @abstractmethod
    def outputs(self, scores: Array) -> Floats:
        """Of a network's scores."""

    @abstractmethod
    def row_losses(self, outputs: Floats, y: Array) -> Floats:
        """By which settings are compared, (N,)."""

    @abstractmethod
    def trivial(self, y: Array) -> Floats:
        """The outputs (C,) of what knows the training rows' targets alone."""

    @abstractmethod
    def answers(self, y: Array) -> Floats:
        """Targets as outputs that are right, whose means are outputs too, (N, C)."""

    @abstractmethod
    def wrong(self, outputs: Floats, y: Array) -> Floats:
        """How wrong each row is, (N,): 0 is right, 1 at most the mean of what knows nothing."""

    @abstractmethod
    def score(self, outputs: Floats, y: Array) -> float:
        """That of `words`."""

    @abstractmethod
    def metrics(self, outputs: Floats, y: Array) -> Numbers:
        """All that are told of rows."""

    def summary(self, outputs: Floats, y: Array) -> Numbers:
        """Loss, its standard error, the metrics; outputs that are NaN are left out."""
        known = np.isfinite(outputs[:, 0])
        own, y = outputs[known], y[known]
        rows = self.row_losses(own, y)
        error = float(rows.std()) / math.sqrt(len(rows))
        found = {self.words.loss: float(rows.mean()), "error": error}
        return found | self.metrics(own, y) | {"rows": len(rows)}

    @abstractmethod
    def strata(self, y: Array) -> Ints:
        """Numbers by which folds are made alike."""

    @abstractmethod
    def varies(self, y: Array) -> bool:
        """Whether there is anything to learn of these rows."""

    # Step 1

    @abstractmethod
    def chance(self, y: Array, y_held: Array) -> float | None:
        """The score of answering all alike; None where that is nothing worth saying."""

    @abstractmethod
    def data_findings(self, y: Array) -> Iterator[Finding]:
        """What is odd about all targets."""

    @abstractmethod
    def uneven(self, y: Array, y_held: Array) -> Iterator[Finding]:
        """Where given validation rows have other targets than those to train on."""

    # Step 2

    @abstractmethod
    def learnt(self, outputs: Floats, y: Array) -> float:
        """How much of a sample is learnt by heart, 1 for all."""

    @abstractmethod
    def ceiling(self, groups: Ints, y: Array) -> float:
        """What can be learnt where rows of a group are equal."""

    @abstractmethod
    def lone(self, y: Array, near: Ints, known: Array) -> float:
        """What the nearest rows, of which `known` are any, say is noise."""


def strata_of(ranks: Ints, n_parts: int) -> Ints:
    """Ranks in so many parts of equal size."""
    n = len(ranks)
    parts = max(min(n_parts, n // SMALLEST_PART), 1)
    return np.asarray(ranks * parts // max(n, 1), dtype=np.int64)
