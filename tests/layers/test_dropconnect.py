"""DropConnect: the masks' definition, gradients, moments, the network, and the same bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import reference
from dropout_cases import assert_gradient, network, problem
from reference import (
    ACTIVATIONS,
    SLOPES,
    ReferenceMLP,
    central_difference,
    dropout_mask,
    fma_product,
)

import fanin
from fanin import _core, layers

pytestmark = pytest.mark.row("R9")
MASKS = ["batch", "example"]
DTYPES = [np.float32, np.float64]
SHAPES = [(1, 1, 1), (7, 5, 3), (5, 33, 64), (4, 20, 65), (3, 9, 200)]


def arrays(n: int, d: int, h: int, dtype: Any = np.float64) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng([n, d, h])
    x, dout = rng.standard_normal((n, d)), rng.standard_normal((n, h))
    x[rng.random((n, d)) < 0.3] = 0  # what needs no draw
    W, b = rng.standard_normal((d, h)), rng.standard_normal(h)
    return tuple(a.astype(dtype) for a in (x, W, b, dout))


def weight_masks(seed: int, n: int, d: int, h: int, keep: float, mask: str) -> np.ndarray:
    """(N, D, H), or (1, D, H) for a batch: a mask is D rows of a dropout mask as wide as W."""
    n = n if mask == "example" else 1
    return dropout_mask(seed, 0, n * d, h, keep).reshape(n, d, h)


# layers


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("shape", SHAPES)
def test_forward_is_its_definition(shape: tuple[int, int, int], mask: str, dtype: Any) -> None:
    x, W, b, _ = arrays(*shape, dtype)
    if dtype == np.float64:  # the definition's products must need no rounding
        x, W, b = (np.round(a * 8) / 8 for a in (x, W, b))
    kept = weight_masks(4, *shape, 0.5, mask)
    y, _ = layers.dropconnect_forward(
        x, W, b, keep=0.5, activation="identity", mask=mask, rng=4, n_threads=2
    )
    for i in range(len(x)):
        masked = np.where(kept[i % len(kept)], W * dtype(2), dtype(0))
        assert np.array_equal(y[i], fma_product(x[i : i + 1], masked, b)[0]), i


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_both_passes_against_float64(activation: str, mask: str, dtype: Any) -> None:
    shape = 11, 23, 70
    x, W, b, dout = arrays(*shape, dtype)
    y, cache = layers.dropconnect_forward(
        x, W, b, keep=0.7, activation=activation, mask=mask, rng=4
    )
    dx, dW, db = layers.dropconnect_backward(dout, cache)
    masks = weight_masks(4, *shape, 0.7, mask) / 0.7
    Wm = masks * W.astype(np.float64)
    z = np.einsum("nd,ndh->nh", x, np.broadcast_to(Wm, (11, 23, 70))) + b
    dz = dout * SLOPES[activation](z)
    tolerance = {"rtol": 0, "atol": 400 * np.finfo(dtype).eps}
    np.testing.assert_allclose(y, ACTIVATIONS[activation](z), **tolerance)
    np.testing.assert_allclose(dx, np.einsum("nh,ndh->nd", dz, Wm + 0 * x[..., None]), **tolerance)
    np.testing.assert_allclose(dW, (masks * x[:, :, None] * dz[:, None]).sum(axis=0), **tolerance)
    np.testing.assert_allclose(db, dz.sum(axis=0), **tolerance)
    assert layers.dropconnect_backward(dout, cache, need_dx=False)[0] is None


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_gradient_with_the_masks_held(mask: str, activation: str) -> None:
    x, W, b, dout = arrays(4, 6, 5)
    x[x == 0] = 0.25  # a difference must not bring a draw into play that was not there

    def f(_: np.ndarray) -> float:
        y, _ = layers.dropconnect_forward(
            x, W, b, keep=0.6, activation=activation, mask=mask, rng=9
        )
        return float((y * dout).sum())

    _, cache = layers.dropconnect_forward(
        x, W, b, keep=0.6, activation=activation, mask=mask, rng=9
    )
    got = layers.dropconnect_backward(dout, cache)
    for found, at in zip(got, (x, W, b), strict=True):
        np.testing.assert_allclose(found, central_difference(f, at), atol=1e-8)


def test_one_row_has_the_batchs_mask() -> None:
    x, W, b, _ = arrays(1, 90, 130, np.float32)
    both = [layers.dropconnect_forward(x, W, b, keep=0.5, mask=m, rng=1)[0] for m in MASKS]
    assert np.array_equal(*both)


@pytest.mark.parametrize("mask", MASKS)
def test_calls_go_on_through_a_stream(mask: str) -> None:
    x, W, _, _ = arrays(6, 10, 70)
    rng = fanin.random.Generator(seed=3)
    rng.random(5)  # now inside what would be the first mask
    parts = [
        layers.dropconnect_forward(x[i : i + 2], W, keep=0.5, mask=mask, rng=rng)[0]
        for i in range(0, 6, 2)
    ]
    used = 3 if mask == "batch" else 6
    assert rng.position == (1 + used) * 10 * 2
    fresh = fanin.random.Generator(seed=3)
    fresh.random(5)
    whole, _ = layers.dropconnect_forward(x, W, keep=0.5, mask=mask, rng=fresh)
    assert np.array_equal(np.concatenate(parts), whole) == (mask == "example")
    assert np.array_equal(parts[0], whole[:2])


@pytest.mark.parametrize("mask", MASKS)
def test_keep_one_is_the_dense_layer(mask: str) -> None:
    x, W, b, dout = arrays(5, 20, 70)
    y, cache = layers.dropconnect_forward(x, W, b, keep=1, mask=mask, activation="elu")
    expected, dense = layers.dense_forward(x, W, b, activation="elu")
    assert np.array_equal(y, expected)
    gradients = zip(
        layers.dropconnect_backward(dout, cache), layers.dense_backward(dout, dense), strict=True
    )
    assert all(np.array_equal(a, b) for a, b in gradients)
    near, _ = layers.dropconnect_forward(x, W, b, keep=1 - 1e-12, mask=mask, activation="elu")
    np.testing.assert_allclose(near, expected, atol=1e-10)


# Moments


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("keep", [0.3, 0.5, 0.8])
def test_moments_of_the_masked_product(keep: float, mask: str) -> None:
    """Mean x W + b and variance (1 - p) / p x^2 W^2, within the error of so many draws."""
    n, d = (20_000 if mask == "example" else 1), 12
    rng = np.random.default_rng(0)
    row, W16, b16 = rng.standard_normal(d), rng.standard_normal((d, 16)), rng.standard_normal(16)
    tiles = 1 if mask == "example" else 20_000
    x, W, b = np.tile(row, (n, 1)), np.tile(W16, tiles), np.tile(b16, tiles)
    y, _ = layers.dropconnect_forward(x, W, b, keep=keep, activation="identity", mask=mask, rng=8)
    draws = y.reshape(-1, 16)
    mean, variance = row @ W16 + b16, (1 - keep) / keep * row**2 @ W16**2
    error = np.sqrt(variance / len(draws))
    assert (abs(draws.mean(axis=0) - mean) < 5 * error).all()
    np.testing.assert_allclose(draws.var(axis=0), variance, rtol=0.06)


def test_masks_of_examples_and_weights_are_independent() -> None:
    x, W = np.eye(20).repeat(50, axis=0), np.ones((20, 96))
    y, _ = layers.dropconnect_forward(x, W, keep=0.5, mask="example", rng=3, activation="identity")
    assert np.isin(y, [0, 2]).all()
    correlation = np.corrcoef(y) - np.eye(1000)
    assert abs(correlation).max() < 6 / math.sqrt(96)
    assert abs(np.corrcoef(y.T) - np.eye(96)).max() < 6 / math.sqrt(1000)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gaussian_activation_against_a_fine_quadrature(activation: str, dtype: Any) -> None:
    mean, deviation = np.meshgrid(np.linspace(-4, 4, 33), [0, 1e-3, 0.3, 1, 3])
    variance = (deviation**2 / 0.25).astype(dtype)
    code = _core.activations.index(activation)
    got = _core.gaussian_activation(mean.astype(dtype), variance, code, 0.25, 0)
    points = np.linspace(-9, 9, 3_001)
    weights = np.exp(-0.5 * points**2)
    weights /= weights.sum()
    expected = np.array(
        [
            ACTIVATIONS[activation](m + s * points) @ weights
            for m, s in zip(mean.flat, deviation.flat, strict=True)
        ]
    ).reshape(mean.shape)
    closed = activation in ("identity", "relu", "leaky_relu")
    coarse = 5e-3 if activation in ("elu", "selu") else 1e-3  # a bend at 0
    np.testing.assert_allclose(got, expected, atol=5e-6 if closed else coarse)


def test_inference_by_moments_is_nearer_to_the_mean_over_masks() -> None:
    rng = np.random.default_rng(0)
    x, W, b = rng.standard_normal((40, 60)), rng.standard_normal((60, 30)) / 8, np.zeros(30)
    options = {"keep": 0.5, "activation": "relu"}
    generator = fanin.random.Generator(seed=1)
    runs = [
        layers.dropconnect_forward(x, W, b, mask="example", rng=generator, **options)[0]
        for _ in range(500)
    ]
    truth = np.mean(runs, axis=0)
    error = {
        kind: abs(layers.dropconnect_inference(x, W, b, inference=kind, **options) - truth).mean()
        for kind in ("mean", "moments")
    }
    assert error["moments"] < 0.03
    assert error["moments"] < 0.2 * error["mean"]


# The network


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.3, "reg": 0.02}, {"reg": 0.01}], ids=str)
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_training_is_the_plain_loop(mask: str, options: dict[str, Any], activation: str) -> None:
    X, y = problem()
    net = network(
        activation=activation, drop_connect=[0.5, 0.8], drop_connect_mask=mask, keep=[1.0, 0.7]
    )
    expected = ReferenceMLP.of(net)
    adam = reference.Adam()
    losses = reference.fit(expected, X, y, adam, epochs=3, batch_size=64, **options)
    history = net.fit(X, y, epochs=3, batch_size=64, progress=False, **options)
    for name, p in net.params.items():
        np.testing.assert_allclose(p, expected.params[name], rtol=1e-8, atol=1e-10)
    assert history.initial_loss == pytest.approx(losses[0], rel=1e-12)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("clip_norm", [None, 0.1])
def test_batches_beyond_the_workspace(mask: str, clip_norm: float | None) -> None:
    """A mask of a batch is one for all its parts; examples' masks go on from part to part."""
    X, y = problem(1100)
    net = network(drop_connect=0.5, drop_connect_mask=mask)
    expected = ReferenceMLP.of(net)
    options = {"epochs": 2, "batch_size": 1100, "clip_norm": clip_norm}
    reference.fit(expected, X, y, reference.Adam(), **options)
    net.fit(X, y, progress=False, **options)
    for name, p in net.params.items():
        np.testing.assert_allclose(p, expected.params[name], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("step", [None, 3])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_gradient_of_the_network(mask: str, step: int | None, activation: str) -> None:
    options = {"keep": [0.9, 0.7], "drop_connect": [0.7, 0.5], "drop_connect_mask": mask}
    assert_gradient(network(activation=activation, **options), step)


@pytest.mark.parametrize("mode", ["inverted", "vanilla"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_inference_of_the_network(activation: str, mode: str) -> None:
    X, y = problem()
    options = {"activation": activation, "keep": 0.8, "drop_connect": [0.5, 1.0]}
    mean, moments = (
        network(**options, dropout_mode=mode, drop_connect_inference=kind)
        for kind in ("mean", "moments")
    )
    p = moments.params
    scale = 1 if mode == "inverted" else 0.8
    for net, kind in ((mean, "mean"), (moments, "moments")):
        h = scale * layers.dropconnect_inference(
            X, p["W1"], p["b1"], keep=0.5, activation=activation, inference=kind
        )
        h = scale * layers.dense(h, p["W2"], p["b2"], activation=activation)
        expected = layers.dense(h, p["W3"], p["b3"], activation="identity")
        np.testing.assert_allclose(net.scores(X), expected, rtol=1e-12, atol=1e-13)
        loss, _ = fanin.losses.softmax_loss(net.scores(X), y)
        assert net.evaluate(X, y)["loss"] == pytest.approx(loss, rel=1e-12)
        assert np.array_equal(net.scores(X)[7:60], net.scores(X[7:60]))
    assert not np.array_equal(mean.scores(X), moments.scores(X))


def test_it_learns() -> None:
    (X, y), (X_test, y_test) = fanin.datasets.load("digits")
    net = fanin.MLP([64, 64, 10], drop_connect=0.5, drop_connect_inference="moments", seed=0)
    net.fit(X, y, epochs=20, batch_size=32, preprocess="standardize", progress=False)
    assert net.evaluate(X_test, y_test)["accuracy"] > 0.95


def test_options_are_saved_and_copied(tmp_path: Any) -> None:
    X, y = problem()
    net = network(
        drop_connect=[0.5, 0.7], drop_connect_mask="example", drop_connect_inference="moments"
    )
    net.save(tmp_path / "net.npz")
    twins = [fanin.MLP.load(tmp_path / "net.npz"), net.copy()]
    for n in (net, *twins):
        n.fit(X, y, epochs=1, progress=False)
    for twin in twins:
        assert twin.config() == net.config()
        assert twin.drop_connect == [0.5, 0.7]
        assert np.array_equal(twin.get_parameters(), net.get_parameters())
        assert np.array_equal(twin.scores(X), net.scores(X))


# The same bits

TRAINING = """
    import hashlib
    import numpy as np
    import fanin

    X = (np.arange(150 * 70) * 2654435761 % 251).astype(np.uint8).reshape(150, 70)
    y = np.arange(150) * 7 % 10
    for mask in ("batch", "example"):
        net = fanin.MLP(
            [70, 75, 33, 10], activation=["relu", "gelu"], keep=[0.8, 0.5], drop_connect=[0.5, 0.7],
            drop_connect_mask=mask, drop_connect_inference="moments", dropout_mode="vanilla",
        )
        history = net.fit(
            X, y, epochs=2, batch_size=64, reg=1e-3, validation_data=(X, y), progress=False
        )
        results = [net.get_parameters(), net.scores(X), np.array(history.history["val_loss"])]
        print(hashlib.sha256(b"".join(r.tobytes() for r in results)).hexdigest())
"""


def test_trained_bits_on_every_instruction_set_and_thread_count(run_isa: Any) -> None:
    digests = {
        (isa, n): run_isa(TRAINING, isa, threads=n)
        for isa in _core.supported_isas()
        for n in (1, 2, 3)
    }
    assert len(set(digests.values())) == 1, digests


LAYERS = """
    import hashlib
    import numpy as np
    import fanin

    for dtype in (np.float32, np.float64):
        x, W, b, dout = (
            (np.arange(n * m) * 2654435761 % 251 / 128 - 1).astype(dtype).reshape(n, m)
            for n, m in ((9, 130), (130, 200), (1, 200), (9, 200))
        )
        for mask in ("batch", "example"):
            y, cache = fanin.layers.dropconnect_forward(
                x, W, b[0], keep=0.5, activation="gelu", mask=mask, rng=1
            )
            for a in (y, *fanin.layers.dropconnect_backward(dout, cache)):
                print(hashlib.sha256(a.tobytes()).hexdigest())
        for activation in ("relu", "leaky_relu", "tanh", "elu"):
            y = fanin.layers.dropconnect_inference(
                x, W, b[0], keep=0.5, activation=activation, inference="moments"
            )
            print(hashlib.sha256(y.tobytes()).hexdigest())
"""


def test_layers_bits_on_every_instruction_set_and_thread_count(run_isa: Any) -> None:
    digests = {
        (isa, n): run_isa(LAYERS, isa, threads=n) for isa in _core.supported_isas() for n in (1, 3)
    }
    assert len(set(digests.values())) == 1


# Bad input

x, W, b, dout = arrays(6, 4, 3, np.float32)
FORWARD = layers.dropconnect_forward
INFERENCE = layers.dropconnect_inference
BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "keep": (lambda: FORWARD(x, W, keep=0), ValueError, "keep: expected .*got 0"),
    "keep text": (lambda: FORWARD(x, W, keep="a"), TypeError, "keep: expected a number, got 'a'"),
    "mask": (
        lambda: FORWARD(x, W, keep=0.5, mask="row"),
        ValueError,
        "mask: expected one of batch, example; got 'row'",
    ),
    "activation": (
        lambda: FORWARD(x, W, keep=0.5, activation="step"),
        ValueError,
        "activation: expected one of identity, .*got 'step'",
    ),
    "W list": (lambda: FORWARD(x, [1.0], keep=0.5), TypeError, "W: expected a NumPy array"),
    "W axes": (
        lambda: FORWARD(x, W[0], keep=0.5),
        ValueError,
        r"W: expected shape \(D, H\) .*got \(3,\) float32",
    ),
    "W strides": (lambda: FORWARD(x, W.T.copy().T, keep=0.5), ValueError, "W: expected .*C-contig"),
    "x axes": (lambda: FORWARD(x[0], W, keep=0.5, mask="example"), ValueError, "x: expected shape"),
    "x none": (
        lambda: FORWARD(np.float32(1) * np.ones((), np.float32), W, keep=0.5),
        (ValueError, TypeError),
        "x: expected",
    ),
    "x columns": (
        lambda: FORWARD(x[:, :3].copy(), W, keep=0.5, mask="example"),
        ValueError,
        r"x: expected shape \(N, 4\) float32, got \(6, 3\) float32",
    ),
    "x dtype": (
        lambda: FORWARD(x.astype(float), W, keep=0.5, mask="example"),
        TypeError,
        "x: expected .*float32, got .*float64",
    ),
    "b": (
        lambda: FORWARD(x, W, b[:2].copy(), keep=0.5, mask="example"),
        ValueError,
        r"b: expected shape \(3,\)",
    ),
    "rng": (lambda: FORWARD(x, W, keep=0.5, rng="a"), TypeError, "rng: expected"),
    "dout": (
        lambda: layers.dropconnect_backward(
            dout[:5].copy(), FORWARD(x, W, keep=0.5, mask="example", rng=0)[1]
        ),
        ValueError,
        r"dout: expected shape \(6, 3\) float32, got \(5, 3\) float32",
    ),
    "inference": (
        lambda: INFERENCE(x, W, keep=0.5, inference="gaussian"),
        ValueError,
        "inference: expected one of mean, moments; got 'gaussian'",
    ),
    "inference x": (
        lambda: INFERENCE(x[:, :3].copy(), W, keep=0.5, inference="moments"),
        ValueError,
        r"x: expected shape \(N, 4\)",
    ),
    "MLP drop_connect": (
        lambda: network(drop_connect=1.5),
        ValueError,
        "drop_connect: expected a probability of keeping",
    ),
    "MLP drop_connect list": (
        lambda: network(drop_connect=[0.5] * 3),
        ValueError,
        "drop_connect: expected one value or 2, one for each hidden layer; got 3",
    ),
    "MLP mask": (
        lambda: network(drop_connect_mask="all"),
        ValueError,
        "drop_connect_mask: expected one of batch, example; got 'all'",
    ),
    "MLP inference": (
        lambda: network(drop_connect_inference="sample"),
        ValueError,
        "drop_connect_inference: expected one of mean, moments; got 'sample'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    call, kind, message = BAD[case]
    with pytest.raises(kind, match=message):
        call()


def test_a_failed_call_takes_no_draws() -> None:
    rng = fanin.random.Generator(seed=1)
    for mask in MASKS:
        with pytest.raises(ValueError, match="x: expected"):
            FORWARD(x[:, :3].copy(), W, keep=0.5, mask=mask, rng=rng)
    assert rng.position == 0
