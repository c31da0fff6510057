"""The losses' formulas in float64 NumPy, and cases of each with its options."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Case(NamedTuple):
    """A loss with options; of PyTorch the loss that it is, by name and arguments."""

    name: str
    options: dict[str, Any]
    torch: str | None = None
    torch_options: dict[str, Any] = {}  # noqa: RUF012  never written to

    def __str__(self) -> str:
        return "-".join([self.name, *map(str, self.options.values())]).replace(" ", "")


CASES = [
    Case("softmax", {"label_smoothing": 0.1}, "CrossEntropyLoss", {"label_smoothing": 0.1}),
    Case("softmax", {"temperature": 2.5}),
    Case("softmax", {"label_smoothing": 0.3, "temperature": 0.5}),
    Case("logistic", {}, "BCEWithLogitsLoss"),
    Case("logistic", {"label_smoothing": 0.2}),
    Case("half_squared_error", {}),
    Case("mae", {}, "L1Loss"),
    Case("huber", {}, "HuberLoss"),
    Case("huber", {"huber_delta": 0.3}, "HuberLoss", {"delta": 0.3}),
    Case("quantile", {"quantiles": (0.1,)}),
    Case("poisson", {}),
]


def targets(case: Case, n: int, c: int, seed: int = 0) -> Array:
    """Soft targets, labels that rows have, counts or values, (N, C)."""
    rng = np.random.default_rng([seed, n, c])
    if case.name == "softmax":
        return rng.dirichlet(np.ones(c), n)
    if case.name == "logistic":
        return rng.integers(0, 2, (n, c)).astype(float)
    if case.name == "poisson":
        return rng.poisson(2, (n, c)).astype(float)
    return 2 * rng.normal(size=(n, c))


def _softmax(s: Array, q: Array, options: dict[str, Any]) -> tuple[Array, Array]:
    t, e = options.get("temperature", 1.0), options.get("label_smoothing", 0.0)
    q = (1 - e) * q + e / q.shape[1]
    z = s / t - (s / t).max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -(q * log_p).sum(axis=1), (np.exp(log_p) * q.sum(axis=1, keepdims=True) - q) / t


def _each(name: str, s: Array, y: Array, options: dict[str, Any]) -> tuple[Array, Array]:
    """Of each output: its loss and the derivative over its score."""
    d = s - y
    if name == "logistic":
        e = options.get("label_smoothing", 0.0)
        q, p = (1 - e) * y + e / 2, options.get("positive_weight", 1.0)
        yes, no = np.logaddexp(0, -s), np.logaddexp(0, s)
        return p * q * yes + (1 - q) * no, (1 - q) * np.exp(-yes) - p * q * np.exp(-no)
    if name == "mse":
        return d**2, 2 * d
    if name == "half_squared_error":
        return d**2 / 2, d
    if name == "mae":
        return np.abs(d), np.sign(d)
    if name == "huber":
        delta = options.get("huber_delta", 1.0)
        far = np.abs(d) > delta
        return np.where(far, delta * (np.abs(d) - delta / 2), d**2 / 2), np.clip(d, -delta, delta)
    if name == "quantile":
        level = np.resize(options["quantiles"], s.shape[1])
        return np.where(d < 0, -level * d, (1 - level) * d), np.where(
            d < 0, -level, np.where(d > 0, 1 - level, 0)
        )
    assert name == "poisson"
    ratio = np.where(y > 0, y, 1.0)
    return np.where(y > 0, y * (np.log(ratio) - s), 0.0) - y + np.exp(s), np.exp(s) - y


def loss_rows(case: Case, s: Array, y: Array) -> tuple[Array, Array]:
    """Each row's loss (N,) and its gradient over the scores (N, C)."""
    if case.name == "softmax":
        return _softmax(s, y, case.options)
    loss, slope = _each(case.name, s, y, case.options)
    return loss.mean(axis=1), slope / s.shape[1]
