"""Colours, figures, axes and files of all pictures."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fanin._files import atomic_write
from fanin._typing import PathLike
from fanin.document.blocks import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Panels = NDArray[np.object_]

# Okabe and Ito's colours: colour-blind safe, and distinct in greyscale.
BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
SKY, PURPLE, BLACK = "#56B4E9", "#CC79A7", "#000000"
TRAIN, VALIDATION = BLUE, VERMILION
DASHES, DOTS = (0, (4, 1.5)), (0, (1.2, 1.2))
INK, FAINT, GRID = "#333333", "#8A8A8A", "#E6E6E6"
# Of lines that are compared: they differ by more than colour.
LINES: tuple[tuple[str, Any], ...] = (
    (BLACK, "-"), (BLUE, "-"), (BLUE, DASHES), (GREEN, "-"), (ORANGE, "-"), (SKY, DASHES),
    (VERMILION, "-"), (VERMILION, DOTS), (PURPLE, "-"), (PURPLE, DASHES), (GREEN, DOTS),
)  # fmt: skip
FIVE = (BLUE, GREEN, VERMILION, BLACK, SKY)  # of a few lines, which differ by colour alone
LEGEND: dict[str, Any] = {
    "facecolor": "white", "edgecolor": "none", "fontsize": 10, "labelcolor": INK,
}  # fmt: skip
WIDTH = 6.4  # inches; text of 10 points on it can be read on a phone
NARROW = 4.2  # of a picture for a phone, whose panels are below each other


@dataclass
class _Screen:
    """What pictures are drawn for, and whether a narrow screen would have them otherwise."""

    narrow: bool = False
    differs: bool = False


_SCREEN: ContextVar[_Screen | None] = ContextVar("screen", default=None)


def panels(
    ax: Any, rows: int, columns: int, height: float, width: float = WIDTH, *, stack: bool = True
) -> Panels:
    """The axes given, whose number is checked, or those of a new figure.

    For a narrow screen, where the text would be too small, the figure is narrower and panels that
    are side by side are put below each other, unless they are not to `stack`; the array of axes has
    the same shape.
    """
    if ax is not None:
        axes = np.asarray(ax, dtype=object)
        if axes.size != rows * columns:
            expected = {1: "one Axes", 2: "two axes"}.get(rows * columns, f"{rows * columns} axes")
            raise ValueError(f"ax: expected {expected}, got {axes.size}")
        return axes.reshape(rows, columns)
    screen = _SCREEN.get() or _Screen()
    screen.differs |= stack
    if not (screen.narrow and stack):
        return _new_axes(rows, columns, height, width)
    if columns == 1:
        return _new_axes(rows, 1, height * min(1.0, 1.4 * NARROW / width), NARROW)
    per_panel = height / rows * min(1.0, 1.4 * NARROW * columns / (rows * width))
    return _new_axes(columns, rows, per_panel * columns, NARROW).T


def _new_axes(rows: int, columns: int, height: float, width: float) -> Panels:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install fanin[plot]") from None
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)  # needs no display
    return np.asarray(figure.subplots(rows, columns, squeeze=False), dtype=object)


def tiles(ax: Any, count: int, columns: int, height: float, margin: float) -> Panels:
    """The axes given, or so many on a new figure, in rows of so many columns and that height.

    On a narrow screen there are fewer columns.
    """
    if ax is not None:
        return panels(ax, 1, count, 0).reshape(-1)
    screen = _SCREEN.get() or _Screen()
    screen.differs |= columns > 1
    width = WIDTH
    if screen.narrow and columns > 1:
        width, fewer = NARROW, 2 if columns > 2 else 1
        height *= NARROW / fewer / (WIDTH / columns)
        columns = fewer
    rows = -(-count // columns)
    axes = panels(None, rows, columns, margin + height * rows, width, stack=False).reshape(-1)
    for panel in axes[count:]:
        panel.remove()
    return axes[:count]


def tidy(
    panel: Axes, title: str = "", *, grid: Literal["x", "y", "both"] | None = "y",
    legend: bool = True, below: int = 0,
) -> None:  # fmt: skip
    """The common look, and a legend of what is named: inside, or `below` it in so many columns."""
    if title:
        panel.set_title(title, fontsize=11, loc="left", color=INK)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(FAINT)
    panel.tick_params(colors=INK, labelsize=10)
    if grid:
        panel.grid(axis=grid, color=GRID, linewidth=0.8)
    panel.set_axisbelow(True)
    for text in (panel.xaxis.label, panel.yaxis.label):
        text.set(color=INK, fontsize=11)
    named, texts = panel.get_legend_handles_labels()
    if legend and named and below:
        screen = _SCREEN.get()
        columns = below
        if screen and screen.narrow and screen.differs:
            columns = min(below, 2 if max(map(len, texts)) < 18 else 1)
        panel.figure.legend(handles=named, loc="outside lower center", ncols=columns, **LEGEND)
    elif legend and named:
        panel.legend(**LEGEND)


def arrow(panel: Axes, start: Any, end: Any, colour: str, width: float) -> None:
    look = {"arrowstyle": "->", "color": colour, "linewidth": width, "shrinkA": 0, "shrinkB": 0}
    panel.annotate("", end, start, arrowprops=look)


def save(fig: Figure, path: PathLike) -> None:
    """Write a figure, atomically.

    Parameters
    ----------
    fig : matplotlib Figure
    path : str or path
        Its suffix is the format (png, pdf, svg, ...).

    Raises
    ------
    ValueError, OSError
        For a suffix that matplotlib does not know; where the file cannot be written.

    Examples
    --------
    >>> history = fanin.MLP([4, 3]).fit(np.eye(4), np.array([0, 1, 2, 0]), epochs=2, progress=False)
    >>> axes = fanin.plots.history(history)
    >>> fanin.plots.save(axes[0].figure, "curves.png")
    """
    suffix = os.path.splitext(path)[1].lstrip(".").lower() or "png"  # noqa: PTH122
    known = fig.canvas.get_supported_filetypes()
    if suffix not in known:
        raise ValueError(f"path: expected a suffix of {', '.join(known)}; got {os.fspath(path)!r}")
    drawn = io.BytesIO()  # Pillow writes past a file's own errors
    fig.savefig(drawn, format=suffix)
    with atomic_write(path) as file:
        file.write(drawn.getbuffer())


def picture(file: str, alt: str, caption: str, draw: Callable[[], Any]) -> Picture:
    """A picture of a document: the figure of the axes that `draw` returns, drawn when written."""

    def figure() -> Any:
        return np.asarray(draw(), dtype=object).flat[0].figure

    def write(path: Path) -> bytes | None:
        screen = _Screen()
        token = _SCREEN.set(screen)
        try:
            save(figure(), path)
            screen.narrow = screen.differs
            return _png(figure()) if screen.narrow else None
        finally:
            _SCREEN.reset(token)

    return Picture(file, alt, caption, write)


def _png(figure: Figure) -> bytes:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return drawn.getvalue()
