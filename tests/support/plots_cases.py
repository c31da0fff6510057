"""What the tests of plots share: a run's history, and points of two correlated features."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from fanin.random import Generator


def run(n=12, **extra):
    e = np.arange(n)
    lists = {
        "loss": 2.3 * np.exp(-e / 6),
        "accuracy": 1 - 0.9 * np.exp(-e / 6),
        "val_loss": 2.4 * np.exp(-e / 7),
        "val_accuracy": 0.97 - 0.9 * np.exp(-e / 6),
    }
    lists = {name: values.tolist() for name, values in lists.items()}
    return SimpleNamespace(history=lists, epoch=list(range(n)), **extra)


def skewed(n=200):
    z = Generator(3).standard_normal((n, 2), dtype="float64")
    return z @ np.array([[3.0, 1.0], [0.0, 0.5]]) + np.array([8.0, -5.0])
