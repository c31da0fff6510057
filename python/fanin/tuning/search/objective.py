"""The objective of a trial: train a network, or call the user's function."""

from __future__ import annotations

import copy
import inspect
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from warnings import catch_warnings

from fanin import _validate, optim, schedules
from fanin._json import loggable, plain
from fanin._typing import Array, Floats
from fanin.callbacks import History
from fanin.callbacks.base import Callback, Logs
from fanin.callbacks.monitor import Monitor
from fanin.executors import InMemory, OnDisk, StopOnEvent, StoppedError, failure_reason
from fanin.network import MLP, inputs
from fanin.network.options import NETWORK_OPTIONS, SEARCHABLE_FIT_OPTIONS, FitOptions
from fanin.training import DivergenceWarning, Fit
from fanin.training.batched import can_join, fit_together

Options = Mapping[str, Any]

# What a space may hold; `epochs` beside a space is an argument of the search itself.
PARAMETERS = sorted(["hidden", "depth", "lr", "seed", *NETWORK_OPTIONS, *SEARCHABLE_FIT_OPTIONS])
OPTIONS = [name for name in PARAMETERS if name != "epochs"]
FIXED = ("metrics", "sample_weight", "standardize_targets")  # and these are the same for all trials

# Trials that train as one batch have these in common, since they share minibatches and the shape of
# the first layer; all else may differ.
SHARED = ("batch_size", "sampling", "preprocess", "seed", "dtype", "compute", "epochs")
# Trials with other values than these train alone.
BATCHED_ONLY_WITH: dict[str, Any] = {
    "clip_norm": None,
    "augment": None,
    "mix": None,
    "drop_connect": 1.0,
}
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
    """The result of a job."""

    trial: int
    status: str  # done, diverged, pruned or failed
    score: float = math.nan
    epoch: int | None = None  # of the score, from 0
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    metrics: Options = field(default_factory=dict)  # what else the user's function returned
    error: str | None = None
    network: MLP | None = None
    checkpoint: TrialCheckpoint | None = None


class _TrialCallback(Callback):
    """Keeps the best epoch; stops where the loss has grown too much or the trial is a poor one."""

    def __init__(self, objective: TrainingObjective, job: Job) -> None:
        before = job.checkpoint
        self.monitor: Monitor = objective.monitor
        self.stop_ratio: float = objective.stop_ratio
        self.job = job
        self.best: BestEpoch = BestEpoch() if before is None else before.best
        self.first_loss: float | None = None if before is None else before.history.initial_loss
        self.diverged: str = ""
        self.pruned: bool = False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        net = self.network
        number, loss = net.epochs_done - 1, (logs or {})["loss"]
        score = self.monitor.value(logs)
        if self.best.epoch < 0 or self.monitor.better(score, self.best.score):
            self.best = BestEpoch(score, number, net.get_parameters())
        first = net.history.initial_loss if self.first_loss is None else self.first_loss
        if first > 0 and loss > self.stop_ratio * first:
            self.diverged = f"the loss is {loss:.4g} in epoch {number + 1}, it began at {first:.4g}"
        elif number < len(self.job.limits):
            self.pruned = self.monitor.better(self.job.limits[number], self.best.score)
        if self.diverged or self.pruned:
            net.stop_training = True


class _ResumedSchedule(schedules.Schedule):
    """A schedule of the whole run, in a fit that begins at a later epoch."""

    def __init__(self, whole: schedules.Schedule, first: int, total: int) -> None:
        self.whole, self.first, self.total = whole, first, total
        self.watched = getattr(whole, "watched", None)

    def lr(
        self, base_lr: float, first_step: int, n_steps: int, steps_per_epoch: int, epochs: float
    ) -> Floats:
        del epochs  # of this part
        begin = self.first * steps_per_epoch + first_step
        return self.whole.lr(base_lr, begin, n_steps, steps_per_epoch, self.total)

    def on_epoch_end(self, logs: Mapping[str, float] | None = None) -> None:
        self.whole.on_epoch_end(logs)


