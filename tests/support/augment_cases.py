"""Images for the tests of augmentation, and the comparison with the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from reference_augment import augmented

from fanin.augment import Compose, Transform


def noise(n: int, height: int, width: int, channels: int = 3, dtype: Any = np.uint8) -> np.ndarray:
    rng = np.random.default_rng(height * 1000 + width)
    x = rng.integers(0, 256, (n, height, width, channels), np.uint8)
    return x if dtype == np.uint8 else (x / np.float32(255)).astype(np.float32)


def in_units_of(dtype: Any, steps: Sequence[Transform]) -> list[Any]:
    """The steps, which fill with values from 0 to 255, for images of that dtype."""
    if dtype == np.uint8:
        return list(steps)
    scaled = []
    for step in steps:
        options = step._options()
        for name in {"fill", "value"} & options.keys():
            if not isinstance(options[name], str):
                options[name] = np.divide(options[name], 255).tolist()
        scaled.append(type(step)(**options))
    return scaled


def smooth(n: int, height: int, width: int) -> np.ndarray:
    """Waves that change by at most about 8 grey levels a pixel."""
    y, x = np.indices((height, width))
    shift = np.arange(n * 3).reshape(n, 1, 1, 3)
    waves = np.sin(0.06 * x[..., None] + 0.05 * y[..., None] + shift)
    return np.rint(127.5 + 120 * waves).astype(np.uint8)


def check(aug: Compose, images: np.ndarray, tolerance: float = 0.0, **call: Any) -> np.ndarray:
    """The result is the reference's, rounded; within `tolerance` grey levels before that."""
    call = {"epoch": 0} | call
    expected = augmented(aug, images, call.get("indices"), call["epoch"])
    result: np.ndarray = aug(images, **call)
    assert result.shape == expected.shape
    top = 255 if images.dtype == np.uint8 else 1
    if images.dtype == np.uint8:
        expected = np.clip(expected, 0, 255)
    bound = (0.5 if images.dtype == np.uint8 else 2e-6) + tolerance * top / 255
    if tolerance == 0 and images.dtype == np.uint8:
        np.testing.assert_array_equal(result, np.rint(expected))
    else:
        np.testing.assert_allclose(result, expected, rtol=0, atol=bound)
    return result
