"""What a trial does, wherever it runs: train a network, or call the user's function."""

from __future__ import annotations

import copy
import inspect
import math
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from fanin import _validate, optim, schedules
from fanin._typing import Array, Floats
from fanin.callbacks import History
from fanin.callbacks.base import Callback, Logs
from fanin.callbacks.monitor import Monitor
from fanin.executors import InMemory, OnDisk, StopOnEvent, StoppedError
from fanin.network import MLP, inputs
from fanin.network.options import NETWORK_OPTIONS, SEARCHABLE_FIT_OPTIONS, FitOptions
from fanin.training import DivergenceWarning, Fit
from fanin.training.batched import can_join, fit_together
from fanin.tuning.space import plain

Options = Mapping[str, Any]

# What a space may hold; `epochs` beside a space is an argument of the search itself.
PARAMETERS = sorted(["hidden", "depth", "lr", "seed", *NETWORK_OPTIONS, *SEARCHABLE_FIT_OPTIONS])
OPTIONS = [name for name in PARAMETERS if name != "epochs"]

# Trials that train as one batch have these in common, since they share minibatches and the shape of
# the first layer; all else may differ.
SHARED = ("batch_size", "sampling", "preprocess", "seed", "dtype", "epochs")
# Trials with other values than these train alone.
BATCHED_ONLY_WITH = {"clip_norm": None, "augment": None, "mix": None, "drop_connect": 1.0}
NARROW = 64  # units: wider first layers gained nothing
MAX_BATCH, CACHE = 16, 12e6  # networks, and bytes of their first layers with momenta


@dataclass(frozen=True)
class Job:
    """One trial, or its part up to an epoch, as it goes to a worker."""

    trial: int
    params: Options
    epochs: int  # to train up to
    total_epochs: int  # of the whole run, for schedules
    limits: Sequence[float] = ()  # an epoch's best score so far that is worse ends the trial
    checkpoint: TrialCheckpoint | None = None  # where to go on from


@dataclass(frozen=True)
class TrialCheckpoint:
    """A trial between two parts of its training."""

    network: MLP
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any]
    history: History
    best: BestEpoch


@dataclass(frozen=True)
class BestEpoch:
    """The best epoch of a run so far, and the parameters that it ended with."""

    score: float = math.nan
    epoch: int = -1
    parameters: Array | None = None


@dataclass(frozen=True)
class TrialResult:
    """What came of a job."""

    trial: int
    status: str  # done, diverged, pruned or failed
    score: float = math.nan
    epoch: int | None = None  # of the score, from 0
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    metrics: Options = field(default_factory=dict)  # what else the user's function returned
    error: str | None = None
    network: MLP | None = None
    checkpoint: TrialCheckpoint | None = None


def failed_result(trial: int, error: str) -> TrialResult:
    """An error in place of a score."""
    return TrialResult(trial, "failed", error=error)


class _TrialCallback(Callback):
    """Keeps the best epoch; stops where the loss has grown too much or the trial is a poor one."""

    def __init__(self, objective: TrainingObjective, job: Job) -> None:
        self.monitor, self.stop_ratio = objective.monitor, objective.stop_ratio
        self.limits = job.limits
        before = job.checkpoint
        self.best = BestEpoch() if before is None else before.best
        self.first_loss = None if before is None else before.history.initial_loss
        self.diverged = ""
        self.pruned = False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        net = self.network
        number, loss = net.epochs_done - 1, (logs or {})["loss"]
        score = self.monitor.value(logs)
        if self.best.epoch < 0 or self.monitor.better(score, self.best.score):
            self.best = BestEpoch(score, number, net.get_parameters())
        first = net.history.initial_loss if self.first_loss is None else self.first_loss
        if first > 0 and loss > self.stop_ratio * first:
            self.diverged = f"the loss is {loss:.4g} in epoch {number + 1}, it began at {first:.4g}"
        elif number < len(self.limits):
            self.pruned = self.monitor.better(self.limits[number], self.best.score)
        if self.diverged or self.pruned:
            net.stop_training = True


class _ResumedSchedule(schedules.Schedule):
    """A schedule of the whole run, in a fit that begins at a later epoch."""

    def __init__(self, whole: schedules.Schedule, first: int, total: int) -> None:
        self.whole, self.first, self.total = whole, first, total
        self.watched = getattr(whole, "watched", None)

    def lr(
        self,
        base_lr: float,
        first_step: int,
        n_steps: int,
        steps_per_epoch: int,
        epochs: float,  # noqa: ARG002  of this part
    ) -> Floats:
        begin = self.first * steps_per_epoch + first_step
        return self.whole.lr(base_lr, begin, n_steps, steps_per_epoch, self.total)

    def on_epoch_end(self, logs: Mapping[str, float] | None = None) -> None:
        self.whole.on_epoch_end(logs)


