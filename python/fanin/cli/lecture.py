"""``fanin lecture``: run the chapters, print their numbers, write pictures and page."""

from __future__ import annotations

import argparse
import importlib
import itertools
from collections.abc import Mapping
from pathlib import Path

from fanin._core import __version__
from fanin._files import mark_removed, replaced_together, write_text
from fanin.chapters import CHAPTERS
from fanin.chapters.story import Data
from fanin.cli.options import UsageError, whole
from fanin.cli.shared import (
    add_data_options,
    note,
    reading_options,
    refuse_others,
    results_folder,
    tell,
    warnings_as_lines,
)
from fanin.document.blocks import Chapter, Image, Picture
from fanin.document.html import page
from fanin.document.text import chapter_lines

PAGE = "lecture.html"
TITLE = "Training neural networks, idea by idea"
OPENING = (
    "Each idea of a lecture on training neural networks, run on real data: every number and "
    "picture below comes from this run."
)


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("chapter", nargs="?", default="all", choices=("all", *CHAPTERS), help="(default: all)")
    add("--data", default="digits", metavar="DATA", help="as for train (default: digits)")
    add("--seed", type=whole(0), default=0, metavar="N", help="of everything random (default: 0)")
    add_data_options(parser)
    add("--out", type=Path, metavar="DIR", help="(default: a new one, runs/lecture)")


@warnings_as_lines()
def run(args: argparse.Namespace) -> int:
    out = results_folder(args.out, "lecture", [PAGE])
    if args.task == "regression":
        raise UsageError("--task: the lecture is about classes; train and search do regression")
    data = Data.load(args.data, args.seed, **reading_options(args))
    chapters = {}
    for name in CHAPTERS if args.chapter == "all" else (args.chapter,):
        chapters[name] = importlib.import_module(f"fanin.chapters.{name}").chapter(data, args.seed)
        for line in chapter_lines(chapters[name]):
            tell(line)
    facts = (
        f"Data: {data.name}, {len(data.y)} rows to train on and {len(data.y_test)} to test, "
        f"{data.dim} features, {data.n_classes} classes. Seed: {args.seed}."
    )
    again = f"fanin lecture {args.chapter} --data {args.data} --seed {args.seed}"
    closing = f"Made by fanin {__version__}: `{again}` makes it again."
    refuse_others(out, [PAGE, *(picture.file for picture in _pictures(chapters))])
    with replaced_together(out) as new:
        images = _write_pictures(chapters, new)
        write_text(new / PAGE, page(TITLE, (OPENING, facts), chapters, images, closing))
    tell(f"saved in {out}: {', '.join([*images, PAGE])}")
    return 0


def _pictures(chapters: Mapping[str, Chapter]) -> list[Picture]:
    blocks = itertools.chain.from_iterable(chapter.blocks for chapter in chapters.values())
    return [block for block in blocks if isinstance(block, Picture)]


def _write_pictures(chapters: Mapping[str, Chapter], out: Path) -> dict[str, Image]:
    """Writes all pictures; without matplotlib none, and says so."""
    pictures, images = _pictures(chapters), dict[str, Image]()
    try:
        for picture in pictures:
            images[picture.file] = picture.drawn(out)
    except ImportError as error:
        missing = [picture.file for picture in pictures if picture.file not in images]
        for file in missing:
            mark_removed(out / file)
        left_out = ", ".join(missing) if images else "pictures"
        note(f"no {left_out}: {error}")
    return images
