"""Do verdicts agree with how the runs were made? ``python -m benchmarks.studies.curve_verdicts``

200 real runs on digits and Fashion-MNIST (without it, on digits alone), 50 of each kind: long
enough, too short, overfitting by tiny data, underfitting by tiny width. Width, rate, batch,
dropout, data and length are drawn at random for each. The verdict agrees where its first finding is
the kind's name. The thresholds of `fanin.tuning.loss_curve` were chosen on the runs of even number;
the accuracy that counts is that of the odd ones. Exit code 1 where it is below 90 %.
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import fanin
from fanin import datasets, schedules
from fanin.callbacks.history import History
from fanin.tuning import loss_curve

BAR = 0.9
KINDS = ("healthy", "needs-more-training", "overfitting", "underfitting")
EASY = (0, 1, 5, 7, 8)  # classes of Fashion-MNIST that are seldom taken for one another

Problem = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def problems() -> dict[str, Problem]:
    found = {}
    for name in ("digits", "fashion-mnist"):
        try:
            (X, y), (X_test, y_test) = datasets.load(name)
        except OSError:
            continue
        found[name] = X.reshape(len(X), -1), y, X_test.reshape(len(X_test), -1), y_test
    return found


def some(rng: np.random.Generator, problem: Problem, n: int, classes: Any = None) -> Problem:
    X, y, X_val, y_val = problem
    if classes is not None:
        keep, keep_val = np.isin(y, classes), np.isin(y_val, classes)
        X, X_val = X[keep], X_val[keep_val]
        y, y_val = (np.searchsorted(classes, labels) for labels in (y[keep], y_val[keep_val]))
    rows = rng.permutation(len(X))[:n]
    rows_val = rng.permutation(len(X_val))[:2000]
    return X[rows], y[rows], X_val[rows_val], y_val[rows_val]


def recipe(kind: str, rng: np.random.Generator, found: dict[str, Problem]) -> dict[str, Any]:
    """A run that is made to be of the kind: data, dims without the ends, options of fit."""
    fashion = "fashion-mnist" in found and rng.random() < 0.5
    problem = found["fashion-mnist" if fashion else "digits"]
    batch = int(rng.choice([32, 64, 128]))
    lr = 10 ** rng.uniform(-3.2, -2.5)
    options = {"batch_size": batch, "lr": lr, "reg": 10 ** rng.uniform(-6, -4), "keep": 1.0}
    width = int(rng.choice([32, 64, 100]))
    if kind == "healthy":
        data = some(rng, problem, 3000, EASY if fashion else None)
        keep = float(rng.choice([0.8, 0.9, 1.0]))
        options |= {
            "epochs": int(rng.integers(40, 71)),
            "schedule": schedules.Cosine(),
            "keep": keep,
        }
    elif kind == "needs-more-training":
        data = some(rng, problem, 3000)
        options |= {"epochs": int(rng.integers(6, 13)), "lr": 10 ** rng.uniform(-4.5, -3.7)}
        options["batch_size"] = 128
    elif kind == "overfitting":
        data = some(rng, problem, int(rng.choice([60, 100, 150, 200])))
        options |= {"epochs": int(rng.integers(40, 101)), "reg": 0.0, "batch_size": 32}
    else:
        data = some(rng, problem, 10_000)
        width = int(rng.choice([1, 2]))
        epochs = int(rng.integers(20, 31) if fashion else rng.integers(60, 101))
        options |= {"epochs": epochs, "schedule": schedules.Cosine(), "batch_size": 64}
        options["lr"] = 10 ** rng.uniform(-2.3, -1.8)
    return {"data": data, "hidden": [width], "options": options}


def run(seed: int, kind: str, found: dict[str, Problem]) -> History:
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    made = recipe(kind, rng, found)
    X, y, X_val, y_val = made["data"]
    options = made["options"]
    dims = [X.shape[1], *made["hidden"], int(y.max()) + 1]
    net = fanin.MLP(dims, keep=options.pop("keep"), seed=seed)
    return net.fit(
        X,
        y,
        validation_data=(X_val, y_val),
        optimizer=fanin.optim.Adam(options.pop("lr")),
        preprocess=(float(X.mean()), 1 / float(X.std())),
        progress=False,
        n_threads=1,
        **options,
    )


def histories(n: int, first: int, cache: Path | None) -> list[tuple[str, History]]:
    if cache is not None and cache.exists():
        return [(kind, History.from_dict(h)) for kind, h in json.loads(cache.read_text())]
    found = problems()
    tasks = [(first + i // len(KINDS), KINDS[i % len(KINDS)]) for i in range(n)]
    with ThreadPoolExecutor(fanin.get_num_threads()) as pool:
        runs = list(pool.map(lambda task: run(*task, found), tasks))
    labelled = [(kind, history) for (_, kind), history in zip(tasks, runs, strict=True)]
    if cache is not None:
        cache.write_text(json.dumps([(kind, h.to_dict()) for kind, h in labelled]))
    return labelled


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.curve_verdicts", description=__doc__
    )
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="seed of the first four runs")
    parser.add_argument("--cache", type=Path, help="a .json of the runs, made where it is missing")
    parser.add_argument("--wrong", action="store_true", help="print the verdicts that do not agree")
    options = parser.parse_args()
    warnings.simplefilter("ignore", fanin.DivergenceWarning)
    start = time.perf_counter()
    halves: list[collections.Counter[tuple[str, str]]] = [collections.Counter() for _ in range(2)]
    for i, (kind, history) in enumerate(histories(options.runs, options.first, options.cache)):
        verdict = loss_curve(history)
        halves[i // len(KINDS) % 2][kind, verdict.names[0]] += 1
        if options.wrong and verdict.names[0] != kind:
            print(f"run {i}, made to be {kind}:\n{verdict}\n")
    agreed = []
    for half, counts in zip(("even, looked at", "odd, held out"), halves, strict=True):
        total = counts.total()
        agreed.append(sum(c for (kind, name), c in counts.items() if kind == name) / max(total, 1))
        print(f"{half}: {100 * agreed[-1]:.1f} % of {total} runs agree")
        for kind in KINDS:
            said = {name: c for (made, name), c in sorted(counts.items()) if made == kind}
            print(f"  {kind}: " + ", ".join(f"{c} {name}" for name, c in said.items()))
    print(f"{time.perf_counter() - start:.0f} s; bar: {100 * BAR:.0f} % of the odd runs")
    return 0 if agreed[1] >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
