"""How the time is shared among the steps."""

from __future__ import annotations

import math

from fanin.tuning.guide.problem import REPEATED_BELOW, Problem
from fanin.tuning.guide.state import State

# Without a budget: trials and epochs of each search, the lecture's 1 to 5 and 10 to 20 epochs, and
# longer ones later.
TRIALS = {"coarse": 12, "refine": 8, "again": 8}
EPOCHS = {"coarse": 4, "refine": 15, "again": 30}
# Where there are few steps in an epoch, as many epochs as make so many steps, up to a limit; where
# rows are few, and a network is soon trained, as many times more.
STEPS = {"coarse": 600, "refine": 1600, "again": 4000}
FEW_ROWS = 2.5
MOST_EPOCHS = 300
MORE_TRIALS = 2  # times as many with a budget: as far as the time goes
# Shares of the time: at which the checks of step 2 end, the coarse search, the first round, and all
# searches.
CHECKED, COARSE, REFINED, SEARCHED = 0.1, 0.25, 0.45, 0.8
LEAST_SECONDS = 0.2  # of the first network, whatever the budget


class Budget:
    """The time that is left; infinite without a budget."""

    state: State
    total: float | None

    def __init__(self, seconds: float | None, state: State) -> None:
        self.total, self.state = seconds, state

    @property
    def left(self) -> float:
        return math.inf if self.total is None else self.total - self.state.seconds

    def until(self, share: float) -> float:
        """The seconds of the guide at which that share of the budget is spent."""
        return math.inf if self.total is None else share * self.total

    def within(self, share: float) -> bool:
        """Whether less than that share has been spent."""
        return self.state.seconds < self.until(share)


def epochs(search: str, problem: Problem, factor: float = 1.0) -> int:
    """Epochs of a search, at most."""
    factor *= FEW_ROWS if problem.n < REPEATED_BELOW else 1.0
    wanted = max(EPOCHS[search], -(-STEPS[search] // problem.steps))
    return max(min(round(factor * wanted), MOST_EPOCHS), 1)
