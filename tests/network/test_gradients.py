"""Every gradient against central differences in float64, and whole networks against PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from oracles import torch_activations
from reference import ACTIVATIONS, ReferenceMLP

import fanin
from fanin import layers, losses

LOSSES = ["softmax", "svm", "mse"]
ROWS, DIMS = 11, [5, 7, 6, 4]
BOUND, AT_KINKS = 1e-7, 1e-4
KINKED = {"relu", "leaky_relu", "selu"}


def normals(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def slope_along(f: Callable[[float], float], eps: float) -> float:
    """f'(0) by central differences of sixth order: exact to about 1e-15 / eps for a smooth f."""
    d = [f(i * eps) - f(-i * eps) for i in (1, 2, 3)]
    return (45 * d[0] - 9 * d[1] + d[2]) / (60 * eps)


def relative_error(a: float, b: float) -> float:
    return abs(a - b) / max(abs(a), abs(b), 1e-3)


def check(f: Callable[[], float], x: np.ndarray, gradient: np.ndarray, bound: float) -> None:
    """Each element of the gradient of f at x, which f reads in place."""
    eps = 1e-6 if bound == AT_KINKS else 1e-4  # close enough not to step over a kink
    for i in np.ndindex(x.shape):
        middle = x[i]

        def moved(by: float, i: Any = i, middle: float = middle) -> float:
            x[i] = middle + by
            value = f()
            x[i] = middle
            return value

        numeric = slope_along(moved, eps)
        error = relative_error(numeric, gradient[i])
        assert error < bound, f"element {i}: {gradient[i]} against {numeric}"


def targets(loss: str, kind: str, n: int = ROWS, classes: int = DIMS[-1]) -> np.ndarray:
    if kind == "hard":
        return np.random.default_rng(n).integers(0, classes, n)
    if loss == "mse":
        return normals(n, classes, seed=5)
    p = np.exp(normals(n, classes, seed=5))
    return p / p.sum(axis=1, keepdims=True)


def network(loss: str = "softmax", activation: Any = "tanh", **options: Any) -> fanin.MLP:
    net = fanin.MLP(
        options.pop("dims", DIMS),
        activation=activation,
        loss=loss,
        output_init=None,
        dtype="float64",
        seed=7,
        **options,
    )
    for name, p in net.params.items():
        if name.startswith("b"):
            p[:] = 0.1 * normals(*p.shape, seed=9)
    return net


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("keep", [1.0, 0.6])
def test_dense_layer(activation: str, keep: float) -> None:
    x, W, b, dout = normals(4, 5), normals(5, 9), normals(9), normals(4, 9, seed=1)

    def value() -> float:
        y = layers.dense(x, W, b, activation=activation, keep=keep, rng=2)
        return float((y * dout).sum())

    _, cache = layers.dense_forward(x, W, b, activation=activation, keep=keep, rng=2)
    bound = AT_KINKS if activation in KINKED else BOUND
    for array, gradient in zip((x, W, b), layers.dense_backward(dout, cache), strict=True):
        assert gradient is not None
        check(value, array, gradient, bound)


@pytest.mark.row("R0")
@pytest.mark.row("B5")
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", ["hard", "soft"])
@pytest.mark.parametrize("extras", [False, True], ids=["plain", "weights, L2 and dropout"])
def test_network(activation: str, loss: str, kind: str, extras: bool) -> None:
    """The engine's whole gradient along each parameter, and along one direction across all."""
    net = network(loss, activation, keep=[0.7, 0.6])  # without a dropout step, no dropout
    X, y = normals(ROWS, DIMS[0], seed=3), targets(loss, kind)
    options: dict[str, Any] = {}
    if extras:
        weights = np.random.default_rng(1).uniform(0, 2, ROWS)
        options = {"reg": 0.03, "sample_weight": weights, "dropout_step": 4}

    def value() -> float:
        return net.loss_and_grads(X, y, **options)[0]

    _, grads = net.loss_and_grads(X, y, **options)
    bound = AT_KINKS if activation in KINKED or loss == "svm" else BOUND
    for name, p in net.params.items():
        check(value, p, grads[name], bound)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", ["hard", "soft"])
