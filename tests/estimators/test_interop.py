"""The estimators in scikit-learn's company: checks, pipelines, searches, copies, processes."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

import joblib
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import fanin
from fanin.estimators import MLPClassifier, MLPRegressor, NetClassifier, NetRegressor

CLASSIFIERS = [MLPClassifier, NetClassifier]
KINDS = [*CLASSIFIERS, MLPRegressor, NetRegressor]


def quick(kind, **options):
    if kind in (MLPClassifier, MLPRegressor):
        return kind(
            hidden_layer_sizes=(8,), solver="lbfgs", max_iter=2000, random_state=0, **options
        )
    return kind((8,), epochs=150, random_state=0, **options)


def flowers(kind=None, n=150):
    (X, y), _ = fanin.datasets.load("digits")
    X = X.reshape(len(X), -1)[:n].astype(float) / 16
    X = X[:, X.std(axis=0) > 0.2]
    y = y[:n] % 3
    if kind in (MLPRegressor, NetRegressor):
        return X, y.astype(float)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


@pytest.mark.row("B4")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_check_estimator(kind):
    results = check_estimator(kind(), on_fail=None, on_skip=None)
    bad = [r["check_name"] for r in results if r["status"] not in ("passed", "skipped")]
    assert bad == []


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", KINDS)
def test_pickle(kind, protocol):
    X, y = flowers(kind)
    estimator = quick(kind).fit(X, y)
    twin = pickle.loads(pickle.dumps(estimator, protocol))
    np.testing.assert_array_equal(twin.predict(X), estimator.predict(X))
    assert twin.get_params() == estimator.get_params()


@pytest.mark.parametrize("kind", KINDS)
def test_partial_fit_goes_on_after_joblib(kind, tmp_path):
    X, y = flowers(kind)
    estimator = kind(hidden_layer_sizes=(8,), random_state=0)
    classes = [np.unique(y)] * (kind in CLASSIFIERS)
    estimator.partial_fit(X, y, None, *classes)
    joblib.dump(estimator, tmp_path / "estimator")
    twin = joblib.load(tmp_path / "estimator")
    for _ in range(3):
        estimator.partial_fit(X, y)
        twin.partial_fit(X, y)
    np.testing.assert_array_equal(twin.predict(X), estimator.predict(X))


@pytest.mark.parametrize("kind", KINDS)
def test_clone_and_html(kind):
    estimator = quick(kind)
    assert clone(estimator).get_params() == estimator.get_params()
    assert kind.__name__ in estimator._repr_html_()
    assert repr(kind()) == f"{kind.__name__}()"


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_grid_search_in_processes(kind):
    X, y = flowers()
    grid = {"hidden_layer_sizes": [(4,), (8,)]}
    search = GridSearchCV(quick(kind), grid, n_jobs=2, cv=3).fit(X, y)
    alone = GridSearchCV(quick(kind), grid, cv=3).fit(X, y)
    assert search.best_params_ == alone.best_params_
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )
    assert search.best_score_ > 0.6


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_pipeline_voting_calibration(kind):
    X, y = flowers()
    pipeline = make_pipeline(StandardScaler(), quick(kind))
    voting = VotingClassifier([("a", pipeline), ("b", quick(kind))], voting="soft").fit(X, y)
    assert voting.score(X, y) > 0.9
    calibrated = CalibratedClassifierCV(quick(kind), cv=3).fit(X, y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)


@pytest.mark.parametrize("kind", KINDS)
def test_sample_weight_is_routed(kind):
    X, y = flowers(kind)
    weights = np.linspace(0.5, 2, len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = (
            quick(kind).set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        )
        cross_validate(estimator, X, y, params={"sample_weight": weights}, cv=3)


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_columns(kind):
    pandas = pytest.importorskip("pandas")
    X, y = flowers(kind)
    frame = pandas.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])])
    estimator = quick(kind).fit(frame, y)
    assert list(estimator.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names"):
        estimator.predict(frame[frame.columns[::-1]])


def test_workers_share_the_cores():
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        counts = joblib.Parallel()(joblib.delayed(fanin.get_num_threads)() for _ in range(4))
    assert set(counts) == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_lists_ints_and_strides(kind):
    X, y = flowers(kind, 60)
    X = np.round(8 * X)
    estimator = quick(kind).fit(X, y)
    expected = estimator.predict(X)
    wide = np.repeat(X, 2, axis=1)
    for same in (X.tolist(), X.astype(np.int64), np.asfortranarray(X), wide[:, ::2]):
        np.testing.assert_array_equal(quick(kind).fit(same, list(y)).predict(same), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_sparse(kind):
    scipy_sparse = pytest.importorskip("scipy.sparse")
    X, y = flowers(kind, 60)
    estimator = quick(kind).fit(scipy_sparse.csr_matrix(X), y)
    expected = quick(kind).fit(X, y).predict(X)
    np.testing.assert_array_equal(estimator.predict(scipy_sparse.csc_matrix(X)), expected)


@pytest.mark.parametrize("kind", CLASSIFIERS)
@pytest.mark.parametrize("labels", [[False, True], [3, 7], [-1.0, 1.0], ["no", "yes"]], ids=repr)
def test_labels_of_any_kind(kind, labels):
    X, y = flowers(n=100)
    labels = np.array(labels)
    y = labels[(y == "setosa").astype(int)]
    estimator = quick(kind).fit(X, y)
    assert estimator.predict(X).dtype == labels.dtype
    assert estimator.score(X, y) > 0.95
    assert estimator.predict_proba(X).shape == (100, 2)


def test_parameters_are_changed_between_calls():
    """Attributes that a user sets are what predicts."""
    X, y = flowers()
    estimator = quick(MLPClassifier).fit(X, y)
    expected = estimator.predict_proba(X)
    estimator.coefs_ = [w.copy() for w in estimator.coefs_]
    np.testing.assert_array_equal(estimator.predict_proba(X), expected)
    estimator.coefs_[0][:] = 0
    assert not np.array_equal(estimator.predict_proba(X), expected)


def test_partial_fit_is_absent_for_lbfgs():
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")
    assert hasattr(MLPClassifier(), "partial_fit")


def test_nonfinite_weights_raise():
    X, y = flowers(MLPRegressor)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="non-finite parameter weights"):
            MLPRegressor(solver="sgd", learning_rate_init=1e30, random_state=0).fit(1e10 * X, y)


def test_without_scikit_learn():
    code = "import sys; sys.modules['sklearn'] = None\nimport fanin.estimators"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install fanin[sklearn]" in done.stderr
