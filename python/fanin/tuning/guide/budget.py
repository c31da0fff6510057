"""How the time is shared among the steps."""

from __future__ import annotations

import math

from fanin.tuning.guide.state import State

# Without a budget: trials and epochs of each search, the lecture's 1 to 5 and 10 to 20 epochs, and
# longer ones later.
TRIALS = {"coarse": 12, "refine": 8, "again": 8}
EPOCHS = {"coarse": 4, "refine": 15, "again": 30}
# Where there are few steps in an epoch, as many epochs as make so many steps, up to a limit.
STEPS = {"coarse": 1500, "refine": 4000, "again": 6000}
MOST_EPOCHS = 300
MORE_TRIALS = 2  # times as many with a budget: as far as the time goes
# Shares of the time: at which the checks of step 2 end, the coarse search, and all searches.
CHECKED, COARSE, SEARCHED = 0.1, 0.35, 0.65
LEAST_SECONDS = 0.2  # of the first network, whatever the budget


class Budget:
    """The time that is left; infinite without a budget."""

    def __init__(self, seconds: float | None, state: State) -> None:
        self.total, self.state = seconds, state

    @property
    def left(self) -> float:
        return math.inf if self.total is None else self.total - self.state.seconds

    def until(self, share: float) -> float:
        """When that share of the budget will be spent, by the guide's clock."""
        if self.total is None:
            return math.inf
        return self.state.clock() + share * self.total - self.state.seconds

    def within(self, share: float) -> bool:
        """Whether less than that share has been spent."""
        return self.state.clock() < self.until(share)


def epochs(search: str, steps: int, factor: float = 1.0) -> int:
    """Epochs of a search, at most, where an epoch has so many steps."""
    wanted = max(EPOCHS[search], -(-STEPS[search] // steps))
    return max(min(round(factor * wanted), MOST_EPOCHS), 1)