@pytest.mark.parametrize("extras", [False, True], ids=["plain", "weights, L2 and dropout"])
def test_network_against_the_reference(activation: str, loss: str, kind: str, extras: bool) -> None:
    net = network(loss, activation, keep=[0.7, 0.6], dims=[70, 65, 130, 4])
    X, y = normals(200, 70, seed=3), targets(loss, kind, n=200)
    w = np.random.default_rng(1).uniform(0, 2, 200) if extras else None
    reg, step = (0.03, 4) if extras else (0.0, None)
    got_loss, got = net.loss_and_grads(X, y, reg=reg, sample_weight=w, dropout_step=step)
    loss_expected, expected = ReferenceMLP.of(net).loss_and_grads(X, y, reg, w, step)
    assert got_loss == pytest.approx(loss_expected, rel=1e-12)
    assert got.keys() == expected.keys()
    for name, gradient in expected.items():
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(got[name], gradient, rtol=0, atol=1e-12 * scale)


@pytest.mark.parametrize("n", [1023, 1024, 1025, 2500])
def test_more_rows_than_the_workspace_holds(n: int) -> None:
    """Beyond 1024 rows the batch goes through in parts, and the chains over rows go on."""
    net = network("softmax", ["relu", "gelu"], keep=[0.8, 0.5], dims=[33, 40, 17, 4])
    X, y = normals(n, 33), targets("softmax", "hard", n)
    w = np.random.default_rng(1).uniform(0, 2, n)
    loss, grads = net.loss_and_grads(X, y, reg=0.01, sample_weight=w, dropout_step=2)
    expected_loss, expected = ReferenceMLP.of(net).loss_and_grads(X, y, 0.01, w, 2)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    for name, gradient in expected.items():
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(grads[name], gradient, rtol=0, atol=1e-12 * scale)
    for n_threads in (1, 2, 3):
        again_loss, again = net.loss_and_grads(
            X, y, reg=0.01, sample_weight=w, dropout_step=2, n_threads=n_threads
        )
        assert again_loss == loss
        for name in grads:
            assert np.array_equal(again[name], grads[name])


def test_parts_make_one_chain() -> None:
    """One layer, 1500 rows: the gradient has no seam at 750."""
    net = network("softmax", dims=[20, 3])
    X, y = normals(1500, 20), targets("softmax", "hard", 1500, 3)
    _, grads = net.loss_and_grads(X, y)
    p = np.exp(X @ net.params["W1"] + net.params["b1"])
    dscores = (p / p.sum(axis=1, keepdims=True) - np.eye(3)[y]) / 1500
    np.testing.assert_allclose(grads["W1"], X.T @ dscores, rtol=1e-11, atol=1e-16)


def test_weight_zero_is_a_row_dropped() -> None:
    net = network()
    X, y = normals(40, DIMS[0]), targets("softmax", "hard", 40)
    w = np.ones(40)
    w[::3] = 0
    loss, grads = net.loss_and_grads(X, y, sample_weight=w, reg=0.1)
    loss_of_rest, grads_of_rest = net.loss_and_grads(X[w > 0], y[w > 0], reg=0.1)
    assert loss == pytest.approx(loss_of_rest, rel=1e-14)
    for name in grads:
        np.testing.assert_allclose(grads[name], grads_of_rest[name], rtol=1e-12, atol=1e-16)


def test_hard_labels_are_one_hot_soft_ones() -> None:
    for loss in LOSSES:
        net = network(loss)
        X, y = normals(30, DIMS[0]), targets(loss, "hard", 30)
        hard_loss, hard = net.loss_and_grads(X, y)
        soft_loss, soft = net.loss_and_grads(X, np.eye(DIMS[-1])[y])
        assert hard_loss == pytest.approx(soft_loss, rel=1e-14)
        for name in hard:
            np.testing.assert_allclose(hard[name], soft[name], rtol=1e-12, atol=1e-16)


