"""MLP: construction, passes over data, evaluation, preprocessing, copies."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from reference import ReferenceMLP, loss_rows, weighted_sum

import fanin
from fanin import _core, initializers
from fanin.random import package_generator

DTYPES = ["float32", "float64"]


def normals(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def digits(n: int, classes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, n]).integers(0, classes, n)


@pytest.mark.parametrize("dtype", DTYPES)
def test_parameters_are_views_of_one_arena(dtype: str) -> None:
    net = fanin.MLP([7, 5, 3], dtype=dtype)
    assert list(net.params) == ["W1", "b1", "W2", "b2"]
    assert [p.shape for p in net.params.values()] == [(7, 5), (5,), (5, 3), (3,)]
    assert {p.dtype for p in net.params.values()} == {np.dtype(dtype)}
    assert net.n_params == 7 * 5 + 5 + 5 * 3 + 3
    for p in net.params.values():
        assert p.ctypes.data % 64 == 0
    X = normals(4, 7).astype(dtype)
    net.params["W2"][:] = 0
    net.params["b2"][:] = [1, 2, 3]
    assert np.array_equal(net.scores(X), np.tile(np.array([1, 2, 3], dtype), (4, 1)))


@pytest.mark.parametrize("init", ["kaiming", "xavier", "small_random"])
def test_parameters_are_a_function_of_the_seed(init: str) -> None:
    net = fanin.MLP([20, 30, 10], init=init, seed=5)
    same = fanin.MLP([20, 30, 10], init=init, output_init=None, seed=5)
    small = initializers.small_random
    for layer, shape in enumerate([(20, 30), (30, 10)]):
        for parameters, last in ((net.params, small), (same.params, initializers.get(init))):
            initialize = last if layer == 1 else initializers.get(init)
            rng = package_generator(5, "init", layer, 0)
            expected = initialize(shape, rng=rng, dtype="float32")
            assert np.array_equal(parameters[f"W{layer + 1}"], expected)
            assert not parameters[f"b{layer + 1}"].any()
    twin = fanin.MLP([20, 30, 10], init=init, seed=5)
    assert np.array_equal(net.get_parameters(), twin.get_parameters())
    other = fanin.MLP([20, 30, 10], init=init, seed=6)
    assert not np.array_equal(net.get_parameters(), other.get_parameters())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dims", [[3, 2], [65, 17, 5], [30, 64, 333, 7]])
def test_scores_against_the_reference(dims: list[int], dtype: str) -> None:
    net = fanin.MLP(dims, activation="gelu", keep=0.5, dtype=dtype, seed=1)
    X = normals(200, dims[0]).astype(dtype)
    expected = ReferenceMLP.of(net).forward(X)[-1][0]
    tolerance = 100 * np.finfo(dtype).eps * np.abs(expected).max()
    np.testing.assert_allclose(net.scores(X), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_scores_of_a_row_do_not_depend_on_the_others(dtype: str) -> None:
    net = fanin.MLP([40, 65, 10], activation="tanh", dtype=dtype)
    X = normals(1000, 40).astype(dtype)
    whole = net.scores(X)
    for i in (0, 95, 96, 500, 999):
        assert np.array_equal(net.scores(X[i : i + 1]), whole[i : i + 1])
    order = np.random.default_rng(0).permutation(1000)
    assert np.array_equal(net.scores(X[order]), whole[order])
    for n_threads in (1, 2, 3):
        assert np.array_equal(net.scores(X, n_threads=n_threads), whole)


def test_scores_are_those_of_the_layers() -> None:
    """The engine and fanin.layers.dense run the same kernel: the same bits."""
    net = fanin.MLP([33, 70, 9], activation="elu")
    X = normals(150, 33).astype(np.float32)
    h = fanin.layers.dense(X, net.params["W1"], net.params["b1"], activation="elu")
    scores = fanin.layers.dense(h, net.params["W2"], net.params["b2"], activation="identity")
    assert np.array_equal(net.scores(X), scores)


def test_predictions_and_probabilities() -> None:
    net = fanin.MLP([6, 8, 4], dtype="float64")
    X = normals(50, 6)
    scores = net.scores(X)
    assert np.array_equal(net.predict(X), scores.argmax(axis=1))
    p = net.predict_proba(X)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-15)
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(p, expected, rtol=1e-13)
    net.params["W2"][:] = 0
    assert not net.predict(X).any()  # a tie goes to the first
    with pytest.raises(ValueError, match=r"predict_proba: .*'softmax' or .*, this is 'svm'"):
        fanin.MLP([6, 4], loss="svm").predict_proba(X)


def test_mse_predicts_values() -> None:
    net = fanin.MLP([6, 8, 1], loss="mse", dtype="float64")
    X = normals(50, 6)
    assert np.array_equal(net.predict(X), net.scores(X))
    values = normals(50, seed=1)
    expected = float(((net.scores(X)[:, 0] - values) ** 2).mean())
    assert net.evaluate(X, values) == {"loss": pytest.approx(expected, rel=1e-13)}
    assert net.evaluate(X, values[:, None]) == net.evaluate(X, values)
    whole = np.arange(50)  # with one output whole numbers are values, not labels
    assert net.evaluate(X, whole) == net.evaluate(X, whole.astype(np.float64))


@pytest.mark.parametrize("loss", ["softmax", "svm", "mse"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_evaluate_against_the_reference(loss: str, dtype: str, weighted: bool) -> None:
    net = fanin.MLP([30, 20, 5], activation="tanh", keep=0.5, loss=loss, dtype=dtype)
    X, y = normals(333, 30).astype(dtype), digits(333, 5)
    w = np.random.default_rng(0).uniform(0, 3, 333) if weighted else None
    scores = ReferenceMLP.of(net).forward(X)[-1][0]
    rows, _ = loss_rows(loss, scores, y)
    got = net.evaluate(X, y, sample_weight=w)
    tolerance = 100 * float(np.finfo(dtype).eps)
    assert got["loss"] == pytest.approx(weighted_sum(rows, w), rel=tolerance)
    assert got["accuracy"] == (net.scores(X).argmax(axis=1) == y).mean()
    for n_threads in (1, 2, 3):
        assert net.evaluate(X, y, sample_weight=w, n_threads=n_threads) == got


def test_soft_labels_have_no_accuracy() -> None:
    net = fanin.MLP([6, 4])
    X = normals(10, 6).astype(np.float32)
    assert net.evaluate(X, np.full((10, 4), 0.25)).keys() == {"loss"}


def test_loss_adds_l2_over_weights_only() -> None:
    net = fanin.MLP([6, 5, 4], dtype="float64")
    net.params["b1"][:] = 3
    X, y = normals(10, 6), digits(10, 4)
    W = net.params["W1"], net.params["W2"]
    penalty = 0.5 * 0.2 * sum((w * w).sum() for w in W)
    assert net.loss(X, y, reg=0.2) == pytest.approx(net.loss(X, y) + penalty, rel=1e-14)
    assert net.loss(X, y) == net.evaluate(X, y)["loss"]


@pytest.mark.parametrize("label_type", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_labels_of_any_whole_type(label_type: Any) -> None:
    net = fanin.MLP([6, 4])
    X, y = normals(30, 6).astype(np.float32), digits(30, 4)
    expected = net.evaluate(X, y)
    assert net.evaluate(X, y.astype(label_type)) == expected
    assert net.evaluate(X, np.repeat(y.astype(label_type), 2)[::2]) == expected


def test_images_are_flattened() -> None:
    net = fanin.MLP([2 * 3 * 5, 4])
    X = normals(7, 2, 3, 5).astype(np.float32)
    assert np.array_equal(net.scores(X), net.scores(X.reshape(7, 30)))


def test_data_is_converted_to_the_networks_type() -> None:
    X = normals(120, 30)
    narrow, wide = fanin.MLP([30, 4]), fanin.MLP([30, 4], dtype="float64")
    assert np.array_equal(narrow.scores(X), narrow.scores(X.astype(np.float32)))
    X = X.astype(np.float32)
    assert np.array_equal(wide.scores(X), wide.scores(X.astype(np.float64)))
    assert wide.scores(X).dtype == np.float64


@pytest.mark.parametrize("dtype", DTYPES)
def test_bytes_enter_as_their_values(dtype: str) -> None:
    net = fanin.MLP([30, 4], dtype=dtype)
    X = np.random.default_rng(0).integers(0, 256, (50, 30), dtype=np.uint8)
    assert np.array_equal(net.scores(X), net.scores(X.astype(dtype)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("data", [np.uint8, np.float32, np.float64])
def test_preprocess_is_mean_then_scale(dtype: str, data: Any) -> None:
    X = np.random.default_rng(0).integers(0, 256, (333, 17)).astype(data)
    mean, scale = normals(17, seed=1), normals(17, seed=2)
    for pair in [(mean, scale), (100, 0.02), (mean, 0.5), ([3.0], scale)]:
        net = fanin.MLP([17, 4], dtype=dtype)
        plain = net.copy()
        net.set_preprocess(pair, X)
        m, s = (np.asarray(v).astype(dtype) for v in pair)
        rows = np.ascontiguousarray((X.astype(dtype) - m) * s)
        assert np.array_equal(net.scores(X), plain.scores(rows))


def test_standardize() -> None:
    X = normals(500, 6) * [1, 10, 100, 1e-3, 1, 5] + [0, 5, -1e3, 0, 7, 1]
    X[:, 4] = 7  # constant: only centred
    net = fanin.MLP([6, 4], dtype="float64")
    plain = net.copy()
    net.set_preprocess("standardize", X)
    std = X.std(axis=0)
    std[4] = 1
    np.testing.assert_allclose(
        net.scores(X), plain.scores((X - X.mean(axis=0)) / std), rtol=1e-11, atol=1e-12
    )
    bytes_ = np.random.default_rng(0).integers(0, 256, (500, 6), dtype=np.uint8)
    net.set_preprocess("standardize", bytes_)
    rows = (bytes_ - bytes_.mean(axis=0)) / bytes_.std(axis=0)
    np.testing.assert_allclose(net.scores(bytes_), plain.scores(rows), rtol=1e-11, atol=1e-12)


def trained() -> tuple[fanin.MLP, np.ndarray, np.ndarray]:
    X, y = 3 + 2 * normals(200, 6), digits(200, 4)
    net = fanin.MLP([6, 8, 4], activation=["gelu"], keep=0.9, dtype="float64", seed=2)
    net.fit(X, y, epochs=2, batch_size=64, preprocess="standardize", progress=False)
    return net, X, y


@pytest.mark.parametrize("way", ["copy", "deepcopy", "pickle", "save"])
def test_copies_are_whole_and_independent(way: str, tmp_path: Any) -> None:
    net, X, y = trained()
    if way == "copy":
        twin = net.copy()
    elif way == "deepcopy":
        twin = copy.deepcopy(net)
    elif way == "pickle":
        twin = pickle.loads(pickle.dumps(net))
    else:
        net.save(tmp_path / "net.fanin")
        twin = fanin.MLP.load(tmp_path / "net.fanin")
    assert repr(twin) == repr(net)
    assert twin.config() == net.config()
    assert (twin.epochs_done, twin.steps_done) == (net.epochs_done, net.steps_done) == (2, 8)
    assert np.array_equal(twin.scores(X), net.scores(X))
    before = net.get_parameters()
    options: dict[str, Any] = {"epochs": 1, "optimizer": "sgd", "progress": False}
    twin.fit(X, y, **options)
    assert np.array_equal(net.get_parameters(), before)
    net.fit(X, y, **options)  # and it goes on as the original does
    assert np.array_equal(net.get_parameters(), twin.get_parameters())


def test_parameters_outlive_the_network() -> None:
    params = fanin.MLP([6, 8, 4], seed=3).params
    expected = fanin.MLP([6, 8, 4], seed=3).params
    for name in params:
        assert np.array_equal(params[name], expected[name])


def test_set_parameters() -> None:
    net, other = fanin.MLP([6, 8, 4], seed=1), fanin.MLP([6, 8, 4], seed=2)
    other.set_parameters(net.get_parameters())
    assert np.array_equal(other.params["W1"], net.params["W1"])
    with pytest.raises(ValueError, match=r"^parameters: expected shape .* float32, got \(3,\)"):
        net.set_parameters(np.zeros(3, np.float32))


def test_engine_streams_are_apart() -> None:
    purposes = ["user", "init", "dropout", "shuffle", "replacement", "drop_connect"]
    streams = {
        _core.stream_of(p, layer, step)
        for p in purposes
        for layer in (0, 1, 65535)
        for step in (0, 1, 2**40 - 1)
    }
    assert len(streams) == len(purposes) * 9


@pytest.mark.parametrize("dims", [[2**31 - 1] * 4, [2**31 - 1, 2**31 - 1]])
def test_networks_beyond_memory_are_refused(dims: list[int]) -> None:
    with pytest.raises((MemoryError, ValueError)):
        fanin.MLP(dims)
