"""Paths of the optimizers over a saddle and over Beale's function, as a picture or animated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fanin import _validate, optim
from fanin._files import atomic_write
from fanin._typing import PathLike
from fanin.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Panels,
    panels,
    tidy,
    title,
)
from fanin.plots.surfaces import SURFACES, Surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["animate_optimizers", "optimizer_paths"]

# A family has a colour, its members differ by their dashes.
DASHES, DOTS, BOTH = (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.2, 1.2, 1.2))
LOOKS: dict[str, tuple[str, Any]] = {
    "sgd": (BLACK, "-"),
    "momentum": (BLUE, "-"),
    "nesterov": (BLUE, DASHES),
    "adagrad": (GREEN, "-"),
    "rmsprop": (ORANGE, "-"),
    "adadelta": (SKY, "-"),
    "adam": (VERMILION, "-"),
    "adamw": (VERMILION, DASHES),
    "nadam": (VERMILION, DOTS),
    "amsgrad": (VERMILION, BOTH),
    "lion": (PURPLE, "-"),
}
WIDTHS = {"adagrad": 3.4, "adam": 3.4}  # they show under others that go almost the same way
FRAMES = 60
TITLES = {"saddle": "a saddle, {}", "beale": "Beale's function"}


def optimizer_paths(
    rates: Mapping[str, float] | None = None,
    *,
    surfaces: Sequence[str] = ("saddle", "beale"),
    ax: Any = None,
) -> Panels:
    """Draw where real steps of the optimizers of `fanin.optim` lead on functions of two variables.

    On the saddle ``x**2 - y**2`` they begin beside the ridge, where the gradient nearly vanishes,
    and the way down is along y. Beale's function has a flat, bent valley with its minimum at
    (3, 0.5). A path ends where it leaves the picture.

    Parameters
    ----------
    rates : dict of str to float, optional
        Names of rules with their learning rates; by default all rules, each at a rate that suits
        it and the function.
    surfaces : sequence of {"saddle", "beale"}
    ax : matplotlib Axes, optional
        One for each function; by default on a new figure.

    Returns
    -------
    axes : ndarray of Axes

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError, TypeError
        Naming the argument, what was expected and what came.

    Examples
    --------
    >>> (panel,) = fanin.plots.optimizer_paths({"sgd": 0.05, "adam": 0.05}, surfaces=["saddle"])
    >>> [line.get_label() for line in panel.get_lines()]
    ['SGD', 'Adam']
    """
    axes, _ = _draw(rates, surfaces, ax)
    return axes


def animate_optimizers(
    path: PathLike,
    rates: Mapping[str, float] | None = None,
    *,
    surfaces: Sequence[str] = ("saddle", "beale"),
) -> None:
    """Write the picture of `optimizer_paths` as an animated GIF: all rules run side by side.

    The frames are spread evenly over the steps; the last one stays for two seconds.

    Parameters
    ----------
    path : path
        The file, written whole or not at all.
    rates, surfaces
        As in `optimizer_paths`.

    Raises
    ------
    ImportError
        Without matplotlib or Pillow.
    OSError
        Where the file cannot be written.
    """
    axes, lines = _draw(rates, surfaces, None)
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("animations need Pillow: pip install fanin[plot,image]") from None
    frames = [Image.fromarray(frame) for frame in _frames(axes, lines)]
    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette())
    first, *rest = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    durations = [1000 // 15] * len(rest) + [2000]
    with atomic_write(path) as file:
        first.save(
            file, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0
        )


def _palette() -> bytes:
    """Greys, and each line's colour fading to white: one palette for all frames."""
    from matplotlib.colors import to_rgb

    white = np.ones(3)
    colours = [np.array(to_rgb(colour)) for colour, _ in LOOKS.values()]
    blends = [white + (c - white) * share for c in colours for share in np.linspace(1, 0.1, 10)]
    greys = [white * level for level in np.linspace(0, 1, 256 - len(blends))]
    return (255 * np.array(greys + blends)).round().astype(np.uint8).tobytes()


def _frames(axes: Panels, lines: list[list[Line2D]]) -> Iterator[NDArray[np.uint8]]:
    """Frames (H, W, 3) of the paths as they grow; the background is drawn once."""
    figure = axes[0].figure
    figure.set_dpi(100)
    tracks = [[np.array(line.get_xydata()) for line in panel] for panel in lines]
    for line in (line for panel in lines for line in panel):
        line.set_animated(True)
    figure.canvas.draw()
    still = figure.canvas.copy_from_bbox(figure.bbox)
    for frame in range(1, FRAMES + 1):
        figure.canvas.restore_region(still)
        for panel, panel_lines, panel_tracks in zip(axes, lines, tracks, strict=True):
            shown = -(-max(map(len, panel_tracks)) * frame // FRAMES)
            for line, track in zip(panel_lines, panel_tracks, strict=True):
                points = track[: max(shown, 2)]
                line.set_data(*points.T)
                line.set_markevery([len(points) - 1])
                panel.draw_artist(line)
        yield np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def _draw(
    rates: Mapping[str, float] | None, surfaces: Sequence[str], ax: Any
) -> tuple[Panels, list[list[Line2D]]]:
    chosen = [
        SURFACES[_validate.one_of("surfaces", name, SURFACES)]
        for name in _validate.sequence("surfaces", surfaces, "a list of saddle and beale")
    ]
    if not chosen:
        raise ValueError("surfaces: expected at least one of saddle, beale; got none")
    axes = panels(ax, len(chosen), 1, 1.2 + 3.8 * len(chosen))[:, 0]
    lines = [
        _paths(panel, surface, surface.rates if rates is None else rates)
        for panel, surface in zip(axes, chosen, strict=True)
    ]
    if ax is None:
        axes[0].figure.legend(
            handles=lines[0], loc="outside lower center", ncols=4, frameon=False, fontsize=10,
            labelcolor=INK,
        )  # fmt: skip
    return axes, lines


def _paths(panel: Axes, surface: Surface, rates: Mapping[str, float]) -> list[Line2D]:
    lines: list[Line2D] = []
    for rule, rate in rates.items():
        optimizer = optim.get(rule, rate)
        colour, style = LOOKS[optimizer.name]
        path = surface.path(optimizer)
        lines += panel.plot(
            *path.T, color=colour, linestyle=style, linewidth=WIDTHS.get(optimizer.name, 1.7),
            marker="o", markersize=5.5, markevery=[len(path) - 1],
            label=type(optimizer).__name__, zorder=3,
        )  # fmt: skip
    x, y = (np.linspace(*limits, 200) for limits in surface.limits)
    heights = surface.function(*np.meshgrid(x, y))
    if surface.minimum is None:
        levels = np.linspace(heights.min(), heights.max(), 16)
    else:
        levels = np.geomspace(0.02, heights.max(), 16)
        panel.scatter(*surface.minimum, marker="*", s=130, color=INK, zorder=5)
    panel.contourf(x, y, heights, levels=levels, cmap="Greys", alpha=0.18, extend="both")
    panel.contour(x, y, heights, levels=levels, colors="#B5B5B5", linewidths=0.6)
    panel.scatter(*surface.start, s=45, facecolor="white", edgecolor=INK, linewidth=1.4, zorder=4)
    panel.set(xlabel="x", ylabel="y", xlim=surface.limits[0], ylim=surface.limits[1])
    title(panel, TITLES[surface.name].format(surface.formula))
    panel.locator_params(nbins=6)
    tidy(panel, grid=None, legend=False)
    return lines
