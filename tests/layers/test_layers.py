"""The course-style pairs of fanin.layers against PyTorch, and what they promise about shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles import torch_activations
from reference import ACTIVATIONS, SLOPES, dropout_mask

import fanin
from fanin import layers

PAIRS = {
    name: (getattr(layers, f"{name}_forward"), getattr(layers, f"{name}_backward"))
    for name in ACTIVATIONS
    if name != "identity"
}


def normals(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (1,), (17, 65), (4, 3, 5, 7), (333,)])
def test_pairs_are_elementwise_in_any_shape(name: str, dtype: Any, shape: tuple[int, ...]) -> None:
    forward, backward = PAIRS[name]
    x, dout = normals(*shape).astype(dtype), normals(*shape, seed=1).astype(dtype)
    y, cache = forward(x)
    dx = backward(dout, cache)
    assert (y.shape, dx.shape) == (shape, shape)
    assert (y.dtype, dx.dtype) == (dtype, dtype)
    eps = np.finfo(dtype).eps
    exact = x.astype(np.float64)
    np.testing.assert_allclose(y, ACTIVATIONS[name](exact), rtol=8 * eps, atol=2 * eps)
    np.testing.assert_allclose(dx, dout * SLOPES[name](exact), rtol=16 * eps, atol=8 * eps)


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_against_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    functions = torch_activations()
    x, dout = 3 * normals(50, 40), normals(50, 40, seed=1)
    x[0, :3] = 0, 30, -30
    x[0, 0] = 0.5  # the kink has no one derivative
    forward, backward = PAIRS[name]
    y, cache = forward(x)
    inputs = torch.tensor(x, requires_grad=True)
    outputs = functions[name](inputs)
    outputs.backward(torch.tensor(dout))
    np.testing.assert_allclose(y, outputs.detach().numpy(), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(backward(dout, cache), inputs.grad.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", PAIRS)
def test_derivative_at_the_kink(name: str) -> None:
    forward, backward = PAIRS[name]
    _, cache = forward(np.zeros((1, 2)))
    at_zero = {
        "relu": 0.0,
        "leaky_relu": 0.01,
        "elu": 1.0,
        "gelu": 0.5,
        "sigmoid": 0.25,
        "tanh": 1.0,
        "silu": 0.5,
        "mish": 3 * 0.2,  # 3 / 5 by a reciprocal
        "softplus": 0.5,
        "selu": 1.7580993408473768,
    }
    assert (backward(np.ones((1, 2)), cache) == at_zero[name]).all()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_dense_pair_against_pytorch(activation: str) -> None:
    torch = pytest.importorskip("torch")
    functions = torch_activations()
    x, W, b, dout = normals(33, 20), normals(20, 70), normals(70), normals(33, 70, seed=1)
    for keep in (1.0, 0.6):
        y, cache = layers.dense_forward(x, W, b, activation=activation, keep=keep, rng=4)
        tensors = [torch.tensor(a, requires_grad=True) for a in (x, W, b)]
        tx, tW, tb = tensors
        mask = torch.tensor(dropout_mask(4, 0, 33, 70, keep) / keep)
        ty = functions[activation](tx @ tW + tb) * mask
        ty.backward(torch.tensor(dout))
        np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-12, atol=1e-13)
        for got, tensor in zip(layers.dense_backward(dout, cache), tensors, strict=True):
            np.testing.assert_allclose(got, tensor.grad.numpy(), rtol=1e-12, atol=1e-12)


def test_affine_flattens_as_the_course_does() -> None:
    """The numbers of CS231n's own notebook."""
    x = np.linspace(-0.1, 0.5, num=2 * 120).reshape(2, 4, 5, 6)
    w = np.linspace(-0.2, 0.3, num=120 * 3).reshape(120, 3)
    b = np.linspace(-0.3, 0.1, num=3)
    out, cache = layers.affine_forward(x, w, b)
    expected = [[1.49834967, 1.70660132, 1.91485297], [3.25553199, 3.5141327, 3.77273342]]
    np.testing.assert_allclose(out, expected, rtol=1e-8)
    dout = normals(2, 3)
    dx, dw, db = layers.affine_backward(dout, cache)
    assert dx.shape == x.shape
    np.testing.assert_allclose(dx, (dout @ w.T).reshape(x.shape), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(dw, x.reshape(2, -1).T @ dout, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(db, dout.sum(axis=0), rtol=1e-14)


def test_affine_of_no_rows() -> None:
    out, cache = layers.affine_forward(np.ones((0, 2, 3)), np.ones((6, 4)), np.ones(4))
    dx, dw, db = layers.affine_backward(out, cache)
    assert (out.shape, dx.shape) == ((0, 4), (0, 2, 3))
    assert not dw.any()
    assert not db.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(17, 65), (2, 3, 64), (40,)])
