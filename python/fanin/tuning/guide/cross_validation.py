"""Trains the networks of trials on an executor, until they are done or the time is over."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from typing import Any

from fanin import _validate, checkpoint
from fanin._files import FileError, reading
from fanin._json import json_number, plain
from fanin._typing import Array
from fanin.callbacks.history import History
from fanin.callbacks.progress import open_bar
from fanin.executors import Pool, Threads, as_executor
from fanin.network import MLP
from fanin.random import Generator
from fanin.tuning.guide.facts import Facts
from fanin.tuning.guide.problem import Problem
from fanin.tuning.guide.state import TRIALS, State
from fanin.tuning.guide.trials import FoldRun, FoldTask, Trial, train_fold

KEPT_NETWORKS = 12  # of the best trials
UNUSABLE = "expected a trial of a guide"
GRACE = 0.1  # of the time budget, for what has begun


class CrossValidation:
    """The trials of a guide, in the order of their numbers; with a folder they outlive a process.

    Attributes
    ----------
    trials : list of Trial
    """

    problem: Problem
    seed: int
    state: State
    executor: Executor | None
    progress: bool
    workers: int

    def __init__(
        self,
        problem: Problem,
        state: State,
        seed: int,
        executor: Any,
        workers: int,
        progress: bool,
        total: float = math.inf,
    ) -> None:
        self.problem, self.state, self.seed = problem, state, seed
        self.executor, self.workers, self.progress = as_executor(executor), workers, progress
        self.total: float = 0.0 if math.isinf(total) else total  # seconds of the guide
        self.trials: list[Trial] = []
        self.removed: list[Trial] = []  # of steps that were taken, without their networks

    def run(
        self,
        step: str,
        candidates: Iterable[Facts],
        epochs: int,
        folds: list[int],
        deadline: float = math.inf,
    ) -> list[Trial]:
        """New trials, one after the other, of as many candidates as the deadline allows.

        Those that an earlier process has finished are read. At least one is trained, on one fold.
        """
        first, began = len(self.trials), set[int]()

        def fresh() -> Iterator[Trial]:
            for settings in candidates:
                trial = Trial(len(self.trials), dict(plain(settings)), epochs, list(folds), step)
                if self._read(trial):
                    began.add(trial.number)
                self.trials.append(trial)
                yield trial

        self._train(fresh(), deadline, began)
        found = [trial for trial in self.trials[first:] if trial.runs]
        del self.trials[first + len(found) :]
        return found

    def shuffled(
        self, trials: Sequence[Trial], times: int, deadline: float = math.inf
    ) -> list[list[Trial]]:
        """The same settings on targets that are shuffled so many times, on the trials' folds."""
        found = [
            [
                Trial(-1 - i, t.settings, t.epochs, t.folds, "shuffled", seed)
                for i, t in enumerate(trials, time * len(trials))
            ]
            for time, seed in enumerate(range(self.seed + 1, self.seed + 1 + times))
            if self._leaves_some(seed)
        ]
        self._train([trial for group in found for trial in group], deadline, set())
        return [g for g in found if all(t.usable and len(t.runs) == len(t.folds) for t in g)]

    def _leaves_some(self, seed: int) -> bool:
        """Whether targets that are shuffled so leave different ones to train on in each fold."""
        problem = self.problem
        y = problem.labels[Generator(seed).permutation(problem.n)]
        return all(problem.task.varies(y[train]) for train, _ in problem.folds)

    def without(self, trial: Trial, column: int, deadline: float = math.inf) -> Trial | None:
        """The same settings without a column of the inputs, on the folds of the searches."""
        folds = self.problem.search_folds
        found = Trial(-1, trial.settings, trial.epochs, folds, "without", without=column)
        self._train([found], deadline, set())
        return found if found.runs else None

    def extend(self, trial: Trial, folds: list[int], deadline: float = math.inf) -> None:
        """Further folds of a trial."""
        before = set(trial.runs)
        trial.folds = sorted({*trial.folds, *folds})
        self._train([trial], deadline, {trial.number} if self._read(trial) else set())
        cut = [f for f, run in trial.runs.items() if run.status != "done" and f not in before]
        for fold in cut:  # a network that was cut short is no good member
            del trial.runs[fold]
        trial.folds = [fold for fold in trial.folds if fold in trial.runs]

    def facts_of(self, trials: Sequence[Trial]) -> list[Facts]:
        """What `restore` makes the trials of, once their files are there."""
        names = "number", "settings", "epochs", "folds", "step"
        return [
            {name: getattr(t, name) for name in names} | {"done": sorted(t.runs)} for t in trials
        ]

    def restore(self, kept: Iterable[Facts]) -> None:
        """The trials of a step that an earlier process took."""
        known = {trial.number for trial in self.trials}
        for facts in kept:
            if facts["number"] in known:
                continue
            settings, epochs, done = facts["settings"], facts["epochs"], facts["done"]
            trial = Trial(facts["number"], settings, epochs, list(done), facts["step"])
            if self.state.trials_removed:
                self.removed.append(trial)
                continue
            self._read(trial)
            if sorted(trial.runs) != done:
                path = self.state.path(_file(trial.number))
                raise FileError(path or "", f"expected the networks of folds {done} of the trial")
            trial.folds = list(facts["folds"])
            self.trials.append(trial)

    def train_again(self) -> None:
        """The trials whose networks were removed, since a further step needs them."""
        removed, self.removed = self.removed, []
        for trial in removed:
            self._read(trial)
        self.trials += removed
        self._train(removed, math.inf, set())
        self.state.trials_removed = False

    def forget(self, ranked: Sequence[Trial]) -> None:
        """Gives up the networks of all but the best trials."""
        kept = {trial.number for trial in ranked[:KEPT_NETWORKS]}
        for trial in self.trials:
            if trial.number not in kept:
                for run in trial.runs.values():
                    run.network = None

    def _train(self, trials: Iterable[Trial], deadline: float, began: set[int]) -> None:
        """The missing folds of the trials; what is done is kept when it is interrupted.

        Those that began, here or in an earlier process, may come a little late.
        """
        wanted: dict[int, Trial] = {}  # by the number of the task
        arrays: dict[str, Array] = {"X": self.problem.rows, "y": self.problem.labels}
        for i, (train, held) in enumerate(self.problem.folds):
            arrays |= {f"train {i}": train, f"held {i}": held}
        with ExitStack() as stack:
            stack.callback(lambda: self._write_all(wanted.values()))
            executor = self.executor
            if executor is None:
                executor = stack.enter_context(Threads(self.workers))
            pool = stack.enter_context(Pool(executor, arrays, "folds", self.workers))
            if self.executor is None:
                pool.max_pending = self.workers  # so that the deadline is asked before each
            bar = open_bar(unit="network") if self.progress else None
            if bar is not None:
                stack.enter_context(bar)
            for outcomes in pool.outcomes(train_fold, self._tasks(trials, wanted, deadline, began)):
                for number, outcome in outcomes:
                    if isinstance(outcome, Exception):
                        raise outcome
                    trial, outcome.ended = wanted[number], self.state.seconds
                    trial.runs[outcome.fold] = outcome
                    if trial.number >= 0 and set(trial.folds) <= set(trial.runs):
                        self._write(trial)
                    if bar is not None:
                        bar.update(1)

    def _tasks(
        self, trials: Iterable[Trial], wanted: dict[int, Trial], deadline: float, began: set[int]
    ) -> Iterator[tuple[int, FoldTask]]:
        # A cluster's clocks are its own.
        limit = deadline + GRACE * self.total if self.executor is None else math.inf
        for trial in trials:
            for fold in trial.folds:
                if fold in trial.runs:
                    continue
                # A trial that has begun is brought to its end, so that it can be compared.
                late = GRACE * self.total if trial.number in began else 0.0
                if began and self.state.seconds > deadline + late:
                    return
                wanted[len(wanted)] = trial
                began.add(trial.number)
                yield len(wanted) - 1, self._task(trial, fold, limit)

    def _write_all(self, trials: Iterable[Trial]) -> None:
        for trial in {trial.number: trial for trial in trials}.values():
            if trial.number >= 0 and trial.runs:
                self._write(trial)

    def _task(self, trial: Trial, fold: int, deadline: float) -> FoldTask:
        problem, deadline = self.problem, State.clock() + deadline - self.state.seconds
        return FoldTask(
            trial.settings, fold, trial.epochs, self.seed + fold, problem.width, problem.task,
            problem.preprocess, deadline, trial.shuffled, problem.weights, trial.without,
        )  # fmt: skip

    def _write(self, trial: Trial) -> None:
        path = self.state.path(_file(trial.number))
        if path is None:
            return
        if all(run.kept or run.network is None for run in trial.runs.values()):
            return
        runs, arrays = self._written(trial)  # the folds that another process has added are kept
        known = {facts["fold"] for facts in runs}
        for fold, run in sorted(trial.runs.items()):
            if fold in known or run.network is None:
                continue
            network = run.network.__getstate__()
            arrays |= {f"{fold}.{k}": a for k, a in network.pop("arrays").items()}
            arrays[f"{fold}.scores"] = run.scores
            facts = {"fold": fold, "status": run.status, "epoch": run.epoch}
            facts |= {"took": run.took, "ended": run.ended}
            facts |= {"losses": list(map(json_number, run.losses))}
            runs.append(facts | {"history": run.history.to_dict(), "network": network})
        header = {"kind": "trial", "runs": runs, **self._identity(trial)}
        path.parent.mkdir(exist_ok=True)
        checkpoint.save_archive(path, header, arrays)
        for run in trial.runs.values():
            run.kept = True

    def _identity(self, trial: Trial) -> Facts:
        return {"guide": self.state.name, "epochs": trial.epochs, "settings": trial.settings}

    def _written(self, trial: Trial) -> tuple[list[Facts], dict[str, Array]]:
        """The runs of this trial that there is a file of, and their arrays."""
        path = self.state.path(_file(trial.number))
        if path is None or not path.exists():
            return [], {}
        header, arrays = checkpoint.load_archive(path, kind="trial")
        same = all(header.get(name) == value for name, value in self._identity(trial).items())
        with reading(path, UNUSABLE):
            return (list(header["runs"]), dict(arrays)) if same else ([], {})

    def _read(self, trial: Trial) -> bool:
        """The runs that an earlier process has left of this trial, and whether there are any."""
        runs, arrays = self._written(trial)
        before = len(trial.runs)
        with reading(self.state.path(_file(trial.number)) or "", UNUSABLE):
            for facts in runs:
                if facts["fold"] not in trial.folds or facts["fold"] in trial.runs:
                    continue
                trial.runs[facts["fold"]] = run = _run(facts, arrays, self.problem)
                self.state.catch_up(run.ended)
        return len(trial.runs) > before


