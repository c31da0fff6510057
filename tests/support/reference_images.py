"""Resampling and colours of single images, plainly, in NumPy and float64."""

from __future__ import annotations

import numpy as np

Array = np.ndarray

LUMA = np.array([0.2989, 0.587, 0.114])


def triangle(n: int, m: int, antialias: bool) -> Array:
    """Weights (m, n): a triangle about each centre, as wide as the shrinking."""
    step = n / m
    support = max(1.0, step) if antialias else 1.0
    centres = (np.arange(m) + 0.5) * step
    if not antialias:
        centres = np.clip(centres, 0.5, n - 0.5)
    far = np.abs(np.arange(n) + 0.5 - centres[:, None]) / support
    weights = np.maximum(0, 1 - far)
    return weights / weights.sum(axis=1, keepdims=True)


def folded(x: Array, n: int, border: str) -> Array:
    if border == "edge":
        return np.clip(x, 0, n - 1)
    if border == "symmetric":
        x = (x + 0.5) % (2 * n)
        return np.where(x < n, x, 2 * n - x) - 0.5
    period = max(1, 2 * n - 2)
    x = x % period
    return np.where(x <= n - 1, x, period - x)


def taps(values: Array, x: Array, y: Array, nearest: bool, fill: Array | None) -> Array:
    """Bilinear values at (x, y); beyond the image is the fill, or where None its edge."""
    h, w, channels = values.shape

    def at(i: Array, j: Array) -> Array:
        inside = (i >= 0) & (i < h) & (j >= 0) & (j < w)
        got = values[np.clip(i, 0, h - 1), np.clip(j, 0, w - 1)]
        if fill is not None:
            got = np.where(inside[..., None], got, fill[:channels])
        return got

    if nearest:
        return at(np.floor(y + 0.5).astype(int), np.floor(x + 0.5).astype(int))
    i, j = np.floor(y).astype(int), np.floor(x).astype(int)
    b, a = (y - i)[..., None], (x - j)[..., None]
    upper = at(i, j) * (1 - a) + at(i, j + 1) * a
    lower = at(i + 1, j) * (1 - a) + at(i + 1, j + 1) * a
    return upper * (1 - b) + lower * b


def coloured(x: Array, kind: str, factor: float, top: float) -> Array:
    """torchvision's formulas on floats; a fourth channel stays."""
    colours, alpha = x[..., :3], x[..., 3:]
    grey = colours.shape[2] == 1
    luma = colours if grey else (colours @ LUMA)[..., None]
    if kind == "brightness":
        colours = colours * factor
    elif kind == "contrast":
        colours = colours * factor + (1 - factor) * luma.mean()
    elif kind == "saturation" and not grey:
        colours = colours * factor + (1 - factor) * luma
    elif kind == "hue" and not grey:
        colours = hue_turned(np.clip(colours / top, 0, 1), factor) * top
    elif kind == "grayscale" and not grey:
        colours = np.repeat(luma, 3, axis=2)
    return np.concatenate([np.clip(colours, 0, top), alpha], axis=2)


def hue_turned(rgb: Array, factor: float) -> Array:
    high, low = rgb.max(axis=-1), rgb.min(axis=-1)
    span = np.where(high > low, high - low, 1)
    saturation = np.where(high > 0, (high - low) / np.where(high > 0, high, 1), 0)
    r, g, b = (rgb[..., c] for c in range(3))
    h = np.where(
        high == r, (g - b) / span, np.where(high == g, 2 + (b - r) / span, 4 + (r - g) / span)
    )
    h = (np.where(high > low, h, 0) / 6 + factor) % 1.0
    turned = []
    for n in (5, 3, 1):
        k = (n + h * 6) % 6
        turned.append(high - high * saturation * np.maximum(0, np.minimum(np.minimum(k, 4 - k), 1)))
    return np.stack(turned, axis=-1)
