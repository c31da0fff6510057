"""A dense layer whose weights are drawn inside the product: the bits of one with stored weights."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest

from fanin import _core, initializers, layers
from fanin.random import Generator

RAGGED = [1, 15, 16, 17, 63, 64, 65, 128, 255, 256, 257, 333, 640]


def product(
    x, W_shape, distribution="normal", scale=0.05, position=0, activation="tanh", threads=1
):
    """What `random_dense` gives, and what it should: the layer over the weights, stored."""
    a, b = (0.0, scale) if distribution == "normal" else (-scale, 2 * scale)
    code = layers.ACTIVATIONS.index(activation)
    found = _core.random_dense(
        x, W_shape[1], distribution == "normal", 9, 4, position, a, b, code, threads
    )
    W = np.empty(W_shape, x.dtype)
    _core.random_fill(W, distribution, 9, 4, position, a, b)
    return found, layers.dense(x, W, activation=activation)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize("width", RAGGED)
def test_bits_are_those_of_stored_weights(width, distribution, dtype, threads):
    for rows, inputs in [(1, 1), (3, 31), (16, 65), (17, 333)]:
        x = Generator(3).standard_normal((rows, inputs), dtype=dtype)
        found, expected = product(x, (inputs, width), distribution, position=5, threads=threads)
        assert found.shape == (rows, width)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("activation", layers.ACTIVATIONS)
def test_every_activation(activation):
    x = Generator(3).standard_normal((5, 40))
    found, expected = product(x, (40, 70), scale=0.5, activation=activation)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_against_a_product_in_float64(dtype):
    x = Generator(3).standard_normal((9, 200), dtype=dtype)
    W = initializers.xavier((200, 130), rng=Generator(9, 4), dtype=dtype)
    found, _ = product(x, W.shape, scale=200**-0.5, activation="identity")
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    expected = x.astype(np.float64) @ W.astype(np.float64)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_many_rows_are_cut_into_pieces(threads):
    x = Generator(3).standard_normal((2500, 20))
    found, expected = product(x, (20, 300), threads=threads)
    np.testing.assert_array_equal(found, expected)


def test_positions_beyond_32_bits_of_blocks():
    x = Generator(3).standard_normal((2, 3))
    for position in (2**28 - 4, 2**40):
        np.testing.assert_array_equal(*product(x, (3, 200), position=position))


def test_every_instruction_set_gives_the_same_bits(isa, run_isa):
    code = """
        import hashlib
        import numpy as np
        from fanin import _core
        from fanin.random import Generator
        h = hashlib.sha256()
        for dtype in ("float32", "float64"):
            x = Generator(3).standard_normal((7, 50), dtype=dtype)
            for width in (64, 200, 333):
                y = _core.random_dense(x, width, True, 1, 2, 0, 0.0, 0.2, 6, 0)
                h.update(y.tobytes())
                s = _core.summary(y, -0.5, 0.5, 0)
                h.update(np.array(s).tobytes())
        print(h.hexdigest())
    """
    scope: dict[str, object] = {"print": lambda digest: scope.update(digest=digest)}
    exec(textwrap.dedent(code), scope)
    assert run_isa(code, isa=isa).strip() == scope["digest"]


def test_errors_name_the_argument():
    x = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"x: expected shape \(N, N\) float32"):
        _core.random_dense(x[0], 4, True, 0, 0, 0, 0.0, 1.0, 0, 0)
    with pytest.raises(TypeError, match="x: expected float32 or float64, got"):
        _core.random_dense(x.astype(np.int32), 4, True, 0, 0, 0, 0.0, 1.0, 0, 0)
    with pytest.raises(ValueError, match="at least one column each"):
        _core.random_dense(x, 0, True, 0, 0, 0, 0.0, 1.0, 0, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 7, 8, 9, 100, 16384, 16385, 50000])
def test_summary(n, dtype, threads):
    x = Generator(n).normal(3.0, 2.0, n, dtype=dtype)
    x[::5] = 0
    wide = x.astype(np.float64)
    mean, squares, lowest, highest, zeros, outside = _core.summary(x, -0.5, 4.0, threads)
    assert mean == pytest.approx(wide.mean(), rel=1e-13, abs=1e-15)
    assert squares == pytest.approx(((wide - wide.mean()) ** 2).sum(), rel=1e-12, abs=1e-15)
    assert (lowest, highest) == (wide.min(), wide.max())
    assert zeros == np.count_nonzero(x == 0)
    assert outside == np.count_nonzero((x <= -0.5) | (x >= 4))


def test_summary_keeps_the_variance_beside_a_large_mean():
    noise = Generator(1).standard_normal(40000, dtype="float64")
    _, squares, *_ = _core.summary(noise + 1e8, 0.0, 1.0, 0)
    assert squares / noise.size == pytest.approx(noise.var(), rel=1e-6)


def test_summary_has_one_result_for_any_number_of_threads():
    x = Generator(5).standard_normal((300, 1000))
    assert len({_core.summary(x, -1.0, 1.0, threads) for threads in (1, 2, 3, 5)}) == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "edges", [np.linspace(-1, 1, 31), np.linspace(0, 0.7, 8), np.r_[-2.0, 3.0]]
)
def test_histogram_is_numpys(edges, dtype, threads):
    x = np.r_[Generator(2).standard_normal(99999, dtype=dtype), edges.astype(dtype)].astype(dtype)
    expected, _ = np.histogram(x.astype(np.float64), edges)
    np.testing.assert_array_equal(_core.histogram(x, edges, threads), expected)


def test_histogram_ignores_nan_and_needs_edges():
    x = np.array([0.5, np.nan, np.inf], np.float32)
    np.testing.assert_array_equal(_core.histogram(x, np.array([0.0, 1.0]), 1), [1])
    for edges in (np.array([1.0]), np.array([1.0, 1.0]), np.array([0.0, np.nan])):
        with pytest.raises(ValueError, match="edges: expected two or more, increasing"):
            _core.histogram(x, edges, 1)
