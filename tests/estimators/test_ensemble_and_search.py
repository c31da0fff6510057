"""`EnsembleClassifier` by each of its methods, and `SearchCV`."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import fanin
from fanin.estimators import EnsembleClassifier, NetClassifier, Normalize, SearchCV
from fanin.tuning import choice, loguniform

pytestmark = pytest.mark.row("B4")


def rows(n=300):
    (X, y), _ = fanin.datasets.load("digits")
    return X.reshape(len(X), -1)[:n].astype(float), np.array(list("abcdefghij"))[y[:n]]


METHODS = {
    "initializations": {},
    "objectives": {"variants": [{"loss": "softmax"}, {"loss": "svm"}]},
    "bootstrap": {},
    "folds": {},
    "search": {"space": {"reg": loguniform(1e-6, 1e-2)}, "n_trials": 3},
    "cross_validation": {"variants": [{}, {"keep": 0.9}]},
    "checkpoints": {},
}


@pytest.mark.parametrize("method", METHODS)
def test_methods(method):
    X, y = rows()
    rate = fanin.optim.Adam(0.01)
    options = {"n_members": 2, "epochs": 8, "optimizer": rate, "random_state": 0, **METHODS[method]}
    model = EnsembleClassifier(16, method=method, **options).fit(X, y)
    # Of two variants in two folds the greedy selection may leave one out.
    assert len(model.ensemble_) in ((2, 4) if method == "cross_validation" else (2,))
    assert model.score(X, y) > 0.8
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-5)
    again = EnsembleClassifier(16, method=method, **options).fit(X, y)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_members_are_those_of_the_package():
    X, y = rows()
    options = {"epochs": 3, "early_stopping": False, "dtype": "float32"}
    model = EnsembleClassifier(16, n_members=2, random_state=0, **options).fit(X, y)
    codes = np.searchsorted(model.classes_, y)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    expected = fanin.ensemble.from_initializations(
        *([64, 16, 10], X, codes),
        n_members=2,
        seed=int(seed),
        epochs=3,
        schedule="cosine",
        preprocess="standardize",
        progress=False,
    )
    np.testing.assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


def test_a_killed_build_goes_on(tmp_path):
    X, y = rows()
    options = {"epochs": 2, "random_state": 0, "checkpoint": tmp_path / "members"}
    first = EnsembleClassifier(8, n_members=1, **options).fit(X, y)
    both = EnsembleClassifier(8, n_members=2, resume=True, **options).fit(X, y)
    np.testing.assert_array_equal(both.ensemble_.members[0].arena, first.ensemble_.members[0].arena)
    assert len(list((tmp_path / "members").iterdir())) >= 2


@pytest.mark.parametrize("method", ["bootstrap", "folds"])
def test_members_whose_rows_lack_a_class(method):
    X, y = np.random.default_rng(0).normal(size=(12, 2)), np.array(["a"] * 11 + ["b"])
    net = EnsembleClassifier(2, method=method, n_members=5, epochs=1, random_state=0).fit(X, y)
    assert net.ensemble_.failures == []
    assert net.predict_proba(X).shape == (12, 2)


def test_bad_ensembles():
    X, y = rows(60)
    with pytest.raises(ValueError, match="method: expected one of initializations"):
        EnsembleClassifier(method="bagging").fit(X, y)
    with pytest.raises(ValueError, match="space: expected parameters"):
        EnsembleClassifier(method="search").fit(X, y)
    with pytest.raises(ValueError, match="executor: expected None"):
        EnsembleClassifier(method="checkpoints", executor=1).fit(X, y)


def logistic(**options):
    space = {"logisticregression__C": loguniform(1e-4, 1e2)}
    model = make_pipeline(Normalize(), LogisticRegression(max_iter=200))
    return SearchCV(model, space, **{"n_trials": 4, "cv": 3, "random_state": 0, **options})


@pytest.mark.parametrize("strategy", ["random", "grid", "sobol"])
def test_search(strategy):
    if strategy == "sobol":
        pytest.importorskip("scipy")
    X, y = rows(150)
    found, again = (logistic(strategy=strategy).fit(X, y) for _ in range(2))
    assert found.best_params_ == again.best_params_
    assert len(found.cv_results_["params"]) == 4
    assert found.best_score_ == max(found.cv_results_["mean_test_score"])
    (result,) = found.search_results_
    assert result.best.score == found.best_score_
    assert {"logisticregression__C": result.best.params["logisticregression__C"]} == (
        found.best_params_
    )
    assert found.predict(X[:3]).shape == (3,)


def test_stages_go_from_coarse_to_fine():
    X, y = rows(150)
    found = logistic(stages=[{"n_trials": 2}], scoring=["accuracy", "f1_macro"], refit="f1_macro")
    found.fit(X, y)
    coarse, fine = (r.space["logisticregression__C"] for r in found.search_results_)
    assert fine.high / fine.low < coarse.high / coarse.low
    assert len(found.cv_results_["params"]) == 6
    assert found.best_score_ == max(found.cv_results_["mean_test_f1_macro"])


def test_parameters_that_come_with_an_option():
    X, y = rows(150)
    space = {
        "early_stopping": choice({True: {"validation_fraction": choice([0.2, 0.3])}, False: {}})
    }
    net = NetClassifier(4, epochs=2, random_state=0)
    found = SearchCV(net, space, n_trials=6, cv=2, random_state=1).fit(X, y)
    given = [set(p) for p in found.cv_results_["params"]]
    assert {"early_stopping"} in given
    assert {"early_stopping", "validation_fraction"} in given


def test_an_optuna_sampler():
    optuna = pytest.importorskip("optuna")
    X, y = rows(150)
    found = logistic(strategy=optuna.samplers.TPESampler(seed=0), n_trials=9, cv=2).fit(X, y)
    assert len(found.cv_results_["params"]) == 9
    assert found.search_results_[0].strategy == "optuna TPESampler"


def test_bad_searches():
    X, y = rows(60)
    with pytest.raises(TypeError, match=r"space\['C'\]: expected"):
        SearchCV(LogisticRegression(), {"C": 3}).fit(X, y)
    with pytest.raises(ValueError, match="stages: expected one of n_trials, strategy"):
        logistic(stages=[{"epochs": 3}]).fit(X, y)
