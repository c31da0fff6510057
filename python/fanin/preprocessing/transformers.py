"""The transformers: ZeroCenter, Normalize, PCA and Whiten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

from fanin import _core
from fanin._typing import Array, Bools, Floats
from fanin._validate import describe, one_of, real, row_view
from fanin.arrays import as_rows
from fanin.preprocessing.base import Columnwise, LinearMap, Transformer, column_mean, positive_count
from fanin.preprocessing.covariance import PrincipalDirections, rounding_variance

# What MLP.fit takes: "standardize", (mean, scale) or transformers.
Preprocess = str | tuple[npt.ArrayLike, npt.ArrayLike] | Transformer | Sequence[Transformer]


@dataclass(eq=False, repr=False, kw_only=True)
class ZeroCenter(Columnwise):
    """Subtracts the mean of each feature: ``X -= np.mean(X, axis=0)``.

    Parameters
    ----------
    n_threads : int, optional
        The result does not depend on it.

    Attributes
    ----------
    mean_ : (D,) float64
    n_features_in_, n_samples_seen_ : int

    Examples
    --------
    >>> fanin.preprocessing.ZeroCenter().fit_transform(np.array([[1.0, 5.0], [3.0, 9.0]]))
    array([[-1., -2.],
           [ 1.,  2.]])
    """

    n_threads: int | None = None

    def partial_fit(self, X: Array, y: object = None) -> Self:  # noqa: ARG002
        seen = self.n_samples_seen_
        rows = self._training_rows(X, seen)
        mean, n = column_mean(rows, self._threads), seen + len(rows)
        if seen:
            mean = self.mean_ + (mean - self.mean_) * (len(rows) / n)
        self.n_samples_seen_: int = n
        self.n_features_in_: int = rows.shape[1]
        self.mean_: Floats = mean
        return self


@dataclass(eq=False, repr=False, kw_only=True)
class Normalize(Columnwise):
    """Gives each feature mean 0 and standard deviation 1: ``(X - mean_) / scale_``.

    ``scale_ = sqrt(var_ + eps)``, and 1 for a constant feature. It assumes that features of
    different scale should weigh the same: look at the data first.

    Parameters
    ----------
    eps : float
        Added to the variance. scikit-learn's StandardScaler has none.
    ddof : int
        The variance is the sum of squares divided by ``N - ddof``; 0 as StandardScaler's.
    n_threads : int, optional
        The result does not depend on it.

    Attributes
    ----------
    mean_, var_, scale_ : (D,) float64
    n_features_in_, n_samples_seen_ : int

    Examples
    --------
    >>> normalize = fanin.preprocessing.Normalize().fit(np.array([[1.0, 50.0], [3.0, 90.0]]))
    >>> normalize.transform(np.array([[2.0, 110.0]]))
    array([[0., 2.]])
    """

    eps: float = 0.0
    ddof: int = 0
    n_threads: int | None = None
    _squares: Floats = field(init=False)
    _private = ("_squares",)
    _stored = ("mean_", "var_", "scale_", "_squares")

    def partial_fit(self, X: Array, y: object = None) -> Self:  # noqa: ARG002
        seen = self.n_samples_seen_
        rows = self._training_rows(X, seen)
        eps, n = real("eps", self.eps, 0.0), seen + len(rows)
        count = positive_count(n, self.ddof)
        mean, squares = _mean_and_squares(rows, self._threads)
        if seen:
            delta = mean - self.mean_
            squares += self._squares + delta**2 * (seen * (len(rows) / n))
            mean = self.mean_ + delta * (len(rows) / n)
        self.mean_: Floats = mean
        self._squares = squares
        self.var_: Floats = squares / count
        self.scale_: Floats = np.sqrt(self.var_ + eps)
        self.scale_[_constant(mean, squares / n, n) | (self.scale_ == 0)] = 1.0
        self.n_samples_seen_: int = n
        self.n_features_in_: int = rows.shape[1]
        return self


@dataclass(eq=False, repr=False)
class PCA(PrincipalDirections):
    """Projects data onto the directions of largest variance: decorrelation, or fewer features.

    The covariance ``C = Xc' Xc / (N - ddof)`` of the centred data is decomposed, ``C = V' diag(l)
    V``, and ``transform`` gives ``Xc V'``, whose covariance is diag(l). For D > N the N x N matrix
    ``Xc Xc'`` is decomposed instead, without directions of no variance. Images seldom gain from it.
    `partial_fit` keeps a D x D matrix in float64; components are computed when first needed.

    Parameters
    ----------
    n_components : int, float or None
        How many directions to keep; or, within (0, 1), the fraction of variance to exceed; or all.
    ddof : int
        1 as scikit-learn's PCA; the course notes (CS231n) divide by N: 0.
    precision : "auto", "float32" or "float64"
        How the covariance of float32 data is summed (of uint8 it is exact, of float64 in float64).
        float32 takes half the time and loses variances below about 1e-6 of the largest; "auto"
        takes it from N D^2 = 1e11 on.
    n_threads : int, optional
        The result does not depend on it; the eigenvectors are LAPACK's, which Ctrl-C does not stop.

    Attributes
    ----------
    components_ : ``(n_components_, D)``, rows orthonormal, the largest entry of each positive
    explained_variance_, explained_variance_ratio_ : ``(n_components_,)``
    mean_ : (D,) float64
    n_components_, n_features_in_, n_samples_seen_ : int

    Examples
    --------
    >>> pca = fanin.preprocessing.PCA(1).fit(np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]))
    >>> pca.components_
    array([[0.6, 0.8]])
    >>> pca.explained_variance_
    array([25.])
    """

    n_components: float | None = None
    _: KW_ONLY
    ddof: int = 1
    precision: str = "auto"
    n_threads: int | None = None

    def transform(self, X: Array) -> Array:
        """``(X - mean_) @ components_.T``, of shape ``(N, n_components_)``."""
        return self._project(self._fitted_rows(X), self.components_)

    def inverse_transform(self, X: Array) -> Array:
        """``X @ components_ + mean_``, (N, D)."""
        self._require_fit()
        return self._project_back(X, self.components_)

    def linear_map(self) -> LinearMap:
        """What `transform` does, as arrays."""
        self._require_fit()
        return LinearMap(self.mean_, self.components_.T, None)


@dataclass(eq=False, repr=False)
class Whiten(PrincipalDirections):
    """Decorrelates and gives each direction variance 1.

    With ``C = V' diag(l) V`` as in `PCA` and ``S = diag(1 / sqrt(l + eps))``: "pca" gives ``Xc V'
    S``; "zca" rotates back, ``Xc V' S V``, as near to the data as whitened data can be. Directions
    without variance come out as 0. It amplifies noise, which eps dampens; images seldom gain.

    Parameters
    ----------
    method : "pca" or "zca"
    eps : float
        Added to the variances: 0 in scikit-learn's ``PCA(whiten=True)``, 1e-5 in CS231n's notes.
    n_components, ddof, precision, n_threads
        As in `PCA`.

    Attributes
    ----------
    components_, explained_variance_, mean_ and others
        As in `PCA`.

    Examples
    --------
    >>> X = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 4.0], [2.0, 4.0]])
    >>> whiten = fanin.preprocessing.Whiten(method="zca")
    >>> np.cov(whiten.fit_transform(X), rowvar=False).round(6) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """

    n_components: float | None = None
    _: KW_ONLY
    method: str = "pca"
    eps: float = 0.0
    ddof: int = 1
    precision: str = "auto"
    n_threads: int | None = None

    def transform(self, X: Array) -> Array:
        """X whitened: ``(N, n_components_)``, or (N, D) for "zca"."""
        rows, factors = self._fitted_rows(X), self._factors()
        if self.method == "pca":
            return self._project(rows, self.components_, factors)
        return self._project(rows, self._zca_matrix(factors))

    def inverse_transform(self, X: Array) -> Array:
        """The data that would be whitened to X, (N, D)."""
        self._require_fit()
        deviations = self._deviations()
        if self.method == "pca":
            return self._project_back(X, self.components_ * deviations[:, None])
        return self._project_back(X, self._zca_matrix(deviations))

    def linear_map(self) -> LinearMap:
        """What `transform` does, as arrays."""
        self._require_fit()
        factors = self._factors()
        if self.method == "pca":
            return LinearMap(self.mean_, self.components_.T, factors)
        return LinearMap(self.mean_, self._zca_matrix(factors).T, None)

    def _check_options(self) -> None:
        one_of("method", self.method, ["pca", "zca"])
        real("eps", self.eps, 0.0)

    def _deviations(self) -> Floats:
        """``sqrt(l + eps)``, and 0 for directions without variance."""
        self._check_options()
        variances = self.explained_variance_
        least = rounding_variance(self.n_samples_seen_, self.mean_)
        present = variances > np.maximum(self._resolution * variances[:1], least)
        return np.where(present, np.sqrt(variances + self.eps), 0.0)

    def _factors(self) -> Floats:
        """``1 / sqrt(l + eps)``, and 0 for directions without variance."""
        deviations = self._deviations()
        return np.divide(1, deviations, out=np.zeros_like(deviations), where=deviations > 0)

    @property
    def n_features_out_(self) -> int:
        return self.n_features_in_ if self.method == "zca" else self.n_components_

    def with_threads(self, n_threads: int) -> Self:
        if self.method == "zca":
            self._zca_matrix(self._factors())  # kept here, for all twins
        return super().with_threads(n_threads)

    def _zca_matrix(self, factors: Floats) -> Array:
        """``V' diag(factors) V``, (D, D) float64, made once for the factors in use."""
        if self._zca_cache is None or not np.array_equal(self._zca_cache[0], factors):
            across = np.ascontiguousarray(self.components_.T, dtype=np.float64)
            nothing = np.zeros(len(factors))
            matrix = _core.project(across * factors, nothing, across, None, None, self._threads)
            self._zca_cache = factors, matrix
        return self._zca_cache[1]


