"""Test-time augmentation: the mean over views, made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fanin
from fanin.augment import (
    ColorJitter,
    Compose,
    FiveCrop,
    HorizontalFlip,
    Mixup,
    Normalize,
    RandomCrop,
    Resize,
    TenCrop,
)
from fanin.network import images as network_images
from fanin.preprocessing import PCA


def images(n: int = 33, size: int = 10, dtype: str = "uint8") -> np.ndarray:
    drawn = np.random.default_rng([n, size]).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    return drawn if dtype == "uint8" else drawn.astype(np.float32) / np.float32(255)


def network(size: int = 8, **options: Any) -> fanin.MLP:
    return fanin.MLP([size * size * 3, 16, 5], **{"seed": 2, "output_init": None} | options)


def by_hand(net: fanin.MLP, views: list[np.ndarray]) -> np.ndarray:
    each = [net.predict_proba(np.ascontiguousarray(view)).astype(np.float64) for view in views]
    return np.mean(each, axis=0)


def assert_mean(result: np.ndarray, expected: np.ndarray) -> None:
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    np.testing.assert_allclose(result.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.row("A+")
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_five_crops_are_averaged(dtype: str) -> None:
    X, net = images(dtype=dtype), network()
    corners = [X[:, :8, :8], X[:, :8, 2:], X[:, 2:, :8], X[:, 2:, 2:], X[:, 1:9, 1:9]]
    expected = by_hand(net, corners)
    assert_mean(net.predict_proba(X, tta=FiveCrop(8)), expected)
    assert_mean(net.predict_proba(X, tta=Compose([FiveCrop(8)], seed=9)), expected)
    assert_mean(net.predict_proba(X, tta=[FiveCrop(8)]), expected)
    np.testing.assert_array_equal(net.predict(X, tta=FiveCrop(8)), expected.argmax(axis=1))


def test_views_of_unlike_pipelines_weigh_alike() -> None:
    X, net = images(), network()
    ten = Compose([TenCrop(8)])
    views = [*np.moveaxis(ten(X), 1, 0), Compose([Resize(8)])(X)]
    assert_mean(net.predict_proba(X, tta=(ten, Resize(8))), by_hand(net, views))


@pytest.mark.row("A+")
def test_the_image_and_its_mirror() -> None:
    X, net = images(size=8), network()
    result = net.predict_proba(X, tta=[Compose([]), HorizontalFlip(p=1)])
    assert_mean(result, by_hand(net, [X, X[:, :, ::-1]]))


def test_pipeline_i_of_a_list_draws_in_epoch_i() -> None:
    X, net = images(), network()
    aug = Compose([RandomCrop(8), ColorJitter(0.5)], seed=4)
    draws = [aug(X, epoch=epoch) for epoch in range(3)]
    assert (draws[0] != draws[1]).any()
    assert_mean(net.predict_proba(X, tta=[aug] * 3), by_hand(net, draws))
    assert_mean(net.predict_proba(X, tta=aug), by_hand(net, draws[:1]))


@pytest.mark.usefixtures("threads")
def test_bits_depend_on_neither_threads_nor_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    X, net = images(), network()
    tta = [Compose([RandomCrop(8), ColorJitter(0.5)], seed=4), FiveCrop(8)]
    expected = net.predict_proba(X, tta=tta, n_threads=1)
    monkeypatch.setattr(network_images, "BLOCK", 8 * 8 * 3 * 5 * 4)
    np.testing.assert_array_equal(net.predict_proba(X, tta=tta), expected)
    single = np.concatenate([net.predict_proba(X[:1], tta=tta)])
    np.testing.assert_array_equal(single, expected[:1])


@pytest.mark.parametrize("loss", ["svm", "mse"])
def test_without_probabilities_scores_are_averaged(loss: str) -> None:
    X, net = images(), network(loss=loss)
    views = np.moveaxis(Compose([FiveCrop(8)])(X), 1, 0)
    mean = np.mean([net.scores(np.ascontiguousarray(v)).astype(float) for v in views], axis=0)
    result = net.predict(X, tta=FiveCrop(8))
    if loss == "svm":
        np.testing.assert_array_equal(result, mean.argmax(axis=1))
    else:
        np.testing.assert_allclose(result, mean, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="loss='softmax'"):
        net.predict_proba(X, tta=FiveCrop(8))


def test_views_go_through_preprocessing() -> None:
    X = images(60)
    small = Compose([Resize(8)])(X)
    net = fanin.MLP([20, 16, 5], seed=1, output_init=None)
    net.set_preprocess(PCA(20), small)
    crops = [X[:, :8, :8], X[:, :8, 2:], X[:, 2:, :8], X[:, 2:, 2:], X[:, 1:9, 1:9]]
    assert_mean(net.predict_proba(X, tta=FiveCrop(8)), by_hand(net, crops))
    standard = network()
    standard.set_preprocess("standardize", small)
    assert_mean(standard.predict_proba(X, tta=FiveCrop(8)), by_hand(standard, crops))


def test_grey_images_and_float64_networks() -> None:
    X = np.ascontiguousarray(images()[..., 0])
    net = fanin.MLP([64, 16, 5], dtype="float64", seed=1, output_init=None)
    result = net.predict_proba(X, tta=FiveCrop(8))
    assert result.dtype == np.float64
    crops = [X[:, :8, :8], X[:, :8, 2:], X[:, 2:, :8], X[:, 2:, 2:], X[:, 1:9, 1:9]]
    np.testing.assert_allclose(result, by_hand(net, crops), rtol=1e-12)


@pytest.mark.row("A+")
def test_it_helps_where_training_saw_one_place_only() -> None:
    """A bright 3 x 3 square, shifted in the test: five crops look in all the places."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    X = rng.integers(0, 40, (400, 8, 8), dtype=np.uint8)
    X[y == 1, 3:6, 3:6] += 200
    net = fanin.MLP([64, 16, 2], seed=0)
    net.fit(X[:200], y[:200], epochs=10, batch_size=20, progress=False)
    shifted = rng.integers(0, 40, (200, 10, 10), dtype=np.uint8)
    shifted[y[200:] == 1, 5:8, 5:8] += 200  # the place is right in the last corner
    plain = Compose([RandomCrop(8)], seed=1)(shifted)
    tta = net.predict_proba(shifted, tta=FiveCrop(8))[:, 1]
    without = net.predict_proba(plain)[:, 1]
    is_square = y[200:] == 1
    spread = [p[is_square].min() - p[~is_square].max() for p in (tta, without)]
    assert spread[0] > spread[1]
    assert spread[0] > 0


