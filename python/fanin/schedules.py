"""Learning-rate schedules: the rate of every step as a function of its number.

A schedule multiplies the optimizer's learning rate. All but `Plateau` are immutable and pure, so
that a resumed run has the same rates as an uninterrupted one. Time is counted in epochs,
``t = step / steps_per_epoch``, with steps from 0.

>>> from fanin import schedules
>>> schedules.Step(every=1, factor=0.5).lr(0.1, 0, 4, steps_per_epoch=2, epochs=2)
array([0.1 , 0.1 , 0.05, 0.05])
"""

# ruff: noqa: ARG002 -- the methods are described in Schedule, and take what it passes
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fanin import _core, _validate
from fanin._typing import Floats
from fanin.callbacks.monitor import Monitor

__all__ = [
    "Constant",
    "Cosine",
    "CyclicCosine",
    "Exponential",
    "Function",
    "InverseTime",
    "OneCycle",
    "Plateau",
    "Schedule",
    "Step",
    "WarmUp",
    "get",
]


class Schedule:
    """Base class of schedules: a subclass has `multiplier`, or `lr` where that is not enough."""

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        """The factors of the base rate at these steps, (n,) float64."""
        raise TypeError(f"{type(self).__name__}: expected a schedule with multiplier() or lr()")

    def lr(
        self, base_lr: float, first_step: int, n_steps: int, steps_per_epoch: int, epochs: float
    ) -> Floats:
        """Learning rates of ``n_steps`` steps from ``first_step`` on, (n_steps,) float64.

        ``epochs`` is the length of the whole run. Beyond it a schedule keeps its last rate.
        """
        steps = np.arange(first_step, first_step + n_steps, dtype=np.float64)
        return base_lr * self.multiplier(steps, steps_per_epoch, epochs)

    def on_epoch_end(self, logs: Mapping[str, float] | None = None) -> None:
        """Gets the results of each epoch; only `Plateau` uses them."""

    def state_dict(self) -> dict[str, Any]:
        """What the schedule remembers of the epochs so far, as JSON values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state_dict` gave."""
        if state:
            raise ValueError(f"state: expected {{}} for {self!r}, got {dict(state)!r}")


@dataclass(frozen=True)
class Constant(Schedule):
    """The base rate throughout."""

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        return np.ones(len(steps))


