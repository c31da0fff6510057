"""What is refused: with the argument's name, what was expected and what came."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from augment_cases import noise

from fanin import augment
from fanin.augment import (
    CenterCrop,
    ColorJitter,
    Compose,
    CutMix,
    Cutout,
    FiveCrop,
    GaussianNoise,
    HorizontalFlip,
    LensDistortion,
    Mixup,
    Normalize,
    OneOf,
    RandomAffine,
    RandomApply,
    RandomCrop,
    RandomErasing,
    RandomResizedCrop,
    RandomRotation,
    Resize,
    TenCrop,
    batches,
    parse,
)

X = noise(4, 32, 32)

OPTIONS: list[tuple[Callable[[], Any], str]] = [
    (lambda: HorizontalFlip(1.5), "p: expected a probability in [0, 1], got 1.5"),
    (lambda: HorizontalFlip(-0.1), "p: expected at least 0"),
    (lambda: HorizontalFlip("half"), "p: expected a number, got 'half'"),  # type: ignore[arg-type]
    (lambda: HorizontalFlip(0.3, alternating=True), "p: expected its default 0.5"),
    (lambda: HorizontalFlip(alternating=1), "alternating: expected True or False"),  # type: ignore[arg-type]
    (lambda: RandomCrop(0), "size: expected between 1 and"),
    (lambda: RandomCrop((3, 4, 5)), "size: expected a whole number or (height, width), got 3"),
    (lambda: RandomCrop(2.5), "size: expected a whole number, got 2.5"),  # type: ignore[arg-type]
    (lambda: RandomCrop(8, padding=-1), "padding: expected between 0"),
    (lambda: RandomCrop(8, padding=(1, 2, 3)), "padding: expected a whole number, (left-right"),
    (lambda: RandomCrop(8, padding_mode="wrap"), "one of constant, edge, reflect, symmetric; got"),
    (lambda: RandomCrop(8, fill=(1, 2)), "fill: expected 1, 3 or 4 numbers, got 2"),
    (lambda: RandomCrop(8, fill=np.nan), "fill: expected"),
    (lambda: RandomResizedCrop(8, scale=(-1, 1)), "scale: expected numbers within (0, 1], got"),
    (lambda: RandomResizedCrop(8, scale=(0.5, 1.5)), "scale: expected numbers within (0, 1], got"),
    (lambda: RandomResizedCrop(8, scale=(0.9, 0.5)), "scale: expected low <= high"),
    (lambda: RandomResizedCrop(8, ratio=(0, 1)), "ratio: expected numbers above 0"),
    (lambda: RandomResizedCrop(8, ratio=1.0), "ratio: expected two numbers (low, high)"),  # type: ignore[arg-type]
    (lambda: Resize(8, antialias="yes"), "antialias: expected True or False"),  # type: ignore[arg-type]
    (lambda: RandomAffine(-5), "degrees: expected at least 0"),
    (lambda: RandomAffine(5, translate=(0.1, 2)), "translate: expected shares of width and height"),
    (lambda: RandomAffine(5, scale=(-1, 1)), "scale: expected numbers above 0"),
    (lambda: RandomAffine(5, scale=(0, 1)), "scale: expected numbers above 0"),
    (lambda: RandomAffine(5, stretch=(0, 1)), "stretch: expected numbers above 0"),
    (lambda: RandomAffine(5, shear=90), "shear: expected a range within"),
    (lambda: RandomAffine(5, shear=(1, 2, 3)), "shear: expected two numbers"),
    (lambda: RandomRotation(np.inf), "degrees: expected"),
    (lambda: LensDistortion(-2), "k1: expected at least 0"),
    (lambda: LensDistortion((-2, 0)), "k1: expected a range within [-1.0, inf]"),
    (lambda: ColorJitter(-0.1), "brightness: expected at least 0"),
    (lambda: ColorJitter(contrast=(-0.1, 1)), "contrast: expected factors of at least 0"),
    (lambda: ColorJitter(hue=0.6), "hue: expected a range within [-0.5, 0.5]"),
    (lambda: GaussianNoise(sigma=-1), "sigma: expected at least 0"),
    (lambda: Normalize(0, 0), "std: expected numbers above 0"),
    (lambda: RandomErasing(value="rand"), "value: expected one of random, a number"),
    (lambda: RandomErasing(ratio=(2, 1)), "ratio: expected low <= high"),
    (lambda: Cutout(8, border="wrap"), "border: expected one of clip, inside; got 'wrap'"),
    (lambda: Mixup(-0.2), "alpha: expected at least 0"),
    (lambda: CutMix(-0.2), "alpha: expected at least 0"),
    (lambda: Mixup(np.inf), "alpha: expected"),
    (lambda: Mixup(mode="pair"), "mode: expected one of batch, sample; got 'pair'"),
    (lambda: Mixup(num_classes=0), "num_classes: expected between 1"),
    (lambda: RandomApply([]), "transforms: expected at least one transform"),
    (lambda: RandomApply(HorizontalFlip()), "transforms: expected a list of transforms"),  # type: ignore[arg-type]
    (lambda: OneOf([HorizontalFlip(), 3]), "transforms: expected transforms, got int"),  # type: ignore[list-item]
    (lambda: OneOf([Normalize(0, 1)]), "that can be left out, got Normalize"),
    (lambda: OneOf([RandomApply([FiveCrop(3)])]), "that can be left out, got FiveCrop"),
    (lambda: RandomApply([Mixup()]), "that can be left out, got Mixup"),
    (lambda: Compose(HorizontalFlip()), "transforms: expected a list of transforms"),  # type: ignore[arg-type]
    (lambda: Compose([HorizontalFlip]), "transforms: expected transforms of fanin.augment"),  # type: ignore[list-item]
    (lambda: Compose([], seed=-1), "seed: expected between 0"),
    (lambda: Compose([Normalize(0, 1), HorizontalFlip()]), "Cutout, Mixup or CutMix after"),
    (lambda: Compose([Normalize(0, 1), Normalize(0, 1)]), "Cutout, Mixup or CutMix after"),
    (lambda: Compose([Mixup(), HorizontalFlip()]), "expected Mixup to be the last"),
    (lambda: Compose([Mixup(), CutMix()]), "expected Mixup to be the last"),
    (lambda: Compose([FiveCrop(3), TenCrop(3)]), "expected one of FiveCrop and TenCrop"),
    (lambda: Compose([FiveCrop(3), Mixup()]), "no Mixup beside crops that make 5 images"),
    (lambda: parse("zip"), "spec: expected words among crop, rrc"),
    (lambda: parse("crop:4"), "size: expected the images' (height, width) for 'crop'"),
    (lambda: parse("crop:x", 32), "spec: cannot read 'crop:x': expected a whole number"),
    (lambda: parse("noise:x", 32), "spec: cannot read 'noise:x': expected a number, got 'x'"),
    (lambda: parse("jitter:1/2/3/.4/5"), "expected up to four numbers, got 5"),
    (lambda: parse("flip:2"), "cannot read 'flip:2': p: expected a probability"),
    (lambda: parse("flip,,flip"), "spec: expected a word between any two commas"),
    (lambda: parse("normalize:foo"), "expected cifar10, imagenet or MEAN/STD"),
    (lambda: parse(3), "spec: expected words such as"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("make", "message"), OPTIONS, ids=[m for _, m in OPTIONS])
def test_options(make: Callable[[], Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        make()


def flips(*args: Any, **call: Any) -> Callable[[], Any]:
    return lambda: Compose([HorizontalFlip()])(*args, **call)


def steps(*transforms: Any, images: Any = X, **call: Any) -> Callable[[], Any]:
    return lambda: Compose(list(transforms))(images, **call)


READ_ONLY = np.empty_like(X)
READ_ONLY.flags.writeable = False
RAGGED = [noise(1, 32, 32)[0], noise(1, 32, 33)[0]]

CALLS: list[tuple[Callable[[], Any], str]] = [
    (flips(X.reshape(4, -1)), "images.reshape(-1, H, W, C) makes images of rows"),
    (flips(X[0, 0, 0]), "images: expected shape (N, H, W) or (N, H, W, C) uint8 or float32, got"),
    (flips(X.astype(np.float64)), "got (4, 32, 32, 3) float64; images.astype('float32') converts"),
    (flips(X.astype(">f4")), "images: expected native byte order"),
    (flips(np.zeros((4, 8, 8, 2), np.uint8)), "with 1, 3 or 4 channels, got (4, 8, 8, 2) uint8"),
    (flips(np.zeros((4, 3, 8, 8), np.uint8)), "np.moveaxis puts channels last"),
    (flips(X[:, ::2]), "np.ascontiguousarray(images) makes a copy that fits"),
    (flips(np.zeros((4, 0, 8), np.uint8)), "with at least one pixel, got (4, 0, 8) uint8"),
    (flips("images"), "images: expected a NumPy array, got str"),
    (flips([]), "images: expected at least one image in a list, got none"),
    (flips([X[0], X[1, :, :, 0].copy()]), "images[1]: expected channels and dtype of images[0]"),
    (flips([X[0], X[1].astype(np.float32)]), "images[1]: expected channels and dtype of images[0]"),
    (flips([X[0], [1, 2]]), "images[1]: expected a NumPy array, got list"),
    (flips(X, np.arange(3)), "y: expected 4 labels, one for each image, got 3"),
    (flips(X, indices=[0, 1]), "indices: expected shape (4,), the number of each image's sample"),
    (flips(X, indices=[0, 1, 2, -3]), "indices: expected numbers in 0 .. 2**40 - 1, got -3 .. 2"),
    (flips(X, indices=[0, 1, 2, 2**40]), "indices: expected numbers in 0 .. 2**40 - 1"),
    (flips(X, indices=[0.0, 1, 2, 3]), "indices: expected whole numbers, got (4,) float64"),
    (flips(X, indices=3), "indices: expected an array of whole numbers, got int"),
    (flips(X, epoch=-1), "epoch: expected between 0"),
    (flips(X, epoch=0.5), "epoch: expected a whole number, got 0.5"),
    (flips(X, layout="CHW"), "layout: expected one of NHWC, NCHW; got 'CHW'"),
    (flips(X, dtype="float64"), "dtype: expected uint8 or float32, got float64"),
    (flips(X, dtype="bytes?"), "dtype: expected uint8 or float32, got 'bytes?'"),
    (flips(X.astype(np.float32), dtype="uint8"), "dtype: expected float32 of float32 images"),
    (flips(X, n_threads=0), "n_threads: expected between 1 and 256, got 0"),
    (
        flips(X, out=np.empty((4, 32, 32, 3), np.float32)),
        "out: expected shape (4, 32, 32, 3) uint8",
    ),
    (flips(X, out=np.empty((3, 32, 32, 3), np.uint8)), "out: expected shape (4, 32, 32, 3) uint8"),
    (flips(X, out=READ_ONLY), "out: expected a writable array"),
    (flips(X, out=np.empty((4, 32, 32, 6), np.uint8)[..., ::2]), "out: expected a C-contiguous"),
    (flips(X, out=X), "out"),
    (flips(X, masks=X[:3]), "masks: expected 4, one for each image, got 3"),
    (
        flips(X, masks=np.zeros((4, 9, 32), np.uint8)),
        "masks[0]: expected the image's size (32, 32)",
    ),
    (flips(X, masks=np.zeros((4, 32, 32), int)), "masks: expected shape"),
    (flips(RAGGED), "images: expected sizes that become one size"),
    (
        steps(Resize(8), images=[RAGGED[0], noise(1, 50, 32)[0]]),
        "add a Resize or a crop to (height",
    ),
    (steps(RandomCrop(40)), "RandomCrop: expected an image of at least 40 x 40"),
    (steps(RandomCrop(40, padding=2)), "pass padding=4 or more, or Resize first"),
    (steps(CenterCrop(40)), "CenterCrop: expected an image of at least 40 x 40, got 32 x 32"),
    (steps(FiveCrop(40)), "40 x 40, got 32 x 32"),
    (steps(TenCrop(40)), "40 x 40, got 32 x 32"),
    (steps(Cutout(40, border="inside")), "Cutout: expected an image of at least 40 x 40"),
    (steps(RandomApply([RandomCrop(30)])), "keep the size where p is below 1"),
    (steps(OneOf([Resize(9), HorizontalFlip()])), "expected transforms that give one size"),
    (
        steps(RandomCrop(8, fill=(1, 2, 3)), images=X[..., 0].copy()),
        "images: expected 3 channels, as fill",
    ),
    (steps(Normalize((0.5,) * 4, 1)), "images: expected 4 channels, as mean of Normalize"),
    (steps(Normalize(0, 1), dtype="uint8"), "dtype: expected float32 after Normalize, got uint8"),
    (steps(Mixup(), y=np.arange(4)), "num_classes: expected the number of classes"),
    (steps(Mixup(num_classes=3), y=np.arange(4)), "y: expected labels in 0 .. 2, got 3 in row 3"),
    (steps(Mixup(num_classes=3), y=-np.arange(4)), "y: expected labels in 0 .. 2, got -1 in row 1"),
    (steps(Mixup(num_classes=3), y=np.ones(4)), "y: expected (4,) whole numbers or (4, C) floats"),
    (steps(CutMix(num_classes=3), y=np.ones((4, 2))), "y: expected shape (4, 3)"),
    (steps(CutMix(), y=np.full((4, 2), np.nan)), "y: expected soft labels that are finite"),
    (steps(CutMix(), masks=X), "masks: expected none with CutMix"),
]


@pytest.mark.parametrize(("call", "message"), CALLS, ids=[m for _, m in CALLS])
def test_calls(call: Callable[[], Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        call()


def header(**changes: Any) -> dict[str, Any]:
    return {"format": "fanin.augment", "version": 1, "seed": 0, "transforms": [], **changes}


FILES = [
    ({}, "values: expected what Compose.to_dict() gives"),
    (header(version=2), "version: expected 1, got 2; another version of fanin"),
    (header(colour=1), "values: expected format, version, seed and transforms, got"),
    (header(transforms=[{"name": "Zip"}]), "transforms: expected one of HorizontalFlip, VerticalF"),
    (header(transforms=[{"p": 0.5}]), "transforms: expected dicts with a name"),
    (header(transforms="flip"), "transforms: expected a list of dicts"),
    (
        header(transforms=[{"name": "Cutout", "size": 3, "shape": 3}]),
        "Cutout: expected options among size, border, value, p; got 'shape'",
    ),
    (header(transforms=[{"name": "Cutout"}]), "Cutout: "),
    (header(transforms=[{"name": "Cutout", "size": 0}]), "size: expected between 1 and"),
    (header(transforms=[{"name": "OneOf", "transforms": [{"name": "A"}]}]), "; got 'A'"),
    (header(seed="x"), "seed: expected a whole number"),
]


@pytest.mark.parametrize(("values", "message"), FILES, ids=[m for _, m in FILES])
def test_what_was_not_written_by_to_dict(values: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=re.escape(message)):
        Compose.from_dict(values)


@pytest.mark.parametrize("text", ["", "[1]", "{", "null"])
def test_what_was_not_written_by_to_json(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Compose.from_json(text)


def test_transforms_are_immutable() -> None:
    flip = HorizontalFlip()
    with pytest.raises(AttributeError, match="cannot assign"):
        flip.p = 1.0  # type: ignore[misc]


def test_parameters_of_a_shape() -> None:
    aug = Compose([HorizontalFlip()])
    for shape in [(4,), (4, 8), (1, 2, 3, 4, 5)]:
        with pytest.raises(ValueError, match="images: expected a shape"):
            aug.parameters(shape)
    with pytest.raises(ValueError, match="images: expected at least 1, got 0"):
        aug.parameters((3, 0, 8))


def test_batches() -> None:
    aug = Compose([HorizontalFlip()])
    for args, message in (
        ((X, None, "flip", 2, 0), "aug: expected a Compose, got str"),
        ((X, np.arange(3), aug, 2, 0), "y: expected 4 labels"),
        ((X, None, aug, 0, 0), "batch_size: expected at least 1"),
        ((X, None, aug, 2, -1), "epoch: expected between 0"),
        ((X, None, aug, 2, 0, 1), "shuffle: expected True or False"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            batches(*args)  # type: ignore[arg-type]


def test_unknown_names() -> None:
    with pytest.raises(AttributeError):
        augment.RandomHorizontalFlip  # type: ignore[attr-defined]  # noqa: B018
