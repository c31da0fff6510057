"""Faults of data, each with advice, before training."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fanin import _validate
from fanin._typing import Array
from fanin.diagnostics.data_checks import find_faults
from fanin.diagnostics.data_statistics import FiniteData
from fanin.diagnostics.findings import Finding

SCALING = (
    "Scale features only where they should weigh the same: one that is small because it matters "
    "less would be made as loud as the others."
)
IMAGES = (
    "These look like images: centre them, and scale all pixels alike (preprocess='auto' does so to "
    "bytes); PCA and whitening are seldom used for images."
)


@dataclass(frozen=True, eq=False)
class DataReport:
    """What `data_report` found. ``print(report)`` gives each finding with its advice.

    Attributes
    ----------
    shape : tuple of int
        Of X.
    findings : tuple of Finding
    cautions : tuple of str
        The lecture's warnings about such data, also without faults.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(100, 3)) * [1, 1, 1000]
    >>> fanin.diagnostics.data_report(X).names
    ('scale',)
    """

    shape: tuple[int, ...]
    findings: tuple[Finding, ...]
    cautions: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The findings' names."""
        return tuple(finding.name for finding in self.findings)

    def __str__(self) -> str:
        first = f"{self.shape[0]} rows of {' x '.join(map(str, self.shape[1:]))} features"
        found = map(str, self.findings or ("no faults found",))
        return "\n".join([first, *found, *(f"note: {caution}" for caution in self.cautions)])


def data_report(X: Array, y: Array | None = None, *, n_threads: int | None = None) -> DataReport:
    """Look for faults of data that harm training, and say what to do about each.

    Values that are not finite; constant, equal and strongly correlated features; features whose
    scales differ by orders of magnitude, or whose mean is far from zero for their spread; outliers;
    repeated rows; rare classes. Data are read in blocks, without a copy (unless some values
    are not finite); quartiles and correlations are of up to 4096 rows, the same in each call.

    Parameters
    ----------
    X : ndarray of shape (N, D) or (N, ...), uint8, float32 or float64
        Three axes or more, or uint8, are taken for images, whose pixels share a scale and are
        correlated by nature.
    y : ndarray of shape (N,), optional
        Labels: integers, booleans or strings. Floats are values, not classes.
    n_threads : int, optional
        Does not change the result.

    Returns
    -------
    DataReport

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what was expected and what was given.

    Notes
    -----
    scale: standard deviations differ by a factor of 100; named are the features a factor of 10 off
    the median one. Or all are far from 1, the median by a factor of 30. byte-range: uint8 that
    stays below 128, such as pixels from 0 to 16, but no table of 0 and 1. bias: the mean is more
    than 3 standard deviations from zero; for images, in a tenth of the pixels. outliers: more than
    10 interquartile ranges outside the quartiles (normal data never are), and less than a twentieth
    of the feature's values on a side. correlated: magnitude of at least 0.95. constant: up to
    rounding; for images, those pixels that are not of the background. class-balance: 10 times as
    many rows in the largest class as in the smallest. duplicate-rows: 1 % of the rows, in data of
    at least three features. Spreads and correlations need at least 20 rows.

    Examples
    --------
    >>> X = fanin.random.Generator(0).standard_normal((500, 4))
    >>> X[:, 2] *= 5000
    >>> report = data_report(X)
    >>> report.names, report.findings[0].columns
    (('scale',), array([2]))
    >>> print(report.findings[0].evidence)
    standard deviations from 0.945 (column 0) to 5.3e+03 (column 2); a factor of 10 or more from
    the middle 1: column 2
    """
    array = _validate.plain_array("X", X)
    if array.ndim < 2 or 0 in array.shape:
        expected = "shape (N, D) or (N, ...), at least one row and column"
        raise ValueError(f"X: expected {expected}, got {_validate.describe(array)}")
    rows = _validate.row_view("X", array, math.prod(array.shape[1:]))
    _validate.check_memory("X: expected an array", "X", rows)
    labels = None if y is None else _labels(y, len(rows))
    images = array.ndim > 2 or array.dtype == np.uint8
    data = FiniteData(rows, _validate.threads(n_threads))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        findings = tuple(find_faults(data, array.shape[1:], images=images, labels=labels))
    return DataReport(array.shape, findings, (IMAGES if images else SCALING,))


def _labels(y: Array, n: int) -> Array:
    labels = _validate.plain_array("y", y)
    described = _validate.describe(labels)
    if labels.shape != (n,):
        raise ValueError(f"y: expected shape ({n},) of labels, got {described}")
    if labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels):
        return labels.astype(str)
    if labels.dtype.kind not in "iubUSf":
        raise TypeError(f"y: expected whole numbers, booleans, strings or values, got {described}")
    if labels.dtype.kind == "f" and not (finite := np.isfinite(labels)).all():
        row = int(finite.argmin())
        raise ValueError(f"y: expected finite values, got {labels[row]} in row {row}")
    return labels
