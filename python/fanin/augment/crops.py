"""Crops and resizing, with torchvision's names, parameters and meanings.

Resampling is bilinear. With ``antialias=True`` an image that shrinks is filtered as PIL does it, by
a triangle as wide as the shrinking; ``antialias=False`` is OpenCV's ``INTER_LINEAR`` and lets fine
patterns through as moire. Libraries differ here by up to 2 points of accuracy on images that were
resized in one way and are tested in another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fanin._validate import one_of, sequence, whole
from fanin.augment.transform import (
    LARGEST,
    Fill,
    Size,
    Transform,
    channels,
    flag,
    four,
    positive_pair,
    size_fields,
    size_pair,
)

__all__ = ["CenterCrop", "FiveCrop", "RandomCrop", "RandomResizedCrop", "Resize", "TenCrop"]

PADDING_MODES = ("constant", "edge", "reflect", "symmetric")


def _padding(value: Any) -> int | tuple[int, ...]:
    """Torchvision's forms: one number, (left and right, top and bottom), or all four."""
    if not isinstance(value, Sequence) and np.ndim(value) == 0:
        return whole("padding", value, 0, LARGEST)
    expected = "a whole number, (left-right, top-bottom) or (left, top, right, bottom)"
    values = sequence("padding", value, expected)
    if len(values) not in (2, 4):
        raise ValueError(f"padding: expected {expected}, got {len(values)} numbers")
    return tuple(whole("padding", v, 0, LARGEST) for v in values)


@dataclass(frozen=True, repr=False)
class RandomCrop(Transform):
    """A window of the image, padded first where asked, at a random place for each sample.

    Parameters
    ----------
    size : int or (height, width)
        Pixels.
    padding : int, (left-right, top-bottom) or (left, top, right, bottom)
        Pixels to add before the crop; 4 with ``size=32`` is the usual choice for CIFAR-10.
    padding_mode : {"constant", "edge", "reflect", "symmetric"}
        What they hold: `fill`, the nearest pixel, or the mirrored image without ("reflect") or with
        ("symmetric") the outermost pixel repeated, as in `numpy.pad`. Keras calls "symmetric"
        reflect.
    fill : float or one for each channel
        In the image's own units: 0 to 255 for uint8, also where `Normalize` follows.

    Notes
    -----
    torchvision's ``RandomCrop``; the place is uniform over all whole-pixel places. An image that is
    smaller than the crop after padding is refused.

    Examples
    --------
    >>> crop = fanin.augment.RandomCrop(32, padding=4, padding_mode="reflect")
    >>> images = np.zeros((8, 32, 32, 3), np.uint8)
    >>> fanin.augment.Compose([crop])(images).shape
    (8, 32, 32, 3)
    """

    _kind = "crop"
    _resizes = True

    size: Size
    padding: int | Sequence[int] = 0
    padding_mode: str = "constant"
    fill: Fill = 0.0

    def __post_init__(self) -> None:
        self._set(
            size=size_pair("size", self.size),
            padding=_padding(self.padding),
            padding_mode=one_of("padding_mode", self.padding_mode, PADDING_MODES),
            fill=channels("fill", self.fill),
        )

    def _fields(self) -> dict[str, Any]:
        padding = [self.padding] if isinstance(self.padding, int) else list(self.padding)
        left, top, right, bottom = (padding * 4)[:4]  # (a, b) stands for (a, b, a, b)
        return {
            **size_fields(self.size),
            "left": left,
            "top": top,
            "right": right,
            "bottom": bottom,
            "border": self.padding_mode,
            "fill": four(self.fill),
        }


@dataclass(frozen=True, repr=False)
class CenterCrop(Transform):
    """The window in the middle: its top is ``round((H - height) / 2)``, ties to even.

    Parameters
    ----------
    size : int or (height, width)

    Notes
    -----
    torchvision's, but for images that are smaller: it pads them with zeros, here they are refused.

    Examples
    --------
    >>> fanin.augment.Compose([fanin.augment.CenterCrop(2)])(np.eye(4, dtype=np.uint8)[None])
    array([[[1, 0],
            [0, 1]]], dtype=uint8)
    """

    _kind = "centre_crop"
    _resizes = True

    size: Size

    def __post_init__(self) -> None:
        self._set(size=size_pair("size", self.size))

    def _fields(self) -> dict[str, Any]:
        return size_fields(self.size)


