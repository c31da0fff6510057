"""Cutout, Mixup and CutMix: regions left out, and images blended with their labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from fanin.augment import Compose, CutMix, Cutout, Mixup
from fanin.chapters.images import Images, are_images, grid
from fanin.chapters.story import Data, overfitting, tell
from fanin.document.blocks import Block, Chapter, Heading, Lines
from fanin.plots.images import mixed_labels

BLENDS = "Training: Train on random blends of images\nTesting: Use original images"
ROWS, WRONG, HIDDEN, EPOCHS = 600, 0.2, 256, 60


def chapter(data: Data, seed: int) -> Chapter:
    """What each makes of images, and what it does to training."""
    images = Images.of(data, seed)
    return tell(
        "Regularisation: Cutout, Mixup and CutMix", *_shown(images, seed), *_in_training(data, seed)
    )


def _shown(images: Images, seed: int) -> list[Block]:
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
        grid(
            "mixing-cutout",
            "Images, and below them the same with a square set to zero.",
            f"`Cutout`, {half[0]} × {half[1]} pixels. Its centre may be any pixel, and at the "
            "border a part of the square lies outside.",
            [few, [images.one(i, Cutout(half), seed=seed) for i in range(len(few))]],
            labels=["original", "cutout"],
            titles=labels,
        ),
        Heading("Mixup"),
        Lines(BLENDS),
        """**Mixup** blends two images, and the target label is defined by their shares.""",
        Heading("CutMix"),
        Lines(BLENDS),
        """**CutMix** cuts two images and puts parts together; the shares are those of the areas.
        `fanin.augment` mixes each image of a batch with the one before it, the first with the
        last, and gives soft labels (N, C).""",
        grid(
            "mixing-labels",
            "Images, blends of two of them, and pastings of one into another, with labels.",
            "The batch, the same through `Mixup` and through `CutMix`, and the labels that "
            "training sees; with alpha = 4, so that most shares are near one half.",
            rows,
            labels=["original", "Mixup", "CutMix"],
            captions=captions,
        ),
    ]


def _in_training(data: Data, seed: int) -> list[Block]:
    if not are_images(data.X) or data.X.dtype == np.float64:
        return []
    noisy = data.few_and_noisy(ROWS, WRONG, seed)
    region = tuple(max(1, round(0.4 * edge)) for edge in data.X.shape[1:3])
    ways: dict[str, dict[str, Any]] = {
        "none": {},
        "Cutout": {"augment": Compose([Cutout(region)], seed=seed)},
        "Mixup": {"mix": Mixup(1.0)},
        "CutMix": {"mix": CutMix(1.0)},
    }
    return [
        Heading(f"What they do to training on {data.name}"),
        f"""{len(noisy.y)} rows of {data.name}, of which {WRONG:.0%} have a label drawn at random, a
        hidden layer of {HIDDEN} units, {EPOCHS} epochs. What comes anew each time, in part or
        blended with another, is hard to memorise: wrong labels stay unlearned. All four are
        tested on whole images with right labels.""",
        *overfitting(
            noisy,
            "mixing-training.png",
            "Accuracy on test rows by epoch, without and with Cutout, Mixup and CutMix.",
            "Accuracy on test rows with right labels, epoch by epoch.",
            "training with",
            {name: (data.net(HIDDEN, seed=seed), own) for name, own in ways.items()},
            epochs=EPOCHS, batch_size=50,
        ),
    ]  # fmt: skip
