"""What the tests of the lecture share: small problems for its trainer, and what it prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fanin import ClassifierTrainer, init_two_layer_model, two_layer_net
from fanin.random import Generator

Model = dict[str, np.ndarray]

# The standard deviations that the lecture prints for its five cases of initial weights.
PRINTED = {
    "small-tanh": (0.49, 0.29, 0.18, 0.11, 0.07, 0.05),
    "large-tanh": (0.87, 0.85, 0.85, 0.85, 0.85, 0.85),
    "xavier-tanh": (0.63, 0.49, 0.41, 0.36, 0.32, 0.29),
    "xavier-relu": (0.58, 0.41, 0.29, 0.20, 0.14, 0.10),
    "kaiming-relu": (0.83, 0.83, 0.83, 0.83, 0.80, 0.80),
}


def problem(
    n: int = 230, d: int = 12, classes: int = 4, dtype: str = "float32", seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Noisy clusters."""
    rng = np.random.default_rng([n, d, seed])
    y = rng.integers(0, classes, n)
    centres = np.random.default_rng(d).standard_normal((classes, d))
    return (rng.standard_normal((n, d)) + 2 * centres[y]).astype(dtype), y


def a_model(d: int = 12, h: int = 9, c: int = 4, dtype: str = "float32", seed: int = 5) -> Model:
    return init_two_layer_model(d, h, c, std=0.1, dtype=dtype, seed=seed)


def copy(model: Model) -> Model:
    return {name: p.copy() for name, p in model.items()}


def in_python(*args: Any) -> Any:
    """two_layer_net, but no longer known as it."""
    return two_layer_net(*args)


def train(model: Model, loss_function: Callable[..., Any] = two_layer_net, **options: Any) -> Any:
    """Trains on `problem` in the model's dtype; returns (best_model, stats)."""
    d, c = model["W1"].shape[0], model["b2"].size
    data = problem(d=d, classes=c, dtype=str(model["W1"].dtype), n=options.pop("n", 230))
    validation = problem(77, d, c, dtype=str(model["W1"].dtype), seed=1)
    options = {"seed": 3, "num_epochs": 4, "batch_size": 20} | options
    return ClassifierTrainer().train(*data, *validation, model, loss_function, **options)


def assert_same_bits(a: Model, b: Model) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], strict=True)


def assert_same_stats(a: Any, b: Any) -> None:
    """Bit for bit but for the costs, whose L2 terms are added up in another order."""
    tolerance = 1e-6
    np.testing.assert_allclose(a["loss_history"], b["loss_history"], rtol=tolerance)
    assert {k: v for k, v in a.items() if k != "loss_history"} == {
        k: v for k, v in b.items() if k != "loss_history"
    }


def images(n, seed):
    """Six by six pixels, of three classes."""
    rng = Generator(seed)
    y = np.arange(n) % 3
    X = rng.integers(0, 120, (n, 6, 6))
    X[np.arange(n), 2 * y] += 100
    return X.astype(np.uint8), y


def save_small(path):
    X, y = images(90, 0)
    X_test, y_test = images(30, 1)
    np.savez(path, X=X, y=y, X_test=X_test, y_test=y_test)
    return str(path)
