"""What the tests of training share: noisy clusters and small networks."""

from __future__ import annotations

from typing import Any

import numpy as np

import fanin


def normals(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def problem(n: int = 250, d: int = 12, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Noisy clusters."""
    y = np.random.default_rng(n).integers(0, classes, n)
    return normals(n, d) + normals(classes, d, seed=1)[y], y


def network(**options: Any) -> fanin.MLP:
    defaults: dict[str, Any] = {
        "activation": "tanh",
        "dtype": "float64",
        "seed": 3,
        "output_init": None,
    }
    return fanin.MLP(options.pop("dims", [12, 17, 9, 4]), **defaults | options)


def fit(net: fanin.MLP, X: np.ndarray, y: np.ndarray, **options: Any) -> fanin.callbacks.History:
    return net.fit(X, y, progress=False, **options)
