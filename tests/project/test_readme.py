"""The README's commands and example, run as they stand."""

from __future__ import annotations

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


# A guide's time budget is counted in epochs, so that every machine has time enough.
COUNTED = """
import sys
sys.path.append({support!r})
import fanin
from clocks import guide_counts_epochs
guide_counts_epochs(fanin.get_num_threads())
""".format(support=str(Path(__file__).parents[1] / "support"))


def run(words: list[str], folder: Path) -> str:
    done = children.run(words, cwd=folder)
    assert done.returncode == 0, f"{shlex.join(words)}:\n{done.stderr}"
    return done.stdout


def test_example_prints_what_the_readme_shows(tmp_path: Path) -> None:
    """To the last digit, on any machine: it is the promise of the same bits."""
    code = blocks(README, "python")[0]
    assert run([sys.executable, "-c", code], tmp_path) == outputs()[1]


def test_every_example_runs(tmp_path: Path) -> None:
    more = blocks(README, "python")[1:]
    assert len(more) >= 2
    for code in more:
        code = COUNTED + code if "time_budget" in code else code
        run([sys.executable, "-W", "error", "-c", code], tmp_path)
    assert "<html" in (tmp_path / "report.html").read_text("utf-8")


def as_python(command: str) -> list[str]:
    words = shlex.split(command)
    if "--time-budget" not in words:
        return [sys.executable, "-m", *words]
    return [
        sys.executable,
        "-c",
        f"{COUNTED}from fanin.cli import main\nsys.exit(main())",
        *words[1:],
    ]


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
    assert len(ours) >= 4
    for name in ("network.fanin", "history.json", "config.json", "curves.png"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    assert re.sub(r"in [\d.]+ s", "", printed[0]) == re.sub(r"in [\d.]+ s", "", outputs()[0])


def test_korean_twin_has_the_same_code() -> None:
    for language in ("bash", "text"):
        assert blocks(KOREAN, language) == blocks(README, language)
    korean, english = (
        [re.sub(r" *#.*", "", code) for code in blocks(path, "python")] for path in (KOREAN, README)
    )
    assert korean == english
