"""The driver of a search: submits trials and logs their results."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from warnings import catch_warnings

import numpy as np

from fanin import _validate
from fanin._json import plain
from fanin._runtime import get_num_threads
from fanin._typing import PathLike
from fanin.executors import InMemory, Pool, Threads, as_executor, failure_reason
from fanin.network import MLP
from fanin.training import DivergenceWarning
from fanin.tuning.search.config import SearchConfig
from fanin.tuning.search.log import Key, TrialLog, from_line, to_line
from fanin.tuning.search.objective import (
    Job,
    TrainingObjective,
    TrialCheckpoint,
    TrialResult,
    run_batch,
)
from fanin.tuning.search.progress import Progress
from fanin.tuning.search.result import SearchResult, trial_line
from fanin.tuning.search.strategies import GENERATION, halving_rungs
from fanin.tuning.search.trial import Trial
from fanin.tuning.space import names_of

WINDOW = 1024  # jobs among which those are found that can share a batch
KEPT_NETWORKS = 10  # of the best trials; others are trained again on access


class SearchRunner:
    """A search on its way through an executor; `callbacks` hear of each finished trial."""

    config: SearchConfig
    executor: Executor | None
    callbacks: Sequence[Callable[[Trial], object]]
    progress: bool
    verbose: bool
    larger: bool
    finished: int
    log: TrialLog
    logged: dict[Key, dict[str, Any]]
    bar: Progress | None

    def __init__(
        self,
        config: SearchConfig,
        executor: Any,
        n_threads: int | None,
        callbacks: Sequence[Callable[[Trial], object]],
        progress: bool,
        verbose: bool,
    ) -> None:
        self.config, self.executor = config, as_executor(executor)
        self.cores: int = _validate.threads(n_threads) or get_num_threads()
        self.callbacks, self.progress, self.verbose = callbacks, progress, verbose
        self.rungs: list[tuple[int, int]] = [(config.n_trials, config.epochs)]
        if config.prune == "halving":
            self.rungs = halving_rungs(config.n_trials, config.epochs)
        self.total: int = sum(n for n, _ in self.rungs)
        self.params: list[dict[str, Any]] = []
        self.results: dict[Key, TrialResult] = {}
        self.networks: dict[int, tuple[float, MLP]] = {}
        self.checkpoints: dict[int, TrialCheckpoint] = {}
        self.finished, self.larger = 0, config.monitor.larger_is_better

    def run(self, log: PathLike | None, resume: bool) -> SearchResult:
        """All trials that the log does not know, or those before Ctrl-C."""
        config, complete = self.config, False
        self.log = TrialLog(log, {} if log is None else config.header())
        self.logged = self.log.open(resume)
        self.bar = None
        try:
            if self.progress:
                self.bar = Progress(self.total, names_of(config.space), config.monitor.name)
            with self.pool() as pool:
                if config.prune == "halving":
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
                workers = min(self.cores, self.config.n_trials)
                executor = stack.enter_context(Threads(workers))
            # Reported by the result.
            stack.enter_context(catch_warnings(action="ignore", category=DivergenceWarning))
            pool = Pool(executor, self.config.arrays, "trials", self.cores)
            yield stack.enter_context(pool)

    def generations(self, pool: Pool) -> None:
        """Trials that depend only on earlier generations, one generation after the other."""
        config = self.config
        size = config.strategy.generation or (GENERATION if config.prune else config.n_trials)
        for first in range(0, config.n_trials, size):
            last = min(first + size, config.n_trials)
            limits = self.medians(first) if config.prune else ()
            trials = map(self.draw, range(first, last))  # as the workers ask for them
            self.run_jobs(pool, 0, (self.job(trial, config.epochs, limits) for trial in trials))
            if config.strategy.generation is not None:
                for done in (self.trial(0, trial) for trial in range(first, last)):
                    config.strategy.tell(done.number, done.merit if done.ended_well else math.nan)

    def halve(self, pool: Pool) -> None:
        """All trials for few epochs, the best of them for more."""
        survivors: Sequence[int] = range(self.config.n_trials)
        for rung, (count, epochs) in enumerate(self.rungs):
            if rung:
                done = [self.trial(rung - 1, i) for i in survivors]
                good = sorted((t for t in done if t.status == "done"), key=lambda t: -t.merit)
                survivors = sorted(t.number for t in good[:count])
            self.checkpoints = {i: s for i, s in self.checkpoints.items() if i in survivors}
            trials = survivors if rung else map(self.draw, survivors)
            self.run_jobs(pool, rung, (self.job(trial, epochs) for trial in trials))

    def draw(self, trial: int) -> int:
        """Draws the trial's parameters, which the log must have too."""
        params = self.config.params(trial)
        self.params.append(params)
        for rung in range(len(self.rungs)):
            line = self.logged.get((rung, trial))
            if line is not None and plain(line["params"]) != plain(params):
                raise ValueError(
                    f"log: expected {params!r} in trial {trial} of {self.log.path}, "
                    f"got {line['params']!r}"
                )
        return trial

    def job(self, trial: int, epochs: int, limits: Sequence[float] = ()) -> Job:
        params = self.params[trial]
        epochs, total = (params.get("epochs", n) for n in (epochs, self.config.epochs))
        return Job(trial, params, epochs, total, limits, self.checkpoints.get(trial))

    def medians(self, n: int) -> list[float]:
        """Of the score at each epoch, over the first n trials that came that far."""
        monitor = self.config.monitor
        curves = [self.results[0, i].curves.get(monitor.name, ()) for i in range(n)]
        scores = itertools.zip_longest(*curves)
        return [_median([s for s in epoch if s is not None], monitor.worst) for epoch in scores]

    def run_jobs(self, pool: Pool, rung: int, jobs: Iterable[Job]) -> None:
        """Those that the log does not have; the others' results are taken from it."""
        running: dict[int, Sequence[Job]] = {}

        def tasks() -> Iterator[tuple[int, Sequence[Job]]]:
            for batch in self.batches(pool, self.not_logged(rung, jobs)):
                running[batch[0].trial] = batch
                yield batch[0].trial, batch

        run = partial(run_batch, self.config.objective)
        for outcomes in pool.outcomes(run, tasks()):
            for number, outcome in outcomes:
                batch = running.pop(number)
                if isinstance(outcome, Exception):
                    error = failure_reason(outcome)
                    outcome = [TrialResult(job.trial, "failed", error=error) for job in batch]
                for result in outcome:
                    self.record(rung, result)
            self.log.tick()

    def not_logged(self, rung: int, jobs: Iterable[Job]) -> Iterator[Job]:
        for job in jobs:
            if (line := self.logged.get((rung, job.trial))) is not None:
                self.count((rung, job.trial), from_line(line))
            else:
                yield job

    def count(self, key: Key, result: TrialResult, verbose: bool = False) -> Trial:
        """Records a trial's result, and shows it."""
        self.results[key] = replace(result, network=None, checkpoint=None)
        self.finished += 1
        trial = self.trial_of(result)
        if verbose:
            line = trial_line(trial, self.config.monitor.name, self.finished, self.total)
            print(line, flush=True)
        if self.bar is not None:
            self.bar.update(trial)
        return trial

    def batches(self, pool: Pool, jobs: Iterator[Job]) -> Iterator[Sequence[Job]]:
        """Batches of jobs for one worker, which can share matrix products."""
        objective = self.config.objective
        if not isinstance(objective, TrainingObjective) or pool.n_threads > 1:
            yield from ([job] for job in jobs)
            return
        while some := list(itertools.islice(jobs, WINDOW)):
            yield from self.batches_of(pool, objective, some)

    def batches_of(
        self, pool: Pool, objective: TrainingObjective, jobs: Sequence[Job]
    ) -> Iterable[Sequence[Job]]:
        alike: dict[str, list[Job]] = {}
        for job in jobs:
            alike.setdefault(objective.batch_key(job) or f"alone: {job.trial}", []).append(job)
        features, workers = math.prod(self.config.arrays["X"].shape[1:]), pool.workers or 1
        parts: list[Sequence[Job]] = []
        for group in alike.values():  # in parts of one size, as many for each worker
            rounds = math.ceil(len(group) / (objective.max_batch(group[0], features) * workers))
            size = math.ceil(len(group) / (rounds * workers))
            parts += (group[i : i + size] for i in range(0, len(group), size))
        return parts

    def record(self, rung: int, result: TrialResult) -> None:
        key = rung, result.trial
        self.log.append(key, to_line(result, rung, self.params[result.trial]))
        self.keep(result)
        trial = self.count(key, result, self.verbose)
        stops = [callback(trial) for callback in self.callbacks]
        if any(stops):
            raise KeyboardInterrupt

    def keep(self, result: TrialResult) -> None:
        """The networks of the best trials so far, and what the next rung begins from."""
        if result.checkpoint is not None:
            self.checkpoints[result.trial] = result.checkpoint
        if result.network is not None and result.status in ("done", "pruned"):
            self.networks[result.trial] = self.trial_of(result).merit, result.network
            if len(self.networks) > KEPT_NETWORKS:
                del self.networks[min(self.networks, key=lambda i: self.networks[i][0])]

    def trial(self, rung: int, number: int) -> Trial:
        return self.trial_of(self.results[rung, number])

    def trial_of(self, result: TrialResult) -> Trial:
        number, error, metrics = result.trial, result.error, dict(result.metrics)
        curves = {name: list(values) for name, values in result.curves.items()}
        outcome = result.status, result.score, result.epoch, curves, metrics, error
        _, network = self.networks.get(number, (0, None))
        train = self.train_again if isinstance(self.config.objective, TrainingObjective) else None
        return Trial(number, self.params[number], *outcome, self.larger, network, train)

    def train_again(self, trial: Trial) -> MLP | None:
        """The trial's network, to the same bits, as far as it came."""
        total = trial.params.get("epochs", self.config.epochs)
        job = Job(trial.number, trial.params, len(trial.curves["loss"]), total)
        with catch_warnings(action="ignore", category=DivergenceWarning):
            objective = self.config.objective
            return objective(InMemory(self.config.arrays).open(), [job], self.cores)[0].network

    def result(self, interrupted: bool) -> SearchResult:
        config = self.config
        trials = []
        for number in range(len(self.params)):
            if rungs := [r for r in range(len(self.rungs)) if (r, number) in self.results]:
                trial = self.trial(rungs[-1], number)
                if trial.status == "done" and rungs[-1] < len(self.rungs) - 1:
                    trial.status = "pruned"
                trials.append(trial)
        n_val = len(config.arrays["validation_y"]) if config.arrays else None
        how = config.monitor.name, self.larger, config.strategy_name, n_val
        return SearchResult(dict(config.space), trials, *how, interrupted, list(config.notes))


def _median(scores: Sequence[float], worst: float) -> float:
    """Of scores among which NaN is the worst."""
    known = [worst if math.isnan(score) else score for score in scores]
    middle = sorted(known)[(len(known) - 1) // 2 : len(known) // 2 + 1]
    return float(np.mean(middle))
