"""Pictures. They need matplotlib, ``pip install fanin[plot]``, and never touch pyplot's state."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["history", "save"]

# Okabe and Ito's colours: told apart by colour-blind readers, and in grey by their lightness.
TRAIN, VALIDATION = "#0072B2", "#D55E00"
INK, FAINT = "#333333", "#8A8A8A"
LOG_RATIO = 30.0  # of largest to smallest loss, from which the axis is logarithmic


class HistoryLike(Protocol):
    """What `history` reads of a `fanin.history.History`."""

    history: dict[str, list[float]]
    epoch: list[int]


def history(history: HistoryLike, ax: Any = None) -> NDArray[np.object_]:
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
    axes = np.asarray(_figure().subplots(1, 2) if ax is None else ax, dtype=object).reshape(-1)
    if len(axes) != 2:
        raise ValueError(f"ax: expected two axes, got {len(axes)}")
    _losses(axes[0], history)
    _accuracies(axes[1], history)
    for panel in axes:
        _tidy(panel)
    return axes


def save(fig: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure, whole or not at all; the suffix tells the format (png, pdf, svg, ...).

    Raises
    ------
    ValueError
        For a suffix that matplotlib does not know.
    OSError
        Where the file cannot be written.
    """
    from fanin.checkpoint import atomic_write

    suffix = os.path.splitext(path)[1].lstrip(".").lower() or "png"  # noqa: PTH122
    known = fig.canvas.get_supported_filetypes()
    if suffix not in known:
        raise ValueError(f"path: expected a suffix of {', '.join(known)}; got {os.fspath(path)!r}")
    with atomic_write(path) as file:
        fig.savefig(file, format=suffix)


def _figure() -> Figure:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install fanin[plot]") from None
    figure = Figure(figsize=(9.0, 3.8), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _curve(history: HistoryLike, name: str) -> NDArray[np.float64] | None:
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
    drawn = [np.asarray(line.get_ydata(), dtype=np.float64) for line in panel.get_lines()]
    values = np.concatenate(drawn) if drawn else np.empty(0)
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() > LOG_RATIO * values.min():
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter("{x:g}")
    elif values.size and values.min() >= 0:
        panel.set_ylim(0, 1.12 * values.max() or 1)
    panel.set_ylabel("loss")


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


def _tidy(panel: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    panel.set_xlabel("epoch")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(FAINT)
    panel.tick_params(colors=INK, labelsize=10)
    panel.grid(axis="y", color="#E6E6E6", linewidth=0.8)
    panel.set_axisbelow(True)
    for text in (panel.xaxis.label, panel.yaxis.label):
        text.set(color=INK, fontsize=11)
    if panel.get_legend_handles_labels()[0]:
        panel.legend(frameon=False, fontsize=10, labelcolor=INK)
