"""Parameters whose best value is at the edge of the range, as the lecture warns."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from fanin._typing import Floats
from fanin.tuning.search.trial import Trial
from fanin.tuning.space import (
    Choice,
    Integers,
    Leaf,
    Parameter,
    Range,
    Space,
    leaves,
    parameter_from_dict,
)

Trials = Sequence[Trial]

BEST_WITHIN = 0.15  # of the range's width: where the best lies
TOP_WITHIN = 0.25  # and most of the top ones
TOP, MOST = 5, 3
FEW = 20  # trials: of fewer, the best is one of the two nearest to the edge
# How many standard errors the score must rise towards the edge: over the range, and at the edge.
# Without any relation 1.9 are exceeded once in 35 times; below an optimum inside, the second is not
# (tests/tuning/search/test_search_edges.py has the shares of planted edges and false alarms).
TREND_OF_FEW, TREND = (1.9, 1.28), (1.28, 0.0)
BEYOND = 0.7  # of the range's width: how far the suggested range goes on
KEPT = 0.3  # and how much of the present one it keeps


@dataclass(frozen=True)
class Edge:
    """A parameter whose best values lie at one end of its range.

    Attributes
    ----------
    name : str
        With its conditions, where it comes with an option: "lr (optimizer=adam)".
    side : {"low", "high"}
    best : number
        Its value in the best trial.
    suggestion : Parameter or None
        A range that goes on beyond this end; None for a choice.
    evidence : str

    Examples
    --------
    >>> from fanin.tuning import search, uniform
    >>> far = search({"x": uniform(0, 1)}, lambda p: -(p["x"] - 3) ** 2, 30, progress=False)
    >>> far.edges()[0].side
    'high'
    """

    name: str
    side: str
    best: Any
    suggestion: Parameter | None
    evidence: str

    @property
    def advice(self) -> str:
        """What to try next."""
        return f"try {self.suggestion}" if self.suggestion else "try values beyond it"

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return vars(self) | {"suggestion": self.suggestion and self.suggestion.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        suggestion = data["suggestion"] and parameter_from_dict(data["suggestion"])
        return cls(**{**data, "suggestion": suggestion})

    def __str__(self) -> str:
        return f"{self.name}: {self.evidence}; {self.advice}"


def find_edges(space: Space, trials: Trials, grid: bool, noise: float) -> list[Edge]:
    """The edges: see `SearchResult.edges`; noise is a standard error."""
    return [edge for leaf in leaves(space) for edge in _edges_of(leaf, trials, grid, noise)]


def _edges_of(leaf: Leaf, trials: Trials, grid: bool, noise: float) -> Iterator[Edge]:
    """Of a parameter, by the trials that have it."""
    having = [t for t in trials if leaf.is_in(t.params)]
    ranked = sorted((t for t in having if t.ended_well), key=lambda t: -t.merit)
    positions = _positions(leaf.name, leaf.parameter, having)
    if len(ranked) < TOP or not positions:
        return
    stepped = grid or isinstance(leaf.parameter, (Choice, Integers))
    for side in ("low", "high"):
        distance = {n: u if side == "low" else 1 - u for n, u in positions.items()}
        natural = _range(leaf.parameter).has_natural_end(side, leaf.name)
        if not natural and _at_edge(ranked, having, distance, stepped, noise):
            yield _edge(leaf, side, ranked)


def _positions(name: str, parameter: Parameter, trials: Trials) -> dict[int, float]:
    """Where in the range each trial lies; empty where there is no range to speak of."""
    if isinstance(parameter, Choice) and not parameter.ordered:
        return {}
    values = {t.number: t.params[name] for t in trials}
    if len({float(v) for v in values.values()}) < 2:
        return {}
    if isinstance(parameter, Choice):  # its least option is at 0, its largest at 1
        options = sorted(parameter.options)
        ranks = {option: i / (len(options) - 1) for i, option in enumerate(options)}
        return {n: ranks.get(v, math.nan) for n, v in values.items()}
    return {n: parameter.position(v) for n, v in values.items()}


def _range(parameter: Parameter) -> Range:
    if isinstance(parameter, Choice):
        return Range(min(parameter.options), max(parameter.options))
    assert isinstance(parameter, Range)
    return parameter


def _at_edge(
    ranked: Trials, trials: Trials, distance: Mapping[int, float], stepped: bool, noise: float
) -> bool:
    """Whether the best trials are there, by each trial's distance from the edge."""
    best, nearest = distance[ranked[0].number], min(distance.values())
    few = len(ranked) < FEW
    least = sorted(distance[t.number] for t in ranked)[1] if few else BEST_WITHIN
    if best > (nearest if stepped else max(least, BEST_WITHIN)) + 1e-9:
        return False
    outer = max(TOP_WITHIN, nearest)
    there = sum(distance[t.number] <= outer for t in ranked)
    top = sum(distance[t.number] <= outer for t in ranked[:TOP])
    if not few and top < min(MOST, max(2, there)):
        return False
    inside = [t for t in trials if distance[t.number] > outer]
    tried = any(t.ended_well or t.status == "diverged" for t in inside)
    good = max((t.merit for t in inside if t.ended_well), default=-math.inf)
    if not tried or good + noise >= ranked[0].merit:
        return False
    if not _rises(trials, distance, *(TREND_OF_FEW if few else TREND)):
        return False
    beyond = [t for t in trials if distance[t.number] <= best]
    diverged = sum(t.status == "diverged" for t in beyond)
    return 2 * diverged <= len(beyond)


