"""Forward passes of an engine over prepared data."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fanin import _validate
from fanin._core import Engine32, Engine64, TrainingData
from fanin._typing import Array

Engine = Engine32 | Engine64


def scores(engine: Engine, blocks: Iterable[TrainingData], n_threads: int | None) -> Array:
    """Outputs of the last layer, (N, C), for data that come in blocks."""
    threads = _validate.threads(n_threads)
    parts = [engine.scores(block, threads) for block in blocks]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def evaluate(engine: Engine, data: TrainingData, n_threads: int | None) -> dict[str, float]:
    """``{"loss": ..., "accuracy": ...}``; accuracy for labels."""
    loss, correct = engine.evaluate(data, _validate.threads(n_threads))
    return named_results(data, loss, correct)


def named_results(data: TrainingData, loss: float, correct: int) -> dict[str, float]:
    """What `evaluate` gives, from the mean loss and the number of rows predicted right."""
    result = {"loss": loss}
    if data.labels is not None:
        result["accuracy"] = correct / len(data)
    return result
