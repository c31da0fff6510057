"""Data sets from the user's own files: .npz archives, .csv tables, folders of images."""

from __future__ import annotations

import contextlib
import csv
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from fanin._typing import Array, Bytes

LABEL_NAMES = ("label", "target", "class")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
_NPZ_KEYS = {
    "X": ("X", "x", "X_train", "x_train"),
    "y": ("y", "Y", "y_train"),
    "X_test": ("X_test", "x_test"),
    "y_test": ("y_test", "Y_test"),
}


@dataclass
class Dataset:
    """What was read, before labels become numbers. ``y`` is None where there are no labels."""

    X: Array
    y: Array | None
    X_test: Array | None = None
    y_test: Array | None = None
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    source: str = ""


def read_npz(path: Path) -> Dataset:
    """X, perhaps y, and X_test and y_test where both are there."""
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array")
            found = {
                name: next((archive[key] for key in keys if key in archive), None)
                for name, keys in _NPZ_KEYS.items()
            }
            names = ", ".join(archive.files) or "nothing"
    except (OSError, MemoryError):
        raise
    except Exception as error:  # NumPy raises a dozen kinds on damaged files
        raise ValueError(f"{path}: not a readable .npz archive of plain arrays ({error})") from None
    if found["X"] is None:
        raise ValueError(f"{path}: expected arrays X and y, got {names}")
    if (found["X_test"] is None) != (found["y_test"] is None):
        raise ValueError(f"{path}: expected both X_test and y_test or neither, got {names}")
    return Dataset(found["X"], found["y"], found["X_test"], found["y_test"], source=str(path))


