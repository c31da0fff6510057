"""The classes that a network's outputs stand for, and labels of any kind as positions among them.

Labels 0 .. C-1 are their own positions. Others, text, truth values, whole numbers of any kind, are
mapped to the sorted classes, which the network keeps and predictions give back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fanin._typing import Array
from fanin._validate import describe
from fanin.arrays import as_array, of_one_kind

SHOWN = 10


def as_labels(name: str, y: object) -> Array:
    """Targets of whatever NumPy can see; a frame of one column is that column."""
    array = as_array(name, y)
    if array.ndim == 0:
        raise ValueError(f"{name}: expected one for each row, got {describe(array)}")
    if array.dtype.kind == "O":
        array = of_one_kind(array)
    return array[:, 0] if hasattr(y, "columns") and array.shape[1:] == (1,) else array


def given_classes(classes: object, n_outputs: int) -> Array | None:
    """The argument ``classes``, checked; None where labels are to be 0 .. C-1."""
    if classes is None:
        return None
    array = _comparable("classes", as_labels("classes", classes))
    if array.ndim != 1 or len(array) != n_outputs or len(np.unique(array)) != n_outputs:
        raise ValueError(
            f"classes: expected {n_outputs} different labels, one for each output, got {classes!r}"
        )
    return _kept(array)


def found_classes(
    name: str, array: Array, n_outputs: int, known: Array | None = None
) -> Array | None:
    """The classes of labels that are not 0 .. C-1; None where they are, or there are no labels.

    `known` are those of a series of categories, also the ones that no row has.
    """
    if array.ndim != 1 or array.size == 0:
        return None
    if _is_whole(array) and array.min() >= 0 and array.max() < n_outputs:
        return None
    different = np.unique(_comparable(name, array))
    if len(different) != n_outputs:
        if known is not None and len(known) == n_outputs:
            return _kept(known)
        raise ValueError(_wrong_number(name, array, different, n_outputs))
    return _kept(different)


def _kept(classes: Array) -> Array | None:
    """A read-only copy; None for the classes 0 .. C-1."""
    if _is_whole(classes) and np.array_equal(classes, np.arange(len(classes))):
        return None
    classes = np.array(classes)
    classes.flags.writeable = False
    return classes


def _wrong_number(name: str, y: Array, different: Array, n_outputs: int) -> str:
    got = f"{len(different)} different: {_listed(different)}"
    if not _is_whole(y):
        return f"{name}: expected labels of {n_outputs} classes, the network's outputs, got {got}"
    row = int(np.argmax((y < 0) | (y >= n_outputs)))
    expected = f"expected labels in 0 .. {n_outputs - 1}, got {y[row]} in row {row}"
    return f"{name}: {expected}; or {n_outputs} different ones, got {got}"


def positions(name: str, y: object, classes: Array | None) -> Array:
    """Labels (N,) as positions among the classes; other targets as they are.

    Classes that are None are 0 .. C-1, also as truth values and floats.
    """
    array = as_labels(name, y)
    if array.ndim != 1 or array.size == 0:
        return array
    if classes is None:
        return _comparable(name, array).astype(np.int64) if array.dtype.kind in "bf" else array
    labels = _comparable(name, array)
    if (labels.dtype.kind == "U") != (classes.dtype.kind == "U"):
        what = "text" if classes.dtype.kind == "U" else "numbers"
        raise TypeError(f"{name}: expected {what} as labels, as in training, got {describe(array)}")
    order = np.argsort(classes, kind="stable")
    at = order[np.searchsorted(classes, labels, sorter=order).clip(max=len(classes) - 1)]
    wrong = classes[at] != labels
    if wrong.any():
        row = int(wrong.argmax())
        got = f"{array[row]!r} in row {row}"
        raise ValueError(f"{name}: expected one of the classes {_listed(classes)}; got {got}")
    return np.asarray(at)


def encoded(name: str, y: object) -> tuple[Array, Array | None]:
    """Labels as 0 .. C-1, and the classes that they stand for; None where they are whole numbers
    from 0 on, which stay as they are.
    """
    array = as_labels(name, y)
    if array.ndim != 1 or array.size == 0 or (_is_whole(array) and array.min() >= 0):
        return array, None
    classes = np.unique(_comparable(name, array))
    return positions(name, array, classes), _kept(classes)


def label_names(classes: Array) -> list[str]:
    """The classes as text."""
    return [str(one) for one in classes.tolist()]


def position_of(classes: Array | None, label: Any, n_outputs: int) -> int | None:
    """Where a label is among the classes; None where it is none of them."""
    known: Iterable[Any] = range(n_outputs) if classes is None else classes.tolist()
    same = (i for i, one in enumerate(known) if one == label and _alike(one, label))
    return next(same, None)


def _alike(one: Any, label: Any) -> bool:
    """Whether two equal labels are of a kind: True is no 1."""
    return isinstance(one, bool) == isinstance(label, bool | np.bool_)


def _is_whole(array: Array) -> bool:
    return array.dtype.kind in "iu"


def _comparable(name: str, array: Array) -> Array:
    """Labels that can be sorted and compared: text, truth values, whole numbers."""
    kind = array.dtype.kind
    if kind in "Ubiu":
        return array
    if kind == "f":
        whole = np.isfinite(array) & (array == np.floor(array))
        if whole.all():
            return array
        row = int(whole.argmin())
        raise ValueError(
            f"{name}: expected whole-number labels, text or truth values, got {array[row]} in row "
            f"{row}; values are for loss='mse'"
        )
    if kind == "O":
        kinds = sorted({type(item).__name__ for item in array.flat})
        got = f"objects ({', '.join(kinds[:4])})"
    else:
        got = describe(array)
    raise TypeError(f"{name}: expected text, whole numbers or truth values as labels, got {got}")


def _listed(classes: Array) -> str:
    shown = ", ".join(map(str, classes[:SHOWN].tolist()))
    return shown + (", ..." if len(classes) > SHOWN else "")
