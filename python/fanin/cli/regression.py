"""Regression: units of the target, and how good predictions are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fanin._typing import Array
from fanin.ensemble import Ensemble
from fanin.network import MLP


def units(net: MLP) -> dict[str, Any]:
    """What a network's metadata say of the units of its target."""
    mean, scale = net.targets.mean, net.targets.scale
    if mean is None or scale is None:
        return {}
    return {"target_mean": float(mean[0]), "target_scale": float(scale[0])}


def metrics_of(loss: str, quantiles: Sequence[float] | None) -> list[str]:
    """What is told of predictions with that loss."""
    if loss != "quantile":
        return [*(["poisson_deviance"] if loss == "poisson" else []), "rmse", "r2"]
    levels = quantiles or [0.5]
    median = ["mae"] if 0.5 in levels else []
    return ["pinball_loss", *(["coverage"] if len(levels) > 1 else []), *median]


def judge(
    net: MLP | Ensemble, X: Array, y: Array, names: Sequence[str] = (), n_threads: int | None = None
) -> dict[str, float]:
    """Metrics of `fanin.metrics` for the predictions, in the units of y."""
    loss = (net.members[0] if isinstance(net, Ensemble) else net).targets.loss
    names = names or metrics_of(loss.name, loss.levels)
    found = net.evaluate(X, y, metrics=names, n_threads=n_threads)
    return {name: found[name] for name in names}


def finish(net: MLP, task: str, X: Array, y: Array, n_threads: int | None = None) -> dict[str, Any]:
    """How good a trained network is on rows that it has not seen."""
    if task == "regression":
        return judge(net, X, y, n_threads=n_threads)
    return net.evaluate(X, y, n_threads=n_threads)
