"""Zero-centring, normalisation, PCA and whitening: the formulas and scikit-learn's results."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import pytest
from preprocessing_cases import P1, P2, STORED, covariance, data, tolerance

from fanin.preprocessing import PCA, Normalize, Whiten, ZeroCenter


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """CIFAR-10 images, uint8 (N, 32, 32, 3)."""
    path = os.environ.get("FANIN_CIFAR10")
    if not path:
        pytest.skip("FANIN_CIFAR10 names no file of images")
    with np.load(path) as file:
        return file["x"]


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