def test_dropout_pair(shape: tuple[int, ...], dtype: Any) -> None:
    x, dout = normals(*shape).astype(dtype), normals(*shape, seed=1).astype(dtype)
    rng = fanin.random.Generator(seed=6, stream=2)
    y, cache = layers.dropout_forward(x, keep=0.8, rng=rng)
    rows, cols = x.size // shape[-1], shape[-1]
    mask = dropout_mask(6, 2, rows, cols, 0.8).reshape(shape)
    scale = dtype(1 / 0.8)
    assert np.array_equal(y, np.where(mask, x * scale, dtype(0)))
    assert np.array_equal(layers.dropout_backward(dout, cache), dout * (mask * scale))
    assert rng.position == rows * -(-cols // 64)


def test_dropout_into_a_given_array_or_in_place() -> None:
    x = normals(6, 70)
    expected, _ = layers.dropout_forward(x, keep=0.5, rng=3)
    out = np.empty_like(x)
    y, _ = layers.dropout_forward(x, keep=0.5, rng=3, out=out)
    assert y is out
    assert np.array_equal(out, expected)
    both = np.empty(x.size + 1)
    shifted = both[:-1].reshape(x.shape)
    with pytest.raises(ValueError, match="out: expected an array apart from x"):
        layers.dropout_forward(shifted, keep=0.5, rng=3, out=both[1:].reshape(x.shape))
    with pytest.raises(ValueError, match=r"out: expected shape \(6, 70\) float64, got \(6, 71\)"):
        layers.dropout_forward(x, keep=0.5, out=np.empty((6, 71)))
    y, _ = layers.dropout_forward(x, keep=0.5, rng=3, out=x)
    assert y is x
    assert np.array_equal(x, expected)


def test_dropout_at_test_time_is_nothing() -> None:
    x = normals(6, 7)
    rng = fanin.random.Generator(seed=6)
    y, cache = layers.dropout_forward(x, keep=0.5, rng=rng, train=False)
    assert np.array_equal(y, x)
    assert np.array_equal(layers.dropout_backward(x, cache), x)
    assert rng.position == 0


def test_the_lectures_listing_keeps_69_percent() -> None:
    """Why the mask is uniform < keep: ``randn < 0.5`` is true for 69 %."""
    draws = fanin.random.Generator(seed=0).standard_normal(100_000)
    assert abs((draws < 0.5).mean() - 0.6915) < 0.005
    y, _ = layers.dropout_forward(np.ones(100_000), keep=0.5, rng=0)
    assert abs((y > 0).mean() - 0.5) < 0.005


def test_two_layers_compose_to_the_lectures_network() -> None:
    """affine, relu, affine, softmax: gradients of the whole chain against MLP's own."""
    net = fanin.MLP([12, 9, 4], dtype="float64", seed=3)
    X, y = normals(25, 12), np.arange(25) % 4
    p = net.params
    a, first = layers.affine_forward(X, p["W1"], p["b1"])
    h, gate = layers.relu_forward(a)
    scores, second = layers.affine_forward(h, p["W2"], p["b2"])
    loss, dscores = layers.softmax_loss(scores, y)
    dh, dW2, db2 = layers.affine_backward(dscores, second)
    _, dW1, db1 = layers.affine_backward(layers.relu_backward(dh, gate), first)
    expected_loss, grads = net.loss_and_grads(X, y)
    assert loss == pytest.approx(expected_loss, rel=1e-14)
    for name, got in {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}.items():
        np.testing.assert_allclose(got, grads[name], rtol=1e-12, atol=1e-15)
