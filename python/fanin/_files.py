"""Files that are written atomically, and numbers in JSON."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from fanin._typing import PathLike


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
