"""Learning-rate schedules: the learning rate as a function of the step.

A schedule multiplies the optimizer's learning rate. All but `Plateau` are immutable and pure, so
that a run that is resumed by ``fit(initial_epoch=...)`` has the very rates of an uninterrupted one.
Time is counted in epochs, ``t = step / steps_per_epoch``, with steps from 0.

>>> from fanin import schedules
>>> schedules.Step(every=1, factor=0.5).lr(0.1, 0, 4, steps_per_epoch=2, epochs=2)
array([0.1 , 0.1 , 0.05, 0.05])
"""

# ruff: noqa: ARG002 -- the methods are described in Schedule, and take what it passes
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

import numpy as np

from fanin import _core, _validate
from fanin._typing import Floats
from fanin.callbacks.monitor import Monitor

__all__ = [
    "Constant", "Cosine", "CyclicCosine", "Exponential", "Function", "InverseTime", "OneCycle",
    "Plateau", "Schedule", "Step", "WarmUp", "get",
]  # fmt: skip

T = TypeVar("T")

_STATE = ("scale", "best", "bad_epochs", "cooling")  # of Plateau


def _fraction(name: str, value: float, *, above_0: bool = False, below_1: bool = False) -> None:
    """Refuses what is not a number from 0 to 1; ``above_0``, ``below_1`` exclude the ends."""
    number = _validate.real(name, value, 0, above=above_0)
    if number > 1 or (below_1 and number == 1):
        raise ValueError(f"{name}: expected {'below' if below_1 else 'at most'} 1, got {value!r}")


def _within(default: T, check: Callable[..., object], *args: object, **options: object) -> T:
    """A field whose value is checked when a schedule is made: ``check(name, value, ...)``."""
    return field(default=default, metadata={"check": (check, args, options)})


class Schedule:
    """Base class of schedules: a subclass has `multiplier`, or `lr` where that is not enough.

    Examples
    --------
    >>> class Halves(fanin.schedules.Schedule):
    ...     def multiplier(self, steps, steps_per_epoch, epochs):
    ...         return 0.5 ** (steps // steps_per_epoch)
    >>> Halves().lr(0.1, 0, 3, steps_per_epoch=1, epochs=3)
    array([0.1  , 0.05 , 0.025])
    """

    def __post_init__(self) -> None:
        for one in fields(self):  # type: ignore[arg-type]  # of a subclass that is a dataclass
            value = getattr(self, one.name)
            if "check" in one.metadata and not (value is None is one.default):
                check, args, options = one.metadata["check"]
                check(one.name, value, *args, **options)

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        """The factors of the base learning rate at these steps, (n,) float64.

        Parameters
        ----------
        steps : ndarray of shape (n,), float64
            Steps since the run's beginning, from 0.
        steps_per_epoch : int
        epochs : float
            Length of the whole run.
        """
        raise TypeError(f"{type(self).__name__}: expected a schedule with multiplier() or lr()")

    def lr(
        self, base_lr: float, first_step: int, n_steps: int, steps_per_epoch: int, epochs: float
    ) -> Floats:
        """Learning rates of ``n_steps`` steps from ``first_step`` on, (n_steps,) float64.

        Parameters
        ----------
        base_lr : float
            The optimizer's learning rate.
        first_step, n_steps, steps_per_epoch : int
        epochs : float
            Length of the whole run; after it the learning rate stays constant.
        """
        steps = np.arange(first_step, first_step + n_steps, dtype=np.float64)
        return base_lr * self.multiplier(steps, steps_per_epoch, epochs)

    def on_epoch_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Gets the metrics of each epoch; only `Plateau` uses them."""

    def state_dict(self) -> dict[str, Any]:
        """What the schedule remembers of the epochs so far, as JSON values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        if state:
            raise ValueError(f"state: expected {{}} for {self!r}, got {dict(state)!r}")


class _Fixed(Schedule):
    """A schedule that is its values. A dataclass would make these methods anew for each class."""

    def _values(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in self._values().items())})"
        )

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._values() == self._values()

    def __hash__(self) -> int:
        return hash((type(self), *self._values().values()))


@dataclass(frozen=True, eq=False, repr=False)
class Constant(_Fixed):
    """A constant learning rate.

    Examples
    --------
    >>> schedule = fanin.schedules.Constant()
    >>> schedule.lr(0.1, 0, 4, steps_per_epoch=1, epochs=4).round(4)
    array([0.1, 0.1, 0.1, 0.1])
    """

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        return np.ones(len(steps))


