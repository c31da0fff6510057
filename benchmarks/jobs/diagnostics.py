"""The lecture's experiment: how activations spread through six layers, by initialisation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmarks.jobs.row import Array, Bar, Job, Row, wrong_by

CASES = (  # (initialisation, activation)
    ("small", "tanh"),
    ("large", "tanh"),
    ("xavier", "tanh"),
    ("small", "relu"),
    ("xavier", "relu"),
    ("kaiming", "relu"),
)


@dataclass(frozen=True)
class Experiment(Job):
    """For each case, draw x (rows, width) and W (width, width) for each layer, multiply, activate.

    `answer` gives mean and standard deviation of each layer's outputs, (case, layer, 2).
    """

    width: int = 4096
    layers: int = 6
    rows: int = 16

    @property
    def cases(self) -> list[tuple[str, float, str]]:
        """(initialisation, standard deviation of the weights, activation)."""
        std = {
            "small": 0.01,
            "large": 0.05,
            "xavier": self.width**-0.5,
            "kaiming": (2 / self.width) ** 0.5,
        }
        return [(init, std[init], activation) for init, activation in CASES]

    @cached_property
    def expected(self) -> Array:
        """For endless width: each layer's inputs are normal, of the variance before times D std^2.

        Their activations' moments by Gauss and Hermite's rule for tanh, in closed form for relu.
        """
        z, weight = np.polynomial.hermite_e.hermegauss(200)
        weight = weight / weight.sum()
        rows = []
        for _, std, activation in self.cases:
            square = 1.0  # mean of the squares of a layer's inputs
            for _ in range(self.layers):
                variance = self.width * std**2 * square
                if activation == "tanh":
                    mean, square = 0.0, float(weight @ np.tanh(np.sqrt(variance) * z) ** 2)
                else:
                    mean, square = np.sqrt(variance / (2 * np.pi)), variance / 2
                rows.append((mean, np.sqrt(square - mean**2)))
        return np.reshape(rows, (len(self.cases), self.layers, 2))

    def check(self, answer: Array) -> str:
        """Within 15 % of the deviations at 4096 units; a sample of fewer spreads more."""
        spread = self.expected[:, :, 1:]
        error = float((np.abs(np.asarray(answer) - self.expected) / spread).max())
        return wrong_by(error, 0.15 * (4096 / self.width) ** 0.5, "largest error over deviation")


ROWS = (
    Row(
        "experiment",
        "six layers of 4096, six cases: draw, multiply, activate, mean and std",
        "s",
        Experiment(),
        threads=(2,),
        bars=(Bar("speedup", 9.0, "PyTorch"), Bar("speedup", 25.0, "lecture")),
        rounds=2,
    ),
)
