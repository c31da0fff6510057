"""`MLPClassifier` and `MLPRegressor`: scikit-learn's, number by number, on the native engine."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from fanin import _core, losses
from fanin._core import TrainingData
from fanin._typing import Array, Ints
from fanin.estimators import solvers
from fanin.estimators.compiled import Compiled
from fanin.estimators.rows import dense, rows_to_predict

__all__ = ["MLPClassifier", "MLPRegressor"]

Targets = tuple[Array | None, Array | None]  # labels (N,), or soft targets (N, C)


def _is_stochastic(estimator: Any) -> bool:
    if estimator.solver in ("sgd", "adam"):
        return True
    raise AttributeError(
        "partial_fit is only available for stochastic optimizers. "
        f"{estimator.solver} is not stochastic."
    )


class _MLP(BaseEstimator):
    """What the classifier and the regressor share."""

    loss: str

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({"identity", "logistic", "tanh", "relu"})],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun

    # What the two kinds differ in.

    def _check_data(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        """X, and y encoded: codes (N,) or rows (N, C)."""
        raise NotImplementedError

    def _n_outputs(self, y: Array) -> int:
        raise NotImplementedError

    def _out_activation(self) -> str:
        raise NotImplementedError

    def _targets(self, y: Array, dtype: np.dtype[Any]) -> Targets:
        raise NotImplementedError

    def _score_of(self, X: Any, y: Array, sample_weight: Array | None) -> float:
        """Of encoded targets, for early stopping."""
        raise NotImplementedError

    # Fitting

    def _fit(self, X: Any, y: Any, sample_weight: Any, incremental: bool = False) -> Self:
        hidden = self.hidden_layer_sizes
        hidden = list(hidden) if hasattr(hidden, "__iter__") else [hidden]
        if np.any(np.array(hidden) <= 0):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        X, y = self._check_data(X, y, incremental, reset=first)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        self.n_outputs_ = self._n_outputs(y)
        self._random_state = check_random_state(self.random_state)
        if first:
            self._initialize([X.shape[1], *hidden, self.n_outputs_], X.dtype)
        X = dense(X)
        if self.solver == "lbfgs":
            self._fit_lbfgs(X, y, sample_weight)
        else:
            self._fit_stochastic(X, y, sample_weight, incremental)
        if not self._compiled().is_finite():
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed."
            )
        return self

    def _initialize(self, units: list[int], dtype: np.dtype[Any]) -> None:
        """Glorot and Bengio's uniform weights (2010), biases too, from `random_state`."""
        self.n_iter_ = 0
        self.t_ = 0
        self.n_layers_ = len(units)
        self.out_activation_ = self._out_activation()
        self.coefs_, self.intercepts_ = [], []
        factor = 2.0 if self.activation == "logistic" else 6.0
        for fan_in, fan_out in pairwise(units):
            bound = np.sqrt(factor / (fan_in + fan_out))
            weights = self._random_state.uniform(-bound, bound, (fan_in, fan_out))
            biases = self._random_state.uniform(-bound, bound, fan_out)
            self.coefs_.append(weights.astype(dtype, copy=False))
            self.intercepts_.append(biases.astype(dtype, copy=False))
        self._best = self._compiled().arena.copy()
        if self.solver == "lbfgs":
            return
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
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
        loss = self._engine_loss()
        if held is None or not held.is_of(self.coefs_, self.intercepts_, self.activation, loss):
            held = Compiled(self.coefs_, self.intercepts_, self.activation, loss)
            self.coefs_, self.intercepts_ = list(held.coefs), list(held.intercepts)
            self._network = held
        return held

    def _engine_loss(self) -> str:
        """The engine's loss: that of the output activation, which goes with one only."""
        return {
            "softmax": "log_loss",
            "logistic": "binary_log_loss",
            "identity": "half_squared_error",
            "exp": "poisson",
        }[self.out_activation_]

    def _outputs_of_mean(self) -> int:
        """Over how many outputs the loss is a mean (the gradient is that of the sum)."""
        return self.n_outputs_ if self.out_activation_ == "identity" else 1

    def _fit_lbfgs(self, X: Array, y: Array, sample_weight: Array | None) -> None:
        # In float64 whatever X is, as SciPy has it.
        self.coefs_ = [w.astype(np.float64, copy=False) for w in self.coefs_]
        self.intercepts_ = [b.astype(np.float64, copy=False) for b in self.intercepts_]
        result = solvers.minimize(
            self._compiled(),
            self._training_data(X, y, sample_weight),
            self.alpha,
            self._outputs_of_mean(),
            {"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol},
        )
        self.n_iter_ = _check_optimize_result("lbfgs", result, self.max_iter)
        self.loss_ = result.fun

    def _training_data(self, X: Array, y: Array, sample_weight: Array | None) -> TrainingData:
        dtype = self._compiled().arena.dtype
        labels, soft = self._targets(y, dtype)
        if sample_weight is not None:
            sample_weight = np.ascontiguousarray(sample_weight, dtype)
        return TrainingData(X, None, None, labels, soft, sample_weight)

    def _new_optimizer(self, parameters: Array) -> solvers.Optimizer:
        if self.solver == "sgd":
            return solvers.SGDOptimizer(
                parameters,
                self.learning_rate_init,
                self.learning_rate,
                self.momentum,
                self.nesterovs_momentum,
                self.power_t,
            )
        return solvers.AdamOptimizer(
            parameters, self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon
        )

    def _fit_stochastic(
        self, X: Array, y: Array, sample_weight: Array | None, incremental: bool
    ) -> None:
        compiled = self._compiled()
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = self._new_optimizer(compiled.arena)
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        rows: Ints = np.arange(len(X))
        validation: Callable[[], float] | None = None
        if self.early_stopping:
            rows, validation = self._split(X, y, sample_weight)
        epochs = solvers.Epochs(
            compiled,
            self._training_data(X, y, sample_weight),
            len(rows),
            self._batch_rows(len(rows)),
            self.alpha,
            self._outputs_of_mean(),
        )
        try:
            self.n_iter_ = 0
            self._run(epochs, rows, validation, incremental)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        if self.early_stopping:
            np.copyto(compiled.arena, self._best)

    def _split(
        self, X: Array, y: Array, sample_weight: Array | None
    ) -> tuple[Ints, Callable[[], float]]:
        """The rows to train on, and the score on the others."""
        # Not stratified with several outputs, in scikit-learn neither.
        stratified = is_classifier(self) and self.n_outputs_ == 1
        stratify = y.astype(bool).reshape(-1, 1) if stratified else None
        rows, held_out = train_test_split(
            np.arange(len(X)),
            random_state=self._random_state,
            test_size=self.validation_fraction,
            stratify=stratify,
        )
        if len(held_out) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                "your dataset."
            )
        X_val, y_val = X[held_out], y[held_out]
        weights = None if sample_weight is None else sample_weight[held_out]
        return rows, lambda: self._score_of(X_val, y_val, weights)

    def _batch_rows(self, n_rows: int) -> int:
        if isinstance(self.batch_size, str):
            return min(200, n_rows)
        if self.batch_size > n_rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be "
                "clipped",
                stacklevel=5,
            )
        return min(self.batch_size, n_rows)

    def _run(
        self,
        epochs: solvers.Epochs,
        rows: Ints,
        validation: Callable[[], float] | None,
        incremental: bool,
    ) -> None:
        """Epochs until nothing improves any more."""
        order = np.arange(len(rows))
        for _ in range(self.max_iter):
            if self.shuffle:
                permutation = np.arange(len(rows))
                self._random_state.shuffle(permutation)
                order = order[permutation]
            loss = epochs.run(rows[order], self._optimizer)
            self.n_iter_ += 1
            self.loss_ = loss
            self.t_ += len(rows)
            self.loss_curve_.append(loss)
            if self.verbose:
                print(f"Iteration {self.n_iter_}, loss = {loss:.8f}")
            self._count_improvement(validation)
            self._optimizer.iteration_ends(self.t_)
            if self._no_improvement_count > self.n_iter_no_change:
                if self._optimizer.trigger_stopping(self._stop_message(), self.verbose):
                    break
                self._no_improvement_count = 0
            if incremental:
                break
            if self.n_iter_ == self.max_iter:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                    "optimization hasn't converged yet.",
                    ConvergenceWarning,
                    stacklevel=5,
                )

    def _stop_message(self) -> str:
        what = "Validation score" if self.early_stopping else "Training loss"
        return (
            f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} "
            "consecutive epochs."
        )

    def _count_improvement(self, validation: Callable[[], float] | None) -> None:
        """Counts epochs without an improvement by `tol`."""
        if validation is None:
            loss, best = self.loss_curve_[-1], self.best_loss_
            assert best is not None
            improved = not loss > best - self.tol
            self.best_loss_ = min(loss, best)
        else:
            score, best = validation(), self.best_validation_score_
            assert best is not None
            assert self.validation_scores_ is not None
            self.validation_scores_.append(score)
            if self.verbose:
                print(f"Validation score: {score:f}")
            improved = not score < best + self.tol
            if score > best:
                self.best_validation_score_ = score
                self._best = self._compiled().arena.copy()
        self._no_improvement_count = 0 if improved else self._no_improvement_count + 1

    # Prediction

    def _scores(self, X: Any) -> Array:
        """Outputs before the last activation, (N, C)."""
        check_is_fitted(self)
        compiled = self._compiled()
        blocks = [compiled.scores(block) for block in rows_to_predict(self, X)]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_network", None)  # it is made again of the arrays
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _logistic(scores: Array) -> Array:
    activated: Array = _core.map("sigmoid", scores)
    return activated


