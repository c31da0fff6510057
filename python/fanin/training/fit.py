"""`MLP.fit`: epochs of the native loop, validation and callbacks."""

from __future__ import annotations

import inspect
import math
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fanin import _core, _validate, optim, schedules
from fanin._runtime import warn_caller
from fanin._typing import Array, Floats, Ints
from fanin.arrays import released
from fanin.callbacks import Callback, CallbackList, EarlyStopping, History, ProgressBar
from fanin.datasets import Chunks
from fanin.datasets.chunks import dask_chunks, is_dask
from fanin.network import MLP, TrainingData, passes
from fanin.network.options import FitOptions
from fanin.network.saving import checked_metadata, inputs_to_state
from fanin.optim.base import checked_clock
from fanin.training.blocks import Block, HeldChunks, MappedRows
from fanin.training.checkpoint import CheckpointFile, State
from fanin.training.chunked import ChunkedData
from fanin.training.data import FitData, Validation
from fanin.training.description import describe_run
from fanin.training.images import TrainingImages
from fanin.training.steps import StopOnRise, epochs_of_a_run, rows_of_a_step

__all__ = ["DivergenceWarning", "Fit", "train"]

AnyData = FitData | ChunkedData
CHUNK_SECONDS = 0.05
RMS_ROWS = 64


