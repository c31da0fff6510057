"""What transforms share: options that stay as given, their form as a dict, checks of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from fanin._validate import pair, real, sequence, whole

Operation = tuple[str, float, dict[str, Any]]  # kind, p, fields: an entry of the core's program
Size = int | Sequence[int]
Range = float | Sequence[float]
Fill = float | Sequence[float]

MOST_CHANNELS = 4
LARGEST = 2**20  # pixels of an edge


class Transform:
    """One step of a pipeline; immutable, equal to another with the same options."""

    _kind: ClassVar[str] = ""
    _resizes: ClassVar[bool] = False
    _after_normalize: ClassVar[bool] = False

    def __repr__(self) -> str:
        given = [f"{f.name}={getattr(self, f.name)!r}" for f in _options(self) if _given(self, f)]
        return f"{type(self).__name__}({', '.join(given)})"

    def to_dict(self) -> dict[str, Any]:
        """The transform's name and all its options, as JSON values."""
        values = {f.name: _plain(getattr(self, f.name)) for f in _options(self)}
        return {"name": type(self).__name__, **values}

    @classmethod
    def _from_options(cls, options: Mapping[str, Any]) -> Self:
        known = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
        for name in options:
            if name not in known:
                raise ValueError(
                    f"{cls.__name__}: expected options among {', '.join(known) or 'none'}; "
                    f"got {name!r}"
                )
        try:
            return cls(**options)
        except TypeError as error:
            raise TypeError(f"{cls.__name__}: {error}") from None

    def _set(self, **options: Any) -> None:
        """Puts checked options in the place of those given."""
        for name, value in options.items():
            object.__setattr__(self, name, value)

    def _fields(self) -> dict[str, Any]:
        """The operation's fields, as the core names them."""
        return {}

    def _program(self) -> list[Operation]:
        return [(self._kind, float(getattr(self, "p", 1.0)), self._fields())]

    def _leaves(self) -> Iterator[Transform]:
        """The transform, or those within it."""
        yield self

    def _per_channel(self) -> Iterator[tuple[str, tuple[float, ...]]]:
        """Options that are one number for each channel."""
        for name in ("fill", "value", "mean", "std"):
            value = getattr(self, name, 0.0)
            if isinstance(value, tuple):
                yield name, value

    def _drawn(self, values: dict[str, Any]) -> dict[str, Any]:
        """What the core has drawn, in the terms of this transform."""
        return values


def _options(transform: Transform) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(transform)  # type: ignore[arg-type]


def _given(transform: Transform, field: dataclasses.Field[Any]) -> bool:
    """Whether the option differs from its default, of which 0.0 and False are not the same."""
    value = getattr(transform, field.name)
    return bool(repr(value) != repr(field.default))


def _plain(value: Any) -> Any:
    if isinstance(value, Transform):
        return value.to_dict()
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def probability(value: object) -> float:
    """``p``, in [0, 1]."""
    p = real("p", value, 0.0)  # type: ignore[arg-type]
    if p > 1:
        raise ValueError(f"p: expected a probability in [0, 1], got {value!r}")
    return p


def flag(name: str, value: object) -> bool:
    """A truth value."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
    return bool(value)


def size_pair(name: str, value: Any) -> tuple[int, int]:
    """(height, width) of one number or of two."""
    expected = "a whole number or (height, width)"
    if not isinstance(value, Sequence) and np.ndim(value) == 0:
        return (whole(name, value, 1, LARGEST),) * 2
    height, width = pair(name, value, expected)
    return whole(name, height, 1, LARGEST), whole(name, width, 1, LARGEST)


def size_fields(size: Size) -> dict[str, int]:
    """A size as the core takes it."""
    height, width = size_pair("size", size)
    return {"height": height, "width": width}


def number_pair(name: str, value: Any) -> tuple[float, float]:
    """(low, high) of finite numbers in that order."""
    low, high = (real(name, v, -np.inf) for v in pair(name, value, "two numbers (low, high)"))
    if low > high:
        raise ValueError(f"{name}: expected low <= high, got ({low}, {high})")
    return low, high


def span(name: str, value: Any, low: float, high: float = np.inf) -> tuple[float, float]:
    """A range (low, high) within bounds; of one number v, (-v, v)."""
    if not isinstance(value, Sequence) and np.ndim(value) == 0:
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


def channels(name: str, value: Any) -> float | tuple[float, ...]:
    """One number for all channels, or 1, 3 or 4, one for each."""
    if not isinstance(value, Sequence) and np.ndim(value) == 0:
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
