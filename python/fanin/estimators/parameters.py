"""The parameters of `MLPClassifier` and `MLPRegressor`: scikit-learn's, and ours after them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from fanin import _core
from fanin._typing import PathLike
from fanin.callbacks import Callback
from fanin.network.mlp import HIDDEN_ACTIVATIONS
from fanin.schedules import Schedule

ALIASES = {"logistic": "sigmoid"}  # scikit-learn's name
NAMES = {*HIDDEN_ACTIVATIONS, *ALIASES}  # of activations
CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions(NAMES), list, tuple],
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
    "keep": [Interval(Real, 0, 1, closed="right"), list, tuple],
    "norm": [StrOptions({*_core.norms[1:]}), None],
    "residual": ["boolean"],
    "dtype": [StrOptions({"auto", "float32", "float64"})],
    "compute": [StrOptions({*_core.computes[1:]}), None],
    "schedule": [str, HasMethods("lr"), callable, None],
    "progress": ["boolean"],
    "resume": ["boolean"],
    "huber_delta": [Interval(Real, 0, None, closed="neither")],
    "quantiles": [Interval(Real, 0, 1, closed="neither"), "array-like"],
    "n_threads": [Interval(Integral, 1, 256, closed="both"), None],
}


@dataclass(eq=False, repr=False, kw_only=True)
class Parameters(BaseEstimator):
    """All that are given by name, after those that each kind takes by position."""

    solver: str = "adam"
    alpha: float = 0.0001
    batch_size: int | str = "auto"
    learning_rate: str = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: int | np.random.RandomState | None = None
    tol: float = 1e-4
    verbose: bool | int = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10
    max_fun: int = 15000
    # Beyond scikit-learn's; as they are here they change nothing.
    keep: float | Sequence[float] = 1.0
    norm: str | None = None
    residual: bool = False
    dtype: str = "auto"
    compute: str | None = None
    schedule: str | Schedule | None = None
    callbacks: Sequence[Callback] = ()
    progress: bool = False
    checkpoint: PathLike | None = None
    resume: bool = False
    every: int | str = "30s"
    n_threads: int | None = None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS


OF_LAYERS = """\
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer.
    activation : str or list of str, default='relu'
        Of the hidden layers: 'identity', 'logistic', 'tanh', 'relu', or beyond scikit-learn's any
        other of `fanin.layers.ACTIVATIONS` or 'prelu'; of a list one for each layer.
"""
BY_NAME = """\
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
    keep : float or list of float, default=1.0
        Dropout: the probability of keeping a unit in training, for all hidden layers or one each.
        This and all that follows is beyond scikit-learn's, by the names of `fanin.MLP`; 'lbfgs'
        takes `norm` 'layer', `residual` and `n_threads` of it.
    norm : {'layer', 'batch'} or None, default=None
        Normalises the sums of every hidden layer. With 'batch' a minibatch has two rows at least.
    residual : bool, default=False
        A skip round every hidden layer that is as wide as its input.
    dtype : {'auto', 'float32', 'float64'}, default='auto'
        Of weights and computation; 'auto' is X's, or float32 with `compute`.
    compute : {'bf16'} or None, default=None
        'bf16' multiplies in bfloat16, several times as fast where the CPU has tiles of it.
    schedule : str, Schedule or None, default=None
        Of `fanin.schedules`, such as 'cosine': a factor of the learning rate in each step of a
        run of `max_iter` epochs. `partial_fit` leaves the rate as it is.
    callbacks : sequence of Callback, default=()
        Of `fanin.callbacks`, each copied for a fit. Logs have "loss", "lr", and with validation
        rows "val_loss" and "val_accuracy" or "val_r2"; their ``network`` has `get_parameters`,
        `set_parameters` and `stop_training`.
    progress : bool, default=False
        A progress bar on stderr.
    checkpoint : path or None, default=None
        A file that keeps a run of `fit`, from which one that was killed goes on to the same bits.
    resume : bool, default=False
        Go on with the run in `checkpoint`, where there is one; without it a file is refused.
    every : int or str, default='30s'
        How often `checkpoint` is written: after so many epochs, or so much time.
    n_threads : int or None, default=None
        The result does not depend on it.
"""
PARAMETERS = OF_LAYERS + BY_NAME

ATTRIBUTES = """\
    coefs_, intercepts_ : list of ndarray
        Each layer's weights (D, H) and biases (H,).
    extra_parameters_ : dict of str to ndarray
        What norms and 'prelu' have besides: gamma1 (H,), beta1, alpha1, running_mean1, ...
    loss_ : float
        Of the last epoch.
    best_loss_ : float or None
        The lowest; None with `early_stopping`.
    loss_curve_ : list of float
        Of each epoch.
    validation_scores_, best_validation_score_ : list of float, float
        Of each epoch and the highest; None without `early_stopping` and ``validation_data``.
    validation_loss_curve_ : list of float
        With ``validation_data``: their loss after each epoch, without L2.
    n_iter_ : int
        Epochs of the last fit.
    t_ : int
        Rows seen.
    stopped_ : bool
        Whether early stopping has ended a series of `partial_fit`.
    n_features_in_, n_layers_, n_outputs_ : int
    feature_names_in_ : ndarray of str
        Where X has names of columns.
    out_activation_ : str
"""


def documented(kind: type) -> None:
    """Puts the descriptions that the kinds share into a docstring."""
    kind.__doc__ = (
        (kind.__doc__ or "")
        .replace("    {parameters}\n", PARAMETERS)
        .replace("    {attributes}\n", ATTRIBUTES)
    )
