"""Products of bfloat16 by the definition of a matrix tile, each sum rounded once."""

from __future__ import annotations

import numpy as np

SMALLEST = 2.0**-126  # normal float32
FLUSHED_BELOW = SMALLEST - 2.0**-151  # what is as large rounds to it


def rounded(x):
    """To the nearest bfloat16, ties to even, as float32; subnormal numbers are zeros."""
    x = np.ascontiguousarray(x, np.float32)
    bits = x.view(np.uint32)
    nearest = (bits + np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1))) & np.uint32(0xFFFF0000)
    result = np.where(np.isnan(x), x, nearest.view(np.float32))
    return np.where(np.abs(x) < np.float32(SMALLEST), np.copysign(np.float32(0), x), result)


def _flushed(x):
    return np.where(np.abs(x) < SMALLEST, np.copysign(0.0, x), x)


def _add(a, b):
    """float32(a + b) of float64, rounded once and then flushed."""
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        total = a + b
        rest = total - a
        error = (a - (total - rest)) + (b - rest)
        # Rounded to odd: the rounding to float32 after it is as that of the exact sum.
        even = (total.view(np.int64) & 1) == 0
        inexact = np.isfinite(total) & (error != 0) & even
        step = np.nextafter(total, np.where(error > 0, np.inf, -np.inf))
        total = np.where(inexact, step, total)
        result = total.astype(np.float32).astype(np.float64)
    size = np.abs(total)
    result = np.where(size < SMALLEST, np.copysign(SMALLEST, total), result)
    return np.where(size < FLUSHED_BELOW, np.copysign(0.0, total), result)


def product(a, b, start=0.0):
    """start + a b: a (n, k), b (k, m) of any float32, start of their product's shape."""
    a, b = rounded(a).astype(np.float64), rounded(b).astype(np.float64)
    pad = -a.shape[1] % 32
    a, b = np.pad(a, ((0, 0), (0, pad))), np.pad(b, ((0, pad), (0, 0)))
    c = np.zeros((a.shape[0], b.shape[1])) + np.asarray(start, np.float64)
    for first in range(0, a.shape[1], 32):
        even, odd = np.zeros_like(c), np.zeros_like(c)
        with np.errstate(invalid="ignore"):
            for k in range(first, first + 32, 2):
                even = _add(even, a[:, k : k + 1] * b[k])
                odd = _add(odd, a[:, k + 1 : k + 2] * b[k + 1])
            c = _add(_flushed(c), _add(even, odd))
    return c.astype(np.float32)
