"""A stack of dense layers whose weights are drawn where products need them, there and back."""

from __future__ import annotations

import contextlib
import math
import queue
from concurrent import futures
from typing import Any

import numpy as np
import numpy.typing as npt

from fanin import _core
from fanin.diagnostics.activations import LayerStatistics, Spread, Tally
from fanin.layers.dense import activation_code
from fanin.random import Generator, Size

Array = npt.NDArray[Any]

_IDENTITY = activation_code("activation", "identity")
_NO_MASK = (1.0, 0, 0, 0)  # keep, and the key of dropout
_Asked = tuple[bool, int, int, int, float, float]


class Plan(Generator):
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


class Drawn:
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


class Stack:
    """Layers without biases, the tally of each and what its gradient needs."""

    def __init__(self, activation: str, code: int, bins: int, threads: int) -> None:
        self.activation, self.code = activation, code
        self.bins, self.threads = bins, threads
        self.tallies: list[Tally] = []
        self.kept: list[tuple[Array, Array | Drawn, Array]] = []

    def forward(self, x: Array, W: Array | Drawn, *, keep: bool) -> Array:
        """The layer's activations; its input, weights and slopes are kept for `backward`."""
        code = _IDENTITY if keep else self.code
        if isinstance(W, Drawn):
            a = W.forward(x, code, self.threads)
        else:
            a, _ = _core.dense_forward(x, W, None, code, *_NO_MASK, None, False, self.threads)
        if keep:
            a, slope = _core.activation_forward(
                a, self.code, 1.0, *_NO_MASK, None, True, self.threads
            )
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
                found.append(tally.statistics(std_of(g, self.threads), weights))
                if len(found) == len(self.kept):
                    break
                if isinstance(W, Drawn):
                    g = W.backward(dz, self.threads)
                else:
                    g = _product(dz, W.T, self.threads)
        return found[::-1]


def std_of(a: Array, threads: int) -> float:
    """Standard deviation of all elements."""
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
        return std_of(_product(np.ascontiguousarray(x.T), dz, threads), threads)
    elements = inputs * outputs
    among_x, among_dz = (_product(a, a.T, threads).astype(np.float64) for a in (x, dz))
    squares = float(np.sum(among_x * among_dz)) / elements
    mean = float(x.sum(1, dtype=np.float64) @ dz.sum(1, dtype=np.float64)) / elements
    return math.sqrt(max(squares - mean * mean, 0.0)) if math.isfinite(squares) else math.nan
