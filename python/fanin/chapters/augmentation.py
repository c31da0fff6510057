"""Data augmentation: the lecture's pictures of real images, and what it does to training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fanin.augment import (
    ColorJitter,
    Compose,
    FiveCrop,
    HorizontalFlip,
    LensDistortion,
    RandomAffine,
    RandomCrop,
    RandomResizedCrop,
    Transform,
)
from fanin.chapters.images import Images, are_images, grid
from fanin.chapters.story import Data, overfitting, tell
from fanin.document.blocks import Block, Chapter, Heading

HIDDEN, EPOCHS = 256, 40
DEGREES, SHIFT = 12, 0.12  # of the moved test images


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
        *_in_training(data, seed),
    )


def _flips(images: Images) -> list[Block]:
    few = range(min(6, len(images.X)))
    return [
        Heading("Horizontal flips"),
        grid(
            "augmentation-flips",
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
        grid(
            "augmentation-crops",
            "An image, five random parts of it in the size of the whole, and its five crops.",
            "Above, `RandomResizedCrop`: a part of random place, area and proportion, scaled to "
            "the size of the whole. Below, `FiveCrop`: as a rule an image is cut into five, the "
            f"corners and the middle, here of {corner[0]} × {corner[1]} pixels.",
            [[images.X[0], *drawn], [images.X[0], *images.one(0, FiveCrop(corner))]],
            labels=["crops", "five crops"],
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
        grid(
            "augmentation-colour",
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
        grid(
            "augmentation-others",
            "Images translated, rotated, stretched, sheared, seen through a lens, and all at once.",
            "`RandomAffine` and `LensDistortion`, each alone, then a pipeline of flip, affine map, "
            "lens and colours.",
            [[image, *(images.one(i, *way, seed=seed) for way in ways.values())]
             for i, image in enumerate(images.X[:3])],
            labels=images.labels[:3],
            titles=["original", *ways],
        ),
    ]  # fmt: skip


def _in_training(data: Data, seed: int) -> list[Block]:
    if not are_images(data.X) or data.X.dtype == np.float64:
        return []
    height, width = data.X.shape[1:3]
    crop = RandomCrop((height, width), max(1, min(height, width) // 16), padding_mode="reflect")
    moves = RandomAffine(DEGREES, (SHIFT, SHIFT), (0.85, 1.15), shear=6)
    colour = data.X.ndim == 4
    steps = [crop, HorizontalFlip()] if colour else [moves]  # grey ones may be digits
    name = "crop, flip" if colour else "small moves"
    ways: dict[str, dict[str, Any]] = {"none": {}, name: {"augment": Compose(steps, seed=seed)}}
    as_they_are = data.X_test, data.y_test
    moved = replace(data, X_test=Compose([moves], seed=seed + 1)(data.X_test))
    return [
        Heading(f"What it does to training on {data.name}"),
        f"""With augmentation hardly any image comes twice, so that a network cannot memorise its
        rows. What it gains depends on what the network will meet. Here it is tested on
        {len(data.y_test)} images that were moved a little, up to {DEGREES}° and
        {SHIFT:.0%} of the width, as images out of a camera are, and on the same as
        they are in the data.""",
        *overfitting(
            moved,
            "augmentation-training.png",
            "Accuracy on moved test images by epoch, with augmentation and without.",
            f"{len(data.y)} rows of {data.name}, a hidden layer of {HIDDEN} units, {EPOCHS} epochs "
            "of Adam with a cosine schedule: accuracy on the moved test images, epoch by epoch.",
            "augmentation",
            {name: (data.net(HIDDEN, seed=seed), own) for name, own in ways.items()},
            epochs=EPOCHS, batch_size=64, schedule="cosine",
            also={"on test rows as they are": as_they_are},
        ),
        """Compare the last column: where test images are centred and upright as the training ones
        are, moves only make the task harder. Augment by what can really happen.""",
    ]  # fmt: skip