def _run(facts: Facts, arrays: Mapping[str, Array], problem: Problem) -> FoldRun:
    """What the file of a trial says of a fold, checked."""
    fold = _validate.whole("fold", facts["fold"], 0, len(problem.folds) - 1)
    start, held = f"{fold}.", len(problem.folds[fold][1])
    own = {k.removeprefix(start): a for k, a in arrays.items() if k.startswith(start)}
    found, net = own.pop("scores"), MLP.__new__(MLP)
    net.__setstate__({**facts["network"], "arrays": own})
    if (net.dims[0], net.dims[-1]) != problem.dims:
        raise ValueError(f"network: expected widths {problem.dims}, got {net.dims}")
    scores = _validate.array_of("scores", found, (held, net.dims[-1]), net.dtype)
    net.history = history = History.from_dict(facts["history"])
    if history.params.get("n_val") != held or not {"loss", "val_loss"} <= set(history.history):
        raise ValueError(f"history: expected losses of {held} rows held out")
    losses = [float(loss) for loss in facts["losses"]]
    epoch = _validate.whole("epoch", facts["epoch"], -1, len(losses) - 1)
    status = _validate.one_of("status", facts["status"], ("done", "cut", "diverged"))
    took, ended = (_validate.real(name, facts[name], 0) for name in ("took", "ended"))
    return FoldRun(fold, status, epoch, history, losses, net, scores, took, ended, kept=True)


def _file(number: int) -> str:
    """Where a trial is, in the guide's folder."""
    return f"{TRIALS}/{number}.fanin"
