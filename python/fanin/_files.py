"""Files that are written whole or not at all, and numbers in JSON."""

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
    """A binary file that takes the place of ``path`` when the block ends well.

    The bytes go to a temporary file in the same folder, which is flushed to disk and then renamed.
    After an exception the temporary file is removed and ``path`` unchanged. Symbolic links are
    followed.

    Parameters
    ----------
    path : str or path

    Raises
    ------
    OSError
        Where the folder or the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".fanin-{os.urandom(8).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(temporary, flags, 0o666)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        try:
            temporary.replace(target)
        except OSError as error:
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def write_text(path: PathLike, text: str) -> None:
    """Writes text as UTF-8, whole or not at all."""
    with atomic_write(path) as file:
        file.write(text.encode())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows opens no folders; its rename is journalled
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def json_number(value: float | None) -> float | str | None:
    """The number for JSON, which knows no NaN and no infinity: those as "nan", "inf", "-inf"."""
    return value if value is None or math.isfinite(value) else repr(float(value))
