"""The guide at work: the seven steps in order, each kept as soon as it is taken."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from fanin import optim
from fanin.callbacks.history import History
from fanin.diagnostics.findings import Finding
from fanin.network import MLP
from fanin.training import DivergenceWarning
from fanin.tuning.curves.verdicts import loss_curve
from fanin.tuning.guide import checks
from fanin.tuning.guide import settings as rules
from fanin.tuning.guide.advice import advise
from fanin.tuning.guide.budget import Budget
from fanin.tuning.guide.problem import Problem
from fanin.tuning.guide.refinement import SLACK, Facts, Searching, TimeIsOverError, edge_from_dict
from fanin.tuning.guide.state import State
from fanin.tuning.lr_finder import RateProbe, lr_probe

PROBE_REG = 1e-4  # "use small weight decay"
MORE_DECADES = 2  # beyond the given rates, where the best is the last of them
MOST_PARAMS = 50  # for each training row, of networks that a verdict asks for
LAST = 8  # the number of what follows the seven steps


class Guide(Searching):
    """One call of `guide`, its arguments checked."""

    def __init__(
        self,
        problem: Problem,
        start: MLP,
        settings: Facts,
        given: Mapping[str, Any],
        rates: Sequence[float],
        state: State,
        budget: Budget,
        *,
        rounds: int,
        until: int,
        refits: bool,
        seed: int,
        executor: Any,
        n_threads: int | None,
        progress: bool,
        callbacks: Sequence[Callable[[Facts], object]],
    ) -> None:
        self.problem, self.start, self.settings, self.given = problem, start, settings, given
        self.rates, self.state, self.budget = rates, state, budget
        self.rounds, self.until, self.refits, self.seed = rounds, until, refits, seed
        self.executor, self.n_threads = executor, n_threads
        self.progress, self.callbacks = progress, callbacks
        self.network: MLP | None = None
        self.history: History | None = None
        self.again: MLP | None = None  # the best settings, on all rows
        self.networks: dict[int, tuple[MLP, History]] = {}
        self.stopped = ""

    # The way

    def run(self) -> None:
        """All steps that are asked for; Ctrl-C ends it with what is done."""
        try:
            self.stopped = self.first_steps() or self.search_steps()
            if self.until >= 7:
                self.step(LAST, 0, self.once_more)
        except KeyboardInterrupt:
            self.stopped = "interrupted"
        self.find_best()

    def first_steps(self) -> str:
        for number, take in ((1, self.look), (2, self.overfit), (3, self.probe)):
            if number > self.until:
                return f"ended after step {self.until}, as asked for"
            self.settings = self.step(number, 0, take)["settings"]
        return ""

    def search_steps(self) -> str:
        """Why it ended."""
        as_asked = f"ended after step {self.until}, as asked for"
        if self.until < 4:
            return as_asked
        facts = self.step(4, 0, self.coarse)
        self.settings = facts["settings"]
        if facts["best"] is None or _has(facts, "unrelated-labels"):
            return "step 4 found nothing to go on with"
        for round in range(1, self.rounds + 1):
            if self.until < 5:
                return as_asked
            try:
                facts = self.step(5, round, partial(self.refine, round))
            except TimeIsOverError:
                return "the time budget is spent"
            if facts["best"] is None:
                return f"no trial of round {round} ended well"
            if self.until < 6:
                return as_asked
            self.step(6, round, partial(self.judge, round))
            if self.until < 7:
                return as_asked
            facts = self.step(7, round, partial(self.decide, round))
            if facts["end"]:
                return str(facts["end"])
        return f"ended after round {self.rounds}, as asked for"

    def step(self, number: int, round: int, take: Callable[[], Facts]) -> Facts:
        """The facts of a step: an earlier process's, or those of now."""
        facts = self.state.find(number, round)
        if facts is None:
            began = self.state.clock()
            facts = {"number": number, "round": round, "findings": [], "settings": self.settings}
            facts |= take()
            facts |= {"seconds": self.state.clock() - began, "speed": self.budget.speed}
            if number != LAST:
                self.state.drop(LAST)  # an earlier guide ended where this one goes on
            facts = self.state.add(facts)
        self.budget.speed = facts["speed"]
        for callback in self.callbacks:
            callback(facts)
        return facts

    # Steps 1 to 3

    def look(self) -> Facts:
        return checks.first_look(self.start, self.problem, self.n_threads)

    def overfit(self) -> Facts:
        facts, settings = checks.overfit(
            self.start, self.problem, self.settings, self.given, self.seed, self.n_threads
        )
        return facts | {"settings": settings}

    def probe(self) -> Facts:
        """Rates over all the data, on to larger or smaller ones where the last is the best."""
        problem = self.problem
        net = rules.build(self.settings, problem, self.seed)
        began, tried, probe = self.state.clock(), 0, None
        rates = list(self.rates)
        for _ in range(1 + MORE_DECADES):
            more = lr_probe(
                net,
                problem.X,
                problem.y,
                rates=rates,
                optimizer=self.settings["optimizer"],
                batch_size=problem.batch_size,
                reg=PROBE_REG,
                preprocess=problem.preprocess,
                n_threads=1,
            )
            tried += sum(len(trial.losses) for trial in more.trials)
            probe = more if probe is None else _joined(probe, more)
            rates = _beyond(probe)
            if not rates:
                break
        assert probe is not None
        work = net.n_params * problem.batch_size * tried
        self.budget.learn(self.state.clock() - began, work)
        findings = []
        settings = dict(self.settings)
        if probe.best is None:
            findings.append(self._no_rate(probe).to_dict())
            settings["lr"] = optim.get(settings["optimizer"]).lr
        else:
            settings["lr"] = probe.suggestion
        return {
            "probe": probe.to_dict(),
            "reg": PROBE_REG,
            "suggestion": settings["lr"],
            "settings": settings,
            "findings": findings,
        }

    def _no_rate(self, probe: RateProbe) -> Finding:
        second = self.state.find(2, 0)
        learns = bool(second and second["reached"])
        if learns and {t.verdict for t in probe.trials} <= {"flat", "rising", "diverged"}:
            return Finding(
                "unrelated-labels",
                f"{second['rows'] if second else 0} rows can be learnt by heart, but over all rows "
                f"{probe.reason}",
                "look whether the labels belong to these rows: were they shuffled?",
            )
        return Finding("no-learning-rate", probe.reason, "go back to steps 1 and 2")

    # Steps 6 and 7

    def judge(self, round: int) -> Facts:
        """The verdict on the best run's curves."""
        facts = self.state.find(5, round)
        assert facts is not None
        history = History.from_dict(facts["history"])
        verdict = loss_curve(history, n_val=len(self.problem.y_val))
        return {
            "findings": verdict.to_dict(),
            "settings": facts["settings"],
            "history": facts["history"],
        }

    def decide(self, round: int) -> Facts:
        """What the round gained, and what the next one tries."""
        found, verdict = self.state.find(5, round), self.state.find(6, round)
        assert found is not None
        assert verdict is not None
        before = self.state.find(7, round - 1)
        score = float(found["best"]["score"])
        best_before, best_round = self._before(before)
        gain = score - best_before
        noise = self._noise(round, best_round, score)
        settings = found["settings"] if gain >= 0 or best_round == 0 else self._settings(best_round)
        facts: Facts = {
            "score": score,
            "gain": gain,
            "noise": noise,
            "best_round": round if gain >= 0 or best_round == 0 else best_round,
            "best_score": max(score, best_before) if best_round else score,
            "settings": settings,
            "end": "",
        }
        if round > 1 and gain <= noise:
            return facts | {"end": f"round {round} gained no more than its noise"}
        names = [finding["name"] for finding in verdict["findings"]]
        edges = [edge_from_dict(edge) for edge in found["edges"]]
        advice = advise(names, settings, edges, self._fits)
        return facts | {
            "next_space": rules.space_to_dict(advice.space(settings)),
            "starts": advice.starts(settings),
            "fixed": advice.fixed,
            "epochs_factor": advice.epochs,
            "reasons": advice.reasons,
        }

    def _fits(self, hidden: list[int]) -> bool:
        size = rules.n_params({"hidden": hidden}, self.problem)
        return size <= MOST_PARAMS * len(self.problem.X)

    def _before(self, facts: Facts | None) -> tuple[float, int]:
        """The best score of the rounds before, or of step 4; and its round, 0 for none."""
        if facts is not None:
            return float(facts["best_score"]), int(facts["best_round"])
        coarse = self.state.find(4, 0)
        assert coarse is not None
        return float(coarse["best"]["score"]), 0

    def _settings(self, round: int) -> Facts:
        facts = self.state.find(5, round)
        assert facts is not None
        return dict(facts["settings"])

    def _noise(self, round: int, best_round: int, score: float) -> float:
        """The standard error of the gain: over the rows on which just one of the two is right."""
        problem = self.problem
        old, new = self.network_of(best_round), self.network_of(round)
        if old is None or new is None:
            return math.sqrt(2) * problem.noise(score)
        right = [
            net[0].predict(problem.X_val, n_threads=self.n_threads) == problem.y_val
            for net in (old, new)
        ]
        return math.sqrt(max(int((right[0] != right[1]).sum()), 1)) / len(problem.y_val)

    # The end

    def network_of(self, round: int) -> tuple[MLP, History] | None:
        """The best network of a round: of this process, or kept by an earlier one."""
        if round not in self.networks:
            facts, net = self.state.find(5, round), self.state.kept(f"round-{round}.fanin")
            if facts is None or net is None:
                return None
            net.history = History.from_dict(facts["history"])
            self.networks[round] = net, net.history
        return self.networks[round]

    def best_round(self) -> int:
        """The round with the best score, of equals the last; 0 where none has ended."""
        best = self.best_search()
        return 0 if best is None else int(best["round"])

    def once_more(self) -> Facts:
        """The best settings on all rows, those held out for validation among them."""
        round = self.best_round()
        facts = self.state.find(5, round)
        if facts is None:
            return {"refit": False, "why": "there is no best network yet"}
        settings, best = facts["settings"], facts["best"]
        self.settings = settings
        if not self.refits:
            return {"refit": False, "why": "the validation rows are not ours to train on"}
        if self.budget.left < self.last_run_seconds() / SLACK:
            return {"refit": False, "why": "the time is over"}
        epochs = facts["epochs"] if settings.get("schedule") else int(best["epoch"]) + 1
        net = rules.build(settings, self.problem, self.seed)
        X, y = self.problem.all_rows()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DivergenceWarning)
            history = net.fit(
                X,
                y,
                epochs=epochs,
                optimizer=optim.get(settings["optimizer"], settings["lr"]),
                preprocess=self.problem.preprocess,
                progress=self.progress,
                n_threads=self.n_threads,
                **{k: settings[k] for k in ("batch_size", "reg", "schedule") if k in settings},
            )
        reached, usual = (
            history.history.get("loss", [math.inf]),
            facts["history"]["history"]["loss"],
        )
        if history.stop_reason == "diverged" or reached[-1] > 1.5 * float(usual[epochs - 1]) + 0.01:
            return {"refit": False, "why": "it did not train as the run before"}
        self.state.keep("network.fanin", net)
        self.again = net
        return {"refit": True, "epochs": epochs, "rows": len(X), "loss": reached[-1]}

    def find_best(self) -> None:
        """The network and the history that the report returns."""
        round = self.best_round()
        if round and (found := self.network_of(round)):
            self.network, self.history = found
        last = self.state.find(LAST, 0)
        if last is not None and last["refit"]:
            self.network = self.again or self.state.kept("network.fanin") or self.network


def _has(facts: Facts, name: str) -> bool:
    return any(finding["name"] == name for finding in facts["findings"])


def _joined(first: RateProbe, second: RateProbe) -> RateProbe:
    trials = sorted((*first.trials, *second.trials), key=lambda trial: -trial.rate)
    return RateProbe(tuple(trials), first.iterations)


def _beyond(probe: RateProbe) -> list[float]:
    """A rate ten times beyond, where the best is the first or last, or none is good."""
    rates = [trial.rate for trial in probe.trials]
    verdicts = [trial.verdict for trial in probe.trials]
    if probe.best is None:
        if verdicts[-1] == "diverged":
            return [rates[-1] / 10]
        return [10 * rates[0]] if verdicts[0] == "flat" else []
    if probe.best.rate == rates[-1]:
        return [rates[-1] / 10]
    return [10 * rates[0]] if probe.best.rate == rates[0] else []
