"""What an augmented image should be: each formula as it stands, in float64, one image at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]

GREY = np.array([0.2989, 0.587, 0.114])
COUNT_OF_TRIES = 10  # of a resized crop


@lru_cache(maxsize=2)
def photographs(count: int, height: int, width: int) -> Bytes:
    """Smooth shapes in colour under a little noise, (count, height, width, 3)."""
    rng = np.random.default_rng(7)
    coarse = rng.integers(0, 256, (count, 9, 9, 3)).astype(np.float32)
    down, across = (weights(9, n, False).astype(np.float32) for n in (height, width))
    noise = rng.integers(-3, 4, (height, width, 3))
    images = np.empty((count, height, width, 3), dtype=np.uint8)
    for image, points in zip(images, coarse, strict=True):
        smooth = np.einsum("yi,xj,ijc->yxc", down, across, points, optimize=True)
        image[:] = (smooth + noise).clip(0, 255)
    return images


def weights(n_in: int, n_out: int, antialias: bool) -> Array:
    """(n_out, n_in): a triangle around each output's centre, as wide as its pixel with antialias
    and as an input's without.
    """
    scale = n_in / n_out
    support = max(scale, 1.0) if antialias else 1.0
    centres = (np.arange(n_out) + 0.5) * scale
    distance = np.abs(np.arange(n_in) + 0.5 - centres[:, None]) / support
    triangle = np.maximum(0, 1 - distance)
    result: Array = triangle / triangle.sum(axis=1, keepdims=True)
    return result


def resized(image: npt.NDArray[np.generic], size: int, antialias: bool) -> Array:
    down, across = (weights(n, size, antialias) for n in image.shape[:2])
    return np.einsum("yi,xj,ijc->yxc", down, across, image.astype(np.float64), optimize=True)


def warped(image: npt.NDArray[np.generic], matrix: Array) -> Array:
    """Bilinear, 0 outside; `matrix` (2, 3) takes pixel indices of the output to the input's."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width]
    u, v = np.einsum("ij,jyx->iyx", matrix, np.stack([x, y, np.ones_like(x)]).astype(np.float64))
    padded = np.pad(image.astype(np.float64), ((1, 1), (1, 1), (0, 0)))
    u, v = u.clip(-1, width) + 1, v.clip(-1, height) + 1
    left = np.minimum(u.astype(int), width)
    top = np.minimum(v.astype(int), height)
    a, b = (u - left)[..., None], (v - top)[..., None]
    above = (1 - a) * padded[top, left] + a * padded[top, left + 1]
    below = (1 - a) * padded[top + 1, left] + a * padded[top + 1, left + 1]
    result: Array = (1 - b) * above + b * below
    return result


def jittered(image: Array, factors: Array, order: npt.NDArray[np.integer]) -> Array:
    """Brightness, contrast, saturation and hue, of values to 255, in that image's own order."""
    for which in order:
        image = JITTER[which](image, float(factors[which])).clip(0, 255)
    return image


def _contrast(image: Array, factor: float) -> Array:
    return factor * image + (1 - factor) * (image @ GREY).mean()


def _saturation(image: Array, factor: float) -> Array:
    return factor * image + (1 - factor) * (image @ GREY)[..., None]


def _hue(image: Array, shift: float) -> Array:
    """Through the float HSV hexagon: the hue moves, value and saturation stay."""
    largest, smallest = image.max(axis=-1), image.min(axis=-1)
    spread = np.where(largest > smallest, largest - smallest, 1.0)
    red, green, blue = np.moveaxis(image, -1, 0)
    hue = np.select(
        [largest == smallest, largest == red, largest == green],
        [0.0, (green - blue) / spread, 2 + (blue - red) / spread],
        4 + (red - green) / spread,
    )
    hue = (hue / 6 + shift) % 1
    k = (np.array([5, 3, 1]) + 6 * hue[..., None]) % 6
    fall = (largest - smallest)[..., None] * np.minimum(k, 4 - k).clip(0, 1)
    result: Array = largest[..., None] - fall
    return result


JITTER: tuple[Callable[[Array, float], Array], ...] = (
    lambda image, factor: image * factor,
    _contrast,
    _saturation,
    _hue,
)


def boxes(rng: np.random.Generator, count: int, height: int, width: int) -> npt.NDArray[np.int64]:
    """(count, 4) top, left, height, width of random resized crops: 8 % to 100 % of the area, w/h
    from 3/4 to 4/3, ten tries and then the middle, all images at once.
    """
    shape = count, COUNT_OF_TRIES
    area = height * width * rng.uniform(0.08, 1.0, shape)
    ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3), shape))
    h, w = np.rint(np.sqrt(area / ratio)).astype(int), np.rint(np.sqrt(area * ratio)).astype(int)
    fits = (h <= height) & (w <= width) & (h > 0) & (w > 0)
    first = np.arange(count), fits.argmax(axis=1)
    found = fits.any(axis=1)
    whole = min(max(width / height, 3 / 4), 4 / 3)
    fallback = min(height, round(width / whole)), min(width, round(height * whole))
    h, w = np.where(found, h[first], fallback[0]), np.where(found, w[first], fallback[1])
    top, left = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
    top, left = np.where(found, top, (height - h) // 2), np.where(found, left, (width - w) // 2)
    return np.stack([top, left, h, w], axis=1)


def inverse_maps(
    angle: Array, translate: Array, scale: Array, shear: Array, height: int, width: int
) -> Array:
    """(N, 2, 3): of the output's pixel indices to the input's, for a rotation (degrees, clockwise),
    a shear along x (degrees), a scale about the middle, and then a translation (pixels).
    """
    a, s = np.deg2rad(angle), np.deg2rad(shear)
    forward = np.empty((len(angle), 2, 2))
    forward[:, 0, 0], forward[:, 1, 0] = np.cos(a), np.sin(a)
    forward[:, 0, 1] = -np.cos(a) * np.tan(s) - np.sin(a)
    forward[:, 1, 1] = -np.sin(a) * np.tan(s) + np.cos(a)
    inverse = np.linalg.inv(forward * scale[:, None, None])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    offset = middle - np.einsum("nij,nj->ni", inverse, middle + translate)
    return np.concatenate([inverse, offset[..., None]], axis=2)
