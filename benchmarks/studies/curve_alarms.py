"""False alarms of verdicts on good runs of images: ``python -m benchmarks.studies.curve_alarms``.

50 runs on digits, Fashion-MNIST (where fanin finds it) and the CIFAR-10 images that the variable
FANIN_CIFAR10 names, of drawn sizes, networks, rules, schedules and lengths, at rates up to three
times their usual ones; and 18 with Mixup or CutMix. An alarm is a verdict on the rate, the weights
or the units, or overfitting and the need of more training at once: that a run is too short or
overfits is no fault of the verdict. Exit code 1 where more than 1 of the 50, or any of the 18, has
an alarm.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import fanin
from benchmarks.studies.guide_faults import Data, images
from fanin import augment, datasets, schedules
from fanin.callbacks.history import History
from fanin.tuning import loss_curve

PLAIN_RUNS, MOST_ALARMS = 50, 1
MIXED_RUNS = 18
ALARMS = {
    "diverged",
    "learning-rate-too-high",
    "learning-rate-too-low",
    "bad-initialisation",
    "unscaled-inputs",
}
RATES = {  # usual ones, of standardised inputs
    "adam": 1e-3,
    "adamw": 1e-3,
    "nadam": 1e-3,
    "rmsprop": 5e-4,
    "momentum": 1e-2,
    "nesterov": 1e-2,
    "adagrad": 1e-2,
    "sgd": 5e-2,
}
SCHEDULES = (
    None,
    schedules.Cosine(),
    schedules.Step(every=5, factor=0.5),
    schedules.Exponential(0.9),
    schedules.WarmUp(2),
    schedules.OneCycle(),
)


def run(data: Data, seed: int, mixed: bool) -> History:
    """A run in which nothing is wrong."""
    rng = np.random.default_rng([seed, mixed])

    def one(of: Any) -> Any:
        return of[int(rng.integers(len(of)))]

    X, y = data
    rows = rng.permutation(len(X))[: one([600, 1200, 2000, 3000])]
    train, validation = datasets.split(np.ascontiguousarray(X[rows]), y[rows], seed=seed)
    rule = one(list(RATES))
    optimizer = fanin.optim.get(rule, RATES[rule] * 3 ** float(rng.uniform(-1, 1)))
    hidden = one([[32], [64], [128], [256], [64, 64], [128, 64], [64, 64, 64]])
    net = fanin.MLP(
        [X[0].size, *hidden, 10],
        activation=one(["relu", "tanh", "gelu", "silu", "leaky_relu"]),
        keep=one([1.0, 1.0, 0.9, 0.7]),
        seed=seed,
    )
    mix = one([augment.Mixup, augment.CutMix])(one([0.2, 0.4, 1.0])) if mixed else None
    return net.fit(
        *train,
        validation_data=validation,
        epochs=int(rng.integers(6, 26)),
        batch_size=one([32, 64, 128]),
        optimizer=optimizer,
        schedule=one(SCHEDULES),
        reg=one([0.0, 1e-5, 1e-4, 1e-3]),
        mix=mix,
        progress=False,
        n_threads=1,
    )


def alarm(name: str, data: Data, seed: int, mixed: bool) -> bool:
    """Whether the verdict on a run raises one, which is printed."""
    history = run(data, seed, mixed)
    verdict = loss_curve(history)
    found = ALARMS & set(verdict.names)
    both = {"overfitting", "needs-more-training"} <= set(verdict.names)
    if found or both:
        params = {k: v for k, v in history.params.items() if k in ("optimizer", "epochs", "mix")}
        print(f"{name}, seed {seed}, {params}:\n{verdict}\n", flush=True)
    return bool(found) or both


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.curve_alarms", description=__doc__
    )
    parser.add_argument("--runs", type=int, default=PLAIN_RUNS)
    parser.add_argument("--mixed-runs", type=int, default=MIXED_RUNS)
    parser.add_argument("--seed", type=int, default=0, help="of the first run")
    options = parser.parse_args()
    warnings.simplefilter("ignore", fanin.DivergenceWarning)
    start, found = time.perf_counter(), images()
    names, counts = list(found), []
    with ThreadPoolExecutor(fanin.get_num_threads()) as pool:
        for mixed, n in ((False, options.runs), (True, options.mixed_runs)):
            seeds = range(options.seed, options.seed + n)
            alarms = pool.map(
                lambda seed, mixed=mixed: alarm(
                    names[seed % len(names)], found[names[seed % len(names)]], seed, mixed
                ),
                seeds,
            )
            counts.append(sum(alarms))
    print(
        f"{counts[0]} of {options.runs} good runs raised an alarm (bar {MOST_ALARMS}), "
        f"{counts[1]} of {options.mixed_runs} with Mixup or CutMix (bar 0); on {', '.join(names)}; "
        f"{time.perf_counter() - start:.0f} s"
    )
    return 0 if counts[0] <= MOST_ALARMS and counts[1] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