@dataclass(frozen=True, repr=False)
class Resize(Transform):
    """Resamples to a size, bilinearly.

    Parameters
    ----------
    size : int or (height, width)
        One number is the length of the shorter edge; the longer one keeps the image's proportion,
        ``floor(size * longer / shorter)``.
    antialias : bool, default True
        See `fanin.augment.crops`.

    Notes
    -----
    torchvision's ``Resize``, within one grey level of PIL (antialias) and of OpenCV (without).

    Examples
    --------
    >>> resize = fanin.augment.Compose([fanin.augment.Resize(16)])
    >>> resize(np.zeros((2, 48, 64, 3), np.uint8)).shape
    (2, 16, 21, 3)
    """

    _kind = "resize"
    _resizes = True

    size: Size
    antialias: bool = True

    def __post_init__(self) -> None:
        single = not isinstance(self.size, Sequence) and np.ndim(self.size) == 0
        size = size_pair("size", self.size)
        self._set(size=size[0] if single else size, antialias=flag("antialias", self.antialias))

    def _fields(self) -> dict[str, Any]:
        height, width = (self.size, 0) if isinstance(self.size, int) else self.size
        return {"height": height, "width": width, "antialias": self.antialias}


@dataclass(frozen=True, repr=False)
class RandomResizedCrop(Transform):
    """A window of random area and proportion at a random place, resized: the "Inception crop".

    Parameters
    ----------
    size : int or (height, width)
        Of the result.
    scale : (float, float), default (0.08, 1.0)
        The window's share of the image's area, uniform.
    ratio : (float, float), default (3/4, 4/3)
        The window's width / height, uniform in its logarithm. (`RandomErasing` has height / width.)
    antialias : bool, default True
        See `fanin.augment.crops`.

    Notes
    -----
    torchvision's (Szegedy et al. 2015): up to ten draws of area and ratio until a window fits, then
    the largest one in the middle whose ratio is allowed. timm, DALI and FFCV draw alike;
    Albumentations and OpenCV users resample without `antialias`, kornia with aligned corners.

    Examples
    --------
    >>> aug = fanin.augment.Compose([fanin.augment.RandomResizedCrop(24)], seed=0)
    >>> aug(np.zeros((2, 48, 64, 3), np.uint8)).shape
    (2, 24, 24, 3)
    """

    _kind = "resized_crop"
    _resizes = True

    size: Size
    scale: Sequence[float] = (0.08, 1.0)
    ratio: Sequence[float] = (3 / 4, 4 / 3)
    antialias: bool = True

    def __post_init__(self) -> None:
        self._set(
            size=size_pair("size", self.size),
            scale=positive_pair("scale", self.scale, 1.0),
            ratio=positive_pair("ratio", self.ratio),
            antialias=flag("antialias", self.antialias),
        )

    def _fields(self) -> dict[str, Any]:
        return {
            **size_fields(self.size),
            "scale": self.scale,
            "ratio": self.ratio,
            "antialias": self.antialias,
        }


@dataclass(frozen=True, repr=False)
class FiveCrop(Transform):
    """The four corners and the middle: a batch (N, H, W, C) becomes (N, 5, height, width, C).

    For test-time augmentation; see the ``tta`` of `fanin.MLP.predict_proba`.

    Parameters
    ----------
    size : int or (height, width)

    Notes
    -----
    torchvision's order: top left, top right, bottom left, bottom right, centre. Random transforms
    beside it draw once for a sample, the same for its five crops.

    Examples
    --------
    >>> five = fanin.augment.Compose([fanin.augment.FiveCrop(1)])
    >>> five(np.arange(9, dtype=np.uint8).reshape(1, 3, 3)).ravel()
    array([0, 2, 6, 8, 4], dtype=uint8)
    """

    _kind = "corner_crop"
    _resizes = True

    size: Size

    def __post_init__(self) -> None:
        self._set(size=size_pair("size", self.size))

    def _fields(self) -> dict[str, Any]:
        return {**size_fields(self.size), "mirrored": "none"}


@dataclass(frozen=True, repr=False)
class TenCrop(Transform):
    """`FiveCrop` of the image, then of its mirror image: (N, 10, height, width, C).

    Parameters
    ----------
    size : int or (height, width)
    vertical_flip : bool
        Mirrors top and bottom, not left and right.

    Examples
    --------
    >>> ten = fanin.augment.Compose([fanin.augment.TenCrop(1)])
    >>> ten(np.arange(9, dtype=np.uint8).reshape(1, 3, 3)).ravel()
    array([0, 2, 6, 8, 4, 2, 0, 8, 6, 4], dtype=uint8)
    """

    _kind = "corner_crop"
    _resizes = True

    size: Size
    vertical_flip: bool = False

    def __post_init__(self) -> None:
        size = size_pair("size", self.size)
        self._set(size=size, vertical_flip=flag("vertical_flip", self.vertical_flip))

    def _fields(self) -> dict[str, Any]:
        return {**size_fields(self.size), "mirrored": "rows" if self.vertical_flip else "columns"}
