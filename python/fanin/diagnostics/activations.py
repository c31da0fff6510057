"""What is said of each layer of a network, and the verdict on all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fanin import _core
from fanin.document.text import aligned

Array = npt.NDArray[Any]

# A verdict's thresholds. Standard deviations and gradients: the geometric mean of the step from
# layer to layer, and the factor that all steps must come to. A shallow network stands much.
SHRINKS, GROWS = 0.8, 1.25
FAR, SHALLOW, FAR_IN_SHALLOW = 2.5, 3, 10.0
SATURATED = 0.2  # share of activations
DEAD = 0.6  # share of units; half of them are where a deep ReLU network's rows have become alike

# Beyond these an activation hardly passes a gradient; and where it always lies.
_SATURATION = {"tanh": (-0.99, 0.99), "sigmoid": (0.01, 0.99)}
_RANGE = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """What one layer gives out, over all rows and units, and the gradient that comes back to it.

    Attributes
    ----------
    mean, std : float
    saturated : float
        Share of activations beyond 0.99 in magnitude (tanh), or outside 0.01 ... 0.99 (sigmoid);
        0 for the others, which do not saturate at both ends.
    zero : float
        Share of activations that are exactly 0.
    dead : float
        Share of units that are 0 for every row.
    counts : ndarray of shape (bins,), int64
        The histogram; all 0 where activations are not finite.
    edges : ndarray of shape (bins + 1,), float64
        From -1 to 1 for tanh, 0 to 1 for sigmoid, else from the lowest to the highest.
    units : int
        Width of the layer.
    gradient : float or None
        Standard deviation, over rows and units, of the gradient of each row's loss with respect to
        what the layer gives out; None where no gradients were asked for.
    weight_gradient : float or None
        Standard deviation of the gradient of the rows' mean loss with respect to the layer's
        weights: what the weights learn from.
    """

    mean: float
    std: float
    saturated: float
    zero: float
    dead: float
    counts: Array
    edges: Array
    units: int
    gradient: float | None = None
    weight_gradient: float | None = None


@dataclass(frozen=True, eq=False)
class ActivationReport:
    """The statistics of each layer, and what they mean for training.

    Attributes
    ----------
    layers : tuple of LayerStatistics
        From the first layer to the last.
    verdict : {"healthy", "vanishing", "exploding", "saturated", "dead"}
    reason : str
        The numbers behind the verdict.

    Notes
    -----
    The first that holds is the verdict. "exploding": an activation or a gradient is not finite.
    "dead": over 60 % of a layer's units (and more in narrow layers, by chance) are 0 for every row.
    "saturated": over 20 % of a layer's activations are, where a unit passes little gradient.
    "vanishing": the standard deviation of activations falls by over 20 % a layer, the geometric
    mean from the first layer to the last, and by a factor of 2.5 in all (10 in up to three layers:
    small networks stand much); the gradient of the weights falls with it. "exploding": it grows by
    over 25 % a layer, and by that factor in all. The same two are then asked of the gradient's
    length on its way down, where it is known: activations of a deep sigmoid network look well
    while its gradient vanishes.

    Saturation is bad by itself, but the gradient need not vanish with it: in the lecture's second
    case (tanh, weights of 0.05) the large weights more than make up for the small slopes, and the
    gradient grows by 40 % a layer on its way down.
    """

    layers: tuple[LayerStatistics, ...]
    verdict: str
    reason: str

    def __str__(self) -> str:
        """The lecture's lines, one for each layer."""
        return "\n".join(
            f"[ {number} layers]  mean:{layer.mean:.2f} std:{layer.std:.2f}"
            for number, layer in enumerate(self.layers, 1)
        )

    def rows(self) -> list[tuple[str, ...]]:
        """All numbers but the histograms as text: a header, and a row for each layer."""
        header = ("layer", "mean", "std", "gradient", "weights'", "saturated", "zero", "dead")
        return [
            header,
            *(
                (
                    str(number),
                    f"{layer.mean:.3g}",
                    f"{layer.std:.3g}",
                    *(
                        "-" if gradient is None else f"{gradient:.3g}"
                        for gradient in (layer.gradient, layer.weight_gradient)
                    ),
                    *(f"{share:.1%}" for share in (layer.saturated, layer.zero, layer.dead)),
                )
                for number, layer in enumerate(self.layers, 1)
            ),
        ]

    def table(self) -> str:
        """The `rows` as lines, and the verdict."""
        lines = aligned(self.rows(), left=0, gap=1, widths=(5, 9, 9, 9, 9, 10, 6, 6))
        return "\n".join([*lines, f"{self.verdict}: {self.reason}"])