@dataclass(frozen=True)
class TrainingObjective:
    """Trials that train a network on the data, with these options beside their own parameters."""

    options: Options
    monitor: Monitor
    n_outputs: int
    stop_ratio: float
    seed: int
    keeps_checkpoint: bool = False

    def __call__(
        self, arrays: Mapping[str, Array], job: Job, n_threads: int, stop: Any = None
    ) -> TrialResult:
        trial = self.start(arrays, job, n_threads, stop)
        trial.fit.run()
        return self.result(trial)

    def start(
        self, arrays: Mapping[str, Array], job: Job, n_threads: int, stop: Any = None
    ) -> StartedTrial:
        """The fit that a job is, ready to run."""
        net, options = self.network(job.params, arrays["X"], n_threads)
        if job.checkpoint is not None:
            net = job.checkpoint.network.copy()  # the caller's serves again if a worker is lost
            options.pop("preprocess", None)
            options["optimizer"].load_state_dict(job.checkpoint.optimizer)
            options["schedule"].load_state_dict(job.checkpoint.schedule)
        schedule, first = options["schedule"], net.epochs_done
        callback = _TrialCallback(self, job)
        own = {
            "validation_data": (arrays["validation_X"], arrays["validation_y"]),
            "epochs": job.epochs - first,
            "schedule": _ResumedSchedule(schedule, first, job.total_epochs),
            "callbacks": [callback, *([] if stop is None else [StopOnEvent(stop)])],
            "progress": False,
            "n_threads": n_threads,
        }
        fit = Fit(net, arrays["X"], arrays["y"], FitOptions(**{**options, **own}))
        return StartedTrial(job, fit, schedule, callback)

    def result(self, trial: StartedTrial) -> TrialResult:
        """What came of a fit that has run."""
        job, net, history = trial.job, trial.fit.net, trial.fit.history
        best, diverged = trial.callback.best, trial.callback.diverged
        if job.checkpoint is not None:
            whole = History()
            whole.extend(job.checkpoint.history)
            whole.extend(history)
            history = whole
        status, error = "done", None
        if history.stop_reason == "diverged" or diverged:
            epoch = len(history.epoch) + 1
            status, error = "diverged", diverged or f"the loss is not finite in epoch {epoch}"
        elif trial.callback.pruned:
            status = "pruned"
        checkpoint = None
        if self.keeps_checkpoint and status == "done":
            optimizer, schedule = trial.fit.optimizer.state_dict(), trial.schedule.state_dict()
            checkpoint = TrialCheckpoint(net.copy(), optimizer, schedule, history, best)
        if best.parameters is not None:
            net.set_parameters(best.parameters)
        net.history = history
        scored = best.epoch >= 0
        return TrialResult(
            job.trial,
            status,
            best.score,
            best.epoch if scored else None,
            dict(history.history),
            error=error,
            network=net if scored else None,
            checkpoint=checkpoint,
        )

    def batch_key(self, job: Job) -> str | None:
        """What jobs of one batch have in common; None where this one trains alone."""
        options = {**self.options, **job.params}
        if any(options.get(name, usual) != usual for name, usual in BATCHED_ONLY_WITH.items()):
            return None
        widths = hidden_widths(options.get("hidden", 100), options.get("depth"))
        if not widths or widths[0] > NARROW:
            return None
        same = [plain(options.get(name)) for name in SHARED]
        return repr((widths[0], job.epochs, job.checkpoint is None, same))

    def max_batch(self, job: Job, features: int) -> int:
        """How many such jobs a core's part of the cache has room for."""
        width = hidden_widths({**self.options, **job.params}.get("hidden", 100), None)[0]
        return int(max(1, min(MAX_BATCH, CACHE // (3 * 4 * features * width))))

    def network(
        self, params: Options, X: Array, n_threads: int | None = None
    ) -> tuple[MLP, dict[str, Any]]:
        """A trial's network as it begins, and the rest of what fit needs."""
        # Copies, since optimizers and schedules keep state, and threads would share it.
        options = copy.deepcopy({**self.options, **params})
        options.pop("epochs", None)
        rate = options.pop("lr", None)
        fit = {name: options.pop(name) for name in SEARCHABLE_FIT_OPTIONS if name in options}
        fit["optimizer"] = optim.get(fit.get("optimizer", "adam"), rate)
        fit["schedule"] = schedules.get(fit.get("schedule"))
        width = math.prod(X.shape[1:])
        steps = inputs.transformers(fit.get("preprocess"))
        if steps:
            rows = X.reshape(len(X), -1)
            fit["preprocess"], _ = inputs.fitted(steps, rows, n_threads)
            width = fit["preprocess"][-1].n_features_out_
        widths = hidden_widths(options.pop("hidden", 100), options.pop("depth", None))
        seed = options.pop("seed", self.seed)
        return MLP([width, *widths, self.n_outputs], seed=seed, **options), fit


@dataclass(frozen=True)
class StartedTrial:
    """A job on its way."""

    job: Job
    fit: Fit
    schedule: schedules.Schedule
    callback: _TrialCallback


def hidden_widths(hidden: Any, depth: Any) -> list[int]:
    """Widths of the hidden layers: one for `depth` layers, or a list of them."""
    if isinstance(hidden, Sequence) and not isinstance(hidden, str):
        if depth is not None and depth != len(hidden):
            raise ValueError(f"depth: expected one width with depth, got {hidden!r} and {depth!r}")
        return [_validate.whole("hidden", h, 1) for h in hidden]
    count = 1 if depth is None else _validate.whole("depth", depth, 0)
    return [_validate.whole("hidden", hidden, 1)] * count


@dataclass(frozen=True)
class FunctionObjective:
    """Trials that call the user's function."""

    function: Callable[..., Any]
    monitor: Monitor
    takes_budget: bool

    def __call__(
        self, arrays: Mapping[str, Array], job: Job, n_threads: int, stop: Any = None
    ) -> TrialResult:
        del arrays, n_threads, stop
        params = copy.deepcopy(dict(job.params))
        value = self.function(params, job.epochs) if self.takes_budget else self.function(params)
        metrics: dict[str, Any] = {}
        if isinstance(value, Mapping):
            metrics = {str(k): v for k, v in value.items() if k != self.monitor.name}
            value = self.monitor.value(value)
        try:
            score = float(value)
        except (TypeError, ValueError):
            raise TypeError(
                f"objective: expected a number or a dict with {self.monitor.name!r}, "
                f"got {_validate.describe(value)}"
            ) from None
        if not math.isfinite(score):
            return TrialResult(
                job.trial, "diverged", metrics=metrics, error=f"the score is {score}"
            )
        return TrialResult(job.trial, "done", score, metrics=metrics)


Objective = TrainingObjective | FunctionObjective


@dataclass(frozen=True)
class JobBatch:
    """Jobs that go to a worker together."""

    objective: Objective
    jobs: Sequence[Job]


def run_batch(
    data: InMemory | OnDisk, batch: JobBatch, n_threads: int, stop: threading.Event | None = None
) -> list[TrialResult]:
    """The call of every executor: each job's result; what it raises is in it."""
    with ExitStack() as stack:
        if stop is None:  # another process, whose warnings nobody reads
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", DivergenceWarning)
        elif stop.is_set():
            raise StoppedError
        if len(batch.jobs) > 1 and isinstance(batch.objective, TrainingObjective):
            try:
                return _run_together(data.open(), batch.objective, batch.jobs, n_threads, stop)
            except StoppedError:
                raise
            except Exception:  # whoever raised it: each alone will tell
                pass
        return [_run_alone(data, batch.objective, job, n_threads, stop) for job in batch.jobs]


def _run_together(
    arrays: Mapping[str, Array],
    objective: TrainingObjective,
    jobs: Sequence[Job],
    n_threads: int,
    stop: Any,
) -> list[TrialResult]:
    trials = [objective.start(arrays, job, n_threads, stop) for job in jobs]
    fits = [trial.fit for trial in trials]
    if all(can_join(fits[0], fit) for fit in fits):
        fit_together(fits)
    else:
        for fit in fits:
            fit.run()
    return [objective.result(trial) for trial in trials]


def _run_alone(
    data: InMemory | OnDisk, objective: Objective, job: Job, n_threads: int, stop: Any
) -> TrialResult:
    try:
        return objective(data.open(), job, n_threads, stop)
    except StoppedError:
        raise
    except Exception as error:
        return failed_result(job.trial, f"{type(error).__name__}: {error}")


def takes_budget(function: Callable[..., Any]) -> bool:
    """Whether a function wants the number of epochs beside the parameters."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 1


def n_outputs(y: Array, y_val: Array) -> int:
    """Outputs that the targets need."""
    if y.ndim > 1:
        return math.prod(y.shape[1:])
    if y.dtype.kind not in "iu":
        raise TypeError(f"y: expected whole numbers as labels, got {_validate.describe(y)}")
    return int(max(y.max(), y_val.max())) + 1
