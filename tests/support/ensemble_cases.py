"""What the tests of ensembles share: few digits, and networks that differ."""

from __future__ import annotations

from typing import Any

import numpy as np

import fanin

(X, y), (X_TEST, Y_TEST) = fanin.datasets.load("digits")
# Few rows: what is left to learn is what an ensemble can gain.
X, y, X_VAL, Y_VAL = X[:600], y[:600], X[600:900], y[600:900]
DIMS = [64, 32, 10]
OPTIONS: dict[str, Any] = {
    "epochs": 10,
    "batch_size": 32,
    "preprocess": "standardize",
    "progress": False,
}


def networks(n: int = 3, loss: str = "softmax", dims: Any = (7, 5, 4)) -> list[fanin.MLP]:
    """Untrained, and far from sure of anything."""
    return [
        fanin.MLP(dims, loss=loss, seed=i, output_init="kaiming", activation="tanh")
        for i in range(n)
    ]


def rows(n: int = 50, columns: int = 7) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, columns)).astype(np.float32)
