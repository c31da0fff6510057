"""docs/lecture.md: every claim of the lecture has its chapter, its API and its test."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from fanin.chapters import CHAPTERS

pytestmark = pytest.mark.row("B7")
ROOT = Path(__file__).resolve().parents[2]
TABLE = (ROOT / "docs/lecture.md").read_text(encoding="utf-8")


def rows():
    lines = [line for line in TABLE.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if not row[0].startswith("**")]


ROWS = rows()


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


def test_no_cell_is_empty_and_every_chapter_has_rows_in_the_lectures_order():
    assert len(ROWS) > 50
    assert all(len(row) == 5 and all(row) for row in ROWS)
    told = [names(row[2])[0] for row in ROWS]
    assert list(dict.fromkeys(told)) == list(CHAPTERS)
    assert told == sorted(told, key=CHAPTERS.index)


@pytest.mark.parametrize("name", sorted({name for row in ROWS for name in names(row[3])}))
def test_names_are_public(name):
    parts = name.split(".")
    found = importlib.import_module(parts[0])
    for i, part in enumerate(parts[1:], 1):
        if not hasattr(found, part):
            found = importlib.import_module(".".join(parts[: i + 1]))
        else:
            found = getattr(found, part)
        assert not part.startswith("_")


@pytest.mark.parametrize("test", sorted({name for row in ROWS for name in names(row[4])}))
def test_tests_are_there(test):
    file, function = test.split("::")
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_picture_of_the_lecture_is_in_the_gallery_with_its_code():
    shown = {name for row in ROWS for name in names(row[3]) if name.startswith("fanin.plots.")}
    code = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "docs/examples").rglob("*.py"))
    assert [name for name in sorted(shown) if f"{name}(" not in code] == []
