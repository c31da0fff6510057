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

import numpy as np
import numpy.typing as npt

from fanin import _validate, optim, schedules
from fanin.callbacks import History
from fanin.callbacks.base import Callback, Logs
from fanin.callbacks.monitor import Monitor
from fanin.ensemble.builders import DATA_OPTIONS, FIT_OPTIONS, NETWORK_OPTIONS
from fanin.executors import InMemory, OnDisk, StopOnEvent, StoppedError
from fanin.network import MLP, inputs
from fanin.network.options import FitOptions
from fanin.training import DivergenceWarning
from fanin.training.batched import Together, can_join
from fanin.training.fit import _Fit
from fanin.tuning.space import plain

Array = npt.NDArray[Any]
Options = Mapping[str, Any]

# Set by the search itself.
_OWN = ("epochs", "callbacks", "n_threads", *DATA_OPTIONS)
OPTIONS = sorted({"hidden", "depth", "lr", "seed", *NETWORK_OPTIONS, *FIT_OPTIONS}.difference(_OWN))
PARAMETERS = sorted({"epochs", *OPTIONS})

# Of trials that train side by side these are the same: they share minibatches and the first
# layer's shape. All else may differ.
SHARED = ("batch_size", "sampling", "preprocess", "seed", "dtype", "epochs")
ALONE = {"clip_norm": None, "augment": None, "mix": None, "drop_connect": 1.0}
NARROW = 64  # units: wider first layers gained nothing
MOST_TOGETHER, CACHE = 16, 12e6  # networks, and bytes of their first layers with momenta


@dataclass(frozen=True)
class Job:
    """One trial, or its part up to an epoch, as it goes to a worker."""

    trial: int
    params: Options
    epochs: int  # to train up to
    total_epochs: int  # of the whole run, for schedules
    limits: Sequence[float] = ()  # an epoch's best score so far that is worse ends the trial
    state: State | None = None  # where to go on from


@dataclass(frozen=True)
class State:
    """A trial between two parts of its training."""

    network: MLP
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any]
    history: History
    best: Best


@dataclass(frozen=True)
class Best:
    """The best epoch of a run so far, and the parameters that it ended with."""

    score: float = math.nan
    epoch: int = -1
    parameters: Array | None = None


@dataclass(frozen=True)
class Report:
    """What came of a job."""

    trial: int
    status: str  # done, diverged, pruned or failed
    score: float = math.nan
    epoch: int | None = None  # of the score, from 0
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    metrics: Options = field(default_factory=dict)  # what else the user's function returned
    error: str | None = None
    network: MLP | None = None
    state: State | None = None


class _Watch(Callback):
    """Keeps the best epoch; stops where the loss has grown too much or the trial is a poor one."""

    def __init__(self, training: Training, job: Job) -> None:
        self.monitor, self.stop_ratio = training.monitor, training.stop_ratio
        self.limits = job.limits
        self.best = Best() if job.state is None else job.state.best
        self.first_loss = None if job.state is None else job.state.history.initial_loss
        self.diverged = ""
        self.pruned = False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        net = self.network
        number, loss = net.epochs_done - 1, (logs or {})["loss"]
        score = self.monitor.value(logs)
        if self.best.epoch < 0 or self.monitor.better(score, self.best.score):
            self.best = Best(score, number, net.get_parameters())
        first = net.history.initial_loss if self.first_loss is None else self.first_loss
        if first > 0 and loss > self.stop_ratio * first:
            self.diverged = f"the loss is {loss:.4g} in epoch {number + 1}, it began at {first:.4g}"
        elif number < len(self.limits):
            self.pruned = self.monitor.better(self.limits[number], self.best.score)
        if self.diverged or self.pruned:
            net.stop_training = True


class _Part(schedules.Schedule):
    """A schedule of the whole run, in a fit that begins at a later epoch."""

    def __init__(self, whole: schedules.Schedule, first: int, total: int) -> None:
        self.whole, self.first, self.total = whole, first, total
        self._watch = getattr(whole, "_watch", None)

    def lr(
        self,
        base_lr: float,
        first_step: int,
        n_steps: int,
        steps_per_epoch: int,
        epochs: float,  # noqa: ARG002  of this part
    ) -> npt.NDArray[np.float64]:
        begin = self.first * steps_per_epoch + first_step
        return self.whole.lr(base_lr, begin, n_steps, steps_per_epoch, self.total)

    def on_epoch_end(self, logs: Mapping[str, float] | None = None) -> None:
        self.whole.on_epoch_end(logs)


