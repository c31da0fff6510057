"""JSON: values as it has them, and objects with a checksum that are checked when read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from fanin import _validate
from fanin._files import FileError
from fanin._typing import Array, PathLike

LONGEST_INT = 10**4300  # Python reads no longer ones from text
BLOCK = 1 << 24  # bytes between which Ctrl-C is looked for
_SEAL = b'"sha256": "'


# Values


def json_number(value: float | None) -> float | str | None:
    """The number as JSON has it; NaN and infinities as "nan", "inf", "-inf"."""
    return value if value is None or math.isfinite(value) else repr(float(value))


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers, names and lists of them as they are, all else by repr."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    # Of subclasses the plain value, whose own methods may do anything.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        if abs(number := int.__index__(value)) >= LONGEST_INT:
            raise ValueError("expected an int of at most 4,300 digits, got a longer one")
        return number
    if isinstance(value, float):
        return json_number(float.__float__(value))
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return {"shape": list(value.shape), "dtype": str(value.dtype), "sha256": _sha256(value)}
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    text = repr(value)
    if " at 0x" in text:  # an address, which differs in each process
        return {plain(type(value)): plain(getattr(value, "__dict__", {}))}
    return text


def _sha256(array: Array) -> str:
    import hashlib

    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    digest = hashlib.sha256()
    for begin in range(0, len(data), BLOCK):
        digest.update(data[begin : begin + BLOCK])
    return digest.hexdigest()


def loggable(name: str, value: Any) -> Any:
    """`plain`, where JSON has it as any program reads it; else a ValueError that names it.

    Some objects have no text, since their ``__repr__`` raises; some text is no Unicode, since half
    of a pair of surrogates stands alone in it; and Python reads no integer of 4,301 digits.
    """
    import json

    try:
        found = plain(value)
        json.dumps(found, ensure_ascii=False).encode()
    except Exception as error:
        got = f"{_validate.describe(value)} ({type(error).__name__})"
        raise ValueError(f"{name}: expected what JSON can hold, got {got}") from error
    return found


def differences(found: Any, expected: Any, name: str = "") -> Iterator[str]:
    """Where two JSON values differ, in words."""
    if name.endswith(".source") and isinstance(found, list) and isinstance(expected, list):
        lines = itertools.zip_longest(found, expected, fillvalue="nothing")
        for number, (there, here) in enumerate(lines, 1):
            if there != here:
                of = name.removesuffix(".source")
                yield f"line {number} of {of} is {there!r} there, {here!r} here"
                return
    elif isinstance(found, Mapping) and isinstance(expected, Mapping):
        for key in dict.fromkeys([*found, *expected]):
            there, here = found.get(key, "nothing"), expected.get(key, "nothing")
            yield from differences(there, here, f"{name}.{key}" if name else key)
    elif found != expected and name.endswith(".sha256"):
        yield f"{name.removesuffix('.sha256')} has other values"
    elif found != expected:
        yield f"{name} is {found!r} there, {expected!r} here"


# Objects


def to_json(
    record: Mapping[str, Any], indent: int | None = None, *, in_html: bool = False
) -> bytes:
    """The record as an object of JSON whose last member is the SHA-256 of all before it."""
    import hashlib
    import json

    text = json.dumps(record, allow_nan=False, indent=indent).encode()
    if in_html:  # where a "<" could end the script that it stands in
        text = text.replace(b"<", b"\\u003c")
    space, end = (b" ", b"") if indent is None else (b"\n" + b" " * indent, b"\n")
    head = text.removesuffix(b"}").rstrip() + (b"," + space if record else b"")
    digest = hashlib.sha256(head).hexdigest().encode()
    return head + _SEAL + digest + b'"' + end + b"}"


def from_json(text: bytes, path: PathLike, where: str = "") -> dict[str, Any]:
    """The record that `to_json` wrote.

    Parameters
    ----------
    text : bytes
    path : str or path
    where : str
        Stands before the reason, such as "line 7: ".

    Raises
    ------
    FileError
        Where the text is not as it was written.
    """
    import hashlib

    record = parse_json(text, path, where)
    head, found, _ = text.rpartition(_SEAL)
    digest = record.pop("sha256", None)
    if not found or digest is None:
        raise FileError(path, f"{where}expected a checksum at the end of the object, got none")
    if digest != hashlib.sha256(head).hexdigest():
        raise FileError(path, f"{where}changed since it was written (the checksum differs)")
    return record


def from_any_json(text: bytes, path: PathLike, names: Collection[str]) -> dict[str, Any]:
    """The record of those names that `to_json` wrote, or an earlier version without a checksum."""
    if b'"sha256"' in text:
        return from_json(text, path)
    record = parse_json(text, path)
    if unknown := sorted(set(record) - set(names)):
        raise FileError(path, f"expected a checksum, or only the names of old; got {unknown[0]!r}")
    return record


def parse_json(text: bytes, path: PathLike, where: str = "") -> dict[str, Any]:
    """An object of JSON: finite numbers, no name twice.

    Raises
    ------
    FileError
        Where the text is not one.
    """
    import json

    try:
        record = json.loads(
            text.decode(),
            object_pairs_hook=_unique,
            parse_constant=_refuse_number,
            parse_float=_finite,
        )
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"{where}expected an object of JSON ({error})") from None
    if not isinstance(record, dict):
        raise FileError(path, f"{where}expected an object of JSON, got a {type(record).__name__}")
    return record


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"{name!r} stands twice")
            seen.add(name)
    return record


def _refuse_number(text: str) -> float:
    raise ValueError(f"expected finite numbers, got {text}")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse_number(text)
