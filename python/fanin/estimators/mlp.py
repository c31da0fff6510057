"""`MLPClassifier` and `MLPRegressor`: scikit-learn's, number by number, on the native engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import pairwise
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.validation import _check_sample_weight, validate_data

from fanin import _core, _validate, losses
from fanin._core import TrainingData
from fanin._typing import Array
from fanin.estimators import solvers, stochastic
from fanin.estimators.compiled import Compiled, Structure
from fanin.estimators.net_base import nearest_median, refuse_balanced, seed_of
from fanin.estimators.parameters import ALIASES, CONSTRAINTS, NAMES, Parameters, documented
from fanin.estimators.rows import Part, require_fitted, rows_to_predict, training_rows
from fanin.losses.spec import LossSpec
from fanin.network import MLP

__all__ = ["MLPClassifier", "MLPRegressor"]

CHECKS: dict[str, Any] = {
    "accept_sparse": ["csr", "csc"],
    "multi_output": True,
    "dtype": (np.float64, np.float32),
}
SIGMOIDS = ("logistic", "sigmoid")
# What a user who sets weights by hand, as scikit-learn's own tests do, leaves out.
UNSET: dict[str, Any] = {"stopped_": False, "validation_scores_": None}
Targets = tuple[Array | None, Array | None]  # labels (N,), or soft targets (N, C)


def _is_stochastic(estimator: Any) -> bool:
    if estimator.solver in ("sgd", "adam"):
        return True
    raise AttributeError(
        "partial_fit is only available for stochastic optimizers. "
        f"{estimator.solver} is not stochastic."
    )


def _has_probabilities(estimator: Any) -> bool:
    if estimator.loss == "log_loss":
        return True
    raise AttributeError(f"predict_proba: expected loss='log_loss', this is {estimator.loss!r}")


class _MLP(Parameters, ABC):
    """What the classifier and the regressor share."""

    _seed = _steps_done = 0  # of dropout
    hidden_layer_sizes: Any
    activation: Any
    loss: Any

    # What the two kinds differ in.

    @abstractmethod
    def _check_data(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        """X, and y encoded: codes (N,) or rows (N, C)."""

    @abstractmethod
    def _check_validation(self, X: Any, y: Any) -> tuple[Any, Array]:
        """As `_check_data`, of rows that judge a fit."""

    @abstractmethod
    def _n_outputs(self, y: Array) -> int: ...

    @abstractmethod
    def _out_activation(self) -> str: ...

    def _loss_parameters(self) -> tuple[Any, ...]:
        """By which `_engine_loss` may change."""
        return (self.loss,)

    @abstractmethod
    def _targets(self, y: Array, dtype: np.dtype[Any]) -> Targets: ...

    @abstractmethod
    def _score_of(self, X: Any, y: Array, sample_weight: Array | None) -> float:
        """Of encoded targets, for early stopping."""

    def _with_class_weights(self, y: Array, weights: Array | None, incremental: bool) -> Any:  # noqa: ARG002
        """The weights of the rows, of encoded targets."""
        return weights

    # Fitting

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, validation_data: Any, incremental: bool = False
    ) -> Self:
        hidden = self.hidden_layer_sizes
        hidden = list(hidden) if hasattr(hidden, "__iter__") else [hidden]
        if np.any(np.array(hidden) <= 0):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        X, y = self._check_data(X, y, incremental, reset=first)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        sample_weight = self._with_class_weights(y, sample_weight, incremental)
        given = None
        if validation_data is not None:
            given = self._validation_part(validation_data)
        self.n_outputs_: int = self._n_outputs(y)
        self._random_state = check_random_state(self.random_state)
        if first:
            own = X.dtype if self.compute is None else np.float32
            dtype = np.dtype(own if self.dtype == "auto" else self.dtype)
            self._initialize([X.shape[1], *hidden, self.n_outputs_], dtype)
        for name, value in UNSET.items():
            self.__dict__.setdefault(name, value)
        part = Part(training_rows(X), y, sample_weight)
        if self.solver == "lbfgs":
            self._fit_lbfgs(part, given)
        else:
            stochastic.fit(self, part, given, incremental)
        if not self._compiled().is_finite():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed."
            )
        return self

    def _validation_part(self, validation_data: Any) -> Part:
        if len(_validate.sequence("validation_data", validation_data, "(X, y)")) not in (2, 3):
            raise ValueError(
                "validation_data: expected (X, y) or (X, y, sample_weight), "
                f"got {len(validation_data)} of them"
            )
        X, y, *weights = validation_data
        X, y = self._check_validation(X, y)
        weight = None
        if weights and weights[0] is not None:
            weight = _check_sample_weight(weights[0], X)
        return Part(training_rows(X), y, weight)

    def _initialize(self, units: list[int], dtype: np.dtype[Any]) -> None:
        """Glorot and Bengio's uniform weights (2010), biases too, from `random_state`."""
        self.n_iter_: int = 0
        self.t_ = 0
        self.n_layers_: int = len(units)
        self.out_activation_: str = self._out_activation()
        self.coefs_: list[Array] = []
        self.intercepts_: list[Array] = []
        self.extra_parameters_: dict[str, Array] = {}
        activations = _validate.per_layer("activation", self.activation, len(units) - 2, _any)
        activations = [*activations, *(activations[-1:] or [self.activation])]
        for activation, (fan_in, fan_out) in zip(activations, pairwise(units), strict=True):
            factor = 2.0 if activation in SIGMOIDS else 6.0
            bound = np.sqrt(factor / (fan_in + fan_out))
            weights = self._random_state.uniform(-bound, bound, (fan_in, fan_out))
            biases = self._random_state.uniform(-bound, bound, fan_out)
            self.coefs_.append(weights.astype(dtype, copy=False))
            self.intercepts_.append(biases.astype(dtype, copy=False))
        self._seed = self._steps_done = 0
        if np.min(self.keep, initial=1.0) < 1:  # else no number is drawn, as in scikit-learn
            self._seed = seed_of(self._random_state)
        self._best: Array | None = self._compiled().arena.copy()
        if self.solver == "lbfgs":
            return
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        self.stopped_ = False
        self.__dict__.pop("validation_loss_curve_", None)
        if self.early_stopping:
            self.validation_scores_: list[float] | None = []
            self.best_validation_score_: float | None = -np.inf
            self.best_loss_: float | None = None
        else:
            self.best_loss_ = np.inf
            self.validation_scores_ = None
            self.best_validation_score_ = None

    def _compiled(self) -> Compiled:
        """The compiled network of the parameters that the attributes have now."""
        held: Compiled | None = self.__dict__.get("_network")
        others = self.__dict__.setdefault("extra_parameters_", {})
        network = self.activation, self.keep, self.norm, self.residual, self.compute
        made_of = (*network, self.out_activation_, *self._loss_parameters())
        if (
            held is None
            or self.__dict__["_made_of"] != made_of
            or not held.holds(self.coefs_, self.intercepts_, others)
        ):
            held = Compiled(self.coefs_, self.intercepts_, others, self._structure())
            self.coefs_, self.intercepts_ = list(held.coefs), list(held.intercepts)
            self.extra_parameters_ = held.others
            held.engine.steps_done = self._steps_done
            self._network, self._made_of = held, made_of
        return held

    def _structure(self) -> Structure:
        hidden = len(self.coefs_) - 1
        return Structure(
            tuple(_validate.per_layer("activation", self.activation, hidden, _activation)),
            self._engine_loss(),
            tuple(_validate.per_layer("keep", self.keep, hidden, _validate.keep_probability)),
            self.norm,
            self.residual,
            self.compute,
        )

    @abstractmethod
    def _engine_loss(self) -> Any:
        """The engine's loss: its name, or with options."""

    def _outputs_of_mean(self) -> int:
        """Over how many outputs the loss is a mean (the gradient is that of the sum)."""
        return self.n_outputs_ if self.loss == "squared_error" else 1

    def _fit_lbfgs(self, part: Part, given: Part | None) -> None:
        self._refuse_with_lbfgs(given)
        # In float64 whatever X is, as SciPy has it.
        self.coefs_ = [w.astype(np.float64, copy=False) for w in self.coefs_]
        self.intercepts_ = [b.astype(np.float64, copy=False) for b in self.intercepts_]
        result = solvers.minimize(
            self._compiled(),
            self._training_data(part),
            self.alpha,
            self._outputs_of_mean(),
            {"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol},
            _validate.threads(self.n_threads),
        )
        self.n_iter_ = _check_optimize_result("lbfgs", result, self.max_iter)
        self.loss_: float = np.float64(result.fun)

    def _refuse_with_lbfgs(self, given: Part | None) -> None:
        """Refuses what takes minibatches or epochs, which would go unnoticed."""
        asked = {
            "validation_data": given is not None,
            "keep": np.min(self.keep, initial=1.0) < 1,
            "norm": self.norm == "batch",
            "dtype": self.dtype == "float32",
            "compute": self.compute is not None,
            "schedule": self.schedule is not None,
            "callbacks": len(self.callbacks) > 0,
            "checkpoint": self.checkpoint is not None,
        }
        if names := [name for name, is_asked in asked.items() if is_asked]:
            got = repr(getattr(self, names[0], given))
            raise ValueError(f"{names[0]}: expected solver 'sgd' or 'adam' for it, got {got}")

    def _training_data(self, part: Part) -> TrainingData:
        dtype = self._compiled().arena.dtype
        labels, soft = self._targets(part.y, dtype)
        weights = part.weights
        if weights is not None:
            weights = np.ascontiguousarray(weights, dtype)
        return TrainingData(part.X, None, None, labels, soft, weights)

    # Prediction

    @property
    def network_(self) -> MLP:
        """A copy as `fanin.MLP`, with the same predictions: to save, export or look into."""
        require_fitted(self)
        compiled = self._compiled()
        structure = self._structure()._asdict()
        net = MLP(
            [self.coefs_[0].shape[0], *(w.shape[1] for w in self.coefs_)],
            dtype=compiled.arena.dtype,
            **structure | self._network_loss(),
        )
        net.set_parameters(compiled.arena)
        net.steps_done = compiled.steps_done
        return net

    @abstractmethod
    def _network_loss(self) -> dict[str, Any]:
        """Of `fanin.MLP`, with its options."""

    def _scores(self, X: Any) -> Array:
        """Outputs before the last activation, (N, C)."""
        require_fitted(self)
        compiled = self._compiled()
        threads = self.n_threads or 0
        blocks = [compiled.scores(block, threads) for block in rows_to_predict(self, X)]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "coefs_")

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        for name in ("_network", "_made_of"):  # they are made again of the arrays
            state.pop(name, None)
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _any(name: str, value: Any) -> Any:  # noqa: ARG001  `_structure` checks it
    return value