def test_loss_and_grads_changes_nothing() -> None:
    net = network(keep=0.5)
    X, y = normals(30, DIMS[0]), targets("softmax", "hard", 30)
    before = net.get_parameters()
    first = net.loss_and_grads(X, y, dropout_step=1)
    net.loss_and_grads(X, y, dropout_step=2)
    again = net.loss_and_grads(X, y, dropout_step=1)
    assert np.array_equal(net.get_parameters(), before)
    assert (net.steps_done, net.epochs_done) == (0, 0)
    assert first[0] == again[0]
    for name in first[1]:
        assert np.array_equal(first[1][name], again[1][name])
    assert net.loss_and_grads(X, y)[0] == pytest.approx(net.loss(X, y), rel=1e-15)


def test_float32_follows_float64() -> None:
    for activation in ACTIVATIONS:
        wide = network(activation=activation, dims=[50, 60, 10])
        narrow = fanin.MLP([50, 60, 10], activation=activation, dtype="float32")
        for name, p in narrow.params.items():
            p[:] = wide.params[name]
        X, y = normals(100, 50), targets("softmax", "hard", 100, 10)
        _, expected = wide.loss_and_grads(X, y, reg=0.01)
        _, got = narrow.loss_and_grads(X.astype(np.float32), y, reg=0.01)
        for name, gradient in expected.items():
            scale = np.abs(gradient).max()
            np.testing.assert_allclose(got[name], gradient, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_whole_network_against_pytorch(activation: str, loss: str, kind: str) -> None:
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    functions = torch_activations()
    net = network(loss, activation, dims=[30, 40, 20, 6])
    X, y = normals(64, 30), targets(loss, kind, 64, 6)
    p = {name: torch.tensor(a, requires_grad=True) for name, a in net.params.items()}
    h = torch.tensor(X)
    for layer in (1, 2, 3):
        h = h @ p[f"W{layer}"] + p[f"b{layer}"]
        if layer < 3:
            h = functions[activation](h)
    t = torch.tensor(y)
    if loss == "softmax":
        value = f.cross_entropy(h, t)
    elif loss == "mse":
        value = f.mse_loss(h, f.one_hot(t, 6).double() if kind == "hard" else t)
    elif kind == "hard":
        value = f.multi_margin_loss(h, t, reduction="mean") * 6  # theirs is divided by the classes
    else:
        each = [f.multi_margin_loss(h, torch.full((64,), c), reduction="none") for c in range(6)]
        value = (torch.stack(each, dim=1) * 6 * t).sum(dim=1).mean()
    value = value + 0.5 * 0.02 * sum((p[f"W{i}"] ** 2).sum() for i in (1, 2, 3))
    value.backward()
    got_loss, grads = net.loss_and_grads(X, y, reg=0.02)
    assert got_loss == pytest.approx(value.item(), rel=1e-12)
    for name, tensor in p.items():
        np.testing.assert_allclose(grads[name], tensor.grad.numpy(), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_beyond_the_caches_are_read_as_they_lie(dtype: str) -> None:
    """Others are transposed for the way back: the same bits."""
    net = fanin.MLP([3, 1500, 1501, 2], seed=0, dtype=dtype)
    X, y = np.random.default_rng(0).normal(size=(7, 3)).astype(dtype), np.arange(7) % 2
    out, caches = X, []
    for i, activation in enumerate(["relu", "relu", "identity"], 1):
        W, b = net.params[f"W{i}"], net.params[f"b{i}"]
        out, cache = layers.dense_forward(out, W, b, activation=activation)
        caches.append(cache)
    loss, grad = losses.softmax_loss(out, y)
    found, grads = net.loss_and_grads(X, y)
    assert found == pytest.approx(loss, rel=1e-6)
    for i, cache in reversed(list(enumerate(caches, 1))):
        grad, dW, db = layers.dense_backward(grad, cache)
        assert np.array_equal(grads[f"W{i}"], dW)
        assert np.array_equal(grads[f"b{i}"], db)
