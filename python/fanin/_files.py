"""Files that are written atomically, and JSON that is checked when it is read."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from fanin._typing import PathLike

_SEAL = b'"sha256": "'


class FileError(ValueError):
    """A file is not what was expected, or is not as it was written.

    Attributes
    ----------
    path : str
    reason : str
    """

    def __init__(self, path: PathLike, reason: str) -> None:
        super().__init__(os.fspath(path), reason)

    @property
    def path(self) -> str:
        return str(self.args[0])

    @property
    def reason(self) -> str:
        return str(self.args[1])

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@contextmanager
def atomic_write(path: PathLike) -> Iterator[BinaryIO]:
    """A binary file that replaces ``path`` if the block raises nothing.

    The bytes go to a temporary file in the same folder, which is flushed to disk and then renamed.
    After an exception the temporary file is removed and ``path`` is unchanged.

    Parameters
    ----------
    path : str or path
        Symbolic links are followed. The OSError of a failed write names it.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".fanin-{os.urandom(8).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with _named(path):
        descriptor = os.open(temporary, flags, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with _named(path):
            temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    if os.name != "nt":  # Windows opens no folders; its rename is journalled
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _named(path: PathLike) -> Iterator[None]:
    """An OSError in the block names ``path``, not the temporary file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def write_text(path: PathLike, text: str) -> None:
    """Writes text as UTF-8, atomically."""
    with atomic_write(path) as file:
        file.write(text.encode())


def json_number(value: float | None) -> float | str | None:
    """The number as JSON has it; NaN and infinities as "nan", "inf", "-inf"."""
    return value if value is None or math.isfinite(value) else repr(float(value))


def to_json(record: Mapping[str, Any], indent: int | None = None) -> bytes:
    """The record as an object of JSON whose last member is the SHA-256 of all before it."""
    import hashlib
    import json

    text = json.dumps(record, allow_nan=False, indent=indent).encode()
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
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)!r} stands twice")
    return record


def _refuse_number(text: str) -> float:
    raise ValueError(f"expected finite numbers, got {text}")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse_number(text)
