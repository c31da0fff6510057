"""The metric that a callback monitors, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from fanin import _validate


@dataclass(frozen=True)
class Monitor:
    """With ``mode="auto"`` larger is better for accuracies, smaller for everything else."""

    name: str
    mode: str = "auto"
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"monitor: expected a name such as 'val_loss', got {self.name!r}")
        _validate.one_of("mode", self.mode, ("auto", "min", "max"))
        _validate.real("min_delta", self.min_delta, 0)

    @property
    def larger_is_better(self) -> bool:
        return self.mode == "max" or (self.mode == "auto" and "acc" in self.name)

    @property
    def worst(self) -> float:
        return -math.inf if self.larger_is_better else math.inf

    def value(self, logs: Mapping[str, float] | None) -> float:
        """The monitored value; a ValueError lists the names if the logs lack it."""
        if logs and self.name in logs:
            return float(logs[self.name])
        hint = "; give fit validation_data" if self.name.startswith("val_") else ""
        names = ", ".join(logs or ()) or "nothing"
        raise ValueError(f"monitor: expected one of {names}, got {self.name!r}{hint}")

    def better(self, value: float, best: float) -> bool:
        """Whether value beats best by more than min_delta. NaN never does."""
        gain = value - best if self.larger_is_better else best - value
        return gain > self.min_delta
