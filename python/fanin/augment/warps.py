"""Affine maps and lens distortion: translation, rotation, stretching, shearing, combined.

All geometry of a pipeline becomes one map from the result's pixels back to the image's and one
bilinear resampling, so that combining transforms costs neither sharpness nor time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from fanin._validate import pair, real, sequence
from fanin.augment.transform import Fill, Range, Transform, optional, positive_pair, span

__all__ = ["LensDistortion", "RandomAffine", "RandomRotation"]


def _translate(name: str, value: Any) -> tuple[float, float]:
    horizontal, vertical = (real(name, v, 0.0) for v in pair(name, value, "(x, y)"))
    if max(horizontal, vertical) > 1:
        raise ValueError(
            f"{name}: expected shares of width and height in [0, 1], got {value!r}; "
            "pixels / width makes a share"
        )
    return horizontal, vertical


def _shear(name: str, value: Any) -> tuple[float, ...]:
    """(x low, x high, y low, y high), torchvision's forms."""
    both = isinstance(value, Sequence) and len(sequence(name, value, "degrees")) == 4
    x, y = (value[:2], value[2:]) if both else (value, (0.0, 0.0))
    return span(name, x, -89.0, 89.0) + span(name, y, -89.0, 89.0)


class RandomAffine(Transform):
    """Rotation, translation, scaling, stretching and shearing about the image's middle.

    The map is ``T(translation) R(angle) S(scale) Sh(shear)`` of pixels relative to the middle; the
    image keeps its size.

    Parameters
    ----------
    degrees : float or (float, float)
        Uniform, clockwise (`RandomRotation` turns the other way); one number d is (-d, d).
    translate : (float, float), optional
        Maximum shift as fractions of width and height; uniform, in whole pixels.
    scale : (float, float), optional
        The factor of both edges, uniform.
    stretch : (float, float), optional
        The width's further factor, uniform in its logarithm: (0.8, 1.25) is even. torchvision has
        none; Albumentations' ``Affine(scale=)`` draws x and y apart.
    shear : float, (float, float) or four floats, optional
        Degrees: along x from -s to s, or a range; four numbers are the ranges along x and y.
    fill : float or one for each channel
        For pixels from outside the image; in the image's own units.
    p : float, default 1.0

    Notes
    -----
    torchvision's ``RandomAffine``, whose interpolation is "nearest" where nothing is said. Keras
    gives rotation as a fraction of a full turn, and its zoom is positive for *out*.

    Examples
    --------
    >>> warp = fanin.augment.RandomAffine(15, translate=(0.1, 0.1), scale=(0.9, 1.1), shear=5)
    >>> fanin.augment.Compose([warp], seed=0)(np.zeros((2, 32, 32, 3), np.uint8)).shape
    (2, 32, 32, 3)
    """

    _kind = "affine"
    _checks = Transform._checks | {
        **dict.fromkeys(("scale", "stretch"), optional(positive_pair)),
        "translate": optional(_translate),
        "shear": optional(_shear),
    }

    degrees: Range
    translate: Sequence[float] | None = None
    scale: Sequence[float] | None = None
    stretch: Sequence[float] | None = None
    shear: Range | None = None
    fill: Fill = 0.0
    p: float = 1.0

    def _fields(self) -> dict[str, Any]:
        fields = super()._fields()
        x, y = fields.pop("translate") or (0.0, 0.0)
        shear = fields.pop("shear") or (0.0,) * 4
        factors = {name: fields[name] or (1.0, 1.0) for name in ("scale", "stretch")}
        shifts = {"translate_x": x, "translate_y": y}
        return fields | factors | shifts | {"shear_x": shear[:2], "shear_y": shear[2:]}


class RandomRotation(Transform):
    """Rotation about the image's middle; the image keeps its size.

    Parameters
    ----------
    degrees : float or (float, float)
        Uniform, counter-clockwise, as torchvision's; one number d is (-d, d).
    fill, p
        As for `RandomAffine`.

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

    def _fields(self) -> dict[str, Any]:
        low, high = super()._fields()["degrees"]
        return RandomAffine((-high, -low), fill=self.fill)._fields()

    def _drawn(self, values: dict[str, Any]) -> dict[str, Any]:
        return {"applied": values["applied"], "degrees": -values["degrees"]}


class LensDistortion(Transform):
    """The radial distortion of a lens, after Brown (1966): barrel or pincushion.

    The result's pixel at the vector d from the middle shows the image at ``d * (1 + k1 r^2 + k2
    r^4)``, with ``r = abs(d)`` / half the image's diagonal: positive numbers make a barrel,
    negative ones a pincushion.

    Parameters
    ----------
    k1, k2 : float or (float, float)
        Uniform; one number k is (-k, k).
    fill, p
        As for `RandomAffine`.

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
    _checks = Transform._checks | {
        "k1": partial(span, low=-1.0),
        "k2": lambda name, value: span(name, value, -1.0) if value != 0 else 0.0,
    }

    k1: Range = 0.2
    k2: Range = 0.0
    fill: Fill = 0.0
    p: float = 1.0

    def _fields(self) -> dict[str, Any]:
        fields = super()._fields()
        return fields | {"k2": fields["k2"] or (0.0, 0.0)}
