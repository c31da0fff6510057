"""Units of a network: histograms of their activations, and what dropout leaves of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fanin import _validate, layers
from fanin.plots.style import BLUE, FAINT, INK, VERMILION, Panels, panels, tidy, title
from fanin.random import Generator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fanin.diagnostics import ActivationReport, LayerStatistics

__all__ = ["activations", "dropout_thinning"]


def activations(report: ActivationReport, ax: Any = None) -> Panels:
    """Draw the histogram of each layer's activations, with mean and standard deviation.

    Parameters
    ----------
    report : ActivationReport
        From `fanin.diagnostics.activation_statistics`. Bars show shares of activations; all layers
        have the same axis of values.
    ax : as many matplotlib Axes as layers, optional
        Where to draw; by default on a new figure, whose title is the verdict and its reason.

    Returns
    -------
    axes : ndarray of Axes, one for each layer

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        Where ``ax`` has not one for each layer.

    Examples
    --------
    >>> report = fanin.diagnostics.activation_statistics([64] * 4, n=16, std=0.01)
    >>> axes = fanin.plots.activations(report)
    >>> [panel.get_title(loc="left") for panel in axes]
    ['layer 1', 'layer 2', 'layer 3']
    >>> axes[0].figure.get_suptitle().split(":")[0]
    'vanishing'
    """
    count = len(report.layers)
    if ax is None:
        columns = min(count, 3)
        rows = -(-count // columns)
        axes = panels(None, rows, columns, 0.7 + 1.85 * rows).reshape(-1)
        for panel in axes[count:]:
            panel.remove()
        axes[0].figure.suptitle(
            f"{report.verdict}: {report.reason}", fontsize=10.5, color=INK, wrap=True
        )
    else:
        axes = panels(ax, 1, count, 0)[0]
    low = min(layer.edges[0] for layer in report.layers)
    high = max(layer.edges[-1] for layer in report.layers)
    tallest = max(_shares(layer).max() for layer in report.layers)
    for number, (panel, layer) in enumerate(zip(axes, report.layers, strict=False), 1):
        panel.bar(
            layer.edges[:-1], _shares(layer), width=np.diff(layer.edges), align="edge",
            color=BLUE, edgecolor="white", linewidth=0.3,
        )  # fmt: skip
        panel.set(xlim=(low, high), ylim=(0, 1.08 * tallest or 1))
        panel.locator_params(axis="y", nbins=4)
        panel.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
        title(panel, f"layer {number}")
        panel.set_xlabel(f"mean {layer.mean:.2f}, std {layer.std:.2f}".replace("-0.00", "0.00"))
        tidy(panel)
        panel.xaxis.label.set(fontsize=10)
        panel.tick_params(labelsize=9)
    return axes[:count]


def _shares(layer: LayerStatistics) -> Any:
    return layer.counts / max(layer.counts.sum(), 1)


def dropout_thinning(
    dims: Sequence[int] = (4, 6, 6, 2), keep: float = 0.5, *, seed: int = 0, ax: Any = None
) -> Panels:
    """Draw a small network, and what one dropout mask leaves of it.

    Parameters
    ----------
    dims : sequence of int
        Widths, from input (below) to output; at most 12 each.
    keep : float in (0, 1]
        Probability of keeping a hidden unit. Input and output are kept, as in the lecture.
    seed : int
        Decides which units go: they are drawn by `fanin.layers.dropout_forward`.
    ax : pair of matplotlib Axes, optional
        Where to draw; by default on a new figure.

    Returns
    -------
    axes : ndarray of two Axes
        A dropped unit is crossed, and none of its connections is drawn.

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError, TypeError
        Naming the argument, what was expected and what came.

    Examples
    --------
    >>> axes = fanin.plots.dropout_thinning([3, 4, 2], seed=1)
    >>> len(axes[0].collections[0].get_segments())
    20
    """
    widths = [
        _validate.whole("dims", d, 1, 12)
        for d in _validate.sequence("dims", dims, "a list of widths")
    ]
    if len(widths) < 3:
        raise ValueError(f"dims: expected input, hidden and output widths, got {dims!r}")
    _validate.keep_probability("keep", keep)
    axes: Panels = panels(ax, 1, 2, 3.6)[0]
    whole = [np.ones(width, bool) for width in widths]
    thinned = list(whole)
    for layer in range(1, len(widths) - 1):
        rng = Generator(seed, stream=layer + 1)
        thinned[layer] = layers.dropout_forward(np.ones(widths[layer]), keep=keep, rng=rng)[0] > 0
    _draw_network(axes[0], whole)
    _draw_network(axes[1], thinned)
    axes[0].set_title("the network", fontsize=11, color=INK)
    axes[1].set_title(f"one step of training, keep = {keep:g}", fontsize=11, color=INK)
    names = ["input", *(f"hidden {i}" for i in range(1, len(widths) - 1)), "output"]
    for level, name in enumerate(names):
        axes[0].text(
            -0.02, level, name, transform=axes[0].get_yaxis_transform(), rotation=90,
            ha="right", va="center", fontsize=9.5, color=INK,
        )  # fmt: skip
    return axes


def _draw_network(panel: Axes, kept: list[Any]) -> None:
    from matplotlib.collections import LineCollection

    places = [np.arange(len(units)) - (len(units) - 1) / 2 for units in kept]
    edges = [
        [(x, level), (z, level + 1)]
        for level in range(len(kept) - 1)
        for x in places[level][kept[level]]
        for z in places[level + 1][kept[level + 1]]
    ]
    panel.add_collection(LineCollection(edges, colors=FAINT, linewidths=0.8, zorder=1))
    for level, units in enumerate(kept):
        x, y = places[level], np.full(len(units), level)
        panel.plot(
            x[units], y[units], "o", markersize=15, color="#CFE3F1", markeredgecolor=BLUE,
            markeredgewidth=1.6, linestyle="none", zorder=2,
        )  # fmt: skip
        panel.plot(
            x[~units], y[~units], "o", markersize=15, color="white", markeredgecolor=FAINT,
            markeredgewidth=1.2, linestyle="none", zorder=2,
        )  # fmt: skip
        panel.plot(
            x[~units], y[~units], "x", markersize=13, color=VERMILION, markeredgewidth=2.2,
            linestyle="none", zorder=3, label="dropped" if level == 1 else None,
        )  # fmt: skip
    widest = max(map(len, kept))
    panel.set(xlim=(-widest / 2 - 0.1, widest / 2 + 0.1), ylim=(-0.4, len(kept) - 0.6))
    panel.set_axis_off()
