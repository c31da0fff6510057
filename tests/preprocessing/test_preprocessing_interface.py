"""Transformers: parts, images, threads, pickles, pipelines, parameters and bad data."""

from __future__ import annotations

import math
import os
import pickle
from typing import Any

import numpy as np
import pytest
from interrupts import interrupted
from preprocessing_cases import P1, P2, STORED, covariance, data, tolerance

from fanin.preprocessing import PCA, Normalize, Whiten, ZeroCenter, column_moments

ALL = [ZeroCenter(), Normalize(), PCA(), Whiten(), Whiten(method="zca")]


@P1
@P2
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("transformer", ALL, ids=repr)
def test_parts_give_what_the_whole_gives(transformer: Any, stored: Any) -> None:
    X, make = data(1000, stored=stored), type(transformer)
    whole, parts = (make(**transformer.get_params()) for _ in range(2))
    whole.fit(X)
    for part in np.split(X, [2, 3, 500, 517]):  # a variance takes two rows
        parts.partial_fit(part)
    assert parts.n_samples_seen_ == 1000
    assert parts.n_features_in_ == 12
    np.testing.assert_allclose(parts.mean_, whole.mean_, rtol=1e-12)
    if hasattr(whole, "var_"):
        np.testing.assert_allclose(parts.var_, whole.var_, rtol=1e-10)
    atol = tolerance(stored) * 10
    np.testing.assert_allclose(parts.transform(X), whole.transform(X), rtol=1e-3, atol=atol)


@P1
def test_parts_far_apart_keep_their_variance() -> None:
    rng = np.random.default_rng(0)
    parts = [center + rng.normal(size=(1000, 3)) for center in (1e8, 1e8 + 1, -1e3)]
    normalize, pca = Normalize(), PCA()
    for part in parts:
        normalize.partial_fit(part)
        pca.partial_fit(part)
    X = np.concatenate(parts)
    np.testing.assert_allclose(normalize.var_, X.var(axis=0), rtol=1e-12)
    exact = np.linalg.eigvalsh(covariance(X[:2000]))
    near = PCA().partial_fit(parts[0]).partial_fit(parts[1])
    np.testing.assert_allclose(near.explained_variance_[::-1], exact, rtol=1e-6)
    assert pca.n_samples_seen_ == 3000


def test_fit_forgets() -> None:
    X, other = data(), data(seed=5)
    for transformer in ALL:
        again = type(transformer)(**transformer.get_params()).fit(other).fit(X)
        once = type(transformer)(**transformer.get_params()).fit(X)
        np.testing.assert_array_equal(again.transform(X), once.transform(X))
        assert again.n_samples_seen_ == len(X)


@pytest.mark.parametrize("transformer", ALL, ids=repr)
def test_images_are_flattened(transformer: Any) -> None:
    images = data(90, 48, np.uint8).reshape(90, 4, 4, 3)
    flat = images.reshape(90, 48)
    fitted = type(transformer)(**transformer.get_params()).fit(images)
    assert fitted.n_features_in_ == 48
    np.testing.assert_array_equal(fitted.transform(images), fitted.transform(flat))
    np.testing.assert_array_equal(
        fitted.fit_transform(images), type(fitted)(**fitted.get_params()).fit_transform(flat)
    )


@pytest.mark.parametrize("transformer", ALL, ids=repr)
@pytest.mark.parametrize("stored", STORED)
def test_threads_do_not_change_the_result(stored: Any, transformer: Any) -> None:
    X = data(3000, 150, stored)
    one, three = (
        type(transformer)(**{**transformer.get_params(), "n_threads": n}).fit_transform(X)
        for n in (1, 3)
    )
    np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize("transformer", ALL, ids=repr)
def test_the_input_is_left_alone_and_pickles_go_on(transformer: Any) -> None:
    X = data()
    before = X.copy()
    fitted = type(transformer)(**transformer.get_params()).fit(X[:150])
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.transform(X), fitted.transform(X))
    copy.partial_fit(X[150:])
    fitted.partial_fit(X[150:])
    np.testing.assert_array_equal(copy.transform(X), fitted.transform(X))
    np.testing.assert_array_equal(X, before)


