"""The lecture's coarse search against its peers, and the overhead of a search.

``python -m benchmarks.studies.search``: 100 random trials (lr 10^U(-6,-3), reg 10^U(-5,5)) of 5
epochs of 3072-50-10, batch 100, momentum, on 4,000 CIFAR-10 images with 1,000 to validate, from
the .npz (x, y) that FANIN_CIFAR10 names, else noise of that shape. The peers, MLPClassifier and
PyTorch, are driven by joblib over 2 processes of one thread each, are given float32 rows made
beforehand, and validate once, at the end; fanin starts from uint8 and validates after each epoch.
Then 10,000 trials of a function that does nothing, with and without a log. Ends with exit code 1
where a bar is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import roof
from benchmarks.data import Array, cifar10

SPEED_BAR, ROOF_BAR, OVERHEAD_BAR = 4.0, 0.6, 5.0
HIDDEN, EPOCHS, BATCH, CLASSES = 50, 5, 100, 10
TRAIN, VALIDATION = 4000, 1000


def training_data() -> tuple[str, Array, Array]:
    n = TRAIN + VALIDATION
    images = cifar10()
    if images is None:
        rng = np.random.default_rng(0)
        X = rng.integers(0, 256, (n, 3072), dtype=np.uint8)
        return "noise", X, rng.integers(0, CLASSES, n)
    X, y = images
    return "CIFAR-10", np.ascontiguousarray(X[:n].reshape(n, -1)), y[:n]


def space() -> Any:
    from fanin.tuning import loguniform

    return {"lr": loguniform(1e-6, 1e-3), "reg": loguniform(1e-5, 1e5)}


def with_fanin(X: Array, y: Array, n_trials: int, n_threads: int) -> tuple[float, float, float]:
    """(seconds, best validation accuracy, flops)."""
    from fanin.tuning import search

    mean = X[:TRAIN].mean(axis=0)
    start = time.perf_counter()
    result = search(
        space(),
        (X[:TRAIN], y[:TRAIN]),
        n_trials,
        validation_data=(X[TRAIN:], y[TRAIN:]),
        epochs=EPOCHS,
        hidden=HIDDEN,
        batch_size=BATCH,
        optimizer="momentum",
        init="small_random",
        preprocess=(mean, np.ones(1)),
        n_threads=n_threads,
        progress=False,
    )
    seconds = time.perf_counter() - start
    epochs = sum(len(t.curves.get("loss", ())) for t in result)
    first, second = X.shape[1] * HIDDEN, HIDDEN * CLASSES
    steps = 2 * TRAIN * (2 * first + 3 * second)  # forward, and back but for the first layer's rows
    flops = epochs * (steps + 2 * VALIDATION * (first + second))
    return seconds, result.best.score if result.best else 0.0, float(flops)


# The peers: a trial each, in processes of one thread


def sklearn_trial(X: Array, y: Array, lr: float, reg: float) -> float:
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")  # that it has not converged
    net = MLPClassifier(
        (HIDDEN,),
        solver="sgd",
        momentum=0.9,
        nesterovs_momentum=False,
        alpha=reg,
        batch_size=BATCH,
        learning_rate_init=lr,
        max_iter=EPOCHS,
        n_iter_no_change=EPOCHS + 1,
        random_state=0,
    )
    try:
        net.fit(X[:TRAIN], y[:TRAIN])
    except ValueError:  # the weights overflowed
        return 0.0
    return float(net.score(X[TRAIN:], y[TRAIN:]))


def torch_trial(X: Array, y: Array, lr: float, reg: float) -> float:
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    warnings.simplefilter("ignore")  # that joblib's mapped arrays cannot be written
    rows, labels = torch.from_numpy(X), torch.from_numpy(y)
    net = torch.nn.Sequential(
        torch.nn.Linear(X.shape[1], HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, CLASSES)
    )
    step = torch.optim.SGD(net.parameters(), lr, momentum=0.9, weight_decay=reg, fused=True)
    generator = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        for batch in torch.randperm(TRAIN, generator=generator).split(BATCH):
            step.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(rows[batch]), labels[batch])
            loss.backward()
            step.step()
            loss.item()
    with torch.no_grad():
        right = net(rows[TRAIN:]).argmax(1) == labels[TRAIN:]
    return float(right.double().mean())


PEERS: dict[str, tuple[str, Callable[..., float]]] = {
    "scikit-learn": ("sklearn", sklearn_trial),
    "PyTorch": ("torch", torch_trial),
}


def with_joblib(
    trial: Callable[..., float], X: Array, y: Array, n_trials: int
) -> tuple[float, float]:
    """(seconds, best validation accuracy); the processes are there before the clock starts."""
    from joblib import Parallel, delayed

    rng = np.random.default_rng(0)
    drawn = 10 ** rng.uniform((-6, -5), (-3, 5), (n_trials, 2))
    rows = X.astype(np.float32)
    rows -= rows[:TRAIN].mean(axis=0)
    with Parallel(n_jobs=2) as parallel:
        parallel(delayed(trial)(rows, y, 1e-5, 1e-5) for _ in range(2))
        start = time.perf_counter()
        scores = parallel(delayed(trial)(rows, y, *params) for params in drawn)
        return time.perf_counter() - start, max(scores)


def coarse_search(n_trials: int, rounds: int) -> bool:
    """Prints who took how long; whether fanin is as far ahead as its bars."""
    name, X, y = training_data()
    print(f"{n_trials} trials x {EPOCHS} epochs of 3072-{HIDDEN}-{CLASSES}, {name}")
    times: dict[str, list[float]] = {"fanin": [], **{peer: [] for peer in PEERS}}
    found: dict[str, float] = {}
    shares = []
    with roof.Meter() as meter:
        for _ in range(rounds):
            peak = meter.measure(2).gflops
            seconds, found["fanin"], flops = with_fanin(X, y, n_trials, 2)
            peak = max(peak, meter.measure(2).gflops)
            times["fanin"].append(seconds)
            shares.append(1e-9 * flops / seconds / peak)
            for peer, (_, trial) in PEERS.items():
                try:
                    seconds, found[peer] = with_joblib(trial, X, y, n_trials)
                except ImportError as error:
                    print(f"{peer}: left out ({error})", file=sys.stderr)
                else:
                    times[peer].append(seconds)
    ours = statistics.median(times["fanin"])
    good = True
    for peer, seconds in times.items():
        if not seconds:
            continue
        median = statistics.median(seconds)
        print(f"{peer:13} {median:6.2f} s, best validation accuracy {found[peer]:.3f}", end="")
        if peer == "fanin":
            share = statistics.median(shares)
            print(f", {100 * share:.0f} % of the flop roof (bar {100 * ROOF_BAR:.0f})")
            good &= share >= ROOF_BAR
        else:
            print(f", fanin is {median / ours:.2f} times as fast (bar {SPEED_BAR:.0f})")
            good &= median / ours >= SPEED_BAR
    return good


def nothing(params: Any) -> float:
    return float(params["x"])


def overhead(n_trials: int) -> bool:
    """Prints what trials cost beside the work in them."""
    from fanin.tuning import search, uniform

    good = True
    with tempfile.TemporaryDirectory() as folder:
        for log in (None, Path(folder) / "trials.jsonl"):
            start = time.perf_counter()
            search({"x": uniform(0, 1)}, nothing, n_trials, log=log, progress=False)
            seconds = time.perf_counter() - start
            how = "with a log" if log else "without a log"
            print(f"{n_trials} trials of nothing, {how}: {seconds:.2f} s (bar {OVERHEAD_BAR:.0f})")
            good &= seconds <= OVERHEAD_BAR
        start = time.perf_counter()
        search({"x": uniform(0, 1)}, nothing, n_trials, log=log, progress=False)
        print(f"the same again, from its log: {time.perf_counter() - start:.2f} s")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.search", description=__doc__
    )
    parser.add_argument("--only", choices=["speed", "overhead"])
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    good = True
    if options.only != "overhead":
        good &= coarse_search(options.trials, options.rounds)
    if options.only != "speed":
        good &= overhead(10_000)
    return 0 if good else 1


if __name__ == "__main__":
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"  # of the peers' processes; fanin is told its number
    sys.exit(main())
