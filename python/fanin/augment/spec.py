"""Pipelines in one line, for the command line: ``crop:4,flip,jitter:.4``."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fanin._validate import whole
from fanin.augment.colour import ColorJitter, GaussianNoise, Normalize, RandomGrayscale
from fanin.augment.crops import FiveCrop, RandomCrop, RandomResizedCrop, Resize, TenCrop
from fanin.augment.erasing import Cutout, RandomErasing
from fanin.augment.flips import HorizontalFlip, VerticalFlip
from fanin.augment.mixing import CutMix, Mixup
from fanin.augment.transform import Size, Transform, size_pair
from fanin.augment.warps import LensDistortion, RandomAffine, RandomRotation

__all__ = ["parse"]

_STATISTICS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


class _Images(NamedTuple):
    """The images' size, for words without a value."""

    size: tuple[int, int] | None
    num_classes: int | None

    def edges(self, word: str) -> tuple[int, int]:
        if self.size is None:
            raise ValueError(f"size: expected the images' (height, width) for {word!r}, got None")
        return self.size

    def most(self, word: str) -> tuple[int, ...]:
        """7/8 of the images'."""
        return tuple(max(1, edge * 7 // 8) for edge in self.edges(word))


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"expected a whole number, got {text!r}")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    return _whole(height), _whole(width or height)


def _number(text: str, default: float = 0.0) -> float:
    try:
        return float(text or default)
    except ValueError:
        raise ValueError(f"expected a number, got {text!r}") from None


def _resize(text: str) -> Transform:
    return Resize(_size(text) if "x" in text else _whole(text))


def _jitter(text: str) -> Transform:
    """One number is brightness, contrast and saturation, with a quarter of it as hue."""
    values = [_number(v) for v in (text or ".4").split("/")]
    if len(values) == 1:
        values = [*values * 3, min(values[0] / 4, 0.5)]
    if len(values) > 4:
        raise ValueError(f"expected up to four numbers, got {len(values)}")
    return ColorJitter(*values)


def _affine(text: str) -> Transform:
    degrees = _number(text, 15.0)
    return RandomAffine(degrees, (0.1, 0.1), (0.9, 1.1), stretch=(0.9, 1 / 0.9), shear=degrees / 2)


def _normalize(text: str) -> Transform:
    if text in _STATISTICS:
        return Normalize(*_STATISTICS[text])
    if text and "/" not in text:
        raise ValueError(f"expected {', '.join(_STATISTICS)} or MEAN/STD")
    mean, _, std = (text or ".5/.5").partition("/")
    return Normalize(_number(mean), _number(std))


_WORDS: dict[str, Callable[[str, _Images], Transform]] = {
    "crop": lambda t, of: RandomCrop(of.edges("crop"), padding=_whole(t or "4")),
    "rrc": lambda t, of: RandomResizedCrop(_size(t) if t else of.edges("rrc")),
    "resize": lambda t, of: _resize(t) if t else Resize(of.edges("resize")),
    "five": lambda t, of: FiveCrop(_size(t) if t else of.most("five")),
    "ten": lambda t, of: TenCrop(_size(t) if t else of.most("ten")),
    "flip": lambda t, _: HorizontalFlip(_number(t, 0.5)),
    "vflip": lambda t, _: VerticalFlip(_number(t, 0.5)),
    "rotate": lambda t, _: RandomRotation(_number(t, 15.0)),
    "affine": lambda t, _: _affine(t),
    "lens": lambda t, _: LensDistortion(_number(t, 0.2)),
    "jitter": lambda t, _: _jitter(t),
    "gray": lambda t, _: RandomGrayscale(_number(t, 0.1)),
    "noise": lambda t, _: GaussianNoise(sigma=_number(t, 0.05)),
    "erase": lambda t, _: RandomErasing(_number(t, 0.5)),
    "cutout": lambda t, of: Cutout(_size(t) if t else tuple(e // 2 for e in of.edges("cutout"))),
    "normalize": lambda t, _: _normalize(t),
    "mixup": lambda t, of: Mixup(_number(t, 0.2), num_classes=of.num_classes),
    "cutmix": lambda t, of: CutMix(_number(t, 1.0), num_classes=of.num_classes),
}


def parse(spec: str, size: Size | None = None, num_classes: int | None = None) -> list[Transform]:
    """The transforms of a line of words.

    Parameters
    ----------
    spec : str
        Words between commas, each with a value behind a colon or without:

        ================ ====================================================================
        ``crop:4``       `RandomCrop` of the images' size, padded by 4
        ``rrc:224``      `RandomResizedCrop` to 224 x 224; ``rrc:224x160``; the images' size
        ``resize:224``   `Resize` of the shorter edge; ``resize:224x160``; the images' size
        ``five:28``      `FiveCrop`, ``ten:28`` `TenCrop`; 7/8 of the images' size
        ``flip``         `HorizontalFlip`, ``vflip`` `VerticalFlip`; a value is p
        ``rotate:15``    `RandomRotation` by up to 15 degrees
        ``affine:15``    `RandomAffine`: 15 degrees, a tenth of translation, scale and stretch,
                         half the angle of shear
        ``lens:.2``      `LensDistortion` with k1 to .2
        ``jitter:.4``    `ColorJitter(.4, .4, .4, .1)`; ``jitter:.4/.4/.4/.1`` says all
        ``gray:.1``      `RandomGrayscale`; the value is p
        ``noise:.05``    `GaussianNoise`; the value is sigma
        ``erase:.5``     `RandomErasing`; the value is p
        ``cutout:8``     `Cutout` of 8 x 8; half the images' size
        ``normalize``    `Normalize` by 0.5, 0.5; ``normalize:cifar10``, ``normalize:imagenet``,
                         ``normalize:.13/.31``
        ``mixup:.2``     `Mixup`; the value is alpha
        ``cutmix:1``     `CutMix`; the value is alpha
        ================ ====================================================================
    size : int or (height, width), optional
        The images', for the words that go by it.
    num_classes : int, optional
        For mixup and cutmix.

    Returns
    -------
    list of transforms
        For `Compose`.

    Examples
    --------
    >>> fanin.augment.parse("crop:4,flip,cutout:8", size=32)
    [RandomCrop(size=(32, 32), padding=4), HorizontalFlip(), Cutout(size=(8, 8))]
    """
    if not isinstance(spec, str):
        raise TypeError(f"spec: expected words such as 'crop:4,flip', got {type(spec).__name__}")
    images = _Images(
        None if size is None else size_pair("size", size),
        None if num_classes is None else whole("num_classes", num_classes, 1),
    )
    parts = [part.strip() for part in spec.split(",")] if spec.strip() else []
    if not all(parts):
        raise ValueError(f"spec: expected a word between any two commas, got {spec!r}")
    return [_transform(part, images) for part in parts]


def _transform(part: str, images: _Images) -> Transform:
    word, _, value = part.partition(":")
    if word not in _WORDS:
        raise ValueError(f"spec: expected words among {', '.join(_WORDS)}; got {word!r}")
    try:
        return _WORDS[word](value, images)
    except ValueError as error:
        raise ValueError(f"spec: cannot read {part!r}: {error}") from None
