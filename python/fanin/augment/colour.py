"""Colour: jitter, grey, noise, normalisation; torchvision's formulas.

Each step's result is clamped to [0, 255] (uint8) or the pipeline's `value_range` (float32) and
stays a float until the end of the pipeline, where uint8 is rounded to nearest: within one grey
level of each of torchvision's steps, which truncate (two for a saturation below 0.5, where it
truncates L too). L is ``0.2989 R + 0.587 G + 0.114 B``. With one channel that is L, and saturation,
hue and `RandomGrayscale` do nothing; a fourth channel (alpha) stays as it is.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fanin._validate import real
from fanin.augment.transform import (
    Fill,
    Range,
    Transform,
    four,
    number_pair,
    single,
    span,
    unit_scale,
)

__all__ = ["ColorJitter", "GaussianNoise", "Normalize", "RandomGrayscale"]


LARGEST_STD = 2.0  # four times what values from 0 to 1 can have at most
_FACTORS = ("brightness", "contrast", "saturation")


def _factor(name: str, value: Any) -> float | tuple[float, float]:
    """Torchvision's rule: v is (max(0, 1 - v), 1 + v); 0 where that changes nothing."""
    if single(value):
        v = real(name, value, 0.0)
        low, high = max(0.0, 1 - v), 1 + v
    else:
        low, high = number_pair(name, value)
    if low < 0:
        raise ValueError(f"{name}: expected factors of at least 0, got ({low}, {high})")
    return 0.0 if low == high == 1 else (low, high)


def _hue(name: str, value: Any) -> float | tuple[float, float]:
    low, high = span(name, value, -0.5, 0.5)
    return 0.0 if low == high == 0 else (low, high)


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue by random factors, in a random order.

    - brightness f: ``x * f``
    - contrast f: ``x * f + (1 - f) * mean(L)`` over the image as it stands
    - saturation f: ``x * f + (1 - f) * L``
    - hue h: the H of HSV becomes ``(H + h) mod 1``; 0.5 is half the circle

    Parameters
    ----------
    brightness, contrast, saturation : float or (float, float), default 0
        The factor, uniform; one number v is (max(0, 1 - v), 1 + v).
    hue : float or (float, float), default 0
        Uniform; one number v is (-v, v). Within [-0.5, 0.5].
    p : float, default 1.0

    Notes
    -----
    torchvision's, factors and order drawn for each sample. Elsewhere the words mean other things:
    Keras adds brightness and takes each channel's mean for contrast, DALI's contrast is about 0.5.

    Examples
    --------
    >>> darker = fanin.augment.Compose([fanin.augment.ColorJitter(brightness=(0.5, 0.5))])
    >>> darker(np.full((1, 1, 2, 3), 100, np.uint8))
    array([[[[50, 50, 50],
             [50, 50, 50]]]], dtype=uint8)
    """

    _kind = "jitter"
    _checks = Transform._checks | dict.fromkeys(_FACTORS, _factor) | {"hue": _hue}

    brightness: Range = 0.0
    contrast: Range = 0.0
    saturation: Range = 0.0
    hue: Range = 0.0
    p: float = 1.0

    def _fields(self) -> dict[str, Any]:
        unchanged = dict.fromkeys(_FACTORS, (1.0, 1.0)) | {"hue": (0.0, 0.0)}
        return {name: value or unchanged[name] for name, value in super()._fields().items()}


class RandomGrayscale(Transform):
    """L in all three channels, with probability p for each sample; as in torchvision.

    Parameters
    ----------
    p : float, default 0.1

    Examples
    --------
    >>> grey = fanin.augment.Compose([fanin.augment.RandomGrayscale(p=1)])
    >>> grey(np.array([[[[255, 0, 0]]]], np.uint8))
    array([[[[76, 76, 76]]]], dtype=uint8)
    """

    _kind = "grayscale"

    p: float = 0.1


class GaussianNoise(Transform):
    """Adds Gaussian noise, independent for each pixel and channel; as in torchvision.

    Parameters
    ----------
    mean, sigma : float, default 0.0 and 0.1
        On the scale where white is 1, for uint8 too; sigma is at most 1.
    clip : bool, default True
        To the pipeline's `value_range`, or [0, 255] of uint8.
    p : float, default 1.0

    Examples
    --------
    >>> noisy = fanin.augment.Compose([fanin.augment.GaussianNoise(sigma=0.1)], seed=0)
    >>> x = noisy(np.full((4, 64, 64), 0.5, np.float32))
    >>> round(float(x.mean()), 2), round(float(x.std()), 2)
    (0.5, 0.1)
    """

    _kind = "noise"
    _checks = Transform._checks | {
        "mean": partial(real, low=-np.inf),
        "sigma": partial(real, low=0.0),
    }

    mean: float = 0.0
    sigma: float = 0.1
    clip: bool = True
    p: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        unit_scale("mean", self.mean, -1.0)
        unit_scale("sigma", self.sigma)


class Normalize(Transform):
    """``(x - mean) / std`` of values in [0, 1], in float32.

    uint8 images are divided by 255 first, floats brought there from `value_range`, so
    that mean and std are those that are published: for ImageNet (0.485, 0.456, 0.406) and (0.229,
    0.224, 0.225); CIFAR-10's are in `fanin.augment`.

    Parameters
    ----------
    mean, std : float or one for each channel
        On the scale where black is 0 and white is 1; std above 0.

    Notes
    -----
    torchvision's ``ToDtype(torch.float32, scale=True)`` and ``Normalize``. Once in a pipeline, and
    only `RandomErasing`, `Cutout`, `Mixup` and `CutMix` may follow; their values are normalised
    ones. The border of a padded `RandomCrop` comes before it: 0 becomes ``-mean / std``.

    Examples
    --------
    >>> normalize = fanin.augment.Compose([fanin.augment.Normalize(0.5, 0.25)])
    >>> normalize(np.array([[[0, 255]]], np.uint8)).round(6)
    array([[[-2.,  2.]]], dtype=float32)
    """

    _kind = "normalize"

    mean: Fill
    std: Fill

    def __post_init__(self) -> None:
        super().__post_init__()
        unit_scale("mean", self.mean)
        unit_scale("std", self.std, high=LARGEST_STD)
        if min(four(self.std)) <= 0:
            raise ValueError(f"std: expected numbers above 0, got {self.std!r}")
