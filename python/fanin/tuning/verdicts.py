"""What the curves of a training run say: step 6 of the lecture, "look at loss curves".

The lecture tells three cases apart: both accuracies still rise (train longer), training accuracy
rises while validation accuracy falls (overfitting), and hardly a gap between them (underfitting).
Here each is a test with numbers. Trends are least-squares lines over the last third of the epochs
and count from two standard errors on; the gap between the accuracies is held against its binomial
standard error, ``sqrt(p (1 - p) / n)``. Where the data cannot tell, the verdict says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Finding", "Verdict", "loss_curve"]

Floats = NDArray[np.float64]

MIN_EPOCHS = 6
RISE = 0.005  # of accuracy over the last third of the epochs, that is worth going on for
FALL = 0.05  # the same of the loss, as a share of it,
FALL_OF_FIRST = 0.02  # and of the first loss: near zero any fall is a large share
GAP = 0.05  # of accuracies: more is overfitting
SMALL_GAP = 0.02  # less is none
LEARNT = 0.95  # training accuracy from which a small gap is no sign of underfitting
DIVERGED = 3.0  # times the first loss, as in the course's trainer


class HistoryLike(Protocol):
    """What `loss_curve` reads of a `fanin.history.History`."""

    history: dict[str, list[float]]


@dataclass(frozen=True)
class Finding:
    """One thing that the curves say.

    Attributes
    ----------
    name : str
        needs-more-training, overfitting, underfitting, diverged, healthy or inconclusive.
    evidence : str
        The numbers behind it, as a sentence.
    action : str
        What to do about it.
    """

    name: str
    evidence: str
    action: str

    def __str__(self) -> str:
        return f"{self.name}: {self.evidence}\n  -> {self.action}"


@dataclass(frozen=True)
class Verdict:
    """The findings on a run, the weightiest first. ``str`` makes lines for a terminal."""

    findings: tuple[Finding, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the findings."""
        return tuple(finding.name for finding in self.findings)

    def to_dict(self) -> list[dict[str, str]]:
        """The findings as JSON values."""
        return [vars(finding).copy() for finding in self.findings]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __str__(self) -> str:
        return "\n".join(map(str, self.findings))


def loss_curve(history: HistoryLike, *, n_val: int | None = None) -> Verdict:
    """Judge a run by its curves.

    Parameters
    ----------
    history : History
        As `MLP.fit` returns it: ``history.history`` holds lists loss, accuracy, val_loss and
        val_accuracy, of which all but loss may lack.
    n_val : int, optional
        Number of validation rows, where ``history.params`` does not tell; unknown, the
        accuracies' standard errors are left out.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> run = SimpleNamespace(history={"loss": [2.3, 1.9, 2.8, float("nan")]})
    >>> print(fanin.tuning.loss_curve(run))
    diverged: the loss is nan in epoch 4
      -> lower the learning rate 3 to 10 times; look at the scale of inputs and initial weights
    """
    curves = _Curves(history, n_val)
    if diverged := _diverged(curves):
        return Verdict((diverged,))
    if len(curves.loss) < MIN_EPOCHS:
        evidence = f"{len(curves.loss)} epochs are too few for a trend"
        return Verdict((Finding("inconclusive", evidence, f"train for {MIN_EPOCHS} or more"),))
    findings = [f for f in (_overfitting(curves), _needs_more_training(curves)) if f]
    if not curves.validated:
        findings.append(
            Finding(
                "inconclusive",
                "without validation data nothing is known about over- and underfitting",
                "give fit validation_data",
            )
        )
    elif not findings:
        findings.append(_unclear(curves) or _underfitting(curves) or _healthy(curves))
    return Verdict(tuple(findings))


@dataclass(frozen=True)
class _Trend:
    """A least-squares line: its change from end to end, that change's standard error, scatter."""

    change: float
    error: float
    scatter: float

    def exceeds(self, least: float) -> bool:
        return self.change > max(least, 2 * self.error)


