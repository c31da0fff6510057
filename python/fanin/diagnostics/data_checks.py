"""The checks of `diagnostics.data_report`: one method for each fault of data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from fanin._typing import Array, Ints
from fanin.diagnostics import data_statistics
from fanin.diagnostics.data_statistics import FeatureStatistics, FiniteData, RobustSpread
from fanin.diagnostics.findings import Finding

ENOUGH = 20  # rows that tell spreads and correlations from chance
APART = 100.0  # largest standard deviation over the smallest
OFF = 10.0  # a standard deviation over the median one, or the inverse
FAR_FROM_ONE = 30.0  # the median standard deviation, or its inverse
BIASED = 3.0  # a mean over its standard deviation
CORRELATED = 0.95
FENCE = 10.0  # interquartile ranges from the nearer quartile
IMBALANCE = 10.0  # rows of the largest class over those of the smallest
REPEATED = 0.01  # share of rows
MANY_PIXELS = 0.1  # share of pixels
HALF_A_BYTE = 128  # images of bytes that stay below it have other units
STANDARDIZE = "fit(..., preprocess='standardize')"


def find_faults(
    data: FiniteData, shape: tuple[int, ...], *, images: bool, labels: Array | None
) -> Iterator[Finding]:
    """All findings on data whose rows have this shape."""
    if len(data.bad_rows):
        yield _not_finite(data)
    if data.n >= 2 and len(data.columns):
        yield from FeatureChecks(data, shape, images).findings(labels)
    if data.n < ENOUGH:
        action = f"spreads, outliers and correlations take {ENOUGH} rows to tell from chance"
        yield Finding("few-rows", f"{data.n} rows of finite values", action)
    if labels is not None:
        yield from _class_balance(labels)


class FeatureChecks:
    """The checks of features: each looks at the statistics that all share."""

    data: FiniteData
    images: bool
    shape: tuple[int, ...]

    def __init__(self, data: FiniteData, shape: tuple[int, ...], images: bool) -> None:
        self.data, self.shape, self.images = data, shape, images
        self.features: FeatureStatistics = FeatureStatistics(data)
        self.varying: Array = np.flatnonzero(~self.features.constant)

    def findings(self, labels: Array | None) -> Iterator[Finding]:
        yield from self._constant()
        if self.data.n >= ENOUGH and len(self.varying):
            yield from self._bytes()
            robust = RobustSpread(self.features, FENCE, pixels=self.images)
            yield from self._scale(robust)
            yield from self._bias(robust)
            yield from self._outliers(robust)
        yield from self._duplicate_columns()
        yield from self._duplicate_rows(labels)

    def _where(self, columns: Sequence[int] | Ints | int) -> str:
        """The first few of the columns, in words; columns count among those that are left."""
        numbers = self.data.columns[np.atleast_1d(columns)]
        if len(self.shape) == 1:
            return _listed("column", numbers)
        places = zip(*np.unravel_index(numbers, self.shape), strict=True)
        return _listed("pixel", [f"({', '.join(map(str, place))})" for place in places])

    def _finding(
        self, name: str, evidence: str, action: str, columns: Ints, *rows: Ints
    ) -> Finding:
        return Finding(name, evidence, action, self.data.columns[columns], *rows)

    def _constant(self) -> Iterator[Finding]:
        f = self.features
        columns = np.flatnonzero(f.constant)
        if self.images and len(columns) < len(f.constant):
            columns = columns[f.low[columns] != f.low.min()]
        if len(columns):
            first = f"{self._where(columns[0])} is {f.low[columns[0]]:.3g}"
            which = f"{self._where(columns)} of {len(f.constant)}"
            evidence = f"{which}: one value in all {self.data.n} rows; {first}"
            action = "drop what tells nothing; it cannot be scaled to a spread of 1"
            yield self._finding("constant", evidence, action, columns)

    def _scale(self, robust: RobustSpread) -> Iterator[Finding]:
        varying = self.varying
        if not len(varying):
            return
        spread = robust.spread[varying]
        low, high, typical = spread.min(), spread.max(), float(np.median(spread))
        ends = (
            f"standard deviations from {low:.3g} ({self._where(varying[spread.argmin()])}) to "
            f"{high:.3g} ({self._where(varying[spread.argmax()])})"
        )
        if not self.images and high / low >= APART:
            middle = float(np.exp(np.median(np.log(spread))))
            off = varying[(spread >= OFF * middle) | (spread <= middle / OFF)]
            yield self._finding(
                "scale",
                f"{ends}; a factor of 10 or more from the middle {middle:.3g}: {self._where(off)}",
                f"{STANDARDIZE} where the features should weigh the same, not blindly; or take "
                "logarithms of what spans orders of magnitude",
                off,
            )
        elif self.data.rows.dtype != np.uint8 and not (1 / FAR_FROM_ONE <= typical <= FAR_FROM_ONE):
            evidence = f"{ends}, {typical:.3g} in the middle, far from 1"
            action = "divide all by one number (255 for images of 0 ... 255)"
            yield self._finding("scale", evidence, f"{action}, or {STANDARDIZE}", varying)

    def _bytes(self) -> Iterator[Finding]:
        """Bytes that span little of 0 ... 255, such as pixels from 0 to 16."""
        low, high = float(self.features.low.min()), float(self.features.high.max())
        flags = high <= 1 and len(self.shape) == 1  # a table of 0 and 1
        if self.data.rows.dtype == np.uint8 and 0 < high < HALF_A_BYTE and not flags:
            evidence = f"bytes from {low:g} to {high:g}, which X / 255 takes to {high / 255:.2g}"
            action = "centre and scale all alike by their own mean and deviation"
            yield Finding("byte-range", evidence, f"{action}: fit(..., preprocess='auto')")

    def _bias(self, robust: RobustSpread) -> Iterator[Finding]:
        size, spread = np.abs(robust.middle), robust.spread
        columns = self.varying[size[self.varying] > BIASED * spread[self.varying]]
        least = MANY_PIXELS * len(self.varying) if self.images else 1
        if len(columns) >= max(least, 1):
            worst = columns[(size[columns] / spread[columns]).argmax()]
            evidence = (
                f"{self._where(columns)}: mean over {BIASED:g} standard deviations from 0; "
                f"{self._where(worst)} has mean {robust.middle[worst]:.4g} and "
                f"standard deviation {spread[worst]:.3g}"
            )
            action = f"zero-centre: preprocessing.ZeroCenter(), or {STANDARDIZE}"
            yield self._finding("bias", evidence, action, columns)

    def _outliers(self, robust: RobustSpread) -> Iterator[Finding]:
        columns = np.flatnonzero(robust.has_outliers)
        if not len(columns):
            return
        f = self.features
        count, rows, (row, column, value) = data_statistics.outliers(self.data, robust, columns)
        yield self._finding(
            "outliers",
            f"{count} values, in {self._where(columns)}, are over {FENCE:g} interquartile ranges "
            f"outside of the quartiles; the furthest, {value:.4g} in row {row}, "
            f"{self._where(column)}, of {f.q1[column]:.3g} ... {f.q3[column]:.3g}",
            "look whether they are errors; else clip them, or take logarithms",
            columns,
            rows,
        )

    def _duplicate_columns(self) -> Iterator[Finding]:
        """Equal columns; and among the others, correlated ones."""
        f = self.features
        # Pixels at the border may agree by being bright in the same one image.
        among = f.q3 > f.q1 if self.images else ~f.constant
        groups = data_statistics.equal_columns(self.data, f, among)
        copies = [c for group in groups for c in group[1:]]
        if groups:
            shown = "; ".join(map(self._where, groups[:3]))
            more = f"; and {len(groups) - 3} groups more" if len(groups) > 3 else ""
            evidence = f"{len(copies)} equal to another: {shown}{more}"
            action = "keep one of each group: equal features count twice"
            yield self._finding(
                "duplicate-columns", evidence, action, np.sort(np.concatenate(groups))
            )
        if self.images or self.data.n < ENOUGH:
            return
        others = np.setdiff1d(self.varying, np.array(copies, np.int64))
        total, pairs, columns = data_statistics.correlated_pairs(self.data, others, CORRELATED, 3)
        if total:
            shown = ", ".join(f"{r:.3f} between {self._where(pair)}" for *pair, r in pairs)
            evidence = f"{total} of magnitude {CORRELATED} or more: {shown}"
            action = "drop one of each pair, or decorrelate: preprocessing.PCA() or Whiten()"
            yield self._finding("correlated", evidence, action, columns)

    def _duplicate_rows(self, labels: Array | None) -> Iterator[Finding]:
        if math.prod(self.shape) < 3:
            return
        group = data_statistics.equal_rows(self.data)
        counts = np.bincount(group)
        again = np.flatnonzero(counts[group] > 1)
        extra = len(group) - len(counts)
        if extra < REPEATED * len(group):
            return
        evidence = f"{extra} of {len(group)} rows equal an earlier one"
        rows = self.data.numbers(again)
        if labels is not None:
            kinds = np.unique(labels[rows], return_inverse=True)[1].ravel()
            pairs = np.unique(np.stack([group[again], kinds], axis=1), axis=0)
            torn = np.count_nonzero(np.bincount(pairs[:, 0]) > 1)
            evidence += f"; {torn} of {np.count_nonzero(counts > 1)} groups have different labels"
        action = (
            "drop them, unless rows are equal by nature; copies in training and validation data "
            "make validation too good"
        )
        yield Finding("duplicate-rows", evidence, action, rows=rows)


def _not_finite(data: FiniteData) -> Finding:
    left = "rows" if data.kept_rows is not None else "columns"
    where, across = _listed("row", data.bad_rows), _listed("column", data.bad_columns)
    return Finding(
        "not-finite",
        f"{data.nan} NaN and {data.infinite} infinite values, in {where}, {across}; "
        f"the other checks leave these {left} out",
        "drop them, or fill with the feature's median and add a feature that says so",
        data.bad_columns,
        data.bad_rows,
    )


def _class_balance(labels: Array) -> Iterator[Finding]:
    if labels.dtype.kind == "f":
        return
    classes, counts = np.unique(labels, return_counts=True)
    if len(labels) < 2 or 2 * len(classes) > len(labels) > 2:  # values rather than classes
        return
    few, many = counts.min(), counts.max()
    rare, common = classes[counts.argmin()].item(), classes[counts.argmax()].item()
    if len(classes) == 1:
        evidence = f"all {len(labels)} rows are of class {common!r}"
    elif many >= IMBALANCE * few:
        evidence = (
            f"{few} rows of class {rare!r}, {many} of class {common!r}: {many / few:.0f} times as "
            f"many; always answering the latter is right in {many / len(labels):.1%}"
        )
    else:
        return
    action = (
        "gather more rows of the rare classes, or weigh them: fit(..., class_weight='balanced') or "
        "sample_weight=...; judge by metrics=['balanced_accuracy', 'roc_auc']"
    )
    yield Finding("class-balance", evidence, action)


def _listed(kind: str, names: Sequence[str] | Ints) -> str:
    """``columns 1, 2, 3, 4, 5 and 4 more``."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{kind}{'s' if len(names) > 1 else ''} {', '.join(map(str, names[:5]))}{more}"
