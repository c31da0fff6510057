"""What norms and skips bring to six layers: ``python -m benchmarks.studies.depth``.

Trains D-256-256-256-256-256-256-10 (relu, batch 128, plain SGD or Adam, cosine) on 10,000 images of
Fashion-MNIST and on 4,000 of the CIFAR-10 images that FANIN_CIFAR10 names (an .npz with x and y),
from Kaiming's weights and from small ones (a normal of the deviation that 0.01 is in the lecture's
layers of 4,096): alone, with layer norm, with batch norm, residual. Each at its best learning rate
by the validation rows of one split; then that rate on other splits and seeds. What is left out of
each split is the validation set, of 2,000 rows at most. Prints mean and standard error of the
accuracy there after the last epoch, and of its difference from Kaiming alone on the same splits.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import sys
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np

import fanin
from benchmarks import data
from benchmarks.data import Array

WIDTH, DEPTH, BATCH = 256, 6, 128
HELD_OUT = 2000
RATES = {"sgd": (0.01, 0.03, 0.1, 0.3, 1.0), "adam": (1e-4, 3e-4, 1e-3, 3e-3)}
RULES = {"sgd": fanin.optim.SGD, "adam": fanin.optim.Adam}
SMALL = partial(fanin.initializers.small_random, std=0.01 * math.sqrt(4096 / WIDTH))
STARTS: dict[str, Any] = {"Kaiming": "kaiming", "small": SMALL}
WAYS: dict[str, dict[str, Any]] = {
    "alone": {},
    "layer norm": {"norm": "layer"},
    "batch norm": {"norm": "batch"},
    "residual": {"residual": True},
}


Way = tuple[str, str]  # from which start, with what


class Images(NamedTuple):
    """Rows to split, and how many to train on for how long."""

    name: str
    X: Array
    y: Array
    rows: int
    epochs: int


class Run(NamedTuple):
    """A training: everything random, the split too, is a function of the seed."""

    start: str
    way: str
    rate: float
    seed: int


def sets() -> list[Images]:
    """Those that there are; says which are left out."""
    found = []
    fashion = data.images()
    if fashion.name == "Fashion-MNIST":
        found.append(Images(fashion.name, fashion.X, fashion.y, 10_000, 10))
    else:
        print("Fashion-MNIST is not installed: left out", file=sys.stderr)
    if (images := data.cifar10()) is not None:
        X, y = images
        found.append(Images("CIFAR-10", X.reshape(len(X), -1), y, 4000, 20))
    else:
        print(f"CIFAR-10: left out, {data.CIFAR10} names no file", file=sys.stderr)
    return found


def accuracy(images: Images, run: Run, optimizer: str) -> float:
    """On the validation rows after the last epoch; 0 where the run diverged."""
    order = fanin.random.Generator(seed=run.seed).permutation(len(images.y))
    rows, held_out = order[: images.rows], order[images.rows :][:HELD_OUT]
    net = fanin.MLP(
        [images.X.shape[1], *[WIDTH] * DEPTH, 10],
        init=STARTS[run.start],
        seed=run.seed,
        **WAYS[run.way],
    )
    history = net.fit(
        images.X[rows],
        images.y[rows],
        epochs=images.epochs,
        batch_size=BATCH,
        optimizer=RULES[optimizer](run.rate),
        schedule="cosine",
        preprocess="standardize",
        progress=False,
        n_threads=1,
    )
    if history.stop_reason == "diverged":
        return 0.0
    return net.evaluate(images.X[held_out], images.y[held_out])["accuracy"]


def accuracies(images: Images, runs: Sequence[Run], optimizer: str) -> dict[Run, float]:
    """Of each, two runs at a time."""
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda run: accuracy(images, run, optimizer), runs)
        return dict(zip(runs, found, strict=True))


def searched(images: Images, optimizer: str) -> dict[Way, dict[float, float]]:
    """Accuracy by rate of each way from each start, on the split of seed 0."""
    ways = list(itertools.product(STARTS, WAYS))
    runs = [Run(*way, rate, 0) for way in ways for rate in RATES[optimizer]]
    found = accuracies(images, runs, optimizer)
    return {
        way: {run.rate: found[run] for run in runs if (run.start, run.way) == way} for way in ways
    }


def rates_table(found: Mapping[Way, Mapping[float, float]]) -> str:
    """In Markdown: a column for each rate, and a dash where the run diverged."""
    rates = list(next(iter(found.values())))
    lines = [f"| start | with | {' | '.join(f'{rate:g}' for rate in rates)} |"]
    lines.append(f"|---|---|{'---:|' * len(rates)}")
    for (start, way), by_rate in found.items():
        cells = [f"{100 * a:.1f}" if a > 0 else "–" for a in by_rate.values()]
        lines.append(f"| {start} | {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean and its standard error."""
    return statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))


def table(rates: Mapping[Way, float], found: Mapping[Way, Sequence[float]]) -> str:
    """In Markdown: of each way, accuracy and gain over Kaiming alone, in points."""
    lines = ["| start | with | rate | accuracy, % | gain over Kaiming alone, points |"]
    lines.append("|---|---|---:|---:|---:|")
    base = found["Kaiming", "alone"]
    for (start, way), values in found.items():
        mean, error = mean_and_error(values)
        cells = (
            f"| {start} | {way} | {rates[start, way]:g} | {100 * mean:.2f} ± {100 * error:.2f} |"
        )
        gain, spread = mean_and_error(np.subtract(values, base).tolist())
        plain = values is base
        lines.append(cells + (" |" if plain else f" {100 * gain:+.2f} ± {100 * spread:.2f} |"))
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.depth", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="splits to judge by, two at least (5)")
    parser.add_argument("--optimizer", choices=list(RULES), default="sgd")
    options = parser.parse_args(argv)
    if options.seeds < 2:
        parser.error(f"--seeds: expected 2 at least, got {options.seeds}")
    warnings.simplefilter("ignore", fanin.DivergenceWarning)  # such a run has accuracy 0
    for images in sets():
        print(
            f"{images.name}: {images.rows} training rows, {images.epochs} epochs of "
            f"{options.optimizer}, {options.seeds} splits"
        )
        by_rate = searched(images, options.optimizer)
        print(f"accuracy by learning rate, one split:\n{rates_table(by_rate)}\n", flush=True)
        rates = {way: max(found, key=found.__getitem__) for way, found in by_rate.items()}
        seeds = range(1, options.seeds + 1)
        runs = {way: [Run(*way, rate, seed) for seed in seeds] for way, rate in rates.items()}
        found = accuracies(images, list(itertools.chain(*runs.values())), options.optimizer)
        judged = {way: [found[run] for run in of] for way, of in runs.items()}
        print(f"at the best rate, other splits:\n{table(rates, judged)}\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
