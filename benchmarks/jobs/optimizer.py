"""A step of Adam over one flat array of parameters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.jobs.row import IN_CACHE, Array, Bar, Job, Row, rested, wrong_by


@dataclass(frozen=True)
class AdamStep(Job):
    """One step with PyTorch's defaults over `size` float32 parameters.

    `answer` gives the parameters after steps from the start with once, twice and three times the
    gradient; so the states have to be right as well.
    """

    size: int
    lr: float = 1e-3

    flops = 0.0
    traffic = "update"

    @cached_property
    def arrays(self) -> tuple[Array, Array]:
        """Parameters and gradient."""
        rng = np.random.default_rng(5)
        p, g = (rng.standard_normal(self.size, dtype=np.float32) for _ in range(2))
        return p, g

    @property
    def bytes(self) -> float:
        """Four arrays read, three written; nothing that stays in cache."""
        moved = 28.0 * self.size
        return moved if moved > IN_CACHE else 0.0

    def expected(self, factors: tuple[float, ...] = (1, 2, 3)) -> Array:
        """By the formula, in float64."""
        p, g = (a.astype(np.float64) for a in self.arrays)
        m, v = np.zeros_like(p), np.zeros_like(p)
        for t, factor in enumerate(factors, start=1):
            m = 0.9 * m + 0.1 * (factor * g)
            v = 0.999 * v + 0.001 * (factor * g) ** 2
            p -= self.lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        return p

    def check(self, answer: Array) -> str:
        return wrong_by(float(np.abs(answer - self.expected()).max()), 2e-6)


def _row(size: int, name: str, unit: str, bar: Bar) -> Row:
    return Row(f"adam-{name}", f"Adam step, {name} parameters", unit, AdamStep(size), bars=(bar,))


ROWS = (
    _row(10_000, "10k", "us", Bar("speedup", 4.5)),
    _row(1_000_000, "1M", "us", Bar("speedup", 1.3)),
    rested(_row(1_000_000, "1M", "us", Bar("speedup", 1.3))),
    _row(20_000_000, "20M", "ms", Bar("roof", 0.9)),
)