def _activation(name: str, value: Any) -> str:
    known = _validate.one_of(name, value, sorted(NAMES))
    return ALIASES.get(known, known)


def _logistic(scores: Array) -> Array:
    activated: Array = _core.map("sigmoid", scores)
    return activated


@dataclass(eq=False, repr=False)
class MLPClassifier(ClassifierMixin, _MLP):
    """scikit-learn's `MLPClassifier`, trained in compiled code.

    From one `random_state` the weights are those of scikit-learn 1.9, up to rounding.

    Parameters
    ----------
    {parameters}
    loss : {'log_loss', 'hinge'}, default='log_loss'
        'hinge' is Weston and Watkins' of several classes, and has no probabilities.
    class_weight : dict, 'balanced' or None, default=None
        Of the classes, a factor of `sample_weight`, in the loss and in the validation score; of
        several labels a list of dicts.

    Attributes
    ----------
    classes_ : ndarray
        Labels, in the order of the columns of `predict_proba`.
    {attributes}

    Examples
    --------
    >>> from fanin.estimators import MLPClassifier
    >>> X, y = [[0.0, 0.0], [1.0, 1.0]] * 10, ["no", "yes"] * 10
    >>> net = MLPClassifier((5,), solver="lbfgs", random_state=0).fit(X, y)
    >>> net.predict([[2.0, 2.0], [-1.0, -2.0]]).tolist()
    ['yes', 'no']
    """

    hidden_layer_sizes: int | Sequence[int] = (100,)
    activation: str | Sequence[str] = "relu"
    _: KW_ONLY
    loss: str = "log_loss"
    class_weight: Any = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "loss": [StrOptions({"log_loss", "hinge"})],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None
    ) -> Self:
        """Trains from new weights; with `warm_start` from those of an earlier fit.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels of any kind, or 0 and 1 of several labels.
        sample_weight : array-like of shape (n_samples,), optional
        validation_data : (X, y) or (X, y, sample_weight), optional
            Scored after each epoch; with `early_stopping` they decide, in place of rows set aside.
        """
        return self._fit(X, y, sample_weight, validation_data)

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        classes: Any = None,
        *,
        validation_data: Any = None,
    ) -> Self:
        """One epoch on these rows, with the optimizer's state of earlier calls.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like of shape (n_classes,), optional
            All labels that will come; needed in the first call.
        validation_data : (X, y) or (X, y, sample_weight), optional
            With `early_stopping` their score ends the series of calls, with the best weights.
        """
        if _check_partial_fit_first_call(self, classes):
            several = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if several else classes)
        return self._fit(X, y, sample_weight, validation_data, incremental=True)

    def predict(self, X: Any) -> Array:
        """Labels (N,), or 0 and 1 of each label (N, L)."""
        return self._labels_of(self._codes(self._scores(X)))

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any) -> Array:
        """Probabilities of `classes_`, (N, C)."""
        scores = self._scores(X)
        if self.out_activation_ == "softmax":
            return losses.softmax(scores, out=scores)
        yes = _logistic(scores)
        return np.hstack([1 - yes, yes]) if self.n_outputs_ == 1 else yes

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Any) -> Array:
        """``log(predict_proba(X))``."""
        probabilities: Array = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(probabilities, out=probabilities)

    def _check_data(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = validate_data(self, X, y, reset=reset, **CHECKS)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_: Array = self._label_binarizer.classes_
        else:
            self._check_classes(unique_labels(y))
        return X, self._encoded(y)

    def _check_validation(self, X: Any, y: Any) -> tuple[Any, Array]:
        X, y = validate_data(self, X, y, reset=False, **CHECKS)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        strange = np.setdiff1d(unique_labels(y), self.classes_)
        if len(strange):
            raise ValueError(
                f"validation_data: expected labels in classes_ ({self.classes_}), "
                f"got {strange[0]!r}"
            )
        return X, self._encoded(y)

    def _with_class_weights(self, y: Array, weights: Array | None, incremental: bool) -> Any:
        if self.class_weight is None:
            return weights
        if incremental:
            refuse_balanced(self.class_weight)
        labels = y if y.ndim == 2 else self.classes_[y]
        by_class: Array = compute_sample_weight(self.class_weight, labels)
        return by_class if weights is None else weights * by_class

    def _check_classes(self, classes: Array) -> None:
        if self.warm_start:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the "
                    f"previous call to fit. Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _encoded(self, y: Array) -> Array:
        """Codes (N,) of `classes_`, or 0 and 1 (N, L)."""
        kind: str = self._label_binarizer.y_type_
        if kind.startswith("multilabel") or type_of_target(y).startswith("multilabel"):
            rows: Array = self._label_binarizer.transform(y)
            return rows
        return np.searchsorted(self.classes_, y).astype(np.int32)

    def _n_outputs(self, y: Array) -> int:
        if y.ndim == 2:
            if self.loss != "log_loss":
                raise ValueError(f"loss: expected 'log_loss' of several labels, got {self.loss!r}")
            return int(y.shape[1])
        several = self._label_binarizer.y_type_ == "multiclass" or self.loss == "hinge"
        return len(self.classes_) if several else 1

    def _out_activation(self) -> str:
        if self.loss == "hinge":
            return "identity"
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _engine_loss(self) -> str:
        """That of the output activation, which goes with one only."""
        return {"softmax": "log_loss", "logistic": "binary_log_loss", "identity": "svm"}[
            self.out_activation_
        ]

    def _network_loss(self) -> dict[str, Any]:
        known = {"softmax": "softmax", "logistic": "logistic", "identity": "svm"}
        several = self._label_binarizer.y_type_.startswith("multilabel")
        return {"loss": known[self.out_activation_], "classes": None if several else self.classes_}

    def _targets(self, y: Array, dtype: np.dtype[Any]) -> Targets:
        if self.out_activation_ != "logistic":
            return y, None
        return None, np.ascontiguousarray(y.reshape(len(y), -1), dtype)

    def _codes(self, scores: Array) -> Array:
        """Predictions as `_encoded` has labels."""
        if self.out_activation_ != "logistic":
            best: Array = scores.argmax(axis=1)
            return best
        yes = (_logistic(scores) > 0.5).astype(int)
        return yes.ravel() if self._label_binarizer.y_type_ == "binary" else yes

    def _labels_of(self, codes: Array) -> Array:
        binarizer = self._label_binarizer
        if codes.ndim == 2:
            labels: Array = scipy.sparse.csr_matrix(codes) if binarizer.sparse_input_ else codes
            return labels
        known: Array = self.classes_
        return np.repeat(known[:1], len(codes)) if len(known) == 1 else known[codes]

    def _score_of(self, X: Any, y: Array, sample_weight: Array | None) -> float:
        scores = self._compiled().scores(X)
        if not np.isfinite(scores).all():
            return np.nan
        right = self._codes(scores) == y
        return float(
            np.average(right.all(axis=1) if right.ndim == 2 else right, None, sample_weight)
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, _MLP):
    """scikit-learn's `MLPRegressor`, trained in compiled code.

    From one `random_state` the weights are those of scikit-learn 1.9, up to rounding.

    Parameters
    ----------
    loss : str, default='squared_error'
        'squared_error' is half of it, 'poisson' half the deviance of the outputs' exponential, for
        targets of at least 0. Beyond scikit-learn's: 'absolute_error', 'huber', 'quantile', which
        are sums over the outputs.
    {parameters}
    huber_delta : float, default=1.0
        With 'huber': where half the square becomes a line.
    quantiles : float or sequence of float, default=0.5
        With 'quantile': the levels, ascending; several are predicted at once, a prediction
        interval.

    Attributes
    ----------
    {attributes}

    Examples
    --------
    >>> import numpy as np
    >>> from fanin.estimators import MLPRegressor
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> net = MLPRegressor(hidden_layer_sizes=20, solver="lbfgs", random_state=0)
    >>> net = net.fit(X, X.ravel() ** 2)
    >>> net.score(X, X.ravel() ** 2) > 0.95
    True
    """

    loss: str = "squared_error"
    hidden_layer_sizes: int | Sequence[int] = (100,)
    activation: str | Sequence[str] = "relu"
    _: KW_ONLY
    huber_delta: float = 1.0
    quantiles: float | Sequence[float] = 0.5

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        "loss": [StrOptions({"squared_error", "poisson", "absolute_error", "huber", "quantile"})],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None
    ) -> Self:
        """Trains from new weights; with `warm_start` from those of an earlier fit.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
        validation_data : (X, y) or (X, y, sample_weight), optional
            Scored after each epoch; with `early_stopping` they decide, in place of rows set aside.
        """
        return self._fit(X, y, sample_weight, validation_data)

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, validation_data: Any = None
    ) -> Self:
        """One epoch on these rows, with the optimizer's state of earlier calls.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        validation_data : (X, y) or (X, y, sample_weight), optional
            With `early_stopping` their score ends the series of calls, with the best weights.
        """
        return self._fit(X, y, sample_weight, validation_data, incremental=True)

    def predict(self, X: Any) -> Array:
        """Values (N,), or (N, n_outputs); with Q quantiles (N, Q) or (N, n_outputs, Q)."""
        return self._values(self._scores(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R², of several quantiles that of the one nearest to the median."""
        values = nearest_median(self.predict(X), self._levels())
        return float(r2_score(y, values, sample_weight=sample_weight))

    def _values(self, scores: Array) -> Array:
        values = np.exp(scores) if self.out_activation_ == "exp" else scores
        if (n := len(self._levels())) > 1:  # where they cross, sorted ones are nearer
            values = np.sort(values.reshape(len(values), -1, n), axis=2)
            return values[:, 0] if values.shape[1] == 1 else values
        return values.ravel() if values.shape[1] == 1 else values

    def _levels(self) -> Sequence[float]:
        if self.loss != "quantile":
            return (0.5,)
        return LossSpec("quantile", quantiles=self.quantiles).levels

    def _check_data(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:  # noqa: ARG002
        X, y = validate_data(self, X, y, y_numeric=True, reset=reset, **CHECKS)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _check_validation(self, X: Any, y: Any) -> tuple[Any, Array]:
        return self._check_data(X, y, incremental=True, reset=False)

    def _n_outputs(self, y: Array) -> int:
        return (1 if y.ndim == 1 else int(y.shape[1])) * len(self._levels())

    def _out_activation(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _loss_parameters(self) -> tuple[Any, ...]:
        return self.loss, self.huber_delta, self.quantiles

    def _engine_loss(self) -> Any:
        known = {"squared_error": "half_squared_error", "poisson": "poisson"}
        if self.loss in known:
            return known[self.loss]
        if self.loss == "huber":
            return _core.Loss("huber", delta=self.huber_delta)
        if self.loss == "quantile":
            return _core.Loss("quantile", quantiles=list(self._levels()))
        return _core.Loss("mae")

    def _network_loss(self) -> dict[str, Any]:
        known = {"squared_error": "half_squared_error", "absolute_error": "mae"}
        options: dict[str, Any] = {"loss": known.get(self.loss, self.loss)}
        if self.loss == "huber":
            options["huber_delta"] = self.huber_delta
        if self.loss == "quantile":
            options["quantiles"] = self._levels()
        return options

    def _targets(self, y: Array, dtype: np.dtype[Any]) -> Targets:
        values = np.repeat(y.reshape(len(y), -1), len(self._levels()), axis=1)
        return None, np.ascontiguousarray(values, dtype)

    def _score_of(self, X: Any, y: Array, sample_weight: Array | None) -> float:
        predicted = nearest_median(self._values(self._compiled().scores(X)), self._levels())
        if not np.isfinite(predicted).all():
            return np.nan
        return float(r2_score(y, predicted, sample_weight=sample_weight))


documented(MLPClassifier)
documented(MLPRegressor)
