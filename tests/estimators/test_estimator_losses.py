"""The engine's losses for estimators: scikit-learn's formulas, in any instruction set's bits."""

from __future__ import annotations

import numpy as np
import pytest

from fanin import _core

OUTPUTS = ["binary_log_loss", "half_squared_error", "poisson"]


def rows(loss, scores, soft=None, labels=None, weights=None, scale=1.0, gradient=True):
    code = _core.losses.index(loss)
    return _core.loss_rows(code, scores, labels, soft, weights, scale, gradient, 0)


def case(loss, classes, dtype=np.float64, n=37):
    rng = np.random.default_rng(classes)
    scores = rng.normal(0, 2, (n, classes)).astype(dtype)
    targets = {
        "binary_log_loss": rng.integers(0, 2, scores.shape),
        "half_squared_error": rng.normal(0, 2, scores.shape),
        "poisson": rng.poisson(2, scores.shape),
    }[loss]
    return scores, np.ascontiguousarray(targets, dtype), rng.uniform(0.1, 2, n).astype(dtype)


def formula(loss, s, y):
    if loss == "binary_log_loss":
        return np.logaddexp(0, s) - y * s
    if loss == "half_squared_error":
        return 0.5 * (s - y) ** 2
    return np.where(y > 0, y * (np.log(np.where(y > 0, y, 1)) - s), 0) - y + np.exp(s)


@pytest.mark.parametrize("classes", [1, 2, 8, 19])
@pytest.mark.parametrize("loss", OUTPUTS)
def test_loss_is_the_formula(loss, classes):
    s, y, w = case(loss, classes)
    got, _, _ = rows(loss, s, y, weights=w)
    np.testing.assert_allclose(got, w * formula(loss, s, y).sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize("classes", [1, 2, 8, 19])
@pytest.mark.parametrize("loss", OUTPUTS)
def test_gradient_is_that_of_the_loss(loss, classes):
    s, y, w = case(loss, classes)
    _, gradient, _ = rows(loss, s, y, weights=w, scale=0.5)
    step = 1e-6
    for j in range(classes):
        up, down = s.copy(), s.copy()
        up[:, j] += step
        down[:, j] -= step
        slope = (rows(loss, up, y, weights=w)[0] - rows(loss, down, y, weights=w)[0]) / (2 * step)
        np.testing.assert_allclose(gradient[:, j], 0.5 * slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_losses_are_clipped_and_gradients_are_not(dtype):
    most = -np.log(np.finfo(dtype).eps)
    s = np.array([[200.0, -200.0]], dtype)
    loss, gradient, _ = rows("log_loss", s, labels=np.array([1], np.int32))
    np.testing.assert_allclose(loss, most, rtol=1e-6)
    np.testing.assert_allclose(gradient, [[1, -1]])
    loss, gradient, _ = rows("binary_log_loss", s, np.array([[0.0, 1.0]], dtype))
    np.testing.assert_allclose(loss, 2 * most, rtol=1e-6)
    np.testing.assert_allclose(gradient, [[1, -1]])


def test_log_loss_is_softmax_where_nothing_is_clipped():
    s = np.random.default_rng(0).normal(0, 2, (40, 7))
    y = np.random.default_rng(1).integers(0, 7, 40).astype(np.int32)
    for expected, got in zip(
        rows("softmax", s, labels=y), rows("log_loss", s, labels=y), strict=True
    ):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("loss", ["log_loss", *OUTPUTS])
def test_nan_is_told(loss):
    s = np.array([[np.nan, 0.0], [0.0, 0.0]])
    loss, _, _ = rows(loss, s, np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert np.isnan(loss[0])
    assert np.isfinite(loss[1])


@pytest.mark.parametrize("loss", OUTPUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_threads_do_not_change_bits(loss, dtype):
    s, y, w = case(loss, 5, dtype, n=333)
    code = _core.losses.index(loss)
    one, two = (_core.loss_rows(code, s, None, y, w, 1.0, True, n) for n in (1, 2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
