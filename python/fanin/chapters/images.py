"""The images that the chapters on augmentation show."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fanin import datasets, plots
from fanin._typing import Array
from fanin.augment import Compose, Transform
from fanin.chapters.story import Data
from fanin.datasets import named
from fanin.document.blocks import Picture
from fanin.plots.style import picture
from fanin.random import Generator

CIFAR = "FANIN_CIFAR10"
SMALLEST = 24  # pixels that a picture needs


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
        if not are_images(X) or min(X.shape[1:3]) < SMALLEST:
            found = _on_this_machine()
            if found is not None:
                (X, y, names), source = found
            elif not are_images(X):
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


def are_images(X: Array) -> bool:
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
            return (np.asarray(table.X), table.y, table.class_names), name
    return None


def grid(
    name: str, alt: str, caption: str, rows: Sequence[Sequence[Array]], **texts: Any
) -> Picture:
    """A picture of images in rows, with labels, titles and captions."""
    return picture(f"{name}.png", alt, caption, lambda: plots.image_grid(rows, **texts))
