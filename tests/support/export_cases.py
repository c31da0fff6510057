"""What the tests of export share: networks whose every parameter matters, and their data."""

from __future__ import annotations

from typing import Any

import numpy as np

import fanin

DIMS = [13, 17, 17, 9, 4]  # ragged, and one layer as wide as its input
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}


def rows(n: int = 40, columns: int = 13, dtype: Any = np.float32, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, columns)) * 2 + 5).astype(dtype)


def network(dims: Any = DIMS, seed: int = 0, preprocess: Any = "standardize", **how: Any) -> Any:
    """Never trained, but nothing is as it was made: no parameter is 0 or 1, nor any statistic."""
    net = fanin.MLP(dims, seed=seed, output_init="kaiming", **how)
    rng = np.random.default_rng(seed)
    for name, values in net.params.items():
        if not name.startswith("W"):
            values += 0.3 * rng.normal(size=values.shape)
    for name, values in net.statistics.items():
        size = values.shape
        values[...] = rng.uniform(0.5, 2, size) if "var" in name else rng.normal(size=size)
    net.set_preprocess(preprocess, rows(200, dims[0], net.dtype, seed=1))
    return net


def wanted(net: Any, X: np.ndarray) -> np.ndarray:
    loss = net.targets.loss
    give = net.predict_proba if loss.gives_probabilities else net.predict
    return np.asarray(net.scores(X) if loss.name == "svm" else give(X))


def assert_near(got: np.ndarray, want: np.ndarray, tolerance: float | None = None) -> None:
    """Equal within the dtype's tolerance of numbers around 1, or of their largest."""
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    if want.size:
        size = max(1.0, float(np.abs(want).max()))
        bound = TOLERANCE[want.dtype.name] if tolerance is None else tolerance
        assert np.abs(got - want).max() <= bound * size