@P2
@pytest.mark.parametrize("transformer", ALL, ids=repr)
def test_in_a_pipeline(transformer: Any) -> None:
    sklearn = pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    X = data(200)
    y = (X @ np.arange(12) > np.median(X @ np.arange(12))).astype(int)
    step = sklearn.clone(transformer)
    assert step is not transformer
    assert step.get_params() == transformer.get_params()
    pipeline = make_pipeline(step, LogisticRegression()).fit(X, y)
    assert pipeline.score(X, y) > 0.9
    name = type(transformer).__name__.lower()
    pipeline.set_params(**{f"{name}__n_threads": 1})
    assert pipeline[0].n_threads == 1
    from sklearn.model_selection import cross_val_score

    assert cross_val_score(pipeline, X, y, cv=3).mean() > 0.85


# Of scikit-learn's checks, those that ask for conversions that are never made unasked here (lists,
# whole numbers, layouts) or for its own words in an error.
OUR_OWN_WAY = {
    "check_array_api_input",
    "check_complex_data",
    "check_dtype_object",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimator_sparse_tag",
    "check_estimators_dtypes",
    "check_estimators_empty_data_messages",
    "check_estimators_nan_inf",
    "check_f_contiguous_array_estimator",
    "check_fit2d_1sample",
    "check_fit2d_predict1d",
    "check_n_features_in_after_fitting",
    "check_transformer_data_not_an_array",
}


@P2
@pytest.mark.filterwarnings("ignore:Estimator .* does not inherit", "ignore::FutureWarning")
@pytest.mark.parametrize("transformer", [ZeroCenter(), Normalize(), PCA(1), Whiten(1)], ids=repr)
def test_scikit_learns_checks(transformer: Any) -> None:
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    if not hasattr(checks, "estimator_checks_generator"):
        pytest.skip("an older scikit-learn")
    done = set()
    for estimator, check in checks.estimator_checks_generator(transformer):
        name = check.func.__name__
        if name not in OUR_OWN_WAY:
            check(estimator)
            done.add(name)
    assert {"check_transformer_general", "check_fit_idempotent", "check_set_params"} <= done


@P1
@P2
def test_grid_search() -> None:
    pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import Pipeline

    X = data(300)
    y = (X[:, 0] > np.median(X[:, 0])).astype(int)
    steps = [("scale", Normalize()), ("turn", PCA()), ("classify", LogisticRegression())]
    grid = {"scale": [ZeroCenter(), Normalize()], "turn__n_components": [1, 12, 0.5]}
    search = GridSearchCV(Pipeline(steps), grid, cv=3).fit(X, y)
    assert search.best_params_["turn__n_components"] == 12
    assert search.best_score_ > 0.9
    names = search.best_estimator_[:-1].get_feature_names_out()
    assert list(names) == [f"pca{i}" for i in range(12)]


@pytest.mark.parametrize("transformer", ALL, ids=repr)
def test_feature_names(transformer: Any) -> None:
    fitted = type(transformer)(**transformer.get_params()).fit(data(50, 3))
    keeps = isinstance(fitted, ZeroCenter | Normalize)
    own = "x" if keeps else type(fitted).__name__.lower()
    assert list(fitted.get_feature_names_out()) == [f"{own}{i}" for i in range(3)]
    given = fitted.get_feature_names_out(["a", "b", "c"])
    assert list(given) == (["a", "b", "c"] if keeps else [f"{own}{i}" for i in range(3)])
    with pytest.raises(ValueError, match="input_features: expected 3 names, got 2"):
        fitted.get_feature_names_out(["a", "b"])
    with pytest.raises(ValueError, match="expected fit before"):
        type(transformer)().get_feature_names_out()


def test_parameters() -> None:
    whiten = Whiten(0.9, method="zca", eps=1e-5)
    assert repr(whiten) == "Whiten(n_components=0.9, method='zca', eps=1e-05)"
    assert repr(ZeroCenter()) == "ZeroCenter()"
    assert whiten.get_params() == {
        "n_components": 0.9,
        "method": "zca",
        "eps": 1e-5,
        "ddof": 1,
        "precision": "auto",
        "n_threads": None,
    }
    assert whiten.set_params(eps=0.0, n_components=None) is whiten
    assert whiten.eps == 0
    with pytest.raises(ValueError, match="set_params: expected names among n_components, method"):
        whiten.set_params(epsilon=1)


