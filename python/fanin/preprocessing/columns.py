"""What `TableEncoder` makes of a column, by its kind: what is learned of it, and its features."""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from fanin._typing import Array, Bools, Floats
from fanin.arrays import DAY

# A weight that k rows have trained has an error of about 1 / sqrt(k) of the labels' own spread: a
# third at ten rows. In small tables a hundredth of the rows is all that there is.
RARE, RARE_SHARE = 10, 0.01
LARGEST = 1e150  # whose square is finite, as standardisation needs it
DATE = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}\b")  # in any order
TEXT_SHARE = 0.5  # different values to rows; above it most values occur once, and teach nothing


@dataclass(frozen=True)
class Rules:
    """The arguments of `TableEncoder`, checked."""

    max_categories: int
    n_buckets: int
    clip: float | None
    text: str


@dataclass(frozen=True)
class Column:
    """What is learned of a column.

    Attributes
    ----------
    name : str
    kind : str
        number, boolean, category, hashed, date; of empty and text columns nothing is kept.
    missing : bool
        Whether training rows lack a value: an indicator is added.
    fill, centre, scale : float
        Of a number, a truth value or a year: what stands for a missing one, and how it enters.
    values : tuple of str or None
        Of a category, those that are not rare, sorted; None for missing.
    rare : bool
        Whether there are others: one column for them and for those never seen.
    buckets : int
        Columns of a hashed category.
    hours : bool
        Whether dates have a time of day.
    zone : str or None
        Of times that have one: that whose clocks show the hours.
    """

    name: str
    kind: str
    missing: bool = False
    fill: float = 0.0
    centre: float = 0.0
    scale: float = 1.0
    values: tuple[str | None, ...] = ()
    rare: bool = False
    buckets: int = 0
    hours: bool = False
    zone: str | None = None

    def features(self) -> list[str]:
        """Names of the features."""
        name, flag = self.name, [f"{self.name}_missing"] if self.missing else []
        if self.kind in ("number", "boolean"):
            return [name, *flag]
        if self.kind == "date":
            cycles = [*("month", "weekday"), *(("hour",) if self.hours else ())]
            both = [f"{name}_{cycle}_{wave}" for cycle in cycles for wave in ("sin", "cos")]
            return [f"{name}_year", *both, *flag]
        rare = [f"{name}_rare"] if self.rare else []
        if self.kind == "hashed":
            return [*(f"{name}_{i}" for i in range(self.buckets)), *rare]
        if self.kind == "category":
            return [*(f"{name}_{'missing' if v is None else v}" for v in self.values), *rare]
        return []


def kind_of(values: Array) -> str:
    """The kind of a column of `fanin.arrays.table_columns`, before it is looked at."""
    if values.dtype.kind == "f":
        return "empty" if np.isnan(values).all() else "number"
    if values.dtype.kind == "M":
        return "empty" if np.isnat(values).all() else "date"
    return "boolean" if isinstance(next(v for v in values if v is not None), bool) else "category"


def learn(name: str, values: Array, rules: Rules, zone: str | None = None) -> Column:
    """What there is to learn of a column's training rows."""
    kind = kind_of(values)
    if kind == "empty":
        return Column(name, kind)
    if kind == "category":
        return _learn_category(name, values, rules)
    numbers = _numbers_of(name, kind, values)
    absent = np.isnan(numbers)
    missing, known = bool(absent.any()), numbers[~absent]
    fill = float(np.median(known))
    if kind == "boolean":
        return Column(name, kind, missing, fill)
    filled = np.where(absent, fill, numbers)
    hours = kind == "date" and bool((_since_midnight(values)[~absent] != 0).any())
    if kind == "number" and rules.clip is not None:
        centre, scale = fill, _robust_scale(known)
    else:
        centre = float(filled.mean())
        spread = float(filled.std())
        noise = len(filled) * np.finfo(float).eps * abs(centre)  # of equal values
        scale = spread if spread > noise else 1.0
    return Column(name, kind, missing, fill, centre, scale, hours=hours, zone=zone)


def _robust_scale(known: Floats) -> float:
    """The distance of the quartiles; where they are equal, half the range."""
    low, high = np.quantile(known, [0.25, 0.75])
    half = float(known.max() - known.min()) / 2
    return float(high - low) or half or 1.0


def _learn_category(name: str, values: Array, rules: Rules) -> Column:
    counts = Counter(values.tolist())
    present = len(values) - counts[None]
    different = len(counts) - (None in counts)
    if different > rules.max_categories and different > TEXT_SHARE * present:
        if rules.text == "drop":
            return Column(name, "text")
        raise ValueError(
            f"X: expected numbers, dates, truth values or categories in column {name!r}, got text: "
            f"{different} different values in {present} rows; {_advice(values)}"
        )
    least = min(RARE, RARE_SHARE * len(values))
    kept = [value for value, count in counts.items() if count >= least]
    known = tuple(sorted(v for v in kept if v is not None)) + ((None,) if None in kept else ())
    rare = len(known) < len(counts)
    if len(known) <= rules.max_categories:
        return Column(name, "category", values=known, rare=rare)
    return Column(name, "hashed", values=known, rare=rare, buckets=rules.n_buckets)


