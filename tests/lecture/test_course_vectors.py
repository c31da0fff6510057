"""The numbers that CS231n's published notebooks print, from `fanin.layers` and `fanin.optim`."""

from __future__ import annotations

import numpy as np
import pytest

from fanin import layers, optim, two_layer_net


def spread(low: float, high: float, *shape: int) -> np.ndarray:
    """The notebooks' test data: equally spaced numbers, counted along rows."""
    return np.linspace(low, high, num=int(np.prod(shape))).reshape(shape)


def two_layers_by_hand(X, model, y, reg):
    """Loss and gradients from the course-style pairs, ``0.5 * reg * sum(W * W)`` included."""
    z, below = layers.affine_forward(X, model["W1"], model["b1"])
    hidden, relu = layers.relu_forward(z)
    scores, above = layers.affine_forward(hidden, model["W2"], model["b2"])
    loss, dscores = layers.softmax_loss(scores, y)
    dhidden, dW2, db2 = layers.affine_backward(dscores, above)
    _, dW1, db1 = layers.affine_backward(layers.relu_backward(dhidden, relu), below)
    loss += 0.5 * reg * (np.sum(model["W1"] ** 2) + np.sum(model["W2"] ** 2))
    grads = {"W1": dW1 + reg * model["W1"], "b1": db1, "b2": db2}
    return loss, grads | {"W2": dW2 + reg * model["W2"]}


def test_affine_forward():
    x, w = spread(-0.1, 0.5, 2, 4, 5, 6), spread(-0.2, 0.3, 120, 3)
    out, _ = layers.affine_forward(x, w, spread(-0.3, 0.1, 3))
    expected = [[1.49834967, 1.70660132, 1.91485297], [3.25553199, 3.5141327, 3.77273342]]
    np.testing.assert_allclose(out, expected, atol=1e-8)


def test_relu_forward():
    out, _ = layers.relu_forward(spread(-0.5, 0.5, 3, 4))
    expected = np.zeros((3, 4))
    expected[1, 2:] = 0.04545455, 0.13636364
    expected[2] = 0.22727273, 0.31818182, 0.40909091, 0.5
    np.testing.assert_allclose(out, expected, atol=1e-8)


def toy_net():
    """Assignment 1's: 4-10-3 at std 0.1, five inputs."""
    rng = np.random.RandomState(0)
    model = {"W1": 0.1 * rng.randn(4, 10), "b1": np.zeros(10)}
    model |= {"W2": 0.1 * rng.randn(10, 3), "b2": np.zeros(3)}
    return 10 * np.random.RandomState(1).randn(5, 4), np.array([0, 1, 2, 2, 1]), model


TOY_SCORES = [
    [-0.81233741, -1.27654624, -0.70335995],
    [-0.17129677, -1.18803311, -0.47310444],
    [-0.51590475, -1.01354314, -0.8504215],
    [-0.15419291, -0.48629638, -0.52901952],
    [-0.00618733, -0.12435261, -0.15226949],
]


@pytest.mark.parametrize("net", [two_layer_net, two_layers_by_hand])
def test_toy_net_of_assignment_1(net):
    X, y, model = toy_net()
    # Its L2 has no factor 0.5: reg 0.05 there is 0.1 here.
    assert net(X, model, y, 0.1)[0] == pytest.approx(1.30378789133, abs=1e-11)
    assert net(X, model, y, 0.05)[0] == pytest.approx(1.28482247, abs=1e-8)
    np.testing.assert_allclose(two_layer_net(X, model), TOY_SCORES, atol=1e-8)


@pytest.mark.parametrize("net", [two_layer_net, two_layers_by_hand])
def test_two_layer_net_of_assignment_2(net):
    D, H, C, N = 5, 50, 7, 3
    model = {"W1": spread(-0.7, 0.3, D, H), "b1": spread(-0.1, 0.9, H)}
    model |= {"W2": spread(-0.3, 0.4, H, C), "b2": spread(-0.9, 0.1, C)}
    X, y = spread(-5.5, 4.5, D, N).T.copy(), np.array([0, 5, 1])
    assert net(X, model, y, 0.0)[0] == pytest.approx(3.4702243556, abs=1e-10)
    assert net(X, model, y, 1.0)[0] == pytest.approx(26.5948426952, abs=1e-10)


# optim.py's notebook: w, dw and the states of a step, 4 by 5


def weights() -> tuple[np.ndarray, np.ndarray]:
    return spread(-0.4, 0.6, 4, 5), spread(-0.6, 0.4, 4, 5)


def stepped(optimizer: optim.Optimizer, t: int, *states: np.ndarray) -> np.ndarray:
    """w after one step of an optimizer that stands at step t with these states."""
    w, dw = weights()
    optimizer.step(w.copy(), np.zeros_like(dw))  # so that state_dict has its form
    state = optimizer.state_dict()
    state["states"][""] = [s.copy() for s in states]
    state["clock"] |= {"t": t, "beta1_power": 0.9**t, "beta2_power": 0.999**t}
    optimizer.load_state_dict(state)
    optimizer.step(w, dw)
    return w


def test_sgd_momentum():
    lr = 1e-3
    optimizer = optim.Momentum(lr)
    # The course has lr in the velocity and another sign: theirs is -lr times ours.
    w = stepped(optimizer, 0, -spread(0.6, 0.9, 4, 5) / lr)
    velocity = -lr * optimizer.state_dict()["states"][""][0]
    np.testing.assert_allclose(w, spread(0.1406, 1.4096, 4, 5), rtol=1e-12)
    np.testing.assert_allclose(velocity, spread(0.5406, 0.8096, 4, 5), rtol=1e-12)


def test_rmsprop():
    w = stepped(optim.RMSProp(1e-2), 0, spread(0.6, 0.9, 4, 5))
    expected = [-0.39223849, -0.34037513, -0.28849239, -0.23659121, -0.18467247]
    expected += [-0.132737, -0.08078555, -0.02881884, 0.02316247, 0.07515774]
    expected += [0.12716641, 0.17918792, 0.23122175, 0.28326742, 0.33532447]
    expected += [0.38739248, 0.43947102, 0.49155973]
    np.testing.assert_allclose(w.ravel()[:18], expected, atol=1e-8)


def test_adam():
    w = stepped(optim.Adam(1e-2), 5, spread(0.6, 0.9, 4, 5), spread(0.7, 0.5, 4, 5))
    expected = [-0.40094747, -0.34836187, -0.29577703, -0.24319299, -0.19060977]
    expected += [-0.1380274, -0.08544591, -0.03286534, 0.01971428, 0.0722929]
    expected += [0.1248705, 0.17744702, 0.23002243, 0.28259667, 0.33516969]
    expected += [0.38774145, 0.44031188, 0.49288093, 0.54544852, 0.59801459]
    np.testing.assert_allclose(w.ravel(), expected, atol=1e-8)
