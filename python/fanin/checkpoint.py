"""Archives of arrays, written atomically, and checked when they are read.

An archive is an uncompressed ``.npz`` that `numpy.load` reads too: one ``.npy`` for each array,
and ``header.npy``, the bytes of a JSON object with the format's name and version, the kind of
thing, the library's version and each array's shape, dtype and SHA-256. Nothing is ever pickled.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fanin._core import __version__
from fanin._files import FileError, atomic_write
from fanin._typing import Array, PathLike

# json, hashlib and zipfile are imported where they are used: they would take as long as fanin.
if TYPE_CHECKING:
    import zipfile

__all__ = ["FORMAT_VERSION", "atomic_write", "load_archive", "save_archive"]

FORMAT = "fanin"
FORMAT_VERSION = 1

_ZIP_MAGIC = b"PK\x03\x04"
_PLAIN_KINDS = "biufc"


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
    """
    import json
    import zipfile

    own = {"format", "format_version", "version", "arrays"}
    if "kind" not in header or own & set(header):
        raise ValueError(f"header: expected 'kind' and none of {sorted(own)}, got {sorted(header)}")
    members = {name: _plain(name, array) for name, array in arrays.items()}
    full = {"format": FORMAT, "format_version": FORMAT_VERSION, "version": __version__, **header}
    full["arrays"] = {name: _describe(array) for name, array in members.items()}
    text = json.dumps(full, allow_nan=False).encode()
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _write_member(archive, "header", np.frombuffer(text, np.uint8))
        for name, array in members.items():
            _write_member(archive, name, array)


def load_archive(
    path: PathLike, kind: str | tuple[str, ...]
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Reads what `save_archive` wrote: the header, and the arrays in native byte order.

    Parameters
    ----------
    path : str or path
    kind : str or tuple of str
        The kind of file that is expected, or several; ``header["kind"]`` says which it is.

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
    """
    kinds = (kind,) if isinstance(kind, str) else kind
    expected = f"expected a fanin {' or '.join(kinds)} file"
    with open(path, "rb") as file:  # noqa: PTH123  a path as given, for the error's text
        data = file.read(len(_ZIP_MAGIC))
        if data != _ZIP_MAGIC:
            found = "something else" if data else "an empty file"
            raise FileError(path, f"{expected}, got {found}")
        data += file.read()
    try:
        return _parse(data, kinds, expected)
    except MemoryError:
        raise
    except Exception as error:  # of zipfile, NumPy and json alike, over bytes that make no sense
        reason = str(error) or type(error).__name__
        if not isinstance(error, _RefusedError):
            reason = f"corrupt or cut short ({reason})"
        raise FileError(path, reason) from error


class _RefusedError(ValueError):
    """An error whose message needs no prefix."""


def _parse(
    data: bytes, kinds: tuple[str, ...], expected: str
) -> tuple[dict[str, Any], dict[str, Array]]:
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        members = {info.filename.removesuffix(".npy"): info for info in infos}
        if "header" not in members:
            raise _RefusedError(f"{expected}, got a zip archive without a header")
        # Stored, and no more in sum than the file has: then no archive can unfold into more.
        if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
            raise _RefusedError("expected an uncompressed archive, got compressed members")
        if sum(info.file_size for info in infos) > len(data) or len(members) != len(infos):
            raise _RefusedError("corrupt (members overlap or repeat)")
        text = _read_member(archive, members.pop("header")).tobytes()
        header = _parse_header(text, kinds, expected)
        wanted = header.pop("arrays")
        if set(wanted) != set(members):
            missing, extra = sorted(set(wanted) - set(members)), sorted(set(members) - set(wanted))
            raise _RefusedError(f"corrupt (arrays missing: {missing}, unknown: {extra})")
        arrays = {}
        for name, described in wanted.items():
            array = _read_member(archive, members[name])
            if _describe(array) != described:
                raise _RefusedError(f"corrupt (array {name!r} is not what the header says)")
            arrays[name] = array.astype(array.dtype.newbyteorder("="), copy=False)
        return header, arrays


def _parse_header(text: bytes, kinds: tuple[str, ...], expected: str) -> dict[str, Any]:
    import json

    header = json.loads(text)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise _RefusedError(f"{expected}, got an archive of another program")
    version = header["format_version"]
    if not isinstance(version, int) or version > FORMAT_VERSION:
        written = f"written by fanin {header.get('version')} in format {version}"
        reads = f"this fanin {__version__} reads formats up to {FORMAT_VERSION}"
        raise _RefusedError(f"{written}, but {reads}")
    if header["kind"] not in kinds:
        raise _RefusedError(f"{expected}, got a fanin {header['kind']} file")
    if not isinstance(header["arrays"], dict):
        raise _RefusedError("corrupt (the header's 'arrays' is no object)")
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


def _write_member(archive: zipfile.ZipFile, name: str, array: Array) -> None:
    import zipfile

    info = zipfile.ZipInfo(f"{name}.npy")  # dated 1980: the same contents, the same bytes
    info.create_system = 3
    with archive.open(info, "w", force_zip64=array.nbytes >= 2**31) as file:
        np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    file = io.BytesIO(archive.read(info))
    if np.lib.format.read_magic(file) != (1, 0):
        raise _RefusedError(f"corrupt (member {info.filename!r} is no .npy file of version 1.0)")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind not in _PLAIN_KINDS or fortran_order:
        raise _RefusedError(f"corrupt (member {info.filename!r} holds {dtype})")
    # A view of the bytes, so that a forged shape cannot allocate memory.
    return np.frombuffer(file.getbuffer()[file.tell() :], dtype).reshape(shape).copy()
