"""Several labels that a row has or has not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fanin import losses, metrics
from fanin._typing import Array, Floats, Ints
from fanin.diagnostics.findings import Finding
from fanin.ensemble.held_out import binary_log_losses
from fanin.losses.spec import LossSpec
from fanin.tuning.guide.tasks.classification import (
    EXPECTED_ROWS,
    UNEVEN,
    UNEVEN_SIGMAS,
    Classification,
)
from fanin.tuning.guide.tasks.task import Numbers, Task, Words, percent


@dataclass(frozen=True)
class Multilabel(Task):
    """Labels (N, C) of 0 and 1; outputs are probabilities of each."""

    name: ClassVar[str] = "multilabel"
    losses: ClassVar[tuple[str, ...]] = ("logistic",)
    of_sample: ClassVar[str] = " of whole rows"
    words: ClassVar[Words] = Words(
        loss="log_loss",
        loss_title="log loss a label",
        score="f1_macro",
        score_title="macro-F1",
        told=lambda value: f"{value:.4f}",
        metrics=(
            ("f1_macro", "macro-F1", lambda value: f"{value:.4f}"),
            ("f1_micro", "micro-F1", lambda value: f"{value:.4f}"),
            ("hamming_loss", "wrong labels", percent),
            ("accuracy", "whole rows right", percent),
            ("roc_auc", "ROC AUC", percent),
        ),
        guess="guessing has a macro-F1 of",
        trivial="the labels' shares",
        no_better="no-better-than-shares",
        unrelated="unrelated-labels",
        targets="labels",
        one="label",
        by_column=(
            "{} alone tells {:.1%} of the labels that a guess gets wrong, the next best column "
            "{:.1%}"
        ),
    )

    @property
    def beside(self) -> tuple[str, ...]:
        return "f1_macro", "f1_micro", "hamming_loss", "accuracy"

    def outputs(self, scores: Array) -> Floats:
        return np.asarray(losses.sigmoid(np.ascontiguousarray(scores, np.float64)))

    def row_losses(self, outputs: Floats, y: Array) -> Floats:
        return binary_log_losses(outputs, y)

    def trivial(self, y: Array) -> Floats:
        return np.asarray((y.sum(axis=0) + 0.5) / (len(y) + 1.0))

    def answers(self, y: Array) -> Floats:
        return y.astype(np.float64)

    def wrong(self, outputs: Floats, y: Array) -> Floats:
        """The share of wrong labels, in parts of the rarer answer's share, that of a guess."""
        shares = y.mean(axis=0)
        guess = float(np.minimum(shares, 1 - shares).mean())
        rows = ((outputs > 0.5) != (y > 0)).mean(axis=1)
        return np.asarray(rows / guess if guess else rows)

    def score(self, outputs: Floats, y: Array) -> float:
        return float(metrics.compute_of_several(["f1_macro"], y, outputs)["f1_macro"])

    def metrics(self, outputs: Floats, y: Array) -> Numbers:
        found: Numbers = dict(metrics.compute_of_several(self.beside, y, outputs))
        both = [c for c in range(y.shape[1]) if 0 < y[:, c].sum() < len(y)]
        if both:
            areas = [metrics.roc_auc_score(y[:, c].astype(np.int64), outputs[:, c]) for c in both]
            found["roc_auc"] = float(np.mean(areas))
        return found

    def strata(self, y: Array) -> Ints:
        """The rarest label that a row has: each is then in all folds, as far as it can be."""
        rarest = np.argsort(y.sum(axis=0), kind="stable")
        ordered = y[:, rarest] > 0
        return np.asarray(np.where(ordered.any(axis=1), ordered.argmax(axis=1), y.shape[1]))

    def varies(self, y: Array) -> bool:
        return bool((y != y[0]).any())

    def chance(self, y: Array, y_held: Array) -> float:
        """Macro-F1 of giving each row the labels that most rows have."""
        most = np.broadcast_to(y.mean(axis=0) > 0.5, y_held.shape)
        return self.score(most.astype(np.float64), y_held)

    def data_findings(self, y: Array) -> Iterator[Finding]:
        counts = y.sum(axis=0)
        rarer = np.minimum(counts, len(y) - counts)
        least = 5 * EXPECTED_ROWS  # so many are expected in each of five parts
        few = np.flatnonzero(rarer < least)
        if not len(few):
            return
        worst = int(rarer.argmin())
        yield Finding(
            "rare-label",
            f"label {worst} is in {int(counts[worst])} of the {len(y)} rows; "
            f"{len(few)} of {len(counts)} labels are in fewer than {least:.0f}, or in all but so "
            "many, of which by chance a fifth of the rows may hold none",
            "nothing can be told of them: leave them out, or get more rows that have them",
            columns=few,
        )

    def uneven(self, y: Array, y_held: Array) -> Iterator[Finding]:
        """Of each label a test of two shares, by the standard error of their difference."""
        n, m = len(y), len(y_held)
        a, b = y.mean(axis=0), y_held.mean(axis=0)
        both = (y.sum(axis=0) + y_held.sum(axis=0)) / (n + m)
        error = np.sqrt(np.maximum(both * (1 - both), 1 / (n + m)) * (1 / n + 1 / m))
        apart = np.abs(b - a)
        worst = int((apart / error).argmax())
        # The largest of C differences: as far from chance as UNEVEN_SIGMAS of a single one.
        bar = UNEVEN_SIGMAS + math.log(len(a)) / UNEVEN_SIGMAS
        if apart[worst] < max(bar * error[worst], UNEVEN):
            return
        yield Finding(
            "validation-balance",
            f"label {worst} is in {a[worst]:.1%} of the training rows and {b[worst]:.1%} of the "
            f"validation rows (standard error {100 * error[worst]:.1f} points)",
            "draw both from one source (fanin.datasets.split does)",
        )

    # Of a small sample rows are learnt as wholes: each set of labels is a class.

    def learnt(self, outputs: Floats, y: Array) -> float:
        return float(np.mean(((outputs > 0.5) == (y > 0)).all(axis=1)))

    def ceiling(self, groups: Ints, y: Array) -> float:
        return _OF_SETS.ceiling(groups, _sets(y))

    def lone(self, y: Array, near: Ints, known: Array) -> float:
        return _OF_SETS.lone(_sets(y), near, known)


def _sets(y: Array) -> Ints:
    """A number for each set of labels."""
    return np.asarray(np.unique(y > 0, axis=0, return_inverse=True)[1]).reshape(-1)


_OF_SETS = Classification(LossSpec("softmax"), 2)
