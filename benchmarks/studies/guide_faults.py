"""Planted faults, and healthy runs: ``python -m benchmarks.studies.guide_faults``.

On digits, Fashion-MNIST (where fanin finds it) and the CIFAR-10 images that the variable
FANIN_CIFAR10 names (an .npz with x and y). Each fault must be found by its name; and of 50 healthy
runs (steps 1 to 4 of the guide, then a run at what they found and a verdict on its curves, with
other rows, widths, activations, rules and seeds) at most 1 may raise an alarm. Exit code 1 where
either fails.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import fanin
from benchmarks.data import cifar10
from fanin import datasets, tuning

HEALTHY_RUNS, MOST_FALSE_ALARMS = 50, 1
ROWS = 3000
FAULTS = (
    "initial-loss",
    "learning-rate-too-high",
    "learning-rate-too-low",
    "bad-initialisation",
    "unscaled-inputs",
    "unrelated-labels",
    "validation-balance",
    "edge",
    "diverged",
    "cannot-overfit",
    "network-too-small",
    "no-learning-rate",
)

Data = tuple[np.ndarray, np.ndarray]


def images() -> dict[str, Data]:
    """Images (N, H, W[, C]) and labels by name."""
    found = {}
    for name in ("digits", "fashion-mnist"):
        try:
            found[name] = datasets.load(name)[0]
        except OSError:
            print(f"{name}: not found, left out")
    if (images := cifar10()) is not None:
        found["cifar10"] = images
    return found


def problems() -> dict[str, Data]:
    return {name: (X.reshape(len(X), -1), y) for name, (X, y) in images().items()}


def some(data: Data, seed: int, n: int = ROWS) -> Data:
    rows = np.random.default_rng(seed).permutation(len(data[0]))[:n]
    return data[0][rows], data[1][rows]


def found_by_guide(
    X: np.ndarray, y: np.ndarray, *validation: np.ndarray, **options: Any
) -> set[str]:
    report = tuning.guide(X, y, *validation, progress=False, n_threads=1, **options)
    return {finding.name for finding in report.findings}


def found_in_curve(net: fanin.MLP, X: np.ndarray, y: np.ndarray, lr: float, seed: int) -> set[str]:
    train, validation = datasets.split(X, y, seed=seed)
    history = net.fit(
        *train, validation_data=validation, epochs=8, batch_size=64, optimizer=fanin.optim.Adam(lr),
        preprocess="standardize", progress=False, n_threads=1,
    )  # fmt: skip
    return set(tuning.loss_curve(history).names)


# The faults: each gives (the name that must be found, what was found)

Fault = Callable[[np.ndarray, np.ndarray, int], tuple[str, set[str]]]


def network(X: np.ndarray, hidden: list[int], seed: int, **options: Any) -> fanin.MLP:
    return fanin.MLP([X.shape[1], *hidden, 10], seed=seed, **options)


def last_layer(X: np.ndarray, y: np.ndarray, seed: int) -> tuple[str, set[str]]:
    net = network(X, [100], seed)
    net.params["W2"] *= 100
    return "initial-loss", found_by_guide(X, y, network=net, until=1, seed=seed)


def rate(lr: float, name: str, by_guide: bool) -> Fault:
    def fault(X: np.ndarray, y: np.ndarray, seed: int) -> tuple[str, set[str]]:
        if by_guide:
            options = {"hidden": [100], "lr": lr}
            return name, found_by_guide(X, y, network=options, until=2, seed=seed)
        return name, found_in_curve(network(X, [100], seed), X, y, lr, seed)

    return fault


def tiny_weights(by_guide: bool) -> Fault:
    def fault(X: np.ndarray, y: np.ndarray, seed: int) -> tuple[str, set[str]]:
        net = network(X, [50] * 8, seed, activation="tanh")
        for name, values in net.params.items():
            if name.startswith("W"):
                values[:] = fanin.initializers.small_random(values.shape, 1e-4, rng=seed)
        if by_guide:
            return "bad-initialisation", found_by_guide(X, y, network=net, until=2, seed=seed)
        return "bad-initialisation", found_in_curve(net, X, y, 1e-3, seed)

    return fault


def unscaled(X: np.ndarray, y: np.ndarray, seed: int) -> tuple[str, set[str]]:
    raw = (X.astype(np.float32) * (255 / X.max())).astype(np.float32)
    return "unscaled-inputs", found_by_guide(raw, y, preprocess=None, until=1, seed=seed)


def shuffled(X: np.ndarray, y: np.ndarray, seed: int) -> tuple[str, set[str]]:
    mixed = np.random.default_rng(seed).permutation(y)
    return "unrelated-labels", found_by_guide(X, mixed, until=4, seed=seed)


def other_balance(X: np.ndarray, y: np.ndarray, seed: int) -> tuple[str, set[str]]:
    train, (X_val, y_val) = datasets.split(X, y, seed=seed)
    few = np.random.default_rng(seed).random(len(y_val)) < np.where(y_val < 5, 1.0, 0.3)
    part = np.ascontiguousarray(X_val[few]), y_val[few]
    return "validation-balance", found_by_guide(*train, *part, until=1, seed=seed)


def beyond(name: str, low: float, high: float, side: str) -> Fault:
    def fault(X: np.ndarray, y: np.ndarray, seed: int) -> tuple[str, set[str]]:
        result = tuning.search(
            {name: tuning.loguniform(low, high)}, (X, y), 30, epochs=6, batch_size=32, hidden=50,
            preprocess="standardize", seed=seed, n_threads=1, progress=False,
        )  # fmt: skip
        return f"edge, {side}", {f"edge, {edge.side}" for edge in result.edges()}

    return fault


PLANTED: dict[str, Fault] = {
    "last layer 100 times too large": last_layer,
    "lr 1e3, by step 2": rate(1e3, "learning-rate-too-high", by_guide=True),
    "lr 1e3, by the curve": rate(1e3, "learning-rate-too-high", by_guide=False),
    "lr 1e-8, by step 2": rate(1e-8, "learning-rate-too-low", by_guide=True),
    "lr 1e-8, by the curve": rate(1e-8, "learning-rate-too-low", by_guide=False),
    "init std 1e-4, tanh, 8 layers, by steps 1 and 2": tiny_weights(by_guide=True),
    "init std 1e-4, tanh, 8 layers, by the curve": tiny_weights(by_guide=False),
    "inputs 0 ... 255": unscaled,
    "labels shuffled": shuffled,
    "validation of another class balance": other_balance,
    "search whose best rate is above its range": beyond("lr", 1e-6, 5e-5, "high"),
    "search whose best L2 is below its range": beyond("reg", 0.05, 5.0, "low"),
}


def healthy(name: str, data: Data, seed: int) -> set[str]:
    """What is found in a run in which nothing is wrong."""
    rng = np.random.default_rng([seed, 7])
    X, y = some(data, seed, int(rng.choice([1200, 2000, ROWS])))
    options = {
        "hidden": [[64], [128], [256], [128, 64]][int(rng.integers(4))],
        "activation": ["relu", "tanh", "gelu"][int(rng.integers(3))],
        "init": ["kaiming", "xavier"][int(rng.integers(2))],
        "optimizer": ["adam", "momentum", "rmsprop", "nesterov"][int(rng.integers(4))],
    }
    report = tuning.guide(
        X, y, network=options, until=4, seed=seed, progress=False, n_threads=1
    )  # fmt: skip
    found = {finding.name for finding in report.findings}
    options.pop("hidden")
    train, validation = datasets.split(X, y, seed=seed)
    best = report.settings
    net = fanin.MLP(
        [X.shape[1], *best["hidden"], 10],
        activation=best["activation"],
        init=best["init"],
        seed=seed,
    )
    history = net.fit(
        *train, validation_data=validation, epochs=15, batch_size=best["batch_size"],
        optimizer=fanin.optim.get(best["optimizer"], best["lr"]), reg=best["reg"],
        preprocess=(float(X.mean()), 1 / float(X.std())), progress=False, n_threads=1,
    )  # fmt: skip
    found |= set(tuning.loss_curve(history).names)
    if alarms := found & set(FAULTS):
        print(f"  {name}, seed {seed}, {best}: {', '.join(sorted(alarms))}", flush=True)
        for finding in (*report.findings, *tuning.loss_curve(history)):
            if finding.name in alarms:
                print(f"    {finding.name}: {finding.evidence}")
    return found & set(FAULTS)


def planted(found: dict[str, Data], seed: int) -> Iterator[bool]:
    for fault, plant in PLANTED.items():
        for name, data in found.items():
            expected, said = plant(*some(data, seed), seed)
            yield expected in said
            mark = "found" if expected in said else "MISSED"
            print(f"{mark:6} {fault}, {name}: {', '.join(sorted(said)) or 'nothing'}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.guide_faults", description=__doc__
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=["planted", "healthy"])
    parser.add_argument("--runs", type=int, default=HEALTHY_RUNS)
    options = parser.parse_args()
    warnings.simplefilter("ignore", fanin.DivergenceWarning)
    start, found, good = time.perf_counter(), problems(), True
    if options.only != "healthy":
        results = list(planted(found, options.seed))
        print(f"{sum(results)} of {len(results)} planted faults found by name\n")
        good &= all(results)
    if options.only != "planted":
        names = list(found)
        tasks = [(names[i % len(names)], options.seed + i) for i in range(options.runs)]
        with ThreadPoolExecutor(fanin.get_num_threads()) as pool:
            alarms = list(pool.map(lambda t: healthy(t[0], found[t[0]], t[1]), tasks))
        false = sum(map(bool, alarms))
        print(f"{false} of {len(tasks)} healthy runs raised an alarm (bar {MOST_FALSE_ALARMS})")
        good &= false <= MOST_FALSE_ALARMS
    print(f"{time.perf_counter() - start:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
