"""The data and training runs that the chapters share."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fanin import MLP, DivergenceWarning, datasets
from fanin._typing import Array
from fanin.callbacks.history import History
from fanin.random import Generator

MOST_ROWS, MOST_TEST_ROWS = 3000, 2000  # so that the whole lecture takes a minute


@dataclass(frozen=True)
class Data:
    """A data set as the chapters use it: at most 3,000 rows to train on and 2,000 to test."""

    name: str
    X: Array
    y: Array
    X_test: Array
    y_test: Array
    n_classes: int
    class_names: tuple[str, ...] = ()

    @classmethod
    def load(cls, name: str, seed: int) -> Data:
        """Any data that `fanin.datasets.load` reads."""
        train, test, info = datasets.load(name, seed=seed, return_info=True)
        X, y = _subsample(train, MOST_ROWS, seed)
        X_test, y_test = _subsample(test, MOST_TEST_ROWS, seed)
        names = info.class_names
        return cls(info.name, X, y, X_test, y_test, len(names), names)

    @property
    def dim(self) -> int:
        """Features of a row."""
        return int(np.prod(self.X.shape[1:]))

    @property
    def preprocess(self) -> Any:
        """What `MLP.fit` takes: all pixels alike, or each feature of a table by itself."""
        if self.X.dtype != np.uint8:
            return "standardize"
        return self.X.mean(), 1 / (self.X.std() or 1.0)

    def two_features(self) -> tuple[Array, str]:
        """Two features that everybody can picture, (N, 2) float64, and their names."""
        if self.X.ndim > 2:
            half = self.X.shape[2] // 2
            sides = self.X[:, :, :half], self.X[:, :, -half:]
            means = [side.reshape(len(self.X), -1).mean(axis=1) for side in sides]
            return np.stack(means, axis=1), "mean brightness of an image's left and right half"
        X = self.X[:, : min(self.dim, 50)].astype(np.float64)
        spread = np.flatnonzero(X.std(axis=0) > 0)
        if len(spread) < 2:
            raise ValueError(f"data: expected two features that vary, got {len(spread)}")
        related = np.triu(np.abs(np.corrcoef(X[:, spread], rowvar=False)), 1)
        a, b = np.unravel_index(related.argmax(), related.shape)
        return np.ascontiguousarray(
            X[:, spread[[a, b]]]
        ), f"columns {spread[a] + 1} and {spread[b] + 1}"


def _subsample(part: tuple[Array, Array], at_most: int, seed: int) -> tuple[Array, Array]:
    """At most so many rows, chosen by the seed."""
    X, y = part
    if len(y) <= at_most:
        return X, y
    chosen = Generator(seed).permutation(len(y))[:at_most]
    return X[chosen], y[chosen]


def train(net: MLP, X: Array, y: Array, **options: Any) -> History:
    """`MLP.fit` without a progress bar; a run that diverges is part of the story.

    A batch of more rows than there are has all of them.
    """
    if options.get("batch_size") is not None:
        options["batch_size"] = min(options["batch_size"], len(y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)
        return net.fit(X, y, **{"progress": False, **options})


def best_of(runs: Sequence[tuple[float, MLP, History]]) -> tuple[float, MLP, History]:
    """The rate, network and history of the run that ended with the lowest training loss."""
    return min(runs, key=lambda run: np.nan_to_num(final(run[2], "loss"), nan=np.inf))


def curve(history: History, name: str) -> list[float]:
    """The values of each epoch; one NaN where the run diverged in its first."""
    return history.history.get(name) or [np.nan]


def final(history: History, name: str) -> float:
    """The last value of a curve; NaN of a run that diverged."""
    return np.nan if history.stop_reason == "diverged" else curve(history, name)[-1]


def number(value: float, digits: int = 3) -> str:
    """So many significant digits; a dash for NaN."""
    return "—" if np.isnan(value) else f"{value:.{digits}g}"


def percent(share: float) -> str:
    """One decimal; a dash for NaN."""
    return "—" if np.isnan(share) else f"{100 * share:.1f} %"
