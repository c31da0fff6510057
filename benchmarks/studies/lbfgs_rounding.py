"""How far two L-BFGS runs of the same arithmetic part by rounding alone, after 30 iterations.

    python -m benchmarks.studies.lbfgs_rounding

For each data set and activation the largest difference of a coefficient, float64, between
scikit-learn's `MLP*` and (a) `fanin.estimators`, (b) scikit-learn again, with OpenBLAS's kernels
for another processor (``OPENBLAS_CORETYPE``), (c) scikit-learn again, with its gradient moved at
random by a unit in the last place. Beside them the difference of the first gradient. Where (a) is
no larger than (b) and (c), nothing is left to gain but the very bits of one BLAS.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import warnings
from typing import Any

import numpy as np

ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
PROBLEMS = ("digits", "cancer", "diabetes")
OTHER = "Sandybridge"  # kernels without AVX2, whose sums run in another order


def data(problem: str) -> tuple[str, Any, Any]:
    from sklearn import datasets

    X, y = {
        "digits": datasets.load_digits,
        "cancer": datasets.load_breast_cancer,
        "diabetes": datasets.load_diabetes,
    }[problem](return_X_y=True)
    X = (X - X.mean(axis=0)) / np.where(X.std(axis=0) > 0, X.std(axis=0), 1)
    if problem == "diabetes":
        return "MLPRegressor", X, (y - y.mean()) / y.std()
    return "MLPClassifier", X[:450], y[:450]


def coefficients(which: str, problem: str, activation: str, iterations: int) -> Any:
    from sklearn import neural_network

    from fanin import estimators

    kind, X, y = data(problem)
    model = getattr(estimators if which == "fanin" else neural_network, kind)(
        hidden_layer_sizes=(20, 10),
        activation=activation,
        solver="lbfgs",
        random_state=1,
        max_iter=iterations,
    )
    if which == "perturbed":
        exact, rng = model._loss_grad_lbfgs, np.random.default_rng(0)

        def moved(*arguments: Any) -> Any:
            loss, gradient = exact(*arguments)
            ulps = rng.integers(-1, 2, gradient.shape) * np.finfo(float).eps / 2
            return loss, gradient * (1 + ulps)

        model._loss_grad_lbfgs = moved
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    return np.concatenate([a.ravel() for a in (*model.coefs_, *model.intercepts_)])


def in_process(which: str, coretype: str | None = None) -> dict[str, Any]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    if coretype is not None:
        environment["OPENBLAS_CORETYPE"] = coretype
    command = [sys.executable, "-m", "benchmarks.studies.lbfgs_rounding", "--run", which]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return {name: np.array(values) for name, values in json.loads(done.stdout).items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", help=argparse.SUPPRESS)
    run = parser.parse_args().run
    cases = list(itertools.product(PROBLEMS, ACTIVATIONS, (1, 30)))
    if run:
        print(json.dumps({repr(case): coefficients(run, *case).tolist() for case in cases}))
        return 0
    expected = in_process("scikit-learn")
    others = {
        "fanin": in_process("fanin"),
        OTHER: in_process("scikit-learn", OTHER),
        "perturbed": in_process("perturbed"),
    }
    print("largest difference from scikit-learn after 1 and 30 iterations")
    print(f"{'':20}" + "".join(f"{name:>20}" for name in others))
    for problem, activation in itertools.product(PROBLEMS, ACTIVATIONS):
        cells = []
        for found in others.values():
            names = [repr((problem, activation, n)) for n in (1, 30)]
            far = [float(np.abs(found[n] - expected[n]).max()) for n in names]
            cells.append(f"{far[0]:9.0e} {far[1]:9.0e}")
        print(f"{problem:10}{activation:10}" + "".join(f"{cell:>20}" for cell in cells))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
