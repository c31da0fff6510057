"""Spaces of hyperparameters: which values a search may try, and on which scale.

A space is a dict of names and parameters. Every parameter maps the unit interval onto its values,
so that drawing, grids, quasi-random points and positions within the range are the same for all.
Numbers are rounded to seven digits, so that a search prints with %e exactly what it used.

>>> from fanin.tuning import choice, integers, loguniform, uniform
>>> space = {"lr": loguniform(1e-6, 1e-3), "hidden": choice([50, 100, [100, 50]])}
>>> space["lr"].at(0.5)
3.162278e-05
>>> space["hidden"].at(0.99)
[100, 50]
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from fanin import _validate
from fanin._files import json_number
from fanin._typing import Floats
from fanin.random import package_generator

__all__ = ["Parameter", "Space", "choice", "integers", "loguniform", "uniform"]

NATURAL = ("", "low", "high", "both")
NATURAL_LOW = {"reg": 0.0, "momentum": 0.0, "depth": 0.0, "hidden": 1.0, "batch_size": 1.0}
NATURAL_HIGH = {"keep": 1.0, "drop_connect": 1.0, "momentum": 1.0}


class Parameter(ABC):
    """Values that one hyperparameter may take, along the unit interval."""

    @abstractmethod
    def at(self, u: float) -> Any:
        """The value at u in [0, 1]."""

    @abstractmethod
    def position(self, value: Any) -> float:
        """Where in [0, 1] a value lies, beyond it for values beyond the range; inverse of `at`."""

    @abstractmethod
    def grid(self, n: int) -> list[Any]:
        """At most n values, evenly over the range, both ends included; all options of a choice."""

    def to_dict(self) -> dict[str, Any]:
        """Kind and arguments as JSON values."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return {"kind": type(self).__name__.lower(), **{k: plain(v) for k, v in values.items()}}


Space = Mapping[str, Parameter]


def parameter_from_dict(data: Mapping[str, Any]) -> Parameter:
    """The inverse of `Parameter.to_dict`."""
    if data["kind"] == "choice":
        return Choice(tuple(data["options"]))
    kinds = {"range": Range, "integers": Integers}
    return kinds[data["kind"]](**{k: v for k, v in data.items() if k != "kind"})


def space_to_dict(space: Space) -> dict[str, Any]:
    return {name: parameter.to_dict() for name, parameter in space.items()}


def space_from_dict(data: Mapping[str, Any]) -> dict[str, Parameter]:
    return {name: parameter_from_dict(values) for name, values in data.items()}


@dataclass(frozen=True)
class Range(Parameter):
    """Numbers between two bounds; see `uniform`, `loguniform` and `integers`."""

    low: float
    high: float
    log: bool = False
    natural: str = ""

    def at(self, u: float) -> Any:
        return min(max(float(f"{self._between(u):.7g}"), self.low), self.high)

    def _between(self, u: float) -> float:
        low, high = self._ends()
        if self.log:
            return math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
        return low + u * (high - low)

    def position(self, value: Any) -> float:
        low, high = self._ends()
        if not self.log:
            return float((value - low) / (high - low))
        return math.log(value / low) / math.log(high / low) if value > 0 else -math.inf

    def _ends(self) -> tuple[float, float]:
        return self.low, self.high

    def grid(self, n: int) -> list[Any]:
        points = np.linspace(0, 1, n).tolist() if n > 1 else [0.5]
        return list(dict.fromkeys(self.at(u) for u in points))

    def narrowed(self, low: float, high: float, name: str = "") -> Range:
        """The part between two positions, which may lie beyond [0, 1], within natural bounds."""
        low, high = self._rounded(self._between(low), self._between(high))
        low = max(low, NATURAL_LOW.get(name, low))
        return replace(self, low=low, high=min(high, NATURAL_HIGH.get(name, high)))

    def _rounded(self, low: float, high: float) -> tuple[float, float]:
        """Bounds that a person would write."""
        short = float(f"{low:.3g}"), float(f"{high:.3g}")
        return short if short[0] < short[1] else (low, high)

    def has_natural_end(self, side: str, name: str) -> bool:
        """Whether a parameter of that name could not go on beyond this side."""
        low, high = NATURAL_LOW.get(name, -math.inf), NATURAL_HIGH.get(name, math.inf)
        known = self.low <= low if side == "low" else self.high >= high
        return known or self.natural in (side, "both")

    def __str__(self) -> str:
        kind = "loguniform" if self.log else "uniform"
        return f"{kind}({self.low:.6g}, {self.high:.6g})"


