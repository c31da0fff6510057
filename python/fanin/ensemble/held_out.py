"""What can be learnt from outputs for rows that no network was trained on: weights, temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fanin import _core, losses
from fanin._typing import Array, Floats, Labels
from fanin.network import MLP

ROUNDS = 20  # of the greedy selection
COOLEST, HOTTEST = 0.25, 8.0  # temperatures
SURE = 2.0  # standard errors by which a temperature must lower the loss
LEAST = float(np.finfo(np.float32).tiny)  # of a probability, where it has been rounded to 0


def log_losses(probabilities: Array, y: Labels) -> Floats:
    """-log of the right class's probability for each row, (N,)."""
    own = np.asarray(probabilities[np.arange(len(y)), y], dtype=np.float64)
    return np.asarray(-_core.map("log", np.maximum(own, LEAST)))


def greedy_counts(outputs: Sequence[Floats], y: Labels, rounds: int = ROUNDS) -> list[int]:
    """How often each candidate is taken, by Caruana's selection with replacement.

    Each round adds the candidate with which the mean of the probabilities has the least log loss;
    the counts are those of the best round (Caruana et al. 2004).
    """
    right = np.stack([output[np.arange(len(y)), y] for output in outputs]).astype(np.float64)
    counts, total = [0] * len(outputs), np.zeros(len(y))
    best, best_counts = math.inf, counts
    for taken in range(1, rounds + 1):
        means = np.maximum((total + right) / taken, LEAST)
        means = -_core.map("log", means).mean(axis=1)
        winner = int(means.argmin())
        counts = [count + (i == winner) for i, count in enumerate(counts)]
        total = total + right[winner]
        if means[winner] < best:
            best, best_counts = float(means[winner]), counts
    return best_counts


@dataclass(frozen=True)
class Temperature:
    """By what the scores are divided so that probabilities are right on held-out rows.

    Attributes
    ----------
    value : float
        1 where no other one lowers the log loss by more than twice its standard error.
    gain, error : float
        The fall of the mean log loss by the best one, and the standard error over the rows.
    """

    value: float
    gain: float
    error: float


def fit_temperature(scores: Sequence[Array], weights: Sequence[float], y: Labels) -> Temperature:
    """The temperature of a weighted mean of softmax(scores / T), by held-out rows.

    Parameters
    ----------
    scores : sequence of ndarray of shape (N, C)
        Of each member, for rows that it was not trained on.
    weights : sequence of float
        They sum to 1.
    y : ndarray of shape (N,)

    Notes
    -----
    Guo et al. 2017, "On calibration of modern neural networks". The search is a golden section over
    log T.
    """

    def rows(log_t: float) -> Floats:
        t = math.exp(log_t)
        total = np.zeros(np.shape(scores[0]))
        for weight, own in zip(weights, scores, strict=True):
            total += weight * losses.softmax(np.asarray(own, dtype=np.float64) / t)
        return log_losses(total, y)

    low, high = math.log(COOLEST), math.log(HOTTEST)
    ratio = (math.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = float(rows(a).mean()), float(rows(b).mean())
    while high - low > 0.01:
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = float(rows(a).mean())
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = float(rows(b).mean())
    middle = (low + high) / 2
    gains = rows(0.0) - rows(middle)
    error = float(gains.std(ddof=1)) / math.sqrt(len(gains)) if len(gains) > 1 else math.inf
    gain = float(gains.mean())
    return Temperature(math.exp(middle) if gain > SURE * error else 1.0, gain, error)


def cool(net: MLP, temperature: float) -> None:
    """Divides a network's scores by a temperature, by its output layer: nothing else is kept."""
    last = len(net.dims) - 1
    for name in (f"W{last}", f"b{last}"):
        net.params[name] /= net.dtype.type(temperature)
