"""The lecture's suspicion, a best value at the edge of its range, and ranges for a finer search."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from fanin.tuning import SearchResult, Trial, choice, integers, loguniform, search, uniform


def peak(at: float, name: str = "lr", noise: float = 0.02) -> Any:
    """A score with its best at 10**at, and as much noise as 1000 validation rows bring."""

    def objective(params: Any) -> float:
        x = math.log10(params[name])
        rng = np.random.default_rng(int(abs(x) * 1e9) % 2**32)
        return float(0.5 - 0.05 * (x - at) ** 2 + noise * rng.standard_normal())

    return objective


def sides(result: SearchResult) -> list[tuple[str, str]]:
    return [(edge.name, edge.side) for edge in result.edges()]


@pytest.mark.row("T5")
@pytest.mark.parametrize(("at", "side"), [(-1.5, "high"), (-7.5, "low")])
@pytest.mark.parametrize("strategy", ["random", "grid"])
def test_an_optimum_outside_is_suspected(at: float, side: str, strategy: str) -> None:
    space = {"lr": loguniform(1e-6, 1e-3), "reg": loguniform(1e-5, 1e5)}
    found = 0
    for seed in range(20):
        result = search(space, peak(at), 50, strategy=strategy, seed=seed, progress=False)
        found += sides(result) == [("lr", side)]
    assert found >= 18
    edge = result.edges()[0]
    assert edge.suggestion.position(10**at) == pytest.approx(0.5, abs=0.5)
    assert str(edge.suggestion) in str(edge)
    assert f"edge: {edge}" in str(result)


@pytest.mark.row("T5")
@pytest.mark.parametrize("n_trials", [9, 30, 100])
def test_an_optimum_inside_is_left_alone(n_trials: int) -> None:
    """And a parameter that does not matter."""
    space = {"lr": loguniform(1e-6, 1e-3), "reg": loguniform(1e-5, 1e5)}
    alarms = 0
    for seed in range(40):
        result = search(space, peak(-4.5), n_trials, seed=seed, progress=False)
        alarms += bool(sides(result))
    assert alarms <= 4


def drawn(score: Any, n_trials: int, seed: int) -> list[tuple[str, str]]:
    """The edges of u in trials at random places, beside a parameter v; noise is 0.02."""
    rng = np.random.default_rng([seed, n_trials])
    u, v = rng.random(n_trials), rng.random(n_trials)
    scores = score(u, v) + 0.02 * rng.standard_normal(n_trials)
    trials = [
        Trial(i, {"u": float(u[i]), "v": float(v[i])}, "done", float(scores[i]))
        for i in range(n_trials)
    ]
    result = SearchResult({"u": uniform(0, 1), "v": uniform(0, 1)}, trials, "score")
    return sides(result)


OUTSIDE = {
    "far": lambda u, v: -0.45 * (u - 1.5) ** 2,  # noqa: ARG005
    "near": lambda u, v: -0.45 * (u - 1.1) ** 2,  # noqa: ARG005
    "steep": lambda u, v: 0.8 / (1 + np.exp(-8 * (u - 0.9))),  # noqa: ARG005
    "both matter": lambda u, v: -0.45 * (u - 1.5) ** 2 - (v - 0.5) ** 2,
}
INSIDE = {
    "in the middle": lambda u, v: -0.45 * (u - 0.5) ** 2,  # noqa: ARG005
    "nothing matters": lambda u, v: 0 * u,  # noqa: ARG005
    "only v matters": lambda u, v: -((v - 0.5) ** 2),  # noqa: ARG005
}


@pytest.mark.row("T5")
@pytest.mark.parametrize("n_trials", [8, 12, 20, 50])
@pytest.mark.parametrize("name", OUTSIDE)
def test_how_often_an_optimum_outside_is_found(name: str, n_trials: int) -> None:
    found = [drawn(OUTSIDE[name], n_trials, seed) for seed in range(100)]
    least = {"far": 85, "near": 65, "steep": 72, "both matter": 45}[name]
    assert sum(("u", "high") in edges for edges in found) >= least
    assert sum(edges not in ([], [("u", "high")]) for edges in found) <= 10


@pytest.mark.row("T5")
@pytest.mark.parametrize("n_trials", [6, 8, 12, 20, 50])
@pytest.mark.parametrize("name", INSIDE)
def test_how_often_it_is_a_false_alarm(name: str, n_trials: int) -> None:
    """Of four ends, each of which would be one by chance."""
    assert sum(bool(drawn(INSIDE[name], n_trials, seed)) for seed in range(100)) <= 10


@pytest.mark.row("T5")
@pytest.mark.parametrize("at", [-1.5, -7.5])
def test_eight_trials_are_enough(at: float) -> None:
    space = {"lr": loguniform(1e-6, 1e-3), "reg": loguniform(1e-5, 1e5)}
    side = "high" if at > -4 else "low"
    found = [sides(search(space, peak(at), 8, seed=i, progress=False)) for i in range(12)]
    assert sum(edges == [("lr", side)] for edges in found) >= 10


def test_no_scale_and_no_outlier_of_the_score_changes_it() -> None:
    def result(change: Any) -> list[tuple[str, str]]:
        score = peak(-1.5)
        space = {"lr": loguniform(1e-6, 1e-3)}
        return sides(search(space, lambda p: change(score(p)), 12, progress=False))

    for change in (lambda s: s, lambda s: 1e6 * s, math.exp, lambda s: -1e9 if s < 0 else s):
        assert result(change) == [("lr", "high")]


def test_an_ordered_choice_is_a_range() -> None:
    def best_at(option: float) -> list[tuple[str, str]]:
        space = {"width": choice([10, 20, 40, 80]), "x": uniform(0, 1)}
        return sides(search(space, lambda p: -abs(p["width"] - option), 24, progress=False))

    assert best_at(80) == [("width", "high")]
    assert best_at(10) == [("width", "low")]
    assert best_at(20) == []
    names = {"activation": choice(["relu", "tanh"])}
    assert sides(search(names, lambda p: p["activation"] == "tanh", 20, progress=False)) == []


def test_one_value_never_warns() -> None:
    space = {"lr": choice([0.1]), "depth": integers(2, 2), "x": loguniform(1e-3, 1)}
    result = search(space, peak(-1.5, "x"), 1, strategy="grid", progress=False)
    assert len(result) == 1
    assert result.edges() == []
    wide = search(space, peak(-1.5, "x"), 30, progress=False)
    assert wide.edges() == []


def test_natural_ends_are_left_alone() -> None:
    for space in (
        {"keep": uniform(0.5, 1)},
        {"x": uniform(0, 1, natural="high")},
        {"x": uniform(0, 1, natural="both")},
    ):
        (name,) = space
        result = search(space, lambda p, name=name: p[name], 50, progress=False)
        assert sides(result) == []
    result = search({"keep": uniform(0.5, 0.9)}, lambda p: p["keep"], 50, progress=False)
    (edge,) = result.edges()
    assert edge.suggestion.high == 1.0
    low = search({"hidden": integers(2, 50)}, lambda p: -p["hidden"], 80, progress=False)
    assert low.edges()[0].suggestion.low == 1


def test_the_limit_of_what_trains_is_left_alone() -> None:
    def objective(params: Any) -> float:
        return params["lr"] if params["lr"] < 8e-4 else math.nan

    result = search({"lr": uniform(1e-6, 1e-3)}, objective, 60, progress=False)
    assert result.count("diverged") > 5
    assert result.best.params["lr"] > 7e-4
    assert sides(result) == []


def test_a_range_in_which_all_but_one_end_diverges() -> None:
    def objective(params: Any) -> float:
        return math.nan if params["lr"] > 1e-4 else peak(-7.0)(params)

    result = search({"lr": loguniform(1e-5, 10.0)}, objective, 60, progress=False)
    assert sum(t.status == "diverged" for t in result) > 30
    assert sides(result) == [("lr", "low")]


def test_too_few_trials_say_nothing() -> None:
    assert search({"x": uniform(0, 1)}, lambda p: p["x"], 4, progress=False).edges() == []


# From coarse to fine


@pytest.mark.row("T3")
def test_refine_narrows_round_the_top() -> None:
    space = {"lr": loguniform(1e-6, 1e0), "n": integers(1, 100), "c": choice(["a", "b", "c"])}

    def objective(params: Any) -> float:
        far = abs(math.log10(params["lr"]) + 3) + abs(params["n"] - 30) / 20
        return -far - 9 * (params["c"] == "c")

    result = search(space, objective, 200, progress=False)
    finer = result.refine()
    lr, n, c = finer["lr"], finer["n"], finer["c"]
    assert 1e-5 < lr.low < 1e-3 < lr.high < 1e-1
    assert 1 < n.low < 30 < n.high < 100
    assert set(c.options) == {"a", "b"}
    for trial in result.top(20):
        assert lr.low <= trial.params["lr"] <= lr.high
        assert n.low <= trial.params["n"] <= n.high
    closer = search(finer, objective, 200, progress=False)
    assert np.mean([t.score for t in closer]) > np.mean([t.score for t in result.top(50)])


def test_refine_goes_beyond_an_edge_and_else_stays_within() -> None:
    inside = search({"lr": loguniform(1e-6, 1e-3)}, peak(-4.2), 60, progress=False)
    assert inside.refine()["lr"].high <= 1e-3
    outside = search({"lr": loguniform(1e-6, 1e-3)}, peak(-1.5), 60, progress=False)
    assert sides(outside) == [("lr", "high")]
    assert outside.refine()["lr"].high > 1e-2
    started = search(
        {"x": uniform(0, 1)}, lambda p: p["x"], 20, start_from=[{"x": 3.0}], progress=False
    )
    assert started.refine(k=2)["x"].high >= 3


# Tables


def test_tables() -> None:
    space = {"x": uniform(0, 1), "n": integers(1, 9), "c": choice(["a", [1, 2]])}

    def objective(params: Any) -> float:
        return params["x"] if params["n"] > 2 else math.nan

    result = search(space, objective, 30, progress=False)
    columns = result.to_dict()
    assert list(columns) == ["trial", "status", "score", "c", "n", "x"]
    assert columns["trial"] == list(range(30))
    assert None in columns["score"]
    table = result.to_numpy()
    assert table.shape == (30,)
    assert table["n"].dtype.kind == "i"
    assert set(table["c"]) == {"a", "[1, 2]"}
    assert np.isnan(table["score"][table["n"] <= 2]).all()
    good = table[table["status"] == "done"]
    assert np.array_equal(good["score"], good["x"])
    text = str(result)
    assert text.splitlines()[0] == f"30 trials: {len(good)} done, {30 - len(good)} diverged"
    assert len(text.splitlines()) >= 7
    assert repr(result) == f"SearchResult(30 trials, best score {result.best.score:.4f})"