@dataclass(frozen=True)
class Integers(Range):
    """Integers between two bounds, both included."""

    def _ends(self) -> tuple[float, float]:
        # Each number has the same share of the interval, the first and last ones too.
        return self.low - 0.5, self.high + 0.5

    def at(self, u: float) -> Any:
        return int(min(max(math.floor(self._between(u) + 0.5), self.low), self.high))

    def grid(self, n: int) -> list[Any]:
        if self.high - self.low < n:
            return list(range(int(self.low), int(self.high) + 1))
        if n == 1:
            return [self.at(0.5)]
        return [math.floor(v + 0.5) for v in Range(self.low, self.high, self.log).grid(n)]

    def _rounded(self, low: float, high: float) -> tuple[float, float]:
        first = max(math.ceil(low - 1e-9), 1 if self.log else -math.inf)
        return first, max(first, math.floor(high + 1e-9))

    def __str__(self) -> str:
        return f"integers({self.low}, {self.high}{', log=True' if self.log else ''})"


@dataclass(frozen=True)
class Choice(Parameter):
    """One of several options; see `choice`."""

    options: tuple[Any, ...]

    def labels(self) -> list[str]:
        """Each option as text."""
        return [str(plain(option)) for option in self.options]

    def at(self, u: float) -> Any:
        return self.options[min(int(u * len(self.options)), len(self.options) - 1)]

    def position(self, value: Any) -> float:
        return (self.index(value) + 0.5) / len(self.options)

    def index(self, value: Any) -> int:
        """Which option a value is: itself, or something that reads the same."""
        for i, option in enumerate(self.options):
            if option is value or plain(option) == plain(value):
                return i
        raise ValueError(f"expected one of {self}, got {value!r}")

    def grid(self, n: int) -> list[Any]:  # noqa: ARG002  options are the user's own grid
        return list(self.options)

    @property
    def ordered(self) -> bool:
        """Whether the options are different numbers, from low to high or back."""
        values = list(self.options)
        if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in values):
            return False
        rising = sorted(set(values))
        return values in (rising, rising[::-1])

    def __str__(self) -> str:
        return f"choice([{', '.join(map(repr, self.options))}])"


def uniform(low: float, high: float, *, natural: str = "") -> Range:
    """Numbers of an interval, all equally likely.

    Parameters
    ----------
    low, high : float
        ``low < high``.
    natural : {"", "low", "high", "both"}
        Bounds that the parameter cannot exceed, so that a best value there does not mean that the
        range is too narrow. Some are known: 1 of keep, 0 of reg...

    Examples
    --------
    >>> fanin.tuning.uniform(0.5, 1).at(0.5)
    0.75
    """
    return Range(*_bounds(low, high), natural=_validate.one_of("natural", natural, NATURAL))


def loguniform(low: float, high: float, *, natural: str = "") -> Range:
    """Positive numbers whose logarithms are equally likely: the lecture's ``10**uniform(-6, -3)``.

    Parameters
    ----------
    low, high : float
        ``0 < low < high``.
    natural : {"", "low", "high", "both"}
        As in `uniform`.

    Examples
    --------
    >>> fanin.tuning.loguniform(1e-5, 1e5).grid(3)
    [1e-05, 1.0, 100000.0]
    """
    low, high = _bounds(low, high)
    if low <= 0:
        raise ValueError(f"low: expected above 0 on a logarithmic scale, got {low}")
    return Range(low, high, True, _validate.one_of("natural", natural, NATURAL))


