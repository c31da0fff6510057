"""A dense layer forward and backward, as called from Python."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from benchmarks.jobs.row import IN_CACHE, Array, Bar, Job, Row, rested, wrong_by

OUT_OF_CACHE = 256e6  # bytes that no cache keeps from one call to the next


@dataclass(frozen=True)
class Dense(Job):
    """``relu(x @ W + b)`` for x (M, K), W (K, N). `answer` gives the outputs.

    Peers take the weights in turns from `weights`: one array, or, where it does not fit in cache,
    so many alike that none of it can still be there from the last call.
    """

    M: int
    K: int
    N: int
    activation: str = "relu"

    @cached_property
    def arrays(self) -> tuple[Array, Array, Array]:
        rng = np.random.default_rng(2)
        shapes = (self.M, self.K), (self.K, self.N), (self.N,)
        x, W, b = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
        W *= 1 / np.sqrt(np.float32(self.K))
        return x, W, b

    @cached_property
    def weights(self) -> list[Array]:
        W = self.arrays[1]
        return [W, *(W.copy() for _ in range(int(OUT_OF_CACHE / W.nbytes) if self.bytes else 0))]

    @property
    def flops(self) -> float:
        """None to speak of where the call itself is the work."""
        products = self.M * self.K * self.N
        return 2.0 * products if products > 1000 else 0.0

    @property
    def bytes(self) -> float:
        weights = 4.0 * self.K * self.N
        return weights if weights > IN_CACHE else 0.0

    def check(self, answer: Array) -> str:
        x, W, b = (a.astype(np.float64) for a in self.arrays)
        scores = x @ W + b
        expected = np.maximum(scores, 0) if self.activation == "relu" else np.tanh(scores)
        return wrong_by(float(np.abs(answer - expected).max()), 1e-4)


@dataclass(frozen=True)
class Backward(Job):
    """``dX = dY @ W.T``, ``dW = x.T @ dY``, ``db = dY.sum(0)``: `answer` gives the three."""

    M: int
    K: int
    N: int

    @cached_property
    def arrays(self) -> tuple[Array, Array, Array]:
        """X, W and dY."""
        x, W, _ = Dense(self.M, self.K, self.N).arrays
        dY = np.random.default_rng(3).standard_normal((self.M, self.N), dtype=np.float32)
        return x, W, dY

    @property
    def flops(self) -> float:
        return 4.0 * self.M * self.K * self.N

    def check(self, answer: tuple[Array, Array, Array]) -> str:
        x, W, dY = (a.astype(np.float64) for a in self.arrays)
        expected = dY @ W.T, x.T @ dY, dY.sum(axis=0)
        errors = (
            float(np.abs(a - e).max() / np.abs(e).max())
            for a, e in zip(answer, expected, strict=True)
        )
        return wrong_by(max(errors), 1e-5, "largest relative error")


def _dense(M: int, K: int, N: int, bar: Bar | None, unit: str = "us") -> Row:
    bars = (bar,) if bar else ()
    title = f"relu(xW + b), ({M}, {K}, {N})"
    return Row(f"dense-{M}x{K}x{N}", title, unit, Dense(M, K, N), bars=bars)


def _backward(M: int, K: int, N: int) -> Row:
    title = f"backward: dX, dW, db, ({M}, {K}, {N})"
    job = Backward(M, K, N)
    bar = _BACKWARD_BARS.get((M, K, N), Bar("roof", 0.85))
    return Row(f"backward-{M}x{K}x{N}", title, "us", job, bars=(bar,))


def _avx2(row: Row) -> Row:
    """The same with every peer held to AVX2."""
    bars = (Bar("roof", 0.85),)
    return replace(row, name=f"{row.name}-avx2", title=f"{row.title}, AVX2", bars=bars, isa="avx2")


_90 = Bar("roof", 0.9)
_BACKWARD_BARS = {(64, 784, 512): Bar("speedup", 1.2), (1024, 1024, 1024): Bar("speedup", 1.05)}
_SHAPES = ((64, 784, 512), (128, 784, 256), (128, 1024, 1024), (256, 784, 1024), (1024, 1024, 1024))
_FIRST = tuple(
    _dense(*shape, Bar("speedup", 1.05) if min(shape) == 1024 else _90) for shape in _SHAPES
)

ROWS = (
    *_FIRST,
    _dense(256, 4096, 4096, Bar("speedup", 1.05), "ms"),
    _dense(16, 4096, 4096, Bar("roof", 0.7), "ms"),
    _dense(100, 3072, 50, Bar("speedup", 1.9)),
    _dense(128, 256, 10, Bar("speedup", 1.8)),
    _dense(1, 784, 256, Bar("speedup", 1.3)),
    replace(_dense(1, 8, 8, None), name="call", title="call overhead: relu(xW + b), (1, 8, 8)"),
    Row(
        "tanh",
        "tanh in place of relu, (128, 784, 256), over relu's time",
        "%",
        Dense(128, 784, 256, "tanh"),
        kind="over",
        base=Dense(128, 784, 256),
        bars=(Bar("limit", 3.0),),
    ),
    *(_backward(*shape) for shape in _SHAPES),
    rested(_backward(64, 784, 512)),
    *(_avx2(row) for row in _FIRST),
)
