"""Data sets by name or path as arrays: their labels as numbers, their parts apart."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, overload

import numpy as np
from numpy.typing import ArrayLike

from fanin._files import FileError
from fanin._typing import Array, Ints, PathLike
from fanin._validate import boolean
from fanin.arrays import Table, as_array, describe, is_table, of_one_kind, rows_of, some_rows
from fanin.datasets import archives, folders, named, tables
from fanin.datasets.reading import Dataset, Reading
from fanin.random import Generator

Part = tuple[Array, Array]

NAMES = ("digits", *named.KNOWN)


@dataclass(frozen=True)
class Info:
    """What `load` tells of a data set beside its arrays.

    Attributes
    ----------
    name, source : str
        As given, of a path its last part without the suffix; the file, or the authors.
    class_names : tuple of str
        What the labels 0 .. C-1 stand for; none for a regression.
    feature_names : tuple of str or None
        Columns of a table, in their order in X.
    task : {"classification", "regression"}
    target : str or None
        The column of a table's labels or values.
    validation : (X, y) or None
        The validation part, where the data come with one: the folder ``val``, or X_val and y_val.
    left_out : str
        What was found beside the data, counted, in a line: "" where there was nothing.

    Examples
    --------
    >>> *parts, info = fanin.datasets.load("digits", return_info=True)
    >>> info.name, info.class_names[:3]
    ('digits', ('0', '1', '2'))
    """

    name: str
    source: str
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...] | None = None
    task: str = field(default="classification", compare=False)
    target: str | None = field(default=None, compare=False)
    validation: Part | None = field(default=None, compare=False, repr=False)
    left_out: str = field(default="", compare=False)


@dataclass(frozen=True)
class Rows:
    """Rows to predict for: see `rows`.

    Attributes
    ----------
    X : ndarray of shape (N, ...)
    labels : list of str, ndarray of float64, or None
        As the file has them, "" or NaN where there is none; values where the task is a regression.
    names : tuple of str or None
        Of image files, below the folder.
    left_out : str
        As of `Info`.

    Examples
    --------
    >>> X = fanin.datasets.load("digits")[0][0]
    >>> np.savez("rows.npz", X=X[:5])
    >>> fanin.datasets.rows("rows.npz").X.shape
    (5, 8, 8)
    """

    X: Array
    labels: list[str] | Array | None
    names: tuple[str, ...] | None
    left_out: str


class LoadOptions(TypedDict, total=False):
    """The keywords of `load` but for ``return_info``."""

    test_size: float
    seed: int
    target: str | None
    task: str | None
    header: bool | None
    delimiter: str | None
    encoding: str
    decimal: str
    drop: Sequence[str]
    image_size: int | tuple[int, int] | None
    label: str | None
    mixed: bool


@overload
def load(
    data: PathLike, *, return_info: Literal[False] = ..., **options: Unpack[LoadOptions]
) -> tuple[Part, Part]: ...
@overload
def load(
    data: PathLike, *, return_info: Literal[True], **options: Unpack[LoadOptions]
) -> tuple[Part, Part, Info]: ...
def load(
    data: PathLike,
    *,
    test_size: float = 0.2,
    seed: int = 0,
    target: str | None = None,
    task: str | None = None,
    header: bool | None = None,
    delimiter: str | None = None,
    encoding: str = "utf-8",
    decimal: str = ".",
    drop: Sequence[str] = (),
    image_size: int | tuple[int, int] | None = None,
    label: str | None = None,
    mixed: bool = False,
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
        - a ``.npz`` file with X, y and perhaps X_test, y_test, X_val, y_val;
        - a ``.csv`` or ``.tsv`` file with numeric features and a column of labels or values;
        - a folder with one folder of images for each class (needs Pillow), or such folders within
          ``train``, ``val`` and ``test`` (or training, validation, testing, in any case). Links
          within the folder are followed, hidden files are no data, EXIF orientation is applied.
    test_size, seed : float, int
        Fraction of the rows for the test set, if the data have none, and the seed of that split.
    target : str, optional
        The table's column of labels or values; by default "label", "target" or "class", else the
        last one.
    task : {"classification", "regression"}, optional
        Whether the target holds classes or values. By default classes; asked for where they are
        numbers that may be either: fractions, or more than 20 different ones.
    header : bool, optional
        Whether the table's first line holds names. Asked for where it has a number in it. Without
        one the columns are column_1, column_2, ...
    delimiter : str, optional
        Between the table's values; by default that of comma, semicolon, tab and bar which cuts the
        first lines alike.
    encoding, decimal : str
        The table's encoding and decimal mark, "." or ",".
    drop : sequence of str
        Columns of the table to leave out, such as names, notes and numbers of customers.
    image_size : int or (height, width), optional
        What images in a folder are resized to; without it they are of one size.
    label : str, optional
        Another name of ``target``.
    mixed : bool
        Whether features may be of other kinds than numbers, or lack some: X is then a table of
        columns, which `fanin.preprocessing.TableEncoder` takes. A column of numbers with a cell
        that is none is a fault all the same.
    return_info : bool
        Return an `Info` as well, which has the validation part, where there is one.

    Returns
    -------
    (X, y), (X_test, y_test) : pairs of ndarray
        Images are uint8 (N, H, W) or (N, H, W, C); tables (N, D) float64, of an .npz also uint8 or
        float32 as stored. Labels are int64 0 .. C-1, by the sorted labels of the file; values of a
        regression float64 (N,).
    info : Info

    Raises
    ------
    FileError
        For wrong content, with the path, the place and the reason; also for a pipe or a device, and
        for an .npz that would unfold to more than 100 times its size and 64 MiB. Where an array is
        of a wrong type it is a TypeError as well.
    ValueError, TypeError
        For an unknown name or option.
    OSError
        For a file that is not there, or a download that failed.

    Warns
    -----
    UserWarning
        For labels of a table that look alike, such as 1 and 1.0. They keep their text.

    Examples
    --------
    >>> (X, y), (X_test, y_test) = fanin.datasets.load("digits")
    >>> X.shape, X.dtype, X_test.shape
    ((1437, 8, 8), dtype('uint8'), (360, 8, 8))
    """
    if label is not None and target is not None:
        raise ValueError(f"label: another name of target, expected one of them, got {label!r}")
    reading = Reading(
        target=label if target is None else target,
        target_argument="target" if label is None else "label",
        task=task,
        header=header,
        delimiter=delimiter,
        encoding=encoding,
        decimal=decimal,
        drop=drop,
        image_size=image_size,
        mixed=boolean("mixed", mixed),
    )
    found = _read(data, reading)
    where = str(data) if str(data) in NAMES else found.source
    if found.class_names is not None and task == "regression":
        raise ValueError(f"task: expected classification of {where}, got 'regression'")
    with _content(where):
        parts, class_names = _parts(found, reading)
    train, test = parts["train"], parts.get("test")
    if test is None:
        _check_test_size(test_size)
        with _content(where):
            train, test = split(*train, test_size=test_size, seed=seed)
    if not return_info:
        return train, test
    info = Info(
        name=str(data) if str(data) in NAMES else Path(data).stem,
        source=found.source,
        class_names=class_names,
        feature_names=found.feature_names,
        task=task or "classification",
        target=found.target,
        validation=parts.get("val"),
        left_out=found.note(),
    )
    return train, test, info


