"""Statistics of training data, for the normalisation that the native loop folds in."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fanin._validate import one_of

__all__ = ["Preprocess", "column_moments", "mean_and_scale"]

Array = npt.NDArray[Any]
Preprocess = str | tuple[npt.ArrayLike, npt.ArrayLike]


def column_moments(X: Array, rows_at_once: int = 4096) -> tuple[Array, Array]:
    """Mean and standard deviation (over N) of each column, in float64, in two passes over X.

    >>> import numpy as np
    >>> column_moments(np.array([[1.0, 5.0], [3.0, 5.0]]))
    (array([2., 5.]), array([1., 0.]))
    """
    n, columns = X.shape
    mean = np.zeros(columns)
    for begin in range(0, n, rows_at_once):
        mean += X[begin : begin + rows_at_once].sum(axis=0, dtype=np.float64)
    mean /= n
    square = np.zeros(columns)
    for begin in range(0, n, rows_at_once):
        square += np.square(X[begin : begin + rows_at_once] - mean).sum(axis=0)
    return mean, np.sqrt(square / n)


def mean_and_scale(preprocess: Preprocess, X: Array) -> tuple[Array, Array]:
    """(mean, scale) of one value or one a column, float64, from the argument ``preprocess`` of fit.

    "standardize" takes mean and standard deviation of each column of X, the training data; a
    constant column is only centred.
    """
    if isinstance(preprocess, str):
        one_of("preprocess", preprocess, ["standardize"])
        mean, std = column_moments(X)
        constant = X.min(axis=0) == X.max(axis=0)  # the std of 0.1, 0.1, ... is rounding, not zero
        return mean, 1 / np.where(constant | (std == 0), 1.0, std)
    try:
        mean, scale = (np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in preprocess)
    except (TypeError, ValueError):
        raise ValueError(
            f"preprocess: expected None, 'standardize' or (mean, scale), got {preprocess!r}"
        ) from None
    columns = X.shape[1]
    for value in (mean, scale):
        if value.shape not in ((1,), (columns,)) or not np.isfinite(value).all():
            raise ValueError(
                f"preprocess: expected mean and scale of one finite value or {columns} each, "
                f"got shape {value.shape}"
            )
    return mean, scale