def _advice(values: Array) -> str:
    """What to do about a column of text."""
    given = [value for value in values if value is not None]
    if 2 * sum(DATE.match(str(value)) is not None for value in given) > len(given):
        return "write dates as 2024-05-31, or leave it out (drop, --drop)"
    return "leave it out (drop, --drop), or text='drop'"


def _numbers_of(name: str, kind: str, values: Array) -> Floats:
    """Numbers, truth values as 0 and 1, dates by their year; NaN for missing ones."""
    if kind == "date":
        years = values.astype("datetime64[Y]").astype(np.int64) + 1970.0
        return np.where(np.isnat(values), np.nan, years)
    numbers = values.astype(np.float64)
    if (large := np.abs(numbers) > LARGEST).any():
        row = int(large.argmax())
        expected = "finite numbers" if np.isinf(numbers[row]) else f"numbers within {LARGEST:g}"
        got = f"{numbers[row]} in row {row}"
        raise ValueError(f"X: expected {expected} in column {name!r}, got {got}")
    return numbers


def encode(column: Column, values: Array, rules: Rules) -> Floats:
    """The features (N, n) of a column's values."""
    out = np.zeros((len(values), len(column.features())))
    if not out.shape[1]:
        return out
    found = kind_of(values) if len(values) else column.kind
    values = _as_kind(column, values, found)
    if column.kind in ("category", "hashed"):
        _encode_category(column, values, out)
        return out
    numbers = _numbers_of(column.name, column.kind, values)
    absent = np.isnan(numbers)
    z = (np.where(absent, column.fill, numbers) - column.centre) / column.scale
    if column.kind == "number" and rules.clip is not None:
        z /= np.sqrt(1 + np.square(z / rules.clip))
    out[:, 0] = z
    if column.kind == "date":
        for i, phase in enumerate(_phases(column, values)):
            angles = 2 * math.pi * phase
            out[:, 1 + 2 * i] = np.where(absent, 0.0, np.sin(angles))
            out[:, 2 + 2 * i] = np.where(absent, 0.0, np.cos(angles))
    if column.missing:
        out[:, -1] = absent
    return out


def _as_kind(column: Column, values: Array, found: str) -> Array:
    """The values, where they are of the kind that the column had in training."""
    wanted = "category" if column.kind == "hashed" else column.kind
    if found == "empty":
        nothing: dict[str, Any] = {"date": np.datetime64("NaT"), "category": None}
        dtypes: dict[str, Any] = {"date": "datetime64[s]", "category": object}
        dtype = dtypes.get(wanted, np.float64)
        return np.full(len(values), nothing.get(wanted, np.nan), dtype)
    if {found, wanted} == {"number", "boolean"}:
        return values.astype(np.float64)
    if found == wanted:
        return values
    if wanted == "category" and found in ("number", "boolean", "date"):
        return np.array([category_text(column, v) for v in values], object)
    expected = f"{wanted} values in column {column.name!r}, as in training"
    raise TypeError(f"X: expected {expected}, got {found} values")


def category_text(column: Column, value: Any) -> str | None:
    """A value as it is among a category's: whole numbers without a point where it has such."""
    if value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer() and str(int(value)) in column.values:
        return str(int(value))
    return str(value)


def _encode_category(column: Column, values: Array, out: Floats) -> None:
    places = {value: place(column, i, value) for i, value in enumerate(column.values)}
    other = out.shape[1] - 1 if column.rare else -1
    at = np.array([places.get(value, other) for value in values.tolist()], np.int64)
    known: Bools = at >= 0
    out[np.flatnonzero(known), at[known]] = 1.0


def place(column: Column, i: int, value: str | None) -> int:
    """The feature that is 1 for the i-th value."""
    if column.kind == "category":
        return i
    return zlib.crc32(b"\xff" if value is None else value.encode()) % column.buckets


def _since_midnight(dates: Array) -> Array:
    """Seconds; of a missing date some number."""
    seconds = dates.astype("datetime64[s]").astype(np.int64)
    return np.asarray(seconds % DAY)


def _phases(column: Column, dates: Array) -> list[Floats]:
    """The share of each cycle that has passed: month, day of the week, hour."""
    months = (dates.astype("datetime64[M]").astype(np.int64) % 12) / 12
    days = dates.astype("datetime64[D]").astype(np.int64)
    weekdays = ((days + 3) % 7) / 7  # the first of January 1970 was a Thursday
    hours = [_since_midnight(dates) / DAY] if column.hours else []
    return [months, weekdays, *hours]
