"""``fanin augment``: a picture of images beside their augmented variants."""

from __future__ import annotations

import argparse
import contextlib
import itertools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fanin import datasets, plots
from fanin._files import atomic_write
from fanin._typing import Array
from fanin.augment import Compose, parse
from fanin.cli import shared
from fanin.cli.options import UsageError, whole
from fanin.cli.shared import warnings_as_lines
from fanin.datasets import folders
from fanin.random import Generator

LONGEST_LABEL = 18


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("data", metavar="DATA", help="as for train, or a folder of images of any size")
    add("--pipeline", required=True, metavar="WORDS", help='such as "crop:4,flip,jitter:.4", as '
        "fanin.augment.parse reads it, or a .json file of --json")  # fmt: skip
    add("--out", type=Path, default=Path("grid.png"), metavar="FILE", help="(default: grid.png)")
    add("--json", type=Path, metavar="FILE", help="where to write the pipeline, for "
        "fanin.augment.Compose.from_json")  # fmt: skip
    add("--rows", type=whole(1), default=5, metavar="N", help="images (default: 5)")
    add("--variants", type=whole(1), default=6, metavar="N", help="of each (default: 6)")
    add("--seed", type=whole(0), metavar="N", help="of images and draws (default: 0)")


@warnings_as_lines()
def run(args: argparse.Namespace) -> int:
    _pipeline(args.pipeline, (64, 64), None)  # a wrong word fails before any data are read
    images, labels = _images(args.data, args.rows, args.seed or 0)
    sizes = {image.shape[:2] for image in images}
    try:
        aug = _pipeline(args.pipeline, min(sizes) if len(sizes) == 1 else None, args.seed)
    except UsageError as error:
        if len(sizes) == 1:
            raise
        raise UsageError(
            f"{error}; the images are of {len(sizes)} sizes: begin with rrc:224 or resize:224x224"
        ) from None
    axes = plots.augmentations(
        images, aug, n=len(images), variants=args.variants, labels=[_short(t) for t in labels]
    )
    saved = str(args.out)
    with contextlib.ExitStack() as stack:
        if args.json is not None:  # in its place only where the picture is
            file = stack.enter_context(atomic_write(args.json))
            file.write(aug.to_json(indent=1).encode() + b"\n")
            saved += f", {args.json}"
        plots.save(axes[0, 0].figure, args.out)
    shared.tell(aug)
    shared.tell(f"{len(axes)} images, {axes.shape[1] - 1} variants of each; saved {saved}")
    return 0


def _pipeline(text: str, size: tuple[int, int] | None, seed: int | None) -> Compose:
    """That of a .json file, or of words for images of that size."""
    if not text.endswith(".json"):
        try:
            transforms = parse(text, size=size)
        except ValueError as error:
            raise UsageError(str(error).replace("spec", "--pipeline", 1)) from None
        return Compose(transforms, seed=seed or 0)
    given = Compose.load(text)
    return given if seed is None else Compose(given.transforms, seed, given.value_range)


def _images(data: str, count: int, seed: int) -> tuple[Array | list[Array], list[str]]:
    """Images, each class once before any comes again, and labels; a folder's are of any size."""
    path = Path(data)
    if data not in datasets.NAMES and path.is_dir():
        return _from_folder(path, count, seed)
    (X, y), _, info = datasets.load(data, seed=seed, return_info=True)
    if X.ndim not in (3, 4):
        raise ValueError(f"{data}: expected images (N, H, W) or (N, H, W, C), got shape {X.shape}")
    if X.dtype == np.float64:
        X = X.astype(np.float32)
    chosen = _of_all_classes(y, count, seed)
    return X[chosen], [info.class_names[i] for i in y[chosen]]


def _from_folder(path: Path, count: int, seed: int) -> tuple[Array | list[Array], list[str]]:
    """Labels are the folders that the images lie in, or their own names where that is one."""
    found = folders.image_files(path)
    if not found:
        raise ValueError(f"{path}: expected images in that folder or below, got none")
    parents = [file.parent.name for file in found]
    names = parents if len(set(parents)) > 1 else [file.stem for file in found]
    chosen = _of_all_classes(np.array(parents), count, seed)
    images = [folders.read_images([found[i]])[0] for i in chosen]
    if len({image.ndim for image in images}) > 1:  # grey ones beside coloured ones
        images = [np.stack([i] * 3, axis=2) if i.ndim == 2 else i for i in images]
    alike = len({image.shape for image in images}) == 1
    return np.stack(images) if alike else images, [names[i] for i in chosen]


def _of_all_classes(classes: Array, count: int, seed: int) -> Array:
    """Positions in random order, the first of every class before the second of any."""
    order = Generator(seed).permutation(len(classes))
    turns: defaultdict[Any, Iterator[int]] = defaultdict(itertools.count)
    turn = [next(turns[label]) for label in classes[order].tolist()]
    chosen: Array = order[np.argsort(turn, kind="stable")[:count]]
    return chosen


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"
