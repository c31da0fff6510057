"""`MLP.fit`: epochs of the native loop, validation and callbacks."""

from __future__ import annotations

import math
import time
import warnings
import weakref
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from fanin import _core, _validate, losses, optim, schedules
from fanin._typing import Array, Floats, Ints
from fanin.callbacks import Callback, CallbackList, EarlyStopping, History, ProgressBar
from fanin.network import MLP, passes
from fanin.network.options import FitOptions
from fanin.training.data import FitData
from fanin.training.steps import StopOnRise, epochs_of_a_run, rows_of_a_step

__all__ = ["DivergenceWarning", "Fit", "train"]

CHUNK_SECONDS = 0.05
RMS_ROWS = 64


class DivergenceWarning(RuntimeWarning):
    """The loss became non-finite; the parameters of the last good epoch were restored."""


class Snapshot:
    """Parameters, counters and optimizer state of the last good epoch."""

    def __init__(
        self, net: MLP, optimizer: optim.Optimizer, states: list[Array], epoch: int = 0
    ) -> None:
        self._net, self._optimizer, self._states = net, optimizer, states
        self._parameters = np.empty_like(net.arena)
        self._saved = [np.empty_like(s) for s in states]
        self.take(epoch)

    def take(self, epoch: int) -> None:
        self.epoch = epoch
        self._counters = self._net.epochs_done, self._net.steps_done
        np.copyto(self._parameters, self._net.arena)
        for saved, state in zip(self._saved, self._states, strict=True):
            np.copyto(saved, state)
        self._clock = self._optimizer.rule.state

    def restore(self) -> None:
        self._net.epochs_done, self._net.steps_done = self._counters
        np.copyto(self._net.arena, self._parameters)
        for saved, state in zip(self._saved, self._states, strict=True):
            np.copyto(state, saved)
        self._optimizer.rule.state = self._clock


