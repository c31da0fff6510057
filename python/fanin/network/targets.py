"""How targets enter a network, and what its outputs say of them.

Values are learnt standardised, since weights and learning rates are made for values around 1; the
first fit records mean and deviation, as it does of the inputs. Counts are divided by their mean.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fanin import losses
from fanin._runtime import warn_caller
from fanin._typing import Array, Floats
from fanin.arrays import categories
from fanin.losses.checks import Targets as Checked
from fanin.losses.checks import targets
from fanin.losses.functions import loss_of_zero
from fanin.losses.spec import LossSpec
from fanin.network.classes import as_labels, found_classes, positions
from fanin.network.inputs import UnitsWarning
from fanin.preprocessing import Normalize

FAR = 1e6  # deviations from 0: float32 has 7 digits, of which the deviation then gets one


@dataclass(frozen=True, eq=False)
class Targets:
    """The targets of a network of that loss, outputs and dtype.

    With mean and scale, (M,) of the values of a row, the network learns ``(y - mean) / scale``.
    Labels are among classes; None where they are 0 .. C-1. Where the user has named them, data may
    have any part of them.
    """

    loss: LossSpec
    n_outputs: int
    dtype: np.dtype[Any]
    mean: Floats | None = None
    scale: Floats | None = None
    to_fit: bool = False  # until `fit`
    classes: Array | None = None
    classes_given: bool = False

    @property
    def n_values(self) -> int:
        return self.loss.n_values(self.n_outputs)

    @property
    def n_classes(self) -> int:
        return self.loss.n_classes(self.n_outputs)

    @cached_property
    def kind(self) -> str:
        """labels, binary (labels of one output), multilabel or values."""
        if self.loss.takes_values:
            return "values"
        if self.loss.is_multilabel(self.n_outputs):
            return "multilabel"
        return "binary" if self.loss.is_binary(self.n_outputs) else "labels"

    def requested(self, standardize: bool) -> Targets:
        """For a fit: with what an earlier one recorded, or to be fitted, or plain."""
        if not standardize or not self.loss.takes_values:
            return replace(self, mean=None, scale=None, to_fit=False)
        return self if self.mean is not None else replace(self, to_fit=True)

    def of_labels(self, name: str, y: object) -> Targets:
        """With the classes that the labels y have, unless they are known."""
        array = as_labels(name, y)
        if self.classes is not None or not self._takes_labels(array):
            return self
        return replace(self, classes=found_classes(name, array, self.n_classes, categories(y)))

    def _takes_labels(self, y: Array) -> bool:
        """Whether y (N,) is labels; with one output fractions are probabilities."""
        if self.kind == "binary":
            return y.dtype.kind != "f"
        return self.kind == "labels" and self.n_outputs > 1

    def positions(self, name: str, y: object) -> Array:
        """Labels as their positions among the classes; other targets as an array."""
        array = as_labels(name, y)
        return positions(name, array, self.classes) if self._takes_labels(array) else array

    def checked(self, name: str, y: object, n_rows: int) -> Checked:
        """(labels, None) or (None, soft), in y's own units."""
        y = self.positions(name, y)
        return targets(name, y, n_rows, self.n_outputs, self.loss, self.dtype)

    def fit(self, y: Array, soft: Array | None, weights: Array | None) -> Targets:
        """With the record of y, whose rows of weight 0 are left out."""
        moments = TargetMoments()
        moments.add(self, y, soft, weights)
        return self.with_moments(moments)

    def with_moments(self, moments: TargetMoments) -> Targets:
        """`fit` on targets that came in parts."""
        if moments.rows:
            mean = moments.sums / moments.rows
            return self.with_units(np.zeros_like(mean), np.where(mean > 0, mean, 1.0))
        if moments.normal.n_samples_seen_:
            mean, inverse = moments.normal.mean_and_scale()
            found = self.with_units(mean, 1 / inverse)
            self._warn_of_far(mean, inverse)
            return found
        return replace(self, to_fit=False)

    def _warn_of_far(self, mean: Floats, inverse: Floats) -> None:
        """Warns of values that differ by less than float32 tells apart."""
        far = np.abs(mean) * inverse
        if self.dtype == np.float32 and far.max() > FAR:
            j = int(far.argmax())
            warn_caller(
                f"y is about {mean[j]:g} and differs by {1 / inverse[j]:g}, which float32 hardly "
                "tells apart: take dtype='float64', or subtract a constant",
                UnitsWarning,
            )

    def with_units(self, mean: Floats, scale: Floats) -> Targets:
        for values in (mean, scale):
            values.flags.writeable = False  # the network's
        return replace(self, mean=mean, scale=scale, to_fit=False)

    def learnt(self, y: Array, soft: Array | None) -> Array | None:
        """Checked targets as the network learns them: its units, each for all its outputs."""
        if soft is None:
            return None
        if self.mean is not None and self.scale is not None:
            soft = ((_wide(y, soft) - self.mean) / self.scale).astype(self.dtype)
        each = len(self.loss.levels)
        return soft if each == 1 else np.asarray(np.repeat(soft, each, axis=1))

    def enter(self, name: str, y: object, n_rows: int) -> Checked:
        """Labels, or else soft targets as the network learns them."""
        array = as_labels(name, y)
        labels, soft = self.checked(name, array, n_rows)
        return labels, self.learnt(array, soft)

    # What outputs say

    def named(self, predictions: Array) -> Array:
        """Positions of labels as the labels themselves."""
        return predictions if self.classes is None else np.asarray(self.classes[predictions])

    def predictions(self, scores: Array) -> Array:
        """Positions of labels (N,), labels that rows have (N, C), or values in the units of y."""
        kind = self.kind
        if kind == "values":
            return self._values(scores)
        if kind == "labels":
            return np.asarray(scores.argmax(axis=1))
        yes = np.asarray(scores > 0)
        return yes[:, 0].astype(np.int64) if kind == "binary" else yes

    def outputs(self, scores: Array) -> Array:
        """What networks have a mean of: scores of labels, or else values in their own units."""
        if self.loss.takes_values:
            return self._values(scores)
        temperature = self.loss.temperature
        return scores if temperature == 1 else scores * self.dtype.type(1 / temperature)

    def predictions_of_probabilities(self, probabilities: Array) -> Array:
        """The labels of what `probabilities` gave."""
        multilabel = self.kind == "multilabel"
        return probabilities > 0.5 if multilabel else probabilities.argmax(axis=1)

    def probabilities(self, scores: Array, n_threads: int | None = None) -> Array:
        """Of the classes, (N, C), or of each label by itself."""
        if self.loss.name == "softmax":
            temperature = self.loss.temperature
            return losses.softmax(scores, temperature=temperature, n_threads=n_threads)
        p = losses.sigmoid(scores)
        return np.hstack([losses.sigmoid(-scores), p]) if self.kind == "binary" else p

    def _values(self, scores: Array) -> Array:
        """Values (N, M); with several quantiles (N, Q), or (N, M, Q) of several values.

        Quantiles are put in ascending order: where they cross, that is never further from the true
        ones (Chernozhukov et al. 2010).
        """
        values = np.exp(scores) if self.loss.name == "poisson" else scores
        each = len(self.loss.levels)
        if each > 1:
            values = np.sort(values.reshape(len(scores), -1, each), axis=2)
        if self.mean is not None and self.scale is not None:
            mean, scale = (v[:, None] if each > 1 else v for v in (self.mean, self.scale))
            values = (values * scale + mean).astype(self.dtype)
        return values[:, 0] if each > 1 and self.n_values == 1 else values

    def factor_and_shift(self) -> tuple[Floats, Floats]:
        """What makes of each score, (C,), one in the units of the targets; of counts its log.

        With a temperature they are those that are divided by it.
        """
        factor, shift = np.full(self.n_outputs, 1 / self.loss.temperature), np.zeros(self.n_outputs)
        if self.mean is None or self.scale is None:
            return factor, shift
        if self.loss.name == "poisson":
            return factor, np.log(self.scale)
        each = len(self.loss.levels)
        return np.repeat(self.scale, each), np.repeat(self.mean, each)

    def given(self, data_soft: Array) -> Array:
        """The targets in their own units, (N, M), from what the network learns."""
        values = data_soft[:, :: len(self.loss.levels)]
        if self.mean is None or self.scale is None:
            return values
        return np.asarray(values * self.scale + self.mean)

    def expected_initial_loss(self, soft: Array | None, weights: Array | None) -> float | None:
        """Of scores 0, on these targets where it depends on them; None of one-hot values."""
        if self.loss.takes_values:
            return None if soft is None else loss_of_zero(self.loss, soft, weights)
        return losses.expected_initial_loss(self.loss.name, self.n_outputs)


def _wide(y: Array, soft: Array) -> Floats:
    """The values in float64, which the network's dtype may have rounded."""
    return np.asarray(y.reshape(soft.shape), np.float64)


class TargetMoments:
    """Mean and deviation of values that come in parts; of counts their sums."""

    def __init__(self) -> None:
        self.normal: Normalize = Normalize()
        self.sums: Floats = np.zeros(1)
        self.rows: int = 0

    def add(self, targets: Targets, y: Array, soft: Array | None, weights: Array | None) -> None:
        """Takes y, as `Targets.checked` has it, without its rows of weight 0."""
        if not targets.to_fit or soft is None:
            return
        values = _wide(y, soft)
        if weights is not None:
            values = values[weights > 0]
        if targets.loss.name == "poisson":
            self.sums, self.rows = self.sums + values.sum(axis=0), self.rows + len(values)
        elif len(values):
            self.normal.partial_fit(values)
