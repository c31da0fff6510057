"""How long one waits: for an end after Ctrl-C, for a guide's budget, for the first good network.

``python -m benchmarks.studies.waiting``, on a quiet machine; the tests look at the order of events
only, on any. Ends with exit code 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import fanin
from fanin import ensemble, tuning
from fanin.cli import main as command
from fanin.preprocessing import PCA, Normalize, ZeroCenter

Array = npt.NDArray[Any]
Work = Callable[[], object]

AT_WORK = 0.5  # seconds after which Ctrl-C comes
# Seconds: after Ctrl-C in compiled code and with an executor; a guide's, over its budget.
INTERRUPT_BAR, EXECUTOR_BAR, OVER_BAR = 0.2, 1.0, 4.0


def noise(n: int, d: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, d), dtype=np.float32), rng.integers(0, 10, n)


def fit(n: int, dims: list[int], **options: Any) -> Work:
    X, y = noise(n, dims[0])
    net = fanin.MLP(dims, keep=0.8)
    return lambda: net.fit(X, y, epochs=10**6, progress=False, **options)


def evaluate() -> Work:
    X, y = noise(60_000, 784)
    net = fanin.MLP([784, 1024, 1024, 10])
    return lambda: net.evaluate(X, y)


def preprocess(transformer: Any, method: str) -> Work:
    X, _ = noise(60_000, 1500)
    if method == "transform":
        transformer.fit(X)
    return partial(getattr(transformer, method), X)


def activations() -> Work:
    return lambda: fanin.diagnostics.activation_statistics([60_000, 60_000], n=1)


def members() -> Work:
    X, y = fanin.datasets.load("digits")[0]
    options: dict[str, Any] = {"n_members": 50, "epochs": 10**6, "progress": False}
    return lambda: ensemble.from_initializations([64, 24, 10], X, y, **options)


def search() -> Work:
    data = fanin.datasets.load("digits")[0]
    space = {"lr": tuning.loguniform(1e-4, 1e-1)}

    def work() -> None:
        result = tuning.search(space, data, 10**4, epochs=30, hidden=16, progress=False)
        if result.interrupted:
            raise KeyboardInterrupt

    return work


INTERRUPTED: dict[str, tuple[Callable[[], Work], float]] = {
    "fit in minibatches": (lambda: fit(2000, [300, 256, 10], batch_size=128), INTERRUPT_BAR),
    "fit in tiny steps": (lambda: fit(64, [4, 5, 10], batch_size=8), INTERRUPT_BAR),
    "fit of 30,000 rows at once": (
        lambda: fit(30_000, [784, 2048, 2048, 10], batch_size=None),
        INTERRUPT_BAR,
    ),
    "fit of 16 million weights, clipped": (
        lambda: fit(4000, [784, 4096, 4096, 10], batch_size=4000, clip_norm=1.0),
        INTERRUPT_BAR,
    ),
    "evaluate": (evaluate, INTERRUPT_BAR),
    "Normalize.fit": (lambda: preprocess(Normalize(), "fit"), INTERRUPT_BAR),
    "ZeroCenter.transform": (lambda: preprocess(ZeroCenter(), "transform"), INTERRUPT_BAR),
    "PCA.partial_fit": (lambda: preprocess(PCA(), "partial_fit"), INTERRUPT_BAR),
    "activation_statistics": (activations, INTERRUPT_BAR),
    "an ensemble of 50": (members, EXECUTOR_BAR),
    "a search": (search, EXECUTOR_BAR),
}


def after_ctrl_c(work: Work) -> float:
    """Seconds from SIGINT to KeyboardInterrupt; the work is done again until the signal comes."""
    sent = []

    def send() -> None:
        time.sleep(AT_WORK)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=send).start()
    try:
        while True:
            work()
    except KeyboardInterrupt:
        return time.perf_counter() - sent[0]


def over_budget(budget: float = 4.0) -> float:
    """Seconds that a guide of the digits takes beyond its budget."""
    X, y = fanin.datasets.load("digits")[0]
    return tuning.guide(X, y, time_budget=budget, progress=False).seconds - budget


def guided() -> float:
    """Seconds of a guide of the digits that may take as long as it likes."""
    X, y = fanin.datasets.load("digits")[0]
    return tuning.guide(X, y, progress=False).seconds


def trained() -> float:
    """Seconds of ``fanin train digits``."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            command(["train", "digits", "--out", str(Path(folder) / "run")])
        return time.perf_counter() - began


WHOLE: dict[str, tuple[Callable[[], float], float]] = {
    "guide of the digits, over its budget of 4 s": (over_budget, OVER_BAR),
    "guide of the digits": (guided, 60.0),
    "fanin train digits": (trained, 10.0),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.waiting", description=__doc__
    )
    parser.add_argument("--rounds", type=int, default=3, help="of which the longest is shown")
    rounds = parser.parse_args().rounds
    good = True
    print("| waited for | s | bar | |\n| --- | ---: | ---: | --- |")

    def show(name: str, seconds: float, bar: float) -> None:
        nonlocal good
        good &= seconds <= bar
        verdict = "met" if seconds <= bar else "missed"
        print(f"| {name} | {seconds:.2f} | {bar:g} | {verdict} |", flush=True)

    for name, (make, bar) in INTERRUPTED.items():
        work = make()
        show(f"Ctrl-C: {name}", max(after_ctrl_c(work) for _ in range(rounds)), bar)
    for name, (measure, bar) in WHOLE.items():
        show(name, max(measure() for _ in range(rounds)), bar)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
