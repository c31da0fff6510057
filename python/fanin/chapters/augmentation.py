"""Data augmentation: the lecture's pictures of real images, and what it does to training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fanin import MLP, datasets, optim, plots
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
from fanin.chapters.story import Data, final, percent, train
from fanin.datasets import named
from fanin.document.blocks import Block, Chapter, Heading, Lines, Table
from fanin.plots.images import mixed_labels
from fanin.plots.picture import picture
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
        images = X[chosen]
        if images.dtype == np.float64:
            images = images.astype(np.float32)
        return cls(source, images, [names[i] if names else str(i) for i in y[chosen]])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.X.shape[1], self.X.shape[2]

    @property
    def medium_brightness(self) -> int:
        """The index of the image whose brightness can change most either way."""
        means = self.X.reshape(len(self.X), -1).mean(axis=1)
        return int(np.abs(means - 0.5 * self.X.max()).argmin())

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
    return Chapter(
        "Data augmentation",
        [
            (
                "**Data augmentation** is a trick that makes much of little data: the input is "
                "changed a little each time that it comes, within what *could really happen*. A "
                "cat in a mirror is a cat; a mirrored 3 is none."
            ),
            (
                "In `fanin.augment` a pipeline takes a whole batch, each image with draws of its "
                "own: the same for one seed, epoch and image, whatever the batch, the threads or "
                f"the worker. The images below are of {images.source}, one of each class."
            ),
            *_flips(images),
            *_crops(images, seed),
            *_colours(images),
            *_others(images, seed),
            *_erased_and_mixed(images, seed),
            *_in_training(data, seed),
        ],
    )


def _flips(images: Images) -> list[Block]:
    few = range(min(6, len(images.X)))

    def figure() -> Any:
        mirrored = [images.one(i, HorizontalFlip(p=1)) for i in few]
        return plots.image_grid(
            [[images.X[i] for i in few], mirrored],
            labels=["original", "flipped"],
            titles=[images.labels[i] for i in few],
        )

    return [
        Heading("Horizontal flips"),
        picture(
            "augmentation-flips.png",
            "Images in the upper row, their mirror images in the lower one.",
            "`HorizontalFlip`: of each image one half of all epochs sees the mirror image.",
            figure,
        ),
    ]


def _crops(images: Images, seed: int) -> list[Block]:
    height, width = images.size
    corner = max(1, height * 5 // 8), max(1, width * 5 // 8)

    def figure() -> Any:
        crop, five = RandomResizedCrop(images.size), FiveCrop(corner)
        drawn = [images.one(0, crop, seed=seed + k) for k in range(5)]
        return plots.image_grid(
            [[images.X[0], *drawn], [images.X[0], *images.one(0, five)]],
            labels=["crops\nand scales", "five crops"],
            titles=["original", *(f"draw {k + 1}" for k in range(5))],
            captions=[[""] * 6, ["", "top left", "top right", "bottom left", "bottom right",
                                 "centre"]],
        )  # fmt: skip

    return [
        Heading("Random crops and scales"),
        picture(
            "augmentation-crops.png",
            "An image, five random parts of it in the size of the whole, and its five crops.",
            "Above, `RandomResizedCrop`: a part of random place, area and proportion, scaled to "
            "the size of the whole. Below, `FiveCrop`: as a rule an image is cut into five, the "
            f"corners and the middle, here of {corner[0]} × {corner[1]} pixels.",
            figure,
        ),
    ]


def _colours(images: Images) -> list[Block]:
    factors = (0.4, 0.7, 1.0, 1.3, 1.6)

    def figure() -> Any:
        which = images.medium_brightness
        rows = [
            [images.one(which, ColorJitter(brightness=(f, f))) for f in factors],
            [images.one(which, ColorJitter(contrast=(f, f))) for f in factors],
        ]
        return plots.image_grid(
            rows, labels=["brightness", "contrast"], titles=[f"{f:g}" for f in factors]
        )

    return [
        Heading("Colour jitter"),
        (
            "Brightness and contrast can be changed, and of coloured images saturation and hue. "
            "`ColorJitter(0.4, 0.4)` draws a factor from 0.6 to 1.4 for each image and each of "
            "the two, and their order."
        ),
        picture(
            "augmentation-colour.png",
            "An image at five factors of brightness and five of contrast.",
            "Brightness multiplies each value; contrast moves it away from the mean of the image, "
            "or towards it. A factor of 1 changes nothing.",
            figure,
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

    def figure() -> Any:
        few = range(min(3, len(images.X)))
        rows = [[images.X[i], *(images.one(i, *way, seed=seed) for way in ways.values())]
                for i in few]  # fmt: skip
        labels = [images.labels[i] for i in few]
        return plots.image_grid(rows, labels=labels, titles=["original", *ways])

    return [
        Heading("And others"),
        (
            "Translation, rotation, stretching, shearing, lens distortion, and all of them "
            "together: any of these can be combined to an augmentation of one's own. All "
            "movements of a pipeline become one map and one resampling, so that five of them blur "
            "no more than one."
        ),
        picture(
            "augmentation-others.png",
            "Images translated, rotated, stretched, sheared, seen through a lens, and all at once.",
            "`RandomAffine` and `LensDistortion`, each alone, then a pipeline of flip, affine map, "
            "lens and colours.",
            figure,
        ),
    ]


def _erased_and_mixed(images: Images, seed: int) -> list[Block]:
    few = min(4, len(images.X))
    half = tuple(max(1, edge // 2) for edge in images.size)

    def cutout() -> Any:
        cut = [images.one(i, Cutout(half), seed=seed) for i in range(few)]
        return plots.image_grid(
            [list(images.X[:few]), cut], labels=["original", "cutout"], titles=images.labels[:few]
        )

    def mixed() -> Any:
        steps = {"Mixup": Mixup(4.0, mode="sample"), "CutMix": CutMix(4.0, mode="sample")}
        rows, captions = [list(images.X[:few])], [list(images.labels[:few])]
        for step in steps.values():
            aug = Compose([step], seed=seed)
            rows.append(list(aug(images.X[:few])))
            captions.append(mixed_labels(aug, images.X[:few], images.labels[:few]))
        return plots.image_grid(rows, labels=["original", *steps], captions=captions)

    return [
        Heading("Cutout"),
        Lines("Training: Set random image regions to zero\nTesting: Use full image"),
        picture(
            "augmentation-cutout.png",
            "Images, and below them the same with a square set to zero.",
            f"`Cutout`, {half[0]} × {half[1]} pixels. Its centre may be any pixel, and at the "
            "border a part of the square lies outside.",
            cutout,
        ),
        Heading("Mixup and CutMix"),
        Lines("Training: Train on random blends of images\nTesting: Use original images"),
        (
            "**Mixup** blends two images, and the target label is defined by their shares. "
            "**CutMix** cuts two images and puts parts together; the shares are those of the "
            "areas. `fanin.augment` mixes each image of a batch with the one before it, the first "
            "with the last, and gives soft labels (N, C)."
        ),
        picture(
            "augmentation-mixed.png",
            "Images, blends of two of them, and pastings of one into another, with labels.",
            "The batch, the same through `Mixup` and through `CutMix`, and the labels that "
            "training sees; with alpha = 4, so that most shares are near one half.",
            mixed,
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
    runs, rows = {}, []
    for name, options in ways.items():
        net = MLP([data.dim, HIDDEN, data.n_classes], seed=seed)
        history = runs[name] = train(
            net, data.X, data.y, validation_data=(data.X_test, data.y_test), epochs=EPOCHS,
            batch_size=64, optimizer=optim.Adam(), schedule="cosine",
            preprocess=data.preprocess, **options,
        )  # fmt: skip
        seen, test = net.evaluate(data.X, data.y)["accuracy"], final(history, "val_accuracy")
        rows.append((name, percent(seen), percent(test), percent(seen - test)))

    return [
        Heading(f"What it does to training on {data.name}"),
        (
            "With augmentation hardly any image comes twice, so that a network cannot learn its "
            "rows by heart: on those its accuracy falls. What that gains on others, and how many "
            "epochs it takes, differs from data to data; the numbers tell."
        ),
        picture(
            "augmentation-training.png",
            "Accuracy on test rows by epoch, with augmentation and without.",
            f"{len(data.y)} rows of {data.name}, a hidden layer of {HIDDEN} units, {EPOCHS} epochs "
            "of Adam with a cosine schedule: accuracy on test rows, epoch by epoch.",
            lambda: plots.compare(runs, "val_accuracy"),
        ),
        Table(
            f"After {EPOCHS} epochs",
            ("augmentation", "accuracy on its training rows", "on test rows", "gap"),
            rows,
        ),
    ]
