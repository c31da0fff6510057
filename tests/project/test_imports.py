"""Arrows between rooms run one way, and what begins with an underscore stays in its room.

The contracts of pyproject.toml are import-linter's; this is what it cannot say: a ``_name`` of a
module or of an object is used in its own package only.
"""

from __future__ import annotations

import ast
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from children import run

import fanin

PACKAGE = Path(fanin.__file__).parent
NAMEDTUPLE = {"_replace", "_asdict", "_fields"}
GROUND = {"_core", "_typing", "_validate", "_files", "_json", "_runtime"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def room(path: Path) -> str:
    """The folder that a module lies in, "" for single modules."""
    return str(path.relative_to(PACKAGE).parent).partition("/")[0].replace(".", "")


def home(path: Path) -> str:
    return room(path) or path.stem


def own_names() -> dict[str, set[str]]:
    """The private names that each room defines: functions, classes, attributes, fields."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        names = found.setdefault(home(path), set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.attr)
    return found


def foreign(path: Path, own: set[str]) -> Iterator[str]:
    """Private names that a module takes from elsewhere."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fanin"):
            parts = (node.module or "").split(".")[1:]
            if any(is_private(part) and part not in GROUND for part in parts):
                yield f"{path}:{node.lineno}: {node.module}"
            for name in node.names:
                inside = parts[:1] == [home(path)]
                if is_private(name.name) and name.name not in GROUND and not inside:
                    yield f"{path}:{node.lineno}: {node.module}.{name.name}"
        elif isinstance(node, ast.Attribute) and is_private(node.attr):
            itself = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
            if not itself and node.attr not in own | GROUND | NAMEDTUPLE:
                yield f"{path}:{node.lineno}: .{node.attr}"


def test_private_names_stay_in_their_room() -> None:
    own = own_names()
    found = [f for path in sorted(PACKAGE.rglob("*.py")) for f in foreign(path, own[home(path)])]
    assert not found, "\n".join(["private names of another room:", *found])


def test_at_most_five_modules_begin_with_an_underscore() -> None:
    names = {p.stem for p in PACKAGE.iterdir() if is_private(p.stem) and p.suffix != ".so"}
    assert names <= GROUND


def test_the_contracts_of_imports_are_kept(sources: Path) -> None:
    pytest.importorskip("importlinter", reason="import-linter is not installed")
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    done = run([command], cwd=sources)
    assert done.returncode == 0, done.stdout
