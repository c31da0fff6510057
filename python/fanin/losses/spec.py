"""A loss with its options, as a network keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from fanin import _core
from fanin._validate import one_of, real

NAMES: tuple[str, ...] = (
    "softmax",
    "svm",
    "logistic",
    "mse",
    "half_squared_error",
    "mae",
    "huber",
    "quantile",
    "poisson",
)  # the core's others are the estimators'
OF_VALUES = ("mse", "half_squared_error", "mae", "huber", "quantile", "poisson")
MEDIAN = (0.5,)

# Which losses an option is of, and its value where it is not given.
_OPTIONS: dict[str, tuple[tuple[str, ...], Any]] = {
    "label_smoothing": (("softmax", "logistic"), 0.0),
    "temperature": (("softmax",), 1.0),
    "huber_delta": (("huber",), 1.0),
    "quantiles": (("quantile",), None),
}


@dataclass(frozen=True)
class LossSpec:
    """A loss's name and options, as `MLP` takes them, checked."""

    name: str
    label_smoothing: float = 0.0
    temperature: float = 1.0
    huber_delta: float = 1.0
    quantiles: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        one_of("loss", self.name, NAMES)
        for name, (losses, absent) in _OPTIONS.items():
            value = getattr(self, name)
            if self.name not in losses and value != absent:
                wanted = " or ".join(map(repr, losses))
                raise ValueError(f"{name}: expected loss={wanted} with it, got {self.name!r}")
        smoothing = real("label_smoothing", self.label_smoothing, 0)
        if smoothing >= 1:
            raise ValueError(f"label_smoothing: expected below 1, got {smoothing:g}")
        checked = {
            "label_smoothing": smoothing,
            "temperature": real("temperature", self.temperature, 0, above=True),
            "huber_delta": real("huber_delta", self.huber_delta, 0, above=True),
            "quantiles": _levels(self.quantiles) if self.name == "quantile" else None,
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, loss: LossSpec | str) -> LossSpec:
        return loss if isinstance(loss, cls) else cls(loss)  # type: ignore[arg-type]

    def config(self) -> dict[str, Any]:
        """As arguments of `MLP`; an option that is not given is left out, as in older files."""
        options = {name: getattr(self, name) for name in _OPTIONS}
        if self.quantiles is not None:
            options["quantiles"] = list(self.levels)
        given = {n: value for n, value in options.items() if value != _OPTIONS[n][1]}
        return {"loss": self.name, **given}

    @property
    def core(self) -> _core.Loss:
        """As the engine takes it."""
        return _core.Loss(
            self.name,
            mean=True,
            smoothing=self.label_smoothing,
            temperature=self.temperature,
            delta=self.huber_delta,
            quantiles=list(self.levels) if self.name == "quantile" else [],
        )

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantiles of each value; one where there are none."""
        return self.quantiles if isinstance(self.quantiles, tuple) else MEDIAN

    @property
    def takes_values(self) -> bool:
        """Whether targets are values, and not labels or probabilities."""
        return self.name in OF_VALUES

    @property
    def gives_probabilities(self) -> bool:
        return self.name in ("softmax", "logistic")

    def is_binary(self, n_outputs: int) -> bool:
        """Whether one output stands for two classes."""
        return self.name == "logistic" and n_outputs == 1

    def is_multilabel(self, n_outputs: int) -> bool:
        """Whether each output is a label that a row has or has not."""
        return self.name == "logistic" and n_outputs > 1

    def n_classes(self, n_outputs: int) -> int:
        return 2 if self.is_binary(n_outputs) else n_outputs

    def n_values(self, n_outputs: int) -> int:
        """Values of a target row: each has an output for every quantile."""
        n = len(self.levels)
        if n_outputs % n:
            raise ValueError(
                f"quantiles: expected a number that divides the {n_outputs} outputs, got {n}"
            )
        return n_outputs // n


def _levels(given: Any) -> tuple[float, ...]:
    if given is None:
        return MEDIAN
    levels = list(given) if hasattr(given, "__iter__") and not isinstance(given, str) else [given]
    checked = tuple(real("quantiles", level, 0, above=True) for level in levels)
    if not checked or max(checked) >= 1 or any(a >= b for a, b in pairwise(checked)):
        raise ValueError(
            f"quantiles: expected levels above 0 and below 1, each above the one before, "
            f"got {given!r}"
        )
    return checked
