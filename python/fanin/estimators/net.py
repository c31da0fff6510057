"""`NetClassifier` and `NetRegressor`: `fanin.MLP` as estimators, with this package's defaults."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
import scipy.sparse
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels

from fanin import _validate, optim
from fanin._typing import Array, Floats
from fanin.callbacks import History
from fanin.estimators.net_base import (
    Classifier,
    Net,
    documented,
    nearest_median,
    refuse_balanced,
    seed_of,
    weighted_standardization,
)
from fanin.estimators.rows import Part, require_fitted
from fanin.losses.spec import OF_VALUES, LossSpec
from fanin.network import MLP
from fanin.network.classes import given_classes
from fanin.network.options import CHECKPOINT_OPTIONS

__all__ = ["NetClassifier", "NetRegressor"]


class _Single(Net, ABC):
    """An estimator of one network."""

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
        part, held_out, seed = self._parts(X, y, sample_weight, validation_data)
        self._begin(part, seed)
        return self._train(part, self._fit_options(part, held_out, self.net_.dtype))

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
            self._begin(part, seed_of(check_random_state(self.random_state)))
        options = self._fit_options(part, None, self.net_.dtype) | {"epochs": 1, "schedule": None}
        for name in CHECKPOINT_OPTIONS:  # the caller keeps the estimator between calls
            options.pop(name)
        if not first:
            options["preprocess"] = "auto"  # what the first call has fitted
        return self._train(part, options)

    def _begin(self, part: Part, seed: int) -> None:
        dims, options = self._network_options(part)
        self.net_: MLP = MLP(dims, seed=seed, classes=self._codes(part.y), **options)
        self._optimizer = optim.get(copy.deepcopy(self.optimizer))

    def _train(self, part: Part, options: dict[str, Any]) -> Self:
        y = self._network_targets(part.y, self.net_.dtype)
        options["standardize_targets"] = False  # they are already, by the rows' weights
        self.history_: History = self.net_.fit(
            part.X, y, **options | {"optimizer": self._optimizer}
        )
        self.n_iter_: int = self.net_.epochs_done
        return self

    @property
    def network_(self) -> MLP:
        """A copy of `net_` that predicts what the estimator does: to save or export."""
        require_fitted(self)
        net = self.net_.copy()
        self._complete(net)
        return net

    @abstractmethod
    def _complete(self, net: MLP) -> None:
        """Gives the network what the estimator knows of its targets."""

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

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


def takes_probabilities(estimator: Any) -> bool:
    """Whether the loss gives some; raises where it does not."""
    if estimator.loss in ("softmax", "logistic"):
        return True
    raise AttributeError(
        f"predict_proba: expected loss='softmax' or 'logistic', this is {estimator.loss!r}"
    )


@dataclass(eq=False, repr=False)
class NetClassifier(Classifier, _Single):
    """A classifier with this package's defaults: what a newcomer should take.

    Inputs are standardised, Adam's rate falls along a cosine, training stops where the validation
    loss rises, and batch size and epochs suit the number of rows.

    Parameters
    ----------
    {parameters}
    loss : {'softmax', 'svm', 'logistic', 'mse'}, default='softmax'
        'logistic' is of two classes. Where rows have several labels it is always 'logistic'.
    label_smoothing, temperature
        Of `fanin.MLP`.
    class_weight : dict, 'balanced' or None, default=None
        Of the classes, a factor of `sample_weight`.

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
        refuse_balanced(self.class_weight)
        first = not hasattr(self, "net_")
        if first:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self.classes_: Array = unique_labels(classes)
            if len(self.classes_) < 2:
                got = self.classes_.tolist()
                raise ValueError(f"classes: expected at least 2 classes, got {got}")
        elif classes is not None and not np.array_equal(unique_labels(classes), self.classes_):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{self.classes_!r}"
            )
        return self._partial_fit(X, y, sample_weight, first, learn=False)

    def predict(self, X: Any) -> Array:
        """Labels (N,), or 0 and 1 of each label (N, L)."""
        predicted = self._outputs(X, lambda rows: self.net_.predict(rows))
        several = predicted.dtype == bool
        return predicted.astype(np.int64) if several else self._labels(predicted)

    @available_if(takes_probabilities)
    def predict_proba(self, X: Any) -> Array:
        """Probabilities of `classes_`, (N, C)."""
        return self._outputs(X, lambda rows: self.net_.predict_proba(rows))

    @available_if(takes_probabilities)
    def predict_log_proba(self, X: Any) -> Array:
        """``log(predict_proba(X))``, with softmax without its underflow."""
        require_fitted(self)
        if self.net_.loss_name != "softmax":
            with np.errstate(divide="ignore"):
                logs: Array = np.log(self.predict_proba(X))
            return logs
        targets = self.net_.targets
        scores = self._outputs(X, lambda rows: targets.outputs(self.net_.scores(rows)))
        scores = scores.astype(np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return scores

    def _complete(self, net: MLP) -> None:
        if net.targets.kind in ("labels", "binary"):
            net.take_classes(given_classes(self.classes_, net.targets.n_classes))

    # Several labels a row

    def _encoded(self, X: Any, y: Any, reset: bool, learn: bool) -> tuple[Any, Array]:
        with np.errstate(invalid="ignore"):  # NaN, which is then refused
            kind = "" if y is None else type_of_target(y, input_name="y", raise_unknown=False)
        if not kind.startswith("multilabel"):
            return super()._encoded(X, y, reset, learn)
        if self.loss not in ("softmax", "logistic"):
            raise ValueError(f"loss: expected 'logistic' of several labels, got {self.loss!r}")
        X, y = self._check(X, y, reset, multi_output=True)
        y = y.toarray() if scipy.sparse.issparse(y) else y
        if learn:
            self.classes_ = np.arange(y.shape[1])
        if y.shape[1] != len(self.classes_):
            raise ValueError(f"y: expected {len(self.classes_)} labels, got {y.shape[1]}")
        return X, y.astype(np.float64)

    def _row_weights(self, y: Array, weights: Array | None) -> Array | None:
        if y.ndim == 1:
            return super()._row_weights(y, weights)
        if self.class_weight is None:
            return weights
        by_class: Array = compute_sample_weight(self.class_weight, y)
        return by_class if weights is None else by_class * weights

    def _learn_targets(self, part: Part) -> int:
        return super()._learn_targets(part) if part.y.ndim == 1 else len(self.classes_)

    def _network_options(self, part: Part) -> tuple[list[int], dict[str, Any]]:
        dims, options = super()._network_options(part)
        return dims, options if part.y.ndim == 1 else options | {"loss": "logistic"}

    def _strata(self, y: Array, held_out: int) -> Array | None:
        return super()._strata(y, held_out) if y.ndim == 1 else None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@dataclass(eq=False, repr=False)
class NetRegressor(RegressorMixin, _Single):
    """A regressor with this package's defaults, those of `NetClassifier`.

    Targets are standardised too: a network's weights and rates are made for values around 1.

    Parameters
    ----------
    {parameters}
    loss : {'mse', 'half_squared_error', 'mae', 'huber', 'quantile', 'poisson'}, default='mse'
    huber_delta : float, default=1.0
        With 'huber', in deviations of y.
    quantiles : float or sequence of float or None, default=None
        With 'quantile': the levels, of which several are predicted at once; None is the median.

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

    _: KW_ONLY
    loss: str = "mse"
    huber_delta: float = 1.0
    quantiles: float | Sequence[float] | None = None

    def predict(self, X: Any) -> Array:
        """Values, (N,) or (N, n_outputs), in the units of y; with Q quantiles ... (..., Q)."""
        outputs = self._outputs(X, lambda rows: self.net_.predict(rows))
        mean, scale = self.y_mean_, self.y_scale_
        if outputs.ndim == 3:
            mean, scale = mean[:, None], scale[:, None]
        values: Array = outputs * scale + mean
        return values.ravel() if self._flat and len(self._levels()) == 1 else values

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R², of several quantiles that of the one nearest to the median."""
        values = nearest_median(self.predict(X), self._levels())
        return float(r2_score(y, values, sample_weight=sample_weight))

    def _complete(self, net: MLP) -> None:
        net.targets = net.targets.with_units(self.y_mean_.copy(), self.y_scale_.copy())

    def _levels(self) -> Sequence[float]:
        return self.net_.targets.loss.levels

    def _encoded(self, X: Any, y: Any, reset: bool, learn: bool) -> tuple[Any, Array]:
        X, y = self._check(X, y, reset, multi_output=True, y_numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if learn:
            self._flat = y.ndim == 1
        return X, y.reshape(len(y), -1)

    def _learn_targets(self, part: Part) -> int:
        _validate.one_of("loss", self.loss, OF_VALUES)
        weights = np.ones(len(part)) if part.weights is None else part.weights
        if self.loss == "poisson":
            mean = np.average(part.y, axis=0, weights=weights)
            self.y_mean_: Floats = np.zeros_like(mean)
            self.y_scale_: Floats = np.where(mean > 0, mean, 1.0)
        else:
            self.y_mean_, inverse = weighted_standardization(part.y, weights)
            self.y_scale_ = 1 / inverse
        spec = LossSpec(self.loss, quantiles=self.quantiles)
        return int(part.y.shape[1]) * len(spec.levels)

    def _network_targets(self, y: Array, dtype: Any) -> Array:
        scaled: Array = (y - self.y_mean_) / self.y_scale_
        return scaled.astype(dtype)


documented(NetClassifier)
documented(NetRegressor)
