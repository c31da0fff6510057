"""An ensemble of the best networks of a search or cross-validation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from fanin import _validate, losses
from fanin._typing import Array, Floats
from fanin.ensemble.members import Failure
from fanin.ensemble.model import Ensemble, output
from fanin.network import MLP


class TrialLike(Protocol):
    """The part of a `fanin.tuning.Trial` that is read here."""

    number: int

    @property
    def merit(self) -> float: ...

    @property
    def network(self) -> MLP | None: ...


def from_search(
    candidates: Sequence[MLP | tuple[MLP, float] | TrialLike],
    X_val: Array | None = None,
    y_val: Array | None = None,
    *,
    k: int = 5,
    greedy: bool = False,
    combine: str = "probability",
) -> Ensemble:
    """The k best of several trained networks, or a greedy selection of them.

    Parameters
    ----------
    candidates : sequence of MLP, of (MLP, score) or of trials of a search
        The score is a validation score, larger is better. Candidates without one are scored by
        their accuracy on X_val; those whose score is not finite are left out as failures.
    X_val, y_val : ndarray, optional
        Rows and labels (N,) that no candidate was trained on: for greedy, and for missing scores.
    k : int
        The size of the ensemble; with greedy the rounds of selection.
    greedy : bool
        Add, round by round, the candidate (again) with which the ensemble is best on X_val
        (Caruana et al. 2004, "Ensemble selection from libraries of models"), by accuracy and then
        by the probability of the right class. Returns the ensemble of the best round, each member
        weighted by the rounds it won.
    combine : {"probability", "logits", "vote"}

    Examples
    --------
    >>> (X, y), (X_test, y_test) = fanin.datasets.load("digits")
    >>> trials = []
    >>> for lr in (1e-4, 1e-3, 1e-2):
    ...     net = fanin.MLP([64, 32, 10])
    ...     history = net.fit(X[:1000], y[:1000], epochs=3, batch_size=32, progress=False,
    ...                       optimizer=fanin.optim.Adam(lr=lr))
    ...     trials.append((net, net.evaluate(X[1000:], y[1000:])["accuracy"]))
    >>> best = fanin.ensemble.from_search(trials, k=2)
    >>> best.members == [trials[2][0], trials[1][0]]
    True
    """
    given = _validate.sequence("candidates", candidates, "a list of MLP or (MLP, score)")
    pairs = [(c, None) if isinstance(c, MLP) else _pair(c) for c in given]
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val, y_val: expected both or neither")
    if X_val is None and (greedy or any(score is None for _, score in pairs)):
        why = "for greedy selection" if greedy else "to score candidates without a score"
        raise ValueError(f"X_val, y_val: expected validation rows {why}, got None")
    networks = Ensemble([net for net, _ in pairs], combine=combine).members
    k = _validate.whole("k", k, 1, None if greedy else len(networks))
    scores = [_score(net, X_val, y_val) if score is None else score for net, score in pairs]
    good = [i for i, score in enumerate(scores) if math.isfinite(score)]
    if not good:
        raise ValueError("candidates: expected a finite score, got none")
    failures = [
        Failure(i, f"candidate {i}", f"its validation score is {score}")
        for i, score in enumerate(scores)
        if i not in good
    ]
    best = [networks[i] for i in sorted(good, key=lambda i: -scores[i])]
    if not greedy:
        return Ensemble(best[:k], combine=combine, failures=failures)
    assert X_val is not None
    assert y_val is not None
    counts = _greedy(best, X_val, y_val, k, combine)
    members = [net for net, count in zip(best, counts, strict=True) if count]
    weights = [count for count in counts if count]
    return Ensemble(members, combine=combine, weights=weights, failures=failures)


def _pair(candidate: Any) -> tuple[MLP, float]:
    if hasattr(candidate, "merit"):
        if candidate.network is None:
            raise TypeError(
                f"candidates: expected a trained network in trial {candidate.number}, got none"
            )
        return candidate.network, candidate.merit
    net, score = _validate.pair("candidates", candidate, "MLP or (MLP, score)")
    try:
        return net, float(score)
    except (TypeError, ValueError):
        raise TypeError(f"candidates: expected a number as score, got {score!r}") from None


def _score(net: MLP, X: Any, y: Any) -> float:
    result = net.evaluate(X, y)
    return float(result.get("accuracy", -result["loss"]))


def _greedy(networks: Sequence[MLP], X: Array, y: Array, rounds: int, combine: str) -> list[int]:
    """How often each network is taken, by Caruana's selection with replacement."""
    outputs = [output(net, net.scores(X), combine) for net in networks]
    y = networks[0].targets.positions("y_val", y)
    labels = _validate.labels("y_val", y, len(outputs[0]), networks[0].dims[-1])
    counts, total = [0] * len(networks), np.zeros_like(outputs[0])
    best, best_counts = (-1.0, -1.0), counts
    for taken in range(1, rounds + 1):
        merits = [_merit((total + own) / taken, labels, combine) for own in outputs]
        winner = max(range(len(networks)), key=lambda i: (merits[i], -i))
        counts = [count + (i == winner) for i, count in enumerate(counts)]
        total += outputs[winner]
        if merits[winner] > best:
            best, best_counts = merits[winner], counts
    return best_counts


def _merit(combined: Floats, labels: Array, combine: str) -> tuple[float, float]:
    """(accuracy, mean probability of the right class)."""
    sure = losses.softmax(combined) if combine == "logits" else combined
    right = sure[np.arange(len(labels)), labels]
    return float(np.mean(combined.argmax(axis=1) == labels)), float(np.mean(right))