@dataclass(frozen=True)
class TrainingObjective:
    """Jobs that train networks on the data, with these options beside their own parameters."""

    options: Options
    monitor: Monitor
    n_outputs: int
    stop_ratio: float
    seed: int
    keeps_checkpoint: bool = False

    def __call__(
        self, arrays: Mapping[str, Array], jobs: Sequence[Job], n_threads: int, stop: Any = None
    ) -> list[TrialResult]:
        trials = [self.start(arrays, job, n_threads, stop) for job in jobs]
        fits = [fit for fit, _ in trials]
        if len(fits) > 1 and all(can_join(fits[0], fit) for fit in fits):
            fit_together(fits)
        else:
            for fit in fits:
                fit.run()
        return [self.result(*trial) for trial in trials]

    def start(
        self, arrays: Mapping[str, Array], job: Job, n_threads: int, stop: Any
    ) -> tuple[Fit, _TrialCallback]:
        """The fit that a job is, ready to run, and its callback."""
        net, options = self.network(job.params, arrays["X"], n_threads)
        if job.checkpoint is not None:
            net = job.checkpoint.network.copy()  # the caller's serves again if a worker is lost
            options.pop("preprocess", None)
            options["optimizer"].load_state_dict(job.checkpoint.optimizer)
            options["schedule"].load_state_dict(job.checkpoint.schedule)
        first, callback = net.epochs_done, _TrialCallback(self, job)
        options |= {
            "validation_data": (arrays["validation_X"], arrays["validation_y"]),
            "epochs": job.epochs - first,
            "schedule": _ResumedSchedule(options["schedule"], first, job.total_epochs),
            "callbacks": [callback, *([] if stop is None else [StopOnEvent(stop)])],
            "progress": False,
            "n_threads": n_threads,
        }
        options["sample_weight"] = arrays.get("sample_weight")
        return Fit(net, arrays["X"], arrays["y"], FitOptions(**options)), callback

    def result(self, fit: Fit, trial: _TrialCallback) -> TrialResult:
        """The result of a fit that has run."""
        job, net, history, best = trial.job, fit.net, fit.history, trial.best
        if job.checkpoint is not None:
            history = History()
            history.extend(job.checkpoint.history)
            history.extend(fit.history)
        status, error = "pruned" if trial.pruned else "done", None
        if history.stop_reason == "diverged" or trial.diverged:
            status, error = "diverged", trial.diverged
            error = error or f"the loss is not finite in epoch {len(history.epoch) + 1}"
        elif math.isnan(best.score):
            status, error = "diverged", f"{self.monitor.name} is nan in every epoch"
        checkpoint = None
        if self.keeps_checkpoint and status == "done":
            assert isinstance(fit.schedule, _ResumedSchedule)
            states = fit.optimizer.state_dict(), fit.schedule.whole.state_dict()
            checkpoint = TrialCheckpoint(net.copy(), *states, history, best)
        if best.parameters is not None:
            net.set_parameters(best.parameters)
        net.history = history
        epoch, network = (best.epoch, net) if best.epoch >= 0 else (None, None)
        curves = dict(history.history)
        return TrialResult(
            job.trial, status, best.score, epoch, curves, {}, error, network, checkpoint
        )

    def batch_key(self, job: Job) -> str | None:
        """What jobs of one batch have in common; None where this one trains alone."""
        options = {**self.options, **job.params}
        widths = hidden_widths(options.get("hidden", 100), options.get("depth"))
        unusual = any(
            options.get(name, usual) != usual for name, usual in BATCHED_ONLY_WITH.items()
        )
        if unusual or not widths or widths[0] > NARROW:
            return None
        same = [plain(options.get(name)) for name in SHARED]
        return repr((widths[0], job.epochs, job.checkpoint is None, same))

    def max_batch(self, job: Job, features: int) -> int:
        """How many such jobs fit into a core's part of the cache."""
        width = hidden_widths({**self.options, **job.params}.get("hidden", 100), None)[0]
        return int(max(1, min(MAX_BATCH, CACHE // (3 * 4 * features * width))))

    def network(
        self, params: Options, X: Array, n_threads: int | None = None
    ) -> tuple[MLP, dict[str, Any]]:
        """A trial's network as it begins, and the rest of what fit needs."""
        # Copies, since optimizers and schedules keep state, and threads would share it.
        options = {"seed": self.seed, **copy.deepcopy({**self.options, **params})}
        options.pop("epochs", None)
        rate = options.pop("lr", None)
        names = [name for name in (*SEARCHABLE_FIT_OPTIONS, *FIXED) if name in options]
        fit = {name: options.pop(name) for name in names}
        fit["optimizer"] = _optimizer(fit.get("optimizer", "adam"), rate, options)
        fit["schedule"] = schedules.get(fit.get("schedule"))
        width = math.prod(X.shape[1:])
        if steps := inputs.transformers(fit.get("preprocess")):
            fit["preprocess"], _ = inputs.fitted(steps, X.reshape(len(X), -1), n_threads)
            width = fit["preprocess"][-1].n_features_out_
        widths = hidden_widths(options.pop("hidden", 100), options.pop("depth", None))
        return MLP([width, *widths, self.n_outputs], **options), fit


def optimizer_arguments(optimizer: Any) -> list[str]:
    """What an optimizer that is given by its name takes beside the learning rate."""
    if not isinstance(optimizer, str):
        return []
    return [n for n in inspect.signature(type(optim.get(optimizer))).parameters if n != "lr"]


def _optimizer(given: Any, rate: float | None, options: dict[str, Any]) -> optim.Optimizer:
    """With the arguments of its own among the options, which lose them."""
    names = [name for name in optimizer_arguments(given) if name in options]
    if not names:
        return optim.get(given, rate)
    own = {name: options.pop(name) for name in names} | ({} if rate is None else {"lr": rate})
    return type(optim.get(given))(**own)


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
    """Jobs that call the user's function."""

    function: Callable[..., Any]
    monitor: Monitor
    takes_budget: bool

    def __call__(
        self, arrays: Mapping[str, Array], jobs: Sequence[Job], n_threads: int, stop: Any = None
    ) -> list[TrialResult]:
        del arrays, n_threads, stop
        return [self.called(job) for job in jobs]

    def called(self, job: Job) -> TrialResult:
        params = copy.deepcopy(dict(job.params))
        value = self.function(params, job.epochs) if self.takes_budget else self.function(params)
        metrics: dict[str, Any] = {}
        if isinstance(value, Mapping):
            metrics = {str(k): v for k, v in value.items() if k != self.monitor.name}
            for name, metric in metrics.items():
                loggable(f"metrics[{loggable('metrics', name)!r}]", metric)
            value = self.monitor.value(value)
        try:
            score = float(value)
        except (TypeError, ValueError):
            raise TypeError(
                f"objective: expected a number or a dict with {self.monitor.name!r}, "
                f"got {_validate.describe(value)}"
            ) from None
        if math.isfinite(score):
            return TrialResult(job.trial, "done", score, metrics=metrics)
        error = f"the score is {score}"
        return TrialResult(job.trial, "diverged", metrics=metrics, error=error)


Objective = TrainingObjective | FunctionObjective


def run_batch(
    objective: Objective,
    data: InMemory | OnDisk,
    jobs: Sequence[Job],
    n_threads: int,
    stop: threading.Event | None = None,
) -> list[TrialResult]:
    """What executors call: runs the jobs, and puts what they raise in their results."""
    with ExitStack() as stack:
        if stop is None:  # another process, whose warnings nobody reads
            stack.enter_context(catch_warnings(action="ignore", category=DivergenceWarning))
        elif stop.is_set():
            raise StoppedError
        try:
            return objective(data.open(), jobs, n_threads, stop)
        except StoppedError:
            raise
        except (Exception, SystemExit) as error:
            if len(jobs) == 1:
                return [TrialResult(jobs[0].trial, "failed", error=failure_reason(error))]
        # Run each job alone, to find which one raised.
        return [run_batch(objective, data, [job], n_threads, stop)[0] for job in jobs]


def takes_budget(function: Callable[..., Any]) -> bool:
    """Whether a function wants the number of epochs beside the parameters."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 1
