"""Columns of a product beyond its last whole Vec, which are worked on with rows in the lanes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from reference import fma_product

from fanin import _core, layers

DTYPES = [np.float32, np.float64]
ROWS = (1, 14, 16, 17, 31, 33, 48, 49, 64, 65, 100)  # none to several Vecs of them, and parts
COLUMNS = (*range(1, 12), 18, 33, 50, 52, 58, 66, 100, 122)


def normals(*shape: int, dtype: Any) -> np.ndarray:
    """24 bits of each, so that a product of float64 is exact."""
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [31, 70, 529])  # too few steps; whole squares and a rest; two blocks
@pytest.mark.parametrize("columns", COLUMNS)
def test_forward_is_one_chain_from_the_bias(columns: int, k: int, dtype: Any) -> None:
    x, W = normals(max(ROWS), k, dtype=dtype), normals(k, columns, dtype=dtype)
    b = normals(columns, dtype=dtype)
    expected = fma_product(x, W, b)
    for rows in ROWS:
        got = layers.dense(x[:rows], W, b, activation="identity")
        assert np.array_equal(got, expected[:rows]), rows


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", COLUMNS)
def test_gradients_are_one_chain_from_zero(columns: int, dtype: Any) -> None:
    x, dy = normals(70, max(ROWS), dtype=dtype), normals(70, columns, dtype=dtype)
    expected = fma_product(np.ascontiguousarray(x.T), dy, None)
    for rows in ROWS:
        some, W = np.ascontiguousarray(x[:, :rows]), np.zeros((rows, columns), dtype)
        _, dW, _ = _core.dense_backward(dy, some, W, None, None, 1.0, False, 2)
        assert np.array_equal(dW, expected[:rows]), rows


@pytest.mark.parametrize("columns", [2, 10, 50, 74])
def test_what_follows_the_product_reaches_each_column_once(columns: int) -> None:
    x, W = normals(64, 70, dtype=np.float32), normals(70, columns, dtype=np.float32)
    sums = fma_product(x, W, None)
    assert np.array_equal(layers.dense(x, W), np.maximum(sums, 0))
    dropped = _core.dense_forward(x, W, None, 0, 0.5, 1, 2, 0, None, True, 2)
    kept = _core.dense_forward(
        sums, np.eye(columns, dtype="f4"), None, 0, 0.5, 1, 2, 0, None, True, 1
    )
    for got, expected in zip(dropped, kept, strict=True):
        assert np.array_equal(got, expected)


def test_same_bits_on_every_instruction_set(run_isa: Any, isa: str, threads: int) -> None:
    code = """
        import hashlib
        import numpy as np
        from fanin import layers

        rng, found = np.random.default_rng(0), hashlib.sha256()
        for columns in (1, 2, 5, 7, 10, 50, 74):
            for dtype in (np.float32, np.float64):
                x, W = rng.normal(size=(90, 65)).astype(dtype), rng.normal(size=(65, columns))
                y, cache = layers.dense_forward(x, W.astype(dtype))
                for part in (y, *layers.dense_backward(y, cache)):
                    found.update(part.tobytes())
        print(found.hexdigest())
    """
    assert run_isa(code, isa, threads) == run_isa(code, "scalar", 1)
