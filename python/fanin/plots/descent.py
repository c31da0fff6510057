"""The effect of learning rate and minibatch size on gradient descent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fanin import _validate, optim
from fanin._typing import Array, Floats
from fanin.callbacks import LambdaCallback
from fanin.network import MLP
from fanin.plots.runs import HistoryLike, compare
from fanin.plots.style import FAINT, FIVE, INK, LEGEND, Panels, arrow, panels, tidy, tiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes


START = -2.0  # of descent on x**2 / 2


def learning_rates(
    runs: Mapping[str, HistoryLike] | None = None,
    *,
    rates: Sequence[float] = (0.05, 0.6, 2.1),
    steps: int = 8,
    ax: Any = None,
) -> Panels:
    """Draw steps of gradient descent on ``f(x) = x**2 / 2`` at several learning rates.

    Below a learning rate of 1 each step goes part of the way to the minimum, slowly at small ones;
    above 1 it overshoots, and above 2 it diverges.

    Parameters
    ----------
    runs : dict of str to History, optional
        Real runs by a label, whose losses are drawn in one more panel.
    rates : sequence of float
        Learning rates, one panel each.
    steps : int
        Of `fanin.optim.SGD`, from x = -2.
    ax : matplotlib Axes, optional
        As many as panels.

    Returns
    -------
    axes : ndarray of Axes
        One for each learning rate, and one for the runs.

    Examples
    --------
    >>> axes = fanin.plots.learning_rates()
    >>> [panel.get_title(loc="left") for panel in axes]
    ['0.05: crawls', '0.6: converges', '2.1: diverges']
    """
    _validate.sequence("rates", rates, "a list of learning rates")
    rates = [_validate.real("rates", rate, 0, above=True) for rate in rates]
    steps = _validate.whole("steps", steps, 1)
    count = len(rates) + (runs is not None)
    axes = tiles(ax, count, 2 if count == 4 else min(max(count, 1), 3), 2.6, 0.4)
    for panel, rate, colour in zip(axes, rates, cycle(FIVE), strict=False):
        _descend(panel, rate, steps, colour)
    if runs is not None:
        compare(runs, ax=axes[-1])
        for line, colour in zip(axes[-1].get_lines(), FIVE, strict=False):
            line.set_color(colour)
        tidy(axes[-1], "real runs", legend=False)
        axes[-1].legend(**LEGEND | {"fontsize": 9.5})
    return axes


def _descend(panel: Axes, rate: float, steps: int, colour: str) -> None:
    point, points = np.array([START]), [START]
    descent = optim.SGD(lr=rate)
    for _ in range(steps):
        descent.step(point, point.copy())  # x is the gradient of x**2 / 2
        points.append(float(point[0]))
    path = np.array(points)
    reach = 1.12 * max(np.abs(path[np.isfinite(path)]).max(), 3.0)
    x = np.linspace(-reach, reach, 200)
    panel.plot(x, x**2 / 2, color=FAINT, linewidth=1.5, zorder=1)
    for a, b in pairwise(path):
        arrow(panel, (a, a**2 / 2), (b, b**2 / 2), colour, 1.1)
    panel.plot(path, path**2 / 2, "o", color=colour, markersize=4.5, zorder=3)
    left = abs(path[-1] / START)
    outcome = "converges" if left < 0.05 else "crawls" if left < 1 else "diverges"
    panel.set(xlabel="x", ylabel="loss", xlim=(-reach, reach))
    panel.set_ylim(-0.06 * reach**2 / 2, reach**2 / 2)
    panel.locator_params(nbins=5)
    tidy(panel, f"{rate:g}: {outcome}")


def gd_vs_sgd(
    x: Array,
    y: Array,
    *,
    batch_sizes: Sequence[int | None] = (None, 32, 1),
    lr: float = 0.05,
    steps: int = 30,
    start: tuple[float, float] | None = None,
    seed: int = 0,
    ax: Any = None,
) -> Panels:
    """Draw the paths of gradient descent and of SGD over the loss of two parameters.

    A line ``w * x + b`` is fitted to y by ``fanin.MLP([1, 1], loss="mse")``, with the same number
    of steps of plain SGD for each size of the minibatch.

    Parameters
    ----------
    x, y : ndarray of shape (N,), float32 or float64
    batch_sizes : sequence of int or None
        None takes all N rows for each step: gradient descent. At most five.
    lr : float
    steps : int
    start : (float, float), optional
        The first w and b; by default below the best ones by twice the largest of ``abs(w)``,
        ``abs(b)`` and 1.
    seed : int
        Of the order of the rows.
    ax : pair of matplotlib Axes, optional

    Returns
    -------
    axes : ndarray of two Axes
        Paths over the contours of the loss, and the loss over all rows against the number of rows
        seen.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 64)
    >>> axes = fanin.plots.gd_vs_sgd(x, 2 * x + 1, batch_sizes=(None, 8), steps=5)
    >>> [len(line.get_xdata()) for line in axes[0].get_lines()]
    [6, 6, 1]
    """
    x = _validate.data_rows("x", x, 1, np.dtype(np.float64)).astype(np.float64)
    y = _validate.data_rows("y", y, 1, np.dtype(np.float64)).astype(np.float64)
    if not 1 <= len(_validate.sequence("batch_sizes", batch_sizes, "a list")) <= len(FIVE):
        raise ValueError(f"batch_sizes: expected 1 to {len(FIVE)}, got {len(batch_sizes)}")
    steps = _validate.whole("steps", steps, 1)
    best = np.linalg.lstsq(np.hstack([x, np.ones_like(x)]), y, rcond=None)[0].ravel()
    if start is None:
        far = 2 * max(1.0, *np.abs(best))
        start = best[0] - far, best[1] - far
    axes: Panels = panels(ax, 1, 2, 3.7)[0]
    net = MLP([1, 1], loss="mse", dtype="float64", seed=seed)
    drawn = [best[None]]
    for size, colour, style in zip(batch_sizes, FIVE, ("-", "-", "-", "--", ":"), strict=False):
        rows = len(x) if size is None else size
        _set_point(net, start)
        path = _sgd_path(net, x, y, rows, steps, lr)
        name = f"all {len(x)} rows" if size is None else f"{size} row{'s' * (size > 1)}"
        look = {"color": colour, "linestyle": style, "linewidth": 1.6, "label": name}
        axes[0].plot(*path.T, marker="o", markersize=2.6, zorder=3 + rows / len(x), **look)
        axes[1].plot(rows * np.arange(1, len(path)), _losses(net, path[1:], x, y), **look)
        drawn.append(path)
    axes[0].plot(*best, "*", color=INK, markersize=13, zorder=4)
    _contours(axes[0], net, np.concatenate(drawn), x, y)
    axes[0].set(xlabel="w", ylabel="b")
    axes[1].set(xscale="log", yscale="log", xlabel="rows looked at", ylabel="loss")
    new = ax is None
    tidy(axes[0], f"{steps} steps each", grid=None, legend=not new)
    tidy(axes[1], "and what they cost", legend=new, below=len(batch_sizes))
    return axes


SIDES = (20.0, 140.0, 260.0)  # degrees round the minimum, of the starts
DOWN = 0.99


def normalization_paths(X: Array, y: Array, *, steps: int = 40, ax: Any = None) -> Panels:
    """Draw gradient descent on features as they are and on the same features normalised.

    ``w1 * x1 + w2 * x2 + b`` is fitted to y, by gradient descent of ``fanin.MLP([2, 1],
    loss="mse")`` on centred features, from three sides and at the learning rate that is best for
    the loss: 2 / (the sum of its least and largest curvature). On unequal scales it swings across
    the valley and hardly goes along it; on equal ones any start is as good as another.

    Parameters
    ----------
    X : ndarray of shape (N, 2), float32 or float64
    y : ndarray of shape (N,), float32 or float64
    steps : int
    ax : pair of matplotlib Axes, optional

    Returns
    -------
    axes : ndarray of two Axes
        The features as they are, and normalised; each title has the steps until the loss has come
        99 % of the way down, from the slowest start.

    Raises
    ------
    ValueError, TypeError
        Where X is not finite data of two features.

    Examples
    --------
    >>> X = fanin.random.Generator(0).standard_normal((100, 2)) * np.array([4.0, 0.5])
    >>> axes = fanin.plots.normalization_paths(X, X @ np.array([0.2, 1.0]))
    >>> axes[1].get_title(loc="left")
    'normalised: 1 step'
    """
    axes: Panels = panels(ax, 1, 2, 3.7)[0]
    for panel, (name, descent) in zip(axes, feature_descents(X, y, steps).items(), strict=True):
        _draw_descent(panel, descent)
        took = descent.took
        shown = f"{took} step{'s' * (took != 1)}" if took else f"over {steps} steps"
        tidy(panel, f"{name}: {shown}", grid=None, legend=False)
    return axes


@dataclass(frozen=True, eq=False)
class FeatureDescent:
    """Gradient descent of the weights of two features, from several starts."""

    best: Floats  # (2,)
    curvature: Floats  # (2, 2)
    reach: float  # how far from the best the starts are
    paths: list[Floats]  # (steps + 1, 2) each

    @property
    def took(self) -> int | None:
        """Steps of the slowest until 99 % of the way down; None where one has not come there."""
        steps = []
        for path in self.paths:
            excess = self.height(path)
            steps.append(np.flatnonzero(excess <= (1 - DOWN) * excess[0]))
        return None if any(not n.size for n in steps) else max(int(n[0]) for n in steps)

    def height(self, points: Floats) -> Floats:
        """The loss above its least, at points (..., 2)."""
        off = points - self.best
        found: Floats = np.einsum("...i,ij,...j->...", off, self.curvature, off)
        return found


def feature_descents(X: Array, y: Array, steps: int) -> dict[str, FeatureDescent]:
    """The descents that `normalization_paths` draws."""
    rows = _validate.data_rows("X", X, 2, np.dtype(np.float64)).astype(np.float64)
    target = _validate.data_rows("y", y, 1, np.dtype(np.float64)).astype(np.float64)
    steps = _validate.whole("steps", steps, 1)
    centred, target = rows - rows.mean(axis=0), target.reshape(-1, 1) - target.mean()
    deviations = centred.std(axis=0)
    scaled = centred / np.where(deviations > 0, deviations, 1.0)
    return {
        "as they are": _feature_descent(centred, target, steps),
        "normalised": _feature_descent(scaled, target, steps),
    }


def _feature_descent(X: Floats, y: Floats, steps: int) -> FeatureDescent:
    best: Floats = np.linalg.lstsq(X, y, rcond=None)[0].ravel().astype(np.float64)
    curvature = X.T @ X / len(X)
    steepness = np.linalg.eigvalsh(curvature)
    rate = 2 / (steepness[0] + steepness[-1])  # of half the squared error; fanin's is twice that
    reach = 1.0 / np.sqrt(max(steepness[0], 1e-12 * steepness[-1]))
    angles = np.deg2rad(SIDES)
    starts = best + reach * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    paths = [_feature_path(X, y, start, steps, rate / 2) for start in starts]
    return FeatureDescent(best, curvature, float(reach), paths)


def _feature_path(X: Floats, y: Floats, start: Floats, steps: int, rate: float) -> Floats:
    """The weights of each step of gradient descent by a network of one layer."""
    net = MLP([2, 1], loss="mse", dtype="float64", seed=0)
    net.params["W1"][:, 0], net.params["b1"][0] = start, 0.0
    path = [start]
    recorder = LambdaCallback(
        on_train_batch_end=lambda *_: path.append(net.params["W1"][:, 0].copy())
    )
    net.fit(
        X, y, batch_size=None, epochs=steps, optimizer=optim.SGD(rate), callbacks=[recorder],
        preprocess=None, standardize_targets=False, progress=False,
    )  # fmt: skip
    return np.array(path)


def _draw_descent(panel: Axes, descent: FeatureDescent) -> None:
    for path, colour in zip(descent.paths, FIVE, strict=False):
        panel.plot(*path.T, "-o", color=colour, markersize=2.6, linewidth=1.2, zorder=3)
        panel.plot(*path[0], "o", color=colour, markerfacecolor="white", markersize=6, zorder=4)
    a, b = (np.linspace(-1.35 * descent.reach, 1.35 * descent.reach, 80) + x for x in descent.best)
    heights = descent.height(np.stack(np.meshgrid(a, b), axis=-1))
    levels = heights.max() * np.linspace(0.05, 1, 9) ** 2
    panel.contour(a, b, heights, levels=levels, colors="#BBBBBB", linewidths=0.8, zorder=1)
    panel.plot(*descent.best, "*", color=INK, markersize=12, zorder=5)
    panel.set(xlabel="weight 1", ylabel="weight 2", aspect="equal")
    panel.set(xlim=(a[0], a[-1]), ylim=(b[0], b[-1]))
    panel.locator_params(nbins=5)


def _point(net: MLP) -> Floats:
    return np.array([net.params["W1"][0, 0], net.params["b1"][0]])


def _set_point(net: MLP, point: Sequence[float] | Floats) -> None:
    net.params["W1"][0, 0], net.params["b1"][0] = point


def _sgd_path(net: MLP, x: Floats, y: Floats, rows: int, steps: int, lr: float) -> Floats:
    """The points (w, b) of so many steps of that many rows, from where the network stands."""
    path = [_point(net)]
    recorder = LambdaCallback(on_train_batch_end=lambda *_: path.append(_point(net)))
    net.fit(
        x, y, batch_size=rows, epochs=-(-steps * rows // len(x)), optimizer=optim.SGD(lr),
        callbacks=[recorder], standardize_targets=False, progress=False,
    )  # fmt: skip
    return np.array(path[: steps + 1])  # the last epoch may have more


def _losses(net: MLP, points: Floats, x: Floats, y: Floats) -> list[float]:
    """The loss over all rows at each (w, b)."""
    losses = []
    for point in points:
        _set_point(net, point)
        losses.append(net.evaluate(x, y)["loss"])
    return losses


def _contours(panel: Axes, net: MLP, points: Floats, x: Floats, y: Floats) -> None:
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.12 * (high - low)
    w, b = np.linspace(low - margin, high + margin, 48, axis=1)
    grid = np.stack(np.meshgrid(w, b), axis=-1)
    values = np.reshape(_losses(net, grid.reshape(-1, 2), x, y), (48, 48))
    levels = np.geomspace(values.min() * 1.02 + 1e-12, values.max(), 12)
    panel.contour(w, b, values, levels=levels, colors="#BBBBBB", linewidths=0.8, zorder=1)
    panel.set(xlim=(w[0], w[-1]), ylim=(b[0], b[-1]))