def read_csv(path: Path, label: str | None = None, columns: Sequence[str] | None = None) -> Dataset:
    """A table with a header: numeric features and a column of labels; or only ``columns``."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _parse_csv(path, file, label, columns)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8 text ({error.reason})") from None
    except csv.Error as error:
        raise ValueError(f"{path}: {error}") from None


def _parse_csv(
    path: Path, file: TextIO, label: str | None, columns: Sequence[str] | None
) -> Dataset:
    first = file.readline()
    file.seek(0)
    reader = csv.reader(file, delimiter=max(",;\t", key=first.count))
    header = [name.strip() for name in next(reader, [])]
    _check_header(path, header)
    if columns is None:
        at = _label_column(path, header, label)
        features = [i for i in range(len(header)) if i != at]
    else:
        missing = [name for name in columns if name not in header]
        if missing:
            raise ValueError(f"{path}: expected a column {missing[0]!r}, got {', '.join(header)}")
        at, features = None, [header.index(name) for name in columns]
    if not features:
        raise ValueError(f"{path}: expected at least one feature column, got only {header[0]!r}")
    values, labels = array("d"), list[str]()
    for row in filter(None, reader):
        where = f"{path}, line {reader.line_num}"
        if len(row) != len(header):
            raise ValueError(f"{where}: expected {len(header)} values, got {len(row)}")
        values.extend(_finite(row[i], where, header[i]) for i in features)
        if at is not None:
            if not row[at].strip():
                raise ValueError(f"{where}, column {header[at]!r}: no value")
            labels.append(row[at].strip())
    X = np.frombuffer(values, dtype=np.float64).reshape(-1, len(features)).copy()
    y = None if at is None else _label_array(path, header[at], labels)
    return Dataset(X, y, feature_names=tuple(header[i] for i in features), source=str(path))


def _check_header(path: Path, header: list[str]) -> None:
    if not header:
        raise ValueError(f"{path}: expected a header line, got an empty file")
    if None not in map(_number, header):
        raise ValueError(f"{path}: expected names in the first line, got only numbers")
    for i, name in enumerate(header):
        if not name:
            advice = "name it, or remove it where it is an index"
            raise ValueError(f"{path}: column {i + 1} has no name; {advice}")
        if name in header[:i]:
            raise ValueError(f"{path}: expected different column names, got {name!r} twice")


def _label_column(path: Path, header: list[str], label: str | None) -> int:
    if label is None:
        lower = [name.lower() for name in header]
        return next((lower.index(name) for name in LABEL_NAMES if name in lower), len(header) - 1)
    if label not in header:
        raise ValueError(f"label: expected one of {', '.join(header)}; got {label!r} ({path})")
    return header.index(label)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _finite(text: str, where: str, column: str) -> float:
    number = _number(text)
    if number is not None and math.isfinite(number):
        return number
    missing = text.strip().lower() in ("", "na", "n/a", "nan", "null", "none", "?")
    problem = "no value" if missing else f"expected a finite number, got {text!r}"
    raise ValueError(f"{where}, column {column!r}: {problem}")


def _label_array(path: Path, name: str, labels: list[str]) -> Array:
    """Integers where all labels are, so that 10 comes after 9; else text."""
    with contextlib.suppress(ValueError, OverflowError):
        return np.array([int(text) for text in labels], dtype=np.int64)
    different = len(set(labels))
    if different > max(20, len(labels) // 10) and None not in map(_number, labels):
        found = f"column {name!r} has {different} different numbers in {len(labels)} rows"
        raise ValueError(f"{path}: {found}; expected classes: name their column with label")
    return np.array(labels)


def read_folder(path: Path) -> Dataset:
    """A folder of images for each class; or such folders within ``train`` and ``test``."""
    parts = [path / "train", path / "test"]
    if not all(part.is_dir() for part in parts):
        X, y, names = _read_classes(path)
        return Dataset(X, y, class_names=names, source=str(path))
    (X, y, names), (X_test, y_test, test_names) = map(_read_classes, parts)
    if names != test_names:
        raise ValueError(f"{path}: expected the same class folders in train and test")
    if X.shape[1:] != X_test.shape[1:]:
        sizes = f"{X.shape[1:]} in train, {X_test.shape[1:]} in test"
        raise ValueError(f"{path}: expected images of one size, got {sizes}")
    return Dataset(X, y, X_test, y_test, names, source=str(path))


def _read_classes(path: Path) -> tuple[Array, Array, tuple[str, ...]]:
    folders = sorted(f for f in path.iterdir() if f.is_dir() and not f.name.startswith("."))
    files = {folder.name: image_files(folder) for folder in folders}
    empty = [name for name, found in files.items() if not found]
    if not files or empty:
        where = f"none in {empty[0]!r}" if empty else "no folder"
        raise ValueError(f"{path}: expected one folder of images for each class, got {where}")
    y = np.repeat(np.arange(len(files)), [len(found) for found in files.values()])
    return read_images([f for found in files.values() for f in found]), y, tuple(files)


def image_files(folder: Path) -> list[Path]:
    """The images in a folder and below, sorted by path."""
    images = (f for f in folder.rglob("*") if f.suffix.lower() in IMAGE_SUFFIXES)
    return sorted(f for f in images if not f.name.startswith(".") and f.is_file())


def read_images(files: Sequence[Path]) -> Bytes:
    """Images of one size: (N, H, W) where all are grey, else (N, H, W, 3)."""
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("images need Pillow: pip install fanin[image]") from None
    if not files:
        raise ValueError("expected at least one image, got none")
    width, height, grey = 0, 0, True
    for file in files:
        with _opened(Image, file) as image:
            if image.mode.startswith(("I", "F")):
                raise ValueError(f"{file}: expected 8 bits a channel, got mode {image.mode}")
            if (width, height) not in ((0, 0), image.size):
                size, got = f"{width} x {height}", " x ".join(map(str, image.size))
                raise ValueError(f"{file}: expected {size} pixels as in {files[0]}, got {got}")
            (width, height), grey = image.size, grey and image.mode in ("1", "L")
    X = np.empty((len(files), height, width, *(() if grey else (3,))), dtype=np.uint8)
    for i, file in enumerate(files):
        with _opened(Image, file) as image:
            try:
                X[i] = np.asarray(image.convert("L" if grey else "RGB"))
            except (OSError, SyntaxError, ValueError) as error:
                raise ValueError(f"{file}: damaged image ({error})") from None
    return X


def _opened(image_module: Any, file: Path) -> Any:
    try:
        return image_module.open(file)
    except image_module.UnidentifiedImageError:
        raise ValueError(f"{file}: not an image that Pillow reads") from None
