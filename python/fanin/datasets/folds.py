"""The folds of cross-validation."""

from __future__ import annotations

import numpy as np

from fanin import _validate
from fanin._typing import Array, Ints
from fanin.arrays import as_array
from fanin.random import Generator

GROUPS = "biufUSOM"  # kinds of what names a group


def folds(
    y: Array, n_folds: int = 5, *, repeats: int = 1, seed: int = 0, groups: Array | None = None
) -> list[tuple[Ints, Ints]]:
    """Rows to train on and rows held out, for each fold of a stratified cross-validation.

    Each fold holds out an equal part of every class, so that each row is held out once in each
    repeat. The only row of a class is never held out, since no network would have seen its class.

    Parameters
    ----------
    y : ndarray of shape (N,), integers
        Labels.
    n_folds : int
        At least 2; at most the number of rows that may be held out.
    repeats : int
        Further divisions of the rows, shuffled anew.
    seed : int
    groups : ndarray of shape (N,), optional
        Rows of one group (a patient, a day) are held out together; the larger groups are dealt
        first, each to the fold that has the fewest rows. Classes are not balanced then.

    Returns
    -------
    list of (train, held)
        ``n_folds * repeats`` pairs of ascending row numbers, repeat after repeat.

    Examples
    --------
    >>> y = np.arange(10) % 2
    >>> train, held = fanin.datasets.folds(y)[0]
    >>> len(train), np.bincount(y[held])
    (8, array([1, 1]))
    """
    labels = _validate.plain_array("y", y)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"y: expected shape (N,) of whole numbers, got {_validate.describe(labels)}"
        )
    n_folds = _validate.whole("n_folds", n_folds, 2, max(len(labels), 2))
    repeats = _validate.whole("repeats", repeats, 1)
    found: list[tuple[Ints, Ints]] = []
    for repeat in range(repeats):
        rng = Generator(_validate.whole("seed", seed, 0, 2**64 - 1), stream=repeat)
        if groups is None:
            dealt = _by_class(labels, n_folds, rng)
        else:
            dealt = _by_group(as_array("groups", groups), len(labels), n_folds, rng)
        for fold in range(n_folds):
            held = np.flatnonzero(dealt == fold)
            found.append((np.flatnonzero(dealt != fold), held))
    return found


def _by_class(labels: Array, n_folds: int, rng: Generator) -> Ints:
    """The fold of each row, -1 for the only row of a class: dealt in turn, class after class."""
    shuffled = rng.permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    order = order[counts[inverse[order]] > 1]
    if len(order) < n_folds:
        raise ValueError(
            f"y: expected at least {n_folds} rows, one for each fold, of classes that have "
            f"several, got {len(order)}"
        )
    dealt = np.full(len(labels), -1)
    dealt[order] = np.arange(len(order)) % n_folds
    return dealt


def _by_group(groups: Array, n: int, n_folds: int, rng: Generator) -> Ints:
    if groups.shape != (n,) or groups.dtype.kind not in GROUPS:
        got = _validate.describe(groups)
        raise ValueError(f"groups: expected shape ({n},) of numbers, text or dates, got {got}")
    names, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < n_folds:
        raise ValueError(f"groups: expected at least {n_folds} groups, got {len(names)}")
    shuffled = rng.permutation(len(names))
    fold_of, sizes = np.empty(len(names), np.int64), np.zeros(n_folds, np.int64)
    for group in shuffled[np.argsort(-counts[shuffled], kind="stable")]:
        fold_of[group] = sizes.argmin()
        sizes[fold_of[group]] += counts[group]
    return np.asarray(fold_of[inverse])
