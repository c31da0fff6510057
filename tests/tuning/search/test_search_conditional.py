"""Parameters that come with an option of another: in every strategy, table, plot and log."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from search_cases import OPTIONS, X, rows_of, y

import fanin
from fanin import tuning
from fanin.tuning import choice, integers, loguniform, search, uniform
from fanin.tuning.space import check_space, draw, n_units, space_from_dict, space_to_dict

SPACE = {
    "optimizer": choice(
        {
            "adam": {"lr": loguniform(1e-4, 1e-2), "beta1": uniform(0.8, 0.95)},
            "momentum": {
                "lr": loguniform(1e-3, 1),
                "schedule": choice({"constant": {}, "cosine": {"batch_size": integers(32, 64)}}),
            },
            "sgd": {},
        }
    ),
    "reg": loguniform(1e-6, 1e-2),
}


def names_of(params: Any) -> list[str]:
    expected = {
        "adam": ["optimizer", "beta1", "lr", "reg"],
        "momentum": ["optimizer", "lr", "schedule", "reg"],
        "sgd": ["optimizer", "reg"],
    }[params["optimizer"]]
    if params.get("schedule") == "cosine":
        expected.insert(3, "batch_size")
    return expected


def score(params: Any) -> float:
    assert list(params) == names_of(params)
    return -abs(math.log10(params.get("lr", 1e-6)) + 2)


@pytest.mark.parametrize("strategy", ["random", "grid", "sobol", "TPESampler", "RandomSampler"])
def test_a_trial_has_what_its_options_bring(strategy: str, tmp_path: Path) -> None:
    def run(n: int) -> tuning.SearchResult:
        how: Any = strategy
        if strategy.endswith("Sampler"):
            how = getattr(pytest.importorskip("optuna").samplers, strategy)(seed=0)
        elif strategy == "sobol":
            pytest.importorskip("scipy")
        return search(SPACE, score, n, strategy=how, log=tmp_path / "log.jsonl", progress=False)

    result = run(40)
    assert {t.status for t in result} == {"done"}, result.trials[0].error
    assert {t.params["optimizer"] for t in result} == {"adam", "momentum", "sgd"}
    for trial in result:
        if trial.params["optimizer"] == "adam":
            assert 1e-4 <= trial.params["lr"] <= 1e-2
    before = (tmp_path / "log.jsonl").read_bytes()
    assert rows_of(run(40)) == rows_of(result)
    assert (tmp_path / "log.jsonl").read_bytes() == before
    lines = before.splitlines()
    (tmp_path / "log.jsonl").write_bytes(b"\n".join(lines[:11]) + b"\n")
    assert rows_of(run(40)) == rows_of(result)
    assert (tmp_path / "log.jsonl").read_bytes() == before


def test_a_grid_has_each_combination_once() -> None:
    space = {
        "a": choice({"x": {"p": integers(1, 3)}, "y": {"q": choice(["u", "v"])}, "z": {}}),
        "b": choice([0, 1]),
    }
    result = search(space, lambda p: p["b"], 1000, strategy="grid", progress=False)
    tried = [tuple(t.params.items()) for t in result]
    assert len(tried) == len(set(tried)) == (3 + 2 + 1) * 2
    assert tried[0] == (("a", "x"), ("p", 1), ("b", 0))
    assert tried[1] == (("a", "x"), ("p", 1), ("b", 1))


def test_draws_of_one_branch_do_not_depend_on_the_choice() -> None:
    space = check_space(SPACE)
    assert n_units(space) == 7
    seen = [draw(space, 0, i) for i in range(200)]
    assert {p["optimizer"] for p in seen} == {"adam", "momentum", "sgd"}
    for i, params in enumerate(seen):
        given = draw(space, 0, i, {"optimizer": "adam"})
        assert given["reg"] == params["reg"]
        if params["optimizer"] == "adam":
            assert given == params


def test_networks_take_them() -> None:
    """Among them arguments of the optimizer itself."""
    options = {**OPTIONS, "epochs": 1}
    result = search(SPACE, (X, y), 12, **options)
    assert [t.status for t in result].count("done") >= 10, str(result)
    for trial in result.trials[:4]:
        again = search(
            {"reg": choice([trial.params["reg"]])}, (X, y), 1,
            **{**options, "optimizer": _optimizer(trial.params), **_fixed(trial.params)},
        )  # fmt: skip
        assert again.trials[0].curves == trial.curves
    assert search(SPACE, (X, y), 12, prune="median", **options).best.score == result.best.score


def _optimizer(params: Any) -> Any:
    own = {k: v for k, v in params.items() if k == "beta1"}
    kind = {"adam": fanin.optim.Adam, "momentum": fanin.optim.Momentum, "sgd": fanin.optim.SGD}
    rate = {"lr": params["lr"]} if "lr" in params else {}
    return kind[params["optimizer"]](**rate, **own)


def _fixed(params: Any) -> Any:
    return {k: v for k, v in params.items() if k in ("schedule", "batch_size")}


def test_tables_plots_edges_and_a_finer_space() -> None:
    pytest.importorskip("matplotlib")
    space = {
        "optimizer": choice(
            {"adam": {"lr": loguniform(1e-4, 1e-2)}, "momentum": {"lr": loguniform(1e-3, 1)}}
        )
    }

    def objective(params: Any) -> float:
        return math.log10(params["lr"]) - 9 * (params["optimizer"] == "momentum")

    result = search(space, objective, 60, progress=False)
    table = result.to_dict()
    assert list(table) == ["trial", "status", "score", "optimizer", "lr"]
    assert result.to_numpy()["lr"].dtype == np.float64
    assert [edge.name for edge in result.edges()] == [
        "lr (optimizer=adam)",
        "lr (optimizer=momentum)",
    ]
    assert "lr (optimizer=adam): the best" in str(result)
    finer = result.refine(k=5)
    assert list(finer["optimizer"].options) == ["adam"]
    assert finer["optimizer"].branches[0]["lr"].high > 1e-2
    assert space_from_dict(json.loads(json.dumps(space_to_dict(finer)))) == finer
    assert len(search(finer, objective, 5, start_from=[result], progress=False)) == 5
    axes = fanin.plots.search(result)
    assert [panel.get_xlabel() for panel in axes] == [
        "optimizer",
        "lr (optimizer=adam)",
        "lr (optimizer=momentum)",
    ]
    fanin.plots.parallel_coordinates(result)
    deep = search(SPACE, score, 20, progress=False)
    assert None in deep.to_dict()["lr"]
    assert np.isnan(deep.to_numpy()["lr"]).any()
    assert " - " in str(deep) or " -\n" in str(deep)
    fanin.plots.search(deep)
    fanin.plots.parallel_coordinates(deep)


def test_where_to_begin() -> None:
    starts = [{"optimizer": "adam"}, {"optimizer": "momentum", "lr": 0.5}, {"reg": 1e-3}]
    result = search(SPACE, score, 5, start_from=starts, progress=False)
    assert result.trials[0].params["optimizer"] == "adam"
    assert result.trials[1].params["lr"] == 0.5
    assert result.trials[2].params["reg"] == 1e-3
    for given, text in (
        ({"optimizer": "sgd", "lr": 0.1}, "got 'lr', which does not come with the others"),
        ({"hidden": 3}, "got 'hidden'$"),
    ):
        with pytest.raises(ValueError, match=rf"start_from\[0\]: expected parameters of .*{text}"):
            search(SPACE, score, 5, start_from=[given], progress=False)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: choice({"a": 3}), TypeError, r"options\['a'\]: expected a dict of parameters"),
        (
            lambda: choice([{"lr": uniform(0, 1)}]),
            TypeError,
            "options: expected values, .* brings parameters with an option",
        ),
        (
            lambda: check_space({"o": choice({"a": {"lr": 3}})}),
            TypeError,
            r"space\['o'\]\['a'\]\['lr'\]: expected uniform",
        ),
        (
            lambda: check_space({"o": choice({"a": {"lr": uniform(0, 1)}}), "lr": uniform(0, 1)}),
            ValueError,
            "space: expected a name once .*, got 'lr' twice",
        ),
        (
            lambda: check_space({"o": choice({"a": {"o": uniform(0, 1)}})}),
            ValueError,
            r"space\['o'\]: expected other names than its own in its spaces, got 'o'",
        ),
        (
            lambda: search(
                {"optimizer": choice({"adam": {"rho": uniform(0, 1)}})}, (X, y), 1, **OPTIONS
            ),
            ValueError,
            "space: expected one of .*; got 'rho'",
        ),
        (
            lambda: search(SPACE, (X, y), 1, lr=0.1, **OPTIONS),
            ValueError,
            "lr: expected it in the space or fixed, got both",
        ),
    ],
)
def test_what_is_refused(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()
