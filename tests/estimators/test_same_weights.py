"""`MLPClassifier` and `MLPRegressor` have scikit-learn's weights."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")  # the weights are those of 1.9

from sklearn import neural_network as theirs
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    make_multilabel_classification,
)
from sklearn.exceptions import ConvergenceWarning

from fanin import estimators as ours

ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]
SOLVERS: dict[str, dict[str, Any]] = {
    "adam": {"solver": "adam"},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.01},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.01},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.03},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.01,
        "tol": 0.05,
        "n_iter_no_change": 2,
    },
}


def standardized(X):
    return (X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1)


def digits():
    X, y = load_digits(return_X_y=True)
    return "MLPClassifier", X[:450] / 16, y[:450]


def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return "MLPClassifier", standardized(X), np.array(["benign", "malignant"])[y]


def multilabel():
    X, y = make_multilabel_classification(250, 20, n_classes=4, random_state=0)
    return "MLPClassifier", standardized(X), y


def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return "MLPRegressor", standardized(X), standardized(y)


def two_targets():
    kind, X, y = diabetes()
    return kind, X, np.column_stack([y, np.sin(y)])


PROBLEMS = [digits, cancer, multilabel, diabetes, two_targets]


def pair(kind, **options):
    options = {"hidden_layer_sizes": (20, 10), "random_state": 1, "max_iter": 30, **options}
    return getattr(theirs, kind)(**options), getattr(ours, kind)(**options)


def fit_both(problem, *arguments, **options):
    kind, X, y = problem()
    expected, got = pair(kind, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return expected.fit(X, y, *arguments), got.fit(X, y, *arguments)


def parameters(estimator):
    return [*estimator.coefs_, *estimator.intercepts_]


def largest_difference(expected, got):
    pairs = zip(parameters(expected), parameters(got), strict=True)
    return max(np.abs(a - b).max() for a, b in pairs)


def assert_same(expected, got, tolerance=1e-12):
    assert largest_difference(expected, got) <= tolerance
    assert got.n_iter_ == expected.n_iter_
    assert got.t_ == expected.t_
    assert got.n_layers_ == expected.n_layers_
    assert got.n_outputs_ == expected.n_outputs_
    assert got.out_activation_ == expected.out_activation_
    assert got.loss_ == pytest.approx(expected.loss_, rel=1e-9)
    np.testing.assert_allclose(got.loss_curve_, expected.loss_curve_, rtol=1e-9)
    for name in ("best_loss_", "best_validation_score_", "validation_scores_"):
        theirs_, ours_ = getattr(expected, name), getattr(got, name)
        assert (ours_ is None) == (theirs_ is None)
        if ours_ is not None:
            np.testing.assert_allclose(ours_, theirs_, rtol=1e-9)


@pytest.mark.row("B4")
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_weights_are_scikit_learns(problem, solver, activation):
    expected, got = fit_both(problem, activation=activation, **SOLVERS[solver])
    assert_same(expected, got)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize(
    "options",
    [
        {"early_stopping": True, "validation_fraction": 0.2, "n_iter_no_change": 3},
        {"batch_size": 37, "alpha": 0.5},
        {"shuffle": False},
        {"alpha": 0.0, "hidden_layer_sizes": ()},
        {"hidden_layer_sizes": 7, "batch_size": 1000},
        {"momentum": 0.0, "beta_1": 0.0, "epsilon": 1e-3},
    ],
    ids=lambda o: next(iter(o)),
)
@pytest.mark.filterwarnings("ignore:Got `batch_size` less than 1")
def test_options_change_weights_as_scikit_learns(problem, solver, options):
    rate = 0.01 if solver == "sgd" else 0.001
    expected, got = fit_both(problem, solver=solver, learning_rate_init=rate, **options)
    assert_same(expected, got)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_sample_weights(problem, early_stopping):
    n = len(problem()[2])
    weights = np.random.default_rng(0).integers(1, 5, n) / 2
    expected, got = fit_both(problem, weights, early_stopping=early_stopping, batch_size=64)
    assert_same(expected, got)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_warm_start_goes_on(problem, solver):
    kind, X, y = problem()
    expected, got = pair(kind, solver=solver, warm_start=True, max_iter=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(3):
            expected.fit(X, y)
            got.fit(X, y)
    assert_same(expected, got)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_partial_fit(problem, solver):
    kind, X, y = problem()
    expected, got = pair(kind, solver=solver, learning_rate="invscaling", learning_rate_init=0.01)
    classes = [np.arange(y.shape[1]) if y.ndim == 2 else np.unique(y)] * ("C" in kind)
    for i in range(12):
        rows = slice(40 * (i % 4), 40 * (i % 4) + 40)
        for one in (expected, got):
            one.partial_fit(X[rows], y[rows], None, *classes)
    assert_same(expected, got)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_poisson(solver):
    kind, X, y = diabetes()
    counts = np.floor(np.exp(y))
    problem = lambda: (kind, X, counts)  # noqa: E731
    expected, got = fit_both(problem, loss="poisson", solver=solver)
    assert_same(expected, got)
    np.testing.assert_allclose(got.predict(X), expected.predict(X), rtol=1e-10)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_lbfgs(problem, activation):
    """As close as roundings leave it, which curvature and line search multiply.

    One step differs by 3e-16, and 30 by up to 3e-10, where scikit-learn with OpenBLAS's kernels for
    another processor differs from itself by 1e-10 (`benchmarks.studies.lbfgs_rounding`).
    """
    expected, got = fit_both(problem, activation=activation, solver="lbfgs")
    assert got.n_iter_ == expected.n_iter_
    assert got.loss_ == pytest.approx(expected.loss_, rel=1e-8)
    assert largest_difference(expected, got) <= 1e-8


@pytest.mark.parametrize("problem", PROBLEMS)
def test_predictions(problem):
    _, X, _ = problem()
    expected, got = fit_both(problem)
    predicted = got.predict(X)
    assert predicted.dtype == expected.predict(X).dtype
    if predicted.dtype.kind == "f":
        np.testing.assert_allclose(predicted, expected.predict(X), rtol=1e-9, atol=1e-12)
    else:
        np.testing.assert_array_equal(predicted, expected.predict(X))
        np.testing.assert_allclose(
            got.predict_proba(X), expected.predict_proba(X), rtol=1e-9, atol=1e-14
        )


@pytest.mark.parametrize("problem", PROBLEMS)
def test_float32(problem):
    kind, X, y = problem()
    expected, got = pair(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected.fit(X.astype(np.float32), y)
        got.fit(X.astype(np.float32), y)
    assert {p.dtype for p in parameters(got)} == {np.dtype(np.float32)}
    assert largest_difference(expected, got) <= 2e-3


def test_losses_of_large_scores_are_clipped():
    """A probability of 0 counts as the smallest step from 1, which unscaled data reach."""
    kind, X, y = cancer()
    problem = lambda: (kind, X * 1000, y)  # noqa: E731
    expected, got = fit_both(problem, solver="sgd", max_iter=3, learning_rate_init=1e-7)
    np.testing.assert_allclose(got.loss_curve_, expected.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_losses_are_of_scikit_learns_kind(solver):
    X, y = np.arange(24.0).reshape(12, 2) / 24, np.arange(12) % 2
    options = {"solver": solver, "max_iter": 2, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mine = ours.MLPClassifier(**options).fit(X, y)
        other = theirs.MLPClassifier(**options).fit(X, y)
    assert type(mine.loss_) is type(other.loss_) is np.float64
    assert [type(one) for one in getattr(mine, "loss_curve_", ())] == [
        type(one) for one in getattr(other, "loss_curve_", ())
    ]


def test_a_minibatch_without_weight_is_told_in_scikit_learns_words():
    X, y = np.arange(24.0).reshape(12, 2), np.arange(12) % 2
    for kind in (ours.MLPClassifier, theirs.MLPClassifier):
        with pytest.raises(ZeroDivisionError, match="Weights sum to zero, can't be normalized"):
            kind(batch_size=1, max_iter=2).fit(X, y, sample_weight=np.arange(12) % 3)


def test_warm_starts_with_early_stopping():
    """Of which some improve on no score before them."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 1)), rng.normal(size=90)
    options = {"hidden_layer_sizes": (7,), "solver": "sgd", "learning_rate_init": 0.01}
    options |= {"max_iter": 1, "early_stopping": True, "warm_start": True, "random_state": 0}
    mine, other = ours.MLPRegressor(**options), theirs.MLPRegressor(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(4):
            mine.fit(X, y), other.fit(X, y)
            for a, b in zip(mine.coefs_, other.coefs_, strict=True):
                np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
    assert np.argmax(other.validation_scores_) < 3
