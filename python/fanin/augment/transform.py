"""What transforms share: options, checked and kept; their form as a dict and for the core."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self, dataclass_transform

import numpy as np

from fanin._validate import boolean, pair, real, sequence, whole

Operation = tuple[str, float, dict[str, Any]]  # kind, p, fields: an entry of the core's program
Size = int | Sequence[int]
Range = float | Sequence[float]
Fill = float | Sequence[float]
Check = Callable[[str, Any], Any]  # of an option's name and value; returns it as it is kept

PER_CHANNEL = ("fill", "value", "mean", "std")  # options that may be a number for each channel
MOST_CHANNELS = 4
LARGEST = 2**20  # pixels of an edge


def single(value: object) -> bool:
    """Whether it is one value, not a list, tuple or array of them."""
    return not isinstance(value, Sequence) and np.ndim(value) == 0  # type: ignore[arg-type]


def probability(name: str, value: Any) -> float:
    """A number in [0, 1]."""
    p = real(name, value, 0.0)
    if p > 1:
        raise ValueError(f"{name}: expected a probability in [0, 1], got {value!r}")
    return p


def size_pair(name: str, value: Any) -> tuple[int, int]:
    """(height, width) of one number or of two."""
    if single(value):
        return (whole(name, value, 1, LARGEST),) * 2
    height, width = pair(name, value, "a whole number or (height, width)")
    return whole(name, height, 1, LARGEST), whole(name, width, 1, LARGEST)


def number_pair(name: str, value: Any) -> tuple[float, float]:
    """(low, high) of finite numbers in that order."""
    low, high = (real(name, v, -np.inf) for v in pair(name, value, "two numbers (low, high)"))
    if low > high:
        raise ValueError(f"{name}: expected low <= high, got ({low}, {high})")
    return low, high


def span(name: str, value: Any, low: float = -np.inf, high: float = np.inf) -> tuple[float, float]:
    """A range (low, high) within bounds; of one number v, (-v, v)."""
    if single(value):
        v = real(name, value, 0.0)
        value = (-v if v else 0.0, v)
    least, most = number_pair(name, value)
    if least < low or most > high:
        raise ValueError(f"{name}: expected a range within [{low}, {high}], got ({least}, {most})")
    return least, most


def positive_pair(name: str, value: Any, high: float = np.inf) -> tuple[float, float]:
    """(low, high) with 0 < low <= high."""
    least, most = number_pair(name, value)
    if least <= 0 or most > high:
        bound = "above 0" if high == np.inf else f"within (0, {high:g}]"
        raise ValueError(f"{name}: expected numbers {bound}, got ({least}, {most})")
    return least, most


def share_pair(name: str, value: Any) -> tuple[float, float]:
    """(low, high) with 0 < low <= high <= 1."""
    return positive_pair(name, value, high=1.0)


def channels(name: str, value: Any) -> float | tuple[float, ...]:
    """One number for all channels, or 1, 3 or 4, one for each."""
    if single(value):
        return real(name, value, -np.inf)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    values = sequence(name, value, "a number, or one for each channel")
    if len(values) not in (1, 3, MOST_CHANNELS):
        raise ValueError(f"{name}: expected 1, 3 or 4 numbers, got {len(values)}")
    return tuple(real(name, v, -np.inf) for v in values)


def four(value: Any) -> list[float]:
    """`channels` as the core takes them."""
    values = list(value) if isinstance(value, tuple) else [value]
    return [float(v) for v in (values + values[-1:] * MOST_CHANNELS)[:MOST_CHANNELS]]


def unit_scale(name: str, value: Any, low: float = 0.0, high: float = 1.0) -> None:
    """Refuses numbers that are not on the scale where white is 1, such as those of bytes."""
    given = four(value)
    if min(given) < low or max(given) > high:
        raise ValueError(
            f"{name}: expected numbers from {low:g} to {high:g}, on the scale where white is 1 "
            f"(bytes / 255), got {value!r}"
        )


def optional(check: Check) -> Check:
    """The check, of what may be None too."""
    return lambda name, value: None if value is None else check(name, value)


@dataclass_transform(frozen_default=True)
@dataclasses.dataclass(frozen=True, repr=False)
class Transform:
    """One step of a pipeline; immutable, equal to another with the same options.

    Its option p is the probability that it is applied, for each sample.

    Examples
    --------
    >>> fanin.augment.HorizontalFlip(p=0.25)
    HorizontalFlip(p=0.25)
    >>> isinstance(fanin.augment.HorizontalFlip(), fanin.augment.Transform)
    True
    """

    _kind: ClassVar[str] = ""
    _after_normalize: ClassVar[bool] = False
    _checks: ClassVar[dict[str, Check]] = {
        "p": probability,
        "size": size_pair,
        "degrees": span,
        **dict.fromkeys(("scale", "ratio"), positive_pair),
        **dict.fromkeys(PER_CHANNEL, channels),
        **dict.fromkeys(("alternating", "antialias", "clip", "vertical_flip"), boolean),
    }

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(frozen=True, repr=False)(cls)

    def __post_init__(self) -> None:
        for name, value in self._options().items():
            object.__setattr__(self, name, self._checks[name](name, value))

    def __repr__(self) -> str:
        defaults = {f.name: repr(f.default) for f in dataclasses.fields(self)}
        shown = {name: repr(value) for name, value in self._options().items()}  # 0.0 is not False
        given = (f"{name}={text}" for name, text in shown.items() if text != defaults[name])
        return f"{type(self).__name__}({', '.join(given)})"

    def to_dict(self) -> dict[str, Any]:
        """The transform's name and all its options, as JSON values."""
        return {"name": type(self).__name__, **{k: _plain(v) for k, v in self._options().items()}}

    @classmethod
    def _from_options(cls, options: Mapping[str, Any]) -> Self:
        known = [f.name for f in dataclasses.fields(cls)]
        for name in options:
            if name not in known:
                raise ValueError(
                    f"{cls.__name__}: expected options among {', '.join(known)}; got {name!r}"
                )
        try:
            return cls(**options)
        except TypeError as error:
            raise TypeError(f"{cls.__name__}: {error}") from None

    def _options(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def _fields(self) -> dict[str, Any]:
        """The operation's fields, as the core names them: by default the options but p."""
        fields = self._options()
        fields.pop("p", None)
        for name in fields:
            if self._checks[name] is channels:
                fields[name] = four(fields[name])
        if "size" in fields:
            fields["height"], fields["width"] = fields.pop("size")
        return fields

    def _fills(self) -> dict[str, Any]:
        """The options whose values come into images, in these images' units."""
        own = {name: getattr(self, name, None) for name in ("fill", "value")}
        return {k: v for k, v in own.items() if v is not None and not isinstance(v, str)}

    def _program(self) -> list[Operation]:
        return [(self._kind, float(getattr(self, "p", 1.0)), self._fields())]

    def _leaves(self) -> Iterator[Transform]:
        """The transform, or those within it."""
        yield self

    def _drawn(self, values: dict[str, Any]) -> dict[str, Any]:
        """What the core has drawn, in the terms of this transform."""
        return values


def _plain(value: Any) -> Any:
    if isinstance(value, Transform):
        return value.to_dict()
    return [_plain(v) for v in value] if isinstance(value, tuple) else value
