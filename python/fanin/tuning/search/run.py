"""The driver of a search: it hands out trials, writes down what came of them, and goes on."""

from __future__ import annotations

import itertools
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fanin import _validate
from fanin._runtime import get_num_threads
from fanin.executors import InMemory, Pool, failure_reason
from fanin.network import MLP
from fanin.training import DivergenceWarning
from fanin.tuning.search import objective
from fanin.tuning.search.objective import Group, Job, Report, State, Training
from fanin.tuning.search.plan import Plan
from fanin.tuning.search.progress import Progress
from fanin.tuning.search.result import SearchResult, line_printer
from fanin.tuning.search.strategies import GENERATION, halving_rungs, same
from fanin.tuning.search.trials import Key, Trial, TrialLog, line_of, report_of

KEPT_NETWORKS = 10  # of the best trials; others are trained again when they are asked for


@dataclass
class Watchers:
    """Who wants to know of a trial that has finished."""

    callbacks: Sequence[Callable[[Trial], object]]
    progress: bool
    verbose: bool


class Run:
    """A plan on its way through an executor."""

    def __init__(self, plan: Plan, executor: Executor | None, n_threads: int | None) -> None:
        self.plan, self.executor = plan, executor
        _validate.threads(n_threads)
        self.cores = get_num_threads() if n_threads is None else n_threads
        self.rungs = [(plan.n_trials, plan.epochs)]
        if plan.prune == "halving":
            self.rungs = list(halving_rungs(plan.n_trials, plan.epochs))
        self.params: list[dict[str, Any]] = []
        self.reports: dict[Key, Report] = {}
        self.logged: dict[Key, dict[str, Any]] = {}
        self.networks: dict[int, tuple[float, MLP]] = {}
        self.states: dict[int, State] = {}
        self.finished = 0

    def search(
        self, log: str | os.PathLike[str] | None, resume: bool, watchers: Watchers
    ) -> SearchResult:
        """All trials that the log does not know, or those before Ctrl-C."""
        plan, complete = self.plan, False
        self.log, self.watchers = TrialLog(log, plan.header()), watchers
        self.line = line_printer(plan.monitor)
        self.logged = self.log.open(resume)
        total = sum(n for n, _ in self.rungs)
        self.bar = (
            Progress(total, list(plan.space), plan.monitor.name) if watchers.progress else None
        )
        try:
            with self.pool() as pool:
                if plan.prune == "halving":
                    self.halve(pool)
                else:
                    self.generations(pool)
            complete = True
        except KeyboardInterrupt:
            pass
        finally:
            if self.bar is not None:
                self.bar.close()
            self.log.close(complete)
        return self.result(interrupted=not complete)

    @contextmanager
    def pool(self) -> Iterator[Pool]:
        with ExitStack() as stack:
            executor = self.executor
            if executor is None:
                workers = min(self.cores, self.plan.n_trials)
                executor = stack.enter_context(ThreadPoolExecutor(workers))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", DivergenceWarning)  # the result tells of them
            pool = Pool(executor, self.plan.arrays, "trials", self.cores)
            yield stack.enter_context(pool)

    # Which trials

    def generations(self, pool: Pool) -> None:
        """Trials that know only of those of earlier generations, one generation after the other."""
        plan = self.plan
        size = plan.strategy.generation or (GENERATION if plan.prune else plan.n_trials)
        for first in range(0, plan.n_trials, size):
            last = min(first + size, plan.n_trials)
            limits = self.medians(first) if plan.prune else ()
            for trial in range(first, last):
                self.draw(trial)
            self.run_jobs(pool, 0, [self.job(i, plan.epochs, limits) for i in range(first, last)])
            for trial in range(first, last):
                plan.strategy.tell(trial, self.trial(0, trial).merit)

    def halve(self, pool: Pool) -> None:
        """All trials for few epochs, the best of them for more."""
        plan = self.plan
        for trial in range(plan.n_trials):
            self.draw(trial)
        survivors = list(range(plan.n_trials))
        for rung, (count, epochs) in enumerate(self.rungs):
            done = [self.trial(rung - 1, i) for i in survivors] if rung else []
            if rung:
                good = sorted((t for t in done if t.status == "done"), key=lambda t: -t.merit)
                survivors = sorted(t.number for t in good[:count])
            self.states = {i: s for i, s in self.states.items() if i in survivors}
            self.run_jobs(pool, rung, [self.job(i, epochs) for i in survivors])

    def draw(self, trial: int) -> None:
        """The trial's parameters, which the log must have too."""
        params = self.plan.params(trial)
        self.params.append(params)
        for (_, number), line in self.logged_of(trial):
            if not same(line["params"], params):
                raise ValueError(
                    f"log: expected {params!r} in trial {number} of {self.log.path}, "
                    f"got {line['params']!r}"
                )

    def logged_of(self, trial: int) -> Iterable[tuple[Key, dict[str, Any]]]:
        keys = ((rung, trial) for rung in range(len(self.rungs)))
        return ((key, self.logged[key]) for key in keys if key in self.logged)

    def job(self, trial: int, epochs: int, limits: Sequence[float] = ()) -> Job:
        params = self.params[trial]
        epochs = params.get("epochs", epochs)
        total = params.get("epochs", self.plan.epochs)
        return Job(trial, params, epochs, total, limits, self.states.get(trial))

    def medians(self, n: int) -> list[float]:
        """Of the score at each epoch, over the first n trials that came that far."""
        curves = [self.reports[0, i].curves.get(self.plan.monitor.name, ()) for i in range(n)]
        longest = max(map(len, curves), default=0)
        return [
            float(np.median([c[epoch] for c in curves if len(c) > epoch]))
            for epoch in range(longest)
        ]

    # Running them

    def run_jobs(self, pool: Pool, rung: int, jobs: Sequence[Job]) -> None:
        """Those that the log does not have; the others' reports are taken from it."""
        for job in jobs:
            if (line := self.logged.get((rung, job.trial))) is not None:
                self.reports[rung, job.trial] = report = report_of(line)
                self.finished += 1
                if self.bar is not None:
                    self.bar.update(self.trial_of(report))
        waiting = [job for job in jobs if (rung, job.trial) not in self.reports]
        groups = {
            jobs[0].trial: Group(self.plan.objective, jobs) for jobs in self.groups(pool, waiting)
        }
        for outcomes in pool.outcomes(objective.run, groups.items()):
            for number, outcome in outcomes:
                if isinstance(outcome, Exception):
                    reason = failure_reason(outcome)
                    outcome = [objective.failed(j.trial, reason) for j in groups[number].jobs]
                for report in outcome:
                    self.record(rung, report)
            self.log.tick()

    def groups(self, pool: Pool, jobs: Sequence[Job]) -> Iterable[Sequence[Job]]:
        """Jobs that go to one worker together, since they can share products of matrices."""
        objective = self.plan.objective
        if not isinstance(objective, Training) or pool.n_threads > 1:
            return ([job] for job in jobs)
        alike: dict[str, list[Job]] = {}
        for job in jobs:
            alike.setdefault(objective.shared(job) or f"alone: {job.trial}", []).append(job)
        return itertools.chain.from_iterable(
            self.even_parts(pool, jobs, objective) for jobs in alike.values()
        )

    def even_parts(
        self, pool: Pool, jobs: Sequence[Job], objective: Training
    ) -> Iterator[Sequence[Job]]:
        """Parts of one size, as many for each worker."""
        most = objective.most_together(jobs[0], math.prod(self.plan.arrays["X"].shape[1:]))
        workers = pool.workers or 1
        rounds = math.ceil(len(jobs) / (most * workers))
        size = math.ceil(len(jobs) / (rounds * workers))
        return (jobs[i : i + size] for i in range(0, len(jobs), size))

    def record(self, rung: int, report: Report) -> None:
        key = rung, report.trial
        self.log.append(key, line_of(report, rung, self.params[report.trial]))
        self.keep(report)
        self.reports[key] = replace(report, network=None, state=None)
        self.finished += 1
        trial = self.trial_of(report)
        if self.watchers.verbose:
            print(self.line(trial, self.finished, sum(n for n, _ in self.rungs)), flush=True)
        if self.bar is not None:
            self.bar.update(trial)
        heard = [callback(trial) for callback in self.watchers.callbacks]
        if any(heard):
            raise KeyboardInterrupt

    def keep(self, report: Report) -> None:
        """The networks of the best trials so far, and the states that the next rung begins from."""
        if report.state is not None:
            self.states[report.trial] = report.state
        if report.network is not None and report.status in ("done", "pruned"):
            self.networks[report.trial] = self.trial_of(report).merit, report.network
            if len(self.networks) > KEPT_NETWORKS:
                del self.networks[min(self.networks, key=lambda i: self.networks[i][0])]

    # What came of it

    def trial(self, rung: int, number: int) -> Trial:
        return self.trial_of(self.reports[rung, number])

    def trial_of(self, report: Report) -> Trial:
        trains = isinstance(self.plan.objective, Training)
        kept = self.networks.get(report.trial)
        return Trial(
            report.trial,
            self.params[report.trial],
            report.status,
            report.score,
            report.epoch,
            {name: list(values) for name, values in report.curves.items()},
            dict(report.metrics),
            report.error,
            self.plan.monitor.larger_is_better,
            None if kept is None else kept[1],
            self.train_again if trains else None,
        )

    def train_again(self, trial: Trial) -> MLP | None:
        """The trial's network, to the same bits, as far as it came."""
        total = trial.params.get("epochs", self.plan.epochs)
        job = Job(trial.number, trial.params, len(trial.curves["loss"]), total)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DivergenceWarning)
            objective = self.plan.objective
            return objective(InMemory(self.plan.arrays).open(), job, self.cores).network

    def result(self, interrupted: bool) -> SearchResult:
        plan = self.plan
        trials = []
        for number in range(len(self.params)):
            rungs = [r for r in range(len(self.rungs)) if (r, number) in self.reports]
            if rungs:
                trial = self.trial(rungs[-1], number)
                if trial.status == "done" and rungs[-1] < len(self.rungs) - 1:
                    trial.status = "pruned"
                trials.append(trial)
        validation = plan.arrays.get("validation_y")
        return SearchResult(
            dict(plan.space),
            trials,
            plan.monitor.name,
            plan.monitor.larger_is_better,
            plan.strategy_name,
            None if validation is None else len(validation),
            interrupted,
            list(plan.notes),
        )
