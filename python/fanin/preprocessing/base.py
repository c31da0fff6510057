"""The base classes of transformers: parameters, checks of data, scikit-learn's conventions."""

from __future__ import annotations

import copy
import importlib
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from fanin import _core
from fanin._typing import Array, Floats
from fanin._validate import data_rows, describe, threads, whole
from fanin.arrays import as_rows


class LinearMap(NamedTuple):
    """``((X - mean) @ matrix) * scale``; without a matrix or a scale where these are None."""

    mean: Floats  # (D,)
    matrix: Array | None  # (D, M)
    scale: Floats | None  # (M,)


class Transformer(ABC):
    """A transformer with scikit-learn's API, which does not need scikit-learn."""

    n_threads: int | None
    n_features_in_: int
    n_samples_seen_: int = 0
    mean_: Floats
    _private: tuple[str, ...] = ()  # what is learned beside the attributes that end in _
    _stored: tuple[str, ...] = ("mean_",)  # (D,) float64: with the parameters, all that transforms
    combines_columns: ClassVar[bool] = True  # a column of the result depends on several columns

    def fit(self, X: Array, y: object = None) -> Self:
        """Learns from X (N, D) or (N, ...), forgetting what was learned before."""
        self._forget()
        return self.partial_fit(X, y)

    @abstractmethod
    def partial_fit(self, X: Array, y: object = None) -> Self:
        """Learns from more rows, for data larger than memory; joined by Chan's formula."""

    @abstractmethod
    def transform(self, X: Array) -> Array:
        """X transformed: float64 for float64, else float32."""

    def fit_transform(self, X: Array, y: object = None) -> Array:
        return self.fit(X, y).transform(X)

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Self:
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                names = ", ".join(known)
                raise ValueError(f"set_params: expected names among {names}; got {name!r}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        given = self.get_params().items()
        changed = [f"{name}={v!r}" for name, v in given if v != defaults[name].default]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_is_fitted__(self) -> bool:
        return self.n_samples_seen_ > 0

    def __sklearn_tags__(self) -> Any:
        utils = importlib.import_module("sklearn.utils")  # only scikit-learn asks
        return utils.Tags(
            estimator_type="transformer",
            target_tags=utils.TargetTags(required=False),
            transformer_tags=utils.TransformerTags(preserves_dtype=["float64", "float32"]),
            input_tags=utils.InputTags(three_d_array=True),
        )

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> Array:
        """Names of the columns that `transform` gives: as given, or x0, x1, ..., or pca0, ..."""
        self._require_fit()
        count = self.n_features_in_ if input_features is None else len(input_features)
        if count != self.n_features_in_:
            raise ValueError(f"input_features: expected {self.n_features_in_} names, got {count}")
        if self.combines_columns or input_features is None:
            prefix = type(self).__name__.lower() if self.combines_columns else "x"
            input_features = [f"{prefix}{i}" for i in range(self.n_features_out_)]
        return np.asarray(input_features, dtype=object)

    @property
    def n_features_out_(self) -> int:
        """The number of columns that `transform` returns."""
        return self.n_features_in_

    def frozen(self) -> Self:
        """A fitted copy, apart from this one, without what only more `partial_fit` needs."""
        return copy.deepcopy(self)

    def with_threads(self, n_threads: int) -> Self:
        """A shallow copy with that `n_threads`."""
        twin = copy.copy(self)
        twin.n_threads = n_threads
        return twin

    def state_arrays(self) -> dict[str, Array]:
        """What was learned, for a file; `load_state_arrays` takes it back."""
        return {name: getattr(self, name) for name in self._stored}

    def load_state_arrays(self, arrays: Mapping[str, Array], rows: int, columns: int) -> None:
        """Takes what `state_arrays` gave, checked, as learned from rows of so many columns."""
        for name in self._stored:
            setattr(self, name, stored_array(name, arrays[name], (columns,)))
        self.n_samples_seen_, self.n_features_in_ = rows, columns
        threads(self.n_threads)

    def state_facts(self) -> dict[str, Any]:
        """What was learned beside the arrays, in JSON values; `load_state_facts` takes it back."""
        return {}

    def load_state_facts(self, facts: Mapping[str, Any]) -> None:
        """Takes what `state_facts` gave, after `load_state_arrays`."""
        if facts:
            raise ValueError(f"facts: expected none for {type(self).__name__}")

    @property
    def _threads(self) -> int:
        return threads(self.n_threads)

    def _forget(self) -> None:
        for name in [n for n in vars(self) if n.endswith("_") or n in self._private]:
            delattr(self, name)

    def _training_rows(self, X: object, seen: int = 0) -> Array:
        """X as a view of rows (N, D), after so many that were seen."""
        array = as_rows("X", X)
        columns = self.n_features_in_ if seen else math.prod(array.shape[1:])
        if array.ndim < 2 or columns == 0:
            expected = "shape (N, D) or (N, ...)" if array.ndim < 2 else "at least one column"
            raise ValueError(f"X: expected {expected}, got {describe(array)}")
        rows: Array = data_rows("X", array, columns, result_dtype(array))
        return rows

    def _fitted_rows(self, X: object, columns: int | None = None) -> Array:
        """X as a view of rows to be transformed, or back (``columns`` of them)."""
        self._require_fit()
        width = self.n_features_in_ if columns is None else columns
        rows: Array = data_rows("X", X, width, result_dtype(X))
        return rows

    def _require_fit(self) -> None:
        if not self.n_samples_seen_:
            raise ValueError(f"{type(self).__name__}: expected fit before this call")


class Columnwise(Transformer):
    """Centres, and perhaps scales, each column: a network's native loop can do it."""

    scale_: Floats | None = None
    combines_columns = False

    def transform(self, X: Array) -> Array:
        """``(X - mean_) / scale_``, (N, D)."""
        rows = self._fitted_rows(X)
        factor = None if self.scale_ is None else 1 / self.scale_
        return _core.centre_rows(rows, self.mean_, factor, self._threads)

    def inverse_transform(self, X: Array) -> Array:
        """``X * scale_ + mean_``, (N, D); summed in float64 and rounded once."""
        rows = self._fitted_rows(X)
        out = np.empty(rows.shape, result_dtype(rows))
        step = max(1, 2**18 // rows.shape[1])
        for begin in range(0, len(rows), step):
            part = rows[begin : begin + step]
            scaled = part if self.scale_ is None else part * self.scale_
            out[begin : begin + step] = scaled + self.mean_
        return out

    def linear_map(self) -> LinearMap:
        """What `transform` does, as arrays."""
        self._require_fit()
        return LinearMap(self.mean_, None, None if self.scale_ is None else 1 / self.scale_)

    def mean_and_scale(self) -> tuple[Floats, Floats]:
        """(mean, scale): `transform` gives ``(X - mean) * scale``."""
        return self.mean_, np.ones_like(self.mean_) if self.scale_ is None else 1 / self.scale_


def result_dtype(X: object) -> np.dtype[Any]:
    """What transforming X gives: float64 for float64, else float32."""
    return np.dtype(np.float64 if getattr(X, "dtype", None) == np.float64 else np.float32)


def stored_array(name: str, array: Array, shape: tuple[int, ...]) -> Floats:
    """An array of a file, where it is of that shape, finite and float64."""
    if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite {shape} float64, got {describe(array)}")
    return array


def column_mean(rows: Array, n_threads: int = 0) -> Floats:
    """The mean of each column, in float64."""
    return _core.column_sums(rows, None, False, n_threads) / len(rows)


def positive_count(n: int, ddof: object) -> int:
    """``n - ddof``, by which sums of squares are divided."""
    ddof = whole("ddof", ddof, 0)
    if n <= ddof:
        raise ValueError(f"X: expected more than {ddof} rows for ddof={ddof}, got {n}")
    return n - ddof
