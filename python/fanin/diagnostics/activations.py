"""Statistics of each layer's activations and gradients, and a verdict on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fanin import _core
from fanin._typing import Array, Bools, Ints
from fanin._validate import batch_rows, threads, whole
from fanin.document.text import aligned

BLOCK = 2**22  # activations of a network that are held at a time

# Thresholds of the verdict. Standard deviations and gradients change by a factor from layer to
# layer (their geometric mean) and by one in all, which a shallow network tolerates more of.
SHRINKS, GROWS = 0.8, 1.25
FAR, SHALLOW, FAR_IN_SHALLOW = 2.5, 3, 10.0
SATURATED = 0.2  # share of activations
DEAD = 0.6  # share of units; half of them are where a deep ReLU network's rows have become alike

# Beyond these an activation hardly passes a gradient; and the range of the activation.
_SATURATION = {"tanh": (-0.99, 0.99), "sigmoid": (0.01, 0.99)}
_RANGE = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """Statistics of one layer's activations and of their gradient, over all rows and units.

    Attributes
    ----------
    mean, std : float
    saturated, zero : float
        Fraction of activations beyond ±0.99 (tanh) or outside 0.01 ... 0.99 (sigmoid); that are 0.
    dead : float
        Fraction of units that are 0 for every row.
    counts, edges : ndarray of shape (bins,), int64, and (bins + 1,), float64
        The histogram, from -1 to 1 for tanh, 0 to 1 for sigmoid, else from the lowest to the
        highest; counts are 0 where activations are not finite.
    units : int
    gradient, weight_gradient : float or None
        Standard deviation of the gradient of each row's loss with respect to the activations, and
        of the rows' mean loss with respect to the weights; None without gradients.

    Examples
    --------
    >>> report = fanin.MLP([8, 16, 2]).activation_report(np.eye(8))
    >>> 0 < report.layers[0].std < 1
    True
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
    """The statistics of each layer, and a verdict on them.

    Attributes
    ----------
    layers : tuple of LayerStatistics
    verdict : {"healthy", "vanishing", "exploding", "saturated", "dead"}
    reason : str
        The numbers behind the verdict.

    Notes
    -----
    The verdict is the first that holds. "exploding": an activation or a gradient is not finite.
    "dead": over 60 % of a layer's units (more in narrow layers, to allow for chance) are 0 for
    every row. "saturated": over 20 % of a layer's activations are; such units pass little gradient.
    "vanishing": the standard deviation of activations falls by over 20 % a layer, in the geometric
    mean, and by a factor of 2.5 in all (10 in up to three layers, which tolerate more).
    "exploding": it grows by over 25 % a layer, and by that factor in all. The same two tests are
    then made of the gradient's length on its way back, where it is known: the activations of a deep
    sigmoid network look fine while its gradient vanishes. It need not vanish with saturation: it
    grows by 40 % a layer in the lecture's second case (tanh, weights of 0.05).

    Examples
    --------
    >>> (X, y), _ = fanin.datasets.load("digits")
    >>> fanin.MLP([64, 256, 10]).activation_report(X, y).verdict
    'healthy'
    """

    layers: tuple[LayerStatistics, ...]
    verdict: str
    reason: str

    def __str__(self) -> str:
        return "\n".join(
            f"[ {number} layers]  mean:{layer.mean:.2f} std:{layer.std:.2f}"
            for number, layer in enumerate(self.layers, 1)
        )

    def rows(self) -> list[tuple[str, ...]]:
        """All numbers but the histograms as text: a header, and a row for each layer."""
        rows: list[tuple[str, ...]] = [
            ("layer", "mean", "std", "gradient", "weights'", "saturated", "zero", "dead")
        ]
        for number, layer in enumerate(self.layers, 1):
            sizes = (layer.mean, layer.std, layer.gradient, layer.weight_gradient)
            shares = (layer.saturated, layer.zero, layer.dead)
            texts = ["-" if size is None else f"{size:.3g}" for size in sizes]
            rows.append((str(number), *texts, *(f"{share:.1%}" for share in shares)))
        return rows

    def table(self) -> str:
        """The `rows` as lines, and the verdict."""
        lines = aligned(self.rows(), left=0, gap=1, widths=(5, 9, 9, 9, 9, 10, 6, 6))
        return "\n".join([*lines, f"{self.verdict}: {self.reason}"])


class TracedNetwork(Protocol):
    """What `activation_report` needs of a network: `fanin.MLP` has it."""

    dims: list[int]
    activation: list[str]
    norm: str | None
    engine: _core.Engine32 | _core.Engine64

    def prepare(
        self, X: Array, y: Array | None = None, *, n_threads: int | None = None
    ) -> _core.TrainingData: ...


