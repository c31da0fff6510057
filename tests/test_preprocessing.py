"""Zero-centring, normalisation, PCA and whitening."""

from __future__ import annotations

import math
import os
import pickle
from typing import Any

import numpy as np
import pytest

from fanin.preprocessing import PCA, Normalize, Whiten, ZeroCenter, column_moments
from test_interrupt import interrupted

P1, P2 = pytest.mark.row("P1"), pytest.mark.row("P2")
STORED = [np.uint8, np.float32, np.float64]
ALL = [ZeroCenter(), Normalize(), PCA(), Whiten(), Whiten(method="zca")]


def data(n: int = 200, d: int = 12, stored: Any = np.float64, seed: int = 0) -> np.ndarray:
    """Correlated features with a mean, and variances from about 1 down."""
    rng = np.random.default_rng(seed)
    mixing = np.linalg.qr(rng.normal(size=(d, d)))[0] * np.geomspace(1, 0.05, d)[:, None]
    x = rng.normal(size=(n, d)) @ mixing @ rng.normal(size=(d, d)) + rng.normal(size=d)
    if stored is np.uint8:
        return np.clip(128 + 25 * x, 0, 255).astype(np.uint8)
    return x.astype(stored)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """CIFAR-10 images, uint8 (N, 32, 32, 3)."""
    path = os.environ.get("FANIN_CIFAR10")
    if not path:
        pytest.skip("FANIN_CIFAR10 names no file of images")
    with np.load(path) as file:
        return file["x"]


def tolerance(stored: Any) -> float:
    return 1e-9 if stored is np.float64 else 2e-4


def covariance(x: np.ndarray) -> np.ndarray:
    return np.cov(x.astype(np.float64), rowvar=False)


@P1
@pytest.mark.parametrize("stored", STORED)
def test_zero_center_and_normalize_are_the_lectures_formulas(stored: Any) -> None:
    X, new = data(stored=stored), data(50, stored=stored, seed=1)
    wide, wide_new = X.astype(np.float64), new.astype(np.float64)
    mean, std = np.mean(wide, axis=0), np.std(wide, axis=0)
    result = np.float64 if stored is np.float64 else np.float32
    for transformer, expected in (
        (ZeroCenter(), wide_new - mean),
        (Normalize(), (wide_new - mean) / std),
        (Normalize(eps=0.1), (wide_new - mean) / np.sqrt(std**2 + 0.1)),
    ):
        out = transformer.fit(X).transform(new)
        assert out.dtype == result
        scale = np.abs(expected).max() * 4 * np.finfo(result).eps
        np.testing.assert_allclose(out, expected, rtol=0, atol=scale)
        back = transformer.inverse_transform(out)
        np.testing.assert_allclose(back, new, rtol=0, atol=2 * scale * np.abs(wide_new).max())
        np.testing.assert_allclose(transformer.mean_, mean, rtol=1e-13)


@P1
@pytest.mark.parametrize("stored", STORED)
def test_normalize_equals_scikit_learns(stored: Any) -> None:
    pre = pytest.importorskip("sklearn.preprocessing")
    X = data(stored=stored)
    X[:, 3] = 7
    theirs, ours = pre.StandardScaler().fit(X), Normalize().fit(X)
    for name in ("mean_", "var_", "scale_"):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=1e-6, atol=1e-12, err_msg=name
        )
    assert ours.n_features_in_ == theirs.n_features_in_
    assert ours.n_samples_seen_ == theirs.n_samples_seen_
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), atol=1e-5)


@P1
@pytest.mark.parametrize("stored", [np.float32, np.float64])
def test_a_feature_far_from_zero_keeps_its_variance(stored: Any) -> None:
    rng = np.random.default_rng(0)
    X = (1e8 + 100 * rng.normal(size=(3000, 2))).astype(stored)
    wide = X.astype(np.float64)
    normalize = Normalize().fit(X)
    np.testing.assert_allclose(normalize.var_, wide.var(axis=0), rtol=1e-12)
    Z = normalize.transform(X).astype(np.float64)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(Z.std(axis=0), 1, atol=1e-6)
    white = Whiten().fit_transform(X)
    np.testing.assert_allclose(covariance(white), np.eye(2), atol=1e-5)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-5)


@P1
def test_a_constant_feature_is_only_centred() -> None:
    X = data()
    X[:, 0], X[:, 1] = 0.1, 0.0
    X[:, 2] = 0.1 + np.arange(200) % 2 * 1e-9  # not constant
    normalize = Normalize().fit(X)
    np.testing.assert_array_equal(normalize.scale_[:2], 1)
    Z = normalize.transform(X)
    np.testing.assert_allclose(Z[:, :2], 0, atol=1e-15)
    np.testing.assert_allclose(Z[:, 2].std(), 1, rtol=1e-6)


