"""Affine maps and lens distortion: translation, rotation, stretching, shearing, combined.

All geometry of a pipeline becomes one map from the result's pixels back to the image's and one
bilinear resampling, so that combining transforms costs neither sharpness nor time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fanin._validate import pair, real, sequence
from fanin.augment.transform import (
    Fill,
    Range,
    Transform,
    channels,
    four,
    positive_pair,
    probability,
    span,
)

__all__ = ["LensDistortion", "RandomAffine", "RandomRotation"]


def _translate(value: Any) -> tuple[float, float]:
    horizontal, vertical = (real("translate", v, 0.0) for v in pair("translate", value, "(x, y)"))
    if max(horizontal, vertical) > 1:
        raise ValueError(
            f"translate: expected shares of width and height in [0, 1], got {value!r}; "
            "pixels / width makes a share"
        )
    return horizontal, vertical


def _shear(value: Any) -> tuple[float, ...]:
    """(x low, x high, y low, y high), torchvision's forms."""
    if isinstance(value, Sequence) and len(sequence("shear", value, "degrees")) == 4:
        x, y = value[:2], value[2:]
    else:
        x, y = value, (0.0, 0.0)
    least, most = -89.0, 89.0
    return (*span("shear", x, least, most), *span("shear", y, least, most))


@dataclass(frozen=True, repr=False)
class RandomAffine(Transform):
    """Rotation, translation, scaling, stretching and shearing about the image's middle.

    The map is ``T(translation) R(angle) S(scale) Sh(shear)`` of pixels relative to the middle, the
    result of the image's size, bilinear.

    Parameters
    ----------
    degrees : float or (float, float)
        The angle, uniform, clockwise (`RandomRotation` turns the other way, as torchvision's);
        one number d is (-d, d).
    translate : (float, float), optional
        The largest share of width and of height to move by, to either side; the draws are uniform
        and rounded to whole pixels.
    scale : (float, float), optional
        The factor of both edges, uniform.
    stretch : (float, float), optional
        The width's further factor, uniform in its logarithm: (0.8, 1.25) changes the proportion to
        either side alike. torchvision has none; Albumentations' ``Affine(scale=)`` draws x and y
        apart.
    shear : float, (float, float) or four floats, optional
        Degrees: along x from -s to s, or a range; four numbers are the ranges along x and y.
    fill : float or one for each channel
        Where the result looks beyond the image; in the image's own units.
    p : float, default 1.0
        Of doing it at all, for each sample.

    Notes
    -----
    torchvision's ``RandomAffine``, whose interpolation is "nearest" where nothing is said. Keras
    gives rotation as a share of a full turn, and its zoom is positive for *out*.

    Examples
    --------
    >>> warp = fanin.augment.RandomAffine(15, translate=(0.1, 0.1), scale=(0.9, 1.1), shear=5)
    >>> fanin.augment.Compose([warp], seed=0)(np.zeros((2, 32, 32, 3), np.uint8)).shape
    (2, 32, 32, 3)
    """

    _kind = "affine"

    degrees: Range
    translate: Sequence[float] | None = None
    scale: Sequence[float] | None = None
    stretch: Sequence[float] | None = None
    shear: Range | None = None
    fill: Fill = 0.0
    p: float = 1.0

    def __post_init__(self) -> None:
        self._set(
            degrees=span("degrees", self.degrees, -np.inf),
            translate=None if self.translate is None else _translate(self.translate),
            scale=None if self.scale is None else positive_pair("scale", self.scale),
            stretch=None if self.stretch is None else positive_pair("stretch", self.stretch),
            shear=None if self.shear is None else _shear(self.shear),
            fill=channels("fill", self.fill),
            p=probability(self.p),
        )

    def _fields(self) -> dict[str, Any]:
        translate_x, translate_y = self.translate or (0.0, 0.0)
        shear = _shear(self.shear or 0.0)
        return {
            "degrees": span("degrees", self.degrees, -np.inf),
            "translate_x": translate_x,
            "translate_y": translate_y,
            "scale": self.scale or (1.0, 1.0),
            "stretch": self.stretch or (1.0, 1.0),
            "shear_x": shear[:2],
            "shear_y": shear[2:],
            "fill": four(self.fill),
        }


@dataclass(frozen=True, repr=False)
class RandomRotation(Transform):
    """Rotation about the image's middle, the result of the image's size, bilinear.

    Parameters
    ----------
    degrees : float or (float, float)
        The angle, uniform, counter-clockwise, as torchvision's; one number d is (-d, d).
    fill : float or one for each channel
        Where the result looks beyond the image; in the image's own units.
    p : float, default 1.0
        Of doing it at all, for each sample.

    Notes
    -----
    torchvision's ``RandomRotation`` without ``expand``, ``center`` and its default "nearest".

    Examples
    --------
    >>> quarter = fanin.augment.Compose([fanin.augment.RandomRotation((90, 90))])
    >>> quarter(np.arange(4, dtype=np.uint8).reshape(1, 2, 2))
    array([[[1, 3],
            [0, 2]]], dtype=uint8)
    """

    _kind = "affine"

    degrees: Range
    fill: Fill = 0.0
    p: float = 1.0

    def __post_init__(self) -> None:
        self._set(
            degrees=span("degrees", self.degrees, -np.inf),
            fill=channels("fill", self.fill),
            p=probability(self.p),
        )

    def _fields(self) -> dict[str, Any]:
        low, high = span("degrees", self.degrees, -np.inf)
        return RandomAffine((-high, -low), fill=self.fill)._fields()

    def _drawn(self, values: dict[str, Any]) -> dict[str, Any]:
        return {"applied": values["applied"], "degrees": -values["degrees"]}


@dataclass(frozen=True, repr=False)
class LensDistortion(Transform):
    """The radial distortion of a lens, after Brown (1966): barrel or pincushion.

    The result's pixel at the vector d from the middle shows the image at ``d * (1 + k1 r^2 + k2
    r^4)``, with r = |d| / half the image's diagonal: positive numbers make a barrel, negative ones
    a pincushion.

    Parameters
    ----------
    k1, k2 : float or (float, float)
        Uniform; one number k is (-k, k).
    fill : float or one for each channel
        Where the result looks beyond the image; in the image's own units.
    p : float, default 1.0
        Of doing it at all, for each sample.

    Notes
    -----
    torchvision has none. OpenCV's polynomial (``initUndistortRectifyMap``) with the half diagonal
    as focal length; Albumentations' ``OpticalDistortion`` takes width and height for it instead, so
    that its numbers are about four times as large for the same picture.

    Examples
    --------
    >>> lens = fanin.augment.Compose([fanin.augment.LensDistortion(k1=(0.3, 0.3))])
    >>> lens(np.full((1, 9, 9), 200, np.uint8))[0, 4, [0, 4]]  # a barrel's edge, and the middle
    array([105, 200], dtype=uint8)
    """

    _kind = "lens"

    k1: Range = 0.2
    k2: Range = 0.0
    fill: Fill = 0.0
    p: float = 1.0

    def __post_init__(self) -> None:
        self._set(
            k1=span("k1", self.k1, -1.0),
            k2=span("k2", self.k2, -1.0) if self.k2 != 0 else 0.0,
            fill=channels("fill", self.fill),
            p=probability(self.p),
        )

    def _fields(self) -> dict[str, Any]:
        k1, k2 = span("k1", self.k1, -1), span("k2", self.k2, -1)
        return {"k1": k1, "k2": k2, "fill": four(self.fill)}