BAD_DATA = {
    "no rows": (np.zeros((0, 3)), ValueError, r"X: expected shape \(N, 3\)"),
    "one axis": (np.zeros(3), ValueError, r"X: expected shape \(N, D\) or \(N, ...\), got \(3,\)"),
    "no columns": (np.zeros((3, 0)), ValueError, "X: expected at least one column"),
    "integers": (np.zeros((3, 2), int), TypeError, r"X: .*float64, got \(3, 2\) int64"),
    "a number": (1.0, TypeError, "X: expected an array, a list or a frame, got float"),
    "NaN": (np.array([[1, 2], [np.nan, 3]]), ValueError, "X: .*got nan in row 1, column 0"),
}


@pytest.mark.parametrize("case", BAD_DATA)
@pytest.mark.parametrize("transformer", ALL, ids=repr)
def test_bad_data(transformer: Any, case: str) -> None:
    X, error, message = BAD_DATA[case]
    with pytest.raises(error, match=message):
        type(transformer)(**transformer.get_params()).fit(X)


@pytest.mark.parametrize("transformer", ALL, ids=repr)
def test_calls_out_of_order_or_of_another_width(transformer: Any) -> None:
    fresh = type(transformer)(**transformer.get_params())
    for call in (fresh.transform, fresh.inverse_transform):
        with pytest.raises(ValueError, match=f"{type(fresh).__name__}: expected fit before"):
            call(data())
    fresh.fit(data())
    for call in (fresh.transform, fresh.inverse_transform, fresh.partial_fit):
        with pytest.raises(ValueError, match=r"X: expected shape \(N, 12\).*, got \(5, 11\)"):
            call(np.zeros((5, 11)))
    with pytest.raises(AttributeError):
        PCA().components_  # noqa: B018


@pytest.mark.parametrize(
    ("transformer", "message"),
    [
        (PCA(0), "n_components: expected between 1 and 12, got 0"),
        (PCA(13), "n_components: expected between 1 and 12, got 13"),
        (PCA(1.0), r"n_components: expected a whole number or a share .* within \(0, 1\), got 1.0"),
        (PCA(-0.5), "n_components: expected above 0.0, got -0.5"),
        (Whiten(method="cholesky"), "method: expected one of pca, zca; got 'cholesky'"),
        (Whiten(eps=-1), "eps: expected at least 0.0, got -1"),
        (Normalize(eps=math.inf), "eps: expected at least 0.0, got inf"),
        (PCA(precision="half"), "precision: expected one of auto, float32, float64; got 'half'"),
        (PCA(ddof=200), "X: expected more than 200 rows for ddof=200, got 200"),
        (Normalize(n_threads=0), "n_threads: expected between 1 and 256, got 0"),
    ],
    ids=repr,
)
def test_bad_options(transformer: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        transformer.fit(data())


def test_column_moments() -> None:
    X = data(5000, 20, np.float32)
    mean, std = column_moments(X)
    np.testing.assert_allclose(mean, X.astype(np.float64).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, X.astype(np.float64).std(axis=0), rtol=1e-12)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize(
    ("transformer", "call", "native", "inside"),
    [
        ("Normalize()", "fit", "column_sums", False),
        ("PCA(n_threads=2)", "partial_fit", "scatter", True),
        ("PCA(n_threads=2)", "transform", "project", True),
        ("ZeroCenter()", "transform", "centre_rows", False),
    ],
)
def test_interrupt(transformer: str, call: str, native: str, inside: bool) -> None:
    """LAPACK alone does not hear Ctrl-C: partial_fit leaves it to whoever asks for components."""
    setup = f"""
    from fanin.preprocessing import PCA, Normalize, ZeroCenter
    transformer = {transformer}
    X = np.ones((1000, 1000), np.float32)
    X[:, 0] = np.arange(1000)
    {"transformer.fit(X)" if call == "transform" else ""}
    X = np.ones((90_000, 1000), np.float32)
    """
    work = f"""
        while True:
            transformer.{call}(X)
    """
    interrupted(setup, work, native=native, inside=inside)
