"""The metric that a callback monitors, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from fanin import _validate, metrics


@dataclass(frozen=True)
class Monitor:
    """With ``mode="auto"`` the name says which way is better: `fanin.metrics.larger_is_better`."""

    name: str
    mode: str = "auto"
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"monitor: expected a name such as 'val_loss', got {self.name!r}")
        _validate.one_of("mode", self.mode, ("auto", "min", "max"))
        _validate.real("min_delta", self.min_delta, 0)
        if self.mode == "auto" and metrics.larger_is_better(self.name) is None:
            raise ValueError(
                f"mode: expected 'min' or 'max' for {self.name!r}, which is no known metric, "
                "got 'auto'"
            )

    @property
    def larger_is_better(self) -> bool:
        return self.mode == "max" or (
            self.mode == "auto" and bool(metrics.larger_is_better(self.name))
        )

    @property
    def worst(self) -> float:
        return -math.inf if self.larger_is_better else math.inf

    def value(self, logs: Mapping[str, float] | None) -> float:
        """The monitored value; a ValueError lists the names if the logs lack it."""
        if logs and self.name in logs:
            return float(logs[self.name])
        hint = "; give fit validation_data" if self.name.startswith("val_") else ""
        if (metric := self.name.removeprefix("val_")) in metrics.NAMES and metric != "accuracy":
            hint += f" and metrics=[{metric!r}]" if hint else ""
        names = ", ".join(logs or ()) or "nothing"
        raise ValueError(f"monitor: expected one of {names}, got {self.name!r}{hint}")

    def better(self, value: float, best: float) -> bool:
        """Whether value beats best by more than min_delta. NaN never does, and loses to all."""
        if math.isnan(best):
            return not math.isnan(value)
        gain = value - best if self.larger_is_better else best - value
        return gain > self.min_delta
