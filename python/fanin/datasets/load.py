"""Data sets by name or path as arrays: their labels as numbers, their test part split off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from fanin._typing import Array, Ints, PathLike
from fanin.datasets import files, named
from fanin.datasets.files import Dataset
from fanin.random import Generator

Part = tuple[Array, Ints]

NAMES = ("digits", *named.KNOWN)


@dataclass(frozen=True)
class Info:
    """What `load` tells of a data set beside its arrays.

    Attributes
    ----------
    name, source : str
        As given, of a path its last part without the suffix; the file, or the authors.
    class_names : tuple of str
        What the labels 0 .. C-1 stand for.
    feature_names : tuple of str or None
        Columns of a .csv, in their order in X.
    """

    name: str
    source: str
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...] | None = None


@overload
def load(
    data: PathLike,
    *,
    test_size: float = ...,
    seed: int = ...,
    label: str | None = ...,
    return_info: Literal[False] = ...,
) -> tuple[Part, Part]: ...
@overload
def load(
    data: PathLike,
    *,
    test_size: float = ...,
    seed: int = ...,
    label: str | None = ...,
    return_info: Literal[True],
) -> tuple[Part, Part, Info]: ...
def load(
    data: PathLike,
    *,
    test_size: float = 0.2,
    seed: int = 0,
    label: str | None = None,
    return_info: bool = False,
) -> tuple[Part, Part] | tuple[Part, Part, Info]:
    """Load a data set with its test part.

    Parameters
    ----------
    data : str or path
        - ``"digits"``: 1,437 images of 8 x 8 with values 0 to 16, and 360 to test (E. Alpaydin, C.
          Kaynak, UCI Machine Learning Repository, CC BY 4.0);
        - ``"fashion-mnist"``, ``"mnist"`` (28 x 28), ``"cifar10"`` (32 x 32 x 3), as their authors
          split them;
        - a ``.npz`` file with X, y and perhaps X_test, y_test;
        - a ``.csv`` file with a header, numeric features and a column of labels;
        - a folder with one folder of images for each class (needs Pillow), or two such folders,
          ``train`` and ``test``.
    test_size, seed : float, int
        Fraction of the rows for the test set, if the data have none, and the seed of that split.
    label : str, optional
        The .csv's column of labels; by default "label", "target" or "class", else the last one.
    return_info : bool
        Return an `Info` as well.

    Returns
    -------
    (X, y), (X_test, y_test) : pairs of ndarray
        Images are uint8 (N, H, W) or (N, H, W, C); tables (N, D) float64, of an .npz also uint8 or
        float32 as stored. Labels are int64 0 .. C-1, by the sorted labels of the file.
    info : Info

    Raises
    ------
    ValueError, TypeError
        For an unknown name, or wrong content, naming the place.
    OSError
        For a file that is not there, or a download that failed.

    Examples
    --------
    >>> (X, y), (X_test, y_test) = fanin.datasets.load("digits")
    >>> X.shape, X.dtype, X_test.shape
    ((1437, 8, 8), dtype('uint8'), (360, 8, 8))
    """
    found = _read(data, label)
    where = str(data) if str(data) in NAMES else found.source
    if found.y is None:
        raise ValueError(f"{where}: expected labels y beside X")
    X = _as_data(found.X, f"{where}: X")
    values = _as_labels(found.y, len(X), f"{where}: y")
    classes = np.arange(len(found.class_names)) if found.class_names else np.unique(values)
    y = _positions(values, classes, f"{where}: y")
    if len(np.unique(y)) < 2:
        raise ValueError(f"{where}: expected at least two classes, got one ({values[0]})")
    if found.X_test is None or found.y_test is None:
        train, test = split(X, y, test_size=test_size, seed=seed)
    else:
        X_test = _as_data(found.X_test, f"{where}: X_test")
        shape, got = X.shape[1:], X_test.shape[1:]
        if got != shape:
            raise ValueError(f"{where}: X_test: expected rows of shape {shape}, got {got}")
        values = _as_labels(found.y_test, len(X_test), f"{where}: y_test")
        train, test = (X, y), (X_test, _positions(values, classes, f"{where}: y_test"))
    if not return_info:
        return train, test
    names = found.class_names or tuple(str(c) for c in classes.tolist())
    name = str(data) if str(data) in NAMES else Path(data).stem
    return train, test, Info(name, found.source, names, found.feature_names)


def features(data: PathLike, *, feature_names: Sequence[str] | None = None) -> Array:
    """The rows of a data set to predict labels for: its test part where it has one, else all.

    Parameters
    ----------
    data : str or path
        As in `load`, but labels may be missing. Of a folder all images in it and below, by path.
    feature_names : sequence of str, optional
        The columns to take of a .csv; others, such as the labels, are left out.

    Returns
    -------
    X : ndarray, as in `load`
    """
    path = Path(data)
    if str(data) not in NAMES and path.is_dir() and not (path / "test").is_dir():
        return files.read_images(files.image_files(path))
    of_csv = feature_names is not None and path.suffix.lower() == ".csv" and path.is_file()
    found = files.read_csv(path, columns=feature_names) if of_csv else _read(data, None)
    return _as_data(found.X if found.X_test is None else found.X_test, f"{data}: X")


def split(X: Array, y: ArrayLike, *, test_size: float = 0.2, seed: int = 0) -> tuple[Part, Part]:
    """Split rows at random in two parts with the same shares of classes (a stratified split).

    The rows of each class are shuffled and one of each is kept for the first part; of the others,
    class after class, evenly spaced ones make up the second. Both parts keep the order of the rows.

    Parameters
    ----------
    X : ndarray of shape (N, ...)
    y : array_like of shape (N,), integers
    test_size, seed : float, int
        Fraction of rows for the second part, in (0, 1), at least one row; and seed of the shuffle.

    Returns
    -------
    (X, y), (X_test, y_test) : pairs of ndarray

    Examples
    --------
    >>> X, y = np.arange(10).reshape(10, 1), np.arange(10) % 2
    >>> _, (_, y_test) = fanin.datasets.split(X, y, test_size=0.4)
    >>> np.bincount(y_test)
    array([2, 2])
    """
    if not 0 < test_size < 1:
        raise ValueError(f"test_size: expected a share above 0 and below 1, got {test_size!r}")
    y = np.asarray(y)
    if y.ndim != 1 or y.dtype.kind not in "iu" or len(y) != len(X):
        raise ValueError(f"y: expected shape ({len(X)},) of whole numbers, got {y.shape} {y.dtype}")
    shuffled = Generator(seed=seed).permutation(len(y))
    order = shuffled[np.argsort(y[shuffled], kind="stable")]
    first_of_class = np.diff(y[order], prepend=y[order][:1] - 1) != 0
    candidates = order[~first_of_class]
    n_test = min(max(round(test_size * len(y)), 1), len(candidates))
    if n_test == 0:
        raise ValueError(
            f"y: expected rows enough for a second part of {test_size:g} of them with each class "
            f"in the first, got {len(y)} rows of {first_of_class.sum()} classes"
        )
    spaced = (np.arange(n_test) * len(candidates) + len(candidates) // 2) // n_test
    chosen, y = np.zeros(len(y), dtype=bool), y.astype(np.int64)
    chosen[candidates[spaced]] = True
    return (X[~chosen], y[~chosen]), (X[chosen], y[chosen])


def _read(data: PathLike, label: str | None) -> Dataset:
    name, path = str(data), Path(data)
    suffix, kinds = path.suffix.lower(), "a .npz or .csv file or a folder of images"
    if label is not None and suffix != ".csv":
        raise ValueError(f"label: only a .csv file has a column to name, got {name!r}")
    if name in NAMES:
        return named.read(name)
    if path.is_dir():
        return files.read_folder(path)
    if not path.exists():
        if suffix or path.name != name:
            raise FileNotFoundError(f"{path}: no such file or folder")
        raise ValueError(f"data: expected one of {', '.join(NAMES)}, {kinds}; got {name!r}")
    if suffix == ".npz":
        return files.read_npz(path)
    if suffix == ".csv":
        return files.read_csv(path, label)
    raise ValueError(f"data: expected {kinds}, got {name!r}")


def _as_data(X: Array, where: str) -> Array:
    """C-contiguous uint8, float32 or float64 of native byte order, finite."""
    if X.dtype.kind not in "buif":
        raise TypeError(f"{where}: expected numbers, got {X.dtype}")
    if X.ndim < 2 or X.size == 0:
        raise ValueError(f"{where}: expected shape (N, ...) with at least one row, got {X.shape}")
    kept = X.dtype == np.uint8 or X.dtype.newbyteorder("=") == np.float32
    X = np.ascontiguousarray(X, dtype=X.dtype.newbyteorder("=") if kept else np.float64)
    if X.dtype.kind == "f" and not (good := np.isfinite(X.reshape(len(X), -1)).all(axis=1)).all():
        row = int(good.argmin())
        raise ValueError(f"{where}: expected finite numbers, got NaN or infinity in row {row}")
    return X


def _as_labels(y: Array, n_rows: int, where: str) -> Array:
    if y.shape == (n_rows, 1):
        y = y[:, 0]
    if y.shape != (n_rows,):
        raise ValueError(f"{where}: expected shape ({n_rows},) as X has rows, got {y.shape}")
    if y.dtype.kind not in "buiUS":
        raise TypeError(f"{where}: expected whole numbers or text as labels, got {y.dtype}")
    return y.astype(str) if y.dtype.kind == "S" else y


def _positions(values: Array, classes: Array, where: str) -> Ints:
    """Of each value, its index among the sorted classes."""
    if (classes.dtype.kind == "U") != (values.dtype.kind == "U"):
        raise TypeError(f"{where}: expected labels as in y ({classes.dtype}), got {values.dtype}")
    at = np.searchsorted(classes, values).clip(max=len(classes) - 1)
    wrong = classes[at] != values
    if wrong.any():
        row = int(np.argmax(wrong))
        known = ", ".join(map(str, classes[:10].tolist())) + (", ..." if len(classes) > 10 else "")
        raise ValueError(f"{where}: expected one of {known}; got {values[row]} in row {row}")
    return at.astype(np.int64)