@P2
@pytest.mark.parametrize("stored", STORED)
def test_pca_decorrelates(stored: Any) -> None:
    X = data(stored=stored)
    pca = PCA().fit(X)
    C = covariance(pca.transform(X))
    scale = pca.explained_variance_[0]
    np.testing.assert_allclose(C, np.diag(pca.explained_variance_), atol=tolerance(stored) * scale)
    np.testing.assert_allclose(
        pca.components_ @ pca.components_.T, np.eye(12), atol=tolerance(stored)
    )
    assert np.all(np.diff(pca.explained_variance_) <= 0)
    assert math.isclose(pca.explained_variance_ratio_.sum(), 1)
    back = pca.inverse_transform(pca.transform(X))
    np.testing.assert_allclose(back, X, atol=tolerance(stored) * np.abs(X.astype(float)).max())


@P2
@pytest.mark.parametrize("n_components", [None, 1, 5, 12, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("stored", [np.float32, np.float64])
def test_pca_equals_scikit_learns(stored: Any, n_components: Any) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    X = data(500, stored=stored)
    theirs = decomposition.PCA(n_components, svd_solver="covariance_eigh").fit(X)
    ours = PCA(n_components).fit(X)
    assert ours.n_components_ == theirs.n_components_
    assert ours.components_.dtype == theirs.components_.dtype
    atol = tolerance(stored) * 10
    for name in ("mean_", "components_", "explained_variance_", "explained_variance_ratio_"):
        np.testing.assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=1e-5, atol=atol, err_msg=name
        )
    np.testing.assert_allclose(ours.transform(X), theirs.transform(X), atol=atol)


@P2
@pytest.mark.parametrize("shape", [(300, 12), (10, 40)])
def test_whitening_equals_scikit_learns(shape: tuple[int, int]) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    X = data(*shape)
    keep = min(shape) - 1  # the last of N < D is without variance: theirs is noise, grown large
    theirs = decomposition.PCA(keep, whiten=True, svd_solver="full").fit_transform(X)
    np.testing.assert_allclose(Whiten(keep).fit_transform(X), theirs, rtol=1e-7, atol=1e-9)


@P2
@pytest.mark.parametrize("method", ["pca", "zca"])
@pytest.mark.parametrize("stored", STORED)
def test_whitened_data_have_the_unit_covariance(stored: Any, method: str) -> None:
    X = data(400, stored=stored)
    whiten = Whiten(method=method).fit(X)
    Y = whiten.transform(X)
    assert Y.dtype == (np.float64 if stored is np.float64 else np.float32)
    np.testing.assert_allclose(covariance(Y), np.eye(12), atol=tolerance(stored))
    np.testing.assert_allclose(Y.mean(axis=0), 0, atol=tolerance(stored))
    back = whiten.inverse_transform(Y)
    np.testing.assert_allclose(back, X, atol=tolerance(stored) * np.abs(X.astype(float)).max())


@P2
@pytest.mark.parametrize("stored", [np.uint8, np.float32])
def test_variances_that_span_eight_orders(stored: Any) -> None:
    """As those of images: smooth, with a little noise."""
    rng = np.random.default_rng(0)
    smooth = np.cumsum(rng.normal(size=(1500, 300)), axis=1)
    smooth += 300 * rng.normal(size=(1500, 1))
    X = np.clip(128 + smooth / 10 + rng.normal(size=smooth.shape) / 50, 0, 255)
    X = X.astype(np.uint8) if stored is np.uint8 else (X / 255).astype(np.float32)
    whiten = Whiten(precision="float32" if stored is np.uint8 else "auto").fit(X)
    variances = whiten.explained_variance_
    assert variances[0] > 1e4 * variances[-1]
    np.testing.assert_allclose(covariance(whiten.transform(X)), np.eye(300), atol=1e-3)
    rough = PCA(precision="float32").fit(X).explained_variance_
    np.testing.assert_allclose(rough, variances, rtol=1e-2, atol=1e-7 * variances[0])


@P2
@pytest.mark.slow
def test_whitened_images_have_the_unit_covariance(images: np.ndarray) -> None:
    """In float32, though the variances of the 3,072 directions span eight orders."""
    X = images.reshape(len(images), -1).astype(np.float32) / 255
    whiten = Whiten().fit(X)
    for method in ("pca", "zca"):
        Y = whiten.set_params(method=method).transform(X)
        assert Y.dtype == np.float32
        np.testing.assert_allclose(covariance(Y), np.eye(3072), atol=1e-3)


@P2
def test_whitened_images_equal_scikit_learns(images: np.ndarray) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    X = images[:, 8:24, 8:24].reshape(len(images), -1) / 255
    ours = Whiten().fit(X.astype(np.float32))
    theirs = decomposition.PCA(whiten=True, svd_solver="covariance_eigh").fit(X)
    np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_, rtol=1e-3)
    a, b = ours.transform(X.astype(np.float32)), theirs.transform(X)
    np.testing.assert_allclose(np.abs(a[:, :300]), np.abs(b[:, :300]), atol=1e-3)


