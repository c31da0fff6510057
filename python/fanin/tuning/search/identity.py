"""What an objective function is: its code and the data that it uses, as JSON values.

A search's log holds it, so that an edited function is not taken for the one that was logged.
"""

from __future__ import annotations

import ast
import contextlib
import dis
import functools
import hashlib
import inspect
import itertools
import json
import linecache
import site
import sysconfig
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from fanin._json import loggable, plain

LONGEST = 1000  # characters of a container's values in the log
DEEPEST = 8  # levels of containers, and of functions that call functions
# What an objective calls these of, it writes to: a list of calls so far is no part of the question.
WRITING = {
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "move_to_end", "pop",
    "popitem", "popleft", "put", "remove", "reverse", "setdefault", "sort", "update", "write",
}  # fmt: skip


def identity(function: Callable[..., Any]) -> Any:
    """The function's name and, where it is not one of an installed package, code and data."""
    return _of_callable(function, DEEPEST, set())


def _of_callable(function: Any, depth: int, seen: set[int]) -> Any:
    if isinstance(function, functools.partial):
        given = {"args": function.args, **function.keywords}
        inner = _of_callable(function.func, depth - 1, seen)
        return {"partial": inner, "with": _of_value(given, depth - 1, seen)}
    if isinstance(function, types.MethodType):
        if isinstance(function.__func__, types.FunctionType):
            return _of_method(function.__func__, function.__self__, depth, seen)
        return plain(function)
    if isinstance(function, types.FunctionType):
        return _of_function(function, depth, seen)
    if isinstance(function, type):
        return _of_class(function)
    call = vars(type(function)).get("__call__")
    if isinstance(call, types.FunctionType) and _is_users(type(function)):
        return _of_method(call, function, depth, seen)
    return plain(function)


def _of_method(function: types.FunctionType, owner: Any, depth: int, seen: set[int]) -> Any:
    """With the object's attributes, but those that it writes to."""
    written = _written(function, _definition(function))
    own = {k: v for k, v in vars(owner).items() if f"self.{k}" not in written}
    return {**_of_function(function, depth, seen), "self": _of_value(own, depth - 1, seen)}


def _of_function(function: types.FunctionType, depth: int, seen: set[int]) -> dict[str, Any]:
    name = f"{function.__module__}.{function.__qualname__}"
    if id(function) in seen or depth < 0 or not _is_users(function):
        return {"name": name}
    seen.add(id(function))
    node = _definition(function)
    result: dict[str, Any] = {"name": name}
    if node is None:
        result |= {"bytecode": _digest(function.__code__)}
    else:
        result |= {"source": ast.unparse(node).splitlines()}
    written = _written(function, node)
    uses = {
        name: _of_value(value, depth - 1, seen)
        for name, value in sorted(_used(function))
        if name not in written
    }
    known = {name: value for name, value in uses.items() if value is not None}
    return result | ({"uses": known} if known else {})


