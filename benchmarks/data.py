"""Data: Fashion-MNIST where fanin finds it, else noise of its shape; CIFAR-10 from a file."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FOLDER = "FANIN_BENCH_DATA"  # where `save` has put what the children of compare.py load
CIFAR10 = "FANIN_CIFAR10"  # an .npz with x (N, 32, 32, 3) uint8 and y
PARTS = ("X", "y", "X_test", "y_test")

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Data:
    """uint8 rows (N, D) and int64 labels (N,), with a test part."""

    name: str
    X: Array
    y: Array
    X_test: Array
    y_test: Array

    def save(self, folder: Path) -> None:
        (folder / "name.txt").write_text(self.name)
        for part in PARTS:
            np.save(folder / f"{part}.npy", getattr(self, part))


def images() -> Data:
    """60,000 training images of 784 pixels in ten classes."""
    if folder := os.environ.get(FOLDER):
        parts = (np.load(Path(folder) / f"{part}.npy") for part in PARTS)
        return Data((Path(folder) / "name.txt").read_text(), *parts)
    if importlib.util.find_spec("fanin") is not None:
        from fanin import datasets

        try:
            (X, y), (X_test, y_test) = datasets.load("fashion-mnist")
        except OSError:
            pass
        else:
            return Data("Fashion-MNIST", _flat(X), y, _flat(X_test), y_test)
    return synthetic(60_000, 784, 10, name="synthetic, of Fashion-MNIST's shape")


def cifar10() -> tuple[Array, Array] | None:
    """Images (N, 32, 32, 3) and labels (N,) of the file that FANIN_CIFAR10 names, if it does."""
    path = os.environ.get(CIFAR10)
    if not path:
        return None
    with np.load(path, allow_pickle=False) as archive:
        return archive["x"], archive["y"].astype(np.int64).ravel()


def synthetic(
    rows: int, width: int, classes: int, test_rows: int = 1000, name: str = "synthetic"
) -> Data:
    """Classes that a network can learn: a pattern each, half of it present, under noise."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 160, (classes, width), dtype=np.uint8)
    y = rng.integers(0, classes, rows + test_rows)
    X = patterns[y]
    X *= rng.integers(0, 2, X.shape, dtype=np.uint8)
    X += rng.integers(0, 96, X.shape, dtype=np.uint8)
    return Data(name, X[:rows], y[:rows], X[rows:], y[rows:])


def scaled(X: Array) -> Array:
    """uint8 as float32 in [0, 1], for those who cannot train from bytes."""
    out = X.astype(np.float32)
    out /= 255
    return out


def _flat(X: Array) -> Array:
    return X.reshape(len(X), -1)
