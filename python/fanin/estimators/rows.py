"""The rows of X as the engine takes them: checked as scikit-learn does, C-contiguous or sparse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import check_is_fitted, validate_data

from fanin import _core
from fanin._typing import Array
from fanin.arrays import Table, as_rows, is_frame, is_table

SPARSE_ROWS = 4096  # of a sparse X that are dense at a time in prediction
KINDS = (np.float64, np.float32, np.uint8)  # that the native loop gathers as they are


@dataclass
class Part:
    """Rows with their encoded targets and weights."""

    X: Any  # an array, SparseRows, or a table
    y: Array
    weights: Array | None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: Array) -> Part:
        """A copy of some of them."""
        weights = None if self.weights is None else self.weights[rows]
        X = _safe_indexing(self.X, rows) if is_frame(self.X) else self.X[rows]
        return Part(X, self.y[rows], weights)


def training_rows(X: Any) -> Any:
    """Checked rows to train on; the native loop makes sparse ones dense minibatch by minibatch."""
    return as_rows("X", X) if scipy.sparse.issparse(X) else dense(X)


def dense(X: Any) -> Any:
    """Rows as the engine takes them, of data that have been checked; a table as it is."""
    if is_table(X):
        return X
    if scipy.sparse.issparse(X):
        X = X.toarray(order="C")
    X = np.asarray(X)
    if X.dtype not in KINDS:
        X = X.astype(np.float64)
    return np.ascontiguousarray(X)


def table(estimator: Any, X: Any, names: Sequence[str] | None) -> Any:
    """A frame as it is, or the columns of an array (N, D), checked as scikit-learn does.

    Those of an array get the names of training; None, in training, stands for x0, x1, ...
    """
    if is_frame(X):
        validate_data(estimator, X, skip_check_array=True, reset=names is None)
        return X
    kinds: dict[str, Any] = {"dtype": None, "ensure_all_finite": "allow-nan"}
    rows = validate_data(estimator, X, reset=names is None, **kinds)
    names = [f"x{j}" for j in range(rows.shape[1])] if names is None else names
    return Table({name: rows[:, j] for j, name in enumerate(names)})


def require_fitted(estimator: Any) -> None:
    """`check_is_fitted`, which takes longer than a row's prediction where there is no error."""
    if not estimator.__sklearn_is_fitted__():
        check_is_fitted(estimator)


def rows_to_predict(estimator: Any, X: Any, **checks: Any) -> Iterator[Array]:
    """X checked for a fitted estimator, in blocks where it is sparse."""
    if not _is_plain(estimator, X):
        X = validate_data(estimator, X, accept_sparse=["csr", "csc"], reset=False, **checks)
    if not scipy.sparse.issparse(X):
        yield dense(X)
        return
    rows = X.tocsr()
    for begin in range(0, rows.shape[0], SPARSE_ROWS):
        yield dense(rows[begin : begin + SPARSE_ROWS])


def _is_plain(estimator: Any, X: Any) -> bool:
    """Whether `validate_data` would give this very array; it takes longer than a row."""
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype in (np.float32, np.float64)
        and X.flags.c_contiguous
        and X.shape[0] > 0
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
        and bool(_core.first_nonfinite(X) == X.size)
    )