def activation_report(
    net: TracedNetwork,
    X: Array,
    y: Array | None = None,
    *,
    bins: int = 30,
    n_threads: int | None = None,
) -> ActivationReport:
    """Statistics of the activations and gradients of a network, layer by layer, on data.

    As in prediction: no masks; vanilla dropout multiplies by keep; DropConnect uses the mean of its
    masks. Rows are processed in blocks, so that memory is bounded; a batch norm takes the
    statistics of a block's rows, as it does in training. What a layer with a skip gives is the sum
    that the next one gets. `MLP` has it as a method.

    Parameters
    ----------
    net : MLP
    X : ndarray of shape (N, D) or (N, ...), uint8, float32 or float64
    y : ndarray, optional
        Targets as in ``net.fit``; without them there are no gradients.
    bins : int
        Of each layer's histogram.
    n_threads : int, optional
        Does not change the result.

    Returns
    -------
    ActivationReport
        The last layer is the scores. The verdict is on the hidden layers.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what was expected and what was given.

    Examples
    --------
    >>> import fanin
    >>> (X, y), _ = fanin.datasets.load("digits")
    >>> net = fanin.MLP([64, 50, 50, 10], activation="tanh")
    >>> net.set_preprocess("auto", X)  # as fit would have them
    >>> report = net.activation_report(X, y)
    >>> print(report)
    [ 1 layers]  mean:0.01 std:0.73
    [ 2 layers]  mean:-0.10 std:0.63
    [ 3 layers]  mean:0.00 std:0.04
    >>> report.verdict
    'healthy'
    """
    data = net.prepare(X, y, n_threads=n_threads)
    bins, n = whole("bins", bins, 1), threads(n_threads)
    batch_rows(net.norm, len(data))
    kinds = _kinds(net)
    found = [
        LayerAccumulator(k, units, bins, n) for k, units in zip(kinds, net.dims[1:], strict=True)
    ]
    gradients = [RunningSummary(n) for _ in found]
    weights = [p for p in net.engine.layout if p.role == "weights"]
    weight_gradients = [np.zeros(p.rows * p.cols, net.engine.parameters.dtype) for p in weights]
    blocks = _blocks(data, max(64, BLOCK // sum(net.dims)))
    with np.errstate(over="ignore", invalid="ignore"):
        for block in blocks:
            outputs, backward = net.engine.trace(block, n)
            for layer, a in zip(found, outputs, strict=True):
                layer.add(a)
            if backward is None:
                continue
            for summary, g in zip(gradients, backward, strict=True):
                summary.add(g)
            _, gradient = net.engine.gradient(block, l2=0.0, n_threads=n)
            for total, p in zip(weight_gradients, weights, strict=True):
                total += gradient[p.offset : p.offset + total.size] * len(block)
    for block in blocks:  # the edges of the histograms are known now
        outputs, _ = net.engine.trace(_without_targets(block), n)
        for layer, a in zip(found, outputs, strict=True):
            layer.count(a)
    statistics = tuple(
        layer.statistics() if y is None else layer.statistics(g.std, std_of(dW, n) / len(data))
        for layer, g, dW in zip(found, gradients, weight_gradients, strict=True)
    )
    return ActivationReport(statistics, *verdict_of(statistics[:-1] or statistics))


def _kinds(net: TracedNetwork) -> list[str]:
    """Each layer's activation; what a skip is added to has no range of its own."""
    skips = [layer.skip for layer in net.engine.layers]
    return [
        "identity" if s else a for a, s in zip([*net.activation, "identity"], skips, strict=True)
    ]


def _blocks(data: _core.TrainingData, rows: int) -> list[_core.TrainingData]:
    """The data in blocks of about as many rows, without weights."""
    count = max(1, len(data) // rows)
    ends = [len(data) * i // count for i in range(count + 1)]
    blocks = []
    for part in map(slice, ends[:-1], ends[1:]):
        labels, soft = (None if t is None else t[part] for t in (data.labels, data.soft))
        blocks.append(_core.TrainingData(data.X[part], data.mean, data.scale, labels, soft))
    return blocks


def _without_targets(data: _core.TrainingData) -> _core.TrainingData:
    return _core.TrainingData(data.X, data.mean, data.scale)


class RunningSummary:
    """Moments (by Chan's formula), extremes, zeros and what is out of limits, array by array."""

    limits: tuple[float, float]
    threads: int
    n: int
    squares: float
    mean: float
    zeros: float
    outside: float
    highest: float
    lowest: float

    def __init__(self, threads: int, low: float = -math.inf, high: float = math.inf) -> None:
        self.threads, self.limits, self.n = threads, (low, high), 0
        self.mean = self.squares = self.zeros = self.outside = 0.0
        self.lowest, self.highest = math.inf, -math.inf

    def add(self, a: Array) -> None:
        found = _core.summary(a, *self.limits, self.threads)
        mean, squares, lowest, highest, zeros, outside = found
        n, step = self.n + a.size, mean - self.mean
        self.squares += squares + step * step * (self.n * (a.size / n))
        self.mean += step * (a.size / n)
        self.n = n
        self.lowest, self.highest = min(self.lowest, lowest), max(self.highest, highest)
        self.zeros += zeros
        self.outside += outside

    @property
    def std(self) -> float:
        return math.sqrt(self.squares / self.n) if math.isfinite(self.squares) else math.nan


def std_of(a: Array, threads: int) -> float:
    summary = RunningSummary(threads)
    summary.add(a)
    return summary.std


class LayerAccumulator:
    """The statistics of a layer, from its activations block by block of rows."""

    def __init__(self, activation: str, units: int, bins: int, threads: int) -> None:
        self.activation = activation
        self.all: RunningSummary = RunningSummary(threads, *_SATURATION.get(activation, ()))
        self.alive: Bools = np.zeros(units, bool)
        self.counts: Ints = np.zeros(bins, np.int64)

    def add(self, a: Array) -> None:
        self.all.add(a)
        self.alive |= a.any(axis=0)

    def count(self, a: Array) -> None:
        """Adds to the histogram, whose edges are known once all rows have been added."""
        if math.isfinite(self.all.std):
            self.counts += _core.histogram(a, self.edges, self.all.threads)

    @property
    def edges(self) -> Array:
        low, high = _RANGE.get(self.activation, (self.all.lowest, self.all.highest))
        if math.isnan(self.all.std):
            low, high = 0.0, 1.0
        elif not low < high:  # as NumPy has it
            low, high = low - 0.5, high + 0.5
        return np.linspace(low, high, len(self.counts) + 1)

    def statistics(
        self, gradient: float | None = None, weights: float | None = None
    ) -> LayerStatistics:
        n, units, mean, std = self.all.n, len(self.alive), self.all.mean, self.all.std
        saturated = self.all.outside / n if self.activation in _SATURATION else 0.0
        zero, dead = self.all.zeros / n, 1 - np.count_nonzero(self.alive) / units
        return LayerStatistics(
            mean, std, saturated, zero, dead, self.counts, self.edges, units, gradient, weights
        )


def verdict_of(found: Sequence[LayerStatistics]) -> tuple[str, str]:
    """The verdict and its reason; see `ActivationReport`."""
    for number, layer in enumerate(found, 1):
        if not math.isfinite(layer.std):
            return "exploding", f"layer {number} gives activations that are not finite"
        if not math.isfinite(layer.gradient or 0.0):
            return "exploding", f"the gradient at layer {number} is not finite"
    first, last = found[0], found[-1]
    verdict, trend = _trend([layer.std for layer in found])
    evidence = f"std {first.std:.3g} in the first layer, {last.std:.3g} in the last: {trend}"
    back = "healthy"
    if first.gradient is not None and last.gradient is not None:
        # Over all units of a row, so that a change of width by itself is no change.
        lengths = [(layer.gradient or 0.0) * math.sqrt(layer.units) for layer in found]
        back, trend = _trend(lengths[::-1])
        evidence += (
            f"; gradient {last.gradient:.3g} at the last layer, {first.gradient:.3g} at the "
            f"first: {trend} on its way down"
        )
    dead = max(layer.dead for layer in found)
    if any(layer.dead > DEAD + 1 / math.sqrt(layer.units) for layer in found):
        return "dead", f"{dead:.0%} of a layer's units are 0 for every row; {evidence}"
    saturated = max(layer.saturated for layer in found)
    if saturated > SATURATED:
        return "saturated", f"{saturated:.0%} of a layer's activations are saturated; {evidence}"
    return back if verdict == "healthy" else verdict, evidence


def _trend(values: Sequence[float]) -> tuple[str, str]:
    """The verdict on how values change from layer to layer, and the change in words."""
    change = values[-1] / values[0] if values[0] > 0 else 0.0
    ratio = change ** (1 / max(len(values) - 1, 1))
    far = FAR if len(values) > SHALLOW else FAR_IN_SHALLOW
    vanishes, explodes = ratio < SHRINKS and change < 1 / far, ratio > GROWS and change > far
    verdict = "vanishing" if vanishes else "exploding" if explodes else "healthy"
    return verdict, f"{'falls' if ratio < 1 else 'grows'} by {abs(ratio - 1):.0%} a layer"
