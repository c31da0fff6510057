"""Rare classes that a network never predicts, though its accuracy looks good."""

from __future__ import annotations

import re

import numpy as np

from fanin import metrics
from fanin._runtime import warn_caller
from fanin._typing import Array, Ints
from fanin.diagnostics.findings import Finding

RARE = 0.2  # of the share that each class would have if all were equal, and less
# A class missed in all of 3 rows has a recall below 63 % with 95 % confidence; of fewer rows this
# would say nothing.
LEAST_ROWS = 3


def rare_classes(y: Array) -> Ints:
    """The classes with rows enough to judge by, but at most a fifth of an equal share.

    Parameters
    ----------
    y : ndarray of shape (N,)
        Integer labels from 0 on.
    """
    counts = np.bincount(y)
    most = RARE * len(y) / max(int((counts > 0).sum()), 1)
    return np.flatnonzero((counts >= LEAST_ROWS) & (counts <= most))


def warn_if_never_predicted(y: Array, predicted: Array) -> None:
    """A `RareClassWarning` of what `never_predicted` finds."""
    if (finding := never_predicted(y, predicted)) is not None:
        warn_caller(f"{finding.evidence}: {finding.action}", metrics.RareClassWarning)


def never_predicted(y: Array, predicted: Array) -> Finding | None:
    """What the accuracy hides, where a rare class is never predicted; else None.

    Parameters
    ----------
    y, predicted : ndarray of shape (N,)
        Integer labels from 0 on.

    Returns
    -------
    Finding or None
        Named "rare-class", with the recall, the accuracy and the balanced accuracy.

    Examples
    --------
    >>> y = np.array([0] * 990 + [1] * 10)
    >>> print(fanin.diagnostics.never_predicted(y, np.zeros(1000, int)))  # doctest: +ELLIPSIS
    rare-class: class 1 (10 of 1000 rows, 1.0 %) is never predicted: recall 0 of 10, ...
    """
    y, predicted, _ = metrics.two_labels(y, predicted)
    missed = [int(c) for c in rare_classes(y) if not (predicted == c).any()]
    if not missed:
        return None
    counts = np.bincount(y)
    rows = [f"class {c} ({counts[c]} of {len(y)} rows, {counts[c] / len(y):.1%})" for c in missed]
    recalls = ", ".join(f"0 of {counts[c]}" for c in missed[:5])
    more = f" and {len(missed) - 5} more" if len(missed) > 5 else ""
    verb = "is" if len(missed) == 1 else "are"
    accuracy = metrics.accuracy_score(y, predicted)
    balanced = metrics.balanced_accuracy_score(y, predicted)
    bound = 1 - 0.05 ** (1 / int(counts[missed].max()))
    evidence = (
        f"{', '.join(rows[:5])}{more} {verb} never predicted: recall {recalls}{more}, so below "
        f"{bound:.0%} with 95 % confidence; the accuracy is {accuracy:.1%}, always answering class "
        f"{counts.argmax()} gives {counts.max() / len(y):.1%}; the balanced accuracy is "
        f"{balanced:.1%}"
    )
    action = (
        "judge by metrics=['balanced_accuracy', 'roc_auc', 'f1'], and weigh the classes: "
        "fit(..., class_weight='balanced')"
    )
    return Finding("rare-class", re.sub(r"(?<=\d)%", " %", evidence), action)
