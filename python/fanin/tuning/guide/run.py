"""One call of `guide`: what its steps share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fanin.callbacks.history import History
from fanin.network import MLP
from fanin.tuning.guide.budget import Budget
from fanin.tuning.guide.facts import Facts
from fanin.tuning.guide.problem import Problem
from fanin.tuning.guide.report import Step
from fanin.tuning.guide.settings import count_parameters
from fanin.tuning.guide.state import State

LAST = 8  # the number of what follows the seven steps
SLACK = 1.3  # times the estimate of the last run, kept back for it
SECOND_THREAD = 0.5  # speed-up of a single run per thread beyond the first


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
    rounds: int  # how far to go
    until: int
    refits: bool
    seed: int
    executor: Any
    n_threads: int | None
    progress: bool
    callbacks: Sequence[Callable[[Step], object]]
    # Of this process: the best of each round, and the best settings trained on all rows.
    networks: dict[int, tuple[MLP, History]] = field(default_factory=dict)
    refitted: MLP | None = None

    def facts(self, number: int, round: int = 0) -> Facts:
        """Of a step that has been taken."""
        facts = self.state.find(number, round)
        assert facts is not None
        return facts

    def best_search(self) -> Facts | None:
        """Step 5 of the round with the best score, of equals the last."""
        found = [s for s in self.state.steps if s["number"] == 5 and s["best"] is not None]
        return max(found, key=lambda s: (float(s["best"]["score"]), s["round"]), default=None)

    def network_of(self, round: int) -> tuple[MLP, History] | None:
        """The best network of a round: of this process, or kept by an earlier one."""
        if round not in self.networks:
            facts, net = self.state.find(5, round), self.state.load_network(f"round-{round}.fanin")
            if facts is None or net is None:
                return None
            net.history = History.from_dict(facts["history"])
            self.networks[round] = net, net.history
        return self.networks[round]

    def best_network(self) -> tuple[MLP | None, History | None]:
        """The network to use, and the history of the best run that was validated."""
        best, last = self.best_search(), self.state.find(LAST, 0)
        network, history = (best and self.network_of(best["round"])) or (None, None)
        if last is not None and last["refit"]:
            network = self.refitted or self.state.load_network("network.fanin") or network
        return network, history

    def refit_seconds(self) -> float:
        """What to keep back for a run of the best settings so far on all rows."""
        best = self.best_search()
        if not self.refits or best is None:
            return 0.0
        size = count_parameters(best["settings"], self.problem)
        alone = self.budget.cost((1, best["epochs"]), size * len(self.problem.X))
        return SLACK * alone / (1 + (self.budget.workers - 1) * SECOND_THREAD)
