"""Values as JSON has them: what logs hold, and what files compare to know what they belong to."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fanin import _validate
from fanin._files import json_number

LONGEST_INT = 10**4300  # Python reads no longer ones from text


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
        import hashlib

        values = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        sha256 = hashlib.sha256(values.data).hexdigest()
        return {"shape": list(value.shape), "dtype": str(value.dtype), "sha256": sha256}
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    text = repr(value)
    if " at 0x" in text:  # an address, which differs in each process
        return {plain(type(value)): plain(getattr(value, "__dict__", {}))}
    return text


def loggable(name: str, value: Any) -> Any:
    """`plain`, where JSON has it as any program reads it; else a ValueError that names it.

    Some objects have no text, since their ``__repr__`` raises; some text is no Unicode, since half
    of a pair of surrogates stands alone in it; and Python reads no integer of 4,301 digits.
    """
    import json

    try:
        found = plain(value)
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode()
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
