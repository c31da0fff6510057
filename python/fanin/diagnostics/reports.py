"""What the numbers inside a network, and those fed into it, say before training goes wrong."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fanin import _core, _validate, initializers, layers, losses
from fanin.diagnostics.activations import (
    ActivationReport,
    LayerStatistics,
    Spread,
    Tally,
    verdict_on,
)
from fanin.diagnostics.data_report import DataFinding, DataReport, data_report
from fanin.diagnostics.init_experiment import Drawn, Plan, Stack, std_of
from fanin.layers.dense import DenseCache, activation_code
from fanin.random import Generator, package_generator

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
    code = activation_code("activation", activation)
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
    stack = Stack(activation, code, bins, threads)
    for number, shape in enumerate(itertools.pairwise(widths)):
        rng = package_generator(seed, "init", number)
        draw = functools.partial(
            initialize, shape, gain=gain, distribution=distribution, dtype=float_type
        )
        weights: Array | Drawn
        if callable(init):
            weights = _validate.plain_array("init", draw(rng=rng))
        else:
            plan = Plan(rng)
            draw(rng=plan)
            weights = Drawn(shape, plan.asked)
        a = stack.forward(a, weights, keep=gradients)
    statistics = [tally.statistics() for tally in stack.tallies]
    if gradients:
        top = package_generator(seed, "init", len(widths) - 1)  # where no weights are drawn
        statistics = stack.backward(top.standard_normal(a.shape, dtype=float_type))
    return ActivationReport(tuple(statistics), *verdict_on(statistics))


def activation_report(
    net: MLP, X: Array, y: Array | None = None, *, bins: int = 30, n_threads: int | None = None
) -> ActivationReport:
    """Tell how activations and gradients spread through a network, on its data.

    What ``net.activation_report(X, y)`` gives. As in prediction: without masks, and what vanilla
    dropout keeps comes times its probability; DropConnect's inference is the mean's. Rows enter as
    in training, in blocks, so that memory is bounded whatever their number.

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
    vanilla = net._dropping.dropout_mode == "vanilla"
    factors = [net.dtype.type(k if vanilla else 1) for k in [*net.keep, 1.0]]
    tallies = [Tally(kind, units, bins, threads) for kind, units in pairs]
    gradients = [Spread(threads) for _ in tallies]
    learning = [np.zeros_like(net.params[f"W{i}"]) for i in range(1, len(pairs) + 1)]
    step = max(64, BLOCK // sum(net.dims))
    blocks = [slice(begin, begin + step) for begin in range(0, len(rows), step)]

    def through(block: slice) -> list[tuple[Array, DenseCache]]:
        a, found = net._entering(rows[block], n_threads), []
        for number, (kind, _) in enumerate(pairs, 1):
            W, b = net.params[f"W{number}"], net.params[f"b{number}"]
            a, cache = layers.dense_forward(a, W, b, activation=kind, n_threads=n_threads)
            a *= factors[number - 1]
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
                g *= factors[layer]
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
            tally.statistics(spread.std, std_of(dW, threads) / len(rows))
            for tally, spread, dW in zip(tallies, gradients, learning, strict=True)
        ]
    return ActivationReport(tuple(found), *verdict_on(found[:-1] or found))
