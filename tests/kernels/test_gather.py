"""Rows gathered from data of any stored type, normalised on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fanin import _core

SIZES = [1, 15, 16, 17, 63, 65, 333]
STORED = [np.uint8, np.float32, np.float64]


def data(n: int, cols: int, stored: Any) -> np.ndarray:
    rng = np.random.default_rng(cols)
    if stored is np.uint8:
        return rng.integers(0, 256, (n, cols), dtype=np.uint8)
    return (100 * rng.normal(size=(n, cols))).astype(stored)


def gather(x: np.ndarray, i: Any, mean: Any, scale: Any, dtype: Any, threads: int = 1) -> Any:
    return _core.gather_rows(x, i, mean, scale, np.dtype(dtype), threads)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("cols", SIZES)
def test_same_bits_as_numpy(cols: int, stored: Any, dtype: Any) -> None:
    x = data(9, cols, stored)
    rows = np.array([3, 8, 0, 0, 5], np.int64)
    rng = np.random.default_rng(1)
    mean, scale = rng.normal(size=(2, cols)).astype(dtype).astype(float)
    one = np.array([127.5]), np.array([1 / 255])
    work = np.promote_types(dtype, np.float64 if stored == np.float64 else dtype)
    for indices, picked in ((None, x), (rows, x[rows])):
        plain = picked.astype(dtype)
        np.testing.assert_array_equal(gather(x, indices, None, None, dtype), plain)
        for m, s in (one, (mean, scale)):
            expected = (picked.astype(work) - m.astype(work)) * s.astype(work)
            np.testing.assert_array_equal(
                gather(x, indices, m, s, dtype), expected.astype(dtype), strict=True
            )


@pytest.mark.parametrize("cols", SIZES)
@pytest.mark.parametrize("per_column", [True, False])
def test_doubles_that_a_float_holds_are_that_float(cols: int, per_column: bool) -> None:
    x = data(9, cols, np.uint8)
    rng = np.random.default_rng(2)
    mean, scale = rng.normal(size=(2, cols if per_column else 1)) + 1
    results = [gather(x.astype(t), None, mean, scale, np.float32).tobytes() for t in STORED]
    assert len(set(results)) == 1
    far = np.full_like(mean, 1e8 + 3.3)  # which no float is near enough to
    expected = ((x.astype(float) - far) * scale).astype(np.float32)
    result = gather(x.astype(float), None, far, scale, np.float32)
    np.testing.assert_array_equal(result, expected)


def test_the_mean_of_large_numbers_cancels_before_they_are_rounded() -> None:
    """Seconds since 1970: apart by less than float32 can tell at that size."""
    seconds = 1.7e9 + np.arange(-10.0, 11.0).reshape(-1, 1)
    out = gather(seconds, None, np.array([1.7e9]), np.array([0.1]), np.float32)
    np.testing.assert_allclose(out[:, 0], np.arange(-1, 1.05, 0.1), atol=1e-6)


def test_bytes_keep_every_value() -> None:
    x = np.arange(256, dtype=np.uint8).reshape(1, 256)
    np.testing.assert_array_equal(gather(x, None, None, None, np.float32)[0], np.arange(256))


def test_no_rows() -> None:
    assert gather(data(4, 17, np.uint8), np.zeros(0, np.int64), None, None, np.float32).shape == (
        0,
        17,
    )


def test_threads_do_not_change_the_result() -> None:
    x = data(3000, 333, np.uint8)
    rows = np.random.default_rng(0).permutation(3000)
    np.testing.assert_array_equal(gather(x, rows, None, None, np.float32, 3), x[rows])


BITS = """
    import hashlib
    import numpy as np
    from fanin import _core

    digest = hashlib.sha256()
    rng = np.random.default_rng(0)
    x = 50 * rng.normal(size=(20, 77))
    rows = rng.integers(20, size=33)
    for stored in (np.uint8, np.float32, np.float64):
        for dtype in (np.float32, np.float64):
            mean, scale = rng.normal(size=(2, 77)).astype(dtype).astype(float)
            out = _core.gather_rows(np.abs(x).astype(stored), rows, mean, scale, np.dtype(dtype), 1)
            digest.update(out.tobytes())
    print(digest.hexdigest())
"""


def test_same_bits_on_every_instruction_set(run_isa: Any, isa: str) -> None:
    assert run_isa(BITS, isa=isa) == run_isa(BITS)


def test_errors_name_what_is_wrong() -> None:
    x = data(5, 4, np.float32)
    column, one = np.zeros(4), np.zeros(1)
    for bad, at in ((5, 1), (-1, 0)):
        rows = np.array([0, 1], np.int64)
        rows[at] = bad
        message = rf"indices: expected rows in 0 \.\. 4, got {bad} at position {at}"
        with pytest.raises(IndexError, match=message):
            gather(x, rows, None, None, np.float32)
    with pytest.raises(ValueError, match="mean, scale: expected both or neither"):
        gather(x, None, column, None, np.float32)
    with pytest.raises(ValueError, match=r"mean, scale: .*of the same shape"):
        gather(x, None, column, one, np.float32)
    with pytest.raises(ValueError, match=r"mean: expected shape \(4,\) float64, got \(3,\)"):
        gather(x, None, column[:3], column[:3], np.float32)
    with pytest.raises(TypeError, match=r"mean: .*float64, got \(4,\) float32"):
        gather(x, None, column.astype(np.float32), column, np.float64)
    with pytest.raises(TypeError, match=r"data: .*got \(5, 4\) int16"):
        gather(x.astype(np.int16), None, None, None, np.float32)
    with pytest.raises(TypeError, match="dtype: expected float32 or float64, got int64"):
        gather(x, None, None, None, np.int64)
