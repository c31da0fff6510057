"""Data sets known by name: where they are looked for, downloaded from, and how they are read."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fanin._files import FileError, atomic_write, make_folder, open_file, read_file
from fanin._typing import Bytes, Ints
from fanin.datasets.archives import check_unfolded, read_npz
from fanin.datasets.reading import Dataset

SYSTEM_FOLDER = Path("/usr/share/datasets")  # Debian's dataset-fashion-mnist
TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 20

Parts = tuple[Bytes, Ints, Bytes, Ints]  # X, y, X_test, y_test

_TRAIN_X, _TRAIN_Y = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
_TEST_X, _TEST_Y = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
_CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
            "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")  # fmt: skip
_DIGITS = tuple("0123456789")
_CIFAR = "cifar-10-binary.tar.gz"
_CIFAR_BATCHES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
_CIFAR_ROW = 1 + 3 * 32 * 32


@dataclass(frozen=True)
class Known:
    """A data set on the web: its files with their SHA-256, and the names of its classes."""

    url: str
    files: Mapping[str, str]
    class_names: tuple[str, ...]
    most: int = 32 << 20  # bytes of a file: a download that goes on is given up


# Fashion-MNIST's sums were checked against Debian's copy; the others are those published by
# TensorFlow Datasets.
KNOWN = {
    "fashion-mnist": Known(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        {
            _TRAIN_X: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            _TRAIN_Y: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            _TEST_X: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            _TEST_Y: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
        _CLOTHES,
    ),
    "mnist": Known(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            _TRAIN_X: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            _TRAIN_Y: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            _TEST_X: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            _TEST_Y: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        _DIGITS,
    ),
    "cifar10": Known(
        "https://www.cs.toronto.edu/~kriz/",
        {_CIFAR: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
        ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        192 << 20,
    ),
}


def digits() -> Dataset:
    """The UCI digits of the package. Sorted by class, every fifth image is a test image."""
    with np.load(Path(__file__).parents[1] / "data" / "digits.npz", allow_pickle=False) as archive:
        X, y, source = archive["X"], archive["y"].astype(np.int64), str(archive["attribution"])
    test = np.zeros(len(y), dtype=bool)
    test[np.argsort(y, kind="stable")[::5]] = True
    return Dataset(X[~test], y[~test], X[test], y[test], _DIGITS, source=source)


def read(name: str) -> Dataset:
    """``name`` from FANIN_DATA, the system, the user's cache or the web, in this order."""
    if name == "digits":
        return digits()
    found = installed(name) or _read_from(name, download(name))
    assert found is not None
    return found


def installed(name: str) -> Dataset | None:
    """``name``, where it is on this machine already."""
    return next(filter(None, (_read_from(name, folder) for folder in folders(name))), None)


def folders(name: str) -> Iterator[Path]:
    """Where ``name`` is looked for."""
    if root := os.environ.get("FANIN_DATA"):
        yield Path(root) / name
    yield SYSTEM_FOLDER / name
    yield cache_folder(name)


