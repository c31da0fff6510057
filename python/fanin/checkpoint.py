"""Archives of arrays, written atomically, and checked when they are read.

An archive is an uncompressed ``.npz`` that `numpy.load` reads too: one ``.npy`` for each array,
and ``header.npy``, the bytes of a JSON object with the format's name and version, the kind of
thing, the library's version and each array's shape, dtype and SHA-256. Nothing is ever pickled.
"""

from __future__ import annotations

import errno
import io
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import numpy as np

from fanin._core import __version__
from fanin._files import FileError, atomic_write, open_file, reading
from fanin._json import parse_json
from fanin._typing import Array, PathLike

# json, hashlib and zipfile are imported where they are used: they would take as long as fanin.
if TYPE_CHECKING:
    import zipfile

__all__ = ["FORMAT_VERSION", "atomic_write", "load_archive", "save_archive"]

FORMAT = "fanin"
FORMAT_VERSION = 1

_ZIP_MAGIC = b"PK\x03\x04"
_PLAIN_KINDS = "biufc"
_CHUNK = 1 << 20

Header = dict[str, Any]


def save_archive(path: PathLike, header: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Writes a header and arrays as one archive, atomically.

    Parameters
    ----------
    path : str or path
        Any extension.
    header : dict
        JSON values. ``kind`` is required: what the file holds, such as "network". The names
        ``format``, ``format_version``, ``version`` and ``arrays`` are the archive's own.
    arrays : dict of str to ndarray
        Booleans and numbers of any shape. The same contents give the same bytes.

    Examples
    --------
    >>> from fanin.checkpoint import load_archive, save_archive
    >>> save_archive("numbers.npz", {"kind": "numbers"}, {"a": np.arange(3)})
    >>> header, arrays = load_archive("numbers.npz", "numbers")
    >>> arrays["a"]
    array([0, 1, 2])
    """
    import json

    own = {"format", "format_version", "version", "arrays"}
    if "kind" not in header or own & set(header):
        raise ValueError(f"header: expected 'kind' and none of {sorted(own)}, got {sorted(header)}")
    members = {name: _plain(name, array) for name, array in arrays.items()}
    full = {"format": FORMAT, "format_version": FORMAT_VERSION, "version": __version__, **header}
    full["arrays"] = {name: _describe(array) for name, array in members.items()}
    text = json.dumps(full, allow_nan=False).encode()
    with atomic_write(path) as file, _written(file) as archive:
        _write_member(archive, "header", np.frombuffer(text, np.uint8))
        for name, array in members.items():
            _write_member(archive, name, array)


def load_archive(
    path: PathLike,
    kind: str | tuple[str, ...],
    place: Callable[[Header], Mapping[str, Array]] | None = None,
) -> tuple[Header, dict[str, Array]]:
    """Reads what `save_archive` wrote: the header, and the arrays in native byte order.

    Parameters
    ----------
    path : str or path
    kind : str or tuple of str
        The kind of file that is expected, or several; ``header["kind"]`` says which it is.
    place : callable, optional
        Gets the header, in which ``arrays`` has the shape and dtype of each array, and returns
        those into which arrays are read, by name: what is large is then in memory once.

    Returns
    -------
    header : dict
    arrays : dict of str to ndarray

    Raises
    ------
    FileError
        Where the file is corrupt, cut short, of another kind, or from a later version.
    OSError
        Where there is no such file, or it cannot be read.

    Examples
    --------
    >>> from fanin.checkpoint import load_archive, save_archive
    >>> save_archive("numbers.npz", {"kind": "numbers"}, {"a": np.arange(3)})
    >>> load_archive("numbers.npz", "numbers")[0]["kind"]
    'numbers'
    """
    kinds = (kind,) if isinstance(kind, str) else kind
    with open_file(path) as file:
        magic = file.read(len(_ZIP_MAGIC))
        if magic != _ZIP_MAGIC:
            found = "something else" if magic else "an empty file"
            raise FileError(path, f"expected a fanin {' or '.join(kinds)} file, got {found}")
        try:
            return _parse(file, path, kinds, place)
        except (MemoryError, FileError):
            raise
        except Exception as error:  # of zipfile, NumPy and json alike, over bytes without sense
            if isinstance(error, OSError) and error.errno == errno.EIO:
                raise
            reason = str(error) or type(error).__name__
            raise FileError(path, f"corrupt or cut short ({reason})") from error


def _parse(
    file: BinaryIO,
    path: PathLike,
    kinds: tuple[str, ...],
    place: Callable[[Header], Mapping[str, Array]] | None,
) -> tuple[Header, dict[str, Array]]:
    import zipfile

    kind = " or ".join(kinds)

    def refuse(reason: str) -> NoReturn:
        raise FileError(path, reason)

    size = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        members = {info.filename.removesuffix(".npy"): info for info in infos}
        if "header" not in members:
            refuse(f"expected a fanin {kind} file, got a zip archive without a header")
        # Stored, and no more in sum than the file has: then no archive can unfold into more.
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            refuse("expected an uncompressed archive, got compressed members")
        if sum(info.file_size for info in infos) > size or len(members) != len(infos):
            refuse("corrupt (members overlap or repeat)")
        text = _Member(archive, members.pop("header")).read().tobytes()
        header = _parse_header(text, path, kinds)
        wanted = header["arrays"]
        if set(wanted) != set(members):
            missing, extra = sorted(set(wanted) - set(members)), sorted(set(members) - set(wanted))
            refuse(f"corrupt (arrays missing: {missing}, unknown: {extra})")
        stored = {name: _Member(archive, info) for name, info in members.items()}
        for name, member in stored.items():
            if wanted[name] != {**member.facts(), "sha256": wanted[name].get("sha256")}:
                refuse(f"corrupt (array {name!r} is not what the header says)")
        places: Mapping[str, Array] = {}
        if place is not None:
            with reading(path, f"not a usable {kind}"):
                places = place(header)
        arrays = {}
        for name, expected in wanted.items():
            arrays[name] = stored[name].read(places.get(name))
            if stored[name].digest != expected["sha256"]:
                refuse(f"corrupt (array {name!r} is not what the header says)")
        del header["arrays"]
        return header, arrays


class _Member:
    """An array of an archive, whose shape and dtype are known before it is read."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        self.file, self.name = archive.open(info), info.filename
        if np.lib.format.read_magic(self.file) != (1, 0):
            raise ValueError(f"member {self.name!r} is no .npy file of version 1.0")
        self.shape, fortran, self.dtype = np.lib.format.read_array_header_1_0(self.file)
        if self.dtype.kind not in _PLAIN_KINDS or fortran:
            raise ValueError(f"member {self.name!r} holds {self.dtype}")
        # Compared before memory is claimed for it.
        if math.prod(self.shape) * self.dtype.itemsize != info.file_size - self.file.tell():
            raise ValueError(f"member {self.name!r} is not as long as its shape says")
        self.digest = ""

    def facts(self) -> dict[str, Any]:
        return {"shape": list(self.shape), "dtype": self.dtype.str}

    def read(self, place: Array | None = None) -> Array:
        """The array in native byte order, read into a given one, where it is alike."""
        import hashlib

        native = self.dtype.newbyteorder("=")
        out = np.empty(self.shape, native) if place is None else place
        if out.shape != self.shape or out.dtype != native:
            raise ValueError(f"member {self.name!r}: expected {out.shape} {out.dtype}")
        digest = hashlib.sha256()
        rest = out.reshape(-1).view(np.uint8).data
        while rest:
            part = self.file.read(min(_CHUNK, len(rest)))
            if not part:
                raise EOFError("it ends too early")
            digest.update(part)
            rest[: len(part)] = part
            rest = rest[len(part) :]
        self.file.read(1)  # nothing, but zipfile compares the CRC
        self.digest = digest.hexdigest()
        if native != self.dtype:
            out[...] = out.view(self.dtype)
        return out


def _parse_header(text: bytes, path: PathLike, kinds: tuple[str, ...]) -> Header:
    kind = " or ".join(kinds)
    header = parse_json(text, path, "header: ")
    if header.get("format") != FORMAT:
        raise FileError(path, f"expected a fanin {kind} file, got an archive of another program")
    version = header["format_version"]
    if not isinstance(version, int) or version > FORMAT_VERSION:
        written = f"written by fanin {header.get('version')} in format {version}"
        reads = f"this fanin {__version__} reads formats up to {FORMAT_VERSION}"
        raise FileError(path, f"{written}, but {reads}")
    if header["kind"] not in kinds:
        found = f"got a fanin {header['kind']} file"
        raise FileError(path, f"expected a fanin {kind} file, {found}")
    arrays = header["arrays"]
    if not isinstance(arrays, dict) or not all(isinstance(a, dict) for a in arrays.values()):
        raise FileError(path, "corrupt (the header's 'arrays' is no object of objects)")
    return header


def _plain(name: str, array: Array) -> Array:
    """The array in C order and little-endian, as it goes into the file."""
    if name == "header":
        raise ValueError("arrays: expected names other than 'header', got 'header'")
    if array.dtype.kind not in _PLAIN_KINDS:
        raise TypeError(f"{name}: expected an array of numbers or booleans, got {array.dtype}")
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _describe(array: Array) -> dict[str, Any]:
    import hashlib

    digest = hashlib.sha256(array.reshape(-1).view(np.uint8).data)
    return {"shape": list(array.shape), "dtype": array.dtype.str, "sha256": digest.hexdigest()}


@contextmanager
def _written(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    """An archive that is written into a file; after an exception it is left as it is.

    zipfile would close it, and where Ctrl-C came while it opened a member raise a ValueError.
    """
    import zipfile

    archive = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)
    try:
        yield archive
        archive.close()
    except BaseException:
        archive.fp = None  # as it is once closed
        raise


def _write_member(archive: zipfile.ZipFile, name: str, array: Array) -> None:
    import zipfile

    info = zipfile.ZipInfo(f"{name}.npy")  # dated 1980: the same contents, the same bytes
    info.create_system = 3
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(array))
    size = head.tell() + array.nbytes
    with archive.open(info, "w", force_zip64=size > zipfile.ZIP64_LIMIT) as file:
        file.write(head.getvalue())
        values = array.reshape(-1).view(np.uint8).data
        for start in range(0, len(values), _CHUNK):  # NumPy would copy 16 MiB at a time
            file.write(values[start : start + _CHUNK])
