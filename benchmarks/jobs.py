"""What is measured: jobs that every peer does in its own best way, and the rows of the table.

A new kind of work is a new dataclass here with its `check`, a function for it in the `JOBS` of each
peer that can do it, and a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks import data

Array = npt.NDArray[Any]

IN_CACHE = 32e6  # weights beyond this many bytes are read from memory in each pass


class Prepared(NamedTuple):
    """A job made ready by a peer: `run` does it once, `answer` is what `Job.check` looks at."""

    run: Callable[[], object]
    answer: Callable[[], Array]


@dataclass(frozen=True)
class Train:
    """One epoch of softmax regression through relu layers; each row once, in a fresh order.

    `answer` gives the scores of the test rows, (N, C).
    """

    dims: tuple[int, ...]
    batch: int
    rows: int
    optimizer: str = "adam"  # or "momentum", at `lr`, rho 0.9
    lr: float = 1e-3

    @property
    def steps(self) -> int:
        return -(-self.rows // self.batch)

    @cached_property
    def data(self) -> data.Data:
        if self.dims[0] == 784:
            full = data.images()
            return data.Data(
                full.name, full.X[: self.rows], full.y[: self.rows], full.X_test, full.y_test
            )
        return data.synthetic(self.rows, self.dims[0], self.dims[-1])

    @property
    def flops(self) -> float:
        products = [d * h for d, h in zip(self.dims[:-1], self.dims[1:], strict=True)]
        return 2.0 * self.rows * (3 * sum(products) - products[0])

    @property
    def bytes(self) -> float:
        return 0.0

    def initial_parameters(self) -> list[tuple[Array, Array]]:
        """Kaiming's weights and zero biases, the same for each peer that can be given them."""
        rng = np.random.default_rng(1)
        return [
            ((rng.standard_normal((d, h)) * np.sqrt(2 / d)).astype(np.float32), np.zeros(h, "f4"))
            for d, h in zip(self.dims[:-1], self.dims[1:], strict=True)
        ]

    def check(self, answer: Array) -> str:
        accuracy = float((answer.argmax(axis=1) == self.data.y_test).mean())
        if not accuracy > min(2 / self.dims[-1], 0.75):
            raise ValueError(f"it did not learn: test accuracy {accuracy:.3f}")
        return f"test accuracy {accuracy:.3f}"


@dataclass(frozen=True)
class Dense:
    """``relu(x @ W + b)`` for x (M, K), W (K, N). `answer` gives the outputs."""

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

    @property
    def flops(self) -> float:
        return 2.0 * self.M * self.K * self.N

    @property
    def bytes(self) -> float:
        weights = 4.0 * self.K * self.N
        return weights if weights > IN_CACHE else 0.0

    def check(self, answer: Array) -> str:
        x, W, b = (a.astype(np.float64) for a in self.arrays)
        scores = x @ W + b
        expected = np.maximum(scores, 0) if self.activation == "relu" else np.tanh(scores)
        error = float(np.abs(answer - expected).max())
        if not error < 1e-4:
            raise ValueError(f"wrong by {error:.2g}")
        return f"largest error {error:.1g}"


Job = Train | Dense


@dataclass(frozen=True)
class Bar:
    """What fanin has to reach.

    - "speedup": the best peer's time over fanin's, at least;
    - "roof": the roof's time over fanin's, at least;
    - "limit": fanin's own number, at most.
    """

    kind: str
    value: float


@dataclass(frozen=True)
class Row:
    """A row of the table. ``unit`` is s, ms, us or MB; times are divided by ``per``."""

    name: str
    title: str
    unit: str = "us"
    job: Job | None = None
    per: float = 1
    threads: tuple[int, ...] = (1, 2)
    kind: str = "time"  # or "busy", "import", "memory": how compare.py measures it
    bar: Bar | None = None


EPOCH = Train((784, 256, 10), 128, 60_000)
MEDIUM = Train((784, 100, 10), 200, 60_000)
WIDE = Train((784, 1024, 1024, 10), 256, 15_000)  # a quarter of an epoch, shown as a whole one
TINY = Train((20, 32, 2), 32, 32_000)
LECTURE = Train((3072, 50, 10), 100, 10_000, "momentum", 1e-2)


def _dense(
    M: int, K: int, N: int, bar: Bar | None, unit: str = "us", activation: str = "relu"
) -> Row:
    tail = "" if activation == "relu" else f"-{activation}"
    title = f"{activation}(xW + b), ({M}, {K}, {N})"
    return Row(f"dense-{M}x{K}x{N}{tail}", title, unit, Dense(M, K, N, activation), bar=bar)


_90 = Bar("roof", 0.9)

ROWS = (
    Row(
        "epoch",
        "Fashion-MNIST epoch, 784-256-10, batch 128, Adam",
        "s",
        EPOCH,
        bar=Bar("speedup", 1.0),
    ),
    Row(
        "busy",
        "the same on a busy machine, over its quiet time",
        "x",
        EPOCH,
        kind="busy",
        bar=Bar("limit", 2.5),
    ),
    Row("epoch-100", "epoch, 784-100-10, batch 200, Adam", "s", MEDIUM),
    Row("epoch-1024", "epoch, 784-1024-1024-10, batch 256, Adam", "s", WIDE, per=0.25),
    Row("step-tiny", "20-32-2, batch 32, Adam, per step", "us", TINY, per=TINY.steps),
    Row(
        "step-lecture",
        "3072-50-10, batch 100, momentum, per step, 1 core",
        "us",
        LECTURE,
        per=LECTURE.steps,
        threads=(1,),
    ),
    _dense(64, 784, 512, _90),
    _dense(128, 784, 256, _90),
    _dense(128, 1024, 1024, _90),
    _dense(256, 784, 1024, _90),
    _dense(1024, 1024, 1024, _90),
    _dense(256, 4096, 4096, _90, "ms"),
    _dense(16, 4096, 4096, Bar("roof", 0.85), "ms"),
    _dense(100, 3072, 50, Bar("speedup", 1.6)),
    _dense(128, 256, 10, Bar("speedup", 2.5)),
    _dense(1, 784, 256, Bar("limit", 3.0)),
    _dense(128, 784, 256, None, activation="tanh"),
    Row("import", "import, over NumPy's", "ms", kind="import", bar=Bar("limit", 60.0)),
    Row(
        "memory",
        "peak memory of an epoch from uint8, over the interpreter with NumPy",
        "MB",
        EPOCH,
        kind="memory",
        bar=Bar("limit", 200.0),
    ),
)
BY_NAME = {row.name: row for row in ROWS}
