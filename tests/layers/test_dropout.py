"""Dropout, inverted and vanilla: in `layers` and in the network, against the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from dropout_cases import assert_gradient, network, problem
from reference import ACTIVATIONS, ReferenceMLP, dropout_mask

import fanin
from fanin import layers

MODES = ["inverted", "vanilla"]


# layers


@pytest.mark.row("R7")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(17, 65), (2, 3, 64), (40,)])
def test_vanilla_pair(shape: tuple[int, ...], dtype: Any) -> None:
    rng = np.random.default_rng(1)
    x, dout = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    y, cache = layers.dropout_forward(x, keep=0.8, mode="vanilla", rng=6)
    cols = shape[-1]
    mask = dropout_mask(6, 0, x.size // cols, cols, 0.8).reshape(shape)
    assert np.array_equal(y, np.where(mask, x, 0))
    assert np.array_equal(layers.dropout_backward(dout, cache), np.where(mask, dout, 0))
    y, cache = layers.dropout_forward(x, keep=0.8, mode="vanilla", train=False)
    assert np.array_equal(y, x * dtype(0.8))
    assert np.array_equal(layers.dropout_backward(dout, cache), dout * dtype(0.8))


@pytest.mark.row("R7")
@pytest.mark.row("R8")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9])
def test_the_mean_in_training_is_the_output_at_test_time(mode: str, keep: float) -> None:
    n = 400_000
    x = np.full((n, 1), 3.0)
    trained, _ = layers.dropout_forward(x, keep=keep, mode=mode, rng=0)
    tested, _ = layers.dropout_forward(x, keep=keep, mode=mode, train=False)
    error = np.sqrt(keep * (1 - keep) / n) * trained.max()
    assert abs(trained.mean() - tested.mean()) < 5 * error
    assert tested[0, 0] == pytest.approx(3.0 if mode == "inverted" else 3.0 * keep)


def test_the_modes_differ_by_a_factor() -> None:
    x = np.random.default_rng(0).standard_normal((9, 70))
    inverted, _ = layers.dropout_forward(x, keep=0.5, rng=2)
    vanilla, _ = layers.dropout_forward(x, keep=0.5, mode="vanilla", rng=2)
    assert np.array_equal(inverted, 2 * vanilla)


# The network


@pytest.mark.row("R7")
@pytest.mark.row("R8")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_training_is_the_plain_loop(mode: str, activation: str) -> None:
    X, y = problem()
    net = network(activation=activation, keep=[0.7, 0.5], dropout_mode=mode)
    expected = ReferenceMLP.of(net)
    reference.fit(expected, X, y, reference.Adam(), epochs=3, batch_size=64)
    net.fit(X, y, epochs=3, batch_size=64, progress=False)
    for name, p in net.params.items():
        np.testing.assert_allclose(p, expected.params[name], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(net.scores(X), expected.forward(X)[-1][0], rtol=1e-9, atol=1e-11)


@pytest.mark.row("R7")
@pytest.mark.row("R8")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("step", [None, 3])
@pytest.mark.parametrize("activation", ["gelu", "tanh", "identity", "relu"])
def test_gradient_of_the_network(mode: str, step: int | None, activation: str) -> None:
    assert_gradient(network(activation=activation, keep=[0.7, 0.6], dropout_mode=mode), step)


@pytest.mark.row("R7")
def test_vanilla_predicts_without_chance() -> None:
    X, y = problem()
    net = network(keep=0.6, dropout_mode="vanilla", dtype="float32")
    net.fit(X, y, epochs=5, progress=False)
    scores = net.scores(X)
    assert np.array_equal(scores, net.scores(X))
    p = {name: value.astype(np.float64) for name, value in net.params.items()}
    h = np.maximum(X @ p["W1"] + p["b1"], 0) * 0.6
    h = np.maximum(h @ p["W2"] + p["b2"], 0) * 0.6
    np.testing.assert_allclose(scores, h @ p["W3"] + p["b3"], atol=1e-5)
    result = net.evaluate(X, y)
    assert result["accuracy"] == (net.predict(X) == y).mean()
    assert result["loss"] == pytest.approx(net.loss_and_grads(X.astype(np.float32), y)[0], rel=1e-6)


def test_vanilla_is_inverted_where_nothing_is_dropped() -> None:
    X, y = problem()
    nets = [network(dropout_mode=mode) for mode in MODES]
    for net in nets:
        net.fit(X, y, epochs=2, progress=False)
    assert np.array_equal(nets[0].get_parameters(), nets[1].get_parameters())


def test_the_mode_is_saved_and_copied(tmp_path: Any) -> None:
    X, _ = problem()
    net = network(keep=[0.5, 0.7], dropout_mode="vanilla")
    net.save(tmp_path / "net.npz")
    for twin in (fanin.MLP.load(tmp_path / "net.npz"), net.copy()):
        assert twin.config() == net.config()
        assert np.array_equal(twin.scores(X), net.scores(X))


def test_a_network_saved_without_the_mode_is_inverted() -> None:
    net = network(keep=0.5)
    state = net.__getstate__()
    state["config"] = {
        k: v for k, v in state["config"].items() if not k.startswith(("dropout_", "drop_connect"))
    }
    twin = fanin.MLP.__new__(fanin.MLP)
    twin.__setstate__(state)
    assert twin.config() == net.config()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: layers.dropout_forward(np.ones((2, 3)), keep=0.5, mode="test"),
            "mode: expected one of inverted, vanilla; got 'test'",
        ),
        (
            lambda: layers.dropout_forward(np.ones((2, 3)), keep=1.5, train=False),
            r"keep: expected a probability of keeping in \(0, 1\], got 1.5",
        ),
        (
            lambda: network(dropout_mode="Vanilla"),
            "dropout_mode: expected one of inverted, vanilla; got 'Vanilla'",
        ),
    ],
)
def test_bad_input(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
