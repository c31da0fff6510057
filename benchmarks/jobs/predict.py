"""Prediction of single rows, where the call costs as much as the arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.jobs.row import Array, Bar, Job, Row

CHECKED = 200


@dataclass(frozen=True)
class Predict(Job):
    """The label of one row (1, D) of float32, from NumPy and to NumPy.

    A relu network with the weights of `layers`. `answer` gives the labels of `rows`, (N,), of which
    the first is the one row.
    """

    dims: tuple[int, ...]

    @cached_property
    def layers(self) -> list[tuple[Array, Array]]:
        rng = np.random.default_rng(5)
        return [
            ((rng.standard_normal((d, h)) * np.sqrt(2 / d)).astype("f4"), np.full(h, 0.1, "f4"))
            for d, h in zip(self.dims[:-1], self.dims[1:], strict=True)
        ]

    @cached_property
    def rows(self) -> Array:
        return np.random.default_rng(6).standard_normal((CHECKED, self.dims[0])).astype("f4")

    @property
    def row(self) -> Array:
        return self.rows[:1]

    def check(self, answer: Array) -> str:
        scores = self.rows.astype(np.float64)
        for i, (W, b) in enumerate(self.layers):
            scores = (np.maximum(scores, 0) if i else scores) @ W.astype(np.float64) + b
        same = float((np.asarray(answer) == scores.argmax(axis=1)).mean())
        if same < 0.99:
            raise ValueError(f"wrong: {same:.0%} of the labels agree, expected 99% at least")
        return f"{same:.0%} of the labels"


ROWS = (
    Row(
        "predict-row",
        "`predict` of one row, 784-256-10",
        job=Predict((784, 256, 10)),
        bars=(Bar("limit", 8.0),),
    ),
    Row("predict-tiny-row", "the same, 20-32-2", job=Predict((20, 32, 2))),
)
