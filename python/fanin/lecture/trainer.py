"""The lecture's trainer: steps, evaluation, learning-rate decay, printing and stopping."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, TypedDict

import numpy as np

from fanin import _core, _validate, optim
from fanin._typing import Array, takes
from fanin._validate import describe
from fanin.lecture.loops import CallableLoop, NativeLoop, native_pipeline
from fanin.lecture.names import Model, seed_of, two_layer_net
from fanin.random import package_generator
from fanin.training.fit import draw_order

EVALUATED_ROWS = 1000  # the course's: training accuracy is that of a sample


class Stats(TypedDict):
    """What `ClassifierTrainer.train` returns beside the best model.

    Examples
    --------
    >>> (X, y), (X_val, y_val) = fanin.datasets.load("digits")
    >>> X, X_val = X.reshape(len(X), 64) / 16, X_val.reshape(len(X_val), 64) / 16
    >>> model = fanin.init_two_layer_model(64, 20, 10)
    >>> model, stats = fanin.ClassifierTrainer().train(
    ...     X, y, X_val, y_val, model, fanin.two_layer_net, num_epochs=2)
    >>> sorted(stats)[:3], len(stats["val_acc_history"])
    (['acc_iterations', 'best_val_acc', 'iterations_per_epoch'], 3)
    """

    loss_history: list[float]
    train_acc_history: list[float]
    val_acc_history: list[float]
    lr_history: list[float]
    acc_iterations: list[int]
    iterations_per_epoch: int
    best_val_acc: float
    stop_reason: str


@dataclass(frozen=True, eq=False)
class TrainerOptions:
    """Options of `ClassifierTrainer.train`, in the order of its positional arguments.

    Parameters
    ----------
    reg : float
        L2 strength, passed to `loss_function`.
    learning_rate : float
    momentum : float in [0, 1), default 0.9
        rho of "momentum" and "nesterov". The course's code of 2015 had 0, which is plain SGD.
    learning_rate_decay : float
        Multiplies the learning rate at the end of each epoch.
    update : str or Optimizer
        "sgd", "momentum", "rmsprop" or another name of `fanin.optim`. An object keeps its state
        from call to call and gets `learning_rate`.
    sample_batches : bool
        False is full-batch training, one step per epoch, as is ``batch_size=None``.
    num_epochs : int
    batch_size : int or None
        Rows per minibatch; an epoch has ``N // batch_size`` minibatches, at least one.
    acc_frequency : int, optional
        Evaluates also after iterations 0, acc_frequency, 2 * acc_frequency, ...
    augment_fn, predict_fn : callable, optional
        ``X -> X`` on the rows of each step, and on those of each evaluation. With `augment_fn`
        the steps go through Python. A `fanin.augment.Compose` draws anew for each row in each
        epoch; X is then (N, H, W, C). Where it keeps their size, `two_layer_net` stays native.
    verbose : bool
        Print a line at each evaluation and at the end.
    seed : int, optional
        Of the minibatches; None takes fresh entropy.
    sampling : {"replacement", "epoch"}
        Draws with replacement, the course's, or a permutation in each epoch, `MLP.fit`'s, whose
        last minibatch may be smaller.
    stop_ratio : float or None
        Stop if the cost exceeds this many times the first; None never stops.
    sample_batchs : bool, optional
        `sample_batches` as the lecture's listing spells it.
    n_threads : int, optional
        The result does not depend on it.
    """

    reg: float = 0.0
    learning_rate: float = 1e-2
    momentum: float = 0.9
    learning_rate_decay: float = 0.95
    update: str | optim.Optimizer = "momentum"
    sample_batches: bool = True
    num_epochs: int = 30
    batch_size: int | None = 100
    acc_frequency: int | None = None
    augment_fn: Callable[[Array], Array] | None = None
    predict_fn: Callable[[Array], Array] | None = None
    verbose: bool = False
    seed: int | None = None
    _: KW_ONLY
    sampling: str = "replacement"
    stop_ratio: float | None = 3.0
    sample_batchs: bool | None = None
    n_threads: int | None = None


class ClassifierTrainer:
    """The lecture's trainer: minibatch steps on any loss function of a dict of arrays.

    Attributes
    ----------
    best_model, stats
        As the last call of `train` returned them or, after Ctrl-C or an error, as they were then.

    Examples
    --------
    >>> (X, y), (X_val, y_val) = fanin.datasets.load("digits")
    >>> X, X_val = X.reshape(len(X), 64) / 16, X_val.reshape(len(X_val), 64) / 16
    >>> model, trainer = fanin.init_two_layer_model(64, 20, 10), fanin.ClassifierTrainer()
    >>> best, stats = trainer.train(X, y, X_val, y_val, model, fanin.two_layer_net,
    ...                             num_epochs=2, learning_rate=0.1, batch_size=32)
    >>> sorted(best)
    ['W1', 'W2', 'b1', 'b2']
    """

    best_model: Model | None = None
    stats: Stats | None = None

    @takes(TrainerOptions)
    def train(
        self,
        X: Array,
        y: Array,
        X_val: Array,
        y_val: Array,
        model: Model,
        loss_function: Callable[..., Any],
        options: TrainerOptions,
    ) -> tuple[Model, Stats]:
        """Trains `model` in place; returns the model of the best validation accuracy.

        `two_layer_net` runs in the compiled loop of `MLP.fit`, everything else through Python, to
        the same parameters bit for bit.

        Parameters
        ----------
        X, X_val : ndarray of shape (N, ...)
            One row for each example.
        y, y_val : ndarray of shape (N,)
            Integers as labels.
        model : dict of str to ndarray
            float32 or float64, C-contiguous; changed in place.
        loss_function : callable
            ``loss_function(X, model)`` gives scores (N, C), ``loss_function(X, model, y, reg)``
            gives (loss, grads), grads a dict with the keys of the model.
        {options}

        Returns
        -------
        best_model : dict of str to ndarray
            A copy; of the model as it was given, where validation never got one row right.
        stats : dict
            loss_history: the cost of each iteration. train_acc_history (on at most 1000 drawn
            rows), val_acc_history, lr_history (after decay), acc_iterations: a value for each
            evaluation, after the first iteration and each epoch. iterations_per_epoch,
            best_val_acc. stop_reason: "all epochs done", or "diverged: ..." where the cost was not
            finite or over `stop_ratio` times the first; the model is then the last evaluation's.

        Notes
        -----
        After CS231n's ``classifier_trainer.py`` (2015), but: Momentum keeps the learning rate out
        of the velocity, see `fanin.optim.Momentum`. The state of the update rule belongs to the
        call. The only iteration of an epoch ends it. Fewer rows than `batch_size` still make one.

        Examples
        --------
        >>> (X, y), (X_val, y_val) = fanin.datasets.load("digits")
        >>> X, X_val = X / 16, X_val / 16
        >>> model = fanin.init_two_layer_model(64, 50, 10, std=0.1, seed=0)
        >>> best_model, stats = fanin.ClassifierTrainer().train(
        ...     X, y, X_val, y_val, model, fanin.two_layer_net, num_epochs=10, learning_rate=0.1,
        ...     seed=0)
        >>> stats["iterations_per_epoch"] == len(X) // 100, len(stats["val_acc_history"])
        (True, 11)
        >>> stats["best_val_acc"] > 0.9, stats["stop_reason"]
        (True, 'all epochs done')
        """
        run = ClassifierRun(X, y, X_val, y_val, model, loss_function, options)
        try:
            run.run()
        finally:
            self.best_model, self.stats = run.best_model, run.stats
        return run.best_model, run.stats


class ClassifierRun:
    """One call of `ClassifierTrainer.train`, its arguments checked."""

    predict_fn: Callable[[Array], Array] | None
    seed: int
    verbose: bool
    optimizer: optim.Optimizer
    y: Array
    X_val: Array
    y_val: Array
    last_model: Model
    best_model: Model

    def __init__(
        self,
        X: Array,
        y: Array,
        X_val: Array,
        y_val: Array,
        model: Model,
        loss_function: Callable[..., Any],
        options: TrainerOptions,
    ) -> None:
        self.decay: float = _validate.real("learning_rate_decay", options.learning_rate_decay, 0)
        self.epochs: int = _validate.whole("num_epochs", options.num_epochs, 0)
        every, ratio = options.acc_frequency, options.stop_ratio
        self.acc_frequency: int | None = (
            None if every is None else _validate.whole("acc_frequency", every, 1)
        )
        self.stop_ratio: float = (
            math.inf if ratio is None else _validate.real("stop_ratio", ratio, 1)
        )
        augment_fn, self.predict_fn = options.augment_fn, options.predict_fn
        optional: dict[str, object] = {"augment_fn": augment_fn, "predict_fn": self.predict_fn}
        for name, function in {"loss_function": loss_function, **optional}.items():
            if not callable(function) and (function is not None or name not in optional):
                raise TypeError(f"{name}: expected a function, got {describe(function)}")
        _validate.threads(options.n_threads)
        self.seed, self.verbose = seed_of(options.seed), options.verbose
        reg = _validate.real("reg", options.reg, 0)
        lr = _validate.real("learning_rate", options.learning_rate, 0)
        rho = _validate.real("momentum", options.momentum, 0)
        rule = self.optimizer = optim.get(options.update, lr, argument="update")
        if isinstance(options.update, str) and isinstance(rule, optim.Momentum):
            rule = self.optimizer = type(rule)(lr, rho=rho)
        pipeline = native_pipeline(augment_fn, X)
        self.loop: CallableLoop | NativeLoop
        if loss_function is two_layer_net and (augment_fn is None or pipeline is not None):
            self.loop = NativeLoop(model, rule, reg, pipeline, options.n_threads)
        else:
            self.loop = CallableLoop(loss_function, model, rule, reg, augment_fn, options.n_threads)
        self.model = model
        self.X, self.y = self.loop.data(X, y, ("X", "y"))
        self.X_val, self.y_val = self.loop.data(X_val, y_val, ("X_val", "y_val"))
        sample = options.sample_batches if options.sample_batchs is None else options.sample_batchs
        batch_size = options.batch_size if sample else None
        self.batches: Minibatches = Minibatches(
            len(self.X), batch_size, options.sampling, self.seed
        )
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
        params = self.loop.params
        try:
            diverged = self._epochs()
            self.stats["stop_reason"] = diverged or "all epochs done"
            if diverged:
                for name, p in params.items():
                    np.copyto(p, self.last_model[name])
        finally:
            for name, p in params.items():
                np.copyto(self.model[name], p)
        if self.verbose:
            if diverged:
                print(f"stopped early: {diverged}")
            best = self.stats["best_val_acc"]
            print(f"finished optimization. best validation accuracy: {best:f}")

    def _epochs(self) -> str:
        """Why the run ended before its time, or nothing."""
        for epoch in range(self.epochs):
            order, first = self.batches.order(epoch), 0
            for stop in self._stops(epoch):
                if reason := self._steps(epoch, order, first, stop):
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
        stops = {1, per_epoch} if epoch == 0 else {per_epoch}
        if self.acc_frequency is not None:
            first = -epoch * per_epoch % self.acc_frequency
            stops.update(range(first + 1, per_epoch + 1, self.acc_frequency))
        return sorted(stops)

    def _steps(self, epoch: int, order: Array, first: int, last: int) -> str:
        history, size = self.stats["loss_history"], self.batches.size
        for cost in self.loop.costs(self.X, self.y, order, size, first, last, epoch):
            history.append(cost if math.isfinite(cost) else math.nan)
            began, where = history[0], f"iteration {len(history)}"
            if not math.isfinite(cost):
                return f"diverged: the cost is not finite in {where}"
            if began > 0 and cost > self.stop_ratio * began:
                return f"diverged: the cost is {cost:g} in {where}, it began at {began:g}"
        # No later cost would show an overflow in the last update.
        model = self.snapshot()
        for name, p in model.items():
            if _core.first_nonfinite(p) < p.size:
                return f"diverged: {name} is not finite after iteration {len(history)}"
        self.last_model = model
        return ""

    def _evaluate(self, epochs_done: int) -> None:
        stats, X, y = self.stats, self.X, self.y
        if len(X) > EVALUATED_ROWS:
            step = len(stats["acc_iterations"])
            draws = package_generator(self.seed, "replacement", layer=1, step=step)
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
            rows = slice(begin, begin + EVALUATED_ROWS)
            part = X[rows] if self.predict_fn is None else self.predict_fn(X[rows])
            correct += self.loop.correct(part, y[rows])
        return correct / len(X)


class Minibatches:
    """The rows of every step: a pure function of seed and epoch."""

    def __init__(self, n: int, batch_size: int | None, sampling: str, seed: int) -> None:
        _validate.one_of("sampling", sampling, ["replacement", "epoch"])
        self.size: int = n if batch_size is None else _validate.whole("batch_size", batch_size, 1)
        self._sampling = "all" if batch_size is None else sampling
        self._n, self._seed = n, seed
        # The course's floor for draws; a permutation has every row once, the last step short.
        draws = self._sampling == "replacement"
        self.per_epoch: int = max(n // self.size, 1) if draws else -(-n // self.size)
        self._order = np.arange(self.per_epoch * self.size if draws else n)

    def order(self, epoch: int) -> Array:
        """Rows of the epoch, `size` for each step; the draws are those of `MLP.fit`."""
        if self._sampling != "all":
            draw_order(self._order, self._sampling, self._seed, epoch, self._n)
        return self._order