def _used(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """What the function reads beside its arguments: closure, defaults, globals."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not set yet
            continue
    parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
    for parameter in parameters:
        if parameter.default is not parameter.empty:
            yield f"{parameter.name}=", parameter.default
    for name in sorted(set(_global_names(function.__code__))):
        if name in function.__globals__:
            yield name, function.__globals__[name]


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code, and that of the functions and comprehensions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _global_names(code: types.CodeType) -> Iterator[str]:
    for part in _codes(code):
        for instruction in dis.get_instructions(part):
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                yield instruction.argval


def _written(function: types.FunctionType, node: ast.AST | None) -> set[str]:
    """Names, and attributes ``self.name``, of what the function changes."""
    if node is None:
        return {
            str(first.argval)
            for code in _codes(function.__code__)
            for first, then in itertools.pairwise(dis.get_instructions(code))
            if then.argval in WRITING or then.opname.startswith("STORE_ATTR")
        }
    found: set[str] = set()
    for item in ast.walk(node):
        if isinstance(item, ast.Global | ast.Nonlocal):
            found.update(item.names)
        elif isinstance(item, ast.Subscript | ast.Attribute):
            changed = isinstance(item.ctx, ast.Store | ast.Del)
            if changed or (isinstance(item, ast.Attribute) and item.attr in WRITING):
                found.add(_root(item, changed=changed))
    return found


def _root(item: ast.Subscript | ast.Attribute, *, changed: bool) -> str:
    """What a change of an item or attribute, or a call of a method, changes."""
    target: ast.expr = item if changed else item.value
    while isinstance(target, ast.Subscript) or (
        isinstance(target, ast.Attribute) and not isinstance(target.value, ast.Name)
    ):
        target = target.value
    if isinstance(target, ast.Attribute):
        assert isinstance(target.value, ast.Name)
        name = target.value.id
        return f"self.{target.attr}" if name == "self" else name
    return target.id if isinstance(target, ast.Name) else ""


def _of_value(value: Any, depth: int, seen: set[int]) -> Any:
    """A value as JSON; None for what has no values of its own, such as modules and files."""
    if depth < 0 or isinstance(value, types.ModuleType):
        return None
    if isinstance(value, (types.FunctionType, types.MethodType, functools.partial)):
        return _of_callable(value, depth, seen)
    if isinstance(value, type):
        return _of_class(value)
    if value is None:
        return "None"
    if isinstance(value, (bool, int, float, str, np.generic)):
        try:
            return loggable("", value)
        except ValueError:  # a long integer, or text with half of a pair of surrogates
            text = hex(value) if isinstance(value, int) else str(value)
            return {"sha256": hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()}
    if isinstance(value, bytes):
        return {"sha256": hashlib.sha256(value).hexdigest()}
    if isinstance(value, np.ndarray):
        return plain(value) if value.dtype != object else _of_value(value.tolist(), depth, seen)
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return _short(_of_container(value, depth, seen))
    if hasattr(value, "__array__"):  # tables and tensors
        with contextlib.suppress(Exception):  # some are not on this device
            return _of_value(np.asarray(value), depth, seen)
        return None
    if _is_users(type(value)) and id(value) not in seen:
        seen.add(id(value))
        own = _of_value(getattr(value, "__dict__", {}), depth - 1, seen)
        return {"class": _of_class(type(value)), "self": own}
    return None


def _of_container(value: Any, depth: int, seen: set[int]) -> Any:
    if isinstance(value, Mapping):
        inner = {str(key): _of_value(item, depth - 1, seen) for key, item in value.items()}
        return {key: item for key, item in sorted(inner.items()) if item is not None}
    items = [_of_value(item, depth - 1, seen) for item in value]
    return sorted(items, key=str) if isinstance(value, (set, frozenset)) else items


def _short(value: Any) -> Any:
    """The value, or a hash of one that is long."""
    text = json.dumps(value, sort_keys=True)
    if len(text) <= LONGEST:
        return value
    return {"sha256": hashlib.sha256(text.encode()).hexdigest()}


def _of_class(kind: type) -> Any:
    name = f"{kind.__module__}.{kind.__qualname__}"
    if not _is_users(kind):
        return name
    try:
        source = inspect.getsource(kind)
        return {
            "name": name,
            "source": ast.unparse(ast.parse(inspect.cleandoc(source))).splitlines(),
        }
    except (OSError, TypeError, SyntaxError):
        return name


def _is_users(thing: Any) -> bool:
    """Whether it is of no installed package, so that its code may be edited between two runs."""
    name = getattr(thing, "__module__", None)
    if name is None or name == "builtins" or name.partition(".")[0] == "fanin":
        return False
    code = getattr(thing, "__code__", None)
    path = code.co_filename if code is not None else _file_of(thing)
    return path is not None and not path.startswith(_installed())


def _file_of(kind: Any) -> str | None:
    try:
        return inspect.getfile(kind)
    except (OSError, TypeError):
        return None


@functools.cache
def _installed() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return (*(sysconfig.get_path(name) for name in names), *site.getsitepackages())


def _definition(function: types.FunctionType) -> ast.AST | None:
    """The function in its source file, without comments; None where it is not to be found."""
    code = function.__code__
    lines = linecache.getlines(code.co_filename, function.__globals__)
    try:
        tree = _parsed("".join(lines))
    except (SyntaxError, ValueError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == code.co_firstlineno:
                return node
        elif (
            isinstance(node, ast.Lambda)
            and code.co_name == "<lambda>"
            and _span(node.body) == _body_span(code)
        ):
            return node
    return None


@functools.lru_cache(maxsize=4)
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def _span(node: ast.expr) -> tuple[Any, Any]:
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def _body_span(code: types.CodeType) -> tuple[Any, Any]:
    """From where to where the expression goes that a lambda returns."""
    parts = [p for p in code.co_positions() if None not in p and p[2] != p[3]]
    if not parts:
        return None, None
    return min((p[0], p[2]) for p in parts), max((p[1], p[3]) for p in parts)


def _digest(code: types.CodeType) -> str:
    """Of the compiled function, where there is no source; another Python compiles another one."""
    text = repr([(c.co_code, c.co_names, _constants(c)) for c in _codes(code)])
    return hashlib.sha256(text.encode()).hexdigest()


def _constants(code: types.CodeType) -> list[str]:
    return [
        repr(sorted(map(repr, c)) if isinstance(c, frozenset) else c)
        for c in code.co_consts
        if not isinstance(c, types.CodeType)
    ]