def integers(low: int, high: int, *, log: bool = False, natural: str = "") -> Integers:
    """Integers from low to high, both included.

    Parameters
    ----------
    low, high : int
        ``low <= high``.
    log : bool
        Whether equal factors, rather than equal differences, are equally likely.
    natural : {"", "low", "high", "both"}
        As in `uniform`.

    Examples
    --------
    >>> fanin.tuning.integers(1, 4).grid(10)
    [1, 2, 3, 4]
    """
    low = _validate.whole("low", low, -(2**53))
    high = _validate.whole("high", high, -(2**53), 2**53)
    if low > high:
        raise ValueError(f"low, high: expected low <= high, got {low}, {high}")
    if log and low < 1:
        raise ValueError(f"low: expected at least 1 on a logarithmic scale, got {low}")
    return Integers(low, high, bool(log), _validate.one_of("natural", natural, NATURAL))


def choice(options: Sequence[Any]) -> Choice:
    """One of several options of any kind, all equally likely.

    Parameters
    ----------
    options : sequence
        Numbers, names, lists of widths, optimizers, schedules, pipelines... In the log of a search
        stands what `repr` makes of an object.

    Examples
    --------
    >>> fanin.tuning.choice(["relu", "tanh"]).at(0)
    'relu'
    """
    given = tuple(_validate.sequence("options", options, "a list of options"))
    if not given:
        raise ValueError("options: expected at least one, got none")
    texts = [repr(plain(option)) for option in given]
    if twice := [text for text in texts if texts.count(text) > 1]:
        raise ValueError(f"options: expected different ones, got {twice[0]} twice")
    return Choice(given)


def check_space(space: Any) -> dict[str, Parameter]:
    """The space, by name, in the order of the names: that in which a trial's numbers are drawn."""
    if not isinstance(space, Mapping):
        got = _validate.describe(space)
        raise TypeError(f"space: expected a dict of names and parameters, got {got}")
    if not space:
        raise ValueError("space: expected at least one parameter, got none")
    for name, parameter in space.items():
        if not isinstance(name, str):
            raise TypeError(f"space: expected names, got {name!r}")
        if not isinstance(parameter, Parameter):
            got = _validate.describe(parameter)
            if isinstance(parameter, (list, tuple)):
                got += f"; choice({list(parameter)!r}) tries each"
            elif isinstance(parameter, (int, float, str)):
                got += f"; search(..., {name}={parameter!r}) fixes it"
            raise TypeError(
                f"space[{name!r}]: expected uniform, loguniform, integers or choice of "
                f"fanin.tuning, got {got}"
            )
    return {name: space[name] for name in sorted(space)}


def draw(space: Space, seed: int, trial: int) -> dict[str, Any]:
    """The values of a trial: a pure function of seed and number."""
    rng = package_generator(seed, "search", step=trial)
    return at_units(space, rng.random(len(space), dtype=np.float64))


def at_units(space: Space, units: Floats) -> dict[str, Any]:
    """Each parameter's value at a position of its own in [0, 1]."""
    return {name: p.at(u) for (name, p), u in zip(space.items(), units.tolist(), strict=True)}


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers, names and lists of them as they are, all else by repr."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return json_number(value)
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        values = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        sha256 = hashlib.sha256(values.data).hexdigest()
        return {"shape": list(value.shape), "dtype": str(value.dtype), "sha256": sha256}
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    text = repr(value)
    if " at 0x" in text:  # an address, which differs in each process
        return {plain(type(value)): plain(getattr(value, "__dict__", {}))}
    return text


def _bounds(low: float, high: float) -> tuple[float, float]:
    low, high = (_validate.real(n, v, -math.inf) for n, v in (("low", low), ("high", high)))
    if not low < high:
        raise ValueError(f"low, high: expected low < high, got {low}, {high}")
    return low, high
