"""Operations of the compiled pipeline, and how the tests run them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from fanin import _core

Operation = tuple[str, float, Sequence[float]]

FLIP: Operation = ("hflip", 0.5, [0])
MODES = ["constant", "edge", "reflect", "symmetric"]
MEAN, STD = [0.5, 0.4, 0.3, 0.2], [0.2, 0.25, 0.3, 0.4]
NORMALIZE: Operation = ("normalize", 1, [*MEAN, *STD])
AFFINE: Operation = ("affine", 1, [-30, 30, 0.1, 0.1, 0.8, 1.2, 0.9, 1.1, -5, 5, -5, 5, 9, 8, 7, 6])
LENS: Operation = ("lens", 1, [-0.2, 0.2, 0, 0.1, 1, 2, 3, 4])
JITTER: Operation = ("jitter", 1, [0.6, 1.4, 0.6, 1.4, 0.6, 1.4, -0.1, 0.1])
ERASE: Operation = ("erase", 0.8, [0.05, 0.4, 0.3, 3.3, 1, 0, 0, 0, 0])
CUTOUT: Operation = ("cutout", 1, [8, 6, 0, 1, 2, 3, 4])
NOISE: Operation = ("noise", 0.5, [0, 0.1, 1])
GRAY: Operation = ("grayscale", 0.3, [])


def crop(size: int, padding: int = 0, mode: int = 0) -> Operation:
    return ("crop", 1, [size, size, *[padding] * 4, mode, 10, 20, 30, 40])


def resized_crop(size: int, antialias: bool = True) -> Operation:
    return ("resized_crop", 1, [size, size, 0.1, 1, 3 / 4, 4 / 3, antialias])


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
) -> tuple[np.ndarray, np.ndarray]:
    aug = _core.Augmentation(list(ops), seed)
    return aug.draw(np.arange(n), epoch, np.full(n, height), np.full(n, width))


PIPELINES: dict[str, list[Operation]] = {
    "crop": [crop(32, 4), FLIP, NORMALIZE],
    "resize": [resized_crop(24), FLIP, JITTER, GRAY, NORMALIZE, ERASE],
    "warp": [crop(40, 4, 2), AFFINE, FLIP, LENS, crop(33, 2), CUTOUT],
    "sharp": [resized_crop(48, antialias=False), AFFINE, JITTER],
    "late": [JITTER, NOISE, ("resize", 1, [20, 0, 1]), FLIP, ERASE, GRAY],
    "shrink": [AFFINE, ("resize", 1, [17, 19, 1]), LENS],
    "groups": [("gate", 0.7, [2]), JITTER, CUTOUT, ("choose", 1, [2, 1, 1]), AFFINE, LENS],
}


def digest(
    name: str, channels: int, planar: bool, dtype: Any, n: int = 13, n_threads: int = 0
) -> tuple[str, np.ndarray]:
    images = noise_images(n, 41, 37, channels).astype(dtype)
    out = run(PIPELINES[name], images, seed=5, epoch=2, planar=planar, n_threads=n_threads)
    return hashlib.sha256(out.tobytes()).hexdigest(), out