def _rises(
    trials: Trials, distance: Mapping[int, float], trend_sigmas: float, edge_sigmas: float
) -> bool:
    """Whether the score rises towards the edge, over the whole range and at the edge itself.

    Over the range by Kendall's tau, at the edge by the slope of a parabola through the ranks, both
    in standard errors, which no outlier and no scale of the score changes. Diverged trials count
    as the worst.
    """
    known = [t for t in trials if t.ended_well or t.status == "diverged"]
    known = [t for t in known if not math.isnan(distance[t.number])]
    near = _ranks([-distance[t.number] for t in known])
    merit = _ranks([t.merit if t.ended_well else -math.inf for t in known])
    n, above = len(known), np.triu_indices(len(known), 1)
    agree = np.sign(near[:, None] - near)[above] * np.sign(merit[:, None] - merit)[above]
    if agree.sum() / math.sqrt(n * (n - 1) * (2 * n + 5) / 18) < trend_sigmas:
        return False
    powers = np.arange(min(len(set(near.tolist())), 3))
    design = (near[:, None] - near.max()) ** powers
    covariance = np.linalg.inv(design.T @ design)
    coefficients = covariance @ design.T @ merit
    left = float(np.square(merit - design @ coefficients).sum())
    freedom = max(n - len(powers), 1)
    # Ranks are whole numbers, each of them off by a part of 1 in the best case.
    error = math.sqrt(max(left / freedom, 1 / 12) * covariance[1, 1])
    wider = 1 + (edge_sigmas**2 + 1) / (4 * freedom)  # Student's t, to first order
    return bool(coefficients[1] > edge_sigmas * wider * error)


def _ranks(values: Sequence[float]) -> Floats:
    """From 0; equal values have the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    means = np.cumsum(counts) - (counts + 1) / 2
    return np.asarray(means[which], dtype=np.float64)


def _edge(leaf: Leaf, side: str, ranked: Trials) -> Edge:
    name, parameter = leaf.name, leaf.parameter
    best, bounds, suggestion = ranked[0].params[name], _range(parameter), None
    ends = f"{bounds.low} ... {bounds.high}"
    if isinstance(parameter, Range):
        ends = f"{bounds.low:.6g} ... {bounds.high:.6g}"
        suggestion = beyond(name, parameter, side)
    where = "lower" if side == "low" else "upper"
    value = f"{best:.4g}" if isinstance(best, float) else str(best)
    return Edge(
        leaf.label, side, best, suggestion, f"the best, {value}, is at the {where} end of {ends}"
    )


def beyond(name: str, parameter: Range, side: str) -> Range:
    """A range that keeps some of this one and goes on beyond one end, to a natural one at most."""
    low, high = (-BEYOND, KEPT) if side == "low" else (1 - KEPT, 1 + BEYOND)
    return parameter.narrowed(low, high, name)
