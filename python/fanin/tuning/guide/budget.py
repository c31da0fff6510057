"""How many trials and epochs the time allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fanin.tuning.guide.state import State

SearchSize = tuple[int, int]  # trials, epochs
Sizes = Sequence[SearchSize]

# Of each search its share of the time that is left; its size without a budget (the lecture's 1 to 5
# and 10 to 20 epochs); and with one what it would like, the best first.
SEARCHES: dict[str, tuple[float, SearchSize, Sizes]] = {
    "coarse": (0.12, (12, 3), (
        (12, 5), (12, 4), (12, 3), (10, 3), (10, 2), (8, 2), (8, 1), (6, 1))),
    "refine": (0.25, (8, 15), (
        (8, 20), (8, 15), (6, 15), (6, 12), (6, 10), (4, 10), (2, 10))),
    "again": (0.6, (8, 30), (
        (10, 40), (8, 40), (8, 30), (6, 30), (6, 25), (4, 25), (4, 20), (4, 15), (2, 20), (2, 10))),
}  # fmt: skip
OVERHEAD = 1.2  # of an epoch, for validation and for what threads cost each other
FEW_STEPS = 300  # of the lecture's epochs; where there are fewer in an epoch, it takes more epochs
MOST_EPOCHS_FOR_ONE = 3


class Budget:
    """The time that is left, and the sizes of searches that it allows."""

    def __init__(self, seconds: float | None, state: State, workers: int) -> None:
        self.total, self.state, self.workers = seconds, state, workers
        self.speed = 1e9  # parameters times rows that a thread trains in a second, as measured

    @property
    def left(self) -> float:
        """Seconds; infinite without a budget."""
        return math.inf if self.total is None else self.total - self.state.seconds

    def cost(self, size: SearchSize, work: float) -> float:
        """Seconds of a search whose epochs are `work` parameters times rows."""
        trials, epochs = size
        return math.ceil(trials / self.workers) * epochs * work * OVERHEAD / self.speed

    def learn(self, seconds: float, work: float) -> None:
        """Updates the speed from the time that a search took on one thread."""
        if seconds > 0.05 and work > 0:
            self.speed = work * OVERHEAD / seconds

    def choose(self, sizes: Sizes, seconds: float, work: float) -> SearchSize | None:
        """The first size that takes no longer than so many seconds."""
        return next((size for size in sizes if self.cost(size, work) <= seconds), None)


def stretch(steps: int) -> float:
    """The factor on the epochs of a small data set, for as many steps."""
    return min(max(FEW_STEPS / steps, 1.0), MOST_EPOCHS_FOR_ONE)


def stretched(sizes: Sizes, steps: int) -> list[SearchSize]:
    return [(trials, round(epochs * stretch(steps))) for trials, epochs in sizes]


class Deadline:
    """A callback of a search that ends it when the time is over."""

    def __init__(self, budget: Budget, reserve: float) -> None:
        self.budget, self.reserve = budget, reserve
        self.over = False

    def __call__(self, trial: Any) -> bool:  # noqa: ARG002
        self.over = self.budget.left < self.reserve
        return self.over
