"""How good combined outputs are: of labels, of several labels a row, of values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fanin import _core, losses
from fanin._typing import Array, Floats
from fanin.diagnostics.rare_classes import warn_if_never_predicted
from fanin.ensemble.held_out import binary_log_losses
from fanin.losses.checks import Targets, targets
from fanin.losses.spec import LossSpec
from fanin.metrics import (
    check_names,
    check_quantiles,
    check_targets,
    compute,
    compute_of_quantiles,
    compute_of_several,
)
from fanin.network import MLP

TINY = float(np.finfo(np.float32).tiny)  # of a probability that has been rounded to 0


def of_labels(
    loss: str,
    combine: str,
    combined: Floats,
    y: Array,
    predicted: Array,
    names: Sequence[str],
    dtype: np.dtype[Any],
) -> dict[str, Any]:
    """Of labels (N,) or soft labels (N, C); the loss is that of mean scores."""
    labels, soft = _targets(y, combined, "softmax")
    known = soft if labels is None else labels
    assert known is not None
    if combine == "logits":
        result = judged(loss, combined, y, predicted)
        outputs = losses.softmax(combined)
    else:
        outputs = combined
        result = judged("softmax", _core.map("log", np.maximum(combined, TINY)), y, predicted)
    if combine == "vote":
        right = predicted == known if soft is None else soft[np.arange(len(soft)), predicted]
        result["loss"] = 1.0 - float(np.mean(right))
    checked = check_names(names)
    check_targets(checked, "labels" if soft is None else "soft", "softmax")
    if labels is not None:
        warn_if_never_predicted(labels, predicted)
    outputs = outputs.astype(dtype)
    return result | compute(checked, known, outputs, "softmax", predicted=predicted)


def of_several(
    combine: str, combined: Floats, y: Array, names: Sequence[str], dtype: np.dtype[Any]
) -> dict[str, Any]:
    """Of several labels a row, (N, C)."""
    _, soft = _targets(y, combined, "logistic")
    assert soft is not None
    probabilities = losses.sigmoid(combined) if combine == "logits" else combined
    if combine == "vote":
        loss = float(np.mean((combined > 0.5) != (soft > 0.5)))
    elif combine == "logits":
        loss = losses.logistic_loss(combined, soft)[0]
    else:
        loss = float(binary_log_losses(probabilities, soft).mean())
    checked = check_names(names)
    check_targets(checked, "multilabel", "softmax")
    return {"loss": loss} | compute_of_several(checked, soft, probabilities.astype(dtype))


def of_values(
    nets: Sequence[MLP], values: Floats, y: Array, names: Sequence[str], dtype: np.dtype[Any]
) -> dict[str, Any]:
    """Of values in the units of y; of "mse" also with labels, for their one-hot rows."""
    specs = {net.targets.loss for net in nets}
    spec = specs.pop() if len(specs) == 1 else LossSpec("mse")
    result = of_member(nets[0], values, y, spec)
    own = nets[0].targets
    labels, soft = targets("y", y, len(values), own.n_outputs, spec, np.dtype(np.float64))
    checked, values = check_names(names), values.astype(dtype)
    check_targets(checked, "values" if labels is None else "labels", spec.name)
    if labels is not None:
        return result | compute(checked, labels, values, spec.name)
    assert soft is not None
    if spec.name == "quantile":
        check_quantiles(checked, spec.levels)
        return result | compute_of_quantiles(checked, soft, values, spec.levels)
    return result | compute(checked, soft, values, spec.name)


def of_member(net: MLP, own: Array, y: Array, spec: LossSpec | None = None) -> dict[str, float]:
    """Of what `member_outputs` gave: loss, and accuracy where y is labels."""
    spec = net.targets.loss if spec is None else spec
    if not spec.takes_values:
        kind = net.targets.kind
        name = "logistic" if kind == "multilabel" else label_loss(net)
        return judged(name, own, y, own.argmax(axis=1))
    options: dict[str, Any] = {}
    if spec.name == "huber":  # the constant is in deviations of y
        scale = 1.0 if net.targets.scale is None else float(net.targets.scale.mean())
        options["huber_delta"] = spec.huber_delta * scale
    if spec.name == "quantile":
        options["quantiles"] = spec.levels
        own = own.reshape(len(own), -1)
    if spec.name == "poisson":
        own = np.log(np.maximum(own, TINY))
    loss = losses.get(spec.name)
    result = {"loss": loss(own, y, **options)[0]}
    if (hard := targets("y", y, len(own), own.shape[1], spec, own.dtype)[0]) is not None:
        result["accuracy"] = float(np.mean(own.argmax(axis=1) == hard))
    return result


def member_outputs(net: MLP, scores: Array) -> Array:
    """Scores of labels, with one for each of two classes, or else values in their own units."""
    own = net.targets.outputs(scores)
    if net.targets.kind == "binary":
        return np.hstack([np.zeros_like(own), own])
    return own


def label_loss(net: MLP) -> str:
    """By which the scores of a member of labels are judged."""
    return "softmax" if net.targets.kind == "binary" else net.loss_name


def judged(loss: str, scores: Array, y: Array, predicted: Array) -> dict[str, float]:
    """The loss, and the accuracy where y is labels."""
    result = {"loss": losses.get(loss)(scores, y)[0]}
    if (hard := _targets(y, scores, loss)[0]) is not None:
        result["accuracy"] = float(np.mean(predicted == hard))
    return result


def _targets(y: Array, scores: Array, loss: str) -> Targets:
    return targets("y", y, len(scores), scores.shape[1], loss, scores.dtype)
