"""The trials of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from fanin._typing import Floats
from fanin.plots.style import BLUE, FAINT, GRID, INK, VERMILION, Panels, panels, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

COLORMAP = "cividis"
FEW_DECADES = 30.0  # a range of so many times has ticks between its decades
MOST_LINES = 300  # trials in parallel coordinates, the best ones: more cannot be told apart


class ParameterLike(Protocol):
    """A parameter of a space, a range or a choice; the position of a value lies in [0, 1]."""

    def position(self, value: Any) -> float: ...


@runtime_checkable
class RangeLike(Protocol):
    """Numbers between two bounds."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def log(self) -> bool: ...


@runtime_checkable
class ChoiceLike(Protocol):
    """One of several options: each as text, and which of them a value is."""

    def labels(self) -> Sequence[str]: ...
    def index(self, value: Any) -> int: ...


class LeafLike(Protocol):
    """A parameter of a space, which may come with an option only, and its name with that."""

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def parameter(self) -> ParameterLike: ...
    def is_in(self, params: Mapping[str, Any], /) -> bool: ...


class TrialLike(Protocol):
    """The part of a `fanin.tuning.Trial` that is drawn."""

    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def status(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def ended_well(self) -> bool: ...


class EdgeLike(Protocol):
    """A parameter whose best value lies at an end of its range."""

    @property
    def name(self) -> str: ...
    @property
    def side(self) -> str: ...


class SearchResultLike(Protocol):
    """The part of a `fanin.tuning.SearchResult` that is drawn."""

    @property
    def leaves(self) -> Sequence[LeafLike]: ...
    @property
    def trials(self) -> Sequence[TrialLike]: ...
    @property
    def ranked(self) -> Sequence[TrialLike]: ...
    @property
    def best(self) -> TrialLike | None: ...
    @property
    def monitor(self) -> str: ...
    @property
    def larger_is_better(self) -> bool: ...
    def edges(self) -> Sequence[EdgeLike]: ...


def search(result: SearchResultLike, ax: Any = None) -> Panels:
    """Draw the score against each parameter, as the lecture does.

    Scales are logarithmic where the parameter's are. Trials that diverged or failed are crosses at
    the bottom; pruned ones are hollow; the best is a diamond.

    Parameters
    ----------
    result : SearchResult
        As `fanin.tuning.search` returns it, with one trial at least.
    ax : matplotlib Axes, optional
        One for each parameter.

    Returns
    -------
    axes : ndarray of Axes
        In the order of ``result.space``; a parameter that comes with an option has the trials with
        that option, and one panel for each option that it comes with.

    Examples
    --------
    >>> from fanin.tuning import loguniform, search
    >>> result = search({"lr": loguniform(1e-6, 1)}, lambda p: p["lr"], 9, progress=False)
    >>> axes = fanin.plots.search(result)
    >>> axes[0].get_xscale(), axes[0].get_xlabel()
    ('log', 'lr')
    """
    _require_trials(result)
    leaves = result.leaves
    axes: Panels = panels(ax, 1, len(leaves), 3.6, width=max(6.4, 3.2 * len(leaves)))[0]
    scores = [t.score for t in result.trials if t.ended_well]
    foot, top = _extent(scores)
    if scores:  # trials without one stand below all others
        foot -= 0.12 * ((top - foot) or max(abs(top), 1.0) * 0.1)
    ends = {edge.name: "lower" if edge.side == "low" else "upper" for edge in result.edges()}
    for panel, leaf in zip(axes, leaves, strict=True):
        _scatter(panel, leaf, result, foot)
        panel.set_ylim(foot - 0.06 * (top - foot), top + 0.06 * (top - foot))
        _scale(panel, leaf)
        title = f"best at the {ends[leaf.label]} end" if leaf.label in ends else ""
        tidy(panel, title, legend=panel is axes[0])
    axes[0].set_ylabel(result.monitor)
    return axes


def _require_trials(result: SearchResultLike) -> None:
    if not result.trials:
        raise ValueError("result: expected at least one trial, got none")


def _extent(scores: Sequence[float]) -> tuple[float, float]:
    return min(scores, default=0.0), max(scores, default=1.0)


def _scatter(panel: Axes, leaf: LeafLike, result: SearchResultLike, foot: float) -> None:
    def draw(trials: Sequence[TrialLike], marker: str, label: str, **look: Any) -> None:
        if trials:
            x = [_coordinate(leaf.parameter, t.params[leaf.name]) for t in trials]
            y = [t.score if t.ended_well else foot for t in trials]
            panel.plot(x, y, marker, linestyle="none", label=label, **look)

    having = [t for t in result.trials if leaf.is_in(t.params)]
    well = [t for t in having if t.ended_well]
    bad = [t for t in having if not t.ended_well]
    kinds = " or ".join(s for s in ("diverged", "failed") if any(t.status == s for t in bad))
    pruned, done = ([t for t in well if t.status == status] for status in ("pruned", "done"))
    draw(pruned, "o", "pruned", markersize=5, mfc="none", mec=FAINT)
    draw(done, "o", "done", markersize=5, color=BLUE, alpha=0.75, mec="none")
    draw(bad, "x", kinds, markersize=6, color=VERMILION)
    best = result.best
    draw(
        [best] if best and leaf.is_in(best.params) else [], "D", "best", markersize=8, color="black"
    )


def _coordinate(parameter: ParameterLike, value: Any) -> float:
    """Where a value is on its axis: itself, or the number of an option."""
    return float(parameter.index(value)) if isinstance(parameter, ChoiceLike) else float(value)


def _scale(panel: Axes, leaf: LeafLike) -> None:
    parameter = leaf.parameter
    panel.set_xlabel(leaf.label)
    if isinstance(parameter, ChoiceLike):
        labels = parameter.labels()
        crowded = max(map(len, labels)) * len(labels) > 24
        turned: dict[str, Any] = {"rotation": 30, "ha": "right"} if crowded else {}
        panel.set_xticks(range(len(labels)), labels, **turned)
        panel.set_xlim(-0.5, len(labels) - 0.5)
    elif isinstance(parameter, RangeLike) and parameter.log:
        panel.set_xscale("log")
        _log_ticks(panel, parameter)


def _log_ticks(panel: Axes, parameter: RangeLike) -> None:
    """Few labels that do not meet: of decades, or within one of 1, 2 and 5."""
    from matplotlib.ticker import LogLocator, NullFormatter

    if parameter.high / parameter.low < FEW_DECADES:
        panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.xaxis.set_major_formatter("{x:g}")
    else:
        panel.xaxis.set_major_locator(LogLocator(numticks=6))
    panel.xaxis.set_minor_formatter(NullFormatter())


def parallel_coordinates(result: SearchResultLike, ax: Any = None) -> Axes:
    """Draw each trial as a line through its parameters to its score.

    Parameters
    ----------
    result : SearchResult
        With one trial at least. Its 300 best are drawn, bright where the score is high; those that
        diverged or failed are dashed and end before the score.
    ax : matplotlib Axes, optional

    Returns
    -------
    ax : matplotlib Axes

    Examples
    --------
    >>> from fanin.tuning import search, uniform
    >>> space = {"a": uniform(0, 1), "b": uniform(0, 1)}
    >>> result = search(space, lambda p: p["a"] - p["b"], 9, progress=False)
    >>> panel = fanin.plots.parallel_coordinates(result)
    >>> [label.get_text() for label in panel.get_xticklabels()]
    ['a', 'b', 'score']
    """
    _require_trials(result)
    panel: Axes = panels(ax, 1, 1, 4.0, width=max(6.4, 1.8 * len(result.leaves)))[0, 0]
    from matplotlib import colormaps

    ranked = result.ranked[:MOST_LINES]
    low, high = _extent([t.score for t in ranked])
    for trial in [t for t in result.trials if not t.ended_well][:MOST_LINES]:
        panel.plot(_positions(result, trial), color=VERMILION, linewidth=0.7, linestyle="--")
    for trial in ranked[::-1]:
        height = (trial.score - low) / ((high - low) or 1.0)
        share = height if result.larger_is_better else 1 - height
        best = trial is ranked[0]
        panel.plot(
            [*_positions(result, trial), height],
            color="black" if best else colormaps[COLORMAP](share),
            linewidth=2.2 if best else 0.9,
            alpha=1 if best else 0.35 + 0.5 * share,
        )
    names = [*(leaf.label for leaf in result.leaves), result.monitor]
    for x, parameter in enumerate([*(leaf.parameter for leaf in result.leaves), None]):
        panel.axvline(x, color=GRID, linewidth=1.2, zorder=0)
        for height, text in _marks(parameter, low, high):
            panel.annotate(
                text, (x, height), xytext=(4, 0), textcoords="offset points", va="center",
                fontsize=8.5, color=INK,
            )  # fmt: skip
    panel.set_xticks(range(len(names)), names)
    panel.set(xlim=(-0.1, len(names) - 0.55), ylim=(-0.06, 1.06), yticks=[])
    tidy(panel, grid=None, legend=False)
    panel.spines[:].set_visible(False)
    return panel


def _positions(result: SearchResultLike, trial: TrialLike) -> list[float]:
    """Where a trial's parameters are on their axes, each from 0 to 1; NaN where it has them not."""
    return [_position(leaf, trial) for leaf in result.leaves]


def _position(leaf: LeafLike, trial: TrialLike) -> float:
    if not leaf.is_in(trial.params):
        return float("nan")
    parameter, value = leaf.parameter, trial.params[leaf.name]
    if isinstance(parameter, ChoiceLike):
        return parameter.index(value) / max(len(parameter.labels()) - 1, 1)
    return parameter.position(value)


def _marks(parameter: ParameterLike | None, low: float, high: float) -> list[tuple[float, str]]:
    """Labels along an axis: both ends, or all options."""
    if parameter is not None and isinstance(parameter, ChoiceLike):
        labels = parameter.labels()
        return [(i / max(len(labels) - 1, 1), label) for i, label in enumerate(labels)]
    if parameter is not None and isinstance(parameter, RangeLike):
        low, high = parameter.low, parameter.high
    return [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")]


def grid_vs_random(
    grid: SearchResultLike,
    random: SearchResultLike,
    ax: Any = None,
    *,
    sweeps: Mapping[str, tuple[Any, Any]] | None = None,
) -> Panels:
    """Draw the lecture's figure from real runs: grid search beside random search.

    With as many trials, a grid tries few values of each parameter, random search a new one each
    time (Bergstra and Bengio 2012). Ticks along each layout mark the values that were tried; the
    title has the best score.

    Parameters
    ----------
    grid, random : SearchResult
        Of the same space of at least two parameters; the first two are drawn.
    ax : pair of matplotlib Axes, optional
    sweeps : dict of str to (values, scores), optional
        Of one parameter alone, over its range: drawn along that parameter's edge of each panel,
        which tells the important axis from the other.

    Returns
    -------
    axes : ndarray of two Axes

    Raises
    ------
    ValueError
        For results without trials, or of different spaces, or of one parameter.

    Examples
    --------
    >>> from fanin.tuning import search, uniform
    >>> space = {"a": uniform(0, 1), "b": uniform(0, 1)}
    >>> def score(params):
    ...     return -abs(params["a"] - 0.3) + 0.01 * params["b"]
    >>> grid, random = (search(space, score, 9, strategy=s, progress=False)
    ...                 for s in ("grid", "random"))
    >>> axes = fanin.plots.grid_vs_random(grid, random)
    >>> axes[0].get_title(loc="left")
    'grid: 3 values of a, best -0.1900'
    """
    for result in (grid, random):
        _require_trials(result)
    spaces = [[(leaf.label, str(leaf.parameter)) for leaf in r.leaves] for r in (grid, random)]
    if spaces[0] != spaces[1]:
        raise ValueError("grid, random: expected results of the same space, got different ones")
    if len(spaces[0]) < 2:
        raise ValueError("grid, random: expected at least two parameters, got one")
    axes: Panels = panels(ax, 1, 2, 4.2, width=9.0)[0]
    scores = [t.score for r in (grid, random) for t in r.trials if t.ended_well]
    for panel, name, result in zip(axes, ("grid", "random"), (grid, random), strict=True):
        first = result.leaves[0].name
        count = len({str(t.params.get(first)) for t in result.trials})
        best = "none" if result.best is None else f"{result.best.score:.4f}"
        title = f"{name}: {count} values of {first}, best {best}"
        points = _layout(panel, result, title, _extent(scores))
        if sweeps:
            _margins(panel, result, sweeps, title)
    if scores:
        bar = axes[1].figure.colorbar(points, ax=list(axes), shrink=0.8)
        bar.set_label(grid.monitor, color=INK)
    return axes


def _layout(
    panel: Axes, result: SearchResultLike, title: str, limits: tuple[float, float]
) -> PathCollection:
    """The trials in the plane of the first two parameters, ticks for the values along its edges."""
    first, second = result.leaves[:2]
    x_kind, y_kind = first.parameter, second.parameter

    def points(trials: Sequence[TrialLike]) -> tuple[Floats, Floats]:
        x = np.array([_coordinate(x_kind, t.params[first.name]) for t in trials])
        return x, np.array([_coordinate(y_kind, t.params[second.name]) for t in trials])

    having = [t for t in result.trials if first.is_in(t.params) and second.is_in(t.params)]
    good = [t for t in having if t.ended_well]
    bad = [t for t in having if not t.ended_well]
    drawn = panel.scatter(
        *points(good), c=[t.score for t in good], cmap=COLORMAP, vmin=limits[0], vmax=limits[1],
        s=60, edgecolor=INK, linewidth=0.6, zorder=3,
    )  # fmt: skip
    if bad:
        places = points(bad)
        panel.plot(*places, "x", color=VERMILION, linestyle="none", label="diverged", zorder=3)
        highest = int(np.argmax(places[1]))
        panel.annotate(
            "diverged", (places[0][highest], places[1][highest]), (-7, 0), ha="right",
            va="center", textcoords="offset points", fontsize=10, color=VERMILION,
        )  # fmt: skip
    _scale(panel, first)
    panel.set_ylabel(second.label)
    if isinstance(x_kind, RangeLike):
        panel.set_xlim(_wider(x_kind))
    if isinstance(y_kind, RangeLike):
        panel.set(yscale="log" if y_kind.log else "linear", ylim=_wider(y_kind))
    x, y = points(having)
    ends: dict[str, Any] = {
        "color": BLUE, "markersize": 9, "linestyle": "none", "clip_on": False, "zorder": 4
    }  # fmt: skip
    panel.plot(x, np.zeros(len(x)), "|", transform=panel.get_xaxis_transform(), **ends)
    panel.plot(np.zeros(len(y)), y, "_", transform=panel.get_yaxis_transform(), **ends)
    tidy(panel, title, grid=None, legend=False)
    return drawn


MARGIN = 0.2  # of a panel's width or height


def _margins(
    panel: Axes, result: SearchResultLike, sweeps: Mapping[str, tuple[Any, Any]], title: str
) -> None:
    """The score along each axis, above and at the right of the panel, on one scale."""
    first, second = (leaf.name for leaf in result.leaves[:2])
    finite = [np.asarray(scores, np.float64) for _, scores in sweeps.values()]
    low, high = np.nanmin(np.concatenate(finite)), np.nanmax(np.concatenate(finite))
    foot = low - 0.1 * ((high - low) or 1.0)
    top = panel.inset_axes((0, 1.03, 1, MARGIN), sharex=panel)
    right = panel.inset_axes((1.03, 0, MARGIN, 1), sharey=panel)
    for name, inset in ((first, top), (second, right)):
        if name in sweeps:
            values, scores = (np.asarray(part, np.float64) for part in sweeps[name])
            if inset is top:
                inset.fill_between(values, foot, scores, color=BLUE, alpha=0.25, linewidth=0)
                inset.plot(values, scores, color=BLUE, linewidth=1.6)
                inset.set_ylim(foot, high + 0.05 * (high - low))
            else:
                inset.fill_betweenx(values, foot, scores, color=BLUE, alpha=0.25, linewidth=0)
                inset.plot(scores, values, color=BLUE, linewidth=1.6)
                inset.set_xlim(foot, high + 0.05 * (high - low))
        inset.set_axis_off()
    panel.set_title("")
    panel.set_title("", loc="left")
    top.set_title(title, fontsize=11, loc="left", color=INK)


def _wider(parameter: RangeLike) -> tuple[float, float]:
    """The whole range with a margin, so that both layouts have the same axes."""
    low, high = parameter.low, parameter.high
    if parameter.log:
        margin = (high / low) ** 0.06
        return low / margin, high * margin
    margin = 0.06 * ((high - low) or 1.0)
    return low - margin, high + margin
