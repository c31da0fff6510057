"""Histograms of activations, and a network before and after dropout."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fanin import _validate, layers
from fanin.plots.style import BLUE, DOTS, FAINT, INK, VERMILION, Panels, panels, tidy, tiles
from fanin.random import Generator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fanin.diagnostics import ActivationReport
    from fanin.diagnostics.activations import LayerStatistics

TANH_REACH = 3.5  # of the sums that are drawn


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


def tanh_outputs(report: ActivationReport, ax: Any = None) -> Panels:
    """Draw tanh's curve, and on it where the outputs of each layer fall.

    Near 0 outputs are small and so is the gradient of the next layer's weights; at the ends the
    curve is flat, and hardly any gradient passes.

    Parameters
    ----------
    report : ActivationReport
        Of a network of tanh, from `fanin.diagnostics.activation_statistics`.
    ax : as many matplotlib Axes as layers, optional

    Returns
    -------
    axes : ndarray of Axes, one for each layer
        Dots are as large as the share of outputs at their height; below each panel the mean slope
        of the curve at them.

    Raises
    ------
    ValueError
        Where the outputs are not between -1 and 1.

    Examples
    --------
    >>> report = fanin.diagnostics.activation_statistics([64] * 4, n=16, std=0.5)
    >>> axes = fanin.plots.tanh_outputs(report)
    >>> [panel.get_title(loc="left") for panel in axes]
    ['layer 1', 'layer 2', 'layer 3']
    """
    if any(layer.edges[0] != -1 or layer.edges[-1] != 1 for layer in report.layers):
        raise ValueError("report: expected one of tanh layers, whose outputs lie from -1 to 1")
    count = len(report.layers)
    axes = tiles(ax, count, min(count, 3), 1.9, 0.5)
    sums = np.linspace(-TANH_REACH, TANH_REACH, 121)
    for number, (panel, layer) in enumerate(zip(axes, report.layers, strict=True), 1):
        outputs = (layer.edges[:-1] + layer.edges[1:]) / 2
        shares = layer.counts / max(layer.counts.sum(), 1)
        panel.plot(sums, np.tanh(sums), color=FAINT, linewidth=1.4, zorder=1)
        panel.scatter(
            np.arctanh(outputs), outputs, s=320 * shares, color=BLUE, alpha=0.75, linewidths=0,
            zorder=3,
        )  # fmt: skip
        panel.set(xlim=(-TANH_REACH, TANH_REACH), ylim=(-1.15, 1.15), yticks=(-1, 0, 1))
        panel.set_xlabel(f"mean slope {mean_slope(layer):.2f}")
        tidy(panel, f"layer {number}")
        panel.xaxis.label.set_fontsize(10)
        panel.tick_params(labelsize=9)
    return axes


def mean_slope(layer: LayerStatistics) -> float:
    """Of tanh at a layer's outputs, by their histogram."""
    outputs = (layer.edges[:-1] + layer.edges[1:]) / 2
    return float(np.average(1 - outputs**2, weights=np.maximum(layer.counts, 1e-12)))


def dropout_thinning(
    dims: Sequence[int] = (4, 6, 6, 2),
    keep: float = 0.5,
    *,
    drop_connect: float | None = None,
    seed: int = 0,
    ax: Any = None,
) -> Panels:
    """Draw a small network without and with a dropout mask, and with one of DropConnect.

    Parameters
    ----------
    dims : sequence of int
        Widths, from input (below) to output; at most 12 each.
    keep : float in (0, 1]
        Probability of keeping a hidden unit. Input and output are kept, as in the lecture.
    drop_connect : float in (0, 1], optional
        Probability of keeping a connection, for a third panel: all units, some connections.
    seed : int
        Decides which are dropped, by `fanin.layers.dropout_forward` and `dropconnect_forward`.
    ax : two or three matplotlib Axes, optional

    Returns
    -------
    axes : ndarray of two or three Axes
        A dropped unit is crossed, and none of its connections is drawn; a dropped connection is
        dotted.

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
    if drop_connect is not None:
        _validate.keep_probability("drop_connect", drop_connect)
    count = 2 + (drop_connect is not None)
    axes: Panels = panels(ax, 1, count, 3.6, width=3.2 * count)[0]
    whole = [np.ones(width, bool) for width in widths]
    thinned = [
        layers.dropout_forward(np.ones(width), keep=keep, rng=Generator(seed, stream=i))[0] > 0
        for i, width in enumerate(widths[1:-1], 2)
    ]
    full = [np.ones(pair, bool) for pair in pairwise(widths)]
    drawn = [("the network", whole, full), (f"dropout, keep = {keep:g}", [whole[0], *thinned,
             whole[-1]], full)]  # fmt: skip
    if drop_connect is not None:
        masks = [
            layers.dropconnect_forward(
                np.eye(below), np.ones((below, above)), keep=drop_connect,
                rng=Generator(seed, stream=20 + i),
            )[0] > 0
            for i, (below, above) in enumerate(pairwise(widths))
        ]  # fmt: skip
        drawn.append((f"DropConnect, keep = {drop_connect:g}", whole, masks))
    for panel, (title, kept, connected) in zip(axes, drawn, strict=True):
        _draw_network(panel, kept, connected)
        panel.set_title(title, fontsize=11, color=INK)
    names = ["input", *(f"hidden {i}" for i in range(1, len(widths) - 1)), "output"]
    for level, name in enumerate(names):
        axes[0].text(
            -0.02, level, name, transform=axes[0].get_yaxis_transform(), rotation=90,
            ha="right", va="center", fontsize=9.5, color=INK,
        )  # fmt: skip
    return axes


def _draw_network(panel: Axes, kept: list[Any], connected: list[Any]) -> None:
    from matplotlib.collections import LineCollection

    places = [np.arange(len(units)) - (len(units) - 1) / 2 for units in kept]
    edges: dict[bool, list[Any]] = {True: [], False: []}
    for level, mask in enumerate(connected):
        for i, j in np.argwhere(np.outer(kept[level], kept[level + 1])):
            ends = (places[level][i], level), (places[level + 1][j], level + 1)
            edges[bool(mask[i, j])].append(ends)
    panel.add_collection(LineCollection(edges[True], colors=FAINT, linewidths=0.8, zorder=1))
    if edges[False]:
        look: dict[str, Any] = {"colors": VERMILION, "linewidths": 0.9, "linestyles": DOTS}
        panel.add_collection(LineCollection(edges[False], zorder=0, alpha=0.6, **look))
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
