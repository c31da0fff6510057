"""Decision boundaries of networks of two inputs, and the weights behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fanin import _validate
from fanin._typing import Array, Floats
from fanin.network import MLP
from fanin.plots.style import BLUE, FAINT, INK, VERMILION, Panels, panels, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (BLUE, VERMILION)
POINTS = 160  # of the grid, each way


def decision_boundaries(nets: Mapping[str, MLP], X: Array, y: Array, ax: Any = None) -> Panels:
    """Draw the boundary between two classes that each network has learned, and its weights.

    Parameters
    ----------
    nets : dict of str to MLP
        By the title of each column; networks of two inputs and two outputs, six at most.
    X : ndarray of shape (N, 2), float32 or float64
        The rows that are drawn.
    y : ndarray of shape (N,)
        Their labels, 0 or 1.
    ax : matplotlib Axes, two for each network, optional

    Returns
    -------
    axes : ndarray of Axes, (2, number of networks)
        Above the boundary, below it the histogram of the weights of all layers, biases left out.

    Raises
    ------
    ValueError, TypeError
        Where the networks or the data are not of two features and two classes.

    Examples
    --------
    >>> X = fanin.random.Generator(0).standard_normal((40, 2))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> net = fanin.MLP([2, 8, 2])
    >>> history = net.fit(X, y, epochs=5, progress=False)
    >>> fanin.plots.decision_boundaries({"five epochs": net}, X, y).shape
    (2, 1)
    """
    if not 1 <= len(nets) <= 6:
        raise ValueError(f"nets: expected 1 to 6 networks, got {len(nets)}")
    for name, net in nets.items():
        if (net.dims[0], net.dims[-1]) != (2, 2):
            raise ValueError(
                f"nets[{name!r}]: expected a network of 2 inputs and 2 outputs, got {net.dims}"
            )
    rows = _validate.data_rows("X", X, 2, np.dtype(np.float64)).astype(np.float64)
    labels = _validate.plain_array("y", y)
    if labels.shape != (len(rows),) or set(np.unique(labels)) - {0, 1}:
        raise ValueError(f"y: expected {len(rows)} labels, 0 or 1, got shape {labels.shape}")
    axes = panels(ax, 2, len(nets), 4.4, width=max(6.4, 3.0 * len(nets)))
    largest = max(float(np.abs(_weights(net)).max()) for net in nets.values()) or 1.0
    for (above, below), (title, net) in zip(axes.T, nets.items(), strict=True):
        _boundary(above, net, rows, labels)
        tidy(above, title, grid=None)
        _histogram(below, _weights(net), largest)
    for panel in axes[1, 1:]:
        panel.set_ylabel("")
    return axes


def _weights(net: MLP) -> Floats:
    parts = [np.ravel(p) for name, p in net.params.items() if name.startswith("W")]
    return np.concatenate(parts).astype(np.float64)


def _boundary(panel: Axes, net: MLP, X: Floats, y: Array) -> None:
    from matplotlib.colors import ListedColormap

    low, high = X.min(axis=0), X.max(axis=0)
    margin = 0.15 * np.where(high > low, high - low, 1.0)
    a, b = np.linspace(low - margin, high + margin, POINTS, axis=1)
    grid = np.stack(np.meshgrid(a, b), axis=-1).reshape(-1, 2)
    share = net.predict_proba(grid.astype(np.float32))[:, 1].reshape(POINTS, POINTS)
    panel.pcolormesh(
        a, b, share > 0.5, cmap=ListedColormap(["#D9E8F3", "#F7E0D0"]), shading="auto",
        rasterized=True,
    )  # fmt: skip
    panel.contour(a, b, share, levels=[0.5], colors=INK, linewidths=1.6)
    for label, (colour, marker) in enumerate(zip(COLOURS, "o^", strict=True)):
        points = X[y == label].T
        panel.plot(
            *points, marker, color=colour, markersize=4.5, mec="white", mew=0.5, linestyle="none"
        )
    panel.set(xticks=[], yticks=[], xlim=(a[0], a[-1]), ylim=(b[0], b[-1]))


def _histogram(panel: Axes, weights: Floats, reach: float) -> None:
    panel.hist(weights, np.linspace(-reach, reach, 41).tolist(), color=BLUE, log=True)
    panel.axvline(0, color=FAINT, linewidth=0.8)
    panel.set(xlabel=f"weights, std {weights.std():.3f}", ylabel="how many")
    panel.set_ylim(bottom=0.7)
    tidy(panel, grid=None)
