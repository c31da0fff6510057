"""Data before and after preprocessing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fanin import _validate
from fanin import preprocessing as steps
from fanin._typing import Array, Floats
from fanin.plots.style import BLUE, FAINT, VERMILION, Panels, arrow, panels, tidy
from fanin.preprocessing.base import Transformer

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def preprocessing(X: Array, ax: Any = None) -> Panels:
    """Draw the lecture's two figures: the effect of preprocessing on data of two features.

    In the upper row the data as they are, zero-centred and normalised (`ZeroCenter`, `Normalize` of
    `fanin.preprocessing`); in the lower row as they are with their principal directions,
    decorrelated (`PCA`) and whitened (`Whiten`). The first two panels of a row have one scale.

    Parameters
    ----------
    X : ndarray of shape (N, 2), uint8, float32 or float64
    ax : six matplotlib Axes, optional

    Returns
    -------
    axes : ndarray of Axes, (2, 3)

    Raises
    ------
    ValueError, TypeError
        Where X is not finite data of two features, or ``ax`` not six axes.

    Examples
    --------
    >>> X = fanin.random.Generator(0).standard_normal((100, 2)) + 3
    >>> axes = fanin.plots.preprocessing(X)
    >>> [panel.get_title(loc="left") for panel in axes[1]]
    ['original', 'decorrelated', 'whitened']
    """
    rows = _validate.data_rows("X", X, 2, np.dtype(np.float64)).astype(np.float64)
    axes = panels(ax, 2, 3, 5.7)
    pca = steps.PCA()
    ways: tuple[dict[str, Transformer], ...] = (
        {"zero-centred": steps.ZeroCenter(), "normalised": steps.Normalize()},
        {"decorrelated": pca, "whitened": steps.Whiten()},
    )
    for line, way in zip(axes, ways, strict=True):
        drawn = [rows, *(_two_columns(step.fit_transform(rows)) for step in way.values())]
        reaches = [np.abs(points).max() for points in drawn]
        reaches[:2] = [max(reaches[:2])] * 2
        for panel, name, points, reach in zip(
            line, ("original", *way), drawn, reaches, strict=True
        ):
            _scatter(panel, name, points, reach or 1.0)
    deviations = np.sqrt(pca.explained_variance_)
    for deviation, direction in zip(deviations, pca.components_, strict=True):
        arrow(axes[1, 0], pca.mean_, pca.mean_ + 3 * deviation * direction, VERMILION, 2)
    return axes


def _two_columns(points: Array) -> Floats:
    """Data on one line have one direction: the other one is 0."""
    return np.pad(points, ((0, 0), (0, 2 - points.shape[1])))


def _scatter(panel: Axes, name: str, points: Floats, reach: float) -> None:
    panel.axhline(0, color=FAINT, linewidth=0.8, zorder=1)
    panel.axvline(0, color=FAINT, linewidth=0.8, zorder=1)
    panel.scatter(points[:, 0], points[:, 1], s=5, color=BLUE, alpha=0.35, linewidths=0, zorder=2)
    limits = -1.08 * reach, 1.08 * reach
    panel.set(xlim=limits, ylim=limits, aspect="equal")
    panel.locator_params(nbins=4)
    (a, b), (s, t) = points.mean(axis=0) + 0.0, points.std(axis=0)
    panel.set_xlabel(f"mean {_short(a)}, {_short(b)}\nstd {_short(s)}, {_short(t)}")
    tidy(panel, name, grid=None)
    panel.xaxis.label.set_fontsize(9.5)
    panel.tick_params(labelsize=9)


def _short(value: float) -> str:
    """Two decimals below 10, one above, and no minus before a zero."""
    text = f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", "−")
