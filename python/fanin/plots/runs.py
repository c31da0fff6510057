"""Learning curves of training runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fanin._typing import Array, Floats
from fanin.plots.style import FAINT, INK, LINES, TRAIN, VALIDATION, Panels, panels, tidy, tiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDES: dict[str, tuple[str, str, Any]] = {
    "": ("training", TRAIN, "-"),
    "val_": ("validation", VALIDATION, (0, (5, 1.5))),
}
LOG_RATIO = 30.0  # of largest to smallest loss, from which the axis is logarithmic


class HistoryLike(Protocol):
    """The part of a `fanin.callbacks.History` that is drawn."""

    history: dict[str, list[float]]
    epoch: list[int]


def history(history: HistoryLike, ax: Any = None) -> Panels:
    """Draw the curves of a run: losses on the left, accuracies on the right.

    Parameters
    ----------
    history : History
        As `MLP.fit` returns it. A dashed line marks the expected initial loss where it is known.
    ax : pair of matplotlib Axes, optional

    Returns
    -------
    axes : ndarray of two Axes
        The figure is ``axes[0].figure``.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> run = SimpleNamespace(epoch=[0, 1], history={"loss": [2.0, 1.0], "accuracy": [0.3, 0.7]})
    >>> axes = fanin.plots.history(run)
    >>> axes[0].get_ylabel(), axes[1].get_ylabel()
    ('loss', 'accuracy')
    """
    axes: Panels = panels(ax, 1, 2, 3.8, width=9.0)[0]
    _losses(axes[0], history)
    _accuracies(axes[1], history)
    for panel in axes:
        _by_epoch(panel)
    return axes


def compare(runs: Mapping[str, HistoryLike], name: str = "loss", ax: Any = None) -> Axes:
    """Draw one curve of several runs.

    Parameters
    ----------
    runs : dict of str to History
        By the label of each run; one at least, and eleven at most can be told apart.
    name : str
        What to draw: "loss", "accuracy", "val_loss", "val_accuracy". Losses are on a logarithmic
        axis where they span over a factor of 10. Runs that lack it are left out; those that
        diverged before there was anything to draw are named.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> runs = {
    ...     f"rate {rate}": SimpleNamespace(epoch=[0, 1], history={"loss": [2.0, 2.0 - rate]})
    ...     for rate in (0.1, 0.5)
    ... }
    >>> [line.get_label() for line in fanin.plots.compare(runs).get_lines()]
    ['rate 0.1', 'rate 0.5']
    """
    if not 1 <= len(runs) <= len(LINES):
        raise ValueError(f"runs: expected 1 to {len(LINES)} of them, got {len(runs)}")
    panel: Axes = panels(ax, 1, 1, 3.9)[0, 0]
    for (label, run), (colour, style) in zip(runs.items(), LINES, strict=False):
        if curve := _curve(run, name):
            panel.plot(*curve, color=colour, linestyle=style, linewidth=1.8, label=label)
        elif getattr(run, "stop_reason", None) == "diverged":
            panel.plot([], [], color=colour, linestyle=style, label=f"{label} (diverged)")
    if name.endswith("loss"):
        _loss_axis(panel, 10.0)
    panel.set_ylabel(name.replace("val_", "validation ").replace("_", " "))
    many = len(runs) > 4 and ax is None  # too many for a legend among the curves
    _by_epoch(panel, below=4 * many)
    return panel


def learning_curves(
    runs: Mapping[str, HistoryLike], name: str = "accuracy", ax: Any = None
) -> Panels:
    """Draw training and validation curve of several runs, a panel for each, on one scale.

    Parameters
    ----------
    runs : dict of str to History
        By the title of each panel; one at least, and six at most.
    name : {"accuracy", "loss"} or another metric of the history
    ax : as many matplotlib Axes as runs, optional

    Returns
    -------
    axes : ndarray of Axes, one for each run

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> run = SimpleNamespace(
    ...     epoch=[0, 1], history={"accuracy": [0.3, 0.7], "val_accuracy": [0.2, 0.6]})
    >>> axes = fanin.plots.learning_curves({"short": run, "again": run})
    >>> [panel.get_title(loc="left") for panel in axes]
    ['short', 'again']
    """
    if not 1 <= len(runs) <= 6:
        raise ValueError(f"runs: expected 1 to 6 of them, got {len(runs)}")
    axes = tiles(ax, len(runs), min(len(runs), 2), 3.2, 0.4)
    for panel, (title, run) in zip(axes, runs.items(), strict=True):
        _draw(panel, run, name)
        _by_epoch(panel)
        tidy(panel, title)
    lows, highs = zip(*(panel.get_ylim() for panel in axes), strict=True)
    for panel in axes:
        panel.set_ylim(min(lows), max(highs))
    return axes


def _curve(history: HistoryLike, name: str) -> tuple[Array, Floats] | None:
    """Epochs from 1, and values with gaps where they are not finite; None without any point."""
    values = np.asarray(history.history.get(name, ()), dtype=np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    if np.isnan(values).all():
        return None
    return np.asarray(history.epoch[: len(values)]) + 1, values


def _draw(panel: Axes, history: HistoryLike, name: str) -> None:
    """The curves of training and validation."""
    panel.set_ylabel(name)
    for prefix, (label, colour, style) in SIDES.items():
        if curve := _curve(history, prefix + name):
            panel.plot(
                *curve, color=colour, linestyle=style, linewidth=2, label=label,
                marker="o" if len(curve[1]) <= 30 else None, markersize=3.5,
            )  # fmt: skip


def _losses(panel: Axes, history: HistoryLike) -> None:
    _draw(panel, history, "loss")
    expected = getattr(history, "expected_initial_loss", None)
    if expected is not None and np.isfinite(expected):
        label = f"expected initial loss: {expected:.2f}"
        panel.axhline(expected, color=FAINT, linestyle="--", linewidth=1.2, zorder=1, label=label)
    initial = getattr(history, "initial_loss", None)
    if initial is not None and np.isfinite(initial):
        label = f"initial loss: {initial:.2f}"
        panel.plot([0], [initial], "D", color=INK, markersize=5, label=label)
    _loss_axis(panel, LOG_RATIO)


def _loss_axis(panel: Axes, log_ratio: float) -> None:
    drawn = [np.asarray(line.get_ydata(), dtype=np.float64) for line in panel.get_lines()]
    values = np.concatenate([np.empty(0), *drawn])
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() > log_ratio * values.min():
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter("{x:g}")
    elif values.size and values.min() >= 0:
        panel.set_ylim(0, 1.12 * values.max() or 1)


def _accuracies(panel: Axes, history: HistoryLike) -> None:
    _draw(panel, history, "accuracy")
    validation = _curve(history, "val_accuracy")
    curve = validation or _curve(history, "accuracy")
    if curve is None:
        panel.text(0.5, 0.5, "no accuracy", transform=panel.transAxes, ha="center", color=FAINT)
        return
    epoch, value = (values[np.nanargmax(curve[1])] for values in curve)
    panel.plot(
        [epoch], [value], "o", color=VALIDATION if validation else TRAIN, markerfacecolor="white",
        markersize=8, markeredgewidth=2, zorder=5,
        label=f"best: {100 * value:.1f} % in epoch {epoch}",
    )  # fmt: skip


def _by_epoch(panel: Axes, below: int = 0) -> None:
    from matplotlib.ticker import MaxNLocator

    panel.set_xlabel("epoch")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(panel, below=below)
