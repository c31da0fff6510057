"""What can be learnt from outputs for rows that no network was trained on: weights, temperature."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fanin import _core, losses
from fanin._typing import Array, Floats, Labels
from fanin.network import MLP

ROUNDS = 20  # of the greedy selection
COOLEST, HOTTEST = 0.25, 8.0  # temperatures
SURE = 2.0  # standard errors by which a temperature must lower the loss
RowLosses = Callable[[Floats, Array], Floats]  # of outputs (N, C) and targets: (N,)
LEAST = float(np.finfo(np.float32).tiny)  # of a probability, where it has been rounded to 0


def log_losses(probabilities: Array, y: Labels) -> Floats:
    """-log of the right class's probability for each row, (N,)."""
    own = np.asarray(probabilities[np.arange(len(y)), y], dtype=np.float64)
    return np.asarray(-_core.map("log", np.maximum(own, LEAST)))


def binary_log_losses(probabilities: Array, y: Array) -> Floats:
    """The mean over the labels of a row, of -log of what is given to its having each or not."""
    own = np.where(np.asarray(y) > 0, probabilities, 1.0 - np.asarray(probabilities, np.float64))
    logs: Floats = _core.map("log", np.maximum(np.ascontiguousarray(own, np.float64), LEAST))
    return np.asarray(-logs.mean(axis=1))


def greedy_counts(
    outputs: Sequence[Floats], y: Array, rows: RowLosses = log_losses, rounds: int = ROUNDS
) -> list[int]:
    """How often each candidate is taken, by Caruana's selection with replacement.

    Each round adds the candidate with which the mean of the outputs, such as probabilities, has the
    least loss, the mean of `rows`; the counts are those of the best round (Caruana et al. 2004).
    """
    counts, total = [0] * len(outputs), np.zeros(outputs[0].shape)
    best, best_counts = math.inf, counts
    for taken in range(1, rounds + 1):
        means = [float(rows((total + output) / taken, y).mean()) for output in outputs]
        winner = int(np.argmin(means))
        counts = [count + (i == winner) for i, count in enumerate(counts)]
        total = total + outputs[winner]
        if means[winner] < best:
            best, best_counts = means[winner], counts
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


def fit_temperature(
    scores: Sequence[Array],
    weights: Sequence[float],
    y: Array,
    outputs: Callable[[Floats], Floats] = losses.softmax,
    judge: RowLosses = log_losses,
) -> Temperature:
    """The temperature of a weighted mean of outputs(scores / T), by held-out rows.

    Parameters
    ----------
    scores : sequence of ndarray of shape (N, C)
        Of each member, for rows that it was not trained on.
    weights : sequence of float
        They sum to 1.
    y : ndarray of shape (N,) or (N, C)
    outputs : callable
        What scores stand for, by default probabilities of classes.
    judge : callable
        The loss of each row, of outputs and y.

    Notes
    -----
    Guo et al. 2017, "On calibration of modern neural networks". The search is a golden section over
    log T.
    """

    def rows(log_t: float) -> Floats:
        t = math.exp(log_t)
        total = np.zeros(np.shape(scores[0]))
        for weight, own in zip(weights, scores, strict=True):
            total += weight * outputs(np.asarray(own, dtype=np.float64) / t)
        return judge(total, y)

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
