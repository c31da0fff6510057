"""The result of a search."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fanin import _validate
from fanin._json import plain
from fanin.document.text import aligned
from fanin.tuning.search.edges import Edge, beyond, find_edges
from fanin.tuning.search.trial import Trial
from fanin.tuning.space import (
    Choice,
    Integers,
    Leaf,
    Parameter,
    Range,
    Space,
    branches_of,
    leaves,
    names_of,
)

STATUSES = ("done", "pruned", "diverged", "failed")


@dataclass
class SearchResult:
    """What `search` returns: the trials, the best ones, edges, a refined space.

    Attributes
    ----------
    space : dict of str to Parameter
    trials : list of Trial
        By number; after Ctrl-C those that had finished.
    monitor : str
        What the score is, such as "val_accuracy".
    strategy : str
    interrupted : bool
    notes : list of str
        Defaults that the search chose, such as rows held out for validation.
    earlier : list of SearchResult
        Of earlier `stages`.

    Examples
    --------
    >>> from fanin.tuning import search, uniform
    >>> result = search({"x": uniform(0, 1)}, lambda p: -p["x"] ** 2, 30, progress=False)
    >>> result
    SearchResult(30 trials, best score -0.0023)
    >>> result.best.params["x"] < 0.1
    True
    """

    space: dict[str, Parameter]
    trials: list[Trial]
    monitor: str
    larger_is_better: bool = True
    strategy: str = "random"
    n_val: int | None = None
    interrupted: bool = False
    notes: list[str] = field(default_factory=list)
    earlier: list[SearchResult] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.trials)

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.trials)

    @property
    def leaves(self) -> list[Leaf]:
        """Each parameter, with the options that it comes with."""
        return list(leaves(self.space))

    @property
    def ranked(self) -> list[Trial]:
        """Trials with a valid score, the best first; pruned ones last."""
        good = [t for t in self.trials if t.ended_well]
        return sorted(good, key=lambda t: (t.status != "done", -t.merit, t.number))

    @property
    def best(self) -> Trial | None:
        """The best trial; None if no trial ended well (printing the result says why)."""
        return next(iter(self.ranked), None)

    def top(self, k: int = 5) -> list[Trial]:
        """The k best trials, or as many as ended well; `ensemble.from_search` joins them."""
        return self.ranked[: _validate.whole("k", k, 1)]

    def count(self, status: str) -> int:
        """The number of trials with that status."""
        return sum(t.status == _validate.one_of("status", status, STATUSES) for t in self.trials)

    def to_dict(self) -> dict[str, list[Any]]:
        """Trial, status, score and each parameter: columns as ``pandas.DataFrame`` takes them.

        None where a trial has no score, or not that parameter.
        """
        rows = self.trials
        columns: dict[str, list[Any]] = {
            "trial": [t.number for t in rows],
            "status": [t.status for t in rows],
            "score": [t.score if math.isfinite(t.score) else None for t in rows],
        }
        return columns | {n: [plain(t.params.get(n)) for t in rows] for n in names_of(self.space)}

    def to_numpy(self) -> npt.NDArray[Any]:
        """One row for each trial, with the columns of `to_dict` as named fields.

        Missing scores and numbers are NaN; options that are not numbers are text.
        """
        columns: dict[str, npt.NDArray[Any]] = {}
        for name, values in self.to_dict().items():
            missing = any(v is None for v in values)
            numbers = name == "score" or all(isinstance(v, (int, float)) for v in values)
            if not numbers and missing and name not in self.space:
                numbers = all(v is None or isinstance(v, (int, float)) for v in values)
            floats = name == "score" or (numbers and missing)
            dtype = np.float64 if floats else None  # of None it makes NaN
            columns[name] = np.array(values if numbers else list(map(str, values)), dtype)
        table = np.empty(len(self), [(n, c.dtype) for n, c in columns.items()])
        for name in columns:
            table[name] = columns[name]
        return table

    def edges(self) -> list[Edge]:
        """Parameters whose best values lie at an end of their range, with an extended range.

        A range counts where the best trial is in its outer 15 %, three of the top five in its outer
        quarter, and nothing in the rest is as good within one standard error (of accuracy, where
        the number of validation rows is known); with fewer than 20 trials, where the best is one of
        the two nearest to the end. The score must also rise towards the end by more than its own
        noise: over the range by Kendall's tau, and at the end itself by the slope of a parabola
        through the ranks. Of 8 trials that finds nine in ten far optima outside, and warns of one
        range in fifty that does not matter. Silent where the end is natural (keep = 1), and where
        most trials there diverged: that end is the limit of what trains at all.

        Examples
        --------
        >>> from fanin.tuning import search, uniform
        >>> far = search({"x": uniform(0, 1)}, lambda p: -(p["x"] - 3) ** 2, 30, progress=False)
        >>> print(far.edges()[0])
        x: the best, 0.9608, is at the upper end of 0 ... 1; try uniform(0.7, 1.7)
        """
        best, noise = self.best, 0.0
        if best is not None and self.n_val and "accuracy" in self.monitor:
            noise = math.sqrt(max(best.score * (1 - best.score), 0.0) / self.n_val)
        return find_edges(self.space, self.trials, self.strategy == "grid", noise)

    def refine(self, k: int | None = None, margin: float = 0.1) -> dict[str, Parameter]:
        """Ranges around the top trials: from coarse to fine.

        Parameters
        ----------
        k : int, optional
            How many of the top trials; by default a tenth of those that ended well, at least 3.
        margin : float
            Margin on either side, as a fraction of the current range. The new range exceeds the
            current one only at an end where `edges` finds the best value.

        Returns
        -------
        dict of str to Parameter
            A space for another search.

        Examples
        --------
        >>> from fanin.tuning import loguniform, search
        >>> space = {"lr": loguniform(1e-6, 1)}
        >>> coarse = search(space, lambda p: -abs(np.log10(p["lr"]) + 3), 50, progress=False)
        >>> print(coarse.refine()["lr"])
        loguniform(0.000153, 0.00743)
        """
        ranked = self.ranked
        margin = _validate.real("margin", margin, 0)
        if not ranked:
            raise ValueError(f"refine: expected trials that ended well; {self._trouble()}")
        count = max(3, len(ranked) // 10) if k is None else _validate.whole("k", k, 1)
        edges = {edge.name: edge for edge in self.edges()}
        return _refined(self.space, ranked[:count], margin, edges, ())

    def __repr__(self) -> str:
        best = self.best
        text = "no trial ended well" if best is None else f"best {self.monitor} {best.score:.4f}"
        return f"SearchResult({len(self)} trials, {text})"

    def __str__(self) -> str:
        head = f"{len(self)} trials: {counts(self, STATUSES) or 'none'}"
        lines = [head + ("; interrupted" if self.interrupted else ""), *self.notes]
        if self.best is None:
            return "\n".join([*lines, self._trouble()])
        lines += table(self.top(5), names_of(self.space), self.monitor)
        return "\n".join([*lines, *(f"edge: {edge}" for edge in self.edges())])

    def _repr_html_(self) -> str:
        """The best trials as a table, in a notebook."""
        from fanin.document.blocks import Lines, Table  # they are rare
        from fanin.document.html import fragment

        names = names_of(self.space)
        rows = [
            (str(t.number), number(t.score), *(_cell(t.params, name) for name in names))
            for t in self.top(5)
        ]
        lines = [*self.notes, *(f"edge: {edge}" for edge in self.edges())]
        if self.best is None:
            lines.append(self._trouble())
        title = f"{len(self)} trials: {counts(self, STATUSES) or 'none'}"
        table = Table("The best trials", ("trial", self.monitor, *names), rows)
        title += "; interrupted" if self.interrupted else ""
        notes = Lines("\n".join(lines))
        return fragment(title, [*([table] if rows else []), *([notes] if lines else [])])

    def _trouble(self) -> str:
        """Why no trial ended well, and what to do."""
        if not self.trials:
            return "no trial has finished"
        failed, diverged = (
            [t for t in self.trials if t.status == status] for status in ("failed", "diverged")
        )
        if len(failed) == len(self.trials):
            return f"all {len(failed)} trials failed; the first: {failed[0].error}"
        text = f"{len(diverged)} of {len(self.trials)} trials diverged"
        if failed:
            text += f", {len(failed)} failed (the first: {failed[0].error})"
        lower = [
            f"{name} (it was {min(values):.3g} ... {max(values):.3g})"
            for name in ("lr", "reg")
            if (values := [t.params[name] for t in diverged if name in t.params])
        ]
        advice = f"lower {' and '.join(lower)}" if lower else "lower the learning rate"
        return f"{text}: {advice}, and look at the scale of the inputs"


def _refined(
    space: Space,
    top: Sequence[Trial],
    margin: float,
    edges: Mapping[str, Edge],
    conditions: tuple[tuple[str, Any], ...],
) -> dict[str, Parameter]:
    """Ranges around the trials; of what comes with options, around those that have it."""
    found: dict[str, Parameter] = {}
    for name, parameter in space.items():
        leaf = Leaf(name, parameter, conditions)
        values = [t.params[name] for t in top if leaf.is_in(t.params)]
        around = parameter
        if values:
            around = _around(name, parameter, values, margin, edges.get(leaf.label))
        if branches_of(parameter):
            assert isinstance(parameter, Choice)
            assert isinstance(around, Choice)
            branches = [
                _refined(
                    parameter.branches[parameter.index(option)],
                    top,
                    margin,
                    edges,
                    (*conditions, (name, option)),
                )
                for option in around.options
            ]
            around = Choice(around.options, tuple(branches) if any(branches) else ())
        found[name] = around
    return found


def _around(
    name: str, parameter: Parameter, values: Sequence[Any], margin: float, edge: Edge | None
) -> Parameter:
    """The part of a parameter's values that the top trials lie in."""
    if isinstance(parameter, Choice):
        kept = set()
        for value in values:
            with suppress(ValueError):  # start_from may bring others
                kept.add(parameter.index(value))
        return Choice(tuple(parameter.options[i] for i in sorted(kept))) if kept else parameter
    assert isinstance(parameter, Range)
    positions = [parameter.position(v) for v in values]
    low, high = min(positions) - margin, max(positions) + margin
    if isinstance(parameter, Integers):
        low, high = min(low, min(positions)), max(high, max(positions))
    # Values that start_from brought from outside the range may widen it.
    low, high = max(low, min(0.0, *positions)), min(high, max(1.0, *positions))
    if edge is not None:
        further = beyond(name, parameter, edge.side)
        if edge.side == "low":
            low = min(low, parameter.position(further.low))
        else:
            high = max(high, parameter.position(further.high))
    return parameter.narrowed(low, high, name)


