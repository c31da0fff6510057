"""Three test functions of two variables, on which optimizers take different paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from fanin import optim
from fanin._typing import Floats

Function = Callable[[Any, Any], Any]
Range = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Surface:
    """A function f of x and y, and where and how far optimizers run on it."""

    name: str
    formula: str
    function: Function  # of numbers or arrays
    gradient: Function  # gives a pair
    start: tuple[float, float]
    minimum: tuple[float, float] | None
    limits: tuple[Range, Range]  # of x and y; a path ends where it leaves them
    low: float  # an optimizer has arrived where f is below this
    steps: int  # the most that an optimizer takes
    # The rules that are shown, each at a rate that suits it: one for all would compare rates.
    rates: Mapping[str, float]

    def path(self, optimizer: optim.Optimizer) -> Floats:
        """The points (n + 1, 2) of n optimizer steps from `start`; n is at most `steps`."""
        point = np.array(self.start)
        points = [point.copy()]
        low, high = np.transpose(self.limits)
        for _ in range(self.steps):
            optimizer.step(point, np.array(self.gradient(*point)))
            points.append(point.copy())
            if not ((low <= point) & (point <= high)).all():
                break
        return np.array(points)

    def arrival(self, path: Floats) -> int | None:
        """The first step after which f is below `low`, or None."""
        there = np.flatnonzero(self.function(*path.T) < self.low)
        return int(there[0]) if there.size else None


def _beale_terms(x: Any, y: Any) -> list[tuple[int, Any]]:
    return [(n, c - x + x * y**n) for n, c in ((1, 1.5), (2, 2.25), (3, 2.625))]


def _beale(x: Any, y: Any) -> Any:
    return sum(term**2 for _, term in _beale_terms(x, y))


def _beale_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    terms = _beale_terms(x, y)
    return (
        sum(2 * term * (y**n - 1) for n, term in terms),
        sum(2 * term * n * x * y ** (n - 1) for n, term in terms),
    )


_ADAMS = ("adam", "adamw", "nadam", "amsgrad")

SADDLE = Surface(
    name="saddle",
    formula="x² − y²",
    function=lambda x, y: x**2 - y**2,
    gradient=lambda x, y: (2 * x, -2 * y),
    start=(-1.2, 1e-3),
    minimum=None,
    limits=((-1.6, 1.0), (-0.6, 1.2)),
    low=0.0,
    steps=120,
    rates={
        **dict.fromkeys(("sgd", "momentum", "nesterov"), 0.05),
        "adagrad": 0.1,
        "rmsprop": 0.01,
        "adadelta": 1.0,
        **dict.fromkeys((*_ADAMS, "lion"), 0.05),
    },
)

BEALE = Surface(
    name="beale",
    formula="(1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)²",
    function=_beale,
    gradient=_beale_gradient,
    start=(1.0, 1.5),
    minimum=(3.0, 0.5),
    limits=((-0.4, 4.6), (-2.0, 2.0)),
    low=0.01,
    steps=400,
    rates={
        "sgd": 0.02,
        "momentum": 0.004,
        "nesterov": 0.004,
        "adagrad": 0.5,
        "rmsprop": 0.05,
        "adadelta": 10.0,
        **dict.fromkeys(_ADAMS, 0.2),
        "lion": 0.05,
    },
)

# Two basins along x: from the right, the nearer one is only a local minimum.
LOCAL = Surface(
    name="local",
    formula="x⁴ − 2x² + x/2 + y²",
    function=lambda x, y: x**4 - 2 * x**2 + 0.5 * x + y**2,
    gradient=lambda x, y: (4 * x**3 - 4 * x + 0.5, 2 * y),
    start=(1.6, 0.9),
    minimum=(-1.0572, 0.0),
    limits=((-1.9, 1.9), (-1.2, 1.2)),
    low=-1.4,
    steps=200,
    rates={
        "sgd": 0.02,
        "momentum": 0.02,
        "nesterov": 0.04,
        "adagrad": 0.3,
        "rmsprop": 0.02,
        "adadelta": 2.0,
        **dict.fromkeys(_ADAMS, 0.4),
        "lion": 0.05,
    },
)

SURFACES = MappingProxyType({surface.name: surface for surface in (SADDLE, LOCAL, BEALE)})
