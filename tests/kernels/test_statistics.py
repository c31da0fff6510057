"""Sums of squares, the first value that is not finite, and W's transposes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from fanin import _core

SIZES = [0, 1, 7, 8, 9, 15, 16, 17, 63, 65, 333, 1023, 1024, 1025, 16384, 16385, 50000]
DTYPES = [np.float32, np.float64]
BLOCK = 16384


def normal(n: int, dtype: Any, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=n).astype(dtype)


def lane_sum(x: np.ndarray) -> float:
    """The promised order: fused multiply-adds down the lanes of each block, then the tree."""
    lanes = 64 // x.itemsize
    total = 0.0
    for begin in range(0, len(x), BLOCK):
        block = x[begin : begin + BLOCK]
        padded = np.zeros(-(-len(block) // lanes) * lanes, x.dtype)
        padded[: len(block)] = block
        acc = np.zeros(lanes, x.dtype)
        for row in padded.reshape(-1, lanes).astype(np.longdouble):
            acc = (row * row + acc).astype(x.dtype)  # exact in 64 bits for float32, nearly so else
        while len(acc) > 1:
            acc = acc[: len(acc) // 2] + acc[len(acc) // 2 :]
        total += float(acc[0])
    return total


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_sum_squares(n: int, dtype: Any) -> None:
    x = normal(n, dtype)
    exact = math.fsum(float(v) ** 2 for v in x)
    assert _core.sum_squares(x) == pytest.approx(exact, rel=50 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("n", [1, 15, 17, 333, 20000])
def test_sum_squares_has_the_promised_order(n: int) -> None:
    x = normal(n, np.float32)
    x = np.round(x * 2**8) / np.float32(2**8)  # squares and sums fit into a long double's 64 bits
    assert _core.sum_squares(x) == lane_sum(x)


def test_long_sums_do_not_drift() -> None:
    x = np.full(10_000_000, 0.1, np.float32)
    assert _core.sum_squares(x) == pytest.approx(1e7 * float(x[0]) ** 2, rel=1e-4)
    assert _core.sum_squares(x.reshape(1000, 100, 100)) == _core.sum_squares(x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_first_nonfinite(n: int, dtype: Any) -> None:
    x = normal(n, dtype) * dtype(1e30)
    if n:
        x[n // 2] = np.finfo(dtype).max
        x[n // 3] = np.finfo(dtype).smallest_subnormal
    assert _core.first_nonfinite(x) == n
    for at in {0, n // 2, n - 1} if n else set():
        for bad in (np.nan, np.inf, -np.inf):
            y = x.copy()
            y[at] = bad
            y[-1] = np.nan
            assert _core.first_nonfinite(y) == at


@pytest.mark.parametrize("dtype", [np.uint8, *DTYPES])
@pytest.mark.parametrize("n", [n for n in SIZES if n])
def test_extremes(n: int, dtype: Any) -> None:
    x = np.random.default_rng(n).integers(3, 200, n).astype(dtype)
    if dtype is not np.uint8:
        x = x - dtype(100.5)
    assert _core.extremes(x) == (float(x.min()), float(x.max()), True)
    for at in {0, n // 2, n - 1}:
        for far in (0, 255):
            y = x.copy()
            y[at] = far
            assert _core.extremes(y.reshape(n, 1)) == (float(y.min()), float(y.max()), True)
        for bad in (np.nan, np.inf, -np.inf) if dtype is not np.uint8 else ():
            y = x.copy()
            y[at] = bad
            assert not _core.extremes(y)[2]


def test_extremes_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="x: expected at least one number"):
        _core.extremes(np.zeros(0, np.float32))


def test_position_in_an_array_of_any_shape_is_flat() -> None:
    x = np.zeros((3, 4, 5))
    x[1, 2, 3] = np.inf
    assert np.unravel_index(_core.first_nonfinite(x), x.shape) == (1, 2, 3)


BITS = """
    import hashlib
    import numpy as np
    from fanin import _core

    digest = hashlib.sha256()
    for dtype in (np.float32, np.float64):
        for n in (1, 15, 17, 333, 5000, 40000):
            x = np.random.default_rng(n).normal(size=n).astype(dtype)
            digest.update(np.float64(_core.sum_squares(x)).tobytes())
            digest.update(repr(_core.extremes(x)).encode())
            digest.update(repr(_core.extremes((x * 20).astype(np.uint8))).encode())
    print(digest.hexdigest())
"""


def test_same_bits_on_every_instruction_set(run_isa: Any, isa: str) -> None:
    assert run_isa(BITS, isa=isa) == run_isa(BITS)


@pytest.mark.parametrize("function", [_core.sum_squares, _core.first_nonfinite, _core.extremes])
def test_errors_name_what_is_wrong(function: Any) -> None:
    with pytest.raises(TypeError, match=r"x: expected float32 or float64, got \(3,\) int64"):
        function(np.arange(3))
    with pytest.raises(ValueError, match="x: expected float64 C-contiguous"):
        function(np.zeros((4, 6))[:, ::2])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 4, 15, 16, 17, 65])
@pytest.mark.parametrize("cols", [1, 3, 16, 18, 63, 333])
def test_transpose_within_the_gradient_of_a_dense_layer(rows: int, cols: int, dtype: Any) -> None:
    """With the unit matrix as dout, dx is W's transpose: its sums have one term that is not 0."""
    W = normal(rows * cols, dtype).reshape(rows, cols)
    x, unit = np.zeros((cols, rows), dtype), np.eye(cols, dtype=dtype)
    dx, _, _ = _core.dense_backward(unit, x, W, None, None, 1.0, True, 1)
    np.testing.assert_array_equal(dx, W.T)
