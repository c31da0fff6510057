"""Rectangles erased: Random erasing and Cutout."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from fanin._validate import one_of
from fanin.augment.transform import Fill, Size, Transform, channels, four, share_pair

__all__ = ["Cutout", "RandomErasing"]


def _value(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return one_of(name, value, ["random", "a number", "one for each channel"])
    return channels(name, value)


class RandomErasing(Transform):
    """A rectangle of random area and aspect ratio at a random place, with probability p.

    Parameters
    ----------
    p : float, default 0.5
    scale : (float, float), default (0.02, 0.33)
        The rectangle's fraction of the image's area, uniform.
    ratio : (float, float), default (0.3, 3.3)
        Its height / width, uniform in the logarithm; Albumentations has width / height.
    value : float, one for each channel, or "random"
        What it holds, in the image's units as it stands: 0 to 255 for uint8, normalised ones after
        `Normalize`. "random" draws standard normal values, for normalised images.

    Notes
    -----
    torchvision's (Zhong et al. 2020): up to ten draws of area and ratio until the rectangle is
    smaller than the image in both directions, else the image stays. Masks stay.

    Examples
    --------
    >>> aug = fanin.augment.Compose([fanin.augment.RandomErasing(p=1, value=7)], seed=0)
    >>> x = aug(np.zeros((1, 32, 32), np.uint8))
    >>> bool(0.01 < (x == 7).mean() < 0.34)
    True
    """

    _kind = "erase"
    _after_normalize = True
    _checks = Transform._checks | {"scale": share_pair, "value": _value}

    p: float = 0.5
    scale: Sequence[float] = (0.02, 0.33)
    ratio: Sequence[float] = (0.3, 3.3)
    value: Fill | str = 0.0

    def _fields(self) -> dict[str, Any]:
        random = self.value == "random"
        value = four(0.0 if random else self.value)
        return super()._fields() | {"random": random, "value": value}

    def _drawn(self, values: dict[str, Any]) -> dict[str, Any]:
        return values | {"applied": values["applied"] & (values["height"] > 0)}


class Cutout(Transform):
    """A rectangle of fixed size at a random place.

    Parameters
    ----------
    size : int or (height, width)
        Pixels; 8 or 16 are usual for CIFAR-10.
    border : {"clip", "inside"}
        "clip": the rectangle's centre is uniform over all pixels, and what lies beyond the border
        is lost, so that on average less than its area is erased; the paper's. "inside": its place
        is uniform over those where all of it fits, as FFCV, airbench and Albumentations have it.
    value : float or one for each channel
        As for `RandomErasing`; after `Normalize` the paper's zero is the mean colour.
    p : float, default 1.0

    Notes
    -----
    DeVries and Taylor 2017. Rows ``centre - height // 2`` to ``centre - height // 2 + height - 1``,
    so that odd sizes keep their pixel, which the copies of the authors' code lose. torchvision has
    `RandomErasing` alone. Masks stay.

    Examples
    --------
    >>> aug = fanin.augment.Compose([fanin.augment.Cutout(8, border="inside")], seed=0)
    >>> int((aug(np.ones((1, 32, 32), np.uint8)) == 0).sum())
    64
    """

    _kind = "cutout"
    _after_normalize = True
    _checks = Transform._checks | {"border": partial(one_of, known=["clip", "inside"])}

    size: Size
    border: str = "clip"
    value: Fill = 0.0
    p: float = 1.0

    def _fields(self) -> dict[str, Any]:
        fields = super()._fields()
        return fields | {"inside": fields.pop("border") == "inside"}
