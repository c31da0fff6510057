"""What the tests of the guide share: small data."""

from __future__ import annotations

from typing import Any

import numpy as np


def blobs(n: int = 400, d: int = 8, classes: int = 3, seed: int = 0, spread: float = 1.2) -> Any:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centres = np.random.default_rng(99).normal(size=(classes, d)) * spread
    return (rng.normal(size=(n, d)) + centres[y]).astype(np.float32), y
