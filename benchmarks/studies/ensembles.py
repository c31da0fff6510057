"""What ensembles gain, and what they cost: ``python -m benchmarks.studies.ensembles``.

Test accuracy of each of the six kinds beside the mean of its members, on Fashion-MNIST and on the
CIFAR-10 images that the environment variable FANIN_CIFAR10 names (an .npz with x and y); then the
time of eight members on two cores over that of one member on one core. Exit code 1 where an
ensemble is below its members' mean, the best gains less than a point, or the time is above 4.3.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

import fanin
from benchmarks import data
from benchmarks.data import Array
from fanin import ensemble

TIME_BAR, GAIN_BAR = 4.3, 0.01


@dataclass(frozen=True)
class Problem:
    """Training, validation and test rows, and how long to train."""

    name: str
    X: Array
    y: Array
    X_val: Array
    y_val: Array
    test: tuple[Array, Array]
    hidden: int
    epochs: int

    @property
    def dims(self) -> list[int]:
        return [self.X.shape[1], self.hidden, 10]

    @property
    def options(self) -> dict[str, Any]:
        return {
            "epochs": self.epochs,
            "batch_size": 128,
            "preprocess": "standardize",
            "progress": False,
        }


def fashion() -> Problem:
    images = data.images()
    rows = np.split(images.X[:24_000], [20_000])
    labels = np.split(images.y[:24_000].astype(np.int64), [20_000])
    test = images.X_test, images.y_test.astype(np.int64)
    return Problem(images.name, rows[0], labels[0], rows[1], labels[1], test, 100, 10)


def cifar() -> Problem | None:
    images = data.cifar10()
    if images is None:
        return None
    X, y = images
    X = np.ascontiguousarray(X.reshape(len(X), -1))
    n = len(X)
    a, b = int(0.7 * n), int(0.8 * n)
    return Problem(f"CIFAR-10, {n} images", X[:a], y[:a], X[a:b], y[a:b], (X[b:], y[b:]), 100, 10)


# The six kinds, each giving (accuracy of the ensemble, accuracies of its members)

Outcome = tuple[float, list[float]]


def judged(together: ensemble.Ensemble, problem: Problem) -> Outcome:
    result = together.evaluate(*problem.test)
    return result["accuracy"], [member["accuracy"] for member in result["members"]]


def initializations(p: Problem) -> Outcome:
    return judged(ensemble.from_initializations(p.dims, p.X, p.y, **p.options), p)


def objectives(p: Problem) -> Outcome:
    return judged(ensemble.from_objectives(p.dims, p.X, p.y, **p.options), p)


def datasets(p: Problem, method: str) -> Outcome:
    return judged(ensemble.from_datasets(p.dims, p.X, p.y, method=method, **p.options), p)


def search(p: Problem, greedy: bool) -> Outcome:
    """The five best of ten random trials: learning rate, L2, dropout."""
    rng = fanin.random.Generator(seed=0)
    variants = [
        {
            "optimizer": fanin.optim.Adam(lr=10 ** rng.random(1).item() * 3e-4),
            "reg": 10 ** (-5 + 2 * rng.random(1).item()),
            "keep": 0.5 + 0.5 * rng.random(1).item(),
        }
        for _ in range(10)
    ]
    trials = ensemble.from_objectives(p.dims, p.X, p.y, variants, **p.options).members
    best = ensemble.from_search(trials, p.X_val, p.y_val, k=10 if greedy else 5, greedy=greedy)
    return judged(best, p)


def checkpoints(p: Problem) -> Outcome:
    """Five cycles in the epochs of one member; the rate was chosen on the validation rows."""
    options = {name: value for name, value in p.options.items() if name != "epochs"}
    cycles = {"n_cycles": 5, "epochs_per_cycle": p.epochs // 5}
    optimizer = fanin.optim.Adam(lr=1e-2)
    return judged(
        ensemble.from_checkpoints(p.dims, p.X, p.y, optimizer=optimizer, **cycles, **options), p
    )


class AccuracyByEpoch(fanin.callbacks.Callback):
    """Test accuracy at the end of each epoch that the average counts."""

    def __init__(self, problem: Problem, first: int) -> None:
        self.problem, self.first = problem, first
        self.accuracies: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if epoch >= self.first:
            self.accuracies.append(self.network.evaluate(*self.problem.test)["accuracy"])


def average(p: Problem, decay: float | None) -> Outcome:
    first = p.epochs // 2
    points = AccuracyByEpoch(p, first)
    running = ensemble.ParameterAverage(decay, start=first)
    fanin.MLP(p.dims).fit(p.X, p.y, callbacks=[points, running], **p.options)
    return running.network().evaluate(*p.test)["accuracy"], points.accuracies


KINDS: dict[str, Callable[[Problem], Outcome]] = {
    "initialisations": initializations,
    "objectives": objectives,
    "data, bootstrap": lambda p: datasets(p, "bootstrap"),
    "data, folds": lambda p: datasets(p, "folds"),
    "search, best 5 of 10": lambda p: search(p, greedy=False),
    "search, greedy": lambda p: search(p, greedy=True),
    "checkpoints": checkpoints,
    "average of epochs": lambda p: average(p, None),
    "exponential average": lambda p: average(p, 0.999),
}


def table(problem: Problem) -> bool:
    """Prints a row for each kind; whether all are at or above their mean, the best well so."""
    dims = "-".join(map(str, problem.dims))
    print(f"\n{problem.name}: {len(problem.X)} training rows, {dims}, {problem.epochs} epochs\n")
    print("| ensemble | members | mean of members | best member | together | gain, points |")
    print("|---|---|---|---|---|---|")
    gains = []
    for name, build in KINDS.items():
        together, members = build(problem)
        mean = statistics.fmean(members)
        gains.append(together - mean)
        cells = [f"{100 * a:.2f} %" for a in (mean, max(members), together)]
        row = [name, str(len(members)), *cells, f"{100 * gains[-1]:+.2f}"]
        print("| " + " | ".join(row) + " |", flush=True)
    return min(gains) >= 0 and max(gains) >= GAIN_BAR


def cost(problem: Problem, rounds: int) -> bool:
    """Prints the time of eight members on two cores, in times of one member on one core."""
    ratios = []
    options = problem.options | {"epochs": 5}
    for _ in range(rounds):
        start = time.perf_counter()
        net = fanin.MLP(problem.dims)
        net.fit(problem.X, problem.y, n_threads=1, **options)
        one = time.perf_counter() - start
        start = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            ensemble.from_initializations(
                problem.dims,
                problem.X,
                problem.y,
                n_members=8,
                executor=pool,
                n_threads=1,
                **options,
            )
        ratios.append((time.perf_counter() - start) / one)
    ratio = statistics.median(ratios)
    print(f"\n8 members on 2 cores: {ratio:.2f} times one member on one core (bar {TIME_BAR})")
    print("rounds: " + ", ".join(f"{r:.2f}" for r in ratios))
    return ratio <= TIME_BAR


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.ensembles", description=__doc__
    )
    parser.add_argument("--only", choices=["gain", "cost"])
    parser.add_argument("--rounds", type=int, default=5, help="of the timing")
    options = parser.parse_args()
    first = fashion()
    good = True
    if options.only != "cost":
        for problem in (first, cifar()):
            if problem is None:
                print("\nCIFAR-10: skipped; FANIN_CIFAR10 names no file")
            else:
                good &= table(problem)
    if options.only != "gain":
        good &= cost(first, options.rounds)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
