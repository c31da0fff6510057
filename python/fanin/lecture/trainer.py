"""One run of the lecture's trainer: when it steps, evaluates, decays, prints and stops."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypedDict

import numpy as np

from fanin import _core, _validate, optim
from fanin.lecture.loops import Array, CallableLoop, Model, NativeLoop, native_pipeline
from fanin.random import as_generator, package_generator

EVALUATED_ROWS = 1000  # the course's: training accuracy is that of a sample


class Stats(TypedDict):
    """What `ClassifierTrainer.train` returns beside the best model."""

    loss_history: list[float]
    train_acc_history: list[float]
    val_acc_history: list[float]
    lr_history: list[float]
    acc_iterations: list[int]
    iterations_per_epoch: int
    best_val_acc: float
    stop_reason: str


def seed_of(seed: int | None) -> int:
    """`seed`, or fresh entropy."""
    return as_generator(None if seed is None else _validate.whole("seed", seed, 0, 2**64 - 1)).seed


def check_function(name: str, function: object) -> None:
    """Refuses what cannot be called."""
    if not callable(function):
        raise TypeError(f"{name}: expected a function, got {_validate.describe(function)}")


def update_rule(
    update: str | optim.Optimizer, learning_rate: float, momentum: float
) -> optim.Optimizer:
    """The optimizer of that name; those with momentum take it."""
    lr = _validate.real("learning_rate", learning_rate, 0)
    rho = _validate.real("momentum", momentum, 0)
    optimizer = optim.get(update, lr, argument="update")
    if isinstance(update, str) and isinstance(optimizer, optim.Momentum):
        return type(optimizer)(lr, rho=rho)
    return optimizer


class Minibatches:
    """The rows of every step: a pure function of seed and epoch."""

    def __init__(self, n: int, batch_size: int | None, sampling: str, seed: int) -> None:
        _validate.one_of("sampling", sampling, ["replacement", "epoch"])
        if batch_size is not None:
            batch_size = _validate.whole("batch_size", batch_size, 1)
        self._n, self._seed = n, seed
        self._sampling = "all" if batch_size is None else sampling
        self.size = n if batch_size is None else batch_size
        # The course's floor for draws; a permutation has every row once, the last step short.
        draws = self._sampling == "replacement"
        self.per_epoch = max(n // self.size, 1) if draws else -(-n // self.size)
        self._order = np.arange(self.per_epoch * self.size if draws else n)

    def order(self, epoch: int) -> Array:
        """Rows of the epoch, `size` for each step; the draws are those of `MLP.fit`."""
        if self._sampling == "epoch":
            stream = _core.stream_of("shuffle", 0, epoch)
            _core.random_permutation(self._order, self._seed, stream)
        elif self._sampling == "replacement":
            stream = _core.stream_of("replacement", 0, epoch)
            _core.random_integers(self._order, self._seed, stream, 0, 0, self._n)
        return self._order


class ClassifierRun:
    """One call of `ClassifierTrainer.train`, its arguments checked."""

    def __init__(
        self,
        X: Array,
        y: Array,
        X_val: Array,
        y_val: Array,
        model: Model,
        loss_function: Callable[..., Any],
        *,
        native: bool,
        reg: float,
        learning_rate: float,
        momentum: float,
        learning_rate_decay: float,
        update: str | optim.Optimizer,
        num_epochs: int,
        batch_size: int | None,
        acc_frequency: int | None,
        augment_fn: Callable[[Array], Array] | None,
        predict_fn: Callable[[Array], Array] | None,
        verbose: bool,
        seed: int | None,
        sampling: str,
        stop_ratio: float | None,
        n_threads: int | None,
    ) -> None:
        self.decay = _validate.real("learning_rate_decay", learning_rate_decay, 0)
        self.epochs = _validate.whole("num_epochs", num_epochs, 0)
        if acc_frequency is not None:
            acc_frequency = _validate.whole("acc_frequency", acc_frequency, 1)
        if stop_ratio is not None:
            stop_ratio = _validate.real("stop_ratio", stop_ratio, 1)
        check_function("loss_function", loss_function)
        for name, hook in (("augment_fn", augment_fn), ("predict_fn", predict_fn)):
            if hook is not None:
                check_function(name, hook)
        _validate.threads(n_threads)
        self.seed = seed_of(seed)
        self.acc_frequency, self.stop_ratio = acc_frequency, stop_ratio
        self.predict_fn, self.verbose = predict_fn, verbose
        reg = _validate.real("reg", reg, 0)
        self.optimizer = update_rule(update, learning_rate, momentum)
        self.loop: CallableLoop | NativeLoop
        pipeline = native_pipeline(augment_fn, X)
        if native and (augment_fn is None or pipeline is not None):
            self.loop = NativeLoop(model, self.optimizer, reg, pipeline, n_threads)
        else:
            self.loop = CallableLoop(
                loss_function, model, self.optimizer, reg, augment_fn, n_threads
            )
        self.model = model
        self.X, self.y = self.loop.data(X, y, ("X", "y"))
        self.X_val, self.y_val = self.loop.data(X_val, y_val, ("X_val", "y_val"))
        self.batches = Minibatches(len(self.X), batch_size, sampling, self.seed)
        self.best_model = self.last_model = self.snapshot()
        self.stats: Stats = {
            "loss_history": [],
            "train_acc_history": [],
            "val_acc_history": [],
            "lr_history": [],
            "acc_iterations": [],
            "iterations_per_epoch": self.batches.per_epoch,
            "best_val_acc": 0.0,
            "stop_reason": "interrupted",
        }

    def snapshot(self) -> Model:
        return {name: p.copy() for name, p in self.loop.params.items()}

    def run(self) -> None:
        """All epochs, or those before the run diverges."""
        try:
            self.stats["stop_reason"] = self._epochs() or "all epochs done"
            self._finish()
        finally:
            for name, p in self.loop.params.items():
                np.copyto(self.model[name], p)

    def _finish(self) -> None:
        if self.stats["stop_reason"] != "all epochs done":
            for name, p in self.loop.params.items():
                np.copyto(p, self.last_model[name])
            if self.verbose:
                print(f"stopped early: {self.stats['stop_reason']}")
        if self.verbose:
            best = self.stats["best_val_acc"]
            print(f"finished optimization. best validation accuracy: {best:f}")

    def _epochs(self) -> str:
        """Why the run ended before its time, or nothing."""
        for epoch in range(self.epochs):
            order = self.batches.order(epoch)
            first = 0
            for stop in self._stops(epoch):
                reason = self._steps(epoch, order, first, stop)
                if reason:
                    return reason
                ended = stop == self.batches.per_epoch
                if ended:
                    self.optimizer.lr *= self.decay
                self._evaluate(epoch + ended)
                first = stop
        return ""

    def _stops(self, epoch: int) -> list[int]:
        """Steps of this epoch after which there is an evaluation."""
        per_epoch = self.batches.per_epoch
        stops = {per_epoch}
        if epoch == 0:
            stops.add(1)
        if self.acc_frequency is not None:
            before = epoch * per_epoch
            first = -before % self.acc_frequency
            stops.update(range(first + 1, per_epoch + 1, self.acc_frequency))
        return sorted(stops)

    def _steps(self, epoch: int, order: Array, first: int, last: int) -> str:
        history = self.stats["loss_history"]
        size = self.batches.size
        for cost in self.loop.costs(self.X, self.y, order, size, first, last, epoch):
            history.append(cost if math.isfinite(cost) else math.nan)
            began, where = history[0], f"iteration {len(history)}"
            if not math.isfinite(cost):
                return f"diverged: the cost is not finite in {where}"
            if self.stop_ratio is not None and began > 0 and cost > self.stop_ratio * began:
                return f"diverged: the cost is {cost:g} in {where}, it began at {began:g}"
        # No later cost would speak of an overflow in the last update.
        model = self.snapshot()
        for name, p in model.items():
            if _core.first_nonfinite(p) < p.size:
                return f"diverged: {name} is not finite after iteration {len(history)}"
        self.last_model = model
        return ""

    def _evaluate(self, epochs_done: int) -> None:
        stats = self.stats
        X, y = self.X, self.y
        if len(X) > EVALUATED_ROWS:
            draws = package_generator(
                self.seed, "replacement", layer=1, step=len(stats["acc_iterations"])
            )
            rows = draws.integers(0, len(X), size=EVALUATED_ROWS)
            X, y = X[rows], y[rows]
        train_acc, val_acc = self._accuracy(X, y), self._accuracy(self.X_val, self.y_val)
        stats["train_acc_history"].append(train_acc)
        stats["val_acc_history"].append(val_acc)
        stats["lr_history"].append(self.optimizer.lr)
        stats["acc_iterations"].append(len(stats["loss_history"]))
        if val_acc > stats["best_val_acc"]:
            stats["best_val_acc"], self.best_model = val_acc, self.last_model
        if self.verbose:
            print(
                f"Finished epoch {epochs_done} / {self.epochs}: "
                f"cost {stats['loss_history'][-1]:f}, train: {train_acc:f}, val {val_acc:f}, "
                f"lr {self.optimizer.lr:e}"
            )

    def _accuracy(self, X: Array, y: Array) -> float:
        """In parts, so that a user's function need not hold all of a large validation set."""
        correct = 0
        for begin in range(0, len(X), EVALUATED_ROWS):
            part = X[begin : begin + EVALUATED_ROWS]
            if self.predict_fn is not None:
                part = self.predict_fn(part)
            correct += self.loop.correct(part, y[begin : begin + EVALUATED_ROWS])
        return correct / len(X)
