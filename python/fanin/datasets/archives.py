"""Data sets in .npz archives."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fanin._files import FileError, open_file
from fanin._typing import Array
from fanin.datasets.reading import Dataset

KEYS: dict[str, tuple[str, ...]] = {
    "X": ("X", "x", "X_train", "x_train"),
    "y": ("y", "Y", "y_train"),
    "X_val": ("X_val", "x_val", "X_valid", "x_valid", "X_validation", "x_validation"),
    "y_val": ("y_val", "Y_val", "y_valid", "y_validation"),
    "X_test": ("X_test", "x_test"),
    "y_test": ("y_test", "Y_test"),
}


# What an archive may unfold to: so many times its size, or so many bytes where that is more.
RATIO, LEAST = 100, 64 << 20


def read_npz(path: Path) -> Dataset:
    """X, perhaps y, and X_val and y_val, X_test and y_test where both are there."""
    with open_file(path) as file, _intact(path), zipfile.ZipFile(_checked(file)) as archive:
        infos = archive.infolist()
        members = {info.filename.removesuffix(".npy"): info for info in infos}
        if len(members) != len(infos):
            raise ValueError("two arrays of one name")
        chosen = {
            name: next((members[key] for key in keys if key in members), None)
            for name, keys in KEYS.items()
        }
        check_unfolded(path, file, sum(info.file_size for info in chosen.values() if info))
        found: dict[str, Any] = {
            name: None if info is None else _array(archive, info) for name, info in chosen.items()
        }
        names = ", ".join(members) or "nothing"
    X = found.pop("X")
    if X is None:
        raise FileError(path, f"expected arrays X and y, got {names}")
    for part in ("test", "val"):
        if (found[f"X_{part}"] is None) != (found[f"y_{part}"] is None):
            expected = f"both X_{part} and y_{part} or neither"
            raise FileError(path, f"expected {expected}, got {names}")
    return Dataset(X, found.pop("y"), **found, source=str(path))


def check_unfolded(path: Path, file: BinaryIO, size: int) -> None:
    """Refuses a file that would unfold to far more than itself, before it does."""
    most = max(LEAST, RATIO * os.fstat(file.fileno()).st_size)
    if size > most:
        raise FileError(
            path,
            f"expected at most {most >> 20} MiB when unfolded ({RATIO} times its size, or "
            f"{LEAST >> 20} MiB), got {size >> 20} MiB; one that is not compressed (numpy.savez) "
            "may be of any size",
        )


def _checked(file: BinaryIO) -> BinaryIO:
    magic = file.read(6)
    if magic == b"\x93NUMPY":
        raise ValueError("it holds a single array")
    if magic[:2] != b"PK":
        raise ValueError("it is no zip archive")
    return file


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    """An array whose header was compared with the archive's before memory is claimed."""
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{info.filename} is of version {version}")
        read = np.lib.format.read_array_header_1_0
        if version == (2, 0):
            read = np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        if dtype.hasobject:
            raise ValueError(f"{info.filename} holds Python objects")
        if math.prod(shape) * dtype.itemsize != info.file_size - file.tell():
            raise ValueError(f"{info.filename} is not as long as its shape {shape} says")
        flat = np.empty(math.prod(shape), dtype)
        rest = flat.view(np.uint8).data if flat.nbytes else memoryview(b"")
        while rest and (part := file.read(min(len(rest), 1 << 20))):
            rest[: len(part)] = np.frombuffer(part, np.uint8).data
            rest = rest[len(part) :]
        if rest or file.read(1):  # the end has the checksum
            raise ValueError(f"{info.filename} is not as long as it says")
    if dtype.kind == "U" and flat.nbytes and flat.view(dtype.str[0] + "u4").max() > sys.maxunicode:
        raise ValueError(f"{info.filename} holds numbers that are no characters")
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


@contextlib.contextmanager
def _intact(path: Path) -> Iterator[None]:
    try:
        yield
    except (FileError, MemoryError):
        raise
    except Exception as error:  # zipfile and NumPy raise a dozen kinds on damaged files
        if isinstance(error, OSError) and error.filename is not None:
            raise
        reason = str(error) or type(error).__name__
        raise FileError(path, f"not a readable .npz archive of plain arrays ({reason})") from None