class Spread:
    """Mean and standard deviation of arrays that come one after another, by Chan's formula."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.n = 0
        self.mean = self.squares = 0.0

    def add(self, a: Array, low: float = -math.inf, high: float = math.inf) -> tuple[float, ...]:
        """Takes an array in; tells its lowest, highest, zeros and those outside of the limits."""
        mean, squares, *rest = _core.summary(a, low, high, self.threads)
        n = self.n + a.size
        step = mean - self.mean
        self.squares += squares + step * step * (self.n * (a.size / n))
        self.mean += step * (a.size / n)
        self.n = n
        return tuple(rest)

    @property
    def std(self) -> float:
        return math.sqrt(self.squares / self.n) if math.isfinite(self.squares) else math.nan


class Tally:
    """What the activations of a layer add up to, block of rows after block of rows."""

    def __init__(self, activation: str, units: int, bins: int, threads: int) -> None:
        self.activation = activation
        self.spread = Spread(threads)
        self.lowest, self.highest = math.inf, -math.inf
        self.zeros = self.outside = 0.0
        self.alive = np.zeros(units, bool)
        self.counts = np.zeros(bins, np.int64)

    def add(self, a: Array) -> None:
        limits = _SATURATION.get(self.activation, (-math.inf, math.inf))
        lowest, highest, zeros, outside = self.spread.add(a, *limits)
        self.lowest, self.highest = min(self.lowest, lowest), max(self.highest, highest)
        self.zeros += zeros
        self.outside += outside
        self.alive |= a.any(axis=0)

    def count(self, a: Array) -> None:
        """Adds to the histogram: once all rows have been added, for its edges."""
        if math.isfinite(self.spread.squares):
            self.counts += _core.histogram(a, self.edges, self.spread.threads)

    @property
    def edges(self) -> Array:
        low, high = _RANGE.get(self.activation, (self.lowest, self.highest))
        if not math.isfinite(self.spread.squares):
            low, high = 0.0, 1.0
        elif not low < high:  # as NumPy has it
            low, high = low - 0.5, high + 0.5
        return np.linspace(low, high, len(self.counts) + 1)

    def statistics(
        self, gradient: float | None = None, weight_gradient: float | None = None
    ) -> LayerStatistics:
        n = self.spread.n
        return LayerStatistics(
            mean=self.spread.mean,
            std=self.spread.std,
            saturated=self.outside / n if self.activation in _SATURATION else 0.0,
            zero=self.zeros / n,
            dead=1 - np.count_nonzero(self.alive) / len(self.alive),
            counts=self.counts,
            edges=self.edges,
            units=len(self.alive),
            gradient=gradient,
            weight_gradient=weight_gradient,
        )


def verdict_on(found: Sequence[LayerStatistics]) -> tuple[str, str]:
    """The verdict and its reason; see `ActivationReport`."""
    for number, layer in enumerate(found, 1):
        if not math.isfinite(layer.std):
            return "exploding", f"layer {number} gives activations that are not finite"
        if layer.gradient is not None and not math.isfinite(layer.gradient):
            return "exploding", f"the gradient at layer {number} is not finite"
    first, last = found[0], found[-1]
    verdict, course = _course([layer.std for layer in found])
    evidence = f"std {first.std:.3g} in the first layer, {last.std:.3g} in the last: {course}"
    back = "healthy"
    if first.gradient is not None and last.gradient is not None:
        # Over all units of a row, so that a change of width by itself is no change.
        lengths = [(layer.gradient or 0.0) * math.sqrt(layer.units) for layer in found]
        back, course = _course(lengths[::-1])
        evidence += (
            f"; gradient {last.gradient:.3g} at the last layer, {first.gradient:.3g} at the "
            f"first: {course} on its way down"
        )
    dead = max(layer.dead for layer in found)
    if any(layer.dead > DEAD + 1 / math.sqrt(layer.units) for layer in found):
        return "dead", f"{dead:.0%} of a layer's units are 0 for every row; {evidence}"
    saturated = max(layer.saturated for layer in found)
    if saturated > SATURATED:
        return "saturated", f"{saturated:.0%} of a layer's activations are saturated; {evidence}"
    return back if verdict == "healthy" else verdict, evidence


def _course(values: Sequence[float]) -> tuple[str, str]:
    """Whether values shrink or grow from step to step, and how fast."""
    change = values[-1] / values[0] if values[0] > 0 else 0.0
    ratio = change ** (1 / max(len(values) - 1, 1))
    far = FAR if len(values) > SHALLOW else FAR_IN_SHALLOW
    verdict = "healthy"
    if ratio < SHRINKS and change < 1 / far:
        verdict = "vanishing"
    elif ratio > GROWS and change > far:
        verdict = "exploding"
    return verdict, f"{'falls' if ratio < 1 else 'grows'} by {abs(ratio - 1):.0%} a layer"
