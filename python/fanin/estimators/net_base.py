"""What the estimators of networks share: their parameters, the checks of data, what fit takes."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import (
    _check_sample_weight,
    _check_y,
    check_consistent_length,
    validate_data,
)

from fanin import _validate
from fanin._typing import Array, Floats, PathLike
from fanin.arrays import column_names
from fanin.augment import Compose
from fanin.augment.mixing import Mix
from fanin.callbacks import Callback, EarlyStopping
from fanin.estimators.rows import (
    KINDS,
    Part,
    dense,
    require_fitted,
    rows_to_predict,
    table,
    training_rows,
)
from fanin.network.options import NETWORK_OPTIONS, FitOptions
from fanin.optim import Optimizer
from fanin.preprocessing import Preprocess, TableEncoder
from fanin.schedules import Schedule
from fanin.training import StopOnRise

# The mean loss of fewer rows says nothing of when to stop: its standard error is about a fifth.
FEWEST_VALIDATION_ROWS = 20
# Up to here one step takes all rows, and the arithmetic is in float64: neither costs anything.
FEW_ROWS, ROWS_IN_FLOAT64 = 50, 1000

LOSSES = ("softmax", "svm", "logistic", "mse")  # of classifiers

_ARGUMENTS_OF_FIT = {"validation_data", "sample_weight", "initial_epoch"}
_ARGUMENTS_OF_FIT |= {"class_weight", "standardize_targets"}  # which estimators do themselves
FIT_PARAMETERS = tuple(f.name for f in fields(FitOptions) if f.name not in _ARGUMENTS_OF_FIT)


@dataclass(eq=False, repr=False)
class Net(BaseEstimator, ABC):
    """What all estimators of networks share: the options of `MLP` and of its `fit`, and the data.

    The names, and the defaults but for dtype, preprocess, epochs, schedule and progress, are those
    of `MLP` and `FitOptions`; a test compares them.
    """

    hidden_layer_sizes: int | Sequence[int] = (100,)
    _: KW_ONLY
    early_stopping: bool | str = "auto"
    validation_fraction: float = 0.1
    random_state: int | np.random.RandomState | None = None
    # Of the network
    activation: str | Sequence[str] = "relu"
    init: str | Callable[..., Array] = "kaiming"
    output_init: str | Callable[..., Array] | None = "small_random"
    keep: float | Sequence[float] = 1.0
    dropout_mode: str = "inverted"
    drop_connect: float | Sequence[float] = 1.0
    drop_connect_mask: str = "batch"
    drop_connect_inference: str = "mean"
    norm: str | None = None
    residual: bool = False
    dtype: str = "auto"
    compute: str | None = None
    # Of its fit
    epochs: int | str = "auto"
    batch_size: int | str | None = "auto"
    optimizer: str | Optimizer = "adam"
    reg: float = 0.0
    schedule: str | Schedule | None = "cosine"
    metrics: Sequence[str] = ()
    preprocess: Preprocess | None = "standardize"
    augment: Compose | None = None
    mix: Mix | None = None
    sampling: str = "epoch"
    clip_norm: float | None = None
    callbacks: Sequence[Callback] = ()
    checkpoint: PathLike | None = None
    resume: bool = False
    every: int | str = "30s"
    checkpoint_on_signal: bool = False
    progress: bool = False
    n_threads: int | None = None

    # What the kinds differ in.

    @abstractmethod
    def _encoded(self, X: Any, y: Any, reset: bool, learn: bool) -> tuple[Any, Array]:
        """X checked, y encoded; `reset` X's columns, and `learn` the kind of y, from these."""

    @abstractmethod
    def _learn_targets(self, part: Part) -> int:
        """What is kept of the targets; the network's width of output."""

    @abstractmethod
    def _network_targets(self, y: Array, dtype: Any) -> Array: ...

    @abstractmethod
    def __sklearn_is_fitted__(self) -> bool: ...

    def _row_weights(self, y: Array, weights: Array | None) -> Array | None:  # noqa: ARG002
        return weights

    def _check_weighted(self, part: Part) -> None:
        """Refuses rows to `fit` of which nothing could be learnt."""

    def _codes(self, y: Array) -> Array | None:  # noqa: ARG002
        """The classes that a network is told of, since its rows may lack some."""
        return None

    def _strata(self, y: Array, held_out: int) -> Array | None:  # noqa: ARG002
        """By what the validation rows are drawn."""
        return None

    # Data

    def _parts(
        self, X: Any, y: Any, sample_weight: Any, validation_data: Any
    ) -> tuple[Part, Part | None, int]:
        """Rows to train on, rows that decide when to stop, and a seed."""
        part = self._checked(X, y, sample_weight)
        self._check_weighted(part)
        random = check_random_state(self.random_state)
        seed = seed_of(random)
        if validation_data is not None:
            given = _validate.pair("validation_data", validation_data, "(X, y)")
            return part, self._checked(*given, None, reset=False, learn=False), seed
        size = self._validation_size(len(part))
        if size is None:
            return part, None, seed
        held_out = size if isinstance(size, int) else int(np.ceil(len(part) * size))
        rows, held_out = train_test_split(
            np.arange(len(part)),
            test_size=size,
            random_state=random,
            stratify=self._strata(part.y, held_out),
        )
        return part.take(rows), part.take(held_out), seed

    def _checked(
        self, X: Any, y: Any, sample_weight: Any, reset: bool = True, learn: bool = True
    ) -> Part:
        X, y = self._encoded(X, y, reset, learn)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        part = Part(training_rows(X), y, self._row_weights(y, weights))
        if part.weights is None or part.weights.all():
            return part
        if not part.weights.any():
            raise ValueError("sample_weight: expected a weight above zero, got only zeros")
        return part.take(np.flatnonzero(part.weights))

    def _check(self, X: Any, y: Any, reset: bool, **checks: Any) -> tuple[Any, Any]:
        if self._encoder_given() is not None:
            rows = self._table(X, reset)
            if y is None:
                kind = type(self).__name__
                raise ValueError(f"{kind} requires y to be passed, but the target y is None")
            y = _check_y(y, estimator=self, **checks)
            check_consistent_length(X, y)
            return rows, y
        images = self.augment is not None or self.mix is not None
        checks |= {"accept_sparse": ["csr", "csc"], "dtype": KINDS, "allow_nd": images}
        try:
            X, y = validate_data(self, X, y, reset=reset, **checks)
        except ValueError as error:
            if "could not convert string" not in str(error):
                raise
            raise ValueError(
                f"X: expected numbers, got text ({error}); fanin.estimators.TableEncoder() before "
                "the estimator in a pipeline makes features of columns of any kind"
            ) from None
        return X, y

    def _encoder_given(self) -> TableEncoder | None:
        """What makes features of a table, where it comes first."""
        steps = self.preprocess
        first = steps[0] if isinstance(steps, list | tuple) and len(steps) else steps
        return first if isinstance(first, TableEncoder) else None

    def _table(self, X: Any, reset: bool) -> Any:
        rows = table(self, X, None if reset else self._columns)
        if reset:
            self._columns: list[str] = list(column_names(rows) or rows.columns)
        return rows

    def _fit_encoder(self, part: Part) -> int:
        """Fits a copy of the encoder on training rows; how many features it makes."""
        given = self._encoder_given()
        assert given is not None
        self._encoder: TableEncoder = copy.deepcopy(given)
        if not self._encoder.__sklearn_is_fitted__():
            self._encoder.fit(part.X)
        return self._encoder.n_features_out_

    def _validation_size(self, n_rows: int) -> float | int | None:
        """The share of rows that are set aside, or how many, or None."""
        share = self.validation_fraction
        if self.early_stopping != "auto":
            return share if _validate.boolean("early_stopping", self.early_stopping) else None
        rows = int(n_rows * share)
        if rows >= FEWEST_VALIDATION_ROWS:
            return share
        return FEWEST_VALIDATION_ROWS if 2 * rows >= FEWEST_VALIDATION_ROWS else None

    # What `MLP` and its fit take

    def _network_options(self, part: Part) -> tuple[list[int], dict[str, Any]]:
        """Widths, and the other arguments of `MLP` but for the seed."""
        hidden = self.hidden_layer_sizes
        hidden = list(hidden) if isinstance(hidden, Iterable) else [hidden]
        options = {name: getattr(self, name) for name in NETWORK_OPTIONS if hasattr(self, name)}
        if options["dtype"] == "auto":
            few = len(part) <= ROWS_IN_FLOAT64 and self.compute is None
            options["dtype"] = "float64" if few else "float32"
        if self._encoder_given() is not None:
            width = self._fit_encoder(part)
        else:
            width = int(np.prod(part.X.shape[1:]))
        return [width, *hidden, self._learn_targets(part)], options

    def _fit_options(self, part: Part, held_out: Part | None, dtype: Any) -> dict[str, Any]:
        """The options of `MLP.fit`; objects with a state are copied, as parameters stay."""
        options = {name: copy.deepcopy(getattr(self, name)) for name in FIT_PARAMETERS}
        if options["batch_size"] == "auto" and len(part) <= FEW_ROWS:
            options["batch_size"] = None
        if part.weights is not None and _is(options["preprocess"], "standardize"):
            options["preprocess"] = weighted_standardization(dense(part.X), part.weights)
        if (given := self._encoder_given()) is not None:
            later = [] if self.preprocess is given else options["preprocess"][1:]
            options["preprocess"] = [self._encoder, *later]
        options["sample_weight"] = part.weights
        if held_out is not None:
            options["callbacks"] = [*options["callbacks"], *self._stopping(options)]
            options["validation_data"] = held_out.X, self._network_targets(held_out.y, dtype)
        return options

    def _stopping(self, options: Mapping[str, Any]) -> list[Callback]:
        """What stops a run with validation rows, unless `fit` or the user brings it."""
        given = any(isinstance(c, EarlyStopping | StopOnRise) for c in options["callbacks"])
        return [] if given or options["epochs"] == "auto" else [StopOnRise()]

    # Prediction

    def _outputs(self, X: Any, of_rows: Callable[[Array], Array]) -> Array:
        require_fitted(self)
        if self._encoder_given() is not None:
            return of_rows(self._table(X, reset=False))
        images = self.augment is not None or self.mix is not None
        checks: dict[str, Any] = {"dtype": KINDS, "allow_nd": images}
        blocks = [of_rows(block) for block in rows_to_predict(self, X, **checks)]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        encodes = self._encoder_given() is not None
        tags.input_tags.sparse = not encodes
        tags.input_tags.allow_nan = tags.input_tags.string = encodes
        tags.input_tags.categorical = encodes
        return tags


