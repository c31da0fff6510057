"""Colours, figures, axes and files of all pictures."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fanin._files import atomic_write
from fanin._typing import PathLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Panels = NDArray[np.object_]

# Okabe and Ito's colours: told apart by colour-blind readers, and in grey by their lightness.
BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, BLACK = "#56B4E9", "#CC79A7", "#000000"
TRAIN, VALIDATION = BLUE, VERMILION
INK, FAINT, GRID = "#333333", "#8A8A8A", "#E6E6E6"
# Of lines that are compared: they differ by more than colour.
LINES: tuple[tuple[str, Any], ...] = (
    (BLACK, "-"),
    (BLUE, "-"),
    (BLUE, (0, (4, 1.5))),
    (GREEN, "-"),
    (ORANGE, "-"),
    (SKY, (0, (4, 1.5))),
    (VERMILION, "-"),
    (VERMILION, (0, (1.2, 1.2))),
    (PURPLE, "-"),
    (PURPLE, (0, (4, 1.5))),
    (GREEN, (0, (1.2, 1.2))),
)
WIDTH = 6.4  # inches; text of 10 points on it can be read on a phone


def new_figure(width: float = WIDTH, height: float = 3.8) -> Figure:
    """An empty figure that needs no display.

    Raises
    ------
    ImportError
        Without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install fanin[plot]") from None
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def panels(ax: Any, rows: int, columns: int, height: float, width: float = WIDTH) -> Panels:
    """The axes given, which must be as many as needed, or those of a new figure."""
    shape = rows, columns
    if ax is None:
        figure = new_figure(width, height)
        return np.asarray(figure.subplots(*shape, squeeze=False), dtype=object)
    axes = np.asarray(ax, dtype=object)
    if axes.size != rows * columns:
        expected = {1: "one Axes", 2: "two axes"}.get(rows * columns, f"{rows * columns} axes")
        raise ValueError(f"ax: expected {expected}, got {axes.size}")
    return axes.reshape(shape)


def tidy(panel: Axes, *, grid: Literal["x", "y", "both"] | None = "y", legend: bool = True) -> None:
    """The common look: no frame, a faint grid, a legend where something is named."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(FAINT)
    panel.tick_params(colors=INK, labelsize=10)
    if grid:
        panel.grid(axis=grid, color=GRID, linewidth=0.8)
    panel.set_axisbelow(True)
    for text in (panel.xaxis.label, panel.yaxis.label):
        text.set(color=INK, fontsize=11)
    if legend and panel.get_legend_handles_labels()[0]:
        panel.legend(frameon=False, fontsize=10, labelcolor=INK)


def title(panel: Axes, text: str) -> None:
    """A title in the common look, at the left."""
    panel.set_title(text, fontsize=11, loc="left", color=INK)


def save(fig: Figure, path: PathLike) -> None:
    """Write a figure, whole or not at all.

    Parameters
    ----------
    fig : matplotlib Figure
    path : str or path
        Its suffix tells the format (png, pdf, svg, ...).

    Raises
    ------
    ValueError
        For a suffix that matplotlib does not know.
    OSError
        Where the file cannot be written.
    """
    suffix = os.path.splitext(path)[1].lstrip(".").lower() or "png"  # noqa: PTH122
    known = fig.canvas.get_supported_filetypes()
    if suffix not in known:
        raise ValueError(f"path: expected a suffix of {', '.join(known)}; got {os.fspath(path)!r}")
    with atomic_write(path) as file:
        fig.savefig(file, format=suffix)
