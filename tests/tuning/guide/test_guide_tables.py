"""The guide on ordinary tables: small, noisy, uneven, leaking; and what it is worth."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from clocks import guide_counts_epochs
from guide_cases import blobs

import fanin
from fanin.tuning import Report, guide


def run(*data: Any, **options: Any) -> Report:
    return guide(*data, **{"progress": False, "rounds": 1, "n_threads": 2, **options})


@pytest.fixture
def counted_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a time budget: on one thread it ends at the same epoch on any machine."""
    guide_counts_epochs(1, monkeypatch.setattr)


def names(report: Report) -> set[str]:
    return {finding.name for finding in report.findings}


def finding(report: Report, name: str) -> Any:
    return next(f for f in report.findings if f.name == name)


def weak(n: int, strength: float, seed: int = 0, d: int = 6) -> Any:
    """Labels that one column tells a little of."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)).astype(np.float32)
    y = (rng.random(n) < 1 / (1 + np.exp(-strength * X[:, 0]))).astype(int)
    return X, y


def rare(n: int = 600, share: float = 0.06, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    X = rng.normal(size=(n, 5)) + 1.5 * y[:, None]
    return X.astype(np.float32), y


@pytest.fixture(scope="module")
def noisy() -> Report:
    return run(*blobs(300, spread=0.6), network={"hidden": [16]})


# It always ends with a network


@pytest.mark.row("B1")
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(blobs(24), id="few rows"),
        pytest.param((blobs(61)[0], np.append(blobs(60)[1], 3)), id="a class of one row"),
        pytest.param((blobs(60)[0], np.arange(60) % 2), id="labels of nothing"),
        pytest.param((np.ones((40, 3), np.float32), np.arange(40) % 2), id="constant inputs"),
        pytest.param(rare(200, 0.03), id="a rare class"),
    ],
)
def test_a_network_whatever_the_data(data):
    report = run(*data)
    assert report.network is not None
    assert report.ensemble is not None
    assert {"ensemble", "network", "majority"} <= set(report.scores)
    assert np.isfinite(report.ensemble.predict_proba(data[0])).all()
    assert str(report)


@pytest.mark.row("B1")
@pytest.mark.usefixtures("counted_time")
@pytest.mark.parametrize("seconds", [0.01, 0.3])
def test_a_network_however_short_the_time(seconds):
    report = run(*blobs(), time_budget=seconds, rounds=None, n_threads=1)
    assert report.network is not None
    assert report.scores["ensemble"]["log_loss"] < report.scores["majority"]["log_loss"]
    assert report.stopped.endswith(("the time budget is spent", "gained no more than the noise"))


def test_where_all_diverge_the_rates_are_lowered_and_it_is_said():
    report = run(*blobs(), network={"hidden": [16], "optimizer": "sgd"}, rates=[1e9])
    assert report.network is not None
    assert report.settings["lr"] < 1e3
    step = report.step(4).facts
    lowest = min(trial["params"]["lr"] for trial in step["trials"])
    assert lowest < 1e8 or "no-learning-rate" in names(report)


# Its score is honest


@pytest.mark.row("B1")
def test_the_score_is_that_of_other_rows(noisy):
    X, y = blobs(6000, seed=7, spread=0.6)
    for what, judged in (("ensemble", noisy.ensemble), ("network", noisy.network)):
        told, real = noisy.scores[what], judged.evaluate(X, y)
        assert abs(told["log_loss"] - real["loss"]) < 4 * told["error"]
        assert abs(told["accuracy"] - real["accuracy"]) < 0.12
    assert noisy.scores["ensemble"]["rows"] == 300


def test_the_baselines_are_in_the_report(noisy):
    scores = noisy.scores
    assert scores["majority"]["log_loss"] == pytest.approx(np.log(3), abs=0.03)
    assert scores["majority"]["roc_auc"] == pytest.approx(0.5, abs=0.05)
    assert scores["linear"]["log_loss"] < scores["majority"]["log_loss"]
    text = str(noisy)
    assert "without hidden layers" in text
    assert "the classes' shares" in text
    assert f"{scores['ensemble']['log_loss']:.4f}" in text


def test_metrics_are_those_of_the_package(noisy):
    one = noisy.scores["ensemble"]
    assert set(one) == {
        "log_loss", "error", "accuracy", "balanced_accuracy", "rows", "roc_auc"
    }  # fmt: skip
    assert 0.4 < one["balanced_accuracy"] <= 1
    assert one["error"] > 0


@pytest.mark.row("B3")
def test_small_tables_are_judged_three_times_over(noisy):
    last = noisy.steps[-1].facts
    of_folds = sum(m["networks"] for m in last["members"])
    assert of_folds + last["refits"] == len(noisy.ensemble)
    of_all_rows = [net.get_parameters() for net in noisy.ensemble][of_folds:]
    assert np.array_equal(of_all_rows[0], noisy.network.get_parameters())
    assert len({parameters.tobytes() for parameters in of_all_rows}) == last["refits"] == 5
    assert max(m["networks"] for m in last["members"]) == 15
    assert sum(m["share"] for m in last["members"]) == pytest.approx(1)


def test_groups_are_held_out_together():
    X, y = blobs(120)
    groups = np.repeat(np.arange(40), 3)
    report = run(X, y, groups=groups, until=4)
    assert "by groups" in report.step(1).facts["notes"][0]
    with pytest.raises(ValueError, match="groups: expected None beside X_val"):
        run(X, y, X, y, groups=groups)


def test_the_same_on_any_executor_and_number_of_threads():
    data = blobs(90)
    one = run(*data, network={"hidden": [8]}, n_threads=1)
    two = run(*data, network={"hidden": [8]}, n_threads=2)
    with ThreadPoolExecutor(2) as pool:
        other = run(*data, network={"hidden": [8]}, executor=pool)
    for report in (two, other):
        assert np.array_equal(report.network.get_parameters(), one.network.get_parameters())
        assert report.scores == one.scores


# What it finds, and what not


@pytest.mark.parametrize("seed", range(3))
def test_a_weak_signal_is_not_unrelated(seed):
    assert "unrelated-labels" not in names(run(*weak(400, 1.0, seed), until=4))


@pytest.mark.parametrize("seed", range(3))
def test_no_signal_is(seed):
    report = run(*weak(400, 0.0, seed), until=4)
    assert "standard error" in finding(report, "unrelated-labels").evidence
    assert report.network is not None


def test_imbalance_is_a_finding_of_its_own():
    report = run(*rare(), until=4)
    found = finding(report, "imbalanced")
    assert "times as many" in found.evidence
    assert "balanced accuracy" in found.action
    assert "class_weight" in found.action
    assert not {"unrelated-labels", "diverged"} & names(report)
    assert "imbalanced" not in names(run(*blobs(), until=1))


def test_class_weights_lift_the_rare_class():
    X, y = rare(1000, 0.06)
    plain, weighed = (run(X, y, until=5, class_weight=w) for w in (None, "balanced"))
    recall = [
        float((report.ensemble.predict(X)[y == 1] == 1).mean()) for report in (plain, weighed)
    ]
    assert recall[1] > recall[0]
    with pytest.raises(ValueError, match="class_weight: expected"):
        run(X, y, class_weight="even")


@pytest.mark.row("B1")
def test_a_leaking_column_is_found():
    X, y = blobs(400, spread=0.6)
    leaking = np.insert(X, 3, y + 0.05 * np.random.default_rng(0).normal(size=400), axis=1)
    report = run(leaking.astype(np.float32), y, until=4)
    assert finding(report, "leaking-column").columns.tolist() in ([3], [])
    assert finding(report, "leaking-column").evidence.startswith("column 3 alone")
    assert "leaking-column" not in names(run(X, y, until=4))


def test_a_column_that_is_merely_good_is_none():
    X, y = blobs(400, spread=4.0)
    assert "leaking-column" not in names(run(X, y, until=4))


@pytest.mark.row("B1")
def test_validation_rows_in_other_units():
    (X, y), (X_val, y_val) = blobs(), blobs(100, seed=3)
    report = run(X, y, 1000 * X_val, y_val, until=1)
    assert "8 of 8 columns differ by 30 times" in finding(report, "other-units").evidence
    assert "other-units" not in names(run(X, y, X_val, y_val, until=1))


def test_validation_rows_that_lack_a_class():
    X, y = blobs(600)
    X_val, y_val = blobs(90, seed=3)
    report = run(X, y, X_val[y_val > 0], y_val[y_val > 0], until=1)
    assert "lack class 0" in finding(report, "validation-balance").evidence


def test_noisy_labels_are_no_failure_to_overfit():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(500, 2)).astype(np.float32)
    y = ((X[:, 0] > 0) ^ (rng.random(500) < 0.15)).astype(int)
    report = run(X, y, until=2)
    assert report.step(2).facts["reached"]
    assert not {"cannot-overfit", "network-too-small", "bad-initialisation"} & names(report)


def test_equal_rows_of_different_labels_set_a_ceiling():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 3, size=(400, 3)).astype(np.float32)
    y = (rng.random(400) < 0.2 + 0.3 * X[:, 0]).astype(int)
    report = run(X, y, until=2)
    facts = report.step(2).facts
    assert 0.6 < facts["ceiling"] < 1
    assert "cannot-overfit" not in names(report)
    assert "another label leave" in str(report)


@pytest.mark.usefixtures("counted_time")
def test_the_end_says_why_when_time_is_left():
    report = run(*blobs(90), network={"hidden": [4]}, time_budget=200, rounds=None, n_threads=1)
    assert report.seconds < 200
    assert "gained no more than the noise" in report.stopped
    assert report.stopped in str(report)


def test_temperatures_are_saved_with_the_network(tmp_path):
    report = run(*blobs(300, spread=0.6), state=tmp_path)
    again = fanin.MLP.load(tmp_path / "network.fanin")
    X, _ = blobs(50, seed=4)
    assert np.array_equal(again.scores(X), report.network.scores(X))
    both = fanin.ensemble.Ensemble.load(tmp_path / "ensemble.fanin")
    assert np.array_equal(both.predict_proba(X), report.ensemble.predict_proba(X))


@pytest.mark.usefixtures("counted_time")
@pytest.mark.parametrize("n", [3, 4, 5, 7])
@pytest.mark.parametrize("seed", range(3))
def test_a_handful_of_rows_ends_with_a_network(n, seed):
    X = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    report = guide(X, np.arange(n) % 2, time_budget=0.3, seed=seed, n_threads=1, progress=False)
    assert report.network is not None
    assert report.ensemble is not None
    assert str(report)


@pytest.mark.usefixtures("counted_time")
@pytest.mark.parametrize("n_val", [1, 2])
def test_a_validation_row_or_two_judge_as_well_as_they_can(n_val):
    X = np.random.default_rng(0).normal(size=(20 + n_val, 3)).astype(np.float32)
    y = np.arange(len(X)) % 2
    data = X[:20], y[:20], X[20:], y[20:]
    report = guide(*data, time_budget=0.3, n_threads=1, progress=False)
    assert report.network is not None
    assert str(report)


def test_rows_that_leave_no_classes_to_train_on_are_refused():
    X = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match="y: expected at least 2 rows, one for each fold"):
        guide(X, np.array([0, 1]), progress=False)
    groups = np.repeat(np.arange(5), 4)
    with pytest.raises(ValueError, match="y: expected two classes among the rows of each fold"):
        guide(np.zeros((20, 3), np.float32), (groups == 0).astype(int), groups=groups)
