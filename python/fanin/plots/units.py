"""Histograms of activations, and a network before and after dropout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fanin import _validate, layers
from fanin.plots.style import BLUE, FAINT, INK, VERMILION, Panels, panels, tidy, tiles
from fanin.random import Generator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fanin.diagnostics import ActivationReport


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
    axes = tiles(ax, count, min(count, 3), 1.85, 0.7)
    if ax is None:
        axes[0].figure.suptitle(
            f"{report.verdict}: {report.reason}", fontsize=10.5, color=INK, wrap=True
        )
    low = min(layer.edges[0] for layer in report.layers)
    high = max(layer.edges[-1] for layer in report.layers)
    shares = [layer.counts / max(layer.counts.sum(), 1) for layer in report.layers]
    tallest = np.max(shares)
    for number, (panel, layer) in enumerate(zip(axes, report.layers, strict=True), 1):
        panel.bar(
            layer.edges[:-1], shares[number - 1], width=np.diff(layer.edges), align="edge",
            color=BLUE, edgecolor="white", linewidth=0.3,
        )  # fmt: skip
        panel.set(xlim=(low, high), ylim=(0, 1.08 * tallest or 1))
        panel.locator_params(axis="y", nbins=4)
        panel.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
        panel.set_xlabel(f"mean {layer.mean:.2f}, std {layer.std:.2f}".replace("-0.00", "0.00"))
        tidy(panel, f"layer {number}")
        panel.xaxis.label.set_fontsize(10)
        panel.tick_params(labelsize=9)
    return axes


def dropout_thinning(
    dims: Sequence[int] = (4, 6, 6, 2), keep: float = 0.5, *, seed: int = 0, ax: Any = None
) -> Panels:
    """Draw a small network without and with a dropout mask.

    Parameters
    ----------
    dims : sequence of int
        Widths, from input (below) to output; at most 12 each.
    keep : float in (0, 1]
        Probability of keeping a hidden unit. Input and output are kept, as in the lecture.
    seed : int
        Decides which units are dropped, by `fanin.layers.dropout_forward`.
    ax : pair of matplotlib Axes, optional

    Returns
    -------
    axes : ndarray of two Axes
        A dropped unit is crossed, and none of its connections is drawn.

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
    thinned = [
        layers.dropout_forward(np.ones(width), keep=keep, rng=Generator(seed, stream=i))[0] > 0
        for i, width in enumerate(widths[1:-1], 2)
    ]
    titles = "the network", f"one step of training, keep = {keep:g}"
    for panel, kept, title in zip(
        axes, (whole, [whole[0], *thinned, whole[-1]]), titles, strict=True
    ):
        _draw_network(panel, kept)
        panel.set_title(title, fontsize=11, color=INK)
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
    circle: dict[str, Any] = {"marker": "o", "markersize": 15, "linestyle": "none", "zorder": 2}
    cross: dict[str, Any] = {"marker": "x", "markersize": 13, "linestyle": "none", "zorder": 3}
    for level, (x, units) in enumerate(zip(places, kept, strict=True)):
        y = np.full(len(units), level)
        panel.plot(x[units], y[units], color="#CFE3F1", mec=BLUE, mew=1.6, **circle)
        panel.plot(x[~units], y[~units], color="white", mec=FAINT, mew=1.2, **circle)
        panel.plot(x[~units], y[~units], color=VERMILION, mew=2.2, **cross)
    widest = max(map(len, kept))
    panel.set(xlim=(-widest / 2 - 0.1, widest / 2 + 0.1), ylim=(-0.4, len(kept) - 0.6))
    panel.set_axis_off()