@dataclass(frozen=True)
class Training:
    """Trials that train a network on the data, with these options beside their own parameters."""

    options: Options
    monitor: Monitor
    n_outputs: int
    stop_ratio: float
    seed: int
    keeps_state: bool = False

    def __call__(
        self, arrays: Mapping[str, Array], job: Job, n_threads: int, stop: Any = None
    ) -> Report:
        begun = self.begin(arrays, job, n_threads, stop)
        begun.fit.run()
        return self.report(begun)

    def begin(
        self, arrays: Mapping[str, Array], job: Job, n_threads: int, stop: Any = None
    ) -> Begun:
        """The fit that a job is, ready to run."""
        net, options = self.network(job.params, arrays["X"], n_threads)
        if job.state is not None:
            net = job.state.network.copy()  # the caller's own serves again if a worker is lost
            options.pop("preprocess", None)
            options["optimizer"].load_state_dict(job.state.optimizer)
            options["schedule"].load_state_dict(job.state.schedule)
        schedule, first = options["schedule"], net.epochs_done
        watch = _Watch(self, job)
        own = {
            "sample_weight": arrays.get("sample_weight"),
            "validation_data": (arrays["validation_X"], arrays["validation_y"]),
            "epochs": job.epochs - first,
            "schedule": _Part(schedule, first, job.total_epochs),
            "callbacks": [watch, *([] if stop is None else [StopOnEvent(stop)])],
            "progress": False,
            "n_threads": n_threads,
        }
        fit = _Fit(net, arrays["X"], arrays["y"], FitOptions(**{**options, **own}))
        return Begun(job, fit, schedule, watch)

    def report(self, begun: Begun) -> Report:
        """What came of a fit that has run."""
        job, net, watch, history = begun.job, begun.fit.net, begun.watch, begun.fit.history
        if job.state is not None:
            whole = History()
            whole.extend(job.state.history)
            whole.extend(history)
            history = whole
        status, error = "done", None
        if history.stop_reason == "diverged" or watch.diverged:
            epoch = len(history.epoch) + 1
            status, error = "diverged", watch.diverged or f"the loss is not finite in epoch {epoch}"
        elif watch.pruned:
            status = "pruned"
        state = None
        if self.keeps_state and status == "done":
            clock, optimizer = begun.schedule.state_dict(), begun.fit.optimizer.state_dict()
            state = State(net.copy(), optimizer, clock, history, watch.best)
        if watch.best.parameters is not None:
            net.set_parameters(watch.best.parameters)
        net.history = history
        scored = watch.best.epoch >= 0
        return Report(
            job.trial,
            status,
            watch.best.score,
            watch.best.epoch if scored else None,
            dict(history.history),
            error=error,
            network=net if scored else None,
            state=state,
        )

    def shared(self, job: Job) -> str | None:
        """What other jobs must have in common with this one to train beside it; None: it cannot."""
        options = {**self.options, **job.params}
        if any(options.get(name, usual) != usual for name, usual in ALONE.items()):
            return None
        widths = hidden_widths(options.get("hidden", 100), options.get("depth"))
        if not widths or widths[0] > NARROW:
            return None
        same = [plain(options.get(name)) for name in SHARED]
        return repr((widths[0], job.epochs, job.state is None, same))

    def most_together(self, job: Job, features: int) -> int:
        """How many such jobs a core's part of the cache has room for."""
        width = hidden_widths({**self.options, **job.params}.get("hidden", 100), None)[0]
        return int(max(1, min(MOST_TOGETHER, CACHE // (3 * 4 * features * width))))

    def network(
        self, params: Options, X: Array, n_threads: int | None = None
    ) -> tuple[MLP, dict[str, Any]]:
        """A trial's network as it begins, and the rest of what fit needs."""
        # Copies, since optimizers and schedules keep state, and threads would share it.
        options = copy.deepcopy({**self.options, **params})
        options.pop("epochs", None)
        rate = options.pop("lr", None)
        fit = {name: options.pop(name) for name in FIT_OPTIONS if name in options}
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
class Begun:
    """A job on its way."""

    job: Job
    fit: _Fit
    schedule: schedules.Schedule
    watch: _Watch


def hidden_widths(hidden: Any, depth: Any) -> list[int]:
    """Widths of the hidden layers: one for `depth` layers, or a list of them."""
    if isinstance(hidden, Sequence) and not isinstance(hidden, str):
        if depth is not None and depth != len(hidden):
            raise ValueError(f"depth: expected one width with depth, got {hidden!r} and {depth!r}")
        return [_validate.whole("hidden", h, 1) for h in hidden]
    count = 1 if depth is None else _validate.whole("depth", depth, 0)
    return [_validate.whole("hidden", hidden, 1)] * count


@dataclass(frozen=True)
class Function:
    """Trials that call the user's function."""

    function: Callable[..., Any]
    monitor: Monitor
    takes_budget: bool

    def __call__(
        self, arrays: Mapping[str, Array], job: Job, n_threads: int, stop: Any = None
    ) -> Report:
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
            return Report(job.trial, "diverged", metrics=metrics, error=f"the score is {score}")
        return Report(job.trial, "done", score, metrics=metrics)


Objective = Training | Function


@dataclass(frozen=True)
class Group:
    """Jobs that go to a worker together."""

    objective: Objective
    jobs: Sequence[Job]


def run(
    data: InMemory | OnDisk, group: Group, n_threads: int, stop: threading.Event | None = None
) -> list[Report]:
    """The call of every executor: each job's report; what it raises is in it."""
    with ExitStack() as stack:
        if stop is None:  # another process, whose warnings nobody reads
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", DivergenceWarning)
        elif stop.is_set():
            raise StoppedError
        if len(group.jobs) > 1 and isinstance(group.objective, Training):
            try:
                return _run_together(data.open(), group.objective, group.jobs, n_threads, stop)
            except StoppedError:
                raise
            except Exception:  # whoever raised it: each alone will tell
                pass
        return [_reported(data, group.objective, job, n_threads, stop) for job in group.jobs]


def _run_together(
    arrays: Mapping[str, Array], objective: Training, jobs: Sequence[Job], n_threads: int, stop: Any
) -> list[Report]:
    begun = [objective.begin(arrays, job, n_threads, stop) for job in jobs]
    fits = [one.fit for one in begun]
    if all(can_join(fits[0], fit) for fit in fits):
        Together(fits).run()
    else:
        for fit in fits:
            fit.run()
    return [objective.report(one) for one in begun]


def _reported(data: Any, objective: Objective, job: Job, n_threads: int, stop: Any) -> Report:
    try:
        return objective(data.open(), job, n_threads, stop)
    except StoppedError:
        raise
    except Exception as error:
        return failed(job.trial, f"{type(error).__name__}: {error}")


def failed(trial: int, error: str) -> Report:
    """A row of the search that has an error in place of a score."""
    return Report(trial, "failed", error=error)


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
