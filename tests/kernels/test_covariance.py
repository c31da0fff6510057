"""The kernels under PCA and whitening: column sums, centring, scatter matrices, projection."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fanin import _core

STORED = [np.uint8, np.float32, np.float64]
SHAPES = [(1, 1), (2, 3), (17, 16), (65, 17), (63, 65), (333, 64), (300, 333), (2500, 130)]
ROWS_OF_A_CHAIN, ROWS_OF_A_BLOCK = 256, 2048


def data(n: int, d: int, stored: Any, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if stored is np.uint8:
        return rng.integers(0, 256, (n, d), dtype=np.uint8)
    return (3 * rng.normal(size=(n, d)) + rng.normal(size=d)).astype(stored)


def mean_of(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64).mean(axis=0)


def scatter_of(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    centred = x.astype(np.float64) - mean
    return centred.T @ centred


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_column_sums(n: int, d: int, stored: Any) -> None:
    x = data(n, d, stored)
    shift = mean_of(x)
    wide = x.astype(np.float64)
    for squared, power in ((False, 1), (True, 2)):
        for s, moved in ((None, wide), (shift, wide - shift)):
            sums = _core.column_sums(x, s, squared, 2)
            atol = 1e-12 * n * np.abs(wide).max() ** power
            np.testing.assert_allclose(sums, (moved**power).sum(axis=0), rtol=1e-13, atol=atol)


def test_column_sums_are_one_chain_down_the_rows() -> None:
    x = data(40_000, 5, np.float32)  # longer than a block of rows
    expected = np.zeros(5)
    for row in x.astype(np.float64):
        expected += row
    np.testing.assert_array_equal(_core.column_sums(x, None, False, 1), expected)


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_centre_rows(n: int, d: int, stored: Any) -> None:
    x, scale = data(n, d, stored), np.random.default_rng(1).uniform(0.5, 2, d)
    mean = mean_of(x)
    out = _core.centre_rows(x, mean, scale, 2)
    result = np.float64 if stored is np.float64 else np.float32
    assert out.dtype == result
    expected = (x.astype(np.float64) - mean) * scale
    tolerance = 4 * np.finfo(result).eps
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance * np.abs(scale).max())
    plain = _core.centre_rows(x, mean, None, 1)
    np.testing.assert_allclose(plain, expected / scale, rtol=tolerance, atol=tolerance)


def test_a_mean_of_more_digits_than_float32_cancels() -> None:
    x = np.array([[1e8], [1e8 + 8], [1e8 + 16]], np.float32)
    mean = np.array([1e8 + 11.0])
    np.testing.assert_array_equal(_core.centre_rows(x, mean, None, 1)[:, 0], [-11, -3, 5])
    one = np.ones((1, 1), np.float32)
    np.testing.assert_array_equal(
        _core.project(x, mean, one, None, None, 1)[:, 0], np.array([-11, -3, 5])
    )


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize(("n", "d"), SHAPES)
def test_scatter(n: int, d: int, stored: Any) -> None:
    x = data(n, d, stored)
    mean = mean_of(x)
    total = _core.scatter(x, mean, False, 2)
    expected = scatter_of(x, mean)
    tolerance = 1e-13 if stored is not np.float32 else 3e-6
    np.testing.assert_array_equal(total, total.T)
    precise = _core.scatter(x, mean, True, 2)
    np.testing.assert_allclose(precise, expected, rtol=0, atol=1e-13 * expected.max() + 1e-300)
    np.testing.assert_allclose(total, expected, rtol=0, atol=tolerance * expected.max() + 1e-300)


def chained(x: np.ndarray) -> np.ndarray:
    """The promised order, about a mean of 0: float32 chains of 256 rows, added in float64."""
    total = np.zeros((x.shape[1],) * 2)
    for block in range(0, len(x), ROWS_OF_A_BLOCK):
        sums = np.zeros_like(total)
        for begin in range(block, min(block + ROWS_OF_A_BLOCK, len(x)), ROWS_OF_A_CHAIN):
            chain = np.zeros(total.shape, np.float32)
            end = min(begin + ROWS_OF_A_CHAIN, block + ROWS_OF_A_BLOCK)
            for row in x[begin:end].astype(np.float64):
                chain = (chain + np.outer(row, row)).astype(np.float32)  # exact before it rounds
            sums += chain
        total += sums
    return total


def test_scatter_has_the_promised_order() -> None:
    x = np.round(64 * data(2500, 70, np.float32)) / np.float32(64)  # few digits: sums fit float64
    np.testing.assert_array_equal(_core.scatter(x, np.zeros(70), False, 2), chained(x))


def test_bytes_are_summed_exactly() -> None:
    x = data(700, 90, np.uint8)
    x[:, 0] = np.where(np.arange(700) % 2, 255, 0)
    wide = x.astype(np.int64)
    np.testing.assert_array_equal(_core.scatter(x, np.zeros(90), False, 2), wide.T @ wide)
    mean = mean_of(x)
    exact = wide.T @ wide * 700 - np.outer(wide.sum(axis=0), wide.sum(axis=0))
    np.testing.assert_allclose(_core.scatter(x, mean, False, 2), exact / 700, rtol=1e-14, atol=1e-8)


@pytest.mark.parametrize("stored", [np.float32, np.float64])
def test_a_column_far_from_zero_keeps_its_variance(stored: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 40))
    x[:, 7] = 1e8 + 100 * x[:, 7]
    x = x.astype(stored)
    mean = mean_of(x)
    expected = scatter_of(x, mean)
    spread = np.sqrt(np.diag(expected))
    error = (_core.scatter(x, mean, False, 2) - expected) / np.outer(spread, spread)
    assert np.abs(error).max() < 1e-6


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize(("n", "d", "m"), [(1, 1, 1), (9, 17, 65), (300, 65, 16), (1100, 333, 130)])
def test_project(n: int, d: int, m: int, stored: Any) -> None:
    x, rng = data(n, d, stored), np.random.default_rng(2)
    result = np.float64 if stored is np.float64 else np.float32
    vectors = rng.normal(size=(m, d)).astype(result)
    scale, add = rng.uniform(0.5, 2, (2, m))
    mean = mean_of(x)
    plain = (x - mean) @ vectors.T.astype(np.float64)
    tolerance = 50 * float(np.finfo(result).eps) * max(np.abs(plain).max(), 1)
    for s, a, expected in (
        (None, None, plain),
        (scale, None, plain * scale),
        (scale, add, plain * scale + add),
        (None, add, plain + add),
    ):
        out = _core.project(x, mean, vectors, s, a, 2)
        assert out.dtype == result
        np.testing.assert_allclose(out, expected, rtol=0, atol=2 * tolerance)


def test_no_rows_and_no_directions() -> None:
    x, mean = np.zeros((0, 5), np.float32), np.zeros(5)
    np.testing.assert_array_equal(_core.scatter(x, mean, False, 2), np.zeros((5, 5)))
    np.testing.assert_array_equal(_core.column_sums(x, None, True, 2), np.zeros(5))
    assert _core.project(x, mean, np.zeros((3, 5), np.float32), None, None, 2).shape == (0, 3)
    assert _core.project(x, mean, np.zeros((0, 5), np.float32), None, None, 2).shape == (0, 0)


def all_of(x: np.ndarray, threads: int) -> list[np.ndarray]:
    mean = mean_of(x)
    vectors = np.random.default_rng(3).normal(size=(70, x.shape[1]))
    vectors = vectors.astype(np.float64 if x.dtype == np.float64 else np.float32)
    return [
        _core.column_sums(x, mean, True, threads),
        _core.centre_rows(x, mean, np.sqrt(np.abs(mean) + 1), threads),
        _core.scatter(x, mean, False, threads),
        _core.project(x, mean, vectors, vectors[:, 0].astype(float), None, threads),
    ]


@pytest.mark.parametrize("stored", STORED)
def test_threads_do_not_change_the_result(stored: Any) -> None:
    x = data(2300, 333, stored)
    for other in (2, 3, 7):
        for one, many in zip(all_of(x, 1), all_of(x, other), strict=True):
            np.testing.assert_array_equal(one, many)


BITS = """
    import hashlib
    import numpy as np
    from fanin import _core

    digest = hashlib.sha256()
    rng = np.random.default_rng(0)
    x = 50 * rng.normal(size=(300, 77)) + 100
    vectors = rng.normal(size=(35, 77))
    for stored in (np.uint8, np.float32, np.float64):
        data = np.clip(x, 0, 255).astype(stored)
        work = np.float64 if stored is np.float64 else np.float32
        mean = _core.column_sums(data, None, False, 1) / len(data)
        squares = _core.column_sums(data, mean, True, 1)
        scale = 1 / np.sqrt(squares)
        for out in (
            mean,
            squares,
            _core.centre_rows(data, mean, scale, 1),
            _core.scatter(data, mean, False, 1),
            _core.scatter(data, mean, True, 1),
            _core.project(data, mean, vectors.astype(work), scale[:35], mean[:35], 1),
        ):
            digest.update(out.tobytes())
    print(digest.hexdigest())
