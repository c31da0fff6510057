"""Preprocessing inside a network: fitted with it, folded into its loop, saved with it."""

from __future__ import annotations

import copy
import hashlib
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fanin
from fanin import checkpoint
from fanin._pipeline import blocks
from fanin.preprocessing import PCA, Normalize, Whiten, ZeroCenter

P1, P2 = pytest.mark.row("P1"), pytest.mark.row("P2")
STORED = [np.uint8, np.float32, np.float64]
OPTIONS: dict[str, Any] = {"epochs": 2, "batch_size": 64, "progress": False}


def data(n: int = 200, d: int = 12, stored: Any = np.float32, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = 100 + rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) * np.geomspace(20, 3, d)
    return np.clip(x, 0, 255).astype(stored)


def labels(n: int = 200, classes: int = 3) -> np.ndarray:
    return np.arange(n) * 7 % classes


PIPELINES: dict[str, tuple[Any, int]] = {
    "centre": (ZeroCenter(), 12),
    "normalize": (Normalize(), 12),
    "both": ([ZeroCenter(), Normalize(eps=0.5)], 12),
    "pca": (PCA(5), 5),
    "normalize, pca": ([Normalize(), PCA(5)], 5),
    "pca, normalize": ([PCA(5), Normalize()], 5),
    "a share": ([PCA(0.9)], 0),
    "whiten": (Whiten(7), 7),
    "zca": ([ZeroCenter(), Whiten(method="zca", eps=0.1)], 12),
    "all": ([Normalize(), PCA(9), Normalize(), Whiten(6), ZeroCenter(), Normalize()], 6),
}


def by_hand(given: Any, X: np.ndarray) -> tuple[list[Any], np.ndarray]:
    """Fitted copies, one after the other, and what they make of X."""
    steps = [type(s)(**s.get_params()) for s in (given if isinstance(given, list) else [given])]
    for step in steps:
        X = step.fit_transform(X)
    return steps, X


@P1
@P2
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("name", PIPELINES)
def test_a_network_sees_what_the_transformers_make(name: str, stored: Any) -> None:
    given, width = PIPELINES[name]
    X, new = data(stored=stored), data(50, stored=stored, seed=1)
    steps, rows = by_hand(given, X)
    net = fanin.MLP([width or rows.shape[1], 8, 3], dtype="float64", seed=1)
    plain = net.copy()
    net.set_preprocess(given, X)
    atol = 1e-9 if stored is np.float64 else 1e-4
    for x in (X, new):
        expected = x
        for step in steps:
            expected = step.transform(expected)
        np.testing.assert_allclose(net.scores(x), plain.scores(expected), rtol=1e-3, atol=atol)
        seen, mean, scale = net._inputs(x)
        if mean is not None:
            seen = (seen - mean) * scale
        np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=50 * atol)
    assert repr(net.preprocess) == repr(given if isinstance(given, list) else [given])
    for one in given if isinstance(given, list) else [given]:
        assert not one.__sklearn_is_fitted__()


@P1
@P2
@pytest.mark.parametrize("name", PIPELINES)
def test_every_pass_over_data_is_preprocessed(name: str) -> None:
    given, width = PIPELINES[name]
    images = data(stored=np.uint8).reshape(200, 2, 2, 3)
    rows, y = by_hand(given, images)[1], labels()
    net = fanin.MLP([width or rows.shape[1], 8, 3], dtype="float64", seed=1)
    plain = net.copy()
    seen = net.fit(images, y, validation_data=(images, y), preprocess=given, **OPTIONS)
    expected = plain.fit(rows, y, validation_data=(rows, y), **OPTIONS)
    for key, values in expected.history.items():
        np.testing.assert_allclose(seen.history[key], values, rtol=1e-4, atol=1e-4, err_msg=key)
    assert net.evaluate(images, y)["loss"] == seen.history["val_loss"][-1]
    np.testing.assert_array_equal(net.predict(images), net.scores(images).argmax(axis=1))
    np.testing.assert_allclose(
        net.predict_proba(images), fanin.losses.softmax(net.scores(images)), rtol=1e-12
    )
    loss, grads = net.loss_and_grads(images, y)
    plain.set_parameters(net.get_parameters())
    expected_loss, expected_grads = plain.loss_and_grads(rows, y)
    assert loss == pytest.approx(expected_loss, rel=1e-4)
    for key, value in expected_grads.items():
        np.testing.assert_allclose(grads[key], value, atol=1e-4, err_msg=key)


@P1
def test_folded_steps_are_one_pair_and_no_copy() -> None:
    X = data(20_000, 300, np.uint8)
    net = fanin.MLP([300, 3])
    tracemalloc.start()
    net.fit(X, labels(len(X)), preprocess=[ZeroCenter(), Normalize()], **OPTIONS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    rows, mean, scale = net._inputs(X)
    assert rows.base is X or rows is X
    assert mean is not None
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(1 / scale, X.std(axis=0), rtol=1e-6)
    assert peak < 4 * X.size  # less than a float32 copy; a block is some of it


@P1
def test_a_feature_far_from_zero() -> None:
    X = 1e8 + np.random.default_rng(0).normal(size=(500, 4))
    net = fanin.MLP([4, 3])
    net.set_preprocess([ZeroCenter(), Normalize()], X)
    rows, mean, scale = net._inputs(X)
    np.testing.assert_allclose(((rows - mean) * scale).std(axis=0), 1, rtol=1e-6)
    expected = fanin.MLP([4, 3]).scores(Normalize().fit_transform(X).astype(np.float32))
    np.testing.assert_allclose(net.scores(X), expected, atol=1e-6)


@P1
@P2
@pytest.mark.parametrize("way", ["copy", "deepcopy", "pickle", "save"])
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("name", PIPELINES)
def test_copies_and_files_carry_it(name: str, stored: Any, way: str, tmp_path: Path) -> None:
    given, width = PIPELINES[name]
    X, y = data(stored=stored), labels()
    width = width or by_hand(given, X)[1].shape[1]
    net = fanin.MLP([width, 8, 3], seed=1)
    net.fit(X, y, preprocess=given, **OPTIONS)
    if way == "copy":
        twin = net.copy()
    elif way == "deepcopy":
        twin = copy.deepcopy(net)
    elif way == "pickle":
        twin = pickle.loads(pickle.dumps(net))
    else:
        net.save(tmp_path / "net")
        twin = fanin.MLP.load(tmp_path / "net")
    assert repr(twin.preprocess) == repr(net.preprocess)
    for x in (X, data(70, stored=np.float64, seed=3), data(70, stored=np.uint8, seed=3)):
        np.testing.assert_array_equal(twin.scores(x), net.scores(x))
    for a, b in zip(twin.preprocess, net.preprocess, strict=True):
        assert a.n_samples_seen_ == b.n_samples_seen_ == 200
        some = data(9, a._columns_out)
        np.testing.assert_array_equal(a.inverse_transform(some), b.inverse_transform(some))
    before = net.get_parameters()
    twin.fit(X, y, **OPTIONS)  # goes on with what was stored
    np.testing.assert_array_equal(net.get_parameters(), before)
    net.fit(X, y, **OPTIONS)
    np.testing.assert_array_equal(net.get_parameters(), twin.get_parameters())
