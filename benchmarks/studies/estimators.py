"""Times of `fanin.estimators` beside scikit-learn's MLP and skorch: fit, predict, one row.

    python -m benchmarks.studies.estimators --rounds 5 --threads 2

Eight shapes, made data, ten classes, float32, Adam on minibatches of 200, the same epochs for all.
Each library has a process of its own, with the threads that are given; rounds go through the
libraries in turns, and the shortest times count. Prints a row for each shape, and the geometric
mean of scikit-learn's time over fanin's. skorch joins where it is installed. On a machine that
others use ``--threads 1 --cpu`` takes the processor's time in place of the clock's. The exit code
is 1 where a bar is missed: a fit in a quarter of scikit-learn's time, nothing slower.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import time
import warnings
from typing import Any, NamedTuple

import numpy as np

from benchmarks.tables import all_met

BATCH, CLASSES = 200, 10
TIMES_LESS = 4
LIBRARIES = ("fanin", "scikit-learn", "skorch")


class Shape(NamedTuple):
    """Rows and columns of X, hidden units, and the epochs of one fit."""

    rows: int
    features: int
    hidden: tuple[int, ...]
    epochs: int

    def __str__(self) -> str:
        return f"{self.rows} x {self.features}, {'-'.join(map(str, self.hidden))}"


SHAPES = (
    Shape(1_000, 20, (100,), 50),
    Shape(1_797, 64, (100,), 30),
    Shape(5_000, 50, (100, 100), 15),
    Shape(10_000, 100, (256,), 10),
    Shape(20_000, 200, (256, 128), 5),
    Shape(30_000, 400, (512,), 3),
    Shape(60_000, 784, (256,), 3),
    Shape(60_000, 784, (1024,), 2),
)


def rows_of(shape: Shape) -> tuple[Any, Any]:
    """Classes around centres, with noise."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, shape.rows)
    centres = rng.standard_normal((CLASSES, shape.features))
    X = centres[y] + 3 * rng.standard_normal((shape.rows, shape.features))
    return X.astype(np.float32), y


def estimator(library: str, shape: Shape, threads: int) -> Any:
    options = {
        "hidden_layer_sizes": shape.hidden,
        "max_iter": shape.epochs,
        "batch_size": BATCH,
        "tol": 0.0,
        "n_iter_no_change": shape.epochs,
        "random_state": 0,
    }
    if library == "fanin":
        import fanin
        from fanin.estimators import MLPClassifier

        fanin.set_num_threads(threads)
        return MLPClassifier(**options)
    if library == "scikit-learn":
        from sklearn import neural_network

        return neural_network.MLPClassifier(**options)
    return skorch_network(shape, threads)


def skorch_network(shape: Shape, threads: int) -> Any:
    import torch
    from skorch import NeuralNetClassifier

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    widths = [shape.features, *shape.hidden, CLASSES]
    layers: list[Any] = []
    for before, after in itertools.pairwise(widths):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    return NeuralNetClassifier(
        torch.nn.Sequential(*layers[:-1]),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__weight_decay=1e-4 / BATCH,
        lr=1e-3,
        max_epochs=shape.epochs,
        batch_size=BATCH,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )


def seconds(call: Any, clock: Any, shortest: float = 0.02) -> float:
    """Of one call, repeated until they take long enough."""
    repeats = 1
    while True:
        start = clock()
        for _ in range(repeats):
            call()
        taken = clock() - start
        if taken >= shortest:
            return taken / repeats
        repeats *= 4


def measure(library: str, threads: int, index: int, cpu: bool) -> dict[str, float]:
    shape, clock = SHAPES[index], time.process_time if cpu else time.perf_counter
    X, y = rows_of(shape)
    warnings.simplefilter("ignore")
    estimator(library, Shape(400, shape.features, shape.hidden, 1), threads).fit(X[:400], y[:400])
    model = estimator(library, shape, threads)
    start = clock()
    model.fit(X, y)
    fit = clock() - start
    return {
        "fit": fit,
        "predict": seconds(lambda: model.predict(X), clock),
        "row": seconds(lambda: model.predict(X[:1]), clock),
    }


def in_process(library: str, threads: int, index: int, cpu: bool) -> dict[str, float]:
    counts = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    own = [sys.executable, "-m", "benchmarks.studies.estimators", "--threads", str(threads)]
    command = [*own, "--measure", library, str(index), *(["--cpu"] if cpu else [])]
    done = subprocess.run(
        command, env=os.environ | counts, check=True, capture_output=True, text=True
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shapes", type=int, nargs="*", default=list(range(len(SHAPES))))
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        library, index = options.measure
        print(json.dumps(measure(library, options.threads, int(index), options.cpu)))
        return 0
    libraries = [n for n in LIBRARIES if n != "skorch" or importlib.util.find_spec("skorch")]
    ratios: dict[str, list[float]] = {"fit": [], "predict": [], "row": []}
    what = "processor's time" if options.cpu else "time"
    print(f"{options.threads} threads, shortest {what} of {options.rounds} rounds, batch {BATCH}")
    for index in options.shapes:
        times: dict[str, list[dict[str, float]]] = {library: [] for library in libraries}
        for _ in range(options.rounds):
            for library in libraries:
                times[library].append(in_process(library, options.threads, index, options.cpu))
        shortest = {
            library: {name: min(t[name] for t in runs) for name in ratios}
            for library, runs in times.items()
        }
        for library, least in shortest.items():
            epoch = least["fit"] / SHAPES[index].epochs
            print(
                f"{SHAPES[index]!s:28} {library:12} epoch {1e3 * epoch:8.1f} ms   predict "
                f"{1e3 * least['predict']:8.2f} ms   one row {1e6 * least['row']:7.1f} us",
                flush=True,
            )
        for name, values in ratios.items():
            values.append(shortest["scikit-learn"][name] / shortest["fanin"][name])
    means = {name: math.exp(statistics.fmean(map(math.log, v))) for name, v in ratios.items()}
    for name, values in ratios.items():
        told = f"{means[name]:.1f}, at least {min(values):.1f}"
        print(f"{name}: scikit-learn's time over fanin's {told}")
    least = min(map(min, ratios.values()))
    bars = {
        f"fit in {means['fit']:.1f} times less (bar {TIMES_LESS:g})": means["fit"] >= TIMES_LESS,
        f"never slower: at least {least:.1f} (bar 1)": least >= 1,
    }
    return 0 if all_met(bars) else 1


if __name__ == "__main__":
    raise SystemExit(main())
