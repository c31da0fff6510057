"""Data augmentation: the lecture's pictures of real images, and what it does to training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fanin import datasets, plots
from fanin._typing import Array
from fanin.augment import (
    ColorJitter,
    Compose,
    CutMix,
    Cutout,
    FiveCrop,
    HorizontalFlip,
    LensDistortion,
    Mixup,
    RandomAffine,
    RandomCrop,
    RandomResizedCrop,
    Transform,
)
from fanin.chapters.story import Data, overfitting, tell
from fanin.datasets import named
from fanin.document.blocks import Block, Chapter, Heading, Lines, Picture
from fanin.plots.images import mixed_labels
from fanin.plots.style import picture
from fanin.random import Generator

CIFAR = "FANIN_CIFAR10"
SMALLEST = 24  # pixels that a picture needs
HIDDEN, EPOCHS = 256, 40


@dataclass(frozen=True)
class Images:
    """What the pictures show: images of different classes, with their names."""

    source: str
    X: Array
    labels: Sequence[str]

    @classmethod
    def of(cls, data: Data, seed: int) -> Images:
        """Those of the data; of CIFAR-10 or Fashion-MNIST, where they are on this machine, if the
        data have none, or only such as are too small to see anything.
        """
        X, y, names, source = data.X, data.y, data.class_names, data.name
        if not _are_images(X) or min(X.shape[1:3]) < SMALLEST:
            found = _on_this_machine()
            if found is not None:
                (X, y, names), source = found
            elif not _are_images(X):
                (X, y), _, info = datasets.load("digits", return_info=True)
                names, source = info.class_names, "digits"
        order = Generator(seed).permutation(len(y))
        _, first = np.unique(y[order], return_index=True)
        chosen = order[np.sort(first)]
        images = X[chosen].astype(np.uint8 if X.dtype == np.uint8 else np.float32)
        return cls(source, images, [names[i] for i in y[chosen]])

    def one(self, i: int, *transforms: Transform, seed: int = 0) -> Array:
        """The i-th image through a pipeline."""
        result: Array = Compose(transforms, seed=seed)(self.X[i : i + 1], indices=[i])[0]
        return result


def _are_images(X: Array) -> bool:
    """Grey or in colour, of some size, and floats as a pipeline wants them."""
    if X.ndim not in (3, 4) or (X.ndim == 4 and X.shape[3] not in (1, 3, 4)):
        return False
    in_range = X.dtype == np.uint8 or (X.min() >= 0 and X.max() <= 1)
    return min(X.shape[1:3]) >= 4 and bool(in_range)


def _on_this_machine() -> tuple[tuple[Array, Array, tuple[str, ...]], str] | None:
    """Colour images of FANIN_CIFAR10, or what is installed of CIFAR-10 and Fashion-MNIST."""
    if path := os.environ.get(CIFAR):
        (X, y), _ = datasets.load(Path(path))
        return (X, y, named.KNOWN["cifar10"].class_names), "CIFAR-10"
    for name in ("cifar10", "fashion-mnist"):
        table = named.installed(name)
        if table is not None and table.y is not None and table.class_names:
            return (table.X, table.y, table.class_names), name
    return None


def chapter(data: Data, seed: int) -> Chapter:
    """Each transformation of the lecture on images, and training with and without."""
    images = Images.of(data, seed)
    return tell(
        "Data augmentation",
        """**Data augmentation** is a trick that makes much of little data: the input is
        changed a little each time that it comes, within what *could really happen*. A cat
        in a mirror is a cat; a mirrored 3 is none.""",
        f"""In `fanin.augment` a pipeline takes a whole batch, each image with draws of its
        own: the same for one seed, epoch and image, whatever the batch, the threads or the
        worker. The images below are of {images.source}, one of each class.""",
        *_flips(images),
        *_crops(images, seed),
        *_colours(images),
        *_others(images, seed),
        *_erased_and_mixed(images, seed),
        *_in_training(data, seed),
    )


def _grid(
    name: str, alt: str, caption: str, rows: Sequence[Sequence[Array]], **texts: Any
) -> Picture:
    """A picture of images in rows, with labels, titles and captions."""
    file = f"augmentation-{name}.png"
    return picture(file, alt, caption, lambda: plots.image_grid(rows, **texts))


def _flips(images: Images) -> list[Block]:
    few = range(min(6, len(images.X)))
    return [
        Heading("Horizontal flips"),
        _grid(
            "flips",
            "Images in the upper row, their mirror images in the lower one.",
            "`HorizontalFlip`: of each image one half of all epochs sees the mirror image.",
            [list(images.X[:6]), [images.one(i, HorizontalFlip(p=1)) for i in few]],
            labels=["original", "flipped"],
            titles=images.labels[:6],
        ),
    ]


def _crops(images: Images, seed: int) -> list[Block]:
    height, width = images.X.shape[1:3]
    corner = max(1, height * 5 // 8), max(1, width * 5 // 8)
    crop = RandomResizedCrop((height, width))
    drawn = [images.one(0, crop, seed=seed + k) for k in range(5)]
    return [
        Heading("Random crops and scales"),
        _grid(
            "crops",
            "An image, five random parts of it in the size of the whole, and its five crops.",
            "Above, `RandomResizedCrop`: a part of random place, area and proportion, scaled to "
            "the size of the whole. Below, `FiveCrop`: as a rule an image is cut into five, the "
            f"corners and the middle, here of {corner[0]} × {corner[1]} pixels.",
            [[images.X[0], *drawn], [images.X[0], *images.one(0, FiveCrop(corner))]],
            labels=["crops\nand scales", "five crops"],
            titles=["original", *(f"draw {k + 1}" for k in range(5))],
            captions=[[""] * 6, ["", "top left", "top right", "bottom left", "bottom right",
                                 "centre"]],
        ),
    ]  # fmt: skip


def _colours(images: Images) -> list[Block]:
    factors = (0.4, 0.7, 1.0, 1.3, 1.6)
    # the image whose brightness can change most either way
    means = images.X.reshape(len(images.X), -1).mean(axis=1)
    which = int(np.abs(means - 0.5 * images.X.max()).argmin())
    return [
        Heading("Colour jitter"),
        """Brightness and contrast can be changed, and of coloured images saturation and hue.
        `ColorJitter(0.4, 0.4)` draws a factor from 0.6 to 1.4 for each image and each of the
        two, and their order.""",
        _grid(
            "colour",
            "An image at five factors of brightness and five of contrast.",
            "Brightness multiplies each value; contrast moves it away from the mean of the image, "
            "or towards it. A factor of 1 changes nothing.",
            [
                [images.one(which, ColorJitter(brightness=(f, f))) for f in factors],
                [images.one(which, ColorJitter(contrast=(f, f))) for f in factors],
            ],
            labels=["brightness", "contrast"],
            titles=[f"{f:g}" for f in factors],
        ),
    ]


def _others(images: Images, seed: int) -> list[Block]:
    ways: dict[str, tuple[Transform, ...]] = {
        "translation": (RandomAffine(0, translate=(0.2, 0.2)),),
        "rotation": (RandomAffine((20, 20)),),
        "stretching": (RandomAffine(0, stretch=(1.4, 1.4)),),
        "shearing": (RandomAffine(0, shear=(20, 20)),),
        "lens": (LensDistortion((0.4, 0.4)),),
        "combined": (
            HorizontalFlip(),
            RandomAffine(15, (0.1, 0.1), (0.9, 1.1), stretch=(0.9, 1.1), shear=10),
            LensDistortion(0.3),
            ColorJitter(0.3, 0.3),
        ),
    }
    return [
        Heading("And others"),
        """Translation, rotation, stretching, shearing, lens distortion, and all of them
        together: any of these can be combined to an augmentation of one's own. All movements of
        a pipeline become one map and one resampling, so that five of them blur no more than
        one.""",
        _grid(
            "others",
            "Images translated, rotated, stretched, sheared, seen through a lens, and all at once.",
            "`RandomAffine` and `LensDistortion`, each alone, then a pipeline of flip, affine map, "
            "lens and colours.",
            [[image, *(images.one(i, *way, seed=seed) for way in ways.values())]
             for i, image in enumerate(images.X[:3])],
            labels=images.labels[:3],
            titles=["original", *ways],
        ),
    ]  # fmt: skip


def _erased_and_mixed(images: Images, seed: int) -> list[Block]:
    few, labels = list(images.X[:4]), images.labels[:4]
    half = tuple(max(1, edge // 2) for edge in images.X.shape[1:3])
    rows, captions = [few], [labels]
    for step in (Mixup(4.0, mode="sample"), CutMix(4.0, mode="sample")):
        aug = Compose([step], seed=seed)
        rows.append(list(aug(images.X[:4])))
        captions.append(mixed_labels(aug, images.X[:4], labels))
    return [
        Heading("Cutout"),
        Lines("Training: Set random image regions to zero\nTesting: Use full image"),
        _grid(
            "cutout",
            "Images, and below them the same with a square set to zero.",
            f"`Cutout`, {half[0]} × {half[1]} pixels. Its centre may be any pixel, and at the "
            "border a part of the square lies outside.",
            [few, [images.one(i, Cutout(half), seed=seed) for i in range(len(few))]],
            labels=["original", "cutout"],
            titles=labels,
        ),
        Heading("Mixup and CutMix"),
        Lines("Training: Train on random blends of images\nTesting: Use original images"),
        """**Mixup** blends two images, and the target label is defined by their shares.
        **CutMix** cuts two images and puts parts together; the shares are those of the areas.
        `fanin.augment` mixes each image of a batch with the one before it, the first with the
        last, and gives soft labels (N, C).""",
        _grid(
            "mixed",
            "Images, blends of two of them, and pastings of one into another, with labels.",
            "The batch, the same through `Mixup` and through `CutMix`, and the labels that "
            "training sees; with alpha = 4, so that most shares are near one half.",
            rows,
            labels=["original", "Mixup", "CutMix"],
            captions=captions,
        ),
    ]


def _in_training(data: Data, seed: int) -> list[Block]:
    if not _are_images(data.X) or data.X.dtype == np.float64:
        return []
    height, width = data.X.shape[1:3]
    crop = RandomCrop((height, width), max(1, min(height, width) // 16), padding_mode="reflect")
    moved = RandomAffine(8, (0.06, 0.06), (0.93, 1.07), shear=4)
    steps = [crop, HorizontalFlip()] if data.X.ndim == 4 else [moved]  # grey ones may be digits
    aug, name = Compose(steps, seed=seed), "crop, flip" if data.X.ndim == 4 else "small moves"
    ways: dict[str, dict[str, Any]] = {
        "none": {},
        name: {"augment": aug},
        f"{name}, Mixup": {"augment": aug, "mix": Mixup(0.2)},
    }
    return [
        Heading(f"What it does to training on {data.name}"),
        """With augmentation hardly any image comes twice, so that a network cannot learn its
        rows by heart: on those its accuracy falls. What that gains on others, and how many
        epochs it takes, differs from data to data; the numbers tell.""",
        *overfitting(
            data,
            "augmentation-training.png",
            "Accuracy on test rows by epoch, with augmentation and without.",
            f"{len(data.y)} rows of {data.name}, a hidden layer of {HIDDEN} units, {EPOCHS} epochs "
            "of Adam with a cosine schedule: accuracy on test rows, epoch by epoch.",
            "augmentation",
            {name: (data.net(HIDDEN, seed=seed), own) for name, own in ways.items()},
            epochs=EPOCHS, batch_size=64, schedule="cosine",
        ),
    ]  # fmt: skip
