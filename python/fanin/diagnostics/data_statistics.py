"""Statistics of the columns of data, in blocks of rows, for `diagnostics.data_report`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from fanin import _core, layers
from fanin._typing import Array, Bools, Floats, Ints
from fanin.random import Generator

BLOCK = 2**22  # elements of a block
SAMPLE = 2**24  # elements of the sample


class FiniteData:
    """Data in blocks, less the rows or columns of NaN or infinity; ``n`` rows, ``columns`` stay."""

    rows: Array
    threads: int
    nan: int
    infinite: int
    bad_columns: Array
    bad_rows: Array

    def __init__(self, rows: Array, threads: int) -> None:
        self.rows, self.threads = rows, threads
        self.step: int = max(1, BLOCK // rows.shape[1])
        self.nan = self.infinite = 0
        row_is_bad = np.zeros(len(rows), bool)
        column_is_bad = np.zeros(rows.shape[1], bool)
        for begin in range(0, len(rows) if rows.dtype.kind == "f" else 0, self.step):
            block = rows[begin : begin + self.step]
            if _core.first_nonfinite(block) < block.size:
                bad, nan = ~np.isfinite(block), int(np.count_nonzero(np.isnan(block)))
                self.nan += nan
                self.infinite += int(np.count_nonzero(bad)) - nan
                row_is_bad[begin : begin + self.step] = bad.any(axis=1)
                column_is_bad |= bad.any(axis=0)
        self.bad_rows, self.bad_columns = np.flatnonzero(row_is_bad), np.flatnonzero(column_is_bad)
        # Leave out whichever loses less.
        by_row = len(self.bad_rows) * rows.shape[1] <= len(self.bad_columns) * len(rows)
        self.kept_rows: Array | None = (
            np.flatnonzero(~row_is_bad) if len(self.bad_rows) and by_row else None
        )
        self.columns: Array = np.arange(rows.shape[1]) if by_row else np.flatnonzero(~column_is_bad)
        self.n: int = len(rows) if self.kept_rows is None else len(self.kept_rows)
        self.unit: Floats | None = None

    def blocks(self) -> Iterator[Array]:
        for begin in range(0, self.n, self.step):
            yield self._taken(slice(begin, min(begin + self.step, self.n)))

    def sample(self) -> Array:
        """Some rows, in order; all of them if they are few."""
        most = min(max(SAMPLE // len(self.columns), 64), 4096)
        if self.n <= most:
            return self._taken(slice(0, self.n))
        return self._taken(np.unique(Generator(0).integers(0, self.n, most)))

    def numbers(self, rows: Ints) -> Ints:
        """The numbers in the data of rows that are left."""
        return rows if self.kept_rows is None else self.kept_rows[rows]

    def _taken(self, which: slice | Array) -> Array:
        rows = self.rows[which if self.kept_rows is None else self.kept_rows[which]]
        if len(self.columns) < rows.shape[1]:
            rows = np.ascontiguousarray(rows[:, self.columns])
        return rows if self.unit is None else rows * self.unit


class FeatureStatistics:
    """Of each column: minimum, maximum, mean, std (over N), quantiles; and whether it is constant.

    Blocks of columns of enormous or tiny values come scaled by a power of two from here on, so that
    their squares stay finite; the attributes are in the data's units.
    """

    high: Array
    low: Array
    mean: Floats
    std: Floats
    median: Floats
    q1: Floats
    q3: Floats

    def __init__(self, data: FiniteData) -> None:
        columns = len(data.columns)
        low, high = np.full(columns, np.inf), np.full(columns, -np.inf)
        for block in data.blocks():
            np.minimum(low, block.min(axis=0), out=low)
            np.maximum(high, block.max(axis=0), out=high)
        largest = np.maximum(np.abs(low), np.abs(high))
        unit = np.ones(columns)
        if ((largest > 1e100) | ((largest < 1e-100) & (largest > 0))).any():
            unit = np.ldexp(1.0, -np.clip(np.frexp(largest)[1], -1000, 1000))
            data.unit = unit
        zeros, n = np.zeros(columns), max(data.n, 1)
        sums = (_core.column_sums(b, None, False, data.threads) for b in data.blocks())
        mean = sum(sums, zeros) / n
        sums = (_core.column_sums(b, mean, True, data.threads) for b in data.blocks())
        squares = sum(sums, zeros)
        sample = data.sample()
        quartiles = np.quantile(sample, [0.25, 0.5, 0.75], axis=0)
        self.low_tail: Floats = np.quantile(sample, 0.05, axis=0, method="higher") / unit
        self.high_tail: Floats = np.quantile(sample, 0.95, axis=0, method="lower") / unit
        eps = 0.0 if data.rows.dtype == np.uint8 else np.finfo(data.rows.dtype).eps
        self.constant: Bools = high * unit - low * unit <= 4 * eps * (largest * unit)
        self.low, self.high = low, high
        self.mean, self.std = mean / unit, np.sqrt(squares / n) / unit
        self.q1, self.median, self.q3 = quartiles / unit
        self.signature: Floats = np.stack([low, high, mean, squares], axis=1)


class RobustSpread:
    """Of each column the limits of outliers, and spread and middle that these do not move.

    Limits lie ``fence`` interquartile ranges from the quartiles; pixels share theirs.
    """

    has_outliers: Bools
    lower: Floats
    upper: Floats

    def __init__(self, features: FeatureStatistics, fence: float, *, pixels: bool) -> None:
        f = features
        half_range = f.q3 / 2 - f.q1 / 2  # the whole could overflow
        if pixels:
            half_range = np.full_like(half_range, half_range.max())
        lower, upper = f.q1 - 2 * fence * half_range, f.q3 + 2 * fence * half_range
        out = (half_range > 0) & ((f.low < lower) | (f.high > upper))
        out &= np.isfinite(lower) & np.isfinite(upper)
        # Where a twentieth of the values is out there, it is the feature's shape.
        out &= (f.low_tail >= lower) & (f.high_tail <= upper)
        self.lower, self.upper, self.has_outliers = lower, upper, out
        self.spread: Floats = np.where(out, half_range * (2 / 1.349), f.std)  # a normal deviate's
        self.middle: Floats = np.where(out, f.median, f.mean)


def equal_columns(data: FiniteData, features: FeatureStatistics, among: Array) -> list[list[int]]:
    """Groups of equal columns: values are compared, by a hash, where the statistics are equal."""
    group = np.unique(features.signature, axis=0, return_inverse=True)[1].ravel()
    candidates = np.flatnonzero((np.bincount(group)[group] > 1) & among)
    if not len(candidates):
        return []
    hashes = [hashlib.blake2b(digest_size=16) for _ in candidates]
    for block in data.blocks():
        for j, digest in zip(candidates, hashes, strict=True):
            digest.update((block[:, j] + 0).tobytes())
    groups: dict[bytes, list[int]] = {}
    for column, digest in zip(candidates.tolist(), hashes, strict=True):
        groups.setdefault(digest.digest(), []).append(column)
    return [group for group in groups.values() if len(group) > 1]


def equal_rows(data: FiniteData) -> Array:
    """For each row the number of its group of equal rows."""
    hashes = (hash(row.tobytes()) for block in data.blocks() for row in block + 0)  # -0.0 is 0.0
    return np.unique(np.fromiter(hashes, np.int64, data.n), return_inverse=True)[1].ravel()


def correlated_pairs(
    data: FiniteData, columns: Array, least: float, most: int
) -> tuple[int, list[tuple[int, int, float]], Array]:
    """How many pairs of columns have a correlation of magnitude ``least`` or more, in the sample.

    Also the first pairs, at most ``most``, and all columns that are in a pair.
    """
    sample = data.sample()
    rows = min(len(sample), max(512, 2**34 // max(len(columns), 1) ** 2))
    Z = sample[:rows, columns].astype(np.float64)
    Z -= Z.mean(axis=0)
    length = np.sqrt(np.square(Z).sum(axis=0))
    Z /= np.where(length > 0, length, 1.0)
    by_rows = Z.astype(np.float32)
    by_columns = np.ascontiguousarray(by_rows.T)
    pairs: list[tuple[int, int, float]] = []
    total, involved = 0, np.zeros(len(columns), bool)
    for i in range(0, len(columns), 1024):
        for j in range(i, len(columns), 1024):
            right = np.ascontiguousarray(by_rows[:, j : j + 1024])
            left, threads = by_columns[i : i + 1024], data.threads or None
            R = layers.dense(left, right, activation="identity", n_threads=threads)
            strong = np.abs(R) >= least
            if i == j:
                strong = np.triu(strong, 1)
            found = np.argwhere(strong)
            total += len(found)
            involved[i + found[:, 0]] = involved[j + found[:, 1]] = True
            pairs += [
                (int(columns[i + a]), int(columns[j + b]), float(R[a, b]))
                for a, b in found[: most - len(pairs)]
            ]
    return total, pairs, columns[involved]


def outliers(
    data: FiniteData, robust: RobustSpread, columns: Ints
) -> tuple[int, Array, tuple[int, int, float]]:
    """How many values of the columns are out of their limits, in which rows, and the furthest out.

    The latter, (row, column, value), is measured by the distance between its column's limits.
    """
    count, worst, furthest, rows = 0, 0.0, (0, 0, 0.0), [np.empty(0, np.int64)]
    unit = np.ones(len(columns)) if data.unit is None else data.unit[columns]
    low, high = robust.lower[columns] * unit, robust.upper[columns] * unit
    at = 0
    for block in data.blocks():
        part = block[:, columns].astype(np.float64)
        beyond = np.maximum(low - part, part - high) / (high - low)
        count += int(np.count_nonzero(beyond > 0))
        rows.append(at + np.flatnonzero((beyond > 0).any(axis=1)))
        if beyond.max() > worst:
            worst = float(beyond.max())
            row, k = divmod(int(beyond.argmax()), len(columns))
            number = int(data.numbers(np.array(at + row)))
            furthest = number, int(columns[k]), float(part[row, k] / unit[k])
        at += len(block)
    return count, data.numbers(np.concatenate(rows)), furthest