REFUSED: list[tuple[Any, type[Exception], str]] = [
    ([], ValueError, "tta: expected at least one pipeline"),
    (3, TypeError, "tta: expected a fanin.augment.Compose or a transform, got int"),
    ([FiveCrop(8), "flip"], TypeError, r"tta\[1\]: expected a .*, got str"),
    (Compose([RandomCrop(8), Mixup()]), ValueError, "tta: expected no Mixup"),
    ([Compose([Normalize(0.5, 0.5)])], ValueError, r"tta\[0\]: expected no Normalize"),
    (FiveCrop(6), ValueError, r"tta: expected images of 192 values, .*got 6 x 6 x 3 = 108 from"),
    (HorizontalFlip(), ValueError, r"got 10 x 10 x 3 = 300"),
    (FiveCrop(12), ValueError, "Resize first"),
]


@pytest.mark.parametrize(("tta", "error", "message"), REFUSED)
def test_what_cannot_be_is_refused(tta: Any, error: type[Exception], message: str) -> None:
    for predict in (network().predict, network().predict_proba):
        with pytest.raises(error, match=message):
            predict(images(), tta=tta)


def test_rows_and_empty_batches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"X.reshape\(-1, H, W, C\) makes images"):
        network().predict(images(size=8).reshape(33, -1), tta=HorizontalFlip())
    with pytest.raises(ValueError, match="X: expected at least one image"):
        network().predict(images()[:0], tta=FiveCrop(8))