PARAMETERS = """\
    hidden_layer_sizes : array-like of shape (n_layers - 2,), default=(100,)
        Units of each hidden layer.
    activation : {'identity', 'logistic', 'tanh', 'relu'}, default='relu'
        Of the hidden layers.
    solver : {'lbfgs', 'sgd', 'adam'}, default='adam'
        'lbfgs' is SciPy's L-BFGS-B.
    alpha : float, default=0.0001
        L2, divided by the number of rows (the sum of their weights) of a minibatch.
    batch_size : int or 'auto', default='auto'
        Rows of a minibatch; 'auto' takes ``min(200, n_samples)``.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        With 'sgd': constant, ``learning_rate_init / (rows seen + 1) ** power_t``, or divided by 5
        whenever `n_iter_no_change` epochs have not improved.
    learning_rate_init : float, default=0.001
    power_t : float, default=0.5
    max_iter : int, default=200
        Epochs, or iterations of 'lbfgs'.
    shuffle : bool, default=True
        Whether the rows are in another order in each epoch.
    random_state : int, RandomState or None, default=None
        Weights, order of the rows and the validation split are drawn from it, in this order.
    tol : float, default=1e-4
        What counts as an improvement.
    verbose : bool, default=False
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of an earlier one.
    momentum : float, default=0.9
        With 'sgd'.
    nesterovs_momentum : bool, default=True
    early_stopping : bool, default=False
        Whether a part of the rows is set aside, whose score decides when to stop and which
        epoch's weights are kept.
    validation_fraction : float, default=0.1
        Of the rows, with `early_stopping`.
    beta_1, beta_2, epsilon : float, default=0.9, 0.999, 1e-8
        Of Adam.
    n_iter_no_change : int, default=10
        Epochs without an improvement after which training stops.
    max_fun : int, default=15000
        Most evaluations of the loss, with 'lbfgs'.
"""

