"""Curves of training runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fanin._typing import Floats
from fanin.plots.style import FAINT, INK, LINES, TRAIN, VALIDATION, Panels, panels, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["compare", "history"]

LOG_RATIO = 30.0  # of largest to smallest loss, from which the axis is logarithmic


class HistoryLike(Protocol):
    """What is drawn of a `fanin.callbacks.History`."""

    history: dict[str, list[float]]
    epoch: list[int]


def history(history: HistoryLike, ax: Any = None) -> Panels:
    """Draw the curves of a run: losses on the left, accuracies on the right.

    Parameters
    ----------
    history : History
        As `MLP.fit` returns it. A dashed line marks the expected initial loss where it is known.
    ax : pair of matplotlib Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    axes : ndarray of two Axes
        The figure is ``axes[0].figure``.

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        Where ``ax`` is not two axes.

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
        _tidy(panel)
    return axes


def compare(runs: Mapping[str, HistoryLike], name: str = "loss", ax: Any = None) -> Axes:
    """Draw one curve of several runs.

    Parameters
    ----------
    runs : dict of str to History
        By the label of each run; at most eleven can be told apart.
    name : str
        What to draw: "loss", "accuracy", "val_loss", "val_accuracy". Losses are on a logarithmic
        axis where they span over a factor of 10. Runs that lack it are left out; those that
        diverged before there was anything to draw are named.
    ax : matplotlib Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        For no run, or too many.

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
        values = _curve(run, name)
        if values is not None:
            epochs = np.asarray(run.epoch[: len(values)]) + 1
            panel.plot(epochs, values, color=colour, linestyle=style, linewidth=1.8, label=label)
        elif getattr(run, "stop_reason", None) == "diverged":
            panel.plot([], [], color=colour, linestyle=style, label=f"{label} (diverged)")
    if name.endswith("loss"):
        _loss_axis(panel, 10.0)
    panel.set_ylabel(name.replace("val_", "validation ").replace("_", " "))
    many = len(runs) > 4 and ax is None  # too many to find room among the curves
    _tidy(panel, legend=not many)
    if many:
        panel.figure.legend(
            loc="outside lower center", ncols=4, frameon=False, fontsize=10, labelcolor=INK
        )
    return panel


def _curve(history: HistoryLike, name: str) -> Floats | None:
    """A curve with gaps where it is not finite; None where there is no point to draw."""
    values = np.asarray(history.history.get(name, ()), dtype=np.float64)
    values = np.where(np.isfinite(values), values, np.nan)
    return None if np.isnan(values).all() else values


def _draw(panel: Axes, history: HistoryLike, name: str, colour: str, label: str) -> None:
    values = _curve(history, name)
    if values is None:
        return
    marks = "o" if len(values) <= 30 else None
    style: Any = "-" if colour == TRAIN else (0, (5, 1.5))
    epochs = np.asarray(history.epoch[: len(values)]) + 1
    panel.plot(
        epochs, values, color=colour, linestyle=style, linewidth=2, label=label,
        marker=marks, markersize=3.5,
    )  # fmt: skip


def _losses(panel: Axes, history: HistoryLike) -> None:
    _draw(panel, history, "loss", TRAIN, "training")
    _draw(panel, history, "val_loss", VALIDATION, "validation")
    expected = getattr(history, "expected_initial_loss", None)
    if expected is not None and np.isfinite(expected):
        panel.axhline(expected, color=FAINT, linestyle="--", linewidth=1.2, zorder=1)
        panel.annotate(
            f"expected initial loss: {expected:.2f}", (1, expected), (-2, 3),
            xycoords=("axes fraction", "data"), textcoords="offset points",
            ha="right", va="bottom", fontsize=9, color="#5F5F5F",
        )  # fmt: skip
    initial = getattr(history, "initial_loss", None)
    if initial is not None and np.isfinite(initial):
        panel.plot(
            [0], [initial], "D", color=INK, markersize=5, label=f"initial loss: {initial:.2f}"
        )
    _loss_axis(panel)
    panel.set_ylabel("loss")


def _loss_axis(panel: Axes, log_ratio: float = LOG_RATIO) -> None:
    drawn = [np.asarray(line.get_ydata(), dtype=np.float64) for line in panel.get_lines()]
    values = np.concatenate(drawn) if drawn else np.empty(0)
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() > log_ratio * values.min():
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter("{x:g}")
    elif values.size and values.min() >= 0:
        panel.set_ylim(0, 1.12 * values.max() or 1)


def _accuracies(panel: Axes, history: HistoryLike) -> None:
    _draw(panel, history, "accuracy", TRAIN, "training")
    _draw(panel, history, "val_accuracy", VALIDATION, "validation")
    panel.set_ylabel("accuracy")
    name = "val_accuracy" if _curve(history, "val_accuracy") is not None else "accuracy"
    values = _curve(history, name)
    if values is None:
        panel.text(0.5, 0.5, "no accuracy", transform=panel.transAxes, ha="center", color=FAINT)
        return
    best = int(np.nanargmax(values))
    epoch = history.epoch[best] + 1
    colour = VALIDATION if name == "val_accuracy" else TRAIN
    panel.plot(
        [epoch], [values[best]], "o", color=colour, markerfacecolor="white", markersize=8,
        markeredgewidth=2, zorder=5,
        label=f"best: {100 * values[best]:.1f} % in epoch {epoch}",
    )  # fmt: skip


def _tidy(panel: Axes, *, legend: bool = True) -> None:
    from matplotlib.ticker import MaxNLocator

    panel.set_xlabel("epoch")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(panel, legend=legend)
