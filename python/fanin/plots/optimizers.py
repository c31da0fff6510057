"""Paths of the optimizers over test functions, as a picture or animated."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fanin import _validate, optim
from fanin._files import atomic_write
from fanin._typing import PathLike
from fanin.plots import style
from fanin.plots.surfaces import SURFACES, Surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A family has a colour, its members differ by their dashes.
LOOKS: dict[str, tuple[str, Any]] = {
    "sgd": (style.BLACK, "-"),
    "momentum": (style.BLUE, "-"),
    "nesterov": (style.BLUE, (0, (5, 1.5))),
    "adagrad": (style.GREEN, "-"),
    "rmsprop": (style.ORANGE, "-"),
    "adadelta": (style.SKY, "-"),
    "adam": (style.VERMILION, "-"),
    "adamw": (style.VERMILION, (0, (5, 1.5))),
    "nadam": (style.VERMILION, style.DOTS),
    "amsgrad": (style.VERMILION, (0, (5, 1.2, 1.2, 1.2))),
    "lion": (style.PURPLE, "-"),
}
OTHER: tuple[str, Any] = (style.INK, style.DOTS)  # of a rule that has no look of its own
WIDTHS = {"adagrad": 3.4, "adam": 3.4}  # they show under others that go almost the same way
FRAMES = 60
TITLES = {
    "saddle": "a saddle, {}", "local": "a local minimum, {}", "beale": "Beale's function"
}  # fmt: skip


def optimizer_paths(
    rates: Mapping[str, float] | None = None,
    *,
    surfaces: Sequence[str] = ("saddle", "beale"),
    ax: Any = None,
) -> style.Panels:
    """Draw the paths of the optimizers of `fanin.optim` on functions of two variables.

    On the saddle ``x**2 - y**2`` they begin beside the ridge, where the gradient nearly vanishes,
    and the way down is along y. Beale's function has a flat, bent valley with its minimum at
    (3, 0.5). "local" is ``x**4 - 2 x**2 + x / 2 + y**2``, whose nearer basin is not the deeper one
    (the star). A path ends where it leaves the picture.

    Parameters
    ----------
    rates : dict of str to float, optional
        Names of optimizers with learning rates; by default all optimizers, each with a learning
        rate that suits it and the function.
    surfaces : sequence of {"saddle", "local", "beale"}
    ax : matplotlib Axes, optional
        One for each function.

    Returns
    -------
    axes : ndarray of Axes

    Examples
    --------
    >>> (panel,) = fanin.plots.optimizer_paths({"sgd": 0.05, "adam": 0.05}, surfaces=["saddle"])
    >>> [line.get_label() for line in panel.get_lines()]
    ['SGD', 'Adam']
    """
    chosen = [
        SURFACES[_validate.one_of("surfaces", name, SURFACES)]
        for name in _validate.sequence("surfaces", surfaces, "a list of saddle, local and beale")
    ]
    if not chosen:
        raise ValueError("surfaces: expected at least one of saddle, local, beale; got none")
    axes = style.panels(ax, len(chosen), 1, 1.2 + 3.8 * len(chosen))[:, 0]
    for panel, surface in zip(axes, chosen, strict=True):
        _draw_paths(panel, surface, surface.rates if rates is None else rates)
        _draw_contours(panel, surface)
        title = TITLES[surface.name].format(surface.formula)
        style.tidy(panel, title, grid=None, legend=ax is None and panel is axes[0], below=4)
    return axes


def animate_optimizers(
    path: PathLike,
    rates: Mapping[str, float] | None = None,
    *,
    surfaces: Sequence[str] = ("saddle", "beale"),
) -> None:
    """Write the picture of `optimizer_paths` as an animated GIF, all optimizers at once.

    The frames are spread evenly over the steps; the last one stays for two seconds.

    Parameters
    ----------
    path : path
        The file, written atomically.
    rates, surfaces
        As in `optimizer_paths`.

    Raises
    ------
    ImportError
        Without matplotlib or Pillow.
    OSError
        Where the file cannot be written.

    Examples
    --------
    >>> fanin.plots.animate_optimizers("paths.gif")
    """
    axes = optimizer_paths(rates, surfaces=surfaces)
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("animations need Pillow: pip install fanin[plot,image]") from None
    frames = [Image.fromarray(frame) for frame in _frames(axes)]
    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette())
    first, *rest = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    durations = [1000 // 15] * len(rest) + [2000]
    drawn = io.BytesIO()
    first.save(drawn, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    with atomic_write(path) as file:
        file.write(drawn.getbuffer())


def _palette() -> bytes:
    """Greys, and each line's colour fading to white: one palette for all frames."""
    from matplotlib.colors import to_rgb

    white = np.ones(3)
    colours = [np.array(to_rgb(colour)) for colour, _ in LOOKS.values()]
    blends = [white + (c - white) * share for c in colours for share in np.linspace(1, 0.1, 10)]
    greys = [white * level for level in np.linspace(0, 1, 256 - len(blends))]
    return (255 * np.array(greys + blends)).round().astype(np.uint8).tobytes()


def _frames(axes: style.Panels) -> Iterator[NDArray[np.uint8]]:
    """Frames (H, W, 3) of the paths as they grow; the background is drawn once."""
    figure = axes[0].figure
    figure.set_dpi(100)
    tracks = [
        (panel, [(line, np.array(line.get_xydata())) for line in panel.get_lines()])
        for panel in axes
    ]
    for line in (line for _, lines in tracks for line, _ in lines):
        line.set_animated(True)
    figure.canvas.draw()
    still = figure.canvas.copy_from_bbox(figure.bbox)
    for frame in range(1, FRAMES + 1):
        figure.canvas.restore_region(still)
        for panel, lines in tracks:
            shown = -(-max(len(track) for _, track in lines) * frame // FRAMES)
            for line, track in lines:
                points = track[: max(shown, 2)]
                line.set_data(*points.T)
                line.set_markevery([len(points) - 1])
                panel.draw_artist(line)
        yield np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def _draw_paths(panel: Axes, surface: Surface, rates: Mapping[str, float]) -> None:
    for rule, rate in rates.items():
        optimizer = optim.get(rule, rate)
        colour, dashes = LOOKS.get(optimizer.name, OTHER)
        path = surface.path(optimizer)
        panel.plot(
            *path.T, color=colour, linestyle=dashes, linewidth=WIDTHS.get(optimizer.name, 1.7),
            marker="o", markersize=5.5, markevery=[len(path) - 1],
            label=type(optimizer).__name__, zorder=3,
        )  # fmt: skip


def _draw_contours(panel: Axes, surface: Surface) -> None:
    x, y = (np.linspace(*limits, 200) for limits in surface.limits)
    heights = surface.function(*np.meshgrid(x, y))
    if surface.minimum is None or surface.name == "local":
        levels = np.linspace(heights.min(), heights.max(), 16)
    else:
        levels = np.geomspace(0.02, heights.max(), 16)
    if surface.minimum is not None:
        panel.scatter(*surface.minimum, marker="*", s=130, color=style.INK, zorder=5)
    panel.contourf(x, y, heights, levels=levels, cmap="Greys", alpha=0.18, extend="both")
    panel.contour(x, y, heights, levels=levels, colors="#B5B5B5", linewidths=0.6)
    panel.scatter(
        *surface.start, s=45, facecolor="white", edgecolor=style.INK, linewidth=1.4, zorder=4
    )
    panel.set(xlabel="x", ylabel="y", xlim=surface.limits[0], ylim=surface.limits[1])
    panel.locator_params(nbins=6)