class WrongTypeError(FileError, TypeError):
    """A file's arrays are of a type that is no data."""


@contextlib.contextmanager
def _content(where: PathLike) -> Iterator[None]:
    """What the block finds amiss in what was read is an error of the file."""
    try:
        yield
    except FileError:
        raise
    except TypeError as error:
        raise WrongTypeError(where, str(error)) from None
    except (ValueError, OverflowError) as error:
        raise FileError(where, str(error)) from None


def _parts(found: Dataset, reading: Reading) -> tuple[dict[str, Part], tuple[str, ...]]:
    """The parts that the data have, targets as numbers; and the names of the classes."""
    if found.y is None:
        raise ValueError("expected labels y beside X")
    regression = reading.task == "regression"
    X = _as_data(found.X, "X")
    values = _as_targets(found.y, len(X), "y", reading.task)
    if reading.task is None and found.class_names is None and values.dtype.kind in "iu":
        _ask_for_task(X, values)
    classes = np.unique(values) if found.class_names is None else np.arange(len(found.class_names))
    y = values if regression else _positions(values, classes, "y")
    if len(np.unique(y)) < 2:
        kinds = "values" if regression else "classes"
        only = values[0] if found.class_names is None else repr(found.class_names[values[0]])
        raise ValueError(f"expected at least two {kinds}, got one ({only})")
    parts = {"train": (X, y)}
    for part in ("val", "test"):
        X_part, y_part = getattr(found, f"X_{part}"), getattr(found, f"y_{part}")
        if X_part is None:
            continue
        if y_part is None:
            found.left_out[f"images without a class in {part}"] += len(X_part)
            continue
        X_part = _as_data(X_part, f"X_{part}")
        shape, got = X.shape[1:], X_part.shape[1:]
        if got != shape:
            raise ValueError(f"X_{part}: expected rows of shape {shape}, got {got}")
        values = _as_targets(y_part, len(X_part), f"y_{part}", reading.task)
        parts[part] = X_part, values if regression else _positions(values, classes, f"y_{part}")
    if regression:
        return parts, ()
    return parts, found.class_names or tuple(str(c) for c in classes.tolist())