@P2
def test_whitening_formulas() -> None:
    """The course's listing, with its division by N and its 1e-5."""
    X = data()
    Xc = X - X.mean(axis=0)
    U, S, _ = np.linalg.svd(Xc.T @ Xc / len(X))
    rotated = Xc @ U
    white = rotated / np.sqrt(S + 1e-5)
    pca = Whiten(eps=1e-5, ddof=0).fit_transform(X)
    np.testing.assert_allclose(np.abs(pca), np.abs(white), rtol=1e-6, atol=1e-9)  # up to sign
    zca = Whiten(method="zca", eps=1e-5, ddof=0).fit_transform(X)
    np.testing.assert_allclose(zca, white @ U.T, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(PCA(ddof=0).fit(X).explained_variance_, S, rtol=1e-10)


@P2
def test_zca_stays_nearest_to_the_data() -> None:
    X = Normalize().fit_transform(data(400))
    near, far = (Whiten(method=m).fit_transform(X) for m in ("zca", "pca"))
    assert np.square(near - X).sum() < np.square(far - X).sum()


@P2
@pytest.mark.parametrize("method", ["pca", "zca"])
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("n", [4000, 30])
def test_directions_without_variance_come_out_as_zero(n: int, stored: Any, method: str) -> None:
    """Five independent features, repeated until there are 40."""
    X = np.tile(data(n, 5, stored), 8)
    X[:, 7] = 3  # constant
    whiten = Whiten(method=method).fit(X)
    C = covariance(whiten.transform(X))
    values = np.linalg.eigvalsh(C)[::-1]
    np.testing.assert_allclose(values[:5], 1, atol=1e-3)
    np.testing.assert_allclose(values[5:], 0, atol=1e-3)
    back = whiten.inverse_transform(whiten.transform(X))
    np.testing.assert_allclose(back, X, atol=1e-4 * np.abs(X.astype(float)).max())


@P2
@pytest.mark.parametrize("stored", STORED)
def test_more_features_than_rows(stored: Any) -> None:
    X = data(20, 2100, stored)  # columns in two parts
    pca = PCA().fit(X)
    assert pca.n_components_ == 19
    atol = tolerance(stored)
    np.testing.assert_allclose(pca.components_ @ pca.components_.T, np.eye(19), atol=atol)
    s = np.linalg.svd(X - X.astype(np.float64).mean(axis=0), compute_uv=False)[:19]
    np.testing.assert_allclose(pca.explained_variance_, s**2 / 19, rtol=1e-6)
    assert math.isclose(pca.explained_variance_ratio_.sum(), 1)
    back = pca.inverse_transform(pca.transform(X))
    np.testing.assert_allclose(back, X, atol=10 * atol * np.abs(X.astype(float)).max())
    np.testing.assert_allclose(covariance(Whiten().fit_transform(X)), np.eye(19), atol=10 * atol)
    with pytest.raises(ValueError, match="n_components: expected between 1 and 19, got 20"):
        PCA(20).fit(X)
    with pytest.raises(ValueError, match="partial_fit: expected a fit with at least as many rows"):
        pca.partial_fit(X)


@P2
@pytest.mark.parametrize("rows", [5, 50])
def test_equal_rows_have_no_direction_with_variance(rows: int) -> None:
    X = np.full((rows, 8), 0.1)
    Y = Whiten().fit_transform(X)
    np.testing.assert_allclose(Y, 0, atol=1e-12)
    np.testing.assert_allclose(Whiten(method="zca").fit_transform(X), np.zeros((rows, 8)))


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
    "a list": ([[1.0, 2.0]], TypeError, "X: expected a NumPy array, got list"),
    "NaN": (np.array([[1, 2], [np.nan, 3]]), ValueError, "X: .*got nan in row 1, column 0"),
    "strides": (np.zeros((4, 6))[:, ::2], ValueError, "X: .*C-contiguous"),
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
    "call", ["Normalize().fit(X)", "PCA().partial_fit(X)", "pca.transform(X)", "zero.transform(X)"]
)
def test_interrupt(call: str) -> None:
    """LAPACK alone does not hear Ctrl-C: partial_fit leaves it to whoever asks for components."""
    setup = """
    from fanin.preprocessing import PCA, Normalize, ZeroCenter
    X = np.ones((1500, 1500), np.float32)
    X[:, 0] = np.arange(1500)
    pca, zero = PCA().fit(X), ZeroCenter().fit(X)
    X = np.ones((60_000, 1500), np.float32)
    """
    work = f"""
        while True:
            {call}
    """
    interrupted(setup, work)