@dataclass(frozen=True, eq=False, repr=False)
class Step(_Fixed):
    """Multiply by ``factor`` every `every` epochs (PyTorch's StepLR).

    Parameters
    ----------
    every : int
    factor : float in (0, 1]
        The defaults are the course notes' "half every 5 epochs".

    Examples
    --------
    >>> schedule = fanin.schedules.Step(every=2, factor=0.5)
    >>> schedule.lr(0.1, 0, 4, steps_per_epoch=1, epochs=4).round(4)
    array([0.1 , 0.1 , 0.05, 0.05])
    """

    every: int = _within(5, _validate.whole, 1)
    factor: float = _within(0.5, _fraction, above_0=True)

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        return _power(self.factor, steps // (steps_per_epoch * self.every))


@dataclass(frozen=True, eq=False, repr=False)
class Exponential(_Fixed):
    """Multiply by ``decay`` at the end of each epoch, or decay continuously, ``exp(-rate * t)``.

    Parameters
    ----------
    decay : float in (0, 1], optional
        The lecture's ``learning_rate_decay``, PyTorch's ExponentialLR; 0.95 where neither is given.
    rate : float, optional
        The k of the course notes.

    Examples
    --------
    >>> schedule = fanin.schedules.Exponential()
    >>> schedule.lr(0.1, 0, 4, steps_per_epoch=1, epochs=4).round(4)
    array([0.1   , 0.095 , 0.0902, 0.0857])
    """

    decay: float | None = _within(None, _fraction, above_0=True)
    rate: float | None = _within(None, _validate.real, 0)

    def __post_init__(self) -> None:
        if self.decay is None and self.rate is None:
            object.__setattr__(self, "decay", 0.95)
        if self.decay is not None and self.rate is not None:
            both = f"(decay={self.decay}, rate={self.rate})"
            raise ValueError(f"rate: expected decay or rate, got both {both}")
        super().__post_init__()

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        if self.decay is not None:
            return _power(self.decay, steps // steps_per_epoch)
        assert self.rate is not None
        return _map("exp", -self.rate * (steps / steps_per_epoch))


@dataclass(frozen=True, eq=False, repr=False)
class InverseTime(_Fixed):
    """1/t decay: ``1 / (1 + k * t)`` (course notes; Keras's InverseTimeDecay by epochs).

    Parameters
    ----------
    k : float

    Examples
    --------
    >>> schedule = fanin.schedules.InverseTime()
    >>> schedule.lr(0.1, 0, 4, steps_per_epoch=1, epochs=4).round(4)
    array([0.1   , 0.05  , 0.0333, 0.025 ])
    """

    k: float = _within(1.0, _validate.real, 0)

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        return 1.0 / (1.0 + self.k * (steps / steps_per_epoch))


@dataclass(frozen=True, eq=False, repr=False)
class Cosine(_Fixed):
    """Half a cosine from 1 down to ``min_factor`` over the run (Loshchilov & Hutter 2017, eq. 5).

    PyTorch's CosineAnnealingLR stepped once a minibatch, with T_max the steps of the run.

    Parameters
    ----------
    min_factor : float in [0, 1]

    Examples
    --------
    >>> schedule = fanin.schedules.Cosine()
    >>> schedule.lr(0.1, 0, 4, steps_per_epoch=1, epochs=4).round(4)
    array([0.1   , 0.0854, 0.05  , 0.0146])
    """

    min_factor: float = _within(0.0, _fraction)

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        return _anneal(1.0, self.min_factor, steps / max(epochs * steps_per_epoch, 1.0))


@dataclass(frozen=True, eq=False, repr=False)
class CyclicCosine(_Fixed):
    """Half a cosine from 1 down to ``min_factor``, ``cycles`` times over the run.

    Huang et al. 2017 ("Snapshot ensembles: train 1, get M for free"), eq. 2: a cycle has
    ceil(T / cycles) of the run's T steps.

    Parameters
    ----------
    cycles : int
    min_factor : float in [0, 1]

    Examples
    --------
    >>> schedule = fanin.schedules.CyclicCosine(cycles=2)
    >>> schedule.lr(0.1, 0, 4, steps_per_epoch=1, epochs=4).round(4)
    array([0.1 , 0.05, 0.1 , 0.05])
    """

    cycles: int = _within(5, _validate.whole, 1)
    min_factor: float = _within(0.0, _fraction)

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        total = max(np.ceil(epochs * steps_per_epoch), 1.0)
        length = np.ceil(total / self.cycles)
        return _anneal(1.0, self.min_factor, np.minimum(steps, total - 1) % length / length)


@dataclass(frozen=True, eq=False, repr=False)
class WarmUp(_Fixed):
    """Linear warm-up over the first epochs, then another schedule from its start.

    Step s of W warm-up steps has the factor (s + 1) / W (Goyal et al. 2017, section 2.2).

    Parameters
    ----------
    epochs : float
    then : str, Schedule or callable
        What follows, over the rest of the run; as `get` takes it.

    Examples
    --------
    >>> schedule = fanin.schedules.WarmUp(epochs=2)
    >>> schedule.lr(0.1, 0, 4, steps_per_epoch=1, epochs=4).round(4)
    array([0.05, 0.1 , 0.1 , 0.1 ])
    """

    epochs: float = _within(1.0, _validate.real, 0)
    then: Schedule = field(default_factory=Constant)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "then", get(self.then))

    def lr(
        self, base_lr: float, first_step: int, n_steps: int, steps_per_epoch: int, epochs: float
    ) -> Floats:
        warm = round(self.epochs * steps_per_epoch)
        n_ramp = min(max(warm - first_step, 0), n_steps)
        ramp = base_lr * ((np.arange(first_step, first_step + n_ramp) + 1) / max(warm, 1))
        after = first_step + n_ramp - warm
        epochs_left = max(epochs - warm / steps_per_epoch, 0.0)
        rest = self.then.lr(base_lr, max(after, 0), n_steps - n_ramp, steps_per_epoch, epochs_left)
        return np.concatenate([ramp, rest])

    def on_epoch_end(self, logs: Mapping[str, float] | None = None) -> None:
        self.then.on_epoch_end(logs)

    def state_dict(self) -> dict[str, Any]:
        return self.then.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.then.load_state_dict(state)


@dataclass(frozen=True, eq=False, repr=False)
class OneCycle(_Fixed):
    """Half a cosine up over the first part of the run, then one down to almost 0.

    From ``1 / div`` to 1 to ``1 / div_final`` of the base learning rate (Smith 2018;
    fastai's defaults). As PyTorch's OneCycleLR, whose ``final_div_factor`` is relative to the
    first learning rate: ``div_final / div``. Momentum is not changed.

    Parameters
    ----------
    pct_start : float in [0, 1)
        The fraction of the run in which the learning rate rises.
    div, div_final : float, at least 1

    Examples
    --------
    >>> schedule = fanin.schedules.OneCycle()
    >>> schedule.lr(0.1, 0, 4, steps_per_epoch=1, epochs=4).round(4)
    array([0.1  , 0.075, 0.025, 0.   ])
    """

    pct_start: float = _within(0.25, _fraction, below_1=True)
    div: float = _within(25.0, _validate.real, 1)
    div_final: float = _within(1e5, _validate.real, 1)

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        total = epochs * steps_per_epoch
        peak, last = self.pct_start * total - 1.0, total - 1.0
        up = _anneal(1.0 / self.div, 1.0, steps / peak) if peak > 0 else np.ones(len(steps))
        down = _anneal(1.0, 1.0 / self.div_final, (steps - peak) / (last - peak))
        return np.where(steps <= peak, up, down)


@dataclass(eq=False)
class Plateau(Schedule):
    """Multiply by ``factor`` when a metric has not improved for ``patience`` epochs.

    Keras's ReduceLROnPlateau and its defaults; PyTorch's, with ``threshold_mode="abs"``, waits one
    epoch longer.

    Parameters
    ----------
    monitor : str
        A name in the epoch logs, such as "val_loss".
    factor : float in (0, 1)
    patience : int
    min_delta : float
        A change of this or less is no improvement.
    cooldown : int
        Epochs to wait after a reduction.
    min_lr : float
    mode : {"auto", "min", "max"}
        Which way is better; "auto" asks `fanin.metrics.larger_is_better`.

    Examples
    --------
    >>> plateau = fanin.schedules.Plateau(patience=1)
    >>> for loss in (1.0, 1.0, 1.0):
    ...     plateau.on_epoch_end({"loss": loss, "val_loss": loss})
    >>> plateau.lr(0.1, 0, 1, steps_per_epoch=1, epochs=9)
    array([0.001])
    """

    monitor: str = "val_loss"
    factor: float = _within(0.1, _fraction, above_0=True, below_1=True)
    patience: int = _within(10, _validate.whole, 1)
    min_delta: float = 1e-4
    cooldown: int = _within(0, _validate.whole, 0)
    min_lr: float = _within(0.0, _validate.real, 0)
    mode: str = "auto"

    def __post_init__(self) -> None:
        self.watched: Monitor = Monitor(self.monitor, self.mode, self.min_delta)
        super().__post_init__()
        self._scale, self._bad_epochs, self._cooling = 1.0, 0, 0
        self._best: float | None = None

    def __setattr__(self, name: str, value: object) -> None:
        _validate.read_only(self, name, [one.name for one in fields(self)], "make another Plateau")
        object.__setattr__(self, name, value)

    def lr(
        self, base_lr: float, first_step: int, n_steps: int, steps_per_epoch: int, epochs: float
    ) -> Floats:
        return np.full(n_steps, max(base_lr * self._scale, min(self.min_lr, base_lr)))

    def on_epoch_end(self, logs: Mapping[str, float] | None = None) -> None:
        value = self.watched.value(logs)
        best = self.watched.worst if self._best is None else self._best
        if self.watched.better(value, best):
            self._best, self._bad_epochs = value, 0
        else:
            self._bad_epochs += 1
        if self._cooling > 0:
            self._cooling -= 1
            self._bad_epochs = 0
        if self._bad_epochs >= self.patience:
            self._scale *= self.factor
            self._cooling, self._bad_epochs = self.cooldown, 0

    def state_dict(self) -> dict[str, Any]:
        values = (self._scale, self._best, self._bad_epochs, self._cooling)
        return dict(zip(_STATE, values, strict=True))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if set(state) != set(_STATE):
            given = ", ".join(state) or "none"
            raise ValueError(f"state: expected the keys {', '.join(_STATE)}, got {given}")
        scale, best, bad_epochs, cooling = (state[key] for key in _STATE)
        self._scale, self._best = float(scale), None if best is None else float(best)
        self._bad_epochs, self._cooling = int(bad_epochs), int(cooling)


@dataclass(frozen=True, eq=False, repr=False)
class Function(_Fixed):
    """A function from the step's number to a factor of the base learning rate (PyTorch's LambdaLR).

    Parameters
    ----------
    function : callable

    Examples
    --------
    >>> half = fanin.schedules.Function(lambda step: 0.5**step)
    >>> half.lr(0.1, 0, 3, steps_per_epoch=1, epochs=3)
    array([0.1  , 0.05 , 0.025])
    """

    function: Callable[[int], float]

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        factors = np.array([float(self.function(int(s))) for s in steps])
        for step, factor in zip(steps, factors, strict=True):
            if not (np.isfinite(factor) and factor >= 0):
                got = f"{factor} at step {int(step)}"
                raise ValueError(f"schedule: expected finite factors >= 0, got {got}")
        return factors


_KINDS: dict[str, Callable[[], Schedule]] = {
    "constant": Constant,
    "step": Step,
    "exponential": Exponential,
    "inverse_time": InverseTime,
    "cosine": Cosine,
    "cyclic_cosine": CyclicCosine,
    "warmup": WarmUp,
    "one_cycle": OneCycle,
    "plateau": Plateau,
}


def get(schedule: str | Schedule | Callable[[int], float] | None) -> Schedule:
    """The schedule of that name, the object itself, or a function wrapped as one.

    Parameters
    ----------
    schedule : str, Schedule, callable or None
        A function maps the step's number to a factor of the base learning rate; None is `Constant`.

    Examples
    --------
    >>> get("cosine")
    Cosine(min_factor=0.0)
    """
    schedule = Constant() if schedule is None else schedule
    if isinstance(schedule, Schedule):
        return schedule
    if isinstance(schedule, str):
        return _KINDS[_validate.one_of("schedule", schedule, _KINDS)]()
    if isinstance(schedule, type) or not callable(schedule):
        expected = "a name, a Schedule object, a function of the step or None"
        raise TypeError(f"schedule: expected {expected}, got {schedule!r}")
    return Function(schedule)


def _map(name: str, x: Floats) -> Floats:
    # Not NumPy's own, whose last bit differs between machines.
    return np.asarray(_core.map(name, np.ascontiguousarray(x, dtype=np.float64)))


def _anneal(start: float, end: float, progress: Floats) -> Floats:
    """Half a cosine from start (progress 0) to end (1)."""
    within = np.minimum(np.maximum(progress, 0.0), 1.0)  # np.clip takes three times as long
    return end + (start - end) * 0.5 * (1.0 + _map("cospi", within))


def _power(base: float, exponents: Floats) -> Floats:
    """The powers of base by repeated multiplication, in order: pow() has no fixed bits."""
    k = exponents.astype(np.int64)
    factors = np.full(int(k.max(initial=0)) + 1, base, dtype=np.float64)
    factors[0] = 1.0
    return np.multiply.accumulate(factors)[k]
