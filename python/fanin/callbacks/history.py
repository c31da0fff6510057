"""The record of a training run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

from fanin._files import atomic_write, read_file, reading
from fanin._json import from_any_json, json_number, to_json
from fanin._typing import PathLike
from fanin.callbacks.base import Callback, Logs
from fanin.callbacks.monitor import Monitor

MOST_COLUMNS = 8  # in a notebook's table


class History(Callback):
    """What `MLP.fit` returns: the metrics of every epoch.

    Attributes
    ----------
    history : dict of str to list of float
        One list per name, each as long as ``epoch``; NaN where an epoch lacked the name.
    epoch : list of int
    initial_loss, expected_initial_loss : float or None
        Before the first step: as measured, and as the loss predicts for small weights.
    stop_reason : str or None
        Why the run ended; None while it runs.
    seconds : float

    Examples
    --------
    >>> history = fanin.callbacks.History()
    >>> history.append(0, {"loss": 2.0, "val_loss": 2.5})
    >>> history.append(1, {"loss": 1.0, "val_loss": 1.5})
    >>> history.history["loss"]
    [2.0, 1.0]
    >>> history.best("val_loss")
    (1, 1.5)
    """

    def __init__(
        self, params: Mapping[str, Any] | None = None, expected_initial_loss: float | None = None
    ) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.initial_loss: float | None = None
        self.expected_initial_loss = expected_initial_loss
        self.stop_reason: str | None = None
        self.seconds: float = 0.0
        self.params: Mapping[str, Any] = dict(params or {})

    def append(self, epoch: int, logs: Logs) -> None:
        """Adds an epoch's metrics."""
        for name in logs:
            self.history.setdefault(name, [math.nan] * len(self.epoch))
        for name, values in self.history.items():
            values.append(float(logs.get(name, math.nan)))
        self.epoch.append(int(epoch))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.append(epoch, logs or {})

    def extend(self, later: History) -> None:
        """Appends a run that continued this one; its epochs are renumbered to follow."""
        first = self.epoch[-1] + 1 if self.epoch else 0
        for i, epoch in enumerate(later.epoch):
            self.append(first + epoch, later._logs(i))
        if self.initial_loss is None:
            self.initial_loss = later.initial_loss
            self.expected_initial_loss = later.expected_initial_loss
        self.seconds += later.seconds
        self.stop_reason, self.params = later.stop_reason, later.params

    def best(self, monitor: str = "val_loss", mode: str = "auto") -> tuple[int, float]:
        """The epoch (from 0) with the best value of a name, and that value.

        `mode` is "min" or "max"; "auto" knows it of `fanin.metrics.larger_is_better`'s names.
        """
        watch = Monitor(monitor, mode)
        if not self.epoch:
            raise ValueError("history: expected at least one epoch, got none")
        best_epoch, best = -1, math.nan
        for i, epoch in enumerate(self.epoch):
            value = watch.value(self._logs(i))
            if best_epoch < 0 or watch.better(value, best):
                best_epoch, best = epoch, value
        return best_epoch, best

    def _logs(self, i: int) -> Logs:
        return {name: values[i] for name, values in self.history.items()}

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; NaN and infinities are strings that float() reads."""
        return {
            "history": {name: list(map(json_number, vs)) for name, vs in self.history.items()},
            "epoch": list(self.epoch),
            "initial_loss": json_number(self.initial_loss),
            "expected_initial_loss": json_number(self.expected_initial_loss),
            "stop_reason": self.stop_reason,
            "seconds": self.seconds,
            "params": dict(self.params),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; ValueError for anything else."""
        result = cls()
        try:
            result.history = {n: [float(v) for v in vs] for n, vs in data["history"].items()}
            result.epoch = [int(e) for e in data["epoch"]]
            for name in ("initial_loss", "expected_initial_loss"):
                setattr(result, name, None if data[name] is None else float(data[name]))
            result.stop_reason = None if data["stop_reason"] is None else str(data["stop_reason"])
            result.seconds = float(data["seconds"])
            result.params = dict(data["params"])
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ValueError(f"history: expected what History.to_dict gives ({error!r})") from error
        if any(len(values) != len(result.epoch) for values in result.history.values()):
            raise ValueError("history: expected lists of one length, got different ones")
        return result

    def save(self, path: PathLike) -> None:
        """Writes `to_dict` as JSON with a checksum, atomically."""
        with atomic_write(path) as file:
            file.write(to_json(self.to_dict(), indent=1) + b"\n")

    @classmethod
    def load(cls, path: PathLike) -> Self:
        """Reads what `save` wrote; `fanin.FileError` for any other file, and a changed one."""
        with reading(path, "expected a fanin history"):
            record = from_any_json(read_file(path).rstrip(b"\n"), path, cls().to_dict())
            return cls.from_dict(record)

    def summary(self) -> str:
        """A summary in a few lines: length, losses, best and last metrics."""
        reason = f": {self.stop_reason}" if self.stop_reason else ""
        lines = [f"{len(self.epoch)} epochs in {self.seconds:.1f} s{reason}"]
        if self.initial_loss is not None:
            lines.append(f"initial loss {self.initial_loss:.4f}")
            if self.expected_initial_loss is not None:
                lines[-1] += f", expected {self.expected_initial_loss:.4f}"
        if self.epoch:
            lines.append("last: " + self._last())
            name = "val_accuracy" if "val_accuracy" in self.history else "val_loss"
            if name in self.history:
                epoch, value = self.best(name)
                lines.append(f"best {name} {value:.4f} at epoch {epoch + 1}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Summary, and the first, best and last epochs as a table, in a notebook."""
        from fanin.document.blocks import Lines, Table  # they are rare
        from fanin.document.html import fragment

        names = list(self.history)[:MOST_COLUMNS]
        shown = {0, len(self.epoch) - 1} if self.epoch else set()
        if "val_loss" in self.history:
            shown.add(self.epoch.index(self.best("val_loss")[0]))
        rows = [
            (str(self.epoch[i] + 1), *(f"{self.history[name][i]:.4g}" for name in names))
            for i in sorted(shown)
        ]
        table = Table("First, best (by val_loss) and last epochs", ("epoch", *names), rows)
        return fragment("History", [Lines(self.summary()), *([table] if rows else [])])

    def _last(self) -> str:
        shown = [n for n in self.history if n.endswith(("loss", "accuracy"))]
        return ", ".join(f"{name} {self.history[name][-1]:.4f}" for name in shown)

    def __repr__(self) -> str:
        last = f", {self._last()}" if self.epoch else ""
        return f"History({len(self.epoch)} epochs{last}, {self.seconds:.1f} s)"
