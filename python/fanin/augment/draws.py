"""Names for what the core draws."""

from __future__ import annotations

import numpy as np

from fanin import _core
from fanin._typing import Array
from fanin.augment.mixing import Mix

_PIXELS = ("top", "left", "height", "width", "bottom", "right", "translate_x", "translate_y")
_NAMES: dict[str, tuple[str, ...]] = {
    "crop": ("top", "left", "height", "width"),
    "centre_crop": ("top", "left", "height", "width"),
    "resize": ("height", "width"),
    "resized_crop": ("top", "left", "height", "width"),
    "affine": ("degrees", "translate_x", "translate_y", "scale", "stretch", "shear_x", "shear_y"),
    "lens": ("k1", "k2"),
    "jitter": ("brightness", "contrast", "saturation", "hue"),
    "erase": ("top", "left", "height", "width"),
    "cutout": ("top", "left", "height", "width"),
}


def named(kind: str, applied: Array, values: Array) -> dict[str, Array]:
    """Whether it happens (N,), and values (N, 10) as arrays (N,) by name, whole ones as int64."""
    result: dict[str, Array] = {"applied": applied.copy()}
    for place, name in enumerate(_NAMES.get(kind, ())):
        column = values[:, place]
        result[name] = column.astype(np.int64) if name in _PIXELS else column.copy()
    if kind == "jitter":
        result["order"] = values[:, 4:8].astype(np.int64)  # 0: brightness, 1: contrast, ...
    if kind == "erase":
        result["applied"] &= result["height"] > 0  # no draw fitted
    return result


def mixed(
    mix: Mix, seed: int, samples: Array, epoch: int, height: int, width: int
) -> dict[str, Array]:
    """Lambdas, partners within the batch, and what of cutmix's rectangle is left."""
    options = (mix.kind, mix.alpha, mix.p, mix.per_sample, seed)
    lambdas, boxes = _core.draw_mix(*options, samples, epoch, height, width)
    partner = np.roll(np.arange(len(samples)), 1)
    result = {"applied": lambdas < 1, "lambda": lambdas, "partner": partner}
    if mix.kind == "cutmix":
        result |= dict(zip(("top", "left", "bottom", "right"), boxes.T.copy(), strict=True))
    return result
