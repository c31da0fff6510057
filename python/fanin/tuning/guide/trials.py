"""Trials of the guide: settings that are cross-validated, a network for each fold.

A fold's network is that of the epoch whose held-out loss is least. A trial keeps its outputs for
the held-out rows, from which it is compared with others row by row.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from warnings import catch_warnings

import numpy as np

from fanin import optim
from fanin._typing import Array, Floats
from fanin.callbacks.base import Callback, Logs
from fanin.callbacks.history import History
from fanin.executors import InMemory, OnDisk, StoppedError
from fanin.network import MLP
from fanin.random import Generator
from fanin.tuning.guide.facts import Facts
from fanin.tuning.guide.settings import FIT_SETTINGS, build_network
from fanin.tuning.guide.state import State
from fanin.tuning.guide.tasks import Task

SMOOTHED = 3  # epochs whose mean loss is compared, so that the least is not noise
PATIENCE, PATIENCE_SHARE = 10, 0.5  # epochs without a better one; and as a share of those before
STOP_RATIO = 3.0  # times the first loss: diverged


@dataclass(frozen=True)
class FoldTask:
    """One network to train: what goes to a worker beside the data."""

    settings: Facts
    fold: int
    epochs: int
    seed: int
    width: int  # of the inputs
    task: Task
    preprocess: Any
    deadline: float = math.inf  # by `State.clock`: then the best epoch so far is taken
    shuffled: int | None = None  # the seed of a permutation of the labels
    weights: Floats | None = None  # of the classes, in the loss of the held-out rows
    without: int | None = None  # a column whose values are all its mean's


@dataclass
class FoldRun:
    """The result of a task."""

    fold: int
    status: str  # done, cut (by the deadline) or diverged
    epoch: int  # the best, from 0; -1 where there is none
    history: History
    losses: list[float]  # of the held-out rows, epoch by epoch
    network: MLP | None  # of the best trials only
    scores: Array  # of the held-out rows
    took: float = 0.0  # seconds by `State.clock`
    ended: float = 0.0  # at so many seconds of the guide
    kept: bool = False  # in the trial's file


class _BestEpoch(Callback):
    """Keeps the parameters of the epoch with the least held-out loss, and stops a while after."""

    def __init__(
        self,
        patient: bool,
        deadline: float,
        stop: threading.Event | None,
        weighted: Callable[[MLP], float] | None,
    ) -> None:
        self.patient, self.deadline, self.stop = patient, deadline, stop
        self.weighted = weighted
        self.losses: list[float] = []
        self.best, self.epoch, self.status = math.inf, -1, "done"
        self.parameters: Array | None = None

    def on_progress(self, step: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        if self.stop is not None and self.stop.is_set():
            raise StoppedError

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        net, logs = self.network, logs or {}
        self.losses.append(logs["val_loss"] if self.weighted is None else self.weighted(net))
        smooth = float(np.mean(self.losses[-SMOOTHED:]))
        if smooth < self.best:
            self.best, self.epoch, self.parameters = smooth, epoch, net.get_parameters()
        first = net.history.initial_loss
        if first > 0 and not logs["loss"] <= STOP_RATIO * first:
            self.status, net.stop_training = "diverged", True
        elif self.patient and epoch - self.epoch >= PATIENCE + PATIENCE_SHARE * self.epoch:
            net.stop_training = True
        elif State.clock() > self.deadline:
            self.status, net.stop_training = "cut", True


def train_fold(
    data: InMemory | OnDisk, task: FoldTask, n_threads: int, stop: threading.Event | None = None
) -> FoldRun:
    """What executors call: trains the network of a fold."""
    arrays, settings, began = data.open(), task.settings, State.clock()
    train, held = arrays[f"train {task.fold}"], arrays[f"held {task.fold}"]
    X, y = arrays["X"], arrays["y"]
    if task.shuffled is not None:
        y = y[Generator(task.shuffled).permutation(len(y))]
    net = build_network(settings, task.width, task.task, task.seed)
    if task.without is not None:
        X = X.copy()
        X[:, task.without] = X[:, task.without].mean()
    X_held, y_held = X[held], y[held]
    schedule = settings.get("schedule")
    weighted = None
    if task.weights is not None:
        rows = task.weights[y_held]

        def weighted(net: MLP) -> float:
            judged = net.evaluate(X_held, y_held, sample_weight=rows, n_threads=n_threads)
            return float(judged["loss"])

    watch = _BestEpoch(schedule is None, task.deadline, stop, weighted)
    with catch_warnings(action="ignore"):  # of divergence and rare classes: the report tells
        history = net.fit(
            X[train],
            y[train],
            validation_data=(X_held, y_held),
            epochs=task.epochs,
            optimizer=optim.get(settings["optimizer"], settings["lr"]),
            preprocess=task.preprocess,
            callbacks=[watch],
            progress=False,
            n_threads=n_threads,
            class_weight=as_class_weight(task.weights),
            **{name: settings[name] for name in FIT_SETTINGS if name in settings},
        )
    status = "diverged" if history.stop_reason == "diverged" else watch.status
    if watch.parameters is not None:
        net.set_parameters(watch.parameters)
    scores = net.scores(X_held, n_threads=n_threads)
    if not np.isfinite(scores).all():
        status = "diverged"
    took = State.clock() - began
    return FoldRun(task.fold, status, watch.epoch, history, watch.losses, net, scores, took)


def as_class_weight(weights: Floats | None) -> dict[int, float] | None:
    """As `MLP.fit` takes it."""
    return None if weights is None else dict(enumerate(weights.tolist()))


@dataclass
class Trial:
    """Settings, and what their networks did on the rows that they were not trained on."""

    number: int
    settings: Facts
    epochs: int  # at most
    folds: list[int]  # that it is to be trained on
    step: str = ""
    shuffled: int | None = None
    without: int | None = None
    runs: dict[int, FoldRun] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """done, cut short, or diverged, where a fold was."""
        statuses = {run.status for run in self.runs.values()}
        if "diverged" in statuses or not statuses:
            return "diverged" if statuses else "cut"
        return "cut" if "cut" in statuses or len(self.runs) < len(self.folds) else "done"

    @property
    def finished(self) -> bool:
        """Whether each of its networks ended before its last epoch, so that more change nothing."""
        return self.status == "done" and all(
            len(run.history.epoch) < self.epochs for run in self.runs.values()
        )

    @property
    def usable(self) -> bool:
        return bool(self.runs) and all(
            run.status != "diverged" and run.epoch >= 0 for run in self.runs.values()
        )

    @property
    def epoch(self) -> int:
        """The median of the folds' best epochs."""
        return int(np.median([run.epoch for run in self.runs.values()]))

    @property
    def networks(self) -> list[MLP]:
        found = (self.runs[fold].network for fold in sorted(self.runs))
        return [net for net in found if net is not None]

    def history(self, folds: Sequence[int]) -> History:
        """The mean of these folds' curves, as far as all of them came."""
        runs = [self.runs[fold] for fold in folds if fold in self.runs]
        length = min(len(run.history.epoch) for run in runs)
        first = runs[0].history
        mean = History(first.params, first.expected_initial_loss)
        for i in range(length):
            logs = {
                name: float(np.mean([run.history.history[name][i] for run in runs]))
                for name in first.history
            }
            mean.append(i, logs)
        starts = [r.history.initial_loss for r in runs if r.history.initial_loss is not None]
        mean.initial_loss = float(np.mean(starts)) if starts else None
        mean.stop_reason, mean.seconds = first.stop_reason, sum(r.history.seconds for r in runs)
        held = sum(int(run.history.params["n_val"]) for run in runs)
        mean.params = dict(first.params) | {"n_val": held}
        return mean
