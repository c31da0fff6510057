"""`NetClassifier` and `NetRegressor`: `fanin.MLP` as estimators, with this package's defaults."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from fanin import _validate, optim
from fanin._typing import Array, Floats
from fanin.callbacks import Callback, EarlyStopping
from fanin.estimators.rows import KINDS, dense, rows_to_predict
from fanin.network import MLP
from fanin.network.options import CHECKPOINT_OPTIONS, NETWORK_OPTIONS, FitOptions
from fanin.training import StopOnRise

__all__ = ["NetClassifier", "NetRegressor"]

# The mean loss of so few rows says nothing of when to stop: its standard error is about a fifth.
FEWEST_VALIDATION_ROWS = 20
# Up to here one step takes all rows, and the arithmetic is in float64: neither costs anything.
FEW_ROWS, ROWS_IN_FLOAT64 = 50, 1000

_ARGUMENTS_OF_FIT = {"validation_data", "sample_weight", "initial_epoch"}
_DEFAULTS: dict[str, Any] = {
    "dtype": "auto",
    "preprocess": "standardize",
    "epochs": "auto",
    "schedule": "cosine",
    "progress": False,
}
_OWN: dict[str, Any] = {
    "hidden_layer_sizes": (100,),
    "early_stopping": "auto",
    "validation_fraction": 0.1,
    "random_state": None,
}


def _parameters(left_out: set[str]) -> dict[str, Any]:
    """All parameters with their defaults: ours, the network's, and those of `MLP.fit`."""
    arguments = inspect.signature(MLP).parameters
    network = {name: arguments[name].default for name in NETWORK_OPTIONS}
    fit = {f.name: f.default for f in fields(FitOptions) if f.name not in _ARGUMENTS_OF_FIT}
    every = {**_OWN, **network, **fit, **_DEFAULTS}
    return {name: value for name, value in every.items() if name not in left_out}


def _constructor(parameters: Mapping[str, Any]) -> Callable[..., None]:
    """An ``__init__`` of these parameters, the first of which may be given by position."""
    kinds = inspect.Parameter
    own = [kinds("self", kinds.POSITIONAL_ONLY)]
    for i, (name, default) in enumerate(parameters.items()):
        kind = kinds.KEYWORD_ONLY if i else kinds.POSITIONAL_OR_KEYWORD
        own.append(kinds(name, kind, default=default))
    signature = inspect.Signature(own)

    def __init__(*args: Any, **keywords: Any) -> None:  # noqa: N807
        given = signature.bind(*args, **keywords)
        given.apply_defaults()
        self = given.arguments.pop("self")
        for name, value in given.arguments.items():
            setattr(self, name, value)

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    return __init__


@dataclass
class _Part:
    """Rows with their encoded targets and weights."""

    X: Array
    y: Array
    weights: Array | None

    def take(self, rows: Array) -> _Part:
        weights = None if self.weights is None else self.weights[rows]
        return _Part(self.X[rows], self.y[rows], weights)


