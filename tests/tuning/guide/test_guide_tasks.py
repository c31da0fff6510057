"""Values and several labels a row: the same seven steps, judged in their own way."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clocks import guide_counts_epochs

from fanin.arrays import Table
from fanin.ensemble import Ensemble
from fanin.losses.spec import LossSpec
from fanin.tuning import Report, guide
from fanin.tuning.guide.state import State
from fanin.tuning.guide.targets import make_task, task_of
from fanin.tuning.guide.tasks import Regression

HIDDEN = {"hidden": [16]}


@pytest.fixture(autouse=True)
def counted_time(monkeypatch: pytest.MonkeyPatch) -> None:
    guide_counts_epochs(1, monkeypatch.setattr)


def values(n: int = 300, noise: float = 0.3, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    y = 2 * X[:, 0] + np.sin(2 * X[:, 1]) + noise * rng.normal(size=n)
    return X, 1000 + 50 * y


def several(n: int = 300, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 5)).astype(np.float32)
    return X, X[:, :3] + 0.3 * rng.normal(size=(n, 3)) > 0.3


def run(*data: Any, **options: Any) -> Report:
    """On one thread, whose count of epochs at any decision is the same on any machine."""
    fixed = {"progress": False, "network": HIDDEN, "time_budget": 5.0, "n_threads": 1}
    return guide(*data, **fixed | options)


def names(report: Report) -> set[str]:
    return {finding.name for finding in report.findings}


@pytest.fixture(scope="module")
def of_values(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    folder = tmp_path_factory.mktemp("values")
    with pytest.MonkeyPatch.context() as patch:
        guide_counts_epochs(1, patch.setattr)
        return run(*values(), state=folder, test_data=values(100, seed=9)), folder


@pytest.fixture(scope="module")
def of_several() -> Report:
    with pytest.MonkeyPatch.context() as patch:
        guide_counts_epochs(1, patch.setattr)
        return run(*several(), test_data=several(100, seed=9))


@pytest.mark.row("G7")
def test_values_are_learnt_in_their_units(of_values):
    report, _ = of_values
    assert [step.number for step in report.steps][:5] == [1, 2, 3, 4, 5]
    assert report.options["task"] == "regression"
    scores, (X, y) = report.scores, values(100, seed=9)
    assert report.score == scores["ensemble"]["r2"] > 0.5
    assert scores["constant"]["loss"] == pytest.approx(1.0, abs=0.05)
    assert scores["constant"]["rmse"] == pytest.approx(values()[1].std(), rel=0.02)
    assert scores["ensemble"]["loss"] < scores["constant"]["loss"]
    for model, test in ((report.network, report.test), (report.ensemble, report.ensemble_test)):
        off = y[:, None] - model.predict(X)
        assert test["rmse"] == pytest.approx(math.sqrt(np.mean(off**2)), rel=1e-4)
        assert test["r2"] > 0.5
    assert "no-better-than-constant" not in names(report)


def test_what_knows_nothing_has_the_expected_loss(of_values):
    facts = of_values[0].step(1).facts
    assert facts["expected_loss"] == pytest.approx(1.0, abs=0.1)
    assert facts["initial_loss"] == pytest.approx(facts["expected_loss"], rel=0.2)
    assert "in deviations of the target" in str(of_values[0].step(1))


def test_the_report_of_values(of_values, tmp_path):
    report, _ = of_values
    text = str(report)
    assert f"an R² of {report.score:.4f} (RMSE" in text
    assert "accuracy" not in text
    assert "RMSE" in text
    report.save(tmp_path / "report.json")
    assert str(Report.load(tmp_path / "report.json")) == text


def test_values_resume_to_the_same_bits(of_values, tmp_path):
    report, _ = of_values
    for until in (4, 7):
        parts = run(*values(), state=tmp_path, until=until, test_data=values(100, seed=9))
    assert np.array_equal(parts.network.get_parameters(), report.network.get_parameters())
    X, _ = values(20, seed=3)
    assert np.array_equal(parts.ensemble.predict(X), report.ensemble.predict(X))
    read = run(*values(), state=tmp_path)
    assert np.array_equal(read.ensemble.predict(X), report.ensemble.predict(X))


def test_a_killed_guide_of_values_goes_on(monkeypatch, tmp_path):
    data, how = values(60), {"time_budget": None, "until": 4, "rates": [1e-2]}
    whole = run(*data, **how)
    kept, write = [], State.write

    def killed(self: State) -> None:
        write(self)
        kept.append(1)
        if len(kept) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(State, "write", killed)
    assert run(*data, **how, state=tmp_path).stopped == "interrupted"
    again = run(*data, **how, state=tmp_path)
    assert np.array_equal(again.network.get_parameters(), whole.network.get_parameters())


def test_several_labels_a_row(of_several):
    report = of_several
    scores, (X, y) = report.scores, several(100, seed=9)
    assert report.options["task"] == "multilabel"
    assert report.score == scores["ensemble"]["f1_macro"] > 0.5
    assert scores["ensemble"]["log_loss"] < scores["shares"]["log_loss"]
    assert report.ensemble.predict(X).shape == (100, 3)
    assert report.test["hamming_loss"] == pytest.approx(np.mean(report.network.predict(X) != y))
    assert report.step(1).facts["expected_loss"] == pytest.approx(math.log(2))
    assert "macro-F1" in str(report)


@pytest.mark.parametrize("loss", [name for name in Regression.losses if name != "mse"])
def test_every_loss_of_values(loss):
    X, y = values(200)
    y = np.round(np.abs(y - y.min()) / 50) if loss == "poisson" else y
    network = HIDDEN | {"loss": loss}
    report = run(X, y, task="regression", network=network, time_budget=2.0, until=4)
    assert report.network.loss_name == loss
    assert report.step(4).facts["best"]["score"] > 0.5
    found = report.ensemble.predict(X)[:, 0]
    assert np.mean((found - y) ** 2) < 0.5 * y.var()


def test_quantiles_are_averaged_level_by_level():
    X, y = values(200)
    network = HIDDEN | {"loss": "quantile", "quantiles": [0.1, 0.5, 0.9]}
    report = run(X, y, network=network, time_budget=2.0)
    found = report.ensemble.predict(X)
    assert found.shape == (200, 3)
    assert (np.diff(found, axis=1) >= 0).all()
    assert 0.5 < report.scores["ensemble"]["coverage"] < 1.0
    assert report.network.evaluate(X, y, metrics=["coverage"])["coverage"] > 0.5
    with pytest.raises(ValueError, match=r"quantiles: expected 0.5 among them"):
        run(X, y, network=HIDDEN | {"loss": "quantile", "quantiles": [0.1, 0.9]})


def test_several_values_each_in_its_units():
    X, y = values(200)
    report = run(X, np.stack([y, 1e-3 * X[:, 2].astype(float)], axis=1), time_budget=2.0)
    assert report.score > 0.4
    found = report.ensemble.predict(X)
    assert found.std(axis=0)[0] > 1e3 * found.std(axis=0)[1]


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (np.array(["a", "b"] * 10), "classification"),
        (np.arange(20) % 3, "classification"),
        (np.arange(260) % 26, "classification"),
        (np.arange(20) % 2 == 0, "classification"),
        ((np.arange(20) % 2).astype(float), "classification"),
        (np.linspace(0, 1, 20), "regression"),
        (np.random.default_rng(0).normal(size=(20, 2)), "regression"),
        (np.random.default_rng(0).integers(0, 2, (20, 3)), "multilabel"),
    ],
)
def test_what_targets_can_only_be(y, task):
    assert task_of(y, None) == task


@pytest.mark.parametrize(
    ("y", "text"),
    [
        (np.arange(50), r"got 50 different whole numbers in 50 rows.*task='regression'"),
        (np.arange(20, 90).repeat(9), "got 70 different whole numbers"),
        (np.eye(4, dtype=int), r"say task='multilabel', task='regression', or give y.argmax"),
        (np.arange(20).reshape(-1, 1) % 2, r"say task='regression' for values, or give y\[:, 0\]"),
        (np.arange(20).reshape(-1, 2), "say task='regression' where they are values"),
    ],
)
def test_what_may_be_either_is_asked_for(y, text):
    with pytest.raises(ValueError, match=text):
        task_of(y, None)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"task": "ranking"}, "task: expected one of"),
        ({"network": {"loss": "softmax"}}, "loss: expected mse, .* for task='regression'"),
        ({"class_weight": "balanced"}, "class_weight: expected None for other tasks"),
        ({"task": "multilabel"}, r"y: expected shape \(300, C\) of 0 and 1"),
    ],
)
def test_bad_options(options, text):
    with pytest.raises(ValueError, match=text):
        run(*values(), **options)


def test_bad_targets():
    X, y = values()
    with pytest.raises(ValueError, match="y: expected rows with different targets"):
        run(X, np.full(300, 2.5))
    y[3] = np.inf
    with pytest.raises(ValueError, match="y: expected finite values, got others in row 3"):
        run(X, y, task="regression")
    X, labels = several()
    with pytest.raises(ValueError, match=r"y_val: expected shape \(300, 3\) of 0 and 1"):
        run(X, labels, X, labels[:, :2])


# What is odd is found


def test_an_unrelated_target_is_found():
    X, y = values(500)
    report = run(X, np.random.default_rng(1).permutation(y), time_budget=4.0)
    assert {"unrelated-target", "no-better-than-constant"} <= names(report)
    assert report.scores["ensemble"]["loss"] < 1.05
    assert "were they shuffled?" in str(report)


def test_a_leaking_column_is_found_and_named():
    X, y = values(400, noise=2.0)
    leak = (y - y.mean()) / y.std() + 0.01 * np.random.default_rng(2).normal(size=400)
    X_leak = np.column_stack([X, leak]).astype(np.float32)
    report = run(X_leak, y, until=4, time_budget=20.0)
    found = next(f for f in report.findings if f.name == "leaking-column")
    assert "column 5 alone explains 9" in found.evidence
    without = run(*values(400, noise=2.0), until=4, time_budget=20.0)
    assert "leaking-column" not in names(without)


def test_a_heavy_tail_is_found():
    X, y = values()
    y[:3] += 1e5
    assert "heavy-tailed-target" in names(run(X, y, until=1))
    assert "heavy-tailed-target" not in names(run(*values(), until=1))
    assert "heavy-tailed-target" not in names(
        run(X, y, until=1, network=HIDDEN | {"loss": "huber"})
    )


def test_validation_rows_with_other_targets_are_found():
    X, y = values()
    X_val, y_val = values(100, seed=4)
    assert "validation-balance" in names(run(X, y, X_val, y_val + 200, until=1))
    assert "validation-balance" not in names(run(X, y, X_val, y_val, until=1))
    X, labels = several()
    X_val, other = several(100, seed=4)
    assert "validation-balance" not in names(run(X, labels, X_val, other, until=1))
    assert "validation-balance" in names(run(X, labels, X_val, ~other, until=1))


def test_a_rare_label_is_found():
    X, labels = several()
    labels[:, 1] = np.arange(300) < 3
    found = next(f for f in run(X, labels, until=1).findings if f.name == "rare-label")
    assert "label 1 is in 3 of the 300 rows" in found.evidence


def test_a_rate_that_is_too_high_for_values():
    report = run(*values(), network=HIDDEN | {"lr": 1e3}, until=2, time_budget=None)
    assert "learning-rate-too-high" in names(report)


def test_equal_rows_with_other_values_limit_what_can_be_learnt():
    X, y = values(100)
    report = run(np.concatenate([X, X]), np.concatenate([y, y[::-1]]), until=2)
    assert report.step(2).facts["ceiling"] < 0.9


# Trivial outputs are the best constants


@pytest.mark.parametrize("loss", Regression.losses)
def test_no_constant_is_better_than_the_trivial_one(loss):
    y = np.random.default_rng(0).gamma(1.0, 3.0, (500, 1)) + 0.1
    task = make_task("regression", y, {"loss": loss})
    best = task.trivial(y)
    at = float(task.row_losses(np.broadcast_to(best, (500, 1)).copy(), y).mean())
    for off in (-0.02, 0.02):
        other = np.full((500, 1), best + off)
        assert float(task.row_losses(other, y).mean()) > at - 1e-9


def test_spec_of_a_task():
    task = make_task("regression", np.arange(4.0)[:, None], {})
    assert task.spec == LossSpec("mse")
    assert task.n_outputs == 1


# Frames


def table(n: int = 300) -> tuple[Table, Any, Any]:
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b", "c"], n).astype(object)
    size = rng.normal(size=n)
    size[::20] = np.nan
    y = np.where(kind == "b", 3.0, 0.0) + np.nan_to_num(size) + 0.1 * rng.normal(size=n)
    return Table({"size": size, "kind": kind}), y, np.where(y > 1.5, "high", "low")


def test_a_table_goes_through_all_to_the_file_of_the_ensemble(tmp_path):
    X, y, labels = table()
    report = run(X, y, time_budget=2.0, state=tmp_path)
    assert report.score > 0.7
    assert "2 columns (1 number, 1 category; 1 with missing values)" in str(report.step(1))
    read = Ensemble.load(tmp_path / "ensemble.fanin")
    assert np.array_equal(read.predict(X), report.ensemble.predict(X))
    with pytest.raises(ValueError, match="X: expected a column 'kind', as in training"):
        read.predict(Table({"size": X.columns["size"]}))
    report = run(X, labels, time_budget=2.0)
    assert set(report.ensemble.predict(X)) == {"high", "low"}
    assert list(report.ensemble.classes_) == ["high", "low"]


def test_before_the_end_an_ensemble_gives_labels_back_too():
    X, _, labels = table()
    report = run(X, labels, until=4, time_budget=2.0)
    assert set(report.ensemble.predict(X)) == {"high", "low"}
