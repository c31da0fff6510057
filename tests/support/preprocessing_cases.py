"""What the tests of preprocessing share: correlated data and how near results must be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

P1, P2 = pytest.mark.row("P1"), pytest.mark.row("P2")
STORED = [np.uint8, np.float32, np.float64]


def data(n: int = 200, d: int = 12, stored: Any = np.float64, seed: int = 0) -> np.ndarray:
    """Correlated features with a mean, and variances from about 1 down."""
    rng = np.random.default_rng(seed)
    mixing = np.linalg.qr(rng.normal(size=(d, d)))[0] * np.geomspace(1, 0.05, d)[:, None]
    x = rng.normal(size=(n, d)) @ mixing @ rng.normal(size=(d, d)) + rng.normal(size=d)
    if stored is np.uint8:
        return np.clip(128 + 25 * x, 0, 255).astype(np.uint8)
    return x.astype(stored)


def tolerance(stored: Any) -> float:
    return 1e-9 if stored is np.float64 else 2e-4


def covariance(x: np.ndarray) -> np.ndarray:
    return np.cov(x.astype(np.float64), rowvar=False)
