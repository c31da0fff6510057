"""Crops and resizing, with torchvision's names, parameters and meanings.

Resampling is bilinear. With ``antialias=True`` an image that shrinks is filtered as PIL does it, by
a triangle as wide as the shrinking; ``antialias=False`` is OpenCV's ``INTER_LINEAR`` and lets fine
patterns through as moire. Libraries differ here by up to 2 points of accuracy on images that were
resized in one way and are tested in another.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from fanin._validate import one_of, sequence, whole
from fanin.augment.transform import LARGEST, Fill, Size, Transform, share_pair, single, size_pair

__all__ = ["CenterCrop", "FiveCrop", "RandomCrop", "RandomResizedCrop", "Resize", "TenCrop"]


def _padding(name: str, value: Any) -> int | tuple[int, ...]:
    if single(value):
        return whole(name, value, 0, LARGEST)
    expected = "a whole number, (left-right, top-bottom) or (left, top, right, bottom)"
    values = sequence(name, value, expected)
    if len(values) not in (2, 4):
        raise ValueError(f"{name}: expected {expected}, got {len(values)} numbers")
    return tuple(whole(name, v, 0, LARGEST) for v in values)


def _edge_or_size(name: str, value: Any) -> int | tuple[int, int]:
    size = size_pair(name, value)
    return size[0] if single(value) else size


class RandomCrop(Transform):
    """A window at a random place for each sample, of the image after optional padding.

    Parameters
    ----------
    size : int or (height, width)
    padding : int, (left-right, top-bottom) or (left, top, right, bottom)
        Pixels to add before cropping; 4 with ``size=32`` is the usual choice for CIFAR-10.
    padding_mode : {"constant", "edge", "reflect", "symmetric"}
        What they hold, as in `numpy.pad`: `fill`, the nearest pixel, or the mirrored image without
        or with its outermost pixel repeated. Keras calls "symmetric" reflect.
    fill : float or one for each channel
        In the image's own units: 0 to 255 for uint8, also where `Normalize` follows.

    Notes
    -----
    torchvision's; the place is uniform, in whole pixels. Images that stay too small are refused.

    Examples
    --------
    >>> crop = fanin.augment.RandomCrop(32, padding=4, padding_mode="reflect")
    >>> images = np.zeros((8, 32, 32, 3), np.uint8)
    >>> fanin.augment.Compose([crop])(images).shape
    (8, 32, 32, 3)
    """

    _kind = "crop"
    _checks = Transform._checks | {
        "padding": _padding,
        "padding_mode": partial(one_of, known=["constant", "edge", "reflect", "symmetric"]),
    }

    size: Size
    padding: int | Sequence[int] = 0
    padding_mode: str = "constant"
    fill: Fill = 0.0

    def _fields(self) -> dict[str, Any]:
        fields = super()._fields()
        padding, border = fields.pop("padding"), fields.pop("padding_mode")
        widths = [padding] * 4 if isinstance(padding, int) else padding * 2  # (a, b): (a, b, a, b)
        sides = dict(zip(("left", "top", "right", "bottom"), widths[:4], strict=True))
        return fields | sides | {"border": border}

    def _fills(self) -> dict[str, Any]:
        padded = self.padding_mode == "constant" and np.any(self.padding)
        return super()._fills() if padded else {}


class CenterCrop(Transform):
    """The window in the middle: its top is ``round((H - height) / 2)``, ties to even.

    torchvision's, which pads smaller images with zeros; here they are refused.

    Parameters
    ----------
    size : int or (height, width)

    Examples
    --------
    >>> fanin.augment.Compose([fanin.augment.CenterCrop(2)])(np.eye(4, dtype=np.uint8)[None])
    array([[[1, 0],
            [0, 1]]], dtype=uint8)
    """

    _kind = "centre_crop"

    size: Size


class Resize(Transform):
    """Resamples to a size, bilinearly.

    Parameters
    ----------
    size : int or (height, width)
        One number is the length of the shorter edge; the longer one keeps the aspect ratio,
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
    _checks = Transform._checks | {"size": _edge_or_size}

    size: Size
    antialias: bool = True

    def _fields(self) -> dict[str, Any]:
        height, width = (self.size, 0) if isinstance(self.size, int) else self.size
        return {"height": height, "width": width, "antialias": self.antialias}


class RandomResizedCrop(Transform):
    """A window of random area and aspect ratio at a random place, resized: the "Inception crop".

    Parameters
    ----------
    size : int or (height, width)
    scale : (float, float), default (0.08, 1.0)
        The window's fraction of the image's area, uniform.
    ratio : (float, float), default (3/4, 4/3)
        The window's width / height, uniform in its logarithm. (`RandomErasing` has height / width.)
    antialias : bool, default True
        See `fanin.augment.crops`.

    Notes
    -----
    torchvision's (Szegedy et al. 2015): up to ten draws of area and ratio until a window fits, then
    the largest one in the middle whose ratio is allowed. timm, DALI and FFCV draw alike.

    Examples
    --------
    >>> aug = fanin.augment.Compose([fanin.augment.RandomResizedCrop(24)], seed=0)
    >>> aug(np.zeros((2, 48, 64, 3), np.uint8)).shape
    (2, 24, 24, 3)
    """

    _kind = "resized_crop"
    _checks = Transform._checks | {"scale": share_pair}

    size: Size
    scale: Sequence[float] = (0.08, 1.0)
    ratio: Sequence[float] = (3 / 4, 4 / 3)
    antialias: bool = True


class FiveCrop(Transform):
    """The four corners and the middle: a batch (N, H, W, C) becomes (N, 5, height, width, C).

    Parameters
    ----------
    size : int or (height, width)

    Notes
    -----
    For the ``tta`` of `fanin.MLP.predict_proba`. torchvision's order: top left, top right, bottom
    left, bottom right, centre. Random transforms beside it draw once for a sample's five crops.

    Examples
    --------
    >>> five = fanin.augment.Compose([fanin.augment.FiveCrop(1)])
    >>> five(np.arange(9, dtype=np.uint8).reshape(1, 3, 3)).ravel()
    array([0, 2, 6, 8, 4], dtype=uint8)
    """

    _kind = "corner_crop"

    size: Size

    def _fields(self) -> dict[str, Any]:
        return super()._fields() | {"mirrored": "none"}


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

    size: Size
    vertical_flip: bool = False

    def _fields(self) -> dict[str, Any]:
        fields = super()._fields()
        return fields | {"mirrored": "rows" if fields.pop("vertical_flip") else "columns"}
