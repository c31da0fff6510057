"""PCA-whitening, whole and in its parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from benchmarks.jobs.row import Array, Bar, Job, Row, wrong_by


@lru_cache(maxsize=1)
def matrix(rows: int, cols: int) -> Array:
    """float32 data with a mean: 32 common factors of falling strength under noise."""
    rng = np.random.Generator(np.random.SFC64(6))
    X = rng.standard_normal((rows, cols), dtype=np.float32)
    factors = rng.standard_normal((rows, 32), dtype=np.float32)
    factors *= np.geomspace(4, 0.5, 32, dtype=np.float32)
    loadings = rng.standard_normal((32, cols), dtype=np.float32)
    mean = rng.standard_normal(cols, dtype=np.float32)
    for begin in range(0, rows, 4096):  # without a second copy
        part = slice(begin, begin + 4096)
        X[part] += factors[part] @ loadings + mean
    return X


@dataclass(frozen=True)
class Whitening(Job):
    """Fit (covariance and eigenvectors) and project; `answer` gives the whitened rows."""

    rows: int
    cols: int

    @property
    def data(self) -> Array:
        return matrix(self.rows, self.cols)

    def check(self, answer: Array) -> str:
        """Columns from across the spectrum have mean 0 and covariance 1."""
        Y = answer[:, :: max(1, self.cols // 64)].astype(np.float64)
        covariance = np.cov(Y, rowvar=False)
        error = max(np.abs(covariance - np.eye(Y.shape[1])).max(), np.abs(Y.mean(axis=0)).max())
        return wrong_by(float(error), 5e-3)


@dataclass(frozen=True)
class Covariance(Whitening):
    """The covariance of the columns, mean removed; `answer` gives it, (cols, cols)."""

    @property
    def flops(self) -> float:
        """Of one half and the diagonal: the other half is its mirror."""
        return 1.0 * self.rows * self.cols * (self.cols + 1)

    def check(self, answer: Array) -> str:
        some = slice(None, None, max(1, self.cols // 64))
        expected = np.cov(self.data[:, some].astype(np.float64), rowvar=False)
        error = np.abs(answer[some, some] - expected).max() / np.abs(expected).max()
        return wrong_by(float(error), 1e-4, "largest error over the largest entry")


@dataclass(frozen=True)
class Projection(Whitening):
    """``(X - mean) @ V`` with what a fit has found: `answer` gives (first rows, mean, V)."""

    @property
    def flops(self) -> float:
        return 2.0 * self.rows * self.cols**2

    def check(self, answer: tuple[Array, Array, Array]) -> str:
        Y, mean, V = (a.astype(np.float64) for a in answer)
        expected = (self.data[: len(Y)] - mean) @ V
        error = np.abs(Y - expected).max() / np.abs(expected).max()
        return wrong_by(float(error), 1e-4, "largest error over the largest entry")


def _row(name: str, title: str, unit: str, job: Job, bar: Bar) -> Row:
    return Row(name, title, unit, job, threads=(2,), bars=(bar,), rounds=2)


_SHAPE = (50_000, 3_072)

ROWS = (
    _row(
        "whitening",
        "PCA-whitening of 50,000 x 3,072: covariance, eigenvectors, projection",
        "s",
        Whitening(*_SHAPE),
        Bar("speedup", 1.5),
    ),
    _row("covariance", "its covariance", "s", Covariance(*_SHAPE), Bar("roof", 0.85)),
    _row("projection", "its projection", "s", Projection(*_SHAPE), Bar("roof", 0.85)),
)
