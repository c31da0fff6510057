"""The faults of data that `diagnostics.data_report` looks for, a check each."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fanin.diagnostics.data_statistics import (
    Features,
    Table,
    correlated_pairs,
    equal_columns,
    equal_rows,
    outliers,
)

Array = npt.NDArray[Any]

ENOUGH = 20  # rows, from which on spreads and correlations are told from chance
APART = 100.0  # largest standard deviation over the smallest
OFF = 10.0  # a feature's over the median one, where they are apart
FAR_FROM_ONE = 30.0  # the median standard deviation, or its inverse
BIASED = 3.0  # a mean over its standard deviation
CORRELATED = 0.95
FENCE = 10.0  # interquartile ranges from the nearer quartile
IMBALANCE = 10.0  # rows of the largest class over those of the smallest
REPEATED = 0.01  # share of rows
MANY_PIXELS = 0.1  # of an image's pixels


@dataclass(frozen=True, eq=False)
class DataFinding:
    """One thing that is amiss with the data.

    Attributes
    ----------
    name : str
        not-finite, few-rows, constant, scale, bias, outliers, duplicate-columns, correlated,
        duplicate-rows or class-balance.
    evidence : str
        The numbers behind it.
    advice : str
        What to do about it.
    columns, rows : ndarray of int64
        Where it is, as far as it is anywhere; columns count within a row laid flat.
    """

    name: str
    evidence: str
    advice: str
    columns: Array
    rows: Array

    def __str__(self) -> str:
        return f"{self.name}: {self.evidence}\n  -> {self.advice}"


class Inspection:
    """The checks, one after another, of a table."""

    def __init__(self, table: Table, shape: tuple[int, ...], images: bool) -> None:
        self.table, self.shape, self.images = table, shape, images

    def findings(self, labels: Array | None) -> Iterator[DataFinding]:
        table = self.table
        if len(table.bad_rows):
            yield self._not_finite()
        if table.n >= 2 and len(table.columns):
            self.features = Features(table)
            yield from self._constant()
            if table.n >= ENOUGH:
                self._find_outliers()
                yield from self._scale()
                yield from self._bias()
                yield from self._outliers()
            yield from self._alike()
            yield from self._repeated(labels)
        if table.n < ENOUGH:
            yield _finding(
                "few-rows",
                f"{table.n} rows of finite values",
                f"spreads, outliers and correlations take {ENOUGH} rows to tell from chance",
            )
        if labels is not None:
            yield from _balance(labels)

    def _where(self, columns: Array) -> str:
        """The first few of the columns, in words; columns count within the blocks."""

        def one(column: int) -> str:
            number = int(self.table.columns[column])
            if len(self.shape) == 1:
                return str(number)
            return f"({', '.join(str(int(i)) for i in np.unravel_index(number, self.shape))})"

        kind = "column" if len(self.shape) == 1 else "pixel"
        return _listed(kind, [one(int(c)) for c in columns[:5]], len(columns))

    def _found(
        self, name: str, evidence: str, advice: str, columns: Array, rows: Array | None = None
    ) -> DataFinding:
        return _finding(name, evidence, advice, self.table.columns[columns], rows)

    def _not_finite(self) -> DataFinding:
        t = self.table
        left = "rows" if t.kept_rows is not None else "columns"
        where = _listed("row", [str(r) for r in t.bad_rows[:5]], len(t.bad_rows))
        across = _listed("column", [str(c) for c in t.bad_columns[:5]], len(t.bad_columns))
        return _finding(
            "not-finite",
            f"{t.nan} NaN and {t.infinite} infinite values, in {where}, {across}; "
            f"the other checks leave these {left} out",
            "drop them, or fill with the feature's median and add a feature that says so",
            t.bad_columns,
            t.bad_rows,
        )

    def _constant(self) -> Iterator[DataFinding]:
        f = self.features
        columns = np.flatnonzero(f.constant)
        if self.images and len(columns) < len(f.constant):
            columns = columns[f.low[columns] != f.low.min()]
        if len(columns):
            yield self._found(
                "constant",
                f"{self._where(columns)} of {len(f.constant)}: one value in all "
                f"{self.table.n} rows; {self._where(columns[:1])} is {f.low[columns[0]]:.3g}",
                "drop what tells nothing; it cannot be scaled to a spread of 1",
                columns,
            )

    def _find_outliers(self) -> None:
        """Which columns have some, and a spread that these do not move."""
        f = self.features
        reach = f.q3 / 2 - f.q1 / 2  # half of the range: the whole could overflow
        self.spread = f.std.copy()
        if self.images:
            reach = np.full_like(reach, reach.max())
        self.lower, self.upper = f.q1 - 2 * FENCE * reach, f.q3 + 2 * FENCE * reach
        self.wild = (reach > 0) & ((f.low < self.lower) | (f.high > self.upper))
        self.wild &= np.isfinite(self.lower) & np.isfinite(self.upper)
        # Where a twentieth of the values is out there, it is the feature's shape.
        self.wild &= (f.low_tail >= self.lower) & (f.high_tail <= self.upper)
        self.spread[self.wild] = reach[self.wild] * (2 / 1.349)  # a normal deviate's
        self.middle = np.where(self.wild, f.median, f.mean)
        self.varied = np.flatnonzero(~f.constant)

    def _scale(self) -> Iterator[DataFinding]:
        if not len(self.varied):
            return
        spread = self.spread[self.varied]
        least, most = self.varied[spread.argmin()], self.varied[spread.argmax()]
        typical = float(np.median(spread))
        ends = (
            f"standard deviations from {spread.min():.3g} ({self._where(np.array([least]))}) to "
            f"{spread.max():.3g} ({self._where(np.array([most]))})"
        )
        if not self.images and spread.max() / spread.min() >= APART:
            middle = float(np.exp(np.median(np.log(spread))))
            off = self.varied[(spread >= OFF * middle) | (spread <= middle / OFF)]
            yield self._found(
                "scale",
                f"{ends}; a factor of 10 or more from the middle {middle:.3g}: {self._where(off)}",
                "fit(..., preprocess='standardize') where the features should weigh the same, "
                "not blindly; or take logarithms of what spans orders of magnitude",
                off,
            )
        elif self.table.rows.dtype != np.uint8 and not (
            1 / FAR_FROM_ONE <= typical <= FAR_FROM_ONE
        ):
            yield self._found(
                "scale",
                f"{ends}, {typical:.3g} in the middle, far from 1",
                "divide all by one number (255 for images of 0 ... 255), or "
                "fit(..., preprocess='standardize')",
                self.varied,
            )

    def _bias(self) -> Iterator[DataFinding]:
        spread, middle = self.spread[self.varied], np.abs(self.middle[self.varied])
        columns = self.varied[middle > BIASED * spread]
        least = MANY_PIXELS * len(self.varied) if self.images else 1
        if len(columns) >= max(least, 1):
            ratio = np.abs(self.middle[columns]) / self.spread[columns]
            worst = columns[ratio.argmax()]
            yield self._found(
                "bias",
                f"{self._where(columns)}: mean over {BIASED:g} standard deviations from 0; "
                f"{self._where(np.array([worst]))} has mean {self.middle[worst]:.4g} and "
                f"standard deviation {self.spread[worst]:.3g}",
                "zero-centre: preprocessing.ZeroCenter(), or fit(..., preprocess='standardize')",
                columns,
            )

    def _outliers(self) -> Iterator[DataFinding]:
        columns = np.flatnonzero(self.wild)
        if not len(columns):
            return
        count, rows, (row, column, value) = outliers(self.table, self.lower, self.upper, columns)
        f = self.features
        yield self._found(
            "outliers",
            f"{count} values, in {self._where(columns)}, are over {FENCE:g} interquartile ranges "
            f"outside of the quartiles; the furthest, {value:.4g} in row {row}, "
            f"{self._where(np.array([column]))}, of {f.q1[column]:.3g} ... {f.q3[column]:.3g}",
            "look whether they are errors; else clip them, or take logarithms",
            columns,
            rows,
        )

    def _alike(self) -> Iterator[DataFinding]:
        """Equal columns; and among the others, the correlated."""
        f = self.features
        # Pixels at the border may agree by being bright in the same one image.
        groups = equal_columns(self.table, f, f.q3 > f.q1 if self.images else ~f.constant)
        copies = np.array(sorted(c for group in groups for c in group[1:]), np.int64)
        if groups:
            yield self._found(
                "duplicate-columns",
                f"{len(copies)} equal to another: "
                + "; ".join(self._where(np.array(group)) for group in groups[:3])
                + (f"; and {len(groups) - 3} groups more" if len(groups) > 3 else ""),
                "keep one of each group: equal features count twice",
                np.array(sorted(c for group in groups for c in group), np.int64),
            )
        if self.images or self.table.n < ENOUGH:
            return
        others = np.setdiff1d(np.flatnonzero(~f.constant), copies)
        total, pairs, columns = correlated_pairs(self.table, others, CORRELATED, 3)
        if total:
            shown = ", ".join(
                f"{r:.3f} between {self._where(np.array([a, b]))}" for a, b, r in pairs
            )
            yield self._found(
                "correlated",
                f"{total} of magnitude {CORRELATED} or more: {shown}",
                "drop one of each pair, or decorrelate: preprocessing.PCA() or Whiten()",
                columns,
            )

    def _repeated(self, labels: Array | None) -> Iterator[DataFinding]:
        if math.prod(self.shape) < 3:
            return
        group = equal_rows(self.table)
        counts = np.bincount(group)
        again = np.flatnonzero(counts[group] > 1)
        extra = len(group) - len(counts)
        if extra < REPEATED * len(group):
            return
        evidence = f"{extra} of {len(group)} rows equal an earlier one"
        rows = np.array([self.table.number(int(row)) for row in again], np.int64)
        if labels is not None:
            kinds = np.unique(labels[rows], return_inverse=True)[1].ravel()
            pairs = np.unique(np.stack([group[again], kinds], axis=1), axis=0)
            torn = np.count_nonzero(np.unique(pairs[:, 0], return_counts=True)[1] > 1)
            evidence += f"; {torn} of {np.count_nonzero(counts > 1)} groups have different labels"
        yield _finding(
            "duplicate-rows",
            evidence,
            "drop them, unless rows are equal by nature; copies in training and validation data "
            "make validation too good",
            rows=rows,
        )


def _balance(labels: Array) -> Iterator[DataFinding]:
    if labels.dtype.kind == "f":
        return
    classes, counts = np.unique(labels, return_counts=True)
    if len(labels) < 2 or 2 * len(classes) > len(labels) > 2:  # values rather than classes
        return
    name, rows = classes.tolist(), counts.tolist()
    few, many = int(counts.argmin()), int(counts.argmax())
    if len(classes) == 1:
        evidence = f"all {len(labels)} rows are of class {name[0]!r}"
    elif rows[many] >= IMBALANCE * rows[few]:
        evidence = (
            f"{rows[few]} rows of class {name[few]!r}, {rows[many]} of class {name[many]!r}: "
            f"{rows[many] / rows[few]:.0f} times as many; always answering the latter is right "
            f"in {rows[many] / len(labels):.1%}"
        )
    else:
        return
    yield _finding(
        "class-balance",
        evidence,
        "gather more rows of the rare classes, or weigh them: fit(..., sample_weight=...); judge "
        "by accuracy within each class",
    )


def _finding(
    name: str, evidence: str, advice: str, columns: Array | None = None, rows: Array | None = None
) -> DataFinding:
    nothing = np.empty(0, np.int64)
    return DataFinding(
        name,
        evidence,
        advice,
        nothing if columns is None else columns,
        nothing if rows is None else rows,
    )


def _listed(kind: str, shown: list[str], total: int) -> str:
    """``columns 1, 2, 3 and 4 more``."""
    more = f" and {total - len(shown)} more" if total > len(shown) else ""
    return f"{kind}{'s' if total > 1 else ''} {', '.join(shown)}{more}"
