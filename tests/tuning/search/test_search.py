"""Search: what is tried, what is kept, what is said of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from search_cases import OPTIONS, TEST, X, rows_of, y

import fanin
from fanin import ensemble, tuning
from fanin.tuning import Trial, choice, integers, loguniform, search, uniform

SPACE = {"lr": loguniform(1e-4, 1), "reg": loguniform(1e-5, 1)}


@pytest.fixture(scope="module")
def result() -> tuning.SearchResult:
    return search(SPACE, (X, y), 8, seed=1, **OPTIONS)


# Training


@pytest.mark.row("T1")
def test_a_trial_is_what_fit_gives_with_its_parameters(result: tuning.SearchResult) -> None:
    for trial in (result.trials[0], result.best):
        net = fanin.MLP([64, 16, 10], seed=1)
        history = net.fit(
            X,
            y,
            validation_data=TEST,
            epochs=2,
            optimizer=fanin.optim.Adam(lr=trial.params["lr"]),
            reg=trial.params["reg"],
            preprocess="standardize",
            progress=False,
        )
        assert trial.curves == history.history
        assert trial.score == max(history.history["val_accuracy"])
        assert trial.network.evaluate(*TEST)["accuracy"] == trial.score


@pytest.mark.row("T1")
def test_any_argument_can_be_searched() -> None:
    space = {
        "hidden": choice([8, 16, [24, 12]]),
        "activation": choice(["relu", "tanh"]),
        "init": choice(["kaiming", "xavier"]),
        "keep": uniform(0.5, 1),
        "reg": loguniform(1e-6, 1e-2),
        "lr": loguniform(1e-3, 1e-1),
        "optimizer": choice(["adam", fanin.optim.Momentum(0.1, rho=0.5)]),
        "batch_size": choice([32, 64]),
        "schedule": choice([None, "cosine"]),
        "loss": choice(["softmax", "svm"]),
        "preprocess": choice(["standardize", fanin.preprocessing.PCA(20)]),
        "epochs": integers(1, 3),
        "seed": integers(0, 9),
        "dtype": choice(["float32", "float64"]),
    }
    result = search(space, (X, y), 24, validation_data=TEST, progress=False)
    assert {t.status for t in result} == {"done"}, [t.error for t in result]
    for name in ("hidden", "activation", "optimizer", "schedule", "loss", "epochs", "preprocess"):
        assert len({str(t.params[name]) for t in result}) > 1, name
    for trial in result:
        assert len(trial.curves["loss"]) == trial.params["epochs"]
    for trial in result.top(5):
        hidden = trial.params["hidden"]
        assert trial.network.dims[1:-1] == (hidden if isinstance(hidden, list) else [hidden])
        assert trial.network.activation[0] == trial.params["activation"]
        assert trial.network.seed == trial.params["seed"]


def test_depth_repeats_the_width() -> None:
    result = search({"depth": integers(0, 3)}, (X, y), 24, lr=1e-2, **OPTIONS)
    assert {t.network.dims[1:-1].count(16) for t in result.ranked} == {0, 1, 2, 3}


@pytest.mark.row("T4")
def test_the_lectures_line(capsys: pytest.CaptureFixture[str]) -> None:
    result = search(SPACE, (X, y), 3, n_threads=1, verbose=True, **OPTIONS)
    expected = [
        f"val_acc: {t.score:f}, lr: {t.params['lr']:e}, reg: {t.params['reg']:e}, "
        f"({t.number + 1} / 3)"
        for t in result
    ]
    assert capsys.readouterr().out.splitlines() == expected


def test_without_validation_data_rows_are_held_out_by_class() -> None:
    options = {**OPTIONS, "validation_data": None}
    result = search(SPACE, (X, y), 2, seed=5, **options)
    (Xt, yt), held = fanin.datasets.split(X, y, test_size=0.2, seed=5)
    assert rows_of(result) == rows_of(
        search(SPACE, (Xt, yt), 2, seed=5, **{**OPTIONS, "validation_data": held})
    )
    assert f"{len(held[1])} of {len(y)} rows held out by class" in str(result)
    values = np.eye(10, dtype=np.float32)[y]
    soft = search(SPACE, (X, values), 2, loss="mse", **options)
    assert soft.monitor == "val_loss"
    assert "held out at random" in str(soft)
    assert soft.best.score == min(t.score for t in soft)


def test_diverged_trials_are_a_result_that_says_what_to_lower() -> None:
    result = search(
        {"lr": loguniform(1e3, 1e6)}, (X, y), 4, optimizer="sgd", **{**OPTIONS, "preprocess": None}
    )
    assert {t.status for t in result} == {"diverged"}
    assert result.best is None
    assert result.top(3) == []
    assert "4 of 4 trials diverged: lower lr (it was " in str(result)
    assert "it began at 2.37" in result.trials[0].error
    with pytest.raises(ValueError, match=r"refine: expected trials that ended well; 4 of 4"):
        result.refine()


def test_a_loss_over_three_times_the_first_ends_a_trial() -> None:
    # Not so far as to overflow: L2 with a rate just above what is stable.
    space = {"lr": choice([0.02, 0.45])}
    result = search(space, (X, y), 8, optimizer="sgd", reg=5.0, **{**OPTIONS, "epochs": 50})
    bad = [t for t in result if t.params["lr"] == 0.45]
    good = [t for t in result if t.params["lr"] == 0.02]
    assert {t.status for t in good} == {"done"}
    assert {t.status for t in bad} == {"diverged"}
    for trial in bad:
        assert len(trial.curves["loss"]) < 50
        assert "it began at" in trial.error or "not finite" in trial.error


def test_top_trials_make_an_ensemble(result: tuning.SearchResult) -> None:
    top = result.top(3)
    together = ensemble.from_search(top, k=3)
    assert list(together) == [t.network for t in top]
    with pytest.raises(TypeError, match=r"candidates: expected a trained network in trial 0"):
        ensemble.from_search(
            search({"x": uniform(0, 1)}, lambda p: p["x"], 1, progress=False).top()
        )


def test_networks_that_were_not_kept_are_trained_again() -> None:
    many = search({"lr": loguniform(1e-4, 1e-1)}, (X, y), 14, **OPTIONS)
    last = many.ranked[-1]
    assert last._network is None
    assert last.network.evaluate(*TEST)["accuracy"] == last.score


# Functions


def bowl(params: Any) -> float:
    return 1 - (params["x"] - 0.3) ** 2


def test_a_function_can_be_searched() -> None:
    result = search({"x": uniform(-1, 1)}, bowl, 200, progress=False)
    assert result.best.params["x"] == pytest.approx(0.3, abs=0.02)
    assert result.best.score == max(bowl(t.params) for t in result)
    least = search({"x": uniform(-1, 1)}, lambda p: -bowl(p), 200, mode="min", progress=False)
    assert least.best.params == result.best.params
    assert least.best.score == -result.best.score


def test_a_function_may_return_more_and_take_the_budget() -> None:
    def objective(params: Any, budget: int) -> dict[str, Any]:
        return {"score": bowl(params), "budget": budget, "note": "x"}

    result = search({"x": uniform(-1, 1)}, objective, 5, epochs=7, progress=False)
    assert [t.metrics for t in result] == [{"budget": 7, "note": "x"}] * 5
    watched = search(
        {"x": uniform(-1, 1)}, objective, 5, monitor="budget", mode="max", progress=False
    )
    assert [t.score for t in watched] == [5] * 5


def test_a_function_that_raises_is_a_failed_row() -> None:
    def objective(params: Any) -> float:
        if params["x"] < 0:
            raise OSError("disk full")
        return params["x"]

    result = search({"x": uniform(-1, 1)}, objective, 20, progress=False)
    failed = [t for t in result if t.status == "failed"]
    assert {t.number for t in failed} == {t.number for t in result if t.params["x"] < 0}
    assert {t.error for t in failed} == {"OSError: disk full"}
    assert result.best.params["x"] > 0
    worst = search({"x": uniform(-2, -1)}, objective, 3, progress=False)
    assert "all 3 trials failed; the first: OSError: disk full" in str(worst)


def test_scores_that_are_none() -> None:
    nan = search({"x": uniform(0, 1)}, lambda _: math.nan, 2, progress=False)
    assert {t.status for t in nan} == {"diverged"}
    text = search({"x": uniform(0, 1)}, lambda _: "good", 2, progress=False)
    assert "objective: expected a number or a dict with 'score', got str" in text.trials[0].error
    lacks = search({"x": uniform(0, 1)}, lambda _: {"loss": 1}, 2, progress=False)
    assert "expected one of loss, got 'score'" in lacks.trials[0].error


def test_a_function_cannot_spoil_the_parameters() -> None:
    def objective(params: Any) -> float:
        params["x"] = "spoilt"
        params["h"].append(1)
        return 0.0

    result = search({"x": uniform(0, 1), "h": choice([[1, 2]])}, objective, 3, progress=False)
    assert all(isinstance(t.params["x"], float) and t.params["h"] == [1, 2] for t in result)


# Beginning and going on


@pytest.mark.row("G8")
def test_what_to_start_from_is_tried_first(result: tuning.SearchResult) -> None:
    given = [{"lr": 0.5}, result, result.trials[3]]
    other = search(SPACE, (X, y), 5, seed=9, start_from=given, **OPTIONS)
    fresh = search(SPACE, (X, y), 5, seed=9, **OPTIONS)
    assert other.trials[0].params == {"lr": 0.5, "reg": fresh.trials[0].params["reg"]}
    assert other.trials[1].params == result.best.params
    assert other.trials[2].params == result.trials[3].params
    assert rows_of(other)[3:] == rows_of(fresh)[3:]
    with pytest.raises(ValueError, match=r"start_from\[0\]: expected parameters of the space, lr"):
        search(SPACE, bowl, 1, start_from=[{"rate": 1}])
    with pytest.raises(TypeError, match=r"start_from\[0\]: expected a dict of parameters"):
        search(SPACE, bowl, 1, start_from=[3])


@pytest.mark.row("T3")
def test_stages_go_from_coarse_to_fine() -> None:
    space = {"lr": loguniform(1e-5, 1), "reg": loguniform(1e-6, 1e1)}
    result = search(
        space, (X, y), 20, stages=[{"n_trials": 6, "epochs": 6}], **{**OPTIONS, "epochs": 2}
    )
    (coarse,) = result.earlier
    assert len(coarse) == 20
    assert len(result) == 6
    assert {str(p) for p in result.space.values()} == {str(p) for p in coarse.refine().values()}
    wide, narrow = coarse.space["lr"], result.space["lr"]
    assert math.log(narrow.high / narrow.low) < 0.8 * math.log(wide.high / wide.low)
    assert result.best.score >= coarse.best.score
    assert {len(t.curves["loss"]) for t in result} == {6}
    with pytest.raises(ValueError, match=r"stages: expected arguments of search, got 'n_trails'"):
        search(space, (X, y), stages=[{"n_trails": 6}])


def test_callbacks_hear_of_each_trial_and_may_end_the_search() -> None:
    heard: list[Trial] = []
    search({"x": uniform(-1, 1)}, bowl, 5, callbacks=[heard.append], progress=False)
    assert sorted(t.number for t in heard) == list(range(5))

    def enough(trial: Trial) -> bool:
        return trial.score > 0.9

    ended = search({"x": uniform(-1, 1)}, bowl, 10**4, callbacks=[enough], progress=False)
    assert ended.interrupted
    assert 1 <= len(ended) < 10**3


# What is refused


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"n_trials": 0}, ValueError, "n_trials: expected at least 1, got 0"),
        ({"epochs": 0}, ValueError, "epochs: expected at least 1"),
        ({"strategy": "tpe"}, ValueError, "strategy: expected one of random, grid, sobol; got"),
        ({"strategy": 3}, TypeError, "strategy: expected one of .* or an Optuna sampler, got int"),
        ({"prune": "half"}, ValueError, "prune: expected one of median, halving; got 'half'"),
        ({"executor": "threads"}, TypeError, "executor: expected"),
        ({"learning_rate": 1}, ValueError, "search: expected one of .*lr.*; got 'learning_rate'"),
        ({"lr": 1}, ValueError, "lr: expected it in the space or fixed, got both"),
        ({"activation": "rely"}, ValueError, "activation: expected one of"),
        ({"hidden": -1}, ValueError, "hidden: expected at least 1"),
        ({"validation_data": (X, y[:5])}, ValueError, "validation y: expected shape"),
        ({"monitor": "val_f7"}, ValueError, "monitor: expected one of"),
        ({"seed": -1}, ValueError, "seed: expected"),
    ],
)
def test_arguments_that_are_refused(arguments: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        search(SPACE, (X, y), **{**OPTIONS, "n_trials": 2, **arguments})


def test_spaces_and_data_that_are_refused() -> None:
    with pytest.raises(ValueError, match=r"space: expected one of .*; got 'rate'"):
        search({"rate": uniform(0, 1)}, (X, y))
    with pytest.raises(TypeError, match=r"data: expected \(X, y\) or a function, got"):
        search(SPACE, X)
    with pytest.raises(ValueError, match="hidden: expected data to train on beside it"):
        search(SPACE, bowl, hidden=3)
    with pytest.raises(ValueError, match="prune: expected None or 'halving' with a function"):
        search(SPACE, bowl, prune="median")
    bad = X.astype(np.float32)
    bad[3, 5] = np.nan
    with pytest.raises(ValueError, match=r"X: expected finite values, got nan in row 3, column 40"):
        search(SPACE, (bad, y), validation_data=TEST)
