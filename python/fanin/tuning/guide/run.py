"""One call of `guide`: what its steps share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fanin._typing import Floats
from fanin.callbacks.history import History
from fanin.ensemble import Ensemble
from fanin.network import MLP
from fanin.tuning.guide.budget import Budget
from fanin.tuning.guide.cross_validation import CrossValidation
from fanin.tuning.guide.facts import Facts
from fanin.tuning.guide.judging import Gain, compare, held_rows, optimism
from fanin.tuning.guide.problem import Problem
from fanin.tuning.guide.report import Step
from fanin.tuning.guide.state import State
from fanin.tuning.guide.trials import Trial

LAST = 8  # the number of what follows the seven steps


@dataclass
class GuideRun:
    """The arguments, and the results so far."""

    problem: Problem
    start: MLP  # the network to begin with
    settings: Facts  # hyperparameters that the next step begins from
    given: Mapping[str, Any]  # those that the user gave
    rates: Sequence[float]  # what step 3 tries first
    state: State  # the facts of the steps that have been taken
    budget: Budget
    cv: CrossValidation
    rounds: int  # how far to go
    until: int
    refits: bool
    seed: int
    n_threads: int | None
    progress: bool
    callbacks: Sequence[Callable[[Step], object]]
    # Of the last step: networks of the best settings trained on all rows, and what joins them with
    # the folds' networks.
    refitted: list[MLP] = field(default_factory=list)
    ensemble: Ensemble | None = None
    kept: MLP | None = None  # the network to use, of an earlier process
    _known: dict[tuple[int, int], tuple[Floats, float]] = field(default_factory=dict)

    def facts(self, number: int, round: int = 0) -> Facts:
        """Of a step that has been taken."""
        facts = self.state.find(number, round)
        assert facts is not None
        return facts

    def plan(self, name: str, make: Callable[[], Any]) -> Any:
        """A decision that depends on the clock, with this budget."""
        total = self.budget.total
        return self.state.plan(name if total is None else f"{name}, of {total:g} s", make)

    def ranked(self, trials: Sequence[Trial] | None = None) -> list[Trial]:
        """Trials with a network on each of their folds, the best first.

        Those that were trained on fewer folds than others come last: they were cut short.
        """
        usable = [t for t in (self.cv.trials if trials is None else trials) if t.usable]
        return sorted(usable, key=lambda t: (-len(self._judges(t)), self.loss(t), t.number))

    def _judges(self, trial: Trial) -> list[int]:
        return [fold for fold in self.problem.search_folds if fold in trial.runs]

    def best(self, trials: Sequence[Trial] | None = None) -> Trial | None:
        return next(iter(self.ranked(trials)), None)

    def rows(self, trial: Trial) -> Floats:
        """Losses of the rows of the folds that settings are compared on."""
        return self._judged(trial)[0]

    def loss(self, trial: Trial) -> float:
        """Their mean, with what the choice of the epochs hides of it."""
        return self._judged(trial)[1]

    def _judged(self, trial: Trial) -> tuple[Floats, float]:
        judges = self._judges(trial)
        key = trial.number, len(judges)
        if key not in self._known:
            rows = held_rows(self.problem, trial, judges)
            self._known[key] = rows, float(np.nanmean(rows)) + optimism(trial, judges)
        return self._known[key]

    def gain(self, before: Trial, now: Trial) -> Gain:
        """Of one trial over another, over the same rows."""
        found = compare(self.problem, self.rows(before), self.rows(now))
        both = [fold for fold in self._judges(before) if fold in now.runs]
        hidden = optimism(before, both) - optimism(now, both)
        return Gain(found.mean + hidden, found.error)

    def best_network(self) -> MLP | None:
        """The network to use."""
        if self.refitted:
            return self.refitted[0]
        best = self.best()
        return self.kept if best is None else best.networks[0]

    def best_history(self) -> History | None:
        """Of the best settings the mean over the folds."""
        if (best := self.best()) is not None:
            return best.history(self.problem.search_folds)
        taken = [facts for facts in self.state.steps if facts["number"] == 5]
        told = [facts["history"] for facts in taken if "history" in facts]
        return History.from_dict(told[-1]) if told else None

    def best_ensemble(self) -> Ensemble | None:
        """That of the last step; before it, of the best settings' networks."""
        best = self.best()
        if self.ensemble is not None or best is None:
            return self.ensemble
        return Ensemble(best.networks)