@dataclass(eq=False, repr=False)
class Classifier(ClassifierMixin, Net):
    """What the classifiers share: labels of any kind as classes of a network."""

    _: KW_ONLY
    loss: str = "softmax"
    label_smoothing: float = 0.0
    temperature: float = 1.0
    class_weight: Any = None

    def _encoded(self, X: Any, y: Any, reset: bool, learn: bool) -> tuple[Any, Array]:
        X, y = self._check(X, y, reset)
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        if learn:
            self.classes_: Array = unique_labels(y)
            if len(self.classes_) < 2:
                got = self.classes_.tolist()[0]
                raise ValueError(f"y: expected at least 2 classes, got 1 class, {got!r}")
        codes = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        strange = self.classes_[codes] != y
        if np.any(strange):
            got = y[strange].tolist()[0]
            raise ValueError(f"y: expected labels in classes_ ({self.classes_}), got {got!r}")
        return X, codes.astype(np.int32)

    def _row_weights(self, y: Array, weights: Array | None) -> Array | None:
        if self.class_weight is not None:
            by_class: Floats = compute_sample_weight(self.class_weight, self.classes_[y])
            weights = by_class if weights is None else by_class * weights
        return weights

    def _check_weighted(self, part: Part) -> None:
        if part.y.ndim == 1 and len(seen := np.unique(part.y)) == 1:
            raise ValueError(
                "sample_weight: expected rows of at least 2 classes with a weight above 0, "
                f"got only {self.classes_[seen].tolist()[0]!r}"
            )

    def _codes(self, y: Array) -> Array | None:
        return np.arange(len(self.classes_)) if y.ndim == 1 and self.loss != "mse" else None

    def _learn_targets(self, part: Part) -> int:  # noqa: ARG002
        _validate.one_of("loss", self.loss, LOSSES)
        if self.loss != "logistic":
            return len(self.classes_)
        if len(self.classes_) != 2:
            raise ValueError(
                f"loss: expected 2 classes with 'logistic', got {len(self.classes_)} classes"
            )
        return 1

    def _network_targets(self, y: Array, dtype: Any) -> Array:  # noqa: ARG002
        return y

    def _labels(self, predicted: Array) -> Array:
        """Of positions (N,), or of values (N, C), which are highest at them."""
        codes = predicted if predicted.ndim == 1 else predicted.argmax(axis=1)
        labels: Array = self.classes_[codes]
        return labels

    def _strata(self, y: Array, held_out: int) -> Array | None:
        counts = np.unique(y, return_counts=True)[1]
        return y if counts.min() > 1 and held_out >= len(counts) else None


