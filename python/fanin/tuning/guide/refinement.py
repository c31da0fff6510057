"""Steps 4 and 5 of the guide: searches, coarse and fine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fanin.callbacks.history import History
from fanin.diagnostics.findings import Finding
from fanin.network import MLP
from fanin.tuning.guide import settings as rules
from fanin.tuning.guide.budget import (
    AGAIN,
    AGAIN_SHARE,
    COARSE,
    COARSE_SHARE,
    REFINE,
    REFINE_SHARE,
    Budget,
    Deadline,
    Plan,
    stretched,
)
from fanin.tuning.guide.problem import Problem
from fanin.tuning.guide.state import State
from fanin.tuning.search import search
from fanin.tuning.search.edges import Edge
from fanin.tuning.search.result import SearchResult
from fanin.tuning.space import Parameter, choice, loguniform, plain

Facts = dict[str, Any]

COARSE_BELOW, COARSE_ABOVE = 30.0, 3.0  # times the probe's rate
WEIGHT_DECAYS = (1e-4, 1e-5, 0.0)  # the lecture's
CHANCE_SIGMAS = 3.0
LEAST_ROWS = 2000  # of step 4, where the time is not enough for all
FEW_TRIALS = 4
SLACK = 1.3  # times the estimate of the last run, kept back for it
SECOND_THREAD = 0.5  # what every thread but the first brings to a single run


class TimeIsOverError(Exception):
    """Not even the smallest search would end in time."""


class Searching:
    """What `Guide` has of it."""

    problem: Problem
    settings: Facts
    state: State
    budget: Budget
    seed: int
    executor: Any
    n_threads: int | None
    progress: bool
    refits: bool
    networks: dict[int, tuple[MLP, History]]  # of this process, by round

    # Steps 4 and 5

    def coarse(self) -> Facts:
        """A few rates and weight decays, for a few epochs."""
        rate = float(self.settings["lr"])
        space: dict[str, Parameter] = {
            "lr": loguniform(rounded(rate / COARSE_BELOW), rounded(rate * COARSE_ABOVE)),
            "reg": choice(list(WEIGHT_DECAYS)),
        }
        work = float(rules.n_params(self.settings, self.problem)) * len(self.problem.X)
        plans = stretched(COARSE, self.problem.steps)

        def make() -> list[int]:
            seconds = COARSE_SHARE * self.budget.left
            if (plan := self.budget.choose("coarse", plans, seconds, work)) is not None:
                if math.isinf(seconds):  # as it stands in the lecture
                    plan = stretched([plan], self.problem.steps)[0]
                return [*plan, len(self.problem.X)]
            trials, epochs = plans[-1]
            share = seconds / self.budget.cost(plans[-1], work)
            rows = max(int(share * len(self.problem.X)), min(LEAST_ROWS, len(self.problem.X)))
            return [trials, epochs, rows]

        trials, epochs, rows = self.state.plan("step 4", make)
        starts = [{"lr": rate, "reg": WEIGHT_DECAYS[0]}] if rate else []
        facts, result = self.search("step-4", space, (trials, epochs), {}, starts, rows)
        findings = [*self._at_chance(result), *map(_edge, result.edges())]
        if result.best is None:
            return facts | {"findings": [self._nothing(result).to_dict()]}
        return facts | {
            "settings": self.settings | facts["best"]["params"],
            "next_space": rules.space_to_dict(result.refine()),
            "findings": [f.to_dict() for f in findings],
        }

    @staticmethod
    def _nothing(result: SearchResult) -> Finding:
        return Finding("diverged", str(result), "lower the rates, look at the inputs' scale")

    def _at_chance(self, result: SearchResult) -> list[Finding]:
        """Whether no trial is better than guessing.

        Judged by the mean over the later half of the epochs: the best of many epochs of many trials
        is above chance by chance.
        """
        means = [
            float(np.mean(curve[len(curve) // 2 :]))
            for t in result.ranked
            if (curve := t.curves.get("val_accuracy"))
        ]
        chance = self.problem.chance
        noise = self.problem.noise(chance)
        best = max(means, default=1.0)
        if best > chance + CHANCE_SIGMAS * noise:
            return []
        return [
            Finding(
                "unrelated-labels",
                f"the best of {len(result)} networks is right in {best:.1%} of the validation rows "
                f"(the mean of its later epochs); always answering the commonest class is right in "
                f"{chance:.1%} (standard error {noise:.1%})",
                "look whether the labels belong to these rows: were they shuffled?",
            )
        ]

    def refine(self, round: int) -> Facts:
        """The neighbourhood of the best, for longer; from round 2 on as step 7 asked."""
        before = self.state.find(4, 0) if round == 1 else self.state.find(7, round - 1)
        assert before is not None
        self.settings = before["settings"]
        space = rules.space_from_dict(before["next_space"])
        fixed = dict(before.get("fixed", {}))
        plan = self.state.plan(f"round {round}", lambda: self._round_plan(round, before, space))
        if plan is None:
            raise TimeIsOverError
        # What was best before is tried again first, under the new length and schedule.
        best = {k: v for k, v in self.settings.items() if k in space}
        starts = before.get("starts", [best])
        if plan[0] < FEW_TRIALS:  # then what is new comes first
            starts = [*starts[1:], starts[0]]
        starts = starts[: plan[0]]
        name = f"round-{round}"
        facts, result = self.search(name, space, (plan[0], plan[1]), fixed, starts)
        if result.best is None:
            return facts | {"findings": [self._nothing(result).to_dict()]}
        network = result.best.network
        assert network is not None
        self.state.keep(f"{name}.fanin", network)
        history = network.history or History()
        self.networks[round] = network, history
        edges = result.edges()
        return facts | {
            "settings": self.settings | fixed | facts["best"]["params"],
            "history": history.to_dict(),
            "edges": [_edge_to_dict(edge) for edge in edges],
            "findings": [_edge(edge).to_dict() for edge in edges],
        }

    def _round_plan(
        self, round: int, before: Facts, space: Mapping[str, Parameter]
    ) -> list[int] | None:
        work = max(self._sizes(space)) * len(self.problem.X)
        steps, longer = self.problem.steps, before.get("epochs_factor", 1.0)
        kind, plans = ("refine", REFINE) if round == 1 else ("again", AGAIN)
        share = REFINE_SHARE if round == 1 else AGAIN_SHARE
        seconds = min(share * self.budget.left, self.budget.left - self.last_run_seconds())
        plan = self.budget.choose(kind, stretched(plans, steps), seconds, work)
        if plan is None:
            return None
        if math.isinf(seconds):
            plan = stretched([(plan[0], round_up(plan[1] * longer))], steps)[0]
        return list(plan)

    def best_search(self) -> Facts | None:
        """Step 5 of the round with the best score, of equals the last."""
        found = [s for s in self.state.steps if s["number"] == 5 and s["best"] is not None]
        return max(found, key=lambda s: (float(s["best"]["score"]), s["round"]), default=None)

    def last_run_seconds(self) -> float:
        """What to keep back for a run of the best settings so far on all rows."""
        best = self.best_search()
        if not self.refits or best is None:
            return 0.0
        size = rules.n_params(best["settings"], self.problem)
        alone = self.budget.cost((1, best["epochs"]), size * len(self.problem.X))
        return SLACK * alone / (1 + (self.budget.workers - 1) * SECOND_THREAD)

    def _sizes(self, space: Mapping[str, Parameter]) -> list[float]:
        options = getattr(space.get("hidden"), "options", [self.settings["hidden"]])
        return [
            float(rules.n_params(self.settings | {"hidden": hidden}, self.problem))
            for hidden in options
        ]

    def search(
        self,
        name: str,
        space: dict[str, Parameter],
        plan: Plan,
        fixed: Mapping[str, Any],
        starts: list[dict[str, Any]],
        rows: int | None = None,
    ) -> tuple[Facts, SearchResult]:
        """A search and its facts."""
        problem, (trials, epochs) = self.problem, plan
        X, y = problem.X, problem.y
        if rows is not None and rows < len(X):
            X, y = X[:: -(-len(X) // rows)], y[:: -(-len(y) // rows)]
        options = {k: v for k, v in (self.settings | dict(fixed)).items() if k not in space}
        deadline = Deadline(self.budget, self.last_run_seconds())
        log = self.state.path(f"{name}.jsonl")
        began, logged = self.state.clock(), log is not None and log.exists()
        result = search(
            space,
            (np.ascontiguousarray(X), y),
            trials,
            epochs=epochs,
            validation_data=(problem.X_val, problem.y_val),
            start_from=starts,
            executor=self.executor,
            n_threads=self.n_threads,
            log=log,
            seed=self.seed,
            callbacks=[deadline],
            progress=self.progress,
            preprocess=problem.preprocess,
            **options,
        )
        if result.interrupted and not deadline.over:
            raise KeyboardInterrupt
        seconds = self.state.clock() - began
        if not logged and not deadline.over:  # else the seconds are not those of the trials
            sizes = [
                float(rules.n_params(options | t.params, problem)) * len(t.curves["loss"])
                for t in result
                if "loss" in t.curves
            ]
            self.budget.learn(seconds * self.budget.workers, sum(sizes) * len(X))
        best = result.best
        return {
            "n_trials": trials,
            "epochs": epochs,
            "rows": len(X),
            "n_val": result.n_val,
            "space": rules.space_to_dict(space),
            "fixed": plain(dict(fixed)),
            "monitor": result.monitor,
            "strategy": result.strategy,
            "cut_short": deadline.over,
            "trials": [
                {
                    "number": t.number,
                    "params": plain(t.params),
                    "status": t.status,
                    "score": plain(t.score),
                    "epoch": t.epoch,
                }
                for t in result
            ],
            "best": None
            if best is None
            else {"params": plain(best.params), "score": best.score, "epoch": best.epoch},
        }, result


def _edge(edge: Edge) -> Finding:
    advice = f"try {edge.suggestion}" if edge.suggestion else "try values beyond it"
    return Finding("edge", f"{edge.name}: {edge.evidence}", advice)


def _edge_to_dict(edge: Edge) -> dict[str, Any]:
    suggestion = edge.suggestion
    return vars(edge) | {"suggestion": None if suggestion is None else suggestion.to_dict()}


def edge_from_dict(data: Mapping[str, Any]) -> Edge:
    """The edge that step 5 found."""
    suggestion = data["suggestion"]
    parameter = None if suggestion is None else rules.space_from_dict({"": suggestion})[""]
    return Edge(**{**data, "suggestion": parameter})


def rounded(value: float) -> float:
    """Three digits."""
    return float(f"{value:.3g}")


def round_up(epochs: float) -> int:
    """To a number that a person would choose."""
    return max(5 * math.ceil(epochs / 5), 1)
