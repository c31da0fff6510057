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

A choice may bring parameters of its own, which a trial has with that option only:

>>> space = {
...     "optimizer": choice(
...         {"adam": {"lr": loguniform(1e-4, 1e-2)}, "momentum": {"lr": loguniform(1e-2, 1)}}
...     )
... }
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from fanin import _validate
from fanin._json import loggable, plain
from fanin._typing import Floats
from fanin.random import package_generator

__all__ = ["Parameter", "Space", "choice", "integers", "loguniform", "uniform"]

NATURAL = ("", "low", "high", "both")
NATURAL_LOW = {"reg": 0.0, "momentum": 0.0, "depth": 0.0, "hidden": 1.0, "batch_size": 1.0}
NATURAL_HIGH = {"keep": 1.0, "drop_connect": 1.0, "momentum": 1.0}


class Parameter(ABC):
    """Values that one hyperparameter may take, along the unit interval.

    Examples
    --------
    >>> isinstance(fanin.tuning.uniform(0, 1), fanin.tuning.Parameter)
    True
    """

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
        branches = tuple(space_from_dict(branch) for branch in data.get("branches", ()))
        return Choice(tuple(data["options"]), branches)
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
    branches: tuple[Space, ...] = ()  # none, or the parameters that come with each option

    def to_dict(self) -> dict[str, Any]:
        data: dict[str, Any] = {"kind": "choice", "options": plain(self.options)}
        return data | (
            {"branches": list(map(space_to_dict, self.branches))} if self.branches else {}
        )

    def labels(self) -> list[str]:
        """Each option as text."""
        return [str(plain(option)) for option in self.options]

    def at(self, u: float) -> Any:
        return self.options[min(int(u * len(self.options)), len(self.options) - 1)]

    def position(self, value: Any) -> float:
        return (self.index(value) + 0.5) / len(self.options)

    def index(self, value: Any) -> int:
        """Which option a value is: itself, or something that reads the same."""
        for i in range(len(self.options)):
            if self.is_option(i, value):
                return i
        raise ValueError(f"expected one of {self}, got {value!r}")

    def is_option(self, i: int, value: Any) -> bool:
        """Whether a value is that option."""
        return self.options[i] is value or bool(plain(self.options[i]) == plain(value))

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
        if not self.branches:
            return f"choice([{', '.join(map(repr, self.options))}])"
        branches = zip(self.options, self.branches, strict=True)
        return f"choice({{{', '.join(f'{option!r}: {_text(b)}' for option, b in branches)}}})"


def _text(space: Space) -> str:
    return f"{{{', '.join(f'{name!r}: {p}' for name, p in space.items())}}}"


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


def choice(options: Sequence[Any] | Mapping[Any, Space]) -> Choice:
    """One of several options of any kind, all equally likely.

    Parameters
    ----------
    options : sequence, or dict of options and spaces
        Numbers, names, lists of widths, optimizers, schedules, pipelines... In the log of a search
        stands what `repr` makes of an object, which must be text that JSON can hold. The parameters
        in an option's space, which may be empty, are there in trials with that option only; those
        of two options may have one name.

    Examples
    --------
    >>> fanin.tuning.choice(["relu", "tanh"]).at(0)
    'relu'
    >>> fanin.tuning.choice({"sgd": {}, "adam": {"lr": fanin.tuning.uniform(0, 1)}}).at(0)
    'sgd'
    """
    if isinstance(options, Mapping):
        branches = tuple(_branch(f"options[{k!r}]", branch) for k, branch in options.items())
        options = list(options)
    else:
        branches = ()
    given = tuple(_validate.sequence("options", options, "a list of options"))
    if not given:
        raise ValueError("options: expected at least one, got none")
    for option in given:
        if isinstance(option, Parameter) or (
            isinstance(option, Mapping) and any(isinstance(v, Parameter) for v in option.values())
        ):
            raise TypeError(
                f"options: expected values, got {option!r}; choice({{NAME: {{...}}, ...}}) brings "
                "parameters with an option"
            )
    texts = [repr(loggable(f"options[{i}]", option)) for i, option in enumerate(given)]
    if twice := [text for text in texts if texts.count(text) > 1]:
        raise ValueError(f"options: expected different ones, got {twice[0]} twice")
    return Choice(given, branches if any(branches) else ())


def _branch(name: str, space: Any) -> Space:
    """What an option of a choice brings; None is nothing."""
    if space is None:
        return {}
    if not isinstance(space, Mapping):
        got = _validate.describe(space)
        raise TypeError(f"{name}: expected a dict of parameters, got {got}")
    return space


