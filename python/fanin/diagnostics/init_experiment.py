"""The lecture's experiment on initialisation: statistics of activations under fresh weights."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fanin import _core, _validate, initializers
from fanin._typing import Array
from fanin.diagnostics import activations
from fanin.diagnostics.activations import ActivationReport, LayerAccumulator, LayerStatistics
from fanin.executors import Threads
from fanin.layers.dense import activation_code
from fanin.layers.norm import (
    BatchNormCache,
    LayerNormCache,
    batch_norm_backward,
    batch_norm_forward,
    layer_norm_backward,
    layer_norm_forward,
)
from fanin.random import Draws, Generator, package_generator

NormCache = LayerNormCache | BatchNormCache

_IDENTITY = activation_code("activation", "identity")
_NO_MASK = (1.0, 0, 0, 0)  # keep, and the key of dropout


def activation_statistics(
    dims: Sequence[int] = (4096,) * 7,
    n: int = 16,
    *,
    x: Array | None = None,
    init: str | Callable[..., Array] = "xavier",
    std: float | None = None,
    activation: str = "tanh",
    norm: str | None = None,
    gain: float = 1.0,
    distribution: str = "normal",
    seed: int = 0,
    dtype: npt.DTypeLike = "float32",
    bins: int = 30,
    gradients: bool = False,
    n_threads: int | None = None,
) -> ActivationReport:
    """Statistics of the activations of freshly initialised dense layers, layer by layer.

    The lecture's experiment (CS231n, weight initialisation): ``x = activation(x.dot(W))``, without
    biases. The weights are drawn where the product needs them, not stored; they are those of the
    hidden layers of ``fanin.MLP(dims, init=init, seed=seed)``, bit for bit.

    Parameters
    ----------
    dims : sequence of int
        Width of the input and of each layer.
    n : int
        Rows of standard normal input, where `x` is not given.
    x : ndarray of shape (N, dims[0]), uint8, float32 or float64, optional
    init : str or callable
        As in `fanin.initializers.get`; weights of a function are stored, one layer at a time.
    std : float, optional
        A fixed standard deviation of the weights, in place of `init`.
    activation, gain, distribution
        As in `fanin.layers.dense` and `fanin.initializers.small_random`.
    norm : {None, "layer", "batch"}
        Normalises the sums of each layer before its activation, as in `fanin.MLP`: of each row, or
        of each unit over all rows, of which there are two at least.
    seed : int
    dtype : {"float32", "float64"}
    bins : int
        Of each layer's histogram.
    gradients : bool
        Also send a gradient back, standard normal at the last layer's activations. It doubles the
        time (weights are drawn again) and keeps all activations.
    n_threads : int, optional
        Does not change the result.

    Returns
    -------
    ActivationReport

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what was expected and what was given.

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

    A norm forgives the scale of the weights:

    >>> report = activation_statistics([512] * 4, std=0.01, norm="layer")
    >>> [f"{layer.std:.2f}" for layer in report.layers]
    ['0.63', '0.63', '0.63']

    Activations alone do not show what a sigmoid does to the gradient:

    >>> report = activation_statistics([256] * 7, activation="sigmoid", gradients=True)
    >>> report.verdict
    'vanishing'
    >>> [f"{layer.gradient:.0e}" for layer in report.layers]
    ['7e-04', '3e-03', '1e-02', '5e-02', '2e-01', '1e+00']
    """
    sequence = _validate.sequence("dims", dims, "a list of layer widths")
    widths = [_validate.whole("dims", d, 1) for d in sequence]
    if len(widths) < 2:
        raise ValueError(f"dims: expected the input's width and at least one layer's, got {dims}")
    float_type = _validate.float_dtype("dtype", dtype)
    bins, threads = _validate.whole("bins", bins, 1), _validate.threads(n_threads)
    network = PlainNetwork(activation, norm, bins, threads)
    initialize: Callable[..., Array] = initializers.get(init)
    if std is not None:
        std = _validate.real("std", std, 0.0)
        initialize, init = functools.partial(initializers.small_random, std=std), "small_random"
    if x is None:
        shape = (_validate.whole("n", n, 1), widths[0])
        a = Generator(seed).standard_normal(shape, dtype=float_type)
    else:
        a = _validate.cast("x", _validate.data_rows("x", x, widths[0], float_type), float_type)
    if norm == "batch" and len(a) < 2:
        name = "n" if x is None else "x"
        raise ValueError(f"{name}: expected at least two rows with norm='batch', got {len(a)}")
    for number, shape in enumerate(itertools.pairwise(widths)):
        rng = package_generator(seed, "init", number)
        draw = functools.partial(
            initialize, shape, gain=gain, distribution=distribution, dtype=float_type
        )
        weights: Array | DrawnWeights
        if callable(init):
            weights = _validate.plain_array("init", draw(rng=rng))
        else:
            recorder = DrawRecorder(rng, shape)
            draw(rng=recorder)
            weights = recorder.weights
        a = network.forward(a, weights, keep=gradients)
    statistics = [layer.statistics() for layer in network.layers]
    if gradients:
        top = package_generator(seed, "init", len(widths) - 1)  # where no weights are drawn
        statistics = network.backward(top.standard_normal(a.shape, dtype=float_type))
    return ActivationReport(tuple(statistics), *activations.verdict_of(statistics))


class DrawnWeights(NamedTuple):
    """Weights that are drawn as a product needs them, and never stored."""

    shape: tuple[int, int]
    normal: bool
    seed: int
    stream: int
    position: int
    a: float  # the mean, or the lower end
    b: float  # the standard deviation, or the width

    def forward(self, x: Array, code: int, threads: int) -> Array:
        """``activation(x · W)``."""
        return _core.random_dense(x, self.shape[1], *self[1:], code, threads)

    def backward(self, dz: Array, threads: int) -> Array:
        """``dz · Wᵀ``, as W · dzᵀ; each thread draws groups of rows of W into its own cache."""
        inputs, outputs = self.shape
        kind = "normal" if self.normal else "uniform"
        per_group = 64 if dz.dtype == np.float32 else 32
        step = 64 * max(1, 2**12 // outputs)  # rows: about a megabyte, from a group's beginning on
        transposed = np.ascontiguousarray(dz.T)
        dx = np.empty((inputs, len(dz)), dz.dtype)
        begins = iter(range(0, inputs, step))  # all threads take from it

        def work(_: int) -> None:
            W = np.empty((min(step, inputs), outputs), dz.dtype)
            for begin in begins:
                to = dx[begin : begin + step]
                part, group = W[: len(to)], self.position + begin * outputs // per_group
                _core.random_fill(part, kind, self.seed, self.stream, group, self.a, self.b, 1)
                _core.dense_forward(part, transposed, None, _IDENTITY, *_NO_MASK, to, False, 1)

        workers = min(threads or _core.get_num_threads(), math.ceil(inputs / step))
        with Threads(workers) as pool:
            list(pool.map(work, range(workers)))
        return np.ascontiguousarray(dx.T)


class DrawRecorder(Generator):
    """Records what an initialiser asks for, and draws nothing."""

    shape: tuple[int, int]

    weights: DrawnWeights

    def __init__(self, rng: Generator, shape: tuple[int, int]) -> None:
        super().__init__()
        self.state, self.shape = rng.state, shape

    def normal(self, loc: float = 0.0, scale: float = 1.0, *_: Any, **options: Any) -> Draws:
        self._record(True, loc, scale)
        return super().normal(loc, scale, 0, **options)

    def uniform(self, low: float = 0.0, high: float = 1.0, *_: Any, **options: Any) -> Draws:
        self._record(False, low, high - low)
        return super().uniform(low, high, 0, **options)

    def _record(self, normal: bool, a: float, b: float) -> None:
        self.weights = DrawnWeights(self.shape, normal, self.seed, self.stream, self.position, a, b)


class LayerCache(NamedTuple):
    """What the gradient of a layer needs."""

    x: Array
    W: Array | DrawnWeights
    norm: NormCache | None
    slope: Array  # of the activation


class PlainNetwork:
    """Dense layers without biases: each one's statistics, and what its gradient needs."""

    activation: str
    bins: int
    threads: int

    def __init__(self, activation: str, norm: str | None, bins: int, threads: int) -> None:
        self.activation, self.bins, self.threads = activation, bins, threads
        self.code: int = activation_code("activation", activation)
        self.norm: str | None = (
            None if norm is None else _validate.one_of("norm", norm, _core.norms[1:])
        )
        self.layers: list[LayerAccumulator] = []
        self.caches: list[LayerCache] = []

    def forward(self, x: Array, W: Array | DrawnWeights, *, keep: bool) -> Array:
        """The activations of the next layer; with ``keep``, `backward` can follow."""
        fused = self.norm is None and not keep  # the activation is part of the product
        code, threads = self.code if fused else _IDENTITY, self.threads
        if isinstance(W, DrawnWeights):
            a = W.forward(x, code, threads)
        else:
            a = _product(x, W, threads, code)
        if not fused:
            a, cache = (a, None) if self.norm is None else _normalized(self.norm, a)
            a, slope = _core.activation_forward(a, self.code, 1.0, *_NO_MASK, None, keep, threads)
            if slope is not None:
                self.caches.append(LayerCache(x, W, cache, slope))
        layer = LayerAccumulator(self.activation, a.shape[1], self.bins, threads)
        layer.add(a)
        layer.count(a)
        self.layers.append(layer)
        return a

    def backward(self, g: Array) -> list[LayerStatistics]:
        """The statistics with those of the gradient, which is g at the last layer."""
        found: list[LayerStatistics] = []
        with np.errstate(over="ignore", invalid="ignore"):
            for layer, cache in zip(self.layers[::-1], self.caches[::-1], strict=True):
                x, W, norm, slope = cache
                dz = g * slope
                if norm is not None:
                    dz = _norm_backward(dz, norm)
                weights = _outer_std(x, dz, self.threads) / len(x)
                found.append(layer.statistics(activations.std_of(g, self.threads), weights))
                if len(found) == len(self.caches):
                    break
                if isinstance(W, DrawnWeights):
                    g = W.backward(dz, self.threads)
                else:
                    g = _product(dz, np.ascontiguousarray(W.T), self.threads)
        return found[::-1]


