"""Random numbers and dropout, on one thread."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.jobs.row import Array, Bar, Job, Row, wrong_by

SIZE = 1 << 20


@dataclass(frozen=True)
class Draw(Job):
    """Fill a float32 array with standard "normal" deviates or "uniform" ones from [0, 1).

    `answer` gives the array.
    """

    distribution: str
    size: int = SIZE

    def check(self, answer: Array) -> str:
        """Moments: E x, E x^2, E x^4; their errors in standard deviations of a sample's."""
        x = np.asarray(answer, dtype=np.float64)
        normal = self.distribution == "normal"
        expected = {1: 0.0, 2: 1.0, 4: 3.0} if normal else {1: 0.5, 2: 1 / 3, 4: 0.2}
        variance = {1: 1.0, 2: 2.0, 4: 96.0} if normal else {1: 1 / 12, 2: 4 / 45, 4: 16 / 225}
        errors = (
            abs((x**k).mean() - expected[k]) / np.sqrt(variance[k] / x.size) for k in expected
        )
        return wrong_by(float(max(errors)), 6.0, "error of the moments, in their deviations")


@dataclass(frozen=True)
class Dropout(Job):
    """Draw a mask, ``x * mask / keep``; `answer` gives the result. It is of x's shape."""

    rows: int = 1024
    cols: int = 1024
    keep: float = 0.5

    @cached_property
    def x(self) -> Array:
        """Of numbers from 1 to 2, so that a zero has been dropped."""
        x = np.random.default_rng(4).random((self.rows, self.cols), dtype=np.float32)
        x += 1
        return x

    def check(self, answer: Array) -> str:
        kept = answer != 0
        np.testing.assert_allclose(answer[kept], self.x[kept] / self.keep, rtol=1e-6)
        deviation = np.sqrt(self.keep * (1 - self.keep) / kept.size)
        error = abs(float(kept.mean()) - self.keep) / deviation
        return wrong_by(error, 6.0, "error of the kept share, in its deviations")


def _one_thread(name: str, title: str, job: Job, limit: float | None) -> Row:
    bars = (Bar("limit", limit),) if limit else ()
    return Row(name, title, "ns", job, per=SIZE, threads=(1,), bars=bars)


ROWS = (
    _one_thread("normal", "normal deviates, float32, each", Draw("normal"), 0.65),
    _one_thread("uniform", "uniform deviates, float32, each", Draw("uniform"), None),
    _one_thread("dropout", "dropout, mask and scale, per element", Dropout(), 0.5),
)