def _ask_for_task(X: Array, labels: Array) -> None:
    """Whole numbers in an archive with a table; those of a text file were looked at before."""
    different = np.unique(labels)
    if X.ndim == 2 and tables.looks_continuous(different):
        count = f"{len(different)} different numbers in {len(labels)} rows"
        raise ValueError(f"y has {count}; {tables.ASK}")


def rows(
    data: PathLike,
    *,
    feature_names: Sequence[str] | None = None,
    channels: int | None = None,
    **options: Any,
) -> Rows:
    """The rows of a data set to predict labels for: its test part where it has one, else all.

    Parameters
    ----------
    data : str or path
        As for `load`, but labels need not be there; also one image, and a folder of images without
        folders of classes in it.
    feature_names : sequence of str, optional
        The columns of a table that are the features, in this order; others are ignored.
    channels : {1, 3}, optional
        Whether images are to be grey or coloured.
    **options
        Those of `load` that say how files are read. Those that data of this kind do not have are
        ignored, so that all that the training had can be given; so is a ``target`` that is missing.

    Returns
    -------
    Rows

    Examples
    --------
    >>> found = fanin.datasets.rows("digits")
    >>> found.X.shape, found.labels[:3]
    ((360, 8, 8), ['0', '2', '4'])
    """
    reading, path = Reading(**options), Path(data)
    by_name, suffix = str(data) in NAMES, path.suffix.lower()
    if not by_name and path.is_dir():
        found = _read_images(path, reading.pixels, channels)
    elif not by_name and suffix in folders.IMAGE_SUFFIXES and path.is_file():
        found = folders.read_unlabelled(path, reading.pixels, channels)
    elif feature_names is not None and suffix in tables.SUFFIXES and path.is_file():
        found = tables.read_table(path, reading, feature_names)
    elif suffix in tables.SUFFIXES:
        found = _read(data, dataclasses.replace(reading, image_size=None))
    else:
        found = _read(data, Reading(task=reading.task))
    part = "X" if found.X_test is None else "X_test"
    y = found.y if found.X_test is None else found.y_test
    labels: list[str] | Array | None = None
    with _content(data):
        X = _as_data(getattr(found, part), part)
        values = None if y is None else _as_targets(y, len(X), "y", reading.task)
    if values is not None:
        labels = values if values.dtype.kind == "f" else [str(one) for one in values.tolist()]
        if found.class_names is not None:
            labels = [found.class_names[i] for i in values.tolist()]
    names = found.names if found.X_test is None else found.names_test
    return Rows(X, labels, names, found.note())


def _read_images(path: Path, size: tuple[int, int] | None, channels: int | None) -> Dataset:
    """Those in folders of classes with their labels; else all that there are."""
    if not folders.has_images_beside_folders(path):
        with contextlib.suppress(folders.NoClassesError):
            return folders.read_folder(path, size, channels)
    return folders.read_unlabelled(path, size, channels)