def _mean_and_squares(rows: Array, n_threads: int = 0) -> tuple[Floats, Floats]:
    """The mean of each column and the sum of squared deviations from it."""
    mean = column_mean(rows, n_threads)
    return mean, _core.column_sums(rows, mean, True, n_threads)


def _constant(mean: Floats, variance: Floats, n: int) -> Bools:
    """True where the variance may be rounding of equal values: scikit-learn's bound."""
    eps = np.finfo(np.float64).eps
    return np.asarray(variance <= n * eps * variance + (n * eps * mean) ** 2)


def column_moments(X: Array) -> tuple[Floats, Floats]:
    """Mean and standard deviation (over N) of each column, in float64, in two passes over X.

    Parameters
    ----------
    X : ndarray of shape (N, D), uint8, float32 or float64

    Returns
    -------
    mean, std : ndarray of shape (D,), float64

    Examples
    --------
    >>> column_moments(np.array([[1.0, 5.0], [3.0, 5.0]]))
    (array([2., 5.]), array([1., 0.]))
    """
    array = as_rows("X", X)
    if array.ndim != 2:
        raise ValueError(f"X: expected shape (N, D), got {describe(array)}")
    rows = row_view("X", array, array.shape[1])
    mean, squares = _mean_and_squares(rows)
    return mean, np.sqrt(squares / len(rows))


def standardization(X: Array) -> tuple[Floats, Floats]:
    """(mean, 1 / standard deviation) of each column; a constant column is only centred."""
    mean, std = column_moments(X)
    return mean, 1 / np.where(_constant(mean, std**2, len(X)) | (std == 0), 1.0, std)