def cache_folder(name: str) -> Path:
    """Where ``name`` is downloaded to: below XDG_CACHE_HOME, else ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "fanin", name)


def _read_from(name: str, folder: Path) -> Dataset | None:
    """The data set, or None where it is not all there."""
    names = KNOWN[name].class_names
    parts = _cifar_parts(folder) if name == "cifar10" else _idx_parts(folder)
    if parts is not None:
        return Dataset(*parts, class_names=names, source=str(folder))
    for pattern in (f"{name}.npz", f"{name}[-_]*.npz"):
        for archive in sorted(folder.parent.glob(pattern)):
            found = read_npz(archive)
            if found.y is not None and set(np.unique(found.y)) == set(range(len(names))):
                found.class_names = names
            return found
    return None


def _idx_parts(folder: Path) -> Parts | None:
    packed = [folder / name for name in (_TRAIN_X, _TRAIN_Y, _TEST_X, _TEST_Y)]
    paths = [path if path.is_file() else path.with_suffix("") for path in packed]
    if not all(path.is_file() for path in paths):
        return None
    X, y, X_test, y_test = map(read_idx, paths)
    return X, y.astype(np.int64), X_test, y_test.astype(np.int64)


def read_idx(path: Path) -> Bytes:
    """An IDX file of bytes, gzip-compressed or not (the format of MNIST's authors)."""
    try:
        with open_file(path) as stored, _unpacked(path, stored) as file:
            magic = file.read(4)
            if len(magic) < 4 or magic[:3] != b"\0\0\x08" or not 1 <= magic[3] <= 3:
                raise FileError(path, f"expected an IDX file of bytes, got magic {magic.hex()}")
            shape = struct.unpack(f">{magic[3]}I", file.read(4 * magic[3]))
            if math.prod(shape) > 2**40:
                raise EOFError(f"its header promises shape {shape}")
            check_unfolded(path, stored, math.prod(shape))
            result = np.empty(shape, dtype=np.uint8)
            rest = memoryview(result.reshape(-1).data)
            while rest and (count := file.readinto(rest[:CHUNK])):
                rest = rest[count:]
            if rest or file.read(1):
                raise EOFError(f"its header promises {result.size} bytes")
            return result
    except FileError:
        raise
    except (EOFError, ValueError, struct.error, zlib.error, gzip.BadGzipFile, MemoryError) as error:
        raise FileError(path, f"damaged IDX file ({error})") from None


def _unpacked(path: Path, file: BinaryIO) -> Any:
    """The file, or what gzip makes of it."""
    return gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file


def _cifar_parts(folder: Path) -> Parts | None:
    contents = _cifar_contents(folder)
    if contents is None:
        return None
    *train, (X_test, y_test) = map(_cifar_batch, _CIFAR_BATCHES, contents)
    X, y = (np.ascontiguousarray(np.concatenate(parts)) for parts in zip(*train, strict=True))
    return X, y, np.ascontiguousarray(X_test), y_test


def _cifar_contents(folder: Path) -> list[bytes] | None:
    for place in (folder, folder / "cifar-10-batches-bin"):
        if all((place / name).is_file() for name in _CIFAR_BATCHES):
            return [read_file(place / name) for name in _CIFAR_BATCHES]
    path = folder / _CIFAR
    if not path.is_file():
        return None
    import tarfile

    damages = (tarfile.TarError, KeyError, ValueError, OverflowError, EOFError, zlib.error)
    try:
        with (
            open_file(path) as stored,
            _Unfolding(path, stored) as plain,
            tarfile.open(fileobj=plain, mode="r:") as archive,
        ):
            members = {Path(member.name).name: member for member in archive if member.isfile()}
            chosen = [members[name] for name in _CIFAR_BATCHES]
            check_unfolded(path, stored, sum(member.size for member in chosen))
            files = [archive.extractfile(member) for member in chosen]
            return [file.read() for file in files if file is not None]
    except FileError:
        raise
    except (*damages, gzip.BadGzipFile) as error:
        raise FileError(path, f"damaged archive ({error})") from None


class _Unfolding(gzip.GzipFile):
    """What gzip makes of a file: a header within may say that it has any length."""

    def __init__(self, path: Path, stored: BinaryIO) -> None:
        super().__init__(fileobj=stored, mode="rb")
        self._path, self._stored, self._taken = path, stored, 0

    def read(self, size: int | None = -1) -> bytes:
        self._taken += max(size or 0, 0)
        check_unfolded(self._path, self._stored, self._taken)
        return super().read(size)


def _cifar_batch(name: str, content: bytes) -> tuple[Bytes, Ints]:
    """Rows of one label and 3 planes of 32 x 32 as (N, 32, 32, 3)."""
    if not content or len(content) % _CIFAR_ROW:
        raise FileError(name, f"expected rows of {_CIFAR_ROW} bytes, got {len(content)} bytes")
    rows = np.frombuffer(content, dtype=np.uint8).reshape(-1, _CIFAR_ROW)
    return rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), rows[:, 0].astype(np.int64)


def download(name: str) -> Path:
    """Downloads the files of ``name`` into the user's cache, each checked, or not at all."""
    known, folder = KNOWN[name], cache_folder(name)
    for filename, checksum in known.files.items():
        if (folder / filename).is_file():
            continue
        try:
            _fetch(known.url + filename, folder / filename, checksum, known.most)
        except OSError as error:
            looked = ", ".join(map(str, folders(name)))
            raise OSError(
                f"{name}: not found in {looked}, and the download of {known.url}{filename} failed "
                f"({getattr(error, 'reason', None) or error}). Put {', '.join(known.files)} into "
                f"{folder}, or into a folder {name} below the one that FANIN_DATA names"
            ) from error
    return folder


def _fetch(url: str, path: Path, checksum: str, most: int) -> None:
    from http.client import HTTPException
    from urllib.request import urlopen

    from tqdm.auto import tqdm

    digest, done = hashlib.sha256(), 0
    try:
        with urlopen(url, timeout=TIMEOUT) as response:
            size = _length(response.headers.get("Content-Length"), most)
            make_folder(path.parent)
            with (
                tqdm(total=size, unit="B", unit_scale=True, desc=path.name, disable=None) as bar,
                atomic_write(path) as file,
            ):
                while chunk := response.read(CHUNK):
                    done += len(chunk)
                    if done > most:
                        raise OSError(f"it goes on after {most >> 20} MiB, the most expected")
                    file.write(chunk)
                    digest.update(chunk)
                    bar.update(len(chunk))
                if size is not None and done < size:
                    raise OSError(f"it ended after {done} of {size} bytes")
                if digest.hexdigest() != checksum:
                    raise OSError(f"its SHA-256 is {digest.hexdigest()}, expected {checksum}")
    except (HTTPException, ValueError) as error:  # of an answer that makes no sense
        raise OSError(str(error) or type(error).__name__) from error


def _length(text: str | None, most: int) -> int | None:
    """The length that a server announces, if it does."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise OSError(f"Content-Length: expected a number, got {text[:40]!r}")
    if int(text) > most:
        raise OSError(f"Content-Length: expected at most {most >> 20} MiB, got {text} bytes")
    return int(text) or None
