"""What the targets of a search ask for: labels or values, and how many outputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fanin import _validate
from fanin._typing import Array
from fanin.losses.spec import OF_VALUES, LossSpec
from fanin.network.classes import encoded
from fanin.tuning.space import Choice, Space, leaves

EMPTY = 0.5  # of the outputs, at most, may be of labels that no row has


@dataclass(frozen=True)
class Targets:
    """The kind of the targets and the outputs that they need.

    Attributes
    ----------
    labels : bool
        Whether they are labels (N,), or else values or soft labels.
    outputs : int
    loss : str or None
        The loss of all trials where none was given and it is not `MLP`'s.
    classes : ndarray or None
        Of labels that are not 0 .. C-1.
    """

    labels: bool
    outputs: int
    loss: str | None = None
    classes: Array | None = None


def targets_of(y: Array, y_val: Array, space: Space, loss: Any, quantiles: Any = None) -> Targets:
    """Of y, by its shape and dtype and the loss, given for all trials or in the space."""
    losses = _losses(space, loss)
    each = _outputs_of_a_value(losses, quantiles)
    if y.ndim != 1:
        return Targets(False, math.prod(y.shape[1:]) * each)
    if "logistic" in losses:
        return _binary(losses, encoded("y", y)[1])
    if y.dtype.kind == "f":
        if others := losses - {*OF_VALUES, None}:
            other = sorted(others)[0]
            raise ValueError(
                f"y: expected whole-number labels for loss={other!r}, got "
                f"{_validate.describe(y)}; loss='mse' takes values"
            )
        return Targets(False, each, "mse" if losses == {None} else None)
    if y.dtype.kind in "iu" and losses <= set(OF_VALUES):
        return Targets(False, each)
    _, classes = encoded("y", y)
    if classes is not None:
        return Targets(True, len(classes), classes=classes)
    return Targets(True, _classes(y, y_val))


def _outputs_of_a_value(losses: set[Any], quantiles: Any) -> int:
    """One for each quantile, of networks that all have as many."""
    if "quantile" not in losses:
        return 1
    n = len(LossSpec("quantile", quantiles=quantiles).levels)
    if n > 1 and len(losses) > 1:
        raise ValueError(
            f"loss: expected 'quantile' alone, which has {n} outputs for a value, got "
            f"{', '.join(map(repr, sorted(map(str, losses))))}"
        )
    return n


def _binary(losses: set[Any], classes: Array | None) -> Targets:
    if len(losses) > 1:
        raise ValueError(
            "loss: expected 'logistic' alone for labels (N,), since it has one output where others "
            f"have one for each class, got {', '.join(map(repr, sorted(map(str, losses))))}"
        )
    return Targets(True, 1, classes=classes)


def _losses(space: Space, loss: Any) -> set[Any]:
    """All losses that trials may have; None for that of `MLP`."""
    found = [leaf for leaf in leaves(space) if leaf.name == "loss"]
    options = [
        o for leaf in found if isinstance(leaf.parameter, Choice) for o in leaf.parameter.options
    ]
    if any(not leaf.conditions for leaf in found):
        return set(options)
    return {*options, loss}


def _classes(y: Array, y_val: Array) -> int:
    if not y.size or not y_val.size:
        raise ValueError("y: expected at least one row, got none")
    n, known = int(max(y.max(), y_val.max())) + 1, len(np.union1d(y, y_val))
    if n > 2 and n - known > EMPTY * n:
        raise ValueError(
            f"y: expected labels 0 .. C-1, got {known} different ones up to {n - 1}, most of which "
            "no row has; np.unique(y, return_inverse=True)[1] numbers them"
        )
    return n
