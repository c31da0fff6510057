"""What augmentation gains on few images: ``python -m benchmarks.studies.augment_accuracy``.

Trains on 4,000 of the CIFAR-10 images that the environment variable FANIN_CIFAR10 names (an .npz
with x and y) and validates on the rest. The same search for L2 and dropout on one split, without
and with the pipeline, by the best epoch; then the best setting of each on other splits and seeds.
Exit code 1 where the pipeline gains less than 3 points of validation accuracy.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import fanin
from benchmarks.data import CIFAR10, Array, cifar10
from fanin.augment import Compose, HorizontalFlip, RandomCrop

GAIN_BAR = 0.03
TRAINING_ROWS = 4000
PIPELINE = RandomCrop(32, padding=4, padding_mode="reflect"), HorizontalFlip()


class Setting(NamedTuple):
    """What is searched for."""

    reg: float
    keep: float


RATE = 3e-4  # of Adam, from short runs without augmentation
GRID = [Setting(reg, keep) for reg in (0.0, 3e-3, 1e-2, 3e-2) for keep in (0.5, 1.0)]


class Run(NamedTuple):
    """A training: everything random, the split too, is a function of the seed."""

    augmented: bool
    setting: Setting
    seed: int


def accuracy(X: Array, y: Array, run: Run, hidden: int, epochs: int) -> float:
    """On the validation rows, at the best epoch."""
    order = fanin.random.Generator(seed=run.seed).permutation(len(X))
    rows, held_out = order[:TRAINING_ROWS], order[TRAINING_ROWS:]
    net = fanin.MLP([X[0].size, hidden, 10], keep=run.setting.keep, seed=run.seed)
    history = net.fit(
        X[rows],
        y[rows],
        validation_data=(X[held_out], y[held_out]),
        epochs=epochs,
        optimizer=fanin.optim.Adam(lr=RATE),
        reg=run.setting.reg,
        schedule="cosine",
        preprocess="standardize",
        augment=Compose(PIPELINE, seed=run.seed) if run.augmented else None,
        progress=False,
        n_threads=1,
    )
    return max(history.history["val_accuracy"])


def measured(
    X: Array, y: Array, runs: Sequence[Run], options: argparse.Namespace
) -> dict[Run, float]:
    """The accuracy of each, two runs at a time."""

    def one(run: Run) -> float:
        result = accuracy(X, y, run, options.hidden, options.epochs)
        kind = "with" if run.augmented else "without"
        print(f"  {kind:8}{run.setting}, seed {run.seed}: {100 * result:.2f} %", flush=True)
        return result

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(runs, pool.map(one, runs), strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.augment_accuracy", description=__doc__
    )
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--seeds", type=int, default=5, help="splits to judge by")
    options = parser.parse_args()
    images = cifar10()
    if images is None:
        print("skipped: FANIN_CIFAR10 names no file")
        return 0
    X, y = images
    if X.ndim != 4 or len(X) <= TRAINING_ROWS:
        raise ValueError(f"{CIFAR10}: expected more than {TRAINING_ROWS} images, got {X.shape}")
    print(f"3072-{options.hidden}-10, {options.epochs} epochs; pipeline {list(PIPELINE)}\nsearch")
    kinds = (False, True)
    searched = measured(X, y, [Run(kind, s, 0) for s in GRID for kind in kinds], options)
    best = {kind: max(GRID, key=lambda s, kind=kind: searched[Run(kind, s, 0)]) for kind in kinds}
    print("each one's best setting on other splits")
    seeds = range(1, options.seeds + 1)
    judged = measured(X, y, [Run(k, best[k], seed) for seed in seeds for k in kinds], options)
    results = {kind: [judged[Run(kind, best[kind], seed)] for seed in seeds] for kind in kinds}
    for kind in kinds:
        mean, spread = statistics.fmean(results[kind]), statistics.stdev(results[kind])
        name = "with augmentation" if kind else "without"
        print(f"{name}: {100 * mean:.2f} +- {100 * spread:.2f} % at {best[kind]}")
    gains = [b - a for a, b in zip(*(results[kind] for kind in kinds), strict=True)]
    gain = statistics.fmean(gains)
    print(
        f"gain: {100 * gain:.2f} points, of each split "
        + ", ".join(f"{100 * g:.2f}" for g in gains)
    )
    return 0 if gain >= GAIN_BAR else 1


if __name__ == "__main__":
    sys.exit(main())