class _Net(BaseEstimator):
    """What the classifier and the regressor share."""

    # What the two kinds differ in.

    def _encoded(self, X: Any, y: Any, reset: bool, learn: bool) -> tuple[Any, Array]:
        """X checked, y encoded; `reset` X's columns, and `learn` the kind of y, from these."""
        raise NotImplementedError

    def _learn_targets(self, part: _Part) -> int:
        """What is kept of the targets; the network's width of output."""
        raise NotImplementedError

    def _network_targets(self, y: Array) -> Array:
        raise NotImplementedError

    def _row_weights(self, y: Array, weights: Array | None) -> Array | None:  # noqa: ARG002
        return weights

    def _strata(self, y: Array) -> Array | None:
        """By what the validation rows are drawn."""
        raise NotImplementedError

    # Fitting

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        validation_data: tuple[Any, Any] | None = None,
    ) -> Self:
        """Trains a new network.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional
            Rows of weight 0 count as absent.
        validation_data : (X, y), optional
            Decides when to stop, instead of rows set aside.
        """
        part = self._checked(X, y, sample_weight)
        random = check_random_state(self.random_state)
        seed = int(random.randint(np.iinfo(np.int32).max))
        held_out: _Part | None = None
        if validation_data is not None:
            given = _validate.pair("validation_data", validation_data, "(X, y)")
            held_out = self._checked(*given, None, reset=False, learn=False)
        elif self._sets_rows_aside(len(part.y)):
            part, held_out = self._split(part, random)
        self.net_ = self._new_network(part, seed)
        self._optimizer = optim.get(copy.deepcopy(self.optimizer))
        self._train(part, held_out, self._options(part, held_out))
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One epoch on these rows, from where the network stands.

        The first call makes the network, and fixes how X enters it. The learning rate stays, and
        no rows are set aside.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        """
        first = not hasattr(self, "net_")
        return self._partial_fit(X, y, sample_weight, first, learn=first)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, first: bool, learn: bool) -> Self:
        part = self._checked(X, y, sample_weight, reset=first, learn=learn)
        if first:
            seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
            self.net_ = self._new_network(part, int(seed))
            self._optimizer = optim.get(copy.deepcopy(self.optimizer))
        options = self._options(part, None) | {"epochs": 1, "schedule": None}
        for name in CHECKPOINT_OPTIONS:  # the caller keeps the estimator between calls
            options.pop(name, None)
        if not first:
            options["preprocess"] = "auto"  # what the first call has fitted
        self._train(part, None, options)
        return self

    def _checked(
        self, X: Any, y: Any, sample_weight: Any, reset: bool = True, learn: bool = True
    ) -> _Part:
        X, y = self._encoded(X, y, reset, learn)
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        part = _Part(dense(X), y, self._row_weights(y, weights))
        if part.weights is None or part.weights.all():
            return part
        if not part.weights.any():
            raise ValueError("sample_weight: expected a weight above zero, got only zeros")
        return part.take(np.flatnonzero(part.weights))

    def _check(self, X: Any, y: Any, reset: bool, **checks: Any) -> tuple[Any, Any]:
        images = self.augment is not None or self.mix is not None
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            dtype=KINDS,
            allow_nd=images,
            reset=reset,
            **checks,
        )
        return X, y

    def _sets_rows_aside(self, n_rows: int) -> bool:
        if self.early_stopping == "auto":
            return int(n_rows * self.validation_fraction) >= FEWEST_VALIDATION_ROWS
        return _validate.boolean("early_stopping", self.early_stopping)

    def _split(self, part: _Part, random: Any) -> tuple[_Part, _Part]:
        rows, held_out = train_test_split(
            np.arange(len(part.y)),
            test_size=self.validation_fraction,
            random_state=random,
            stratify=self._strata(part.y),
        )
        return part.take(rows), part.take(held_out)

    def _new_network(self, part: _Part, seed: int) -> MLP:
        hidden = self.hidden_layer_sizes
        hidden = list(hidden) if np.iterable(hidden) else [hidden]
        options = {name: getattr(self, name) for name in NETWORK_OPTIONS if hasattr(self, name)}
        if options["dtype"] == "auto":
            few = len(part.y) <= ROWS_IN_FLOAT64 and options.get("compute") is None
            options["dtype"] = "float64" if few else "float32"
        width = int(np.prod(part.X.shape[1:]))
        return MLP(
            [width, *hidden, self._learn_targets(part)], seed=seed, **self._loss(), **options
        )

    def _loss(self) -> dict[str, Any]:
        return {}

    def _options(self, part: _Part, held_out: _Part | None) -> dict[str, Any]:
        """The arguments of `MLP.fit`; objects with a state are copied, as parameters stay."""
        names = {f.name for f in fields(FitOptions)} - _ARGUMENTS_OF_FIT - {"class_weight"}
        options = {n: copy.deepcopy(getattr(self, n)) for n in names if hasattr(self, n)}
        options["optimizer"] = self._optimizer
        if options["batch_size"] == "auto" and len(part.y) <= FEW_ROWS:
            options["batch_size"] = None
        if part.weights is not None and _is(options["preprocess"], "standardize"):
            options["preprocess"] = _weighted_standardization(part.X, part.weights)
        if held_out is not None:
            options["callbacks"] = [*options["callbacks"], *self._stopping(options)]
        return options

    def _stopping(self, options: Mapping[str, Any]) -> list[Callback]:
        """What stops a run with validation rows, unless `fit` or the user brings it."""
        given = any(isinstance(c, EarlyStopping | StopOnRise) for c in options["callbacks"])
        return [] if given or options["epochs"] == "auto" else [StopOnRise()]

    def _train(self, part: _Part, held_out: _Part | None, options: dict[str, Any]) -> None:
        if held_out is not None:
            options["validation_data"] = held_out.X, self._network_targets(held_out.y)
        y = self._network_targets(part.y)
        self.history_ = self.net_.fit(part.X, y, sample_weight=part.weights, **options)
        self.n_iter_ = self.net_.epochs_done

    # Prediction

    def _outputs(self, X: Any, of_rows: Callable[[Array], Array]) -> Array:
        check_is_fitted(self)
        images = self.augment is not None or self.mix is not None
        checks: dict[str, Any] = {"dtype": KINDS, "allow_nd": images}
        blocks = [of_rows(block) for block in rows_to_predict(self, X, **checks)]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "_optimizer" in state:  # the rule in it is the core's, which not every protocol knows
            state["_optimizer"] = state["_optimizer"].state_dict()
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        own = dict(state)
        if "_optimizer" in own:
            held = own["_optimizer"]
            own["_optimizer"] = optim.get(held["name"])
            own["_optimizer"].load_state_dict(held)
        super().__setstate__(own)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _is(value: object, name: str) -> bool:
    return isinstance(value, str) and value == name


def _weighted_standardization(X: Array, weights: Array) -> tuple[Floats, Floats]:
    """Weighted mean and 1 / deviation of each column; 1 where it is constant."""
    rows = X.reshape(len(X), -1)
    mean = np.average(rows, axis=0, weights=weights).astype(np.float64)
    deviation = np.sqrt(np.average(np.square(rows - mean), axis=0, weights=weights))
    constant = deviation <= 1e-14 * np.abs(mean) * np.sqrt(len(rows))
    return mean, 1 / np.where(constant, 1.0, deviation)


def _takes_probabilities(estimator: Any) -> bool:
    if estimator.loss == "softmax":
        return True
    raise AttributeError(f"predict_proba: expected loss='softmax', this is {estimator.loss!r}")


_PARAMETERS = f"""\
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer.
    early_stopping : bool or "auto", default="auto"
        Whether rows are set aside, whose loss decides when training stops and which epoch's
        parameters are kept (`fanin.training.StopOnRise`). "auto" where they would be
        {FEWEST_VALIDATION_ROWS} at least: the mean loss of fewer is known to about a fifth only.
    validation_fraction : float, default=0.1
        Of the rows, set aside.
    random_state : int, RandomState or None, default=None
        The network's seed and the validation rows are drawn from it.
    dtype : "auto", "float32" or "float64"
        "auto" is float64 for up to {ROWS_IN_FLOAT64} rows, else float32.
    batch_size : "auto", int or None
        As of `MLP.fit`, but "auto" takes all of up to {FEW_ROWS} rows.
    epochs, schedule, preprocess
        By default "auto", "cosine" and "standardize".
    **options
        All else that `fanin.MLP` and its `fit` take, by the same names.
