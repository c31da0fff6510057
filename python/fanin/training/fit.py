"""`MLP.fit`: epochs of the native loop, with what a person wants to see between them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fanin import _core, _validate, losses, optim, schedules
from fanin.callbacks import CallbackList, History, ProgressBar
from fanin.network.images import TrainingImages
from fanin.network.inputs import Preparation, through
from fanin.network.options import FitOptions

if TYPE_CHECKING:
    from fanin.network import MLP
    from fanin.network.passes import Targets

__all__ = ["DivergenceWarning"]

Array = npt.NDArray[Any]

CHUNK_SECONDS = 0.05


class DivergenceWarning(RuntimeWarning):
    """The loss stopped being finite; the last good epoch was put back."""


def _require_two_classes(labels: Array | None) -> None:
    if labels is not None and labels.size and (labels == labels[0]).all():
        raise ValueError(f"y: expected at least two classes, got only class {labels[0]}")


class _Snapshot:
    """Parameters, counters and optimizer state of the last good epoch."""

    def __init__(self, net: MLP, optimizer: optim.Optimizer, states: list[Array]) -> None:
        self._net, self._optimizer, self._states = net, optimizer, states
        self._parameters = np.empty_like(net._arena)
        self._saved = [np.empty_like(s) for s in states]
        self.take(0)

    def take(self, epoch: int) -> None:
        self.epoch = epoch
        self._counters = self._net.epochs_done, self._net.steps_done
        np.copyto(self._parameters, self._net._arena)
        for saved, state in zip(self._saved, self._states, strict=True):
            np.copyto(saved, state)
        self._clock = self._optimizer.rule.state

    def restore(self) -> None:
        self._net.epochs_done, self._net.steps_done = self._counters
        np.copyto(self._net._arena, self._parameters)
        for saved, state in zip(self._saved, self._states, strict=True):
            np.copyto(state, saved)
        self._optimizer.rule.state = self._clock


class _Fit:
    """One call of fit, its arguments checked."""

    def __init__(self, net: MLP, X: Array, y: Array, options: FitOptions) -> None:
        self.net = net
        self.images: TrainingImages | None = None
        if options.augment is not None or options.mix is not None:
            self.images = TrainingImages(
                net, X, options.sample_weight is not None, options.augment, options.mix
            )
        columns = None if self.images is None else self.images.columns
        entering = Preparation(options.preprocess, net, columns)
        if self.images is not None:
            self.images.check_entering(entering)
        self.X = entering.raw(X)
        n = len(self.X)
        self.targets = net._targets(y, n)
        _require_two_classes(self.targets[0])
        self.weights = _validate.weights(options.sample_weight, n, net.dtype)
        self.validation: tuple[Array, Targets] | None = None
        if options.validation_data is not None:
            Xv, yv = _validate.pair("validation_data", options.validation_data, "(X, y)")
            rows = (
                entering.raw(Xv, "validation X")
                if self.images is None
                else self.images.validation(Xv)
            )
            self.validation = rows, net._targets(yv, len(rows), "validation y")
        self.epochs = _validate.whole("epochs", options.epochs, 0)
        self.batch = self.rows_of_a_step(options.batch_size)
        self.steps = -(-n // self.batch)
        self.reg = _validate.real("reg", options.reg, 0)
        self.clip = (
            0.0
            if options.clip_norm is None
            else _validate.real("clip_norm", options.clip_norm, 0, above=True)
        )
        self.sampling = _validate.one_of("sampling", options.sampling, ["epoch", "replacement"])
        self.threads = options.n_threads
        _validate.threads(options.n_threads)
        self.optimizer = optim.get(options.optimizer)
        self.schedule = schedules.get(options.schedule)
        self.history = History(
            params={
                "epochs": self.epochs,
                "batch_size": self.batch,
                "steps": self.steps,
                "n_train": n,
                "n_val": 0 if self.validation is None else len(self.validation[0]),
                "optimizer": self.optimizer.name,
                "reg": self.reg,
                **({} if self.images is None else self.images.params),
            },
            expected_initial_loss=losses.expected_initial_loss(net.loss_name, net.dims[-1]),
        )
        if not isinstance(options.callbacks, Iterable):
            raise TypeError(
                f"callbacks: expected a sequence of Callback, got {options.callbacks!r}"
            )
        bar = [ProgressBar()] if options.progress else []
        self.callbacks = CallbackList([*options.callbacks, *bar], net, self.history.params)
        self.check_monitors()
        self.X = entering.fit(self.X, options.n_threads)
        # From here on nothing is refused, and things may change.
        self.states = self.optimizer.arena_states(net._arena.size, net.dtype)
        net._entry = entering.entry
        if self.validation is not None:
            rows, targets = self.validation
            self.validation = through(net._entry.before, rows, options.n_threads), targets
        self.transform = net._transform(self.X)
        self.order = np.empty(n, np.int64)
        self.losses = np.empty(self.steps)
        self.correct = np.empty(self.steps, np.int64)
        self.totals = dict.fromkeys(("weight", "loss", "correct", "rows"), 0.0)

    def check_monitors(self) -> None:
        """Refuses to begin where something waits for validation results that will not come."""
        missing = {"val_loss", "val_accuracy"} if self.validation is None else set()
        for watcher in (*self.callbacks, self.schedule):
            watch: Any = getattr(watcher, "_watch", None)
            if getattr(watch, "name", None) in missing and getattr(watcher, "needs_monitor", True):
                name = type(watcher).__name__
                raise ValueError(f"{name}: expected validation_data, to watch {watch.name!r}")

    def rows_of_a_step(self, batch_size: int | str | None) -> int:
        n = len(self.X)
        if batch_size is None:
            return n
        if batch_size == "auto":
            return min(128, n)
        return _validate.whole("batch_size", batch_size, 1, n)

    def draw_order(self) -> None:
        """The rows of this epoch: a pure function of the network's seed and its count of epochs."""
        epoch = self.net.epochs_done
        if self.sampling == "epoch":
            stream = _core.stream_of("shuffle", 0, epoch)
            _core.random_permutation(self.order, self.net.seed, stream)
        else:
            stream = _core.stream_of("replacement", 0, epoch)
            n = len(self.order)
            _core.random_integers(self.order, self.net.seed, stream, 0, 0, n)
        ends = np.minimum(np.arange(1, self.steps + 1) * self.batch, len(self.order))
        if self.weights is not None:
            ends = np.cumsum(self.weights[self.order], dtype=np.float64)[ends - 1]
        self.step_weights = np.diff(ends, prepend=0)

    def run_steps(self, first: int, rates: Array, one: bool) -> tuple[int, bool]:
        """Steps of this epoch from `first` on, one or 50 ms of them: (steps done, diverged)."""
        net = self.net
        last = first + 1 if one else self.steps
        before = self.optimizer.t
        try:
            done, diverged = net._engine.train(
                self.X,
                *self.transform,
                *self.targets,
                self.weights,
                self.order,
                self.batch,
                first,
                last,
                net.seed,
                net.steps_done - first,
                self.optimizer.rule,
                self.states,
                rates[first:last],
                self.reg,
                self.clip,
                self.losses[first:last],
                self.correct[first:last],
                _validate.threads(self.threads),
                CHUNK_SECONDS,
                None if self.images is None else self.images.core,
                net.epochs_done,
            )
        finally:
            net.steps_done += self.optimizer.t - before
        return int(done), bool(diverged)

    def epoch(self, epoch: int) -> bool:
        """One epoch; False where it diverged."""
        self.draw_order()
        rates = self.schedule.lr(
            self.optimizer.lr, epoch * self.steps, self.steps, self.steps, self.epochs
        )
        batches = self.callbacks.uses_batches
        step = 0
        self.totals = dict.fromkeys(self.totals, 0.0)
        while step < self.steps:
            if batches:
                self.callbacks.on_train_batch_begin(step, {})
            done, diverged = self.run_steps(step, rates, batches)
            self.add_up(step, step + done)
            step += done
            if step and self.history.initial_loss is None:
                self.history.initial_loss = float(self.losses[0])
            if diverged:
                self.diverged_at = epoch, step, float(rates[step])
                return False
            logs = self.logs()
            if batches:
                self.callbacks.on_train_batch_end(step - 1, logs)
            self.callbacks.on_progress(epoch * self.steps + step, logs)
        # No later loss would speak of an overflow in the epoch's last update.
        self.diverged_at = epoch, self.steps - 1, float(rates[-1])
        return bool(_core.first_nonfinite(self.net._arena) == self.net._arena.size)

    def add_up(self, first: int, last: int) -> None:
        """Adds steps to the epoch's totals, in order: the bits must not depend on how they came."""
        for step in range(first, last):
            weight = float(self.step_weights[step])
            self.totals["weight"] += weight
            self.totals["loss"] += weight * float(self.losses[step])
            self.totals["correct"] += float(self.correct[step])
        self.totals["rows"] = float(min(last * self.batch, len(self.order)))

    def logs(self) -> dict[str, float]:
        """Mean loss (over the weights) and accuracy (over the rows) of the epoch so far."""
        weight = self.totals["weight"]
        logs = {"loss": self.totals["loss"] / weight if weight else 0.0}
        if self.targets[0] is not None:
            logs["accuracy"] = self.totals["correct"] / self.totals["rows"]
        return logs

    def evaluate(self) -> dict[str, float]:
        """Loss and accuracy on the validation rows, where there are any."""
        if self.validation is None:
            return {}
        return self.net._evaluate(*self.validation, None, self.threads)

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
        largest = float(np.abs(self.X[: 10 * self.batch]).max())
        if largest > 10 and self.transform[0] is None:
            advice += f", scale the inputs (they reach {largest:g}; preprocess='standardize')"
        if not self.clip:
            advice += ", or clip the gradient (clip_norm=1)"
        where = f"the end of epoch {kept}" if kept else "where fit began"
        warnings.warn(
            f"the loss stopped being finite in epoch {epoch + 1}, step {step + 1}; "
            f"the parameters were put back to {where}: {advice}",
            DivergenceWarning,
            stacklevel=5,
        )

    def run(self) -> History:
        net, history = self.net, self.history
        net.stop_training, net.stop_reason = False, ""
        net.history = history
        began = time.perf_counter()
        history.stop_reason = "failed"
        try:
            snapshot = _Snapshot(net, self.optimizer, self.states)
            with self.callbacks:
                self.callbacks.on_train_begin({})
                history.stop_reason = self.epochs_of(snapshot)
                self.callbacks.on_train_end({})
        except KeyboardInterrupt:
            history.stop_reason = "interrupted"
            raise
        finally:
            history.seconds = time.perf_counter() - began
        if history.stop_reason == "diverged":
            self.warn_diverged(snapshot.epoch)
        return history

    def epochs_of(self, snapshot: _Snapshot) -> str:
        """Epochs until the last, a callback's word or divergence; why it ended."""
        for epoch in range(self.epochs):
            self.callbacks.on_epoch_begin(epoch, {})
            if not self.epoch(epoch):
                snapshot.restore()
                return "diverged"
            self.end_epoch(epoch, self.evaluate())
            snapshot.take(epoch + 1)
            if self.net.stop_training:
                return self.net.stop_reason or "stopped by a callback"
        return "all epochs done"


def fit(net: MLP, X: Array, y: Array, options: FitOptions) -> History:
    """Trains `net`, as `MLP.fit` does."""
    return _Fit(net, X, y, options).run()