class DivergenceWarning(RuntimeWarning):
    """The loss became non-finite; the parameters of the last good epoch were restored.

    Examples
    --------
    >>> import warnings
    >>> net, X = fanin.MLP([2, 1], loss="mse"), np.eye(2)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     run = net.fit(X, X[:, :1], optimizer=fanin.optim.SGD(1e9), epochs=20, progress=False)
    >>> caught[0].category.__name__, run.stop_reason
    ('DivergenceWarning', 'diverged')
    """


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
    file : CheckpointFile
    settled : bool
        Whether all that a checkpoint holds is as after a whole step, at each line that runs.

    Examples
    --------
    >>> from fanin.network.options import FitOptions
    >>> net, y = fanin.MLP([4, 3]), np.array([0, 1, 2, 0])
    >>> fit = fanin.training.Fit(net, np.eye(4), y, FitOptions(epochs=2, progress=False))
    >>> fit.epochs, len(fit.run().epoch)
    (2, 2)
    """

    data: TrainingData
    metrics: tuple[str, ...]
    validation: Validation | None
    job: _core.TrainingJob
    learner: _core.Learner
    settled: bool
    finished: bool
    good: _core.TrainingState
    began: float
    blocks_of: Callable[[int], Iterator[Block]] | None

    def __init__(self, net: MLP, X: Any, y: Any, options: FitOptions) -> None:
        self.net = net
        data = fit_data(net, X, y, options)
        self.images: TrainingImages | None = data.images
        self.n_rows: int = data.n_rows
        self.batch: int = rows_of_a_step(
            options.batch_size, self.n_rows, single=net.norm != "batch"
        )
        self.epochs: int = epochs_of_a_run(options.epochs, self.n_rows, self.batch)
        self.first: int = _validate.whole("initial_epoch", options.initial_epoch, 0, self.epochs)
        self.steps: int = -(-self.n_rows // self.batch)
        if net.norm == "batch":
            self._refuse_single_rows(self.n_rows)
        self.reg: float = _validate.real("reg", options.reg, 0)
        self.clip: float = 0.0
        if options.clip_norm is not None:
            self.clip = _validate.real("clip_norm", options.clip_norm, 0, above=True)
        self.sampling: str = _validate.one_of(
            "sampling", options.sampling, ["epoch", "replacement"]
        )
        self.n_threads: int | None = options.n_threads
        _validate.threads(options.n_threads)
        self.optimizer: optim.Optimizer = optim.get(options.optimizer)
        self.schedule: schedules.Schedule = schedules.get(options.schedule)
        _require_own(net, self.optimizer, "optimizer")
        _require_own(net, self.schedule, "schedule")
        self.history: History = self._new_history(data)
        if not isinstance(options.callbacks, Iterable):
            raise TypeError(
                f"callbacks: expected a sequence of Callback, got {options.callbacks!r}"
            )
        given = list(options.callbacks)
        own: list[Callback] = [ProgressBar()] if options.progress else []
        stops = any(isinstance(callback, EarlyStopping) for callback in given)
        if options.epochs == "auto" and data.validation is not None and not stops:
            own.append(StopOnRise())
        self.callbacks: CallbackList = CallbackList([*given, *own], net, self.history.params)
        if data.validation is None:
            refuse_monitors_of_validation(self.callbacks, self.schedule)
        self.file: CheckpointFile = CheckpointFile(options)
        checked = {"": data.train, "validation ": data.validation}
        data.prepare(options.n_threads)
        if self.file.path is not None:
            self.file.open(self._description(options, checked, data))
        self.blocks_of = self._blocks_of(data)
        self.data, self.validation, self.metrics = data.train, data.validation, data.metrics
        self.states: list[Array] = self.optimizer.arena_states(
            net.arena.size, net.dtype, net.engine
        )
        # Nothing is refused from here on, and things may change.
        net.inputs, net.targets = data.inputs, data.targets
        self.history.params = {**self.history.params, "input_rms": self._input_rms()}
        for state in (_state_of(self.optimizer), _state_of(self.schedule)):
            if state is not None:
                _OWNERS[state] = weakref.ref(net)
        self.job = self._new_job(self.data, np.empty(len(self.data), np.int64))
        n = self.steps
        self.learner = self._new_learner(np.empty(n), np.empty(n), np.empty(n, np.int64))
        self.step_ends: Ints = np.minimum(np.arange(1, self.steps + 1) * self.batch, self.n_rows)
        self.step_weights: Floats = np.diff(self.step_ends, prepend=0).astype(np.float64)
        self.totals: dict[str, float] = dict.fromkeys(("weight", "loss", "correct", "rows"), 0.0)
        self.settled = self.finished = False
        # The network's epoch where the run has 0.
        self.first_epoch: int = net.epochs_done - self.first
        self.resumed_step: int | None = None  # of an epoch that has begun
        self.diverged_at: tuple[int, int, float] | None = None

    def _description(
        self, options: FitOptions, checked: Mapping[str, Validation | None], data: AnyData
    ) -> dict[str, Any]:
        if any(isinstance(part, HeldChunks) for part in checked.values()):
            raise ValueError(
                "checkpoint: expected validation_data (X, y), whose bits it could tell, got Chunks"
            )
        arrays = {name: part for name, part in checked.items() if isinstance(part, TrainingData)}
        resolved: dict[str, Any] = {
            "epochs": self.epochs,
            "batch_size": self.batch,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "fitted preprocessing": inputs_to_state(data.inputs),
        }
        if data.chunks is not None:
            resolved |= {"chunks": data.digests, "window": data.chunks.window}
        return describe_run(self.net, options, self._remembering(), arrays, resolved)

    def _remembering(self) -> list[Callback]:
        """The callbacks whose state belongs to the run."""
        return [c for c in self.callbacks if not isinstance(c, ProgressBar)]

    def _blocks_of(self, data: AnyData) -> Callable[[int], Iterator[Block]] | None:
        """What gives the rows of an epoch from a step on; None where they are in memory."""
        if data.chunks is not None:
            chunked = data.rows(self.batch)
            return lambda step: chunked.blocks(self.net.seed, self.net.epochs_done, step)
        if self.images is None and MappedRows.fits(data.train):
            mapped = MappedRows(data.train, self.batch)
            return lambda step: mapped.blocks(self.job.order, step)
        return None

    def _new_history(self, data: AnyData) -> History:
        return History(
            params={
                "epochs": self.epochs,
                "batch_size": self.batch,
                "steps": self.steps,
                **({"initial_step": self.first * self.steps} if self.first else {}),
                "n_train": self.n_rows,
                "n_val": 0 if data.validation is None else len(data.validation),
                "optimizer": self.optimizer.name,
                "reg": self.reg,
                "init": self.net.init,
                **({} if self.images is None else self.images.params),
            },
            expected_initial_loss=data.targets.expected_initial_loss(
                data.train.soft, data.train.weights
            ),
        )

    def _input_rms(self) -> float | None:
        """Root mean square of what enters the first layer, of the first rows; None of crops."""
        data, rows = self.data, np.array(self.data.X[:RMS_ROWS], np.float64)
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

    def _new_job(self, data: TrainingData, order: Ints) -> _core.TrainingJob:
        """The part of the engine's arguments that batched fits share."""
        return _core.TrainingJob(
            data=data,
            order=order,
            batch=self.batch,
            seed=self.net.seed,
            clip_norm=self.clip,
            n_threads=_validate.threads(self.n_threads),
            budget=CHUNK_SECONDS,
            images=None if self.images is None else self.images.core,
        )

    def _new_learner(self, lr: Floats, losses: Floats, correct: Ints) -> _core.Learner:
        """The part that is each network's own; the arrays have an item for each step."""
        return _core.Learner(
            rule=self.optimizer.rule,
            states=self.states,
            l2=self.reg,
            lr=lr,
            losses=losses,
            correct=correct,
        )

    def begin(self) -> None:
        """Clears what the network has of an earlier run."""
        self.net.stop_training, self.net.stop_reason = False, ""
        self.net.history = self.history
        self.history.stop_reason = "failed"
        self.good = self.net.engine.state(self.optimizer.rule, self.states)

    def run(self) -> History:
        history, state = self.history, self.file.state
        self.begin()
        self.began = time.perf_counter()
        if state is not None:
            self.restore(state)
        if self.finished:
            return self.end()
        try:
            with self.callbacks:
                self.callbacks.on_train_begin({})
                if state is not None:
                    self.restore_callbacks(state)
                with self.file.kept(self):
                    try:
                        history.stop_reason = self.run_epochs()
                    except KeyboardInterrupt:
                        self.interrupt()
                        raise
                    self.callbacks.on_train_end({})
                    history.seconds = time.perf_counter() - self.began
                    self.finished = True
                    self.file.after_training(self)
        except KeyboardInterrupt:
            history.stop_reason = "interrupted"
            raise
        finally:
            if not self.finished:
                history.seconds = time.perf_counter() - self.began
        return self.end()

    def interrupt(self) -> None:
        """A checkpoint is of the last step; then callbacks may put back the best epoch."""
        try:
            self.file.after_interrupt(self)
        finally:
            self.settled = False
            self.callbacks.on_interrupt({})

    def end(self) -> History:
        if self.history.stop_reason == "diverged":
            self.warn_diverged()
        return self.history

    @property
    def epoch(self) -> int:
        """The run's epoch: counted, as the steps are, with the parameters and nowhere else."""
        return self.net.epochs_done - self.first_epoch

    def run_epochs(self) -> str:
        """Epochs until the last, a callback's stop or divergence; returns the reason."""
        for epoch in range(self.epoch, self.epochs):
            if self.resumed_step is None:
                self.callbacks.on_epoch_begin(epoch, {})
                self.begin_epoch(epoch)
            good = self.run_epoch(epoch, self.resumed_step or 0)
            result = self.evaluate() if good else {}
            self.settled, self.resumed_step = False, None
            if not good:
                self.put_back_good()
                return "diverged"
            self.end_epoch(epoch, result)
            self.take_good()
            if self.net.stop_training:
                return self.net.stop_reason or "stopped by a callback"
            self.file.after_epoch(self, epoch + 1)
        return "all epochs done"

    def run_epoch(self, epoch: int, step: int = 0) -> bool:
        """One epoch, from that step on; False where it diverged."""
        self.settled = not self.callbacks.uses_batches
        if self.blocks_of is None:
            good = self._run_steps(epoch, self.job, self.learner, 0, step)
        else:
            blocks = self.blocks_of(step)
            good = all(self._run_block(epoch, first, data) for first, data in blocks)
        if not good:
            return False
        self.settled = True
        # No later loss would show an overflow in the epoch's last update.
        self.diverged_at = epoch, self.steps - 1, float(self.learner.lr[-1])
        return self.is_finite()

    def _run_block(self, epoch: int, first: int, data: TrainingData) -> bool:
        """The steps of rows that have been read for them, in their order."""
        ends = np.minimum(np.arange(self.batch, len(data) + self.batch, self.batch), len(data))
        part = slice(first, first + len(ends))
        if data.weights is not None:
            sums = np.cumsum(data.weights, dtype=np.float64)[ends - 1]
            self.step_weights[part] = np.diff(sums, prepend=0.0)
        own = self.learner
        job = self._new_job(data, np.arange(len(data)))
        job.epoch, job.first_stream = self.job.epoch, self.job.first_stream + first
        learner = self._new_learner(own.lr[part], own.losses[part], own.correct[part])
        return self._run_steps(epoch, job, learner, first, first)

    def _run_steps(
        self, epoch: int, job: _core.TrainingJob, learner: _core.Learner, first: int, step: int
    ) -> bool:
        """The steps of a job, whose own begin with the epoch's step `first`, from `step` on."""
        batches, last = self.callbacks.uses_batches, first + len(learner.lr)
        while step < last:
            if batches:
                self.callbacks.on_train_batch_begin(step, {})
            end = step + 1 if batches else last
            self.net.engine.train(job, learner, step - first, end - first)
            self.add_up(step, step + learner.steps)
            step += learner.steps
            if learner.diverged:
                self.diverged_at = epoch, step, float(learner.lr[step - first])
                return False
            logs = self.logs()
            if batches:
                self.callbacks.on_train_batch_end(step - 1, logs)
            self.callbacks.on_progress(epoch * self.steps + step, logs)
            self.file.after_steps(self)
        return True

    def take_good(self) -> None:
        """Keeps where the training stands, to go back there if it diverges."""
        self.net.engine.take(self.good, self.optimizer.rule, self.states)

    def put_back_good(self) -> None:
        self.net.engine.put_back(self.good, self.optimizer.rule, self.states)

    def begin_epoch(self, epoch: int) -> None:
        """Draws the order of the rows: a pure function of the seed and the count of epochs."""
        net, order = self.net, self.job.order
        draw_order(order, self.sampling, net.seed, net.epochs_done, len(order))
        if self.data.weights is not None and self.blocks_of is None:
            ends = np.cumsum(self.data.weights[order], dtype=np.float64)[self.step_ends - 1]
            self.step_weights = np.diff(ends, prepend=0.0)
        self.totals = dict.fromkeys(self.totals, 0.0)
        self.job.epoch, self.job.first_stream = net.epochs_done, net.steps_done
        self.learner.lr = self.schedule.lr(
            self.optimizer.lr, epoch * self.steps, self.steps, self.steps, self.epochs
        )

    def add_up(self, first: int, last: int) -> None:
        """Adds steps to the epoch's totals in order, so that bits do not depend on the calls."""
        step_losses, correct = self.learner.losses, self.learner.correct
        for step in range(first, last):
            weight = float(self.step_weights[step])
            self.totals["weight"] += weight
            self.totals["loss"] += weight * float(step_losses[step])
            self.totals["correct"] += float(correct[step])
        self.totals["rows"] = float(min(last * self.batch, self.n_rows))
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
        if isinstance(self.validation, HeldChunks):
            return self.validation.evaluate(self.metrics, self.n_threads)
        result = passes.evaluate(self.net.engine, self.validation, self.n_threads)
        return result | self.evaluate_metrics()

    def evaluate_metrics(self) -> dict[str, float]:
        """The metrics beside loss and accuracy."""
        if self.validation is None or isinstance(self.validation, HeldChunks) or not self.metrics:
            return {}
        engine, targets = self.net.engine, self.net.targets
        return passes.evaluate_metrics(
            engine, self.validation, targets, self.metrics, self.n_threads
        )

    def end_epoch(self, epoch: int, result: Mapping[str, float]) -> None:
        logs = self.logs()
        logs |= {f"val_{name}": value for name, value in result.items()}
        logs["lr"] = float(self.learner.lr[-1])
        self.net.epochs_done += 1
        self.history.append(epoch, logs)
        self.schedule.on_epoch_end(logs)
        self.callbacks.on_epoch_end(epoch, logs)

    # The state of the run, in a checkpoint

    def state(self, *, begun: bool) -> State:
        """Everything that the rest of the run depends on; begun: in the middle of an epoch."""
        net, learner = self.net, self.learner
        now, good = net.engine.state(self.optimizer.rule, self.states), self.good
        network = net.__getstate__()
        network["arrays"].pop("parameters")
        first = self.job.first_stream if begun else now.steps_done
        done = slice(now.steps_done - first)
        same = good.steps_done == now.steps_done and np.array_equal(good.parameters, now.parameters)
        self.history.seconds = time.perf_counter() - self.began
        return {
            "network": network,
            "training": _state_to_dict(now),
            "good": None if same else _state_to_dict(good),
            "lr": self.optimizer.lr,
            "schedule": self.schedule.state_dict(),
            "callbacks": [callback.state_dict() for callback in self._remembering()],
            "history": self.history.to_dict(),
            "epoch": {
                "number": self.epoch,
                "begun": begun,
                "first_step": first,
                "lr": learner.lr[: self.steps if begun else 0],
                "losses": learner.losses[done],
                "correct": learner.correct[done],
                # Of rows in memory they are known.
                **({} if self.blocks_of is None else {"weights": self.step_weights[done]}),
            },
            "stop": [self.net.stop_training, self.net.stop_reason],
            "diverged_at": self.diverged_at,
            "finished": self.finished,
        }

    def restore(self, state: State) -> None:
        """Goes back to where `state` was taken; only callbacks come later."""
        net = self.net
        with self.file.explained():
            epoch = state["epoch"]
            number = _validate.whole("epoch", epoch["number"], 0, self.epochs)
            now, good = state["training"], state["good"]
            for one in (now,) if good is None else (good, now):
                net.engine.put_back(_state_from_dict(one), self.optimizer.rule, self.states)
                if one is not now or good is None:
                    self.take_good()
            before = net.epochs_done - number
            self.first_epoch = _validate.whole("epochs_done", before, -self.first)
            self.optimizer.lr = state["lr"]
            self.schedule.load_state_dict(state["schedule"])
            net.metadata = checked_metadata(state["network"].get("metadata", {}))
            vars(self.history).update(vars(History.from_dict(state["history"])))
            self.began -= self.history.seconds
            if _validate.boolean("begun", epoch["begun"]):
                self._restore_epoch(epoch)
            stop, why = state["stop"]
            net.stop_training, net.stop_reason = _validate.boolean("stop", stop), str(why)
            if (at := state["diverged_at"]) is not None:
                self.diverged_at = int(at[0]), int(at[1]), float(at[2])
            self.finished = _validate.boolean("finished", state["finished"])
        if self.finished:
            self.restore_callbacks(state)
        steps = self.epoch * self.steps + (self.resumed_step or 0)
        for callback in self.callbacks:
            callback.params = {**callback.params, "resumed": True, "initial_step": steps}

    def _restore_epoch(self, epoch: Mapping[str, Any]) -> None:
        """An epoch that had begun: its rows, rates and what its steps gave so far."""
        self.begin_epoch(self.epoch)
        done = self.net.steps_done - epoch["first_step"]
        self.job.first_stream = self.net.steps_done - _validate.whole("steps", done, 0, self.steps)
        learner = self.learner
        places = {
            "lr": learner.lr,
            "losses": learner.losses[:done],
            "correct": learner.correct[:done],
        }
        if self.blocks_of is not None:
            places["weights"] = self.step_weights[:done]
        for name, place in places.items():
            if (found := epoch[name]).shape != place.shape or found.dtype != place.dtype:
                raise ValueError(f"{name}: expected {place.shape} {place.dtype}")
            place[...] = found
        self.add_up(0, done)
        self.resumed_step = done

    def restore_callbacks(self, state: State) -> None:
        with self.file.explained():
            pairs = list(zip(self._remembering(), state["callbacks"], strict=True))
            for callback, own in pairs:
                callback.load_state_dict(own)
        for callback, _ in pairs:
            if forgotten := _forgotten(callback):
                warn_caller(
                    f"{type(callback).__name__} has no state_dict: in a resumed run it begins anew "
                    f"with what it keeps from epoch to epoch, such as perhaps: {forgotten}",
                    UserWarning,
                )

    def warn_diverged(self) -> None:
        assert self.diverged_at is not None
        epoch, step, rate = self.diverged_at
        kept = self.good.epochs_done - self.first_epoch
        advice = f"lower the learning rate (it was {rate:g})"
        largest = float(np.abs(np.asarray(self.data.X[: 10 * self.batch])).max())
        if largest > 10 and self.data.mean is None:
            advice += f", scale the inputs (they reach {largest:g}; preprocess='standardize')"
        if not self.clip:
            advice += ", or clip the gradient (clip_norm=1)"
        where = f"the end of epoch {kept}" if kept > self.first else "where fit began"
        warn_caller(
            f"the loss stopped being finite in epoch {epoch + 1}, step {step + 1}; "
            f"the parameters were put back to {where}: {advice}",
            DivergenceWarning,
        )


