"""Which parameters a search tries, and which trials it ends early."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from search_cases import OPTIONS, TEST, X, rows_of, y

from fanin import tuning
from fanin.tuning import choice, integers, loguniform, search, uniform


def level(params: Any) -> float:  # noqa: ARG001
    return 0.0


def bowl(params: Any) -> float:
    return 1 - (params["x"] - 0.3) ** 2


# Strategies


@pytest.mark.row("T2")
def test_a_grid_has_every_combination() -> None:
    space = {"lr": loguniform(1e-3, 1e-1), "reg": loguniform(1e-4, 1), "c": choice(["a", "b"])}
    result = search(space, level, 18, strategy="grid", progress=False)
    tried = {(t.params["lr"], t.params["reg"], t.params["c"]) for t in result}
    lrs, regs = [1e-3, 1e-2, 1e-1], [1e-4, 1e-2, 1]
    assert tried == set(itertools.product(lrs, regs, "ab"))
    assert len(search(space, level, 31, strategy="grid", progress=False)) == 18
    with pytest.raises(ValueError, match=r"n_trials: expected at least 2, the combinations"):
        search(space, bowl, 1, strategy="grid", progress=False)


@pytest.mark.row("T2")
def test_nine_trials_try_three_rates_on_a_grid_and_nine_at_random() -> None:
    """The lecture's figure."""
    space = {"important": uniform(0, 1), "unimportant": uniform(0, 1)}

    def objective(params: Any) -> float:
        return -abs(params["important"] - 0.3) + 0.01 * params["unimportant"]

    grid = search(space, objective, 9, strategy="grid", progress=False)
    random = search(space, objective, 9, strategy="random", progress=False)
    assert len({t.params["important"] for t in grid}) == 3
    assert len({t.params["important"] for t in random}) == 9
    assert random.best.score > grid.best.score


def test_sobol_fills_the_space_more_evenly() -> None:
    pytest.importorskip("scipy")
    space = {"a": uniform(0, 1), "b": uniform(0, 1)}

    def emptiest(strategy: str, seed: int) -> float:
        result = search(space, level, 64, strategy=strategy, seed=seed, progress=False)
        counts, *_ = np.histogram2d(*result_points(result).T, bins=4, range=[[0, 1], [0, 1]])
        return float(counts.std())

    for seed in range(3):
        assert emptiest("sobol", seed) < 0.7 * emptiest("random", seed)
    first = search(space, bowl, 10, strategy="sobol", progress=False)
    more = search(space, bowl, 20, strategy="sobol", progress=False)
    assert [t.params for t in more][:10] == [t.params for t in first]


def result_points(result: tuning.SearchResult) -> np.ndarray:
    return np.array([[t.params["a"], t.params["b"]] for t in result])


@pytest.mark.filterwarnings("default")
def test_an_optuna_sampler() -> None:
    optuna = pytest.importorskip("optuna")
    space = {"x": uniform(-1, 1), "n": integers(1, 5), "c": choice(["a", [1]])}

    def run(n: int, threads: int) -> tuning.SearchResult:
        sampler = optuna.samplers.TPESampler(seed=3)
        return search(space, bowl, n, strategy=sampler, n_threads=threads, progress=False)

    one, two = run(40, 1), run(40, 2)
    assert rows_of(one) == rows_of(two)
    assert rows_of(run(20, 2)) == rows_of(one)[:20]
    early, late = (np.mean([t.score for t in one.trials[p]]) for p in (slice(8), slice(-8, None)))
    assert late > early  # it learns


# Pruning


def test_halving_gives_the_same_bits_as_training_through() -> None:
    space = {"lr": loguniform(1e-4, 1e-1), "keep": uniform(0.5, 1)}
    options = {**OPTIONS, "epochs": 9, "schedule": "cosine", "seed": 3}
    halved = search(space, (X, y), 9, prune="halving", **options)
    whole = search(space, (X, y), 9, **options)
    lengths = sorted(len(t.curves["loss"]) for t in halved)
    assert lengths == [1] * 6 + [3] * 2 + [9]
    assert [t.status for t in halved].count("pruned") == 8
    for trial, full in zip(halved, whole, strict=True):
        n = len(trial.curves["loss"])
        assert trial.curves["loss"] == full.curves["loss"][:n]
        assert trial.curves["val_accuracy"] == full.curves["val_accuracy"][:n]
    assert halved.best.network.evaluate(*TEST)["accuracy"] == halved.best.score
    assert halved.best.status == "done"


def test_halving_gives_a_function_the_budget() -> None:
    budgets: list[int] = []

    def objective(params: Any, budget: int) -> float:
        budgets.append(budget)
        return bowl(params)

    result = search({"x": uniform(-1, 1)}, objective, 9, epochs=9, prune="halving", progress=False)
    assert sorted(budgets) == [1] * 9 + [3] * 3 + [9]
    scores = [bowl(t.params) for t in result]
    assert result.best.score == max(scores)


def test_the_median_rule_ends_poor_trials() -> None:
    space = {"lr": loguniform(1e-6, 1e-1)}
    options = {**OPTIONS, "epochs": 6}
    pruned = search(space, (X, y), 24, prune="median", **options)
    whole = search(space, (X, y), 24, **options)
    ended = [t for t in pruned if t.status == "pruned"]
    assert 4 <= len(ended) <= 12
    assert all(t.number >= 8 for t in ended)
    for trial, full in zip(pruned, whole, strict=True):
        n = len(trial.curves["loss"])
        assert (n < 6) <= (trial.status == "pruned")
        assert trial.curves["val_accuracy"] == full.curves["val_accuracy"][:n]
    assert pruned.best.number == whole.best.number
    assert pruned.best.score == whole.best.score