class _Curves:
    def __init__(self, history: HistoryLike, n_val: int | None) -> None:
        lists = history.history
        params = getattr(history, "params", None) or {}
        self.loss = np.asarray(lists.get("loss", ()), dtype=np.float64)
        self.accuracy = self._curve(lists, "accuracy")
        self.val_loss = self._curve(lists, "val_loss")
        self.val_accuracy = self._curve(lists, "val_accuracy")
        self.initial_loss: float | None = getattr(history, "initial_loss", None)
        self.stop_reason: str | None = getattr(history, "stop_reason", None)
        self.n_train = params.get("n_train")
        self.n_val = params.get("n_val") if n_val is None else n_val
        self.window = min(len(self.loss), max(4, math.ceil(len(self.loss) / 3)))

    def _curve(self, lists: dict[str, list[float]], name: str) -> Floats | None:
        values = np.asarray(lists.get(name, ()), dtype=np.float64)
        return values if len(values) == len(self.loss) and len(values) else None

    @property
    def validated(self) -> bool:
        return self.val_loss is not None or self.val_accuracy is not None

    @property
    def first_loss(self) -> float:
        return float(self.loss[0]) if self.initial_loss is None else self.initial_loss

    def trend(self, values: Floats) -> _Trend:
        y = values[-self.window :]
        t = np.arange(len(y)) - (len(y) - 1) / 2
        slope = float(t @ y / (t @ t))
        residuals = y - y.mean() - slope * t
        scatter = math.sqrt(float(residuals @ residuals) / max(len(y) - 2, 1))
        return _Trend(
            slope * (len(y) - 1), scatter / math.sqrt(float(t @ t)) * (len(y) - 1), scatter
        )

    def gap(self) -> tuple[float, float, float] | None:
        """Accuracy of the last three epochs, how far it is above validation's, and that's error."""
        if self.accuracy is None or self.val_accuracy is None:
            return None
        train, val = float(self.accuracy[-3:].mean()), float(self.val_accuracy[-3:].mean())
        variance = sum(p * (1 - p) / n for p, n in ((train, self.n_train), (val, self.n_val)) if n)
        return train, train - val, math.sqrt(max(variance, 0.0))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


def _diverged(curves: _Curves) -> Finding | None:
    action = (
        "lower the learning rate 3 to 10 times; look at the scale of inputs and initial weights"
    )
    for name, values in (("loss", curves.loss), ("validation loss", curves.val_loss)):
        if values is not None and not np.isfinite(values).all():
            epoch = int(np.argmin(np.isfinite(values)))
            return Finding(
                "diverged", f"the {name} is {values[epoch]} in epoch {epoch + 1}", action
            )
    if curves.stop_reason == "diverged":
        evidence = f"the loss stopped being finite in epoch {len(curves.loss) + 1}"
        return Finding("diverged", evidence, action)
    if not len(curves.loss):
        return None
    first = float(curves.loss[0]) if curves.initial_loss is None else curves.initial_loss
    if curves.loss[-1] <= DIVERGED * abs(first):
        return None
    evidence = (
        f"the loss ends at {curves.loss[-1]:.4g}, {curves.loss[-1] / first:.1f} times the first"
    )
    return Finding("diverged", evidence, action)


def _needs_more_training(curves: _Curves) -> Finding | None:
    action = "train for more epochs"
    epochs = f"over the last {curves.window} epochs"
    score = curves.val_accuracy if curves.validated else curves.accuracy
    part = "validation" if curves.validated else "training"
    if score is not None:
        rise = curves.trend(score)
        if rise.exceeds(max(RISE, 1 / curves.n_val if curves.validated and curves.n_val else 0)):
            evidence = f"{part} accuracy still rises, by {_points(rise.change)} {epochs}"
            return Finding("needs-more-training", evidence, action)
    loss = curves.val_loss if curves.validated else curves.loss
    if loss is not None:
        fall = curves.trend(-loss)
        level = float(np.abs(loss[-curves.window :]).mean())
        if fall.exceeds(max(FALL * level, FALL_OF_FIRST * abs(curves.first_loss))):
            evidence = f"{part} loss still falls, by {_percent(fall.change / level)} {epochs}"
            return Finding("needs-more-training", evidence, action)
    return None