def _forgotten(callback: Callback) -> str:
    """Attributes that may be a state, of a callback that does not say what it remembers."""
    if type(callback).state_dict is not Callback.state_dict:
        return ""
    arguments = inspect.signature(type(callback)).parameters
    own = vars(callback).keys() - arguments.keys() - {"network", "params"}
    return ", ".join(sorted(own))


def _state_to_dict(state: _core.TrainingState) -> State:
    return {
        "parameters": state.parameters,
        "states": state.states,
        "clock": state.clock,
        "epochs_done": state.epochs_done,
        "steps_done": state.steps_done,
    }


def _state_from_dict(state: State) -> _core.TrainingState:
    held = _validate.sequence("states", state["states"], "a list of arrays")
    arrays = [_validate.plain_array("states", one) for one in held]
    clock = checked_clock(state["clock"])
    return _core.TrainingState(**{**state, "states": arrays, "clock": clock})


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


def refuse_monitors_of_validation(
    callbacks: Iterable[Callback], schedule: schedules.Schedule
) -> None:
    """Refuses callbacks and schedules that monitor validation without validation data."""
    missing = {"val_loss", "val_accuracy"}  # other names may come from a callback
    for watcher in (*callbacks, schedule):
        watch: Any = getattr(watcher, "watched", None)
        if getattr(watch, "name", None) in missing and getattr(watcher, "needs_monitor", True):
            name = type(watcher).__name__
            raise ValueError(f"{name}: expected validation_data, to watch {watch.name!r}")


def draw_order(order: Ints, sampling: str, seed: int, epoch: int, n_rows: int) -> None:
    """Fills `order` with an epoch's rows of `n_rows`: a pure function of seed and epoch."""
    if sampling == "epoch":
        _core.random_permutation(order, seed, _core.stream_of("shuffle", 0, epoch))
    else:
        stream = _core.stream_of("replacement", 0, epoch)
        _core.random_integers(order, seed, stream, 0, 0, n_rows)


def fit_data(net: MLP, X: Any, y: Any, options: FitOptions) -> AnyData:
    """The data of a fit: arrays, or chunks."""
    if is_dask(X):
        X, y = dask_chunks(X, y, options.sample_weight), None
        options = replace(options, sample_weight=None)
    return ChunkedData(net, X, y, options) if isinstance(X, Chunks) else FitData(net, X, y, options)


def train(net: MLP, X: Any, y: Any, options: FitOptions) -> History:
    """Trains `net`, as `MLP.fit` does."""
    held_out = options.validation_data
    of_validation = held_out[:1] if isinstance(held_out, tuple) else ()
    with released(X, *of_validation):
        return Fit(net, X, y, options).run()