"""


def test_same_bits_on_every_instruction_set(run_isa: Any, isa: str) -> None:
    assert run_isa(BITS, isa=isa) == run_isa(BITS)


def test_errors_name_what_is_wrong() -> None:
    x, mean = data(5, 4, np.float32), np.zeros(4)
    with pytest.raises(TypeError, match=r"X: .*float32, got \(5, 4\) int16"):
        _core.scatter(x.astype(np.int16), mean, False, 1)
    with pytest.raises(ValueError, match=r"mean: expected shape \(4,\) float64, got \(3,\)"):
        _core.scatter(x, mean[:3], False, 1)
    with pytest.raises(ValueError, match=r"vectors: expected shape \(N, 4\) float32, got \(2, 3\)"):
        _core.project(x, mean, np.zeros((2, 3), np.float32), None, None, 1)
    with pytest.raises(TypeError, match=r"vectors: .*float32, got \(2, 4\) float64"):
        _core.project(x, mean, np.zeros((2, 4)), None, None, 1)
    with pytest.raises(TypeError, match=r"X: expected an array or sparse rows, got .*list"):
        _core.column_sums(x.tolist(), None, False, 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_rows_of_any_strides_give_the_same_bits(dtype: Any) -> None:
    x = (np.abs(data(700, 37, np.float64)) * 40).astype(dtype)
    mean = x.mean(axis=0, dtype=np.float64)
    vectors = np.ascontiguousarray(x[:3], np.float64 if dtype == np.float64 else np.float32)
    wide = np.zeros((1400, 74), dtype)
    wide[::2, ::2] = x
    for held in (np.asfortranarray(x), wide[::2, ::2], x[::-1].copy()[::-1]):
        for call in (
            lambda rows: _core.column_sums(rows, mean, True, 2),
            lambda rows: _core.centre_rows(rows, mean, None, 2),
            lambda rows: _core.scatter(rows, mean, False, 2),
            lambda rows: _core.project(rows, mean, vectors, None, None, 2),
            lambda rows: _core.gather_rows(rows, None, None, None, np.dtype("f4"), 2),
        ):
            np.testing.assert_array_equal(call(held), call(x))