def _normalized(norm: str, z: Array) -> tuple[Array, NormCache]:
    """Sums as a fresh norm leaves them, of gamma 1 and beta 0."""
    gamma, beta = np.ones(z.shape[1], z.dtype), np.zeros(z.shape[1], z.dtype)
    return (layer_norm_forward if norm == "layer" else batch_norm_forward)(z, gamma, beta)


def _norm_backward(dy: Array, cache: NormCache) -> Array:
    if isinstance(cache, LayerNormCache):
        return layer_norm_backward(dy, cache)[0]
    return batch_norm_backward(dy, cache)[0]


def _product(x: Array, W: Array, threads: int, code: int = _IDENTITY) -> Array:
    return _core.dense_forward(x, W, None, code, *_NO_MASK, None, False, threads)[0]


def _outer_std(x: Array, dz: Array, threads: int) -> float:
    """Standard deviation of the elements of ``xᵀ · dz``.

    For few rows by the sum of ``x · xᵀ`` times ``dz · dzᵀ``, N by N each, elementwise.
    """
    elements = x.shape[1] * dz.shape[1]
    if len(x) > min(x.shape[1], dz.shape[1]):
        return activations.std_of(_product(np.ascontiguousarray(x.T), dz, threads), threads)
    among_x, among_dz = (
        _product(a, np.ascontiguousarray(a.T), threads).astype(np.float64) for a in (x, dz)
    )
    squares = float(np.sum(among_x * among_dz)) / elements
    mean = float(x.sum(1, dtype=np.float64) @ dz.sum(1, dtype=np.float64)) / elements
    return math.sqrt(max(squares - mean * mean, 0.0)) if math.isfinite(squares) else math.nan
