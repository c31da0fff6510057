"""The curves of a run as arrays, and the few statistics that verdicts are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fanin._typing import Floats

LATE = 0.1  # of a rise, between the last two quarters of it: less is level


class HistoryLike(Protocol):
    """The part of a `fanin.callbacks.History` that `loss_curve` reads."""

    history: dict[str, list[float]]


@dataclass(frozen=True)
class Trend:
    """A least-squares line: its change from end to end, that change's standard error, scatter."""

    change: float
    error: float
    scatter: float

    def exceeds(self, least: float) -> bool:
        return self.change > max(least, 2 * self.error)


@dataclass(frozen=True)
class Gap:
    """Training accuracy of the last epochs, how far it is above validation's, that's error.

    Without accuracies it is the loss reduction: the part of the loss of knowing nothing that is
    gone, R² where the loss is the squared error.
    """

    train: float
    gap: float
    error: float
    what: str = "accuracy"

    @property
    def val(self) -> float:
        return self.train - self.gap


class Curves:
    """Missing curves are None; the window is the last third of the epochs."""

    def __init__(self, history: HistoryLike, n_val: int | None) -> None:
        lists = history.history
        params = getattr(history, "params", None) or {}
        self.loss: Floats = np.asarray(lists.get("loss", ()), dtype=np.float64)
        self.accuracy: Floats | None = self._curve(lists, "accuracy")
        self.val_loss: Floats | None = self._curve(lists, "val_loss")
        self.val_accuracy: Floats | None = self._curve(lists, "val_accuracy")
        self.lr: Floats | None = self._curve(lists, "lr")
        self.initial_loss: float | None = getattr(history, "initial_loss", None)
        self.expected_loss: float | None = getattr(history, "expected_initial_loss", None)
        self.stop_reason: str | None = getattr(history, "stop_reason", None)
        self.n_train: int | None = params.get("n_train")
        self.n_val: int | None = params.get("n_val") if n_val is None else n_val
        self.steps: int | None = params.get("steps")
        self.optimizer: str | None = params.get("optimizer")
        self.init: str | None = params.get("init")
        self.input_rms: float | None = params.get("input_rms")
        # Training rows that are mixtures have another loss and accuracy than whole ones.
        self.mixed: bool = bool(params.get("mix"))
        self.window: int = min(len(self.loss), max(4, math.ceil(len(self.loss) / 3)))

    def _curve(self, lists: dict[str, list[float]], name: str) -> Floats | None:
        values = np.asarray(lists.get(name, ()), dtype=np.float64)
        return values if len(values) == len(self.loss) and len(values) else None

    @property
    def course(self) -> Floats | None:
        """The loss by which a learning rate is judged: with mixing that of whole rows, if any."""
        return self.val_loss if self.mixed else self.loss

    @property
    def validated(self) -> bool:
        return self.val_loss is not None or self.val_accuracy is not None

    @property
    def first_loss(self) -> float:
        """Before the first step where that is known, else of the first epoch."""
        return float(self.loss[0]) if self.initial_loss is None else self.initial_loss

    def trend(self, values: Floats) -> Trend:
        """Of the last epochs."""
        y = values[-self.window :]
        t = np.arange(len(y)) - (len(y) - 1) / 2
        slope = float(t @ y / (t @ t))
        residuals = y - y.mean() - slope * t
        scatter = math.sqrt(float(residuals @ residuals) / max(len(y) - 2, 1))
        error = scatter / math.sqrt(float(t @ t)) * (len(y) - 1)
        return Trend(slope * (len(y) - 1), error, scatter)

    def levels_off(self, values: Floats) -> bool:
        """Whether a rise over the last epochs was over before their end."""
        y = values[-self.window :]
        half = len(y) // 2
        late = y[-half:]
        later = float(late[-(half // 2 or 1) :].mean() - late[: half // 2 or 1].mean())
        return half > 2 and later < LATE * self.trend(values).change

    def gap(self) -> Gap | None:
        """Over the last three epochs; the error is the binomial one of both accuracies.

        Of losses it is that of the mean of squares of a normal law: sqrt(2 / n) of it. None with
        mixing, where the accuracies are not of the same kind of rows.
        """
        if self.mixed:
            return None
        if self.accuracy is None or self.val_accuracy is None:
            return self._loss_gap()
        train, val = float(self.accuracy[-3:].mean()), float(self.val_accuracy[-3:].mean())
        variance = sum(p * (1 - p) / n for p, n in ((train, self.n_train), (val, self.n_val)) if n)
        return Gap(train, train - val, math.sqrt(max(variance, 0.0)))

    def _loss_gap(self) -> Gap | None:
        whole = self.initial_loss if self.expected_loss is None else self.expected_loss
        lacking = self.val_loss is None or self.accuracy is not None
        if lacking or whole is None or whole <= 0:
            return None
        assert self.val_loss is not None
        train, val = float(self.loss[-3:].mean()), float(self.val_loss[-3:].mean())
        if min(train, val) < 0:  # of counts: how much is left to learn is not known
            return None
        variance = sum(
            2 * loss**2 / n for loss, n in ((train, self.n_train), (val, self.n_val)) if n
        )
        gap, error = (val - train) / whole, math.sqrt(variance) / whole
        return Gap(1 - train / whole, gap, error, "loss reduction")


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def points(share: float) -> str:
    return f"{100 * share:.1f} points"