def counts(result: SearchResult, statuses: Sequence[str]) -> str:
    """How many trials ended in these ways, in words."""
    return ", ".join(f"{n} {status}" for status in statuses if (n := result.count(status)))


def table(trials: Sequence[Trial], names: Sequence[str], monitor: str) -> list[str]:
    """Lines of a table of trials, for a terminal."""
    rows = [
        [number(t.number), number(t.score), *(_cell(t.params, name) for name in names)]
        for t in trials
    ]
    return aligned([["trial", monitor, *names], *rows], left=0)


def _cell(params: Mapping[str, Any], name: str) -> str:
    """A parameter, or a dash where a trial has it not."""
    return number(params[name]) if name in params else "-"


def number(value: Any) -> str:
    """A parameter or score in few characters."""
    if isinstance(value, float):
        return f"{value:.3e}" if value and not 1e-3 <= abs(value) < 1e4 else f"{value:.4g}"
    return str(plain(value))


def trial_line(trial: Trial, monitor: str, count: int, total: int) -> str:
    """The lecture's line for a trial: ``val_acc: %f, lr: %e, reg: %e, (%d / %d)``."""
    params = ", ".join(
        f"{name}: {value:e}" if isinstance(value, float) else f"{name}: {plain(value)}"
        for name, value in trial.params.items()
    )
    label = monitor.replace("accuracy", "acc")
    return f"{label}: {trial.score:f}, {params}, ({count} / {total})"
