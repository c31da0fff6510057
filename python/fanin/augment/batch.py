"""Batches of images, checked: arrays of one size, or lists of images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fanin._typing import Array
from fanin._validate import check_memory, describe, plain_array

_DTYPES = (np.dtype(np.uint8), np.dtype(np.float32))
_CHANNELS = (1, 3, 4)
MOST_SAMPLES = 2**40  # each sample number has a part of a stream of its own


@dataclass(frozen=True, slots=True)
class Images:
    """N images: `pixels` is (N, H, W, C), or a list of (H, W, C)."""

    pixels: Array | list[Array]
    dtype: np.dtype[Any]
    channels: int
    has_channels: bool

    @property
    def n(self) -> int:
        return len(self.pixels)

    @property
    def ragged(self) -> bool:
        return isinstance(self.pixels, list)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of an array's images."""
        assert isinstance(self.pixels, np.ndarray)
        return self.pixels.shape[1:3]

    def sizes(self) -> Array:
        """Heights and widths (2, N), int64."""
        shapes = [image.shape[:2] for image in self.pixels]
        return np.array(shapes, np.int64).reshape(-1, 2).T.copy()

    def check_labels(self, y: Array | None) -> None:
        if y is not None and (np.ndim(y) == 0 or len(y) != self.n):
            got = describe(y) if np.ndim(y) == 0 else len(y)
            raise ValueError(f"y: expected {self.n} labels, one for each image, got {got}")


def image_batch(name: str, images: object) -> Images:
    """The batch, with dtype, layout and channels checked."""
    if isinstance(images, (list, tuple)):
        return _list_batch(name, images)
    array = plain_array(name, images)
    _check(name, array, "N, ")
    has_channels = array.ndim == 4
    pixels = array if has_channels else array[..., None]
    return Images(pixels, array.dtype, pixels.shape[3], has_channels)


def _list_batch(name: str, images: Sequence[Any]) -> Images:
    if not images:
        raise ValueError(
            f"{name}: expected at least one image in a list, got none; "
            "an array (0, H, W, C) is an empty batch"
        )
    arrays = [plain_array(f"{name}[{i}]", image) for i, image in enumerate(images)]
    first = arrays[0]
    for i, array in enumerate(arrays):
        _check(f"{name}[{i}]", array, "")
        if (array.ndim, array.shape[2:], array.dtype) != (first.ndim, first.shape[2:], first.dtype):
            raise ValueError(
                f"{name}[{i}]: expected channels and dtype of {name}[0], "
                f"{describe(first)}; got {describe(array)}"
            )
    has_channels = first.ndim == 3
    pixels = arrays if has_channels else [array[..., None] for array in arrays]
    return Images(pixels, first.dtype, pixels[0].shape[2], has_channels)


def _check(name: str, array: Array, lead: str) -> None:
    expected = f"{name}: expected shape ({lead}H, W) or ({lead}H, W, C) uint8 or float32"
    axes = len(lead) // 3
    if array.ndim - axes not in (2, 3):
        rows = array.ndim == 2 and axes
        way = f"; {name}.reshape(-1, H, W, C) makes images of rows" if rows else ""
        raise ValueError(f"{expected}, got {describe(array)}{way}")
    if array.dtype not in _DTYPES:
        raise TypeError(f"{expected}, got {describe(array)}; {name}.astype('float32') converts")
    if min(array.shape[axes : axes + 2]) < 1:
        raise ValueError(f"{expected} with at least one pixel, got {describe(array)}")
    if array.ndim - axes == 3 and array.shape[-1] not in _CHANNELS:
        planar = array.shape[axes] in _CHANNELS
        way = f"; np.moveaxis puts channels last: {name} is NHWC" if planar else ""
        raise ValueError(f"{expected} with 1, 3 or 4 channels, got {describe(array)}{way}")
    check_memory(expected, name, array)


def mask_batch(masks: object, images: Images) -> Images:
    """Masks, one for each image and of its size."""
    batch = image_batch("masks", masks)
    if batch.n != images.n:
        raise ValueError(f"masks: expected {images.n}, one for each image, got {batch.n}")
    for i, (image, mask) in enumerate(zip(images.pixels, batch.pixels, strict=True)):
        size, given = image.shape[:2], mask.shape[:2]
        if given != size:
            raise ValueError(f"masks[{i}]: expected the image's size {size}, got {given}")
    return batch


def sample_numbers(indices: npt.ArrayLike | None, n: int) -> npt.NDArray[np.int64]:
    """The samples' numbers (n,), int64."""
    if indices is None:
        return np.arange(n)
    if not isinstance(indices, (np.ndarray, list, tuple, range)):
        raise TypeError(f"indices: expected an array of whole numbers, got {describe(indices)}")
    array = plain_array("indices", np.asanyarray(indices))
    if array.shape != (n,):
        raise ValueError(
            f"indices: expected shape ({n},), the number of each image's sample, "
            f"got {describe(array)}"
        )
    if array.dtype.kind not in "iu" and n:
        raise TypeError(f"indices: expected whole numbers, got {describe(array)}")
    if n and not (array.min() >= 0 and array.max() < MOST_SAMPLES):
        raise ValueError(
            f"indices: expected numbers in 0 .. 2**40 - 1, got {array.min()} .. {array.max()}"
        )
    return np.ascontiguousarray(array, dtype=np.int64)