"""

_ATTRIBUTES = """\
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


def _documented(kind: type) -> None:
    kind.__doc__ = (
        (kind.__doc__ or "")
        .replace("    {parameters}\n", _PARAMETERS)
        .replace("    {attributes}\n", _ATTRIBUTES)
    )


class NetClassifier(ClassifierMixin, _Net):
    """A classifier with this package's defaults: what a newcomer should take.

    Inputs are standardised, Adam's rate falls along a cosine, training stops where the validation
    loss rises, and batch size and epochs suit the number of rows.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray
        Labels, in the order of the columns of `predict_proba`.
    {attributes}

    Examples
    --------
    >>> import fanin
    >>> from fanin.estimators import NetClassifier
    >>> (X, y), (X_test, y_test) = fanin.datasets.load("digits")
    >>> X, X_test = X.reshape(len(X), -1), X_test.reshape(len(X_test), -1)  # rows of pixels
    >>> net = NetClassifier((64,), keep=0.9, random_state=0).fit(X, y)
    >>> net.score(X_test, y_test) > 0.95
    True
    """

    __init__ = _constructor(_parameters(set()))

    def partial_fit(  # `classes`, as scikit-learn's classifiers have it
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> Self:
        """One epoch on these rows, from where the network stands.

        The first call makes the network, and fixes how X enters it. The learning rate stays, and
        no rows are set aside.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like of shape (n_classes,), optional
            All labels that will come; needed in the first call.
        """
        first = not hasattr(self, "net_")
        if first:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self.classes_ = unique_labels(classes)
        elif classes is not None and not np.array_equal(unique_labels(classes), self.classes_):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{self.classes_!r}"
            )
        return self._partial_fit(X, y, sample_weight, first, learn=False)

    def predict(self, X: Any) -> Array:
        """Labels, (N,)."""
        codes = self._outputs(X, lambda rows: self.net_.scores(rows).argmax(axis=1))
        labels: Array = self.classes_[codes]
        return labels

    @available_if(_takes_probabilities)
    def predict_proba(self, X: Any) -> Array:
        """Probabilities of `classes_`, (N, C)."""
        return self._outputs(X, lambda rows: self.net_.predict_proba(rows))

    @available_if(_takes_probabilities)
    def predict_log_proba(self, X: Any) -> Array:
        """``log(predict_proba(X))``, without its underflow."""
        scores = self._outputs(X, lambda rows: self.net_.scores(rows)).astype(np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return scores

    def _encoded(self, X: Any, y: Any, reset: bool, learn: bool) -> tuple[Any, Array]:
        X, y = self._check(X, y, reset)
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        if learn:
            self.classes_ = unique_labels(y)
            if len(self.classes_) < 2:
                raise ValueError(f"y: expected at least 2 classes, got 1 class, {y[0]!r}")
        codes = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        strange = self.classes_[codes] != y
        if np.any(strange):
            raise ValueError(
                f"y: expected labels in classes_ ({self.classes_}), got {y[strange.argmax()]!r}"
            )
        return X, codes.astype(np.int32)

    def _row_weights(self, y: Array, weights: Array | None) -> Array | None:
        if self.class_weight is None:
            return weights
        by_class: Floats = compute_sample_weight(self.class_weight, self.classes_[y])
        return by_class if weights is None else by_class * weights

    def _learn_targets(self, part: _Part) -> int:  # noqa: ARG002
        return len(self.classes_)

    def _network_targets(self, y: Array) -> Array:
        return y

    def _strata(self, y: Array) -> Array | None:
        counts = np.unique(y, return_counts=True)[1]
        held_out = int(np.ceil(len(y) * self.validation_fraction))
        return y if counts.min() > 1 and held_out >= len(counts) else None


class NetRegressor(RegressorMixin, _Net):
    """A regressor with this package's defaults, those of `NetClassifier`.

    Targets are standardised too: a network's weights and rates are made for values around 1.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    y_mean_, y_scale_ : ndarray
        Of each target.
    {attributes}

    Examples
    --------
    >>> import numpy as np
    >>> from fanin.estimators import NetRegressor
    >>> X = np.linspace(-1, 1, 200).reshape(-1, 1)
    >>> net = NetRegressor(random_state=0).fit(X, 1000 * X.ravel() ** 2)
    >>> net.score(X, 1000 * X.ravel() ** 2) > 0.95
    True
    """

    __init__ = _constructor(_parameters({"loss", "class_weight"}))

    def predict(self, X: Any) -> Array:
        """Values, (N,) or (N, n_outputs), in the units of y."""
        outputs = self._outputs(X, lambda rows: self.net_.scores(rows))
        values = outputs * self.y_scale_ + self.y_mean_
        return values.ravel() if self._flat else values

    def _loss(self) -> dict[str, Any]:
        return {"loss": "mse"}

    def _encoded(self, X: Any, y: Any, reset: bool, learn: bool) -> tuple[Any, Array]:
        X, y = self._check(X, y, reset, multi_output=True, y_numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if learn:
            self._flat = y.ndim == 1
        return X, y.reshape(len(y), -1)

    def _learn_targets(self, part: _Part) -> int:
        mean, inverse = (
            _weighted_standardization(part.y, np.ones(len(part.y)))
            if part.weights is None
            else _weighted_standardization(part.y, part.weights)
        )
        self.y_mean_, self.y_scale_ = mean, 1 / inverse
        return len(mean)

    def _network_targets(self, y: Array) -> Array:
        scaled = (y - self.y_mean_) / self.y_scale_
        return scaled.astype(self.net_.dtype)

    def _strata(self, y: Array) -> None:  # noqa: ARG002
        return None


_documented(NetClassifier)
_documented(NetRegressor)
