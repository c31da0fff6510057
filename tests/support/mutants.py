"""Small faults put into a module on purpose, and whether the tests find them.

    python tests/support/mutants.py fanin.optim.rules tests/optim

Each mutant runs in a child that forks from here, with the module's changed source in place of the
file's: nothing is written. Snippets that tests start in new processes have the module as it is.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest  # once, and not in each child

# Seconds of the clock and of a processor; a mutant that takes longer is found, since it hangs.
PATIENCE, CPU_PATIENCE = 1200, 120

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Mod: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    line: int
    text: str  # of the line
    before: str
    after: str
    source: str

    @property
    def key(self) -> tuple[str, str]:
        """What it is called, wherever the line moves."""
        return self.text, f"{self.before} -> {self.after}"

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}  [{self.key[1]}]"


def mutants(source: str) -> Iterator[Mutant]:
    """One for each change of an operator, a constant, a condition, a statement or a result."""
    lines = source.splitlines(keepends=True)
    offsets = [0]
    for line in lines:
        offsets.append(offsets[-1] + len(line.encode()))
    text = source.encode()
    for node in _code(ast.parse(source)):
        for new in _changes(node):
            start = offsets[node.lineno - 1] + node.col_offset
            end = offsets[node.end_lineno - 1] + node.end_col_offset
            after = ast.unparse(ast.fix_missing_locations(new))
            if isinstance(node, ast.expr):
                after = f"({after})"
            before = text[start:end].decode()
            changed = (text[:start] + after.encode() + text[end:]).decode()
            with contextlib.suppress(SyntaxError):
                compile(changed, "mutant", "exec")
                line = lines[node.lineno - 1].strip()
                yield Mutant(node.lineno, line, " ".join(before.split()), after, changed)


def _code(tree: ast.AST) -> Iterator[Any]:
    """The nodes that run: no annotations, no docstrings, no texts of errors."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Raise | ast.Assert | ast.Import | ast.ImportFrom | ast.JoinedStr):
            if isinstance(child, ast.Raise):
                yield child
            continue
        if isinstance(child, ast.AnnAssign):
            if child.value is not None:
                yield from _code(ast.Expression(child.value))
            continue
        if isinstance(child, ast.arguments):
            for default in [*child.defaults, *child.kw_defaults]:
                if default is not None:
                    yield from _code(ast.Expression(default))
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        if isinstance(child, ast.FunctionDef) and child.returns is not None:
            child.returns = None
        if hasattr(child, "lineno"):
            yield child
        yield from _code(child)


def _changes(node: Any) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        yield _with(node, ops=[COMPARED[type(node.ops[0])](), *node.ops[1:]])
    elif isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in COMPUTED:
        yield _with(node, op=COMPUTED[type(node.op)]())
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield _with(node, value=not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield _with(node, value=node.value + 1)
    elif isinstance(node, ast.IfExp):
        yield _with(node, body=node.orelse, orelse=node.body)
    elif isinstance(node, ast.Return) and ast.unparse(node) not in ("return", "return None"):
        yield _with(node, value=ast.Constant(None))
    elif isinstance(node, ast.Raise) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Yield)
    ):
        yield ast.Pass()


def _with(node: Any, **fields: Any) -> Any:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


class _Changed:
    """Finds one module, with that source."""

    def __init__(self, name: str, path: str, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, name: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)  # type: ignore[arg-type]

    def create_module(self, _: Any) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.source, self.path, "exec"), module.__dict__)


def passes(tests: Sequence[str], prepare: Callable[[], None] = lambda: None) -> bool:
    """Whether all tests pass in a child, after `prepare` there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setpgid(0, 0)
            signal.alarm(PATIENCE)
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_PATIENCE, CPU_PATIENCE))
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nothing, stream)
            prepare()
            options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
            code = int(pytest.main([*options, *tests]))
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # what a killed one started
    return status == 0


def survives(name: str, path: str, source: str, tests: Sequence[str]) -> bool:
    """Whether all tests pass with that source."""

    def change() -> None:
        for loaded in [n for n in sys.modules if n.split(".")[0] == "fanin"]:
            if loaded != "fanin._core":
                del sys.modules[loaded]
        sys.meta_path.insert(0, _Changed(name, path, source))  # type: ignore[arg-type]

    return passes(tests, change)


def run(name: str, tests: Sequence[str], every: int = 1) -> tuple[int, list[Mutant]]:
    """How many mutants there were, and those that no test found."""
    import fanin  # noqa: F401  the child loads its compiled part only here

    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text()
    if not survives(name, spec.origin, source, tests):
        raise RuntimeError(f"the tests of {name} fail without a mutant")
    chosen = list(mutants(source))[::every]
    left = []
    for number, mutant in enumerate(chosen, 1):
        if survives(name, spec.origin, mutant.source, tests):
            left.append(mutant)
            print(f"{number}/{len(chosen)} {name} {mutant}", flush=True)
    return len(chosen), left


if __name__ == "__main__":
    total, alive = run(sys.argv[1], sys.argv[2:])
    print(f"{sys.argv[1]}: {total - len(alive)} of {total} found")
