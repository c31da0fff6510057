"""The transformers of `fanin.preprocessing` and `fanin.augment` as scikit-learn has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
)
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from fanin import preprocessing
from fanin._typing import Array
from fanin.augment import Compose, Transform
from fanin.estimators.rows import KINDS, dense, table

__all__ = ["PCA", "Augmenter", "Normalize", "TableEncoder", "Whiten", "ZeroCenter"]


class _Columns(TransformerMixin, BaseEstimator):
    """A transformer of `fanin.preprocessing` behind scikit-learn's checks.

    Attributes that it learns are this one's too.
    """

    _kind: ClassVar[type[Any]]
    _learned: ClassVar[tuple[str, ...]] = ("mean_",)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learns from X (N, D), forgetting what was learned before."""
        self._transformer = self._kind(**self.get_params())
        return self._learn(X, y, reset=True, whole=True)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learns from more rows, for data larger than memory."""
        first = "_transformer" not in self.__dict__
        if first:
            self._transformer = self._kind(**self.get_params())
        return self._learn(X, y, reset=first, whole=False)

    def _learn(self, X: Any, y: Any, reset: bool, whole: bool) -> Self:
        fewest = getattr(self, "ddof", 0) + 1 if reset else 1
        rows = self._rows(X, reset=reset, ensure_min_samples=fewest)
        if whole:
            self._transformer.fit(rows, y)
        else:
            self._transformer.partial_fit(rows, y)
        for name in (*self._learned, "n_samples_seen_"):
            setattr(self, name, getattr(self._transformer, name))
        return self

    def transform(self, X: Any) -> Array:
        """X transformed: float64 for float64, else float32."""
        check_is_fitted(self)
        transformed: Array = self._transformer.transform(self._rows(X))
        return transformed

    def inverse_transform(self, X: Any) -> Array:
        """The data that would be transformed to X."""
        check_is_fitted(self)
        rows = dense(np.asarray(X))
        original: Array = self._transformer.inverse_transform(rows)
        return original

    def _rows(self, X: Any, reset: bool = False, **checks: Any) -> Array:
        rows: Array = dense(validate_data(self, X, dtype=KINDS, reset=reset, **checks))
        return rows

    @property
    def transformer_(self) -> Any:
        """The fitted transformer of `fanin.preprocessing`, which has the same attributes."""
        check_is_fitted(self)
        return self._transformer

    @property
    def _n_features_out(self) -> int:
        n: int = self._transformer.n_features_out_
        return n

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


@dataclass(eq=False, repr=False, kw_only=True)
class ZeroCenter(OneToOneFeatureMixin, _Columns):
    """Subtracts the mean of each feature; `fanin.preprocessing.ZeroCenter` for pipelines.

    Parameters
    ----------
    n_threads : int, optional
        The result does not depend on it.

    Attributes
    ----------
    mean_ : ndarray of shape (D,)
    n_features_in_, n_samples_seen_ : int

    Examples
    --------
    >>> from fanin.estimators import ZeroCenter
    >>> ZeroCenter().fit_transform([[1, 5], [3, 9]])
    array([[-1., -2.],
           [ 1.,  2.]])
    """

    n_threads: int | None = None

    _kind = preprocessing.ZeroCenter


@dataclass(eq=False, repr=False, kw_only=True)
class Normalize(OneToOneFeatureMixin, _Columns):
    """Gives each feature mean 0 and deviation 1; `fanin.preprocessing.Normalize` for pipelines.

    Parameters
    ----------
    eps : float
        Added to the variance.
    ddof : int
        The variance is the sum of squares divided by ``N - ddof``.
    n_threads : int, optional
        The result does not depend on it.

    Attributes
    ----------
    mean_, var_, scale_ : ndarray of shape (D,)
    n_features_in_, n_samples_seen_ : int

    Examples
    --------
    >>> fanin.estimators.Normalize().fit_transform(np.array([[1.0, 5.0], [3.0, 9.0]])).round(3)
    array([[-1., -1.],
           [ 1.,  1.]])
    """

    eps: float = 0.0
    ddof: int = 0
    n_threads: int | None = None

    _kind = preprocessing.Normalize
    _learned = ("mean_", "var_", "scale_")


@dataclass(eq=False, repr=False)
class PCA(ClassNamePrefixFeaturesOutMixin, _Columns):
    """Projects onto the directions of largest variance; `fanin.preprocessing.PCA` for pipelines.

    Parameters
    ----------
    n_components : int, float or None
        How many directions to keep; or, within (0, 1), the share of variance to exceed; or all.
    ddof, precision, n_threads
        As of `fanin.preprocessing.PCA`.

    Attributes
    ----------
    components_, explained_variance_, explained_variance_ratio_, mean_ : ndarray
    n_components_, n_features_in_, n_samples_seen_ : int

    Examples
    --------
    >>> X = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
    >>> fanin.estimators.PCA(n_components=1).fit_transform(X).shape
    (3, 1)
    """

    n_components: float | None = None
    _: KW_ONLY
    ddof: int = 1
    precision: str = "auto"
    n_threads: int | None = None

    _kind = preprocessing.PCA
    _learned = (
        *("mean_", "components_", "explained_variance_", "explained_variance_ratio_"),
        "n_components_",
    )


@dataclass(eq=False, repr=False)
class Whiten(ClassNamePrefixFeaturesOutMixin, _Columns):
    """Decorrelates, with variance 1; `fanin.preprocessing.Whiten` for pipelines.

    Parameters
    ----------
    n_components : int, float or None
        As of `PCA`.
    method : {"pca", "zca"}
    eps : float
        Added to the variances.
    ddof, precision, n_threads
        As of `fanin.preprocessing.Whiten`.

    Attributes
    ----------
    components_, explained_variance_, explained_variance_ratio_, mean_ : ndarray
    n_components_, n_features_in_, n_samples_seen_ : int

    Examples
    --------
    >>> X = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
    >>> fanin.estimators.Whiten(n_components=1).fit_transform(X).shape
    (3, 1)
    """

    n_components: float | None = None
    _: KW_ONLY
    method: str = "pca"
    eps: float = 0.0
    ddof: int = 1
    precision: str = "auto"
    n_threads: int | None = None

    _kind = preprocessing.Whiten
    _learned = PCA._learned


@dataclass(eq=False, repr=False, kw_only=True)
class TableEncoder(TransformerMixin, BaseEstimator):
    """Makes features of columns of any kind; `fanin.preprocessing.TableEncoder` for pipelines.

    It takes frames, and arrays (N, D), of which each column is of the kind that its values have.

    Parameters
    ----------
    max_categories, n_buckets, clip, text
        As of `fanin.preprocessing.TableEncoder`.

    Attributes
    ----------
    columns_ : list of Column
        What was learned of each.
    n_features_in_, n_samples_seen_ : int
    feature_names_in_ : ndarray of str
        Where X has names of columns.

    Examples
    --------
    >>> X = np.array([[1.0, "red"], [3.0, "blue"], [5.0, "red"]], dtype=object)
    >>> encoder = fanin.estimators.TableEncoder().fit(X)
    >>> list(encoder.get_feature_names_out())
    ['x0', 'x1_blue', 'x1_red']
    """

    max_categories: int = 16
    n_buckets: int = 32
    clip: float | None = None
    text: str = "refuse"

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Learns from the training rows."""
        rows = table(self, X, None)
        self._encoder = preprocessing.TableEncoder(**self.get_params()).fit(rows)
        self.columns_: list[Any] = self._encoder.columns_
        self.n_samples_seen_: int = self._encoder.n_samples_seen_
        return self

    def transform(self, X: Any) -> Array:
        """The features of such rows as training had, float32."""
        check_is_fitted(self)
        features: Array = self._encoder.transform(table(self, X, self._names()))
        return features

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Names such as size, size_missing, kind_a, kind_rare, day_month_sin."""
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        return self._encoder.get_feature_names_out()

    @property
    def transformer_(self) -> Any:
        """The fitted `fanin.preprocessing.TableEncoder`, which a network takes."""
        check_is_fitted(self)
        return self._encoder

    def _names(self) -> list[str]:
        return [column.name for column in self.columns_]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "columns_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        tags.transformer_tags.preserves_dtype = []
        return tags


@dataclass(eq=False, repr=False)
class Augmenter(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Augments the images of a pipeline's training data, and leaves those to be predicted alone.

    `fit_transform`, which a pipeline's `fit` calls, gives augmented images; `transform` gives them
    as they are. A network's own ``augment=`` draws anew in each epoch: prefer it where you can.

    Parameters
    ----------
    transforms : sequence of transforms
        Of `fanin.augment`, that leave the size as it is; none by default.
    image_shape : (height, width) or (height, width, channels), optional
        Of a row of X (N, D); not needed for X (N, H, W[, C]).
    value_range : (low, high), default=(0, 1)
        Black and white of float images; bytes have 0 and 255.
    seed : int
    epoch : int
        Which draws, of one seed.
    n_threads : int, optional
        The result does not depend on it.

    Attributes
    ----------
    n_features_in_ : int

    Examples
    --------
    >>> import fanin
    >>> from fanin.augment import RandomCrop
    >>> from fanin.estimators import Augmenter
    >>> (X, y), _ = fanin.datasets.load("digits")
    >>> shifted = Augmenter([RandomCrop(8, padding=1)]).fit_transform(X)
    >>> shifted.shape == X.shape
    True
    """

    transforms: Sequence[Transform] = ()
    _: KW_ONLY
    image_shape: tuple[int, ...] | None = None
    value_range: tuple[float, float] = (0.0, 1.0)
    seed: int = 0
    epoch: int = 0
    n_threads: int | None = None

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """Checks X and the transforms; nothing is learned."""
        self._fitted(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Array:  # noqa: ARG002
        """The images, augmented."""
        rows, pipeline = self._fitted(X)
        if not self.transforms:
            return rows
        shape = self._shape(rows)
        images = rows.reshape(len(rows), *shape)
        if images.dtype != np.uint8:
            images = images.astype(np.float32)
        moved = pipeline(images, epoch=self.epoch, n_threads=self.n_threads)
        augmented: Array = moved.reshape(rows.shape).astype(rows.dtype, copy=False)
        return augmented

    def transform(self, X: Any) -> Array:
        """The images as they are."""
        check_is_fitted(self)
        return self._rows(X, reset=False)

    def _fitted(self, X: Any) -> tuple[Array, Compose]:
        rows = self._rows(X, reset=True)
        pipeline = Compose(self.transforms, self.seed, self.value_range)
        if self.transforms:
            height, width = self._shape(rows)[:2]
            size = pipeline.output_size(height, width)
            if pipeline.mix is not None or pipeline.variants > 1:
                raise ValueError("transforms: expected one image for each, and no Mixup or CutMix")
            if size != (height, width):
                raise ValueError(
                    f"transforms: expected images to stay {height} x {width}, got "
                    f"{size[0]} x {size[1]}"
                )
        return rows, pipeline

    def _shape(self, rows: Array) -> tuple[int, ...]:
        shape = rows.shape[1:] if self.image_shape is None else tuple(self.image_shape)
        if len(shape) not in (2, 3) or np.prod(shape) != np.prod(rows.shape[1:]):
            raise ValueError(
                f"image_shape: expected (height, width[, channels]) of rows of {rows.shape[1:]}, "
                f"got {self.image_shape!r}"
            )
        return shape

    def _rows(self, X: Any, reset: bool) -> Array:
        rows: Array = validate_data(self, X, dtype=KINDS, allow_nd=True, reset=reset)
        return np.array(rows, order="C") if rows is X else np.ascontiguousarray(rows)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        return tags