ATTRIBUTES = """\
    coefs_, intercepts_ : list of ndarray
        Each layer's weights (D, H) and biases (H,).
    loss_ : float
        Of the last epoch.
    best_loss_ : float or None
        The lowest; None with `early_stopping`.
    loss_curve_ : list of float
        Of each epoch.
    validation_scores_, best_validation_score_ : list of float, float
        Of each epoch and the highest; None without `early_stopping`.
    n_iter_ : int
        Epochs of the last fit.
    t_ : int
        Rows seen.
    n_features_in_, n_layers_, n_outputs_ : int
    feature_names_in_ : ndarray of str
        Where X has names of columns.
    out_activation_ : str
"""


class MLPClassifier(ClassifierMixin, _MLP):
    """scikit-learn's `MLPClassifier`, trained in compiled code.

    From one `random_state` the weights are those of scikit-learn 1.9, up to rounding.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray
        Labels, in the order of the columns of `predict_proba`.
    {attributes}

    Notes
    -----
    A sparse X is trained on as a dense copy.

    Examples
    --------
    >>> from fanin.estimators import MLPClassifier
    >>> X, y = [[0.0, 0.0], [1.0, 1.0]] * 10, ["no", "yes"] * 10
    >>> net = MLPClassifier((5,), solver="lbfgs", random_state=0).fit(X, y)
    >>> net.predict([[2.0, 2.0], [-1.0, -2.0]]).tolist()
    ['yes', 'no']
    """

    loss = "log_loss"

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Trains from new weights; with `warm_start` from those of an earlier fit.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels of any kind, or 0 and 1 of several labels.
        sample_weight : array-like of shape (n_samples,), optional
        """
        return self._fit(X, y, sample_weight)

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """One epoch on these rows, with the optimizer's state of earlier calls.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like of shape (n_classes,), optional
            All labels that will come; needed in the first call.
        """
        if _check_partial_fit_first_call(self, classes):
            several = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if several else classes)
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """Labels (N,), or 0 and 1 of each label (N, L)."""
        return self._labels_of(self._codes(self._scores(X)))

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of `classes_`, (N, C)."""
        scores = self._scores(X)
        if self.out_activation_ == "softmax":
            return losses.softmax(scores, out=scores)
        yes = _logistic(scores)
        return np.hstack([1 - yes, yes]) if self.n_outputs_ == 1 else yes

    def predict_log_proba(self, X: Any) -> Array:
        """``log(predict_proba(X))``."""
        probabilities = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(probabilities, out=probabilities)

    def _check_data(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._check_classes(unique_labels(y))
        return X, self._encoded(y)

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
            return int(y.shape[1])
        return len(self.classes_) if self._label_binarizer.y_type_ == "multiclass" else 1

    def _out_activation(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _targets(self, y: Array, dtype: np.dtype[Any]) -> Targets:
        if self.out_activation_ == "softmax":
            return y, None
        return None, np.ascontiguousarray(y.reshape(len(y), -1), dtype)

    def _codes(self, scores: Array) -> Array:
        """Predictions as `_encoded` has labels."""
        if self.out_activation_ == "softmax":
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


class MLPRegressor(RegressorMixin, _MLP):
    """scikit-learn's `MLPRegressor`, trained in compiled code.

    From one `random_state` the weights are those of scikit-learn 1.9, up to rounding.

    Parameters
    ----------
    loss : {'squared_error', 'poisson'}, default='squared_error'
        Half the squared error, or half the Poisson deviance of the outputs' exponential, for
        targets of at least 0.
    {parameters}

    Attributes
    ----------
    {attributes}

    Notes
    -----
    A sparse X is trained on as a dense copy.

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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **_MLP._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"})],
    }

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
    ) -> None:
        self.loss = loss
        super().__init__(
            hidden_layer_sizes,
            activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            n_iter_no_change=n_iter_no_change,
            max_fun=max_fun,
        )

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Trains from new weights; with `warm_start` from those of an earlier fit.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
        """
        return self._fit(X, y, sample_weight)

    @available_if(_is_stochastic)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One epoch on these rows, with the optimizer's state of earlier calls.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def predict(self, X: Any) -> Array:
        """Values (N,), or (N, n_outputs)."""
        return self._values(self._scores(X))

    def _values(self, scores: Array) -> Array:
        values = np.exp(scores) if self.out_activation_ == "exp" else scores
        return values.ravel() if values.shape[1] == 1 else values

    def _check_data(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:  # noqa: ARG002
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=(np.float64, np.float32),
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _n_outputs(self, y: Array) -> int:
        return 1 if y.ndim == 1 else int(y.shape[1])

    def _out_activation(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _targets(self, y: Array, dtype: np.dtype[Any]) -> Targets:
        return None, np.ascontiguousarray(y.reshape(len(y), -1), dtype)

    def _score_of(self, X: Any, y: Array, sample_weight: Array | None) -> float:
        predicted = self._values(self._compiled().scores(X))
        if not np.isfinite(predicted).all():
            return np.nan
        return float(r2_score(y, predicted, sample_weight=sample_weight))


for _kind in (MLPClassifier, MLPRegressor):
    _kind.__doc__ = (
        (_kind.__doc__ or "")
        .replace("    {parameters}\n", PARAMETERS)
        .replace("    {attributes}\n", ATTRIBUTES)
    )