def seed_of(random: np.random.RandomState) -> int:
    """One draw, as a seed of ours."""
    return int(random.randint(np.iinfo(np.int32).max))


def refuse_balanced(class_weight: Any) -> None:
    """Refuses what `partial_fit` cannot know."""
    if isinstance(class_weight, str):
        raise ValueError(
            "class_weight: expected a dict in partial_fit, where the classes' frequencies are "
            f"not known, got {class_weight!r}"
        )


def _is(value: object, name: str) -> bool:
    return isinstance(value, str) and value == name


def weighted_standardization(X: Array, weights: Array) -> tuple[Floats, Floats]:
    """Weighted mean and 1 / deviation of each column; 1 where it is constant."""
    rows = X.reshape(len(X), -1)
    mean = np.average(rows, axis=0, weights=weights).astype(np.float64)
    deviation = np.sqrt(np.average(np.square(rows - mean), axis=0, weights=weights))
    constant = deviation <= 1e-14 * np.abs(mean) * np.sqrt(len(rows))
    return mean, 1 / np.where(constant, 1.0, deviation)


PARAMETERS = f"""\
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer.
    early_stopping : bool or "auto", default="auto"
        Whether rows are set aside, whose loss decides when training stops and which epoch's
        parameters are kept (`fanin.training.StopOnRise`). "auto" where they would be at least
        half of {FEWEST_VALIDATION_ROWS}, and then at least {FEWEST_VALIDATION_ROWS} are: the mean
        loss of fewer is known to about a fifth only.
    validation_fraction : float, default=0.1
        Of the rows, set aside.
    random_state : int, RandomState or None, default=None
        The network's seed and the validation rows are drawn from it.
    dtype : "auto", "float32" or "float64"
        "auto" is float64 for up to {ROWS_IN_FLOAT64} rows, else, and with `compute`, float32.
    batch_size : "auto", int or None
        As of `MLP.fit`, but "auto" takes all of up to {FEW_ROWS} rows.
    epochs, schedule, preprocess
        By default "auto", "cosine" and "standardize". With a `fanin.preprocessing.TableEncoder` X
        is a frame, or an array of objects; it is fitted on the rows that are trained on.
    **options
        All else that `fanin.MLP` and its `fit` take, by the same names.
"""

ATTRIBUTES = """\
    net_ : MLP
        The trained network.
    history_ : History
        Of the last fit.
    n_iter_ : int
        Epochs.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X has names of columns.
"""


def nearest_median(values: Array, levels: Sequence[float]) -> Array:
    """Of several quantiles, on the last axis, the one nearest to the median."""
    if len(levels) == 1:
        return values
    middle: Array = values[..., int(np.abs(np.array(levels) - 0.5).argmin())]
    return middle


def documented(kind: type) -> None:
    kind.__doc__ = (
        (kind.__doc__ or "")
        .replace("    {parameters}\n", PARAMETERS)
        .replace("    {attributes}\n", ATTRIBUTES)
    )
