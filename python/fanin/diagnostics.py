"""What the numbers inside a network, and those fed into it, say before training goes wrong."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import queue
from collections.abc import Callable, Sequence
from concurrent import futures
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fanin import _core, _validate, initializers, layers, losses
from fanin._activation_report import (
    ActivationReport,
    LayerStatistics,
    Spread,
    Tally,
    verdict_on,
)
from fanin._data_report import DataFinding, DataReport, data_report
from fanin.random import Generator, Size, package_generator

if TYPE_CHECKING:
    from fanin.network import MLP

__all__ = [
    "ActivationReport",
    "DataFinding",
    "DataReport",
    "LayerStatistics",
    "activation_report",
    "activation_statistics",
    "data_report",
]

Array = npt.NDArray[Any]

BLOCK = 2**22  # activations of a network that are held at a time
_IDENTITY = layers.activation_code("activation", "identity")
_NO_MASK = (1.0, 0, 0, 0)  # keep, and the key of dropout


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
    gradients: bool = False,
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
    gradients : bool
        Also send a gradient back through the layers, each weight being drawn a second time: that of
        a loss whose gradient with respect to the last layer's activations is standard normal. It
        takes about the time of the activations again, and all layers' activations are kept.
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
    stack = _Stack(activation, code, bins, threads)
    for number, shape in enumerate(itertools.pairwise(widths)):
        rng = package_generator(seed, "init", number)
        draw = functools.partial(
            initialize, shape, gain=gain, distribution=distribution, dtype=float_type
        )
        weights: Array | _Drawn
        if callable(init):
            weights = _validate.plain_array("init", draw(rng=rng))
        else:
            plan = _Plan(rng)
            draw(rng=plan)
            weights = _Drawn(shape, plan.asked)
        a = stack.forward(a, weights, keep=gradients)
    statistics = [tally.statistics() for tally in stack.tallies]
    if gradients:
        top = package_generator(seed, "init", len(widths) - 1)  # where no weights are drawn
        statistics = stack.backward(top.standard_normal(a.shape, dtype=float_type))
    return ActivationReport(tuple(statistics), *verdict_on(statistics))


def activation_report(
    net: MLP,
    X: Array,
    y: Array | None = None,
    *,
    bins: int = 30,
    n_threads: int | None = None,
) -> ActivationReport:
    """Tell how activations and gradients spread through a network, on its data.

    What ``net.activation_report(X, y)`` gives. Without dropout, as in prediction; rows enter as in
    training, in blocks, so that memory is bounded whatever their number.

    Parameters
    ----------
    net : MLP
    X : ndarray of shape (N, D) or (N, ...), uint8, float32 or float64
    y : ndarray, optional
        Targets as in ``net.fit``; without them there are no gradients.
    bins : int
        Of each layer's histogram.
    n_threads : int, optional
        Changes the time, never the numbers.

    Returns
    -------
    ActivationReport
        The last layer is the scores. The verdict is on the hidden layers.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what was expected and what came.

    Examples
    --------
    >>> import fanin
    >>> (X, y), _ = fanin.datasets.load("digits")
    >>> report = fanin.MLP([64, 50, 50, 10], activation="tanh").activation_report(X, y)
    >>> print(report)
    [ 1 layers]  mean:0.00 std:0.04
    [ 2 layers]  mean:-0.01 std:0.05
    [ 3 layers]  mean:-0.00 std:0.00
    >>> report.verdict
    'healthy'
    """
    rows = net._rows(X)
    targets = None if y is None else net._targets(y, len(rows))
    bins = _validate.whole("bins", bins, 1)
    threads = _validate.threads(n_threads)
    pairs = list(zip([*net.activation, "identity"], net.dims[1:], strict=True))
    tallies = [Tally(kind, units, bins, threads) for kind, units in pairs]
    gradients = [Spread(threads) for _ in tallies]
    learning = [np.zeros_like(net.params[f"W{i}"]) for i in range(1, len(pairs) + 1)]
    step = max(64, BLOCK // sum(net.dims))
    blocks = [slice(begin, begin + step) for begin in range(0, len(rows), step)]

    def through(block: slice) -> list[tuple[Array, layers.DenseCache]]:
        a, found = net._entering(rows[block], n_threads), []
        for number, (kind, _) in enumerate(pairs, 1):
            W, b = net.params[f"W{number}"], net.params[f"b{number}"]
            a, cache = layers.dense_forward(a, W, b, activation=kind, n_threads=n_threads)
            found.append((a, cache))
        return found

    with np.errstate(over="ignore", invalid="ignore"):
        for block in blocks:
            passed = through(block)
            for tally, (a, _) in zip(tallies, passed, strict=True):
                tally.add(a)
            if targets is None:
                continue
            hard, soft = (None if t is None else t[block] for t in targets)
            code = losses.NAMES.index(net.loss_name)
            g: Array | None = _core.loss_rows(
                code, passed[-1][0], hard, soft, None, 1.0, True, threads
            )[1]
            for layer in reversed(range(len(pairs))):
                assert g is not None
                gradients[layer].add(g)
                g, dW, _ = layers.dense_backward(
                    g, passed[layer][1], need_dx=layer > 0, n_threads=n_threads
                )
                learning[layer] += dW
    for block in blocks:  # the histograms' edges are known now
        for tally, (a, _) in zip(tallies, through(block), strict=True):
            tally.count(a)
    if targets is None:
        found = [tally.statistics() for tally in tallies]
    else:
        found = [
            tally.statistics(spread.std, _std(dW, threads) / len(rows))
            for tally, spread, dW in zip(tallies, gradients, learning, strict=True)
        ]
    return ActivationReport(tuple(found), *verdict_on(found[:-1] or found))


class _Plan(Generator):
    """Notes what an initialiser asks of a generator, and draws nothing."""

    def __init__(self, rng: Generator) -> None:
        super().__init__()
        self.state = rng.state
        self.asked: _Asked = (True, 0, 0, 0, 0.0, 0.0)

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


_Asked = tuple[bool, int, int, int, float, float]


class _Drawn:
    """Weights that are drawn where a product needs them."""

    def __init__(self, shape: tuple[int, int], asked: _Asked) -> None:
        self.shape = shape
        self.asked = asked

    def forward(self, x: Array, code: int, threads: int) -> Array:
        """``activation(x · W)``."""
        return _core.random_dense(x, self.shape[1], *self.asked, code, threads)

    def backward(self, dz: Array, threads: int) -> Array:
        """``dz · Wᵀ``, as W · dzᵀ of some rows of W after others.

        Each thread draws and multiplies on its own, in its own cache, and never waits.
        """
        normal, seed, stream, first, a, b = self.asked
        inputs, outputs = self.shape
        per_group = 64 if dz.dtype == np.float32 else 32
        step = 64 * max(1, 2**12 // outputs)  # rows that begin a group, about a megabyte
        turned = np.ascontiguousarray(dz.T)
        dx = np.empty((inputs, len(dz)), dz.dtype)
        parts = queue.SimpleQueue[int]()
        for begin in range(0, inputs, step):
            parts.put(begin)

        def work() -> None:
            W = np.empty((min(step, inputs), outputs), dz.dtype)
            with contextlib.suppress(queue.Empty):
                while True:
                    begin = parts.get_nowait()
                    to = dx[begin : begin + step]
                    part = W[: len(to)]
                    group = first + begin * outputs // per_group
                    kind = "normal" if normal else "uniform"
                    _core.random_fill(part, kind, seed, stream, group, a, b, 1)
                    _core.dense_forward(part, turned, None, _IDENTITY, *_NO_MASK, to, False, 1)

        workers = min(threads or _core.get_num_threads(), parts.qsize())
        with futures.ThreadPoolExecutor(workers) as pool:
            for done in [pool.submit(work) for _ in range(workers)]:
                done.result()
        return np.ascontiguousarray(dx.T)


class _Stack:
    """Layers without biases, the tally of each and what its gradient needs."""

    def __init__(self, activation: str, code: int, bins: int, threads: int) -> None:
        self.activation, self.code = activation, code
        self.bins, self.threads = bins, threads
        self.tallies: list[Tally] = []
        self.kept: list[tuple[Array, Array | _Drawn, Array]] = []

    def forward(self, x: Array, W: Array | _Drawn, *, keep: bool) -> Array:
        """The layer's activations; its input, weights and slopes are kept for `backward`."""
        code = _IDENTITY if keep else self.code
        if isinstance(W, _Drawn):
            a = W.forward(x, code, self.threads)
        else:
            a, _ = _core.dense_forward(x, W, None, code, *_NO_MASK, None, False, self.threads)
        if keep:
            a, slope = _core.activation_forward(a, self.code, *_NO_MASK, None, True, self.threads)
            assert slope is not None
            self.kept.append((x, W, slope))
        tally = Tally(self.activation, a.shape[1], self.bins, self.threads)
        tally.add(a)
        tally.count(a)
        self.tallies.append(tally)
        return a

    def backward(self, g: Array) -> list[LayerStatistics]:
        """The statistics, with those of the gradient that begins as g at the last layer."""
        found: list[LayerStatistics] = []
        with np.errstate(over="ignore", invalid="ignore"):
            for tally, (x, W, slope) in zip(self.tallies[::-1], self.kept[::-1], strict=True):
                dz = g * slope
                weights = _outer_std(x, dz, self.threads) / len(x)
                found.append(tally.statistics(_std(g, self.threads), weights))
                if len(found) == len(self.kept):
                    break
                if isinstance(W, _Drawn):
                    g = W.backward(dz, self.threads)
                else:
                    g = _product(dz, W.T, self.threads)
        return found[::-1]


def _std(a: Array, threads: int) -> float:
    spread = Spread(threads)
    spread.add(a)
    return spread.std


def _product(x: Array, W: Array, threads: int) -> Array:
    W = np.ascontiguousarray(W)
    return _core.dense_forward(x, W, None, _IDENTITY, *_NO_MASK, None, False, threads)[0]


def _outer_std(x: Array, dz: Array, threads: int) -> float:
    """Standard deviation of the elements of ``xᵀ · dz``.

    For few rows it is not formed: the sum of its squares is that of the products of ``x · xᵀ`` and
    ``dz · dzᵀ``, N by N each.
    """
    n, inputs = x.shape
    outputs = dz.shape[1]
    if n > min(inputs, outputs):
        return _std(_product(np.ascontiguousarray(x.T), dz, threads), threads)
    elements = inputs * outputs
    among_x, among_dz = (_product(a, a.T, threads).astype(np.float64) for a in (x, dz))
    squares = float(np.sum(among_x * among_dz)) / elements
    mean = float(x.sum(1, dtype=np.float64) @ dz.sum(1, dtype=np.float64)) / elements
    return math.sqrt(max(squares - mean * mean, 0.0)) if math.isfinite(squares) else math.nan
