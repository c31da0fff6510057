"""Arrays that the calls under test refuse, and how they are made."""

from __future__ import annotations

from typing import Any

import numpy as np

N, D, H = 6, 4, 3


def floats(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def unaligned(a: np.ndarray) -> np.ndarray:
    memory = np.zeros(a.nbytes + 1, np.uint8)[1:]
    result = memory.view(a.dtype).reshape(a.shape)
    result[...] = a
    return result


def read_only(a: np.ndarray) -> np.ndarray:
    a.flags.writeable = False
    return a


def with_value(a: np.ndarray, at: Any, value: float) -> np.ndarray:
    a = a.copy()
    a[at] = value
    return a


swapped = np.dtype(np.float32).newbyteorder()
