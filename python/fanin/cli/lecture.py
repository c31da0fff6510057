"""What the command ``fanin lecture`` does."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

from fanin._core import __version__
from fanin._files import atomic_write
from fanin.chapters.story import Chapter, Data, Picture
from fanin.cli.shared import _check_writable, _fresh_folder
from fanin.document.html import lines, page

# In the lecture's order: the names of the chapters and of their modules.
CHAPTERS = (
    "preprocessing",
    "init",
    "sgd",
    "optimizers",
    "ensembles",
    "dropout",
    "augmentation",
)
PAGE = "lecture.html"
TITLE = "Training neural networks, idea by idea"


def lecture(args: argparse.Namespace) -> int:
    """``fanin lecture``: run the chapters, print their numbers, write pictures and page."""
    out = _fresh_folder("lecture") if args.out is None else args.out
    _check_writable(out)
    data = Data.load(args.data, args.seed)
    chapters = {}
    for name in CHAPTERS if args.chapter == "all" else (args.chapter,):
        chapters[name] = importlib.import_module(f"fanin.chapters.{name}").chapter(data, args.seed)
        for line in lines(chapters[name]):
            print(line, flush=True)
    out.mkdir(parents=True, exist_ok=True)
    images = _pictures(chapters, out)
    opening = (
        (
            "Each idea of a lecture on training neural networks, run on real data: every number "
            "and picture below comes from this run."
        ),
        (
            f"Data: {data.name}, {len(data.y)} rows to train on and {len(data.y_test)} to test, "
            f"{data.dim} features, {data.n_classes} classes. Seed: {args.seed}."
        ),
    )
    again = f"fanin lecture {args.chapter} --data {args.data} --seed {args.seed}"
    closing = f"Made by fanin {__version__}: `{again}` makes it again."
    with atomic_write(out / PAGE) as file:
        file.write(page(TITLE, opening, chapters, images, closing).encode())
    print(f"saved in {out}: {', '.join([*images, PAGE])}")
    return 0


def _pictures(chapters: Mapping[str, Chapter], out: Path) -> dict[str, bytes]:
    """Draws and writes all pictures; without matplotlib none, and says so."""
    pictures = [
        block
        for chapter in chapters.values()
        for block in chapter.blocks
        if isinstance(block, Picture)
    ]
    images = {}
    try:
        for picture in pictures:
            picture.write(out / picture.file)
            images[picture.file] = (out / picture.file).read_bytes()
    except ImportError as error:
        missing = [picture.file for picture in pictures if picture.file not in images]
        for file in missing:
            (out / file).unlink(missing_ok=True)  # of an earlier run
        left_out = ", ".join(missing) if images else "pictures"
        print(f"fanin: note: no {left_out}: {error}", file=sys.stderr)
    return images
