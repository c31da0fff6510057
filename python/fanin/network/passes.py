"""Forward passes of an engine over prepared data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from fanin import _validate, metrics
from fanin._core import Engine32, Engine64, TrainingData
from fanin._typing import Array
from fanin.network.targets import Targets

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


def evaluate_metrics(
    engine: Engine,
    data: TrainingData,
    targets: Targets,
    names: Sequence[str],
    n_threads: int | None,
) -> dict[str, Any]:
    """The metrics of these names, which `check_metrics` has seen."""
    if not names:
        return {}
    return metrics_of(scores(engine, [data], n_threads), data, targets, names, n_threads)


def metrics_of(
    outputs: Array,
    data: TrainingData,
    targets: Targets,
    names: Sequence[str],
    n_threads: int | None,
) -> dict[str, Any]:
    """The same of the network's outputs, of data whose X is not looked at."""
    loss = targets.loss
    if loss.gives_probabilities:
        outputs = targets.probabilities(outputs, n_threads)
    if data.labels is not None:
        kind = "softmax" if loss.gives_probabilities else loss.name
        return metrics.compute(names, data.labels, outputs, kind, data.weights)
    assert data.soft is not None
    if targets.kind == "multilabel":
        return metrics.compute_of_several(names, data.soft, outputs, data.weights)
    y, predicted = targets.given(data.soft), targets.predictions(outputs)
    if loss.name == "quantile":
        return metrics.compute_of_quantiles(names, y, predicted, loss.levels, data.weights)
    return metrics.compute(names, y, predicted, loss.name, data.weights)


def check_metrics(
    names: Any, targets: Targets, data: TrainingData, *, numbers: bool = False
) -> tuple[str, ...]:
    """The names of ``metrics=``, where they go with the loss and the targets."""
    checked = metrics.check_names(names, numbers=numbers)
    kind, loss = targets.kind, targets.loss
    if kind in ("labels", "binary") or data.labels is not None:
        kind = "soft" if data.labels is None else "labels"
    metrics.check_targets(checked, kind, "softmax" if loss.gives_probabilities else loss.name)
    if loss.name == "quantile":
        metrics.check_quantiles(checked, loss.levels)
    return checked


def warn_of_rare_classes(
    engine: Engine, data: TrainingData, targets: Targets, accuracy: float, n_threads: int | None
) -> None:
    """Warns where a rare class is never predicted."""
    from fanin.diagnostics.rare_classes import rare_classes, warn_if_never_predicted

    assert data.labels is not None
    rare = rare_classes(data.labels)
    wrong = round((1 - accuracy) * len(data))
    # Only where a class may be missed altogether are predictions worth another pass.
    if not len(rare) or wrong < min(np.bincount(data.labels)[rare]):
        return
    predicted = targets.predictions(scores(engine, [data], n_threads))
    warn_if_never_predicted(data.labels, predicted)


def named_results(data: TrainingData, loss: float, correct: int) -> dict[str, float]:
    """What `evaluate` gives, from the mean loss and the number of rows predicted right."""
    result = {"loss": loss}
    if data.labels is not None:
        result["accuracy"] = correct / len(data)
    return result
