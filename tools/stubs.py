"""The types of the compiled core, ``python/fanin/_core.pyi``, as the bindings have them.

``python tools/stubs.py`` writes them from the installed module; ``--check`` compares instead.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

STUB = Path(__file__).parents[1] / "python" / "fanin" / "_core.pyi"

# What pybind11 says -> what the package passes. A number of Python's own is all that it has.
TYPES = {
    r"typing\.Annotated\[(.+?), \"FixedSize\(\d+\)\"\]": r"\1",
    r"typing\.SupportsInt \| typing\.SupportsIndex": "int",
    r"typing\.SupportsFloat \| typing\.SupportsIndex": "float",
    r"numpy\.typing\.NDArray\[typing\.Any\]|numpy\.ndarray(?!\[)": "Array",
    r"\bdict(?=[\],)]| \||:$| =)": "dict[str, typing.Any]",
    r"\blist(?=[\],)]| \||:$| =)": "list[typing.Any]",
    r"\btuple(?!\[)": "tuple[typing.Any, ...]",
    r"^(\w+: .+?) = .*$": r"\1",  # the value of a constant
    r"Callable(?!\[)": "Callable[..., typing.Any]",
    r"collections\.abc\.": "",
    r"numpy\.typing\.": "npt.",
    r"numpy\.": "np.",
    r"typing\.": "",
}
HEAD = """\
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
"""


def plain(node: ast.AST) -> None:
    """Takes away docstrings and `__new__`, which only refuses; what is None by default may be."""
    if isinstance(node, ast.ClassDef):
        node.body = [s for s in node.body if getattr(s, "name", "") != "__new__"]
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
        node.body = node.body[1:] or [ast.Expr(ast.Constant(...))]
    if isinstance(node, ast.FunctionDef) and node.args.defaults:
        with_default = node.args.args[-len(node.args.defaults) :]
        for argument, default in zip(with_default, node.args.defaults, strict=True):
            annotation = ast.unparse(argument.annotation or default)
            if ast.unparse(default) == "None" and not re.search("Any$|None", annotation):
                argument.annotation = ast.Name(f"{annotation} | None")


def tool(*arguments: str, stdin: str | None = None) -> str:
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, input=stdin, check=True, capture_output=True, text=True)
    return done.stdout


def generated() -> str:
    with tempfile.TemporaryDirectory() as folder:
        tool("pybind11_stubgen", "fanin._core", "--output-dir", folder, "--exit-code")
        text = (Path(folder) / "fanin" / "_core.pyi").read_text(encoding="utf-8")
    text = re.sub(r"^__all__.*\n", "", text, flags=re.MULTILINE)
    for pattern, name in TYPES.items():
        text = re.sub(pattern, name, text, flags=re.MULTILINE)
    module = ast.parse(text)
    module.body = [s for s in module.body if not isinstance(s, ast.Import | ast.ImportFrom)]
    for node in ast.walk(module):
        plain(node)
    text = HEAD + ast.unparse(module)
    file = ["--stdin-filename", str(STUB), "-"]
    text = tool("ruff", "check", "--fix-only", "--quiet", "--exit-zero", *file, stdin=text)
    return tool("ruff", "format", *file, stdin=text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tools/stubs.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args()
    now = generated()
    if not options.check:
        STUB.write_text(now, encoding="utf-8")
        return 0
    lines = STUB.read_text(encoding="utf-8").splitlines(), now.splitlines()
    difference = list(difflib.unified_diff(*lines, STUB.name, "the bindings", lineterm=""))
    print("\n".join(difference))
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main())