def check_space(space: Any, name: str = "space") -> dict[str, Parameter]:
    """The space, by name, in the order of the names: that in which a trial's numbers are drawn."""
    if not isinstance(space, Mapping):
        got = _validate.describe(space)
        raise TypeError(f"{name}: expected a dict of names and parameters, got {got}")
    if not space:
        raise ValueError(f"{name}: expected at least one parameter, got none")
    for key, parameter in space.items():
        if not isinstance(key, str):
            raise TypeError(f"{name}: expected names, got {key!r}")
        if not isinstance(parameter, Parameter):
            raise TypeError(
                f"{name}[{key!r}]: expected uniform, loguniform, integers or choice of "
                f"fanin.tuning, got {_described(key, parameter)}"
            )
    checked = {key: _checked(space[key], key, f"{name}[{key!r}]") for key in sorted(space)}
    together = [{key, *names_of(*branches_of(p))} for key, p in checked.items()]
    everywhere = [key for keys in together for key in keys]
    if twice := sorted(key for key in set(everywhere) if everywhere.count(key) > 1):
        raise ValueError(
            f"{name}: expected a name once among parameters that come together, got {twice[0]!r} "
            "twice"
        )
    return checked


def _described(name: str, value: Any) -> str:
    got = _validate.describe(value)
    if isinstance(value, (list, tuple)):
        got += f"; choice({list(value)!r}) tries each"
    elif isinstance(value, (int, float, str)):
        got += f"; search(..., {name}={value!r}) fixes it"
    return got


def _checked(parameter: Parameter, key: str, name: str) -> Parameter:
    """The parameter, with the spaces that its options bring checked too."""
    if not (isinstance(parameter, Choice) and parameter.branches):
        return parameter
    named = zip(parameter.options, parameter.branches, strict=True)
    branches = (check_space(b, f"{name}[{option!r}]") if b else {} for option, b in named)
    checked = replace(parameter, branches=tuple(branches))
    if key in names_of(*checked.branches):
        raise ValueError(f"{name}: expected other names than its own in its spaces, got {key!r}")
    return checked


def branches_of(parameter: Parameter) -> tuple[Space, ...]:
    """The spaces that come with the options of a choice; of other parameters none."""
    return parameter.branches if isinstance(parameter, Choice) else ()


def names_of(*spaces: Space) -> list[str]:
    """The names of all parameters, each once, those that come with options among them."""
    return list(dict.fromkeys(leaf.name for space in spaces for leaf in leaves(space)))


@dataclass(frozen=True)
class Leaf:
    """A parameter of a space, and the options (name, option) without which it is not there."""

    name: str
    parameter: Parameter
    conditions: tuple[tuple[str, Any], ...] = ()

    @property
    def label(self) -> str:
        """The name, and with which options: ``lr (optimizer=adam)``."""
        options = ", ".join(f"{name}={plain(option)}" for name, option in self.conditions)
        return f"{self.name} ({options})" if options else self.name

    def is_in(self, params: Mapping[str, Any]) -> bool:
        """Whether a trial with these values has it."""
        return self.name in params and all(
            name in params and plain(params[name]) == plain(option)
            for name, option in self.conditions
        )


def leaves(space: Space, conditions: tuple[tuple[str, Any], ...] = ()) -> Iterator[Leaf]:
    """All parameters, each before those that come with its options."""
    for name, parameter in space.items():
        yield Leaf(name, parameter, conditions)
        if isinstance(parameter, Choice):
            for option, branch in zip(parameter.options, parameter.branches, strict=False):
                yield from leaves(branch, (*conditions, (name, option)))


NOTHING: Mapping[str, Any] = MappingProxyType({})


def draw(space: Space, seed: int, trial: int, given: Mapping[str, Any] = NOTHING) -> dict[str, Any]:
    """The values of a trial: a pure function of seed and number, but for those that are given."""
    rng = package_generator(seed, "search", step=trial)
    return at_units(space, rng.random(n_units(space), dtype=np.float64), given)


def n_units(space: Space) -> int:
    """Numbers in [0, 1] that values of the space are made of: one for each parameter."""
    return sum(1 for _ in leaves(space))


def at_units(space: Space, units: Floats, given: Mapping[str, Any] = NOTHING) -> dict[str, Any]:
    """Each parameter's value at a position of its own in [0, 1], but for those that are given."""
    return _values(space, iter(units.tolist()), given)


def _values(space: Space, units: Iterator[float], given: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, parameter in space.items():
        unit = next(units)
        value = values[name] = given[name] if name in given else parameter.at(unit)
        for i, branch in enumerate(branches_of(parameter)):
            inner = _values(branch, units, given)  # all have their units, chosen or not
            assert isinstance(parameter, Choice)
            if parameter.is_option(i, value):
                values |= inner
    return values


def _bounds(low: float, high: float) -> tuple[float, float]:
    low, high = (_validate.real(n, v, -math.inf) for n, v in (("low", low), ("high", high)))
    if not low < high:
        raise ValueError(f"low, high: expected low < high, got {low}, {high}")
    return low, high
