"""Principal directions of data, from scatter matrices in float64 joined by Chan's formula."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from fanin import _core
from fanin._typing import Array, Floats
from fanin._validate import one_of, real, whole
from fanin.preprocessing import base
from fanin.preprocessing.base import Transformer, column_mean, positive_count, result_dtype

FLOAT32_NOISE = 1e-8  # variances below this share of the largest may be rounding of float32 sums
SMALL = 1e11  # N D^2 up to which float64 sums, which take twice the time, are worth it


class Moments(NamedTuple):
    """The number of rows, their mean and the sum of their centred outer products."""

    n: int
    mean: Floats
    scatter: Floats

    def joined(self, other: Moments) -> Moments:
        """The moments of both sets of rows; this one's scatter matrix is changed in place."""
        n, delta, scatter = self.n + other.n, other.mean - self.mean, self.scatter
        scatter += other.scatter
        weighted = delta * (self.n * (other.n / n))
        for row, w in zip(scatter, weighted, strict=True):  # no second matrix
            row += w * delta
        return Moments(n, self.mean + delta * (other.n / n), scatter)


class Principal(NamedTuple):
    """Directions of falling variance: (m, D) orthonormal rows."""

    vectors: Array
    variances: Floats
    total: float


def principal_of_scatter(scatter: Floats, count: int) -> Principal:
    """All directions of the covariance ``scatter / count``, in float64: no slower in LAPACK."""
    values, vectors = np.linalg.eigh(scatter)
    rows, variances = np.ascontiguousarray(vectors.T[::-1]), np.maximum(values[::-1], 0) / count
    return Principal(flip_signs(rows), variances, float(np.trace(scatter)) / count)


def principal_of_rows(rows: Array, mean: Floats, count: int, n_threads: int) -> Principal:
    """The directions with variance of N < D rows, from the N x N matrix of their products.

    Where Xc = U S V', Xc Xc' = U S^2 U', so V' = S^-1 U' Xc. Columns go in parts of 2048.
    """
    rows = np.asarray(rows)  # sparse ones are few
    n, columns = rows.shape
    parts = [slice(j, j + 2048) for j in range(0, columns, 2048)]

    def transposed(part: slice) -> Floats:
        return np.ascontiguousarray((rows[:, part] - mean[part]).T)

    nothing, gram = np.zeros(n), np.zeros((n, n))
    for part in parts:
        gram += _core.scatter(transposed(part), nothing, True, n_threads)
    values, U = np.linalg.eigh(gram)
    least = columns * np.finfo(np.float64).eps * values[-1]
    kept = values > max(least, count * rounding_variance(n, mean))
    squares, U = values[kept][::-1], np.ascontiguousarray(U[:, kept].T[::-1])
    vectors = np.empty((len(squares), columns))
    for part in parts:
        scaled = _core.project(transposed(part), nothing, U, 1 / np.sqrt(squares), None, n_threads)
        vectors[:, part] = scaled.T
    return Principal(flip_signs(vectors), squares / count, float(np.trace(gram)) / count)


def rounding_variance(n: int, mean: Floats) -> float:
    """The most that rounding of the mean makes of the total variance of n equal rows."""
    return float(np.sum(np.square(n * np.finfo(np.float64).eps * mean)))


def flip_signs(rows: Floats) -> Floats:
    """Flips rows, in place, so that the largest entry of each is positive, as scikit-learn does."""
    largest = np.array([row[np.argmax(np.abs(row))] for row in rows])
    rows *= np.where(largest < 0, -1.0, 1.0)[:, None]
    return rows


def checked_n_components(n_components: Any, most: int) -> float:
    """The argument, checked: a count, a fraction of the variance, or all."""
    if n_components is None:
        return most
    if isinstance(n_components, (float, np.floating)):
        share = real("n_components", float(n_components), 0.0, above=True)
        if share >= 1:
            expected = "a whole number or a share of the variance within (0, 1)"
            raise ValueError(f"n_components: expected {expected}, got {n_components!r}")
        return share
    return whole("n_components", n_components, 1, most)


