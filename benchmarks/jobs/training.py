"""Epochs and steps of training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from benchmarks import data
from benchmarks.jobs.row import Array, Bar, Job, Row


@dataclass(frozen=True)
class Train(Job):
    """One epoch of softmax regression through relu layers; each row once, in a fresh order.

    `answer` gives the scores of the test rows, (N, C).
    """

    dims: tuple[int, ...]
    batch: int
    rows: int
    optimizer: str = "adam"  # or "momentum", at `lr`, rho 0.9
    lr: float = 1e-3
    compute: str | None = None

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


EPOCH = Train((784, 256, 10), 128, 60_000)
MEDIUM = Train((784, 100, 10), 200, 60_000)
WIDE = Train((784, 1024, 1024, 10), 256, 15_000)  # a quarter of an epoch, shown as a whole one
TINY = Train((20, 32, 2), 32, 32_000)
LECTURE = Train((3072, 50, 10), 100, 10_000, "momentum", 1e-2)

ROWS = (
    Row(
        "epoch",
        "Fashion-MNIST epoch, 784-256-10, batch 128, Adam",
        "s",
        EPOCH,
        bars=(Bar("speedup", 1.8),),
    ),
    Row(
        "busy",
        "the same on a busy machine, over its quiet time",
        "x",
        EPOCH,
        kind="busy",
        bars=(Bar("limit", 2.2),),
    ),
    Row(
        "epoch-100", "epoch, 784-100-10, batch 200, Adam", "s", MEDIUM, bars=(Bar("speedup", 2.0),)
    ),
    Row(
        "epoch-1024",
        "epoch, 784-1024-1024-10, batch 256, Adam",
        "s",
        WIDE,
        per=0.25,
        rounds=3,
        bars=(Bar("speedup", 1.12),),
    ),
    Row(
        "epoch-bf16",
        "the first epoch in bf16, 784-256-10, batch 128, Adam",
        "s",
        replace(EPOCH, compute="bf16"),
    ),
    Row(
        "epoch-1024-bf16",
        "epoch in bf16, 784-1024-1024-10, batch 256, Adam",
        "s",
        replace(WIDE, compute="bf16"),
        per=0.25,
        rounds=3,
    ),
    Row(
        "step-tiny",
        "20-32-2, batch 32, Adam, per step",
        "us",
        TINY,
        per=TINY.steps,
        bars=(Bar("limit", 5.0),),
    ),
    Row(
        "step-lecture",
        "3072-50-10, batch 100, momentum, per step, 1 core",
        "us",
        LECTURE,
        per=LECTURE.steps,
        threads=(1,),
        bars=(Bar("speedup", 1.9),),
    ),
)