@dataclass(frozen=True)
class Step(Schedule):
    """Multiply by ``factor`` every few epochs (PyTorch's StepLR).

    Parameters
    ----------
    every : int
        So many epochs.
    factor : float in (0, 1]
        The defaults are the course notes' "half every 5 epochs".
    """

    every: int = 5
    factor: float = 0.5

    def __post_init__(self) -> None:
        _validate.whole("every", self.every, 1)
        _fraction("factor", self.factor, above_0=True)

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        return _power(self.factor, steps // (steps_per_epoch * self.every))


@dataclass(frozen=True)
class Exponential(Schedule):
    """Multiply by ``decay`` at the end of each epoch, or fall steadily as ``exp(-rate * t)``.

    Parameters
    ----------
    decay : float in (0, 1], optional
        The lecture's ``learning_rate_decay``, PyTorch's ExponentialLR; 0.95 where neither is given.
    rate : float, optional
        The k of the course notes.
    """

    decay: float | None = None
    rate: float | None = None

    def __post_init__(self) -> None:
        if self.decay is None and self.rate is None:
            object.__setattr__(self, "decay", 0.95)
        if self.decay is not None and self.rate is not None:
            raise ValueError(
                f"rate: expected decay or rate, got both (decay={self.decay}, rate={self.rate})"
            )
        if self.decay is not None:
            _fraction("decay", self.decay, above_0=True)
        if self.rate is not None:
            _validate.real("rate", self.rate, 0)

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        if self.decay is not None:
            return _power(self.decay, steps // steps_per_epoch)
        assert self.rate is not None
        return _map("exp", -self.rate * (steps / steps_per_epoch))


@dataclass(frozen=True)
class InverseTime(Schedule):
    """1/t decay: ``1 / (1 + k * t)`` (course notes; Keras's InverseTimeDecay by epochs).

    Parameters
    ----------
    k : float
    """

    k: float = 1.0

    def __post_init__(self) -> None:
        _validate.real("k", self.k, 0)

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        return 1.0 / (1.0 + self.k * (steps / steps_per_epoch))


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from 1 down to ``min_factor`` over the run (Loshchilov & Hutter 2017, eq. 5).

    PyTorch's CosineAnnealingLR stepped once a minibatch, with T_max the steps of the run.

    Parameters
    ----------
    min_factor : float in [0, 1]
    """

    min_factor: float = 0.0

    def __post_init__(self) -> None:
        _fraction("min_factor", self.min_factor)

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        return _anneal(1.0, self.min_factor, steps / max(epochs * steps_per_epoch, 1.0))


@dataclass(frozen=True)
class CyclicCosine(Schedule):
    """Half a cosine from 1 down to ``min_factor``, ``cycles`` times over the run.

    Huang et al. 2017 ("Snapshot ensembles: train 1, get M for free"), eq. 2: a cycle has
    ceil(T / cycles) of the run's T steps.

    Parameters
    ----------
    cycles : int
    min_factor : float in [0, 1]
    """

    cycles: int = 5
    min_factor: float = 0.0

    def __post_init__(self) -> None:
        _validate.whole("cycles", self.cycles, 1)
        _fraction("min_factor", self.min_factor)

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        total = max(np.ceil(epochs * steps_per_epoch), 1.0)
        length = np.ceil(total / self.cycles)
        return _anneal(1.0, self.min_factor, np.minimum(steps, total - 1) % length / length)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """A straight line up over the first epochs, then another schedule from its start.

    Step s of W warm-up steps has the factor (s + 1) / W (Goyal et al. 2017, section 2.2).

    Parameters
    ----------
    epochs : float
        Length of the warm-up.
    then : str, Schedule or callable
        What follows, over the rest of the run; as `get` takes it.
    """

    epochs: float = 1.0
    then: Schedule = field(default_factory=Constant)

    def __post_init__(self) -> None:
        _validate.real("epochs", self.epochs, 0)
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


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Half a cosine up over the first part of the run, then one down to almost nothing.

    From ``1 / div`` to 1 to ``1 / div_final`` of the base rate, which is the highest (Smith 2018;
    fastai's defaults). PyTorch's OneCycleLR, but that its ``final_div_factor`` counts from the
    first rate: ``div_final / div``. Momentum is left alone.

    Parameters
    ----------
    pct_start : float in [0, 1)
        The share of the run in which the rate rises.
    div, div_final : float, at least 1
    """

    pct_start: float = 0.25
    div: float = 25.0
    div_final: float = 1e5

    def __post_init__(self) -> None:
        _fraction("pct_start", self.pct_start, below_1=True)
        _validate.real("div", self.div, 1)
        _validate.real("div_final", self.div_final, 1)

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        total = epochs * steps_per_epoch
        peak, last = self.pct_start * total - 1.0, total - 1.0
        up = _anneal(1.0 / self.div, 1.0, steps / peak) if peak > 0 else np.ones(len(steps))
        down = _anneal(1.0, 1.0 / self.div_final, (steps - peak) / (last - peak))
        return np.where(steps <= peak, up, down)


@dataclass(eq=False)
class Plateau(Schedule):
    """Multiply by ``factor`` when a result has not improved for ``patience`` epochs.

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
        Epochs after a cut that do not count.
    min_lr : float
        The lowest rate.
    mode : {"auto", "min", "max"}
        Which way is better; "auto" goes by the name.
    """

    monitor: str = "val_loss"
    factor: float = 0.1
    patience: int = 10
    min_delta: float = 1e-4
    cooldown: int = 0
    min_lr: float = 0.0
    mode: str = "auto"
    _scale: float = field(default=1.0, init=False, repr=False)
    _best: float | None = field(default=None, init=False, repr=False)
    _bad_epochs: int = field(default=0, init=False, repr=False)
    _cooling: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        self.watched = Monitor(self.monitor, self.mode, self.min_delta)
        _fraction("factor", self.factor, above_0=True, below_1=True)
        _validate.whole("patience", self.patience, 1)
        _validate.whole("cooldown", self.cooldown, 0)
        _validate.real("min_lr", self.min_lr, 0)

    def lr(
        self, base_lr: float, first_step: int, n_steps: int, steps_per_epoch: int, epochs: float
    ) -> Floats:
        floor = min(self.min_lr, base_lr)
        return np.full(n_steps, max(base_lr * self._scale, floor))

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
        return {
            "scale": self._scale,
            "best": self._best,
            "bad_epochs": self._bad_epochs,
            "cooling": self._cooling,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if set(state) != set(self.state_dict()):
            known = ", ".join(self.state_dict())
            raise ValueError(f"state: expected the keys {known}, got {', '.join(state) or 'none'}")
        best = state["best"]
        self._scale = float(state["scale"])
        self._best = None if best is None else float(best)
        self._bad_epochs, self._cooling = int(state["bad_epochs"]), int(state["cooling"])


@dataclass(frozen=True)
class Function(Schedule):
    """Any function of the step's number that gives a factor of the base rate.

    Parameters
    ----------
    function : callable
    """

    function: Callable[[int], float]

    def multiplier(self, steps: Floats, steps_per_epoch: int, epochs: float) -> Floats:
        factors = np.array([float(self.function(int(s))) for s in steps], dtype=np.float64)
        bad = ~(np.isfinite(factors) & (factors >= 0))
        if bad.any():
            i = int(np.argmax(bad))
            raise ValueError(
                f"schedule: expected finite factors >= 0, got {factors[i]} at step {int(steps[i])}"
            )
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
        A function takes the step's number and gives a factor of the base rate; None is `Constant`.

    Examples
    --------
    >>> get("cosine")
    Cosine(min_factor=0.0)
    """
    if schedule is None:
        return Constant()
    if isinstance(schedule, Schedule):
        return schedule
    if isinstance(schedule, str):
        return _KINDS[_validate.one_of("schedule", schedule, _KINDS)]()
    if isinstance(schedule, type) or not callable(schedule):
        raise TypeError(
            "schedule: expected a name, a Schedule object, a function of the step or None, "
            f"got {schedule!r}"
        )
    return Function(schedule)


def _fraction(name: str, value: float, *, above_0: bool = False, below_1: bool = False) -> None:
    """Refuses what is not a number from 0 to 1; ``above_0``, ``below_1`` exclude the ends."""
    number = _validate.real(name, value, 0, above=above_0)
    if number > 1 or (below_1 and number == 1):
        raise ValueError(f"{name}: expected {'below' if below_1 else 'at most'} 1, got {value!r}")


def _map(name: str, x: Floats) -> Floats:
    # Not NumPy's own, whose last bit differs between machines.
    return np.asarray(_core.map(name, np.ascontiguousarray(x, dtype=np.float64)))


def _anneal(start: float, end: float, progress: Floats) -> Floats:
    """Half a cosine from start (progress 0) to end (1)."""
    return end + (start - end) * 0.5 * (1.0 + _map("cospi", np.clip(progress, 0.0, 1.0)))


def _power(base: float, exponents: Floats) -> Floats:
    """The powers of base by repeated multiplication, in order: pow() has no fixed bits."""
    k = exponents.astype(np.int64)
    factors = np.full(int(k.max(initial=0)) + 1, base, dtype=np.float64)
    factors[0] = 1.0
    return np.multiply.accumulate(factors)[k]
