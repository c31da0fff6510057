"""One run of the whole lecture on small data, and each chapter once on digits."""

import contextlib
import functools
import importlib
import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from lecture_cases import save_small

from fanin.chapters.story import Data
from fanin.cli import main
from fanin.document.blocks import Lines, Table


@pytest.fixture(scope="session")
def told(tmp_path_factory):
    """The folder and the printed text of ``fanin lecture`` on 90 images of three classes."""
    folder = tmp_path_factory.mktemp("lecture")
    data, printed = save_small(folder / "small.npz"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.delenv("FANIN_DATA", raising=False)
        assert main(["lecture", "--data", data, "--out", str(folder / "story")]) == 0
    return SimpleNamespace(folder=Path(folder / "story"), printed=printed.getvalue())


@pytest.fixture(scope="session")
def on_digits():
    """A chapter on digits by its name: its `tables`, by caption, and `lines`, in order."""

    @functools.cache
    def tell(name):
        chapter = importlib.import_module(f"fanin.chapters.{name}").chapter(
            Data.load("digits", 0), 0
        )
        tables = {block.caption: block.rows for block in chapter.blocks if isinstance(block, Table)}
        lines = [block.text for block in chapter.blocks if isinstance(block, Lines)]
        return SimpleNamespace(chapter=chapter, tables=tables, lines=lines)

    return tell
