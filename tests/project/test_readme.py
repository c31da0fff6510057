"""The README's commands and example, run as they stand."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

import children
import pytest

README = Path(__file__).parents[2] / "README.md"
KOREAN = README.with_name("README.ko.md")

pytestmark = pytest.mark.skipif(not README.exists(), reason="no README beside the tests")


def blocks(path: Path, language: str) -> list[str]:
    flags = re.DOTALL | re.MULTILINE
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), flags)


def outputs() -> tuple[str, str]:
    """What the README shows of the first command and of the example."""
    first, example = blocks(README, "text")
    return first, example


def run(words: list[str], folder: Path) -> str:
    one_thread = {**os.environ, "FANIN_NUM_THREADS": "1"}  # the same digits, and a quick test
    done = children.run(words, cwd=folder, env=one_thread)
    assert done.returncode == 0, f"{shlex.join(words)}:\n{done.stderr}"
    return done.stdout


def test_it_fits_two_screens_and_links_to_pages_that_exist() -> None:
    text = README.read_text("utf-8")
    assert len(text.splitlines()) <= 100
    assert len(blocks(README, "python")) == 1  # the other examples are the site's, and run there
    for path in (README, KOREAN):
        links = re.findall(r"\]\(([^):]+)\)", path.read_text("utf-8"))
        assert [link for link in links if not (README.parent / link).exists()] == []


def test_example_prints_what_the_readme_shows(tmp_path: Path) -> None:
    """To the last digit, on any machine: it is the promise of the same bits."""
    code = blocks(README, "python")[0]
    assert run([sys.executable, "-c", code], tmp_path) == outputs()[1]


def as_python(command: str) -> list[str]:
    return [sys.executable, "-m", *shlex.split(command)]


def test_every_command_runs(tmp_path: Path) -> None:
    commands = [
        command.strip()
        for block in blocks(README, "bash")
        for line in block.splitlines()
        for command in line.split("&&")
    ]
    ours = [c for c in commands if c.startswith("fanin ")]
    others = [c for c in commands if not c.startswith("fanin ")]
    assert all(c.startswith("pip install") or c == "pytest" for c in others)
    printed = [run(as_python(c), tmp_path) for c in ours]
    assert ours
    for name in ("network.fanin", "history.json", "config.json", "curves.png"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    assert re.sub(r"in [\d.]+ s", "", printed[0]) == re.sub(r"in [\d.]+ s", "", outputs()[0])


def shape(path: Path) -> list[str]:
    """Headings by level, links by target, rows of tables by number of cells: what twins share."""
    lines = path.read_text("utf-8").splitlines()
    found = []
    for line in lines:
        if mark := re.match(r"#+ ", line):
            found.append(mark.group())
        elif line.lstrip().startswith("|"):
            found.append(f"{line.count('|')} cells")
        twins = [README.name, KOREAN.name]
        found += [link for link in re.findall(r"\]\(([^)]+)\)", line) if link not in twins]
    return found


def test_korean_twin_is_in_step() -> None:
    for language in ("bash", "text", "python"):
        assert blocks(KOREAN, language) == blocks(README, language)
    assert shape(KOREAN) == shape(README)