class Fit:
    """One call of fit: its arguments checked, its data prepared, ready to `run`.

    Attributes
    ----------
    net, optimizer, schedule, history, callbacks
    data, validation : TrainingData
        As the engine takes them.
    metrics : tuple of str
        Of the validation data, beside loss and accuracy.
    epochs, batch, steps : int
        Steps of an epoch.
    states : list of ndarray
        The optimizer's.
    job, learner
        What the engine's `train` takes.
    """

    def __init__(self, net: MLP, X: Array, y: Array, options: FitOptions) -> None:
        self.net = net
        data = FitData(net, X, y, options)
        self.images = data.images
        self.batch = rows_of_a_step(options.batch_size, len(data.train), single=net.norm != "batch")
        self.epochs = epochs_of_a_run(options.epochs, len(data.train), self.batch)
        self.first = _validate.whole("initial_epoch", options.initial_epoch, 0, self.epochs)
        self.steps = -(-len(data.train) // self.batch)
        if net.norm == "batch":
            self._refuse_single_rows(len(data.train))
        self.reg = _validate.real("reg", options.reg, 0)
        self.clip = 0.0
        if options.clip_norm is not None:
            self.clip = _validate.real("clip_norm", options.clip_norm, 0, above=True)
        self.sampling = _validate.one_of("sampling", options.sampling, ["epoch", "replacement"])
        self.n_threads = options.n_threads
        _validate.threads(options.n_threads)
        self.optimizer = optim.get(options.optimizer)
        self.schedule = schedules.get(options.schedule)
        _require_own(net, self.optimizer, "optimizer")
        _require_own(net, self.schedule, "schedule")
        self.history = self._new_history(data)
        if not isinstance(options.callbacks, Iterable):
            raise TypeError(
                f"callbacks: expected a sequence of Callback, got {options.callbacks!r}"
            )
        given = list(options.callbacks)
        own: list[Callback] = [ProgressBar()] if options.progress else []
        stops = any(isinstance(callback, EarlyStopping) for callback in given)
        if options.epochs == "auto" and data.validation is not None and not stops:
            own.append(StopOnRise())
        self.callbacks = CallbackList([*given, *own], net, self.history.params)
        if data.validation is None:
            self._refuse_monitors_of_validation()
        data.prepare(options.n_threads)
        self.data, self.validation, self.metrics = data.train, data.validation, data.metrics
        self.states = self.optimizer.arena_states(net.arena.size, net.dtype)
        net.inputs = data.inputs  # nothing is refused from here on, and things may change
        self.history.params = {**self.history.params, "input_rms": self._input_rms()}
        for state in (_state_of(self.optimizer), _state_of(self.schedule)):
            if state is not None:
                _OWNERS[state] = weakref.ref(net)
        self.job, self.learner = self._new_job(), self._new_learner()
        self.totals = dict.fromkeys(("weight", "loss", "correct", "rows"), 0.0)

    def _new_history(self, data: FitData) -> History:
        return History(
            params={
                "epochs": self.epochs,
                "batch_size": self.batch,
                "steps": self.steps,
                **({"initial_step": self.first * self.steps} if self.first else {}),
                "n_train": len(data.train),
                "n_val": 0 if data.validation is None else len(data.validation),
                "optimizer": self.optimizer.name,
                "reg": self.reg,
                "init": self.net.init,
                **({} if self.images is None else self.images.params),
            },
            expected_initial_loss=losses.expected_initial_loss(
                self.net.loss_name, self.net.dims[-1]
            ),
        )

    def _input_rms(self) -> float | None:
        """Root mean square of what enters the first layer, of the first rows; None of crops."""
        data, rows = self.data, self.data.X[:RMS_ROWS].astype(np.float64)
        if data.mean is not None and data.scale is not None:
            if data.mean.size not in (1, rows.shape[1]):
                return None
            rows -= data.mean
            rows *= data.scale
        return math.sqrt(float(np.mean(np.square(rows, out=rows))))

    def _refuse_single_rows(self, n_rows: int) -> None:
        """Refuses minibatches of one row, which have no deviation."""
        rows = min(self.batch, n_rows % self.batch or self.batch)
        if rows < 2:
            raise ValueError(
                "batch_size: expected at least 2 rows in every minibatch with norm='batch', "
                f"got 1 in the last ({n_rows} rows in minibatches of {self.batch})"
            )

    def _refuse_monitors_of_validation(self) -> None:
        """Refuses callbacks and schedules that monitor validation without validation data."""
        missing = {"val_loss", "val_accuracy"}  # other names may come from a callback
        for watcher in (*self.callbacks, self.schedule):
            watch: Any = getattr(watcher, "watched", None)
            if getattr(watch, "name", None) in missing and getattr(watcher, "needs_monitor", True):
                name = type(watcher).__name__
                raise ValueError(f"{name}: expected validation_data, to watch {watch.name!r}")

    def _new_job(self) -> _core.TrainingJob:
        """The part of the engine's arguments that batched fits share."""
        return _core.TrainingJob(
            data=self.data,
            order=np.empty(len(self.data), np.int64),
            batch=self.batch,
            seed=self.net.seed,
            clip_norm=self.clip,
            n_threads=_validate.threads(self.n_threads),
            budget=CHUNK_SECONDS,
            images=None if self.images is None else self.images.core,
        )

    def _new_learner(self) -> _core.Learner:
        """The part that is each network's own."""
        return _core.Learner(
            rule=self.optimizer.rule,
            states=self.states,
            l2=self.reg,
            lr=np.empty(self.steps),
            losses=np.empty(self.steps),
            correct=np.empty(self.steps, np.int64),
        )

    def begin(self) -> None:
        """Clears what the network has of an earlier run."""
        self.net.stop_training, self.net.stop_reason = False, ""
        self.net.history = self.history
        self.history.stop_reason = "failed"

    def run(self) -> History:
        history = self.history
        self.begin()
        began = time.perf_counter()
        try:
            snapshot = Snapshot(self.net, self.optimizer, self.states, self.first)
            with self.callbacks:
                self.callbacks.on_train_begin({})
                try:
                    history.stop_reason = self.run_epochs(snapshot)
                except KeyboardInterrupt:
                    self.callbacks.on_interrupt({})
                    raise
                self.callbacks.on_train_end({})
        except KeyboardInterrupt:
            history.stop_reason = "interrupted"
            raise
        finally:
            history.seconds = time.perf_counter() - began
        if history.stop_reason == "diverged":
            self.warn_diverged(snapshot.epoch)
        return history

    def run_epochs(self, snapshot: Snapshot) -> str:
        """Epochs until the last, a callback's stop or divergence; returns the reason."""
        for epoch in range(self.first, self.epochs):
            self.callbacks.on_epoch_begin(epoch, {})
            if not self.run_epoch(epoch):
                snapshot.restore()
                return "diverged"
            self.end_epoch(epoch, self.evaluate())
            snapshot.take(epoch + 1)
            if self.net.stop_training:
                return self.net.stop_reason or "stopped by a callback"
        return "all epochs done"

    def run_epoch(self, epoch: int) -> bool:
        """One epoch; False where it diverged."""
        self.begin_epoch(epoch)
        learner, batches = self.learner, self.callbacks.uses_batches
        step = 0
        while step < self.steps:
            if batches:
                self.callbacks.on_train_batch_begin(step, {})
            self.run_steps(step, step + 1 if batches else self.steps)
            self.add_up(step, step + learner.steps)
            step += learner.steps
            if learner.diverged:
                self.diverged_at = epoch, step, float(learner.lr[step])
                return False
            logs = self.logs()
            if batches:
                self.callbacks.on_train_batch_end(step - 1, logs)
            self.callbacks.on_progress(epoch * self.steps + step, logs)
        # No later loss would show an overflow in the epoch's last update.
        self.diverged_at = epoch, self.steps - 1, float(learner.lr[-1])
        return self.is_finite()

    def begin_epoch(self, epoch: int) -> None:
        """Draws the order of the rows: a pure function of the seed and the count of epochs."""
        net, order = self.net, self.job.order
        draw_order(order, self.sampling, net.seed, net.epochs_done, len(order))
        ends = np.minimum(np.arange(1, self.steps + 1) * self.batch, len(order))
        if self.data.weights is not None:
            ends = np.cumsum(self.data.weights[order], dtype=np.float64)[ends - 1]
        self.step_weights: Floats = np.diff(ends, prepend=0)
        self.totals = dict.fromkeys(self.totals, 0.0)
        self.job.epoch, self.job.first_stream = net.epochs_done, net.steps_done
        self.learner.lr = self.schedule.lr(
            self.optimizer.lr, epoch * self.steps, self.steps, self.steps, self.epochs
        )

    def run_steps(self, first: int, last: int) -> None:
        """Steps of this epoch from `first` on, up to `last` or for 50 ms."""
        before = self.optimizer.t
        try:
            self.net.engine.train(self.job, self.learner, first, last)
        finally:
            self.net.steps_done += self.optimizer.t - before

    def add_up(self, first: int, last: int) -> None:
        """Adds steps to the epoch's totals in order, so that bits do not depend on the calls."""
        step_losses, correct = self.learner.losses, self.learner.correct
        for step in range(first, last):
            weight = float(self.step_weights[step])
            self.totals["weight"] += weight
            self.totals["loss"] += weight * float(step_losses[step])
            self.totals["correct"] += float(correct[step])
        self.totals["rows"] = float(min(last * self.batch, len(self.data)))
        if last and self.history.initial_loss is None:
            self.history.initial_loss = float(step_losses[0])

    def logs(self) -> dict[str, float]:
        """Mean loss (over the weights) and accuracy (over the rows) of the epoch so far."""
        weight = self.totals["weight"]
        logs = {"loss": self.totals["loss"] / weight if weight else 0.0}
        if self.data.labels is not None:
            logs["accuracy"] = self.totals["correct"] / self.totals["rows"]
        return logs

    def is_finite(self) -> bool:
        """Whether all parameters are."""
        return bool(_core.first_nonfinite(self.net.arena) == self.net.arena.size)

    def evaluate(self) -> dict[str, float]:
        """Loss, accuracy and metrics on the validation rows, where there are any."""
        if self.validation is None:
            return {}
        result = passes.evaluate(self.net.engine, self.validation, self.n_threads)
        return result | self.evaluate_metrics()

    def evaluate_metrics(self) -> dict[str, float]:
        """The metrics beside loss and accuracy."""
        if self.validation is None or not self.metrics:
            return {}
        engine, loss = self.net.engine, self.net.loss_name
        return passes.evaluate_metrics(engine, self.validation, loss, self.metrics, self.n_threads)

    def end_epoch(self, epoch: int, result: Mapping[str, float]) -> None:
        logs = self.logs()
        logs |= {f"val_{name}": value for name, value in result.items()}
        last = epoch * self.steps + self.steps - 1
        logs["lr"] = float(self.schedule.lr(self.optimizer.lr, last, 1, self.steps, self.epochs)[0])
        self.net.epochs_done += 1
        self.history.append(epoch, logs)
        self.schedule.on_epoch_end(logs)
        self.callbacks.on_epoch_end(epoch, logs)

    def warn_diverged(self, kept: int) -> None:
        epoch, step, rate = self.diverged_at
        advice = f"lower the learning rate (it was {rate:g})"
        largest = float(np.abs(self.data.X[: 10 * self.batch]).max())
        if largest > 10 and self.data.mean is None:
            advice += f", scale the inputs (they reach {largest:g}; preprocess='standardize')"
        if not self.clip:
            advice += ", or clip the gradient (clip_norm=1)"
        where = f"the end of epoch {kept}" if kept > self.first else "where fit began"
        warnings.warn(
            f"the loss stopped being finite in epoch {epoch + 1}, step {step + 1}; "
            f"the parameters were put back to {where}: {advice}",
            DivergenceWarning,
            stacklevel=6,  # the caller of MLP.fit
        )


_OWNERS: weakref.WeakKeyDictionary[Any, weakref.ref[MLP]] = weakref.WeakKeyDictionary()


def _state_of(kept: optim.Optimizer | schedules.Schedule) -> object:
    """What has the state that belongs to a network's training; None where there is none."""
    if isinstance(kept, optim.Optimizer):
        return kept.rule  # `load_state_dict` makes another
    return kept if isinstance(kept, schedules.Plateau) else None


def _require_own(net: MLP, kept: optim.Optimizer | schedules.Schedule, name: str) -> None:
    """Refuses what has a state of another network's training."""
    state = _state_of(kept)
    owner = None if state is None else _OWNERS.get(state)
    if owner is not None and owner() is not net:
        raise ValueError(
            f"{name}: expected one that has not trained another network, whose state it has, got "
            f"{kept!r}; make a new one, or copy.deepcopy it to go on with that state"
        )


def draw_order(order: Ints, sampling: str, seed: int, epoch: int, n_rows: int) -> None:
    """Fills `order` with an epoch's rows of `n_rows`: a pure function of seed and epoch."""
    if sampling == "epoch":
        _core.random_permutation(order, seed, _core.stream_of("shuffle", 0, epoch))
    else:
        stream = _core.stream_of("replacement", 0, epoch)
        _core.random_integers(order, seed, stream, 0, 0, n_rows)


def train(net: MLP, X: Array, y: Array, options: FitOptions) -> History:
    """Trains `net`, as `MLP.fit` does."""
    return Fit(net, X, y, options).run()
