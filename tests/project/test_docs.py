"""The site's pages: their examples and commands run, each in its page's order, in one folder.

A block that is not to be run, such as another library's code, is a ``{code-block}``.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clocks
import numpy as np
import pytest

import fanin
from fanin.cli import main

DOCS = Path(__file__).parents[2] / "docs"
pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="no docs beside the tests")
BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```", re.DOTALL | re.MULTILINE)
OTHERS = ("pip install", "cmake", "python", "pytest", "FANIN_", "PYTHONPATH", ".ci", "ruff", "git")
PAGES = sorted(page for page in DOCS.rglob("*.md") if not {"_build", "gallery"} & set(page.parts))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The reader's folder: the files that the pages speak of; a guide's seconds are counted."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 2, 120)
    sizes = rng.normal(size=(120, 2)) + [[5.0, 3.4]] + kinds[:, None] * [[1.5, -0.3]]
    rows = [
        f"{length:.1f},{width:.1f},{('setosa', 'virginica')[kind]}"
        for (length, width), kind in zip(sizes, kinds, strict=True)
    ]
    Path("flowers.csv").write_text("length,width,species\n" + "\n".join(rows) + "\n")
    Path("new.csv").write_text("length,width\n5.1,3.5\n6.3,3.3\n")
    with contextlib.suppress(ImportError):
        from PIL import Image

        for i, kind in enumerate(["cat", "dog"] * 20):
            Path("photos", kind).mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 128, (20, 24, 3)) + (100 if kind == "dog" else 0)
            Image.fromarray(pixels.astype(np.uint8)).save(f"photos/{kind}/{i // 2 + 1}.png")
    before = fanin.get_num_threads()
    fanin.set_num_threads(1)  # the same bits, and no waiting for busy cores
    clocks.guide_counts_epochs(1, monkeypatch.setattr)
    yield tmp_path
    fanin.set_num_threads(before)


def run(language: str, code: str, names: dict[str, Any]) -> None:
    if language == "python":
        exec(compile(code, "page", "exec"), names)
        return
    for line in re.sub(r"\\\n", " ", code).splitlines():
        for command in line.split("&&"):
            words = shlex.split(command, comments=True)
            if words[:1] == ["fanin"]:
                assert main(words[1:]) == 0, command
            else:
                assert not words or command.strip().startswith(OTHERS), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
@pytest.mark.usefixtures("folder")
def test_examples_and_commands_of_a_page_run(page: Path) -> None:
    text = page.read_text("utf-8")
    for package in re.findall(r"<!-- needs: (.*?) -->", text):
        for name in package.split():
            pytest.importorskip(name)
    names: dict[str, Any] = {"__name__": "page"}
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("error")
        for language, code in BLOCK.findall(text):
            run(language, code, names)


def tasks() -> list[list[str]]:
    """The rows of the start page's table: task, link, in short."""
    text = (DOCS / "index.md").read_text("utf-8")
    table = text.partition("<!-- tasks")[2].partition("```{toctree}")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("|")]
    return rows[2:]


def section(link: str) -> str:
    """What stands under the heading that a link of the start page leads to."""
    page, _, anchor = link.partition("#")
    for part in re.split(r"^(?=##* [A-Z])", (DOCS / page).read_text("utf-8"), flags=re.MULTILINE):
        title = part.partition("\n")[0].lstrip("# ")
        if re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") == anchor:
            return part
    raise AssertionError(f"{link}: no such section")


def test_ten_tasks_of_a_newcomer_are_answered_from_the_start_page() -> None:
    rows = tasks()
    asked = " ".join(task for task, _, _ in rows)
    assert len(rows) == 10
    for word in ("CSV", "predict", "tune", "learning rate", "overfitting", "DataFrame", "ONNX",
                 "augment", "ensemble", "resume"):  # fmt: skip
        assert word in asked
    for task, link, short in rows:
        answer = section(re.search(r"\((.*?)\)", link).group(1))
        code = "".join(block for _, block in BLOCK.findall(answer))
        assert code, f"{task}: expected a block that the test above runs"
        assert short.strip("`").split("(…")[0] in code, task


def test_files_of_the_pages_are_those_that_they_show(folder: Path) -> None:
    shown = re.search(r"```text\n(.*?)\n", (DOCS / "guide/tables.md").read_text("utf-8")).group(1)
    assert (folder / "flowers.csv").read_text().startswith(shown)


def test_llms_txt_links_to_pages() -> None:
    for link in re.findall(r"\]\((.*?)\)", (DOCS / "llms.txt").read_text("utf-8")):
        stem = DOCS / link.removesuffix(".html")
        assert stem.with_suffix(".md").exists(), link


def test_every_public_module_has_its_page() -> None:
    """`docs/conf.py` makes the pages of these modules from their ``__all__``."""
    pages = set(re.findall(r"^   (fanin[\w.]*)$", (DOCS / "api/index.md").read_text("utf-8"), re.M))
    configured = set(re.findall(r'"(fanin[\w.]*)"', (DOCS / "conf.py").read_text("utf-8")))
    rooms = {path.parent for path in Path(fanin.__file__).parent.glob("*/__init__.py")}
    found = {f"fanin.{path.name}" for path in rooms} | {
        f"fanin.{path.stem}" for path in Path(fanin.__file__).parent.glob("[a-z]*.py")
    }
    internal = {
        f"fanin.{name}"
        for name in ("arrays", "chapters", "cli", "document", "executors", "history")
    }
    assert pages - {"fanin"} == found - internal
    assert pages <= configured
