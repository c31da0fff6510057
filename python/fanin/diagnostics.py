"""What the numbers inside a network say: how activations spread from layer to layer."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fanin import _core, _validate, initializers, layers
from fanin.random import Generator, Size, package_generator

__all__ = ["ActivationReport", "LayerStatistics", "activation_statistics"]

Array = npt.NDArray[Any]

# A verdict's thresholds.
SHRINKS, GROWS = 0.8, 1.25  # std of a layer over that of the one below, the geometric mean
SATURATED = 0.2  # share of activations
DEAD = 0.6  # share of units; half of them are where a deep ReLU network's rows have become alike

# Beyond these an activation hardly passes a gradient; and where it always lies.
_SATURATION = {"tanh": (-0.99, 0.99), "sigmoid": (0.01, 0.99)}
_RANGE = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """What one layer gives out, over all rows and units.

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
    """

    mean: float
    std: float
    saturated: float
    zero: float
    dead: float
    counts: Array
    edges: Array


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
    The first that holds is the verdict. "exploding": an activation is not finite. "dead": over 60 %
    of a layer's units are 0 for every row. "saturated": over 20 % of a layer's activations are, so
    that little gradient passes. "vanishing": the standard deviation falls by over 20 % a layer, the
    geometric mean from the first layer to the last; the gradient of the weights falls with it.
    "exploding": it grows by over 25 % a layer.
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


def activation_statistics(
    dims: Sequence[int] = (4096,) * 7,
    n: int = 16,
    *,
    x: Array | None = None,
    init: str | Callable[..., Array] = "xavier",
    std: float | None = None,
    activation: str = "tanh",
    gain: float = 1.0,
    distribution: str = "normal",
    seed: int = 0,
    dtype: npt.DTypeLike = "float32",
    bins: int = 30,
    n_threads: int | None = None,
) -> ActivationReport:
    """Tell how activations spread through a stack of dense layers with fresh weights.

    The lecture's experiment (CS231n, weight initialisation): each layer is
    ``x = activation(x.dot(W))``, without biases. The weights are drawn where the product needs them
    and are never stored, so that memory goes with the activations alone. They are those of
    ``fanin.MLP(dims, init=init, seed=seed)`` in its hidden layers, bit for bit.

    Parameters
    ----------
    dims : sequence of int
        Width of the input and of each layer.
    n : int
        Rows of standard normal input to draw where `x` is not given.
    x : ndarray of shape (N, dims[0]), optional
        Input of your own: uint8, float32 or float64.
    init : str or callable
        An initialiser's name, see `fanin.initializers.get`. A function's weights are stored, a
        layer's at a time.
    std : float, optional
        A fixed standard deviation of the weights, in place of `init`.
    activation : str
        As in `fanin.layers.dense`.
    gain, distribution
        As in `fanin.initializers.small_random`.
    seed : int
        Decides input and weights.
    dtype : {"float32", "float64"}
    bins : int
        Of each layer's histogram.
    n_threads : int, optional
        Changes the time, never the numbers.

    Returns
    -------
    ActivationReport
        ``print(report)`` prints the lecture's lines.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what was expected and what came.

    Examples
    --------
    >>> report = activation_statistics([512] * 4, n=64, init="kaiming", activation="relu")
    >>> print(report)
    [ 1 layers]  mean:0.56 std:0.83
    [ 2 layers]  mean:0.57 std:0.83
    [ 3 layers]  mean:0.54 std:0.82
    >>> report.verdict
    'healthy'
    >>> report = activation_statistics([512] * 4, std=0.01)
    >>> report.verdict
    'vanishing'
    >>> report.reason
    'std 0.217 in the first layer, 0.0112 in the last: falls by 77% a layer'
    """
    sequence = _validate.sequence("dims", dims, "a list of layer widths")
    widths = [_validate.whole("dims", d, 1) for d in sequence]
    if len(widths) < 2:
        raise ValueError(f"dims: expected the input's width and at least one layer's, got {dims}")
    float_type = _validate.float_dtype("dtype", dtype)
    code = layers.activation_code("activation", activation)
    bins = _validate.whole("bins", bins, 1)
    threads = _validate.threads(n_threads)
    initialize: Callable[..., Array] = initializers.get(init)
    if std is not None:
        std = _validate.real("std", std, 0.0)
        initialize, init = functools.partial(initializers.small_random, std=std), "small_random"
    if x is None:
        shape = (_validate.whole("n", n, 1), widths[0])
        a = Generator(seed).standard_normal(shape, dtype=float_type)
    else:
        a = _validate.cast("x", _validate.data_rows("x", x, widths[0], float_type), float_type)
    found = []
    for number, shape in enumerate(itertools.pairwise(widths)):
        rng = package_generator(seed, "init", number)
        draw = functools.partial(
            initialize, shape, gain=gain, distribution=distribution, dtype=float_type
        )
        if callable(init):
            a = layers.dense(a, draw(rng=rng), activation=activation, n_threads=n_threads)
        else:
            plan = _Plan(rng)
            draw(rng=plan)
            a = _core.random_dense(a, shape[1], *plan.asked, code, threads)
        found.append(_statistics(a, activation, bins, threads))
    return ActivationReport(tuple(found), *_verdict(found))


class _Plan(Generator):
    """Notes what an initialiser asks of a generator, and draws nothing."""

    def __init__(self, rng: Generator) -> None:
        super().__init__()
        self.state = rng.state
        self.asked = (True, 0, 0, 0, 0.0, 0.0)

    def _fill(
        self,
        distribution: str,
        a: float,
        b: float,
        size: Size | None,  # noqa: ARG002
        dtype: npt.DTypeLike,
        out: Array | None,  # noqa: ARG002
    ) -> Array:
        self.asked = (distribution == "normal", self.seed, self.stream, self.position, a, b)
        return np.empty(0, dtype)


def _statistics(a: Array, activation: str, bins: int, threads: int) -> LayerStatistics:
    limits = _SATURATION.get(activation, (-math.inf, math.inf))
    mean, squares, lowest, highest, zeros, outside = _core.summary(a, *limits, threads)
    counts = np.zeros(bins, np.int64)
    low, high = _RANGE.get(activation, (lowest, highest))
    finite = math.isfinite(squares)
    if not finite:
        low, high = 0.0, 1.0
    elif not low < high:  # as NumPy has it
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, bins + 1)
    if finite:
        counts = _core.histogram(a, edges, threads)
    return LayerStatistics(
        mean=mean,
        std=math.sqrt(squares / a.size) if finite else math.nan,
        saturated=outside / a.size if activation in _SATURATION else 0.0,
        zero=zeros / a.size,
        dead=1 - np.count_nonzero(a.any(axis=0)) / a.shape[1],
        counts=counts,
        edges=edges,
    )


def _verdict(found: Sequence[LayerStatistics]) -> tuple[str, str]:
    """The verdict and its reason; see `ActivationReport`."""
    for number, layer in enumerate(found, 1):
        if not math.isfinite(layer.std):
            return "exploding", f"layer {number} gives activations that are not finite"
    dead = max(layer.dead for layer in found)
    if dead > DEAD:
        return "dead", f"{dead:.0%} of a layer's units are 0 for every row"
    saturated = max(layer.saturated for layer in found)
    if saturated > SATURATED:
        return "saturated", f"{saturated:.0%} of a layer's activations are saturated"
    first, last = found[0].std, found[-1].std
    steps = max(len(found) - 1, 1)
    ratio = (last / first) ** (1 / steps) if first > 0 else 0.0
    verdict = "vanishing" if ratio < SHRINKS else "exploding" if ratio > GROWS else "healthy"
    course = f"{'falls' if ratio < 1 else 'grows'} by {abs(ratio - 1):.0%} a layer"
    return verdict, f"std {first:.3g} in the first layer, {last:.3g} in the last: {course}"