def _overfitting(curves: _Curves) -> Finding | None:
    reasons = [r for r in (_wide_gap(curves), _rising_loss(curves), _falling_accuracy(curves)) if r]
    if not reasons:
        return None
    action = "regularise more (L2, dropout), get or augment data, or stop at the best epoch"
    return Finding("overfitting", "; ".join(reasons), action)


def _wide_gap(curves: _Curves) -> str | None:
    found = curves.gap()
    if found is None or found[1] <= max(GAP, 3 * found[2]):
        return None
    train, gap, _ = found
    return (
        f"training accuracy {_percent(train)} is {_points(gap)} above validation's "
        f"{_percent(train - gap)}"
    )


def _rising_loss(curves: _Curves) -> str | None:
    if curves.val_loss is None:
        return None
    best = int(curves.val_loss.argmin())
    least, last = float(curves.val_loss[best]), float(curves.val_loss[-3:].mean())
    noise = 3 * curves.trend(curves.val_loss).scatter
    if len(curves.loss) - 1 - best < 3 or last - least <= max(FALL * abs(least), noise):
        return None
    if curves.loss[-1] >= curves.loss[best]:
        return None
    return (
        f"validation loss rose from {least:.4f} in epoch {best + 1} to {last:.4f} while the "
        f"training loss fell to {curves.loss[-1]:.4f}"
    )


def _falling_accuracy(curves: _Curves) -> str | None:
    if curves.val_accuracy is None or curves.accuracy is None:
        return None
    fall = curves.trend(-curves.val_accuracy)
    if not fall.exceeds(RISE) or curves.trend(curves.accuracy).change <= 0:
        return None
    return (
        f"validation accuracy fell by {_points(fall.change)} over the last {curves.window} epochs "
        "while training accuracy rose"
    )


def _unclear(curves: _Curves) -> Finding | None:
    found = curves.gap()
    if found is None or 2 * found[2] <= GAP:
        return None
    _, gap, error = found
    evidence = (
        f"the gap between the accuracies is {100 * gap:.1f} +- {_points(2 * error)} with "
        f"{curves.n_val} validation rows"
    )
    return Finding("inconclusive", evidence, "hold out more validation rows")


def _underfitting(curves: _Curves) -> Finding | None:
    found = curves.gap()
    if found is None or found[0] >= LEARNT or found[1] >= max(SMALL_GAP, 2 * found[2]):
        return None
    train, gap, _ = found
    evidence = (
        f"training accuracy stays at {_percent(train)}, validation's {_percent(train - gap)} is "
        "hardly below it"
        if gap > 0
        else f"training accuracy stays at {_percent(train)}, no higher than validation's "
        f"{_percent(train - gap)}"
    )
    start = curves.initial_loss
    if start is not None and curves.loss[-1] > 0.98 * start:
        action = f"find a learning rate that moves the loss: it began at {start:.4f}"
        return Finding("underfitting", f"{evidence}; the loss hardly moved", action)
    return Finding("underfitting", evidence, "take a bigger model, train longer or regularise less")


def _healthy(curves: _Curves) -> Finding:
    found = curves.gap()
    if found is None:
        evidence = f"both losses are level over the last {curves.window} epochs"
    else:
        train, gap, _ = found
        evidence = (
            f"training accuracy {_percent(train)} and validation accuracy {_percent(train - gap)} "
            f"are level over the last {curves.window} epochs"
        )
    return Finding("healthy", evidence, "keep it, or refine learning rate and L2 around it")
