"""Operations of the compiled pipeline, and how the tests run them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from fanin import _core

Operation = tuple[str, float, dict[str, Any]]

FLIP: Operation = ("hflip", 0.5, {"alternating": False})
MODES = ["constant", "edge", "reflect", "symmetric"]
MEAN, STD = [0.5, 0.4, 0.3, 0.2], [0.2, 0.25, 0.3, 0.4]
NORMALIZE: Operation = ("normalize", 1, {"mean": MEAN, "std": STD})
AFFINE: Operation = (
    "affine",
    1,
    {
        "degrees": (-30, 30),
        "translate_x": 0.1,
        "translate_y": 0.1,
        "scale": (0.8, 1.2),
        "stretch": (0.9, 1.1),
        "shear_x": (-5, 5),
        "shear_y": (-5, 5),
        "fill": [9, 8, 7, 6],
    },
)
LENS: Operation = ("lens", 1, {"k1": (-0.2, 0.2), "k2": (0, 0.1), "fill": [1, 2, 3, 4]})
JITTER: Operation = (
    "jitter",
    1,
    {
        "brightness": (0.6, 1.4),
        "contrast": (0.6, 1.4),
        "saturation": (0.6, 1.4),
        "hue": (-0.1, 0.1),
    },
)
NOISE: Operation = ("noise", 0.5, {"mean": 0, "sigma": 0.1, "clip": True})
GRAY: Operation = ("grayscale", 0.3, {})


def flip(kind: str, p: float = 1, alternating: bool = False) -> Operation:
    return (kind, p, {"alternating": alternating})


def sized(height: int, width: int) -> dict[str, Any]:
    return {"height": height, "width": width}


def crop(
    size: int, padding: int = 0, mode: int = 0, fill: Sequence[float] = (10, 20, 30, 40)
) -> Operation:
    sides = dict.fromkeys(("left", "top", "right", "bottom"), padding)
    return ("crop", 1, {**sized(size, size), **sides, "border": MODES[mode], "fill": fill})


def resize(height: int, width: int) -> Operation:
    return ("resize", 1, {**sized(height, width), "antialias": True})


def corner_crop(height: int, width: int, mirrored: str) -> Operation:
    return ("corner_crop", 1, {**sized(height, width), "mirrored": mirrored})


def resized_crop(
    size: int,
    antialias: bool = True,
    scale: tuple[float, float] = (0.1, 1),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Operation:
    window = {"scale": scale, "ratio": ratio, "antialias": antialias}
    return ("resized_crop", 1, {**sized(size, size), **window})


def erase(p: float, scale: tuple[float, float], ratio: tuple[float, float]) -> Operation:
    return ("erase", p, {"scale": scale, "ratio": ratio, "random": True, "value": [0, 0, 0, 0]})


def cutout(height: int, width: int, inside: bool, value: Sequence[float]) -> Operation:
    return ("cutout", 1, {**sized(height, width), "inside": inside, "value": value})


def gate(p: float, count: int) -> Operation:
    return ("gate", p, {"count": count})


def choose(*counts: int) -> Operation:
    return ("choose", 1, {"counts": counts})


ERASE = erase(0.8, (0.05, 0.4), (0.3, 3.3))
CUTOUT = cutout(8, 6, False, [1, 2, 3, 4])


def noise_images(n: int, height: int, width: int, channels: int) -> np.ndarray:
    shape = (n, height, width, channels)
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


def run(
    ops: Sequence[Operation],
    images: Any,
    *,
    seed: int = 0,
    epoch: int = 0,
    indices: np.ndarray | None = None,
    planar: bool = False,
    mask: bool = False,
    dtype: Any = None,
    n_threads: int = 0,
) -> np.ndarray:
    aug = _core.Augmentation(list(ops), seed)
    height, width, channels = images[0].shape
    if indices is None:
        indices = np.arange(len(images))
    if dtype is None:
        dtype = np.float32 if aug.normalizes and not mask else images[0].dtype
    height, width = aug.output(height, width)
    size = (channels, height, width) if planar else (height, width, channels)
    variants = (aug.variants,) if aug.variants > 1 else ()
    out = np.full((len(images), *variants, *size), 77, dtype)
    aug.run(images, indices, epoch, out, planar, mask, n_threads)
    return out


def draw(
    ops: Sequence[Operation], n: int, height: int, width: int, seed: int = 0, epoch: int = 0
) -> list[dict[str, np.ndarray]]:
    aug = _core.Augmentation(list(ops), seed)
    return aug.draw(np.arange(n), epoch, np.full(n, height), np.full(n, width))


def boxes(drawn: dict[str, np.ndarray]) -> np.ndarray:
    """Top, left, height and width (n, 4)."""
    return np.stack([drawn[name] for name in ("top", "left", "height", "width")], axis=1)


PIPELINES: dict[str, list[Operation]] = {
    "crop": [crop(32, 4), FLIP, NORMALIZE],
    "resize": [resized_crop(24), FLIP, JITTER, GRAY, NORMALIZE, ERASE],
    "warp": [crop(40, 4, 2), AFFINE, FLIP, LENS, crop(33, 2), CUTOUT],
    "sharp": [resized_crop(48, antialias=False), AFFINE, JITTER],
    "late": [JITTER, NOISE, resize(20, 0), FLIP, ERASE, GRAY],
    "shrink": [AFFINE, resize(17, 19), LENS],
    "groups": [gate(0.7, 2), JITTER, CUTOUT, choose(1, 1), AFFINE, LENS],
}


def digest(
    name: str, channels: int, planar: bool, dtype: Any, n: int = 13, n_threads: int = 0
) -> tuple[str, np.ndarray]:
    images = noise_images(n, 41, 37, channels).astype(dtype)
    out = run(PIPELINES[name], images, seed=5, epoch=2, planar=planar, n_threads=n_threads)
    return hashlib.sha256(out.tobytes()).hexdigest(), out