class PrincipalDirections(Transformer):
    """What PCA and Whiten learn: see `fanin.preprocessing.PCA`."""

    n_components: float | None
    ddof: int
    precision: str
    _moments: Moments | None
    _principal: Principal | None
    _dtype: np.dtype[Any]
    _resolution: float
    _zca_cache: tuple[Floats, Array] | None = None
    _private = ("_moments", "_principal", "_dtype", "_resolution", "_zca_cache")

    def fit(self, X: Array, y: object = None) -> Self:
        self._check_options()
        rows = self._training_rows(X)
        n, columns = rows.shape
        count = positive_count(n, self.ddof)
        checked_n_components(self.n_components, min(n, columns))
        self._forget()
        if n >= columns:
            self.partial_fit(X, y)._fitted()
        else:
            mean = column_mean(rows, self._threads)
            principal = principal_of_rows(rows, mean, count, self._threads)
            self._set_fitted(rows, n, mean, None)
            self._principal = self._selected(principal)
        return self

    def partial_fit(self, X: Array, y: object = None) -> Self:  # noqa: ARG002
        seen = self.n_samples_seen_
        rows = self._training_rows(X, seen)
        positive_count(seen + len(rows), self.ddof)
        checked_n_components(self.n_components, rows.shape[1])
        precise, mean = self._precise(rows), column_mean(rows, self._threads)
        moments = Moments(len(rows), mean, _core.scatter(rows, mean, precise, self._threads))
        if seen:
            if self._moments is None:
                raise ValueError(
                    "partial_fit: expected a fit with at least as many rows as columns before it, "
                    f"and not one that a network holds; got {seen} rows"
                )
            moments = self._moments.joined(moments)
        self._set_fitted(rows, moments.n, moments.mean, moments)
        if rows.dtype == np.float32 and not precise:
            self._resolution = max(self._resolution, FLOAT32_NOISE)
        return self

    def _check_options(self) -> None:
        """Checks the arguments that a subclass adds."""

    def _precise(self, rows: Array) -> bool:
        """Whether products are summed in float64; those of uint8 are exact in float32."""
        one_of("precision", self.precision, ["auto", "float32", "float64"])
        small = len(rows) * rows.shape[1] ** 2 <= SMALL
        automatic = self.precision == "auto" and rows.dtype == np.float32 and small
        return automatic or self.precision == "float64"

    def _set_fitted(self, rows: Array, n: int, mean: Floats, moments: Moments | None) -> None:
        if not self.n_samples_seen_:
            self._dtype = result_dtype(rows)
            self._resolution = rows.shape[1] * np.finfo(np.float64).eps
        self._moments, self._principal = moments, None
        self.n_samples_seen_: int = n
        self.n_features_in_: int = rows.shape[1]
        self.mean_: Floats = mean

    def _fitted(self) -> Principal:
        """The directions of all rows seen so far."""
        if not self.n_samples_seen_:
            raise AttributeError(f"{type(self).__name__}: expected fit before this attribute")
        if self._principal is None:
            assert self._moments is not None
            count = positive_count(self.n_samples_seen_, self.ddof)
            self._principal = self._selected(principal_of_scatter(self._moments.scatter, count))
        return self._principal

    def _selected(self, found: Principal) -> Principal:
        number = checked_n_components(self.n_components, len(found.variances))
        if isinstance(number, float):
            share = np.cumsum(found.variances) / (found.total or 1.0)
            number = min(int(np.searchsorted(share, number, side="right")) + 1, len(share))
        vectors = found.vectors[: int(number)].astype(self._dtype)
        return Principal(vectors, found.variances[: int(number)], found.total)

    @property
    def components_(self) -> Array:
        return self._fitted().vectors

    @property
    def explained_variance_(self) -> Floats:
        return self._fitted().variances

    @property
    def explained_variance_ratio_(self) -> Floats:
        return self._fitted().variances / (self._fitted().total or 1.0)

    @property
    def n_components_(self) -> int:
        return len(self._fitted().variances)

    @property
    def n_features_out_(self) -> int:
        return self.n_components_

    def frozen(self) -> Self:
        """A fitted copy, apart from this one, without the sums that only `partial_fit` needs."""
        self._fitted()
        twin = copy.copy(self)
        twin._moments = None
        return copy.deepcopy(twin)

    def state_arrays(self) -> dict[str, Array]:
        vectors, variances, total = self._fitted()
        numbers = np.array([total, self._resolution])
        own = {"vectors": vectors, "variances": variances, "numbers": numbers}
        return super().state_arrays() | own

    def load_state_arrays(self, arrays: Mapping[str, Array], rows: int, columns: int) -> None:
        self._check_options()
        super().load_state_arrays(arrays, rows, columns)
        vectors = arrays["vectors"]
        wide = vectors.astype(np.float64) if vectors.dtype == np.float32 else vectors
        base.stored_array("vectors", wide, (len(vectors), columns))
        variances = base.stored_array("variances", arrays["variances"], vectors.shape[:1])
        total, self._resolution = map(float, base.stored_array("numbers", arrays["numbers"], (2,)))
        self._principal, self._moments = Principal(vectors, variances, total), None
        self._dtype = vectors.dtype

    def _project(self, rows: Array, vectors: Array, scale: Floats | None = None) -> Array:
        """``((rows - mean_) @ vectors.T) * scale``."""
        vectors = np.ascontiguousarray(vectors, dtype=result_dtype(rows))
        return _core.project(rows, self.mean_, vectors, scale, None, self._threads)

    def _project_back(self, X: Array, vectors: Array) -> Array:
        """``X @ vectors + mean_``."""
        rows, nothing = self._fitted_rows(X, len(vectors)), np.zeros(len(vectors))
        vectors = np.ascontiguousarray(vectors.T, dtype=result_dtype(rows))
        return _core.project(rows, nothing, vectors, None, self.mean_, self._threads)