def features(data: PathLike, *, feature_names: Sequence[str] | None = None) -> Array:
    """The X of `rows`.

    Parameters
    ----------
    data, feature_names
        As of `rows`.

    Returns
    -------
    ndarray of shape (N, ...)

    Examples
    --------
    >>> X = fanin.datasets.load("digits")[0][0]
    >>> np.savez("rows.npz", X=X[:5])
    >>> fanin.datasets.features("rows.npz").shape
    (5, 8, 8)
    """
    return rows(data, feature_names=feature_names).X


def split(X: Array, y: ArrayLike, *, test_size: float = 0.2, seed: int = 0) -> tuple[Part, Part]:
    """Split rows at random in two parts with the same shares of classes (a stratified split).

    Values of a regression, which are floats, are split without regard to them. The rows of each
    class are shuffled and one of each is kept for the first part; of the others, class after class,
    evenly spaced ones make up the second. Both parts keep the order of the rows.

    Parameters
    ----------
    X : ndarray of shape (N, ...)
    y : array_like of shape (N,)
        Labels of any kind: whole numbers, text, truth values; or a regression's values, floats.
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
    _check_test_size(test_size)
    X, given = X if is_table(X) else some_rows("X", X), of_one_kind(as_array("y", y))
    if given.ndim != 1 or given.dtype.kind not in "biufUT" or len(given) != len(X):
        raise ValueError(
            f"y: expected shape ({len(X)},) of labels or values, got {describe(given)}"
        )
    if given.dtype.kind == "f":
        y = np.zeros(len(given), dtype=np.int64)
    else:
        y = np.unique(given, return_inverse=True)[1]
        given = given.astype(np.int64) if given.dtype.kind in "iu" else given
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
    chosen = np.zeros(len(y), dtype=bool)
    chosen[candidates[spaced]] = True
    parts = np.flatnonzero(~chosen), np.flatnonzero(chosen)
    first, second = ((rows_of("X", X, part), given[part]) for part in parts)
    return first, second


def _check_test_size(test_size: float) -> None:
    if not 0 < test_size < 1:
        raise ValueError(f"test_size: expected a share above 0 and below 1, got {test_size!r}")


def _read(data: PathLike, reading: Reading) -> Dataset:
    name, path = str(data), Path(data)
    suffix, kinds = path.suffix.lower(), "a .npz or .csv file or a folder of images"
    if suffix not in tables.SUFFIXES:
        reading.refuse_for_others(name)
    if reading.image_size is not None and not (path.is_dir() and name not in NAMES):
        expected = "only images in a folder are resized"
        raise ValueError(f"image_size: {expected}, got {name!r}")
    if name in NAMES:
        return named.read(name)
    if path.is_dir():
        return folders.read_folder(path, reading.pixels)
    if not path.exists():
        if suffix or path.name != name:
            raise FileNotFoundError(f"{path}: no such file or folder")
        raise ValueError(f"data: expected one of {', '.join(NAMES)}, {kinds}; got {name!r}")
    if suffix == ".npz":
        return archives.read_npz(path)
    if suffix in tables.SUFFIXES:
        return tables.read_table(path, reading)
    raise ValueError(f"data: expected {kinds}, got {name!r}")


def _as_data(X: Array | Table, where: str) -> Any:
    """C-contiguous uint8, float32 or float64 of native byte order, finite; a `Table` as it is."""
    if isinstance(X, Table):
        return X
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


def _as_targets(y: Array, n_rows: int, where: str, task: str | None) -> Array:
    """Labels as the file has them, or the float64 values of a regression."""
    if y.shape == (n_rows, 1):
        y = y[:, 0]
    if y.shape != (n_rows,):
        raise ValueError(f"{where}: expected shape ({n_rows},) as X has rows, got {y.shape}")
    if task == "regression":
        if y.dtype.kind not in "buif":
            raise TypeError(f"{where}: expected numbers, got {y.dtype}")
        return y.astype(np.float64)
    if y.dtype.kind not in "buiUS":
        hint = "; task='regression' (--task) takes values" if y.dtype.kind == "f" else ""
        raise TypeError(f"{where}: expected whole numbers or text as labels, got {y.dtype}{hint}")
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
