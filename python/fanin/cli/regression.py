"""Regression: units of the target, and how good predictions are."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fanin import metrics
from fanin._typing import Array
from fanin.network import MLP

FAR = 1e6  # deviations from 0: float32 has 7 digits, of which the deviation then gets one


@dataclass(frozen=True)
class Units:
    """Mean and standard deviation of the training targets.

    A network learns them standardised, since its initial weights and learning rates are made for
    values around 1; then `fold` gives its outputs the units of the data.
    """

    mean: float
    scale: float

    @classmethod
    def of(cls, y: Array, dtype: str) -> Units:
        units = cls(float(y.mean()), float(y.std()))
        if dtype == "float32" and abs(units.mean) > FAR * units.scale:
            warnings.warn(
                f"the target is about {units.mean:g} and differs by {units.scale:g}, which float32 "
                "hardly tells apart: take --dtype float64, or subtract a constant",
                stacklevel=2,
            )
        return units

    def standardized(self, y: Array) -> Array:
        return (y - self.mean) / self.scale

    def fold(self, net: MLP) -> None:
        """Lets a network that was trained on standardised targets predict those of the data."""
        layer = len(net.dims) - 1
        weights, bias = net.params[f"W{layer}"], net.params[f"b{layer}"]
        np.multiply(weights, self.scale, out=weights)
        bias[:] = bias.astype(np.float64) * self.scale + self.mean


def judge(
    net: MLP, X: Array, y: Array, names: Sequence[str], n_threads: int | None = None
) -> dict[str, float]:
    """Metrics of `fanin.metrics` for the predictions, in the units of y."""
    predicted = net.predict(X, n_threads=n_threads).astype(np.float64)
    return metrics.compute(names, y.reshape(-1, 1), predicted, "mse")


def finish(
    net: MLP, units: Units | None, X: Array, y: Array, n_threads: int | None = None
) -> dict[str, float]:
    """Gives a trained network the units of the data, where it learned others, and judges it."""
    if units is None:
        return net.evaluate(X, y, n_threads=n_threads)
    units.fold(net)
    return judge(net, X, y, ("rmse", "r2"), n_threads)
