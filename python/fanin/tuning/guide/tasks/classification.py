"""One class of several for each row."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fanin import losses, metrics
from fanin._typing import Array, Floats, Ints
from fanin.diagnostics.findings import Finding
from fanin.ensemble.held_out import log_losses
from fanin.tuning.guide.tasks.task import Numbers, Task, Words, percent

EXPECTED_ROWS = 5.0  # of a class; then it is by chance in under 1 % that none is there
IMBALANCE = 4.0  # times as many rows: then the commonest of two classes has four fifths
UNEVEN, UNEVEN_SIGMAS = 0.05, 5.0  # share of rows in other classes, and how far from chance


@dataclass(frozen=True)
class Classification(Task):
    """Labels 0 .. C-1; outputs are probabilities."""

    name: ClassVar[str] = "classification"
    losses: ClassVar[tuple[str, ...]] = ("softmax", "svm")
    least_ceiling: ClassVar[float] = 2 / 3
    words: ClassVar[Words] = Words(
        loss="log_loss",
        loss_title="log loss",
        score="accuracy",
        score_title="accuracy",
        told=percent,
        metrics=(
            ("accuracy", "accuracy", percent),
            ("balanced_accuracy", "balanced accuracy", percent),
            ("roc_auc", "ROC AUC", percent),
        ),
        guess="guessing is right in",
        trivial="the classes' shares",
        no_better="no-better-than-majority",
        unrelated="unrelated-labels",
        targets="labels",
        one="label",
        by_column="{} alone tells the label of {:.1%} of the rows, the next best column of {:.1%}",
    )

    def outputs(self, scores: Array) -> Floats:
        return np.asarray(losses.softmax(scores.astype(np.float64)))

    def row_losses(self, outputs: Floats, y: Array) -> Floats:
        return log_losses(outputs, y)

    def trivial(self, y: Array) -> Floats:
        shares = np.bincount(y, minlength=self.n_outputs) + 0.5
        return np.asarray(shares / shares.sum())

    def answers(self, y: Array) -> Floats:
        one_hot = np.zeros((len(y), self.n_outputs))
        one_hot[np.arange(len(y)), y] = 1.0
        return one_hot

    def wrong(self, outputs: Floats, y: Array) -> Floats:
        return np.asarray(outputs.argmax(axis=1) != y, np.float64)

    def score(self, outputs: Floats, y: Array) -> float:
        return float(np.mean(outputs.argmax(axis=1) == y))

    def metrics(self, outputs: Floats, y: Array) -> Numbers:
        predicted = outputs.argmax(axis=1)
        result = {
            "accuracy": metrics.accuracy_score(y, predicted),
            "balanced_accuracy": metrics.balanced_accuracy_score(y, predicted),
        }
        present = np.unique(y)
        if len(present) > 1:
            areas = [
                metrics.roc_auc_score((y == c).astype(np.int64), outputs[:, c]) for c in present
            ]
            result["roc_auc"] = float(np.mean(areas))
        return result

    def strata(self, y: Array) -> Ints:
        return y

    def varies(self, y: Array) -> bool:
        return len(np.unique(y)) > 1

    def chance(self, y: Array, y_held: Array) -> float:
        return float(np.mean(y_held == np.bincount(y).argmax()))

    def data_findings(self, y: Array) -> Iterator[Finding]:
        counts = np.bincount(y)
        few, many = int(counts[counts > 0].min()), int(counts.max())
        if many < IMBALANCE * few:
            return
        rare = int(np.where(counts > 0, counts, len(y) + 1).argmin())
        yield Finding(
            "imbalanced",
            f"class {rare} has {few} of the {len(y)} rows, class {counts.argmax()} has {many}, "
            f"{many / few:.0f} times as many: always answering the latter is right in "
            f"{many / len(y):.1%}",
            "judge by balanced accuracy and ROC AUC, which the report has, rather than by "
            "accuracy; class_weight='balanced' gives the rare classes their weight, at the cost of "
            "probabilities that are no longer those of these rows",
        )

    def uneven(self, y: Array, y_held: Array) -> Iterator[Finding]:
        """A two-sample chi-squared test of the classes' shares."""
        counts = [np.bincount(labels, minlength=self.n_outputs) for labels in (y, y_held)]
        n, m = (int(c.sum()) for c in counts)
        seen = counts[0] + counts[1] > 0
        a, b = counts[0][seen].astype(float), counts[1][seen].astype(float)
        statistic = float(((math.sqrt(m / n) * a - math.sqrt(n / m) * b) ** 2 / (a + b)).sum())
        freedom = int(seen.sum()) - 1
        sigmas = (statistic - freedom) / math.sqrt(2 * freedom)
        difference = b / m - a / n
        apart = float(np.abs(difference).sum() / 2)
        expected = a * m / n
        lacking = np.flatnonzero((b == 0) & (expected >= EXPECTED_ROWS))
        if len(lacking):
            label = int(np.flatnonzero(seen)[lacking[0]])
            yield Finding(
                "validation-balance",
                f"the validation rows lack class {label}, which is {a[lacking[0]] / n:.1%} of the "
                f"training rows: {expected[lacking[0]]:.0f} of {m} were to be expected",
                "draw both from one source, evenly over the classes (fanin.datasets.split does)",
            )
            return
        if sigmas < UNEVEN_SIGMAS or apart < UNEVEN:
            return
        worst = int(np.abs(difference).argmax())
        label = int(np.flatnonzero(seen)[worst])
        yield Finding(
            "validation-balance",
            f"the validation rows have another class balance: class {label} is "
            f"{a[worst] / n:.1%} of the training rows and {b[worst] / m:.1%} of the validation "
            f"rows; {apart:.1%} of the rows would have to change class (chi-squared "
            f"{statistic:.0f} with {freedom} degrees of freedom)",
            "draw both from one source, evenly over the classes (fanin.datasets.split does)",
        )

    def learnt(self, outputs: Floats, y: Array) -> float:
        return self.score(outputs, y)

    def ceiling(self, groups: Ints, y: Array) -> float:
        """The accuracy of giving each group its commonest label."""
        pairs = Counter(zip(groups.tolist(), y.tolist(), strict=True))
        most: dict[int, int] = {}
        for (group, _), count in pairs.items():
            most[group] = max(most.get(group, 0), count)
        return sum(most.values()) / len(y)

    def lone(self, y: Array, near: Ints, known: Array) -> float:
        """The share of rows most of whose nearest ones have another label."""
        others = ((y[near] != y[:, None]) & known).sum(axis=1)
        return float((2 * others > near.shape[1]).mean())
