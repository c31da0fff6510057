"""Regression: units of the target, and how good predictions are."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

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


def judge(y: Array, predicted: Array) -> dict[str, float]:
    """RMSE, and R², the share of the variance that is explained (scikit-learn's ``r2_score``)."""
    squares = float(np.square(y - predicted).sum())
    total = float(np.square(y - y.mean()).sum())
    r2 = 1 - squares / total if total else math.nan
    return {"rmse": math.sqrt(squares / len(y)), "r2": r2}
