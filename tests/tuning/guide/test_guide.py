"""The seven steps on small data: their order, what each finds, where they go on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clocks import guide_counts_epochs
from guide_cases import blobs

import fanin
from fanin._json import from_json, to_json
from fanin.tuning import Report, guide
from fanin.tuning.guide.state import FILE, State, remove_trials


def run(*args: Any, **options: Any) -> Report:
    data = args or blobs()
    return guide(*data, **{"progress": False, "network": {"hidden": [16]}, **options})


def names(report: Report) -> set[str]:
    return {finding.name for finding in report.findings}


def digits() -> Any:
    (X, y), test = fanin.datasets.load("digits")
    return X, y, test


@pytest.fixture
def counted_time(monkeypatch: pytest.MonkeyPatch) -> None:
    guide_counts_epochs(1, monkeypatch.setattr)


@pytest.fixture(scope="module")
def whole() -> Report:
    """All steps, two rounds."""
    return run(rounds=2, test_data=blobs(200, seed=5))


@pytest.mark.row("G7")
def test_the_steps_come_in_order(whole):
    numbers = [(step.number, step.round) for step in whole.steps]
    first = [(1, 0), (2, 0), (3, 0), (4, 0), (5, 1), (6, 1), (7, 1)]
    assert numbers[:7] == first
    assert numbers[7:] == [(5, 2), (6, 2), (7, 2), (8, 0)]
    assert whole.stopped.startswith(("round 2 gained", "ended after round 2"))
    assert whole.seconds > 0


def test_the_report_has_the_network_that_won(whole):
    assert whole.network.dims == [8, *whole.settings["hidden"], 3]
    assert whole.score == whole.scores["ensemble"]["accuracy"]
    assert whole.score > 0.7
    X, y = blobs(200, seed=5)
    assert whole.test == whole.network.evaluate(X, y) | {"rows": 200}
    assert whole.test["accuracy"] > 0.7
    assert whole.settings == whole.step(7).facts["settings"]
    judged = whole.ensemble.evaluate(X, y)
    assert whole.ensemble_test == {name: judged[name] for name in ("loss", "accuracy")}


def test_the_history_is_the_mean_of_the_folds(whole):
    shown = whole.step(5).facts
    assert whole.history.history["val_loss"] == pytest.approx(
        shown["history"]["history"]["val_loss"]
    )
    assert whole.history.params["n_val"] == 400


def test_validation_rows_are_held_out_evenly_and_it_is_said(whole):
    facts = whole.step(1).facts
    assert (facts["n_train"], facts["n_val"], facts["folds"]) == (320, 80, 5)
    said = "5 folds of the 400 rows are held out in turn, evenly over the classes, by seed 0"
    assert said in facts["notes"][0]
    assert "held out" in str(whole)
    last = whole.steps[-1].facts
    assert (last["refit"], last["rows"]) == (True, 400)


def test_ones_own_validation_rows_are_never_trained_on():
    X, y = blobs()
    X_val, y_val = blobs(90, seed=3)
    report = run(X, y, X_val, y_val, rounds=1)
    facts = report.step(1).facts
    assert (facts["n_train"], facts["n_val"]) == (400, 90)
    assert not any("held out" in note for note in facts["notes"])
    assert report.steps[-1].facts["refit"] is False
    result = report.network.evaluate(X_val, y_val)
    assert result["accuracy"] == report.step(5).facts["overall"]["score"]
    assert result["loss"] == pytest.approx(report.scores["network"]["log_loss"], abs=1e-4)


@pytest.mark.row("G1")
def test_step_1_measures_the_initial_loss():
    X, y = blobs()
    net = fanin.MLP([8, 16, 3], seed=4)
    report = run(X, y, network=net, until=1, preprocess="none")
    facts = report.step(1).facts
    assert facts["expected_loss"] == math.log(3)
    assert facts["initial_loss"] == pytest.approx(math.log(3), rel=0.1)
    losses = [loss for _, loss in facts["with_reg"]]
    assert losses[0] == facts["initial_loss"]
    assert losses == sorted(losses)
    assert report.findings == ()
    assert report.stopped == "ended after step 1, as asked for"
    assert report.network is None


@pytest.mark.row("G1")
def test_a_wrong_last_layer_is_found():
    net = fanin.MLP([8, 16, 3], output_init="kaiming")
    net.params["W2"] *= 100
    report = run(network=net, until=1)
    found = next(f for f in report.findings if f.name == "initial-loss")
    loss = report.step(1).facts["initial_loss"]
    assert f"begins at {loss:.4g}" in found.evidence
    assert "1.0986 of a network that knows nothing" in found.evidence
    assert "last layer" in found.action


def test_data_faults_of_step_1():
    X, y = blobs()
    raw = (X * 80 + 128).astype(np.float32)
    assert "unscaled-inputs" in names(run(raw, y, preprocess="none", until=1))
    assert "unscaled-inputs" not in names(run(raw, y, until=1))
    few = y != 0
    report = run(X, y, np.ascontiguousarray(X[few]), y[few], until=1)
    found = next(f for f in report.findings if f.name == "validation-balance")
    assert "the validation rows lack class 0, which is 33.5% of the training rows" in found.evidence
    assert "validation-balance" not in names(run(X, y, X.copy(), y, until=1))


@pytest.mark.row("G2")
def test_step_2_learns_a_sample_by_heart():
    report = run(until=2)
    facts = report.step(2).facts
    assert facts["reached"] is True
    assert facts["ceiling"] == 1.0
    assert facts["attempts"][-1]["accuracy"] >= 1.0 - facts["lone"]
    assert facts["rows"] == 320
    assert report.findings == ()


@pytest.mark.row("G2")
@pytest.mark.parametrize(("lr", "name"), [(1e3, "too-high"), (1e-8, "too-low")])
def test_step_2_finds_a_wrong_rate(lr, name):
    report = run(network={"hidden": [64], "lr": lr}, until=2)
    found = next(f for f in report.findings if f.name == f"learning-rate-{name}")
    assert f"at lr {lr:g}" in found.evidence
    assert report.settings["lr"] == report.step(2).facts["attempts"][-1]["lr"]


@pytest.mark.row("G2")
def test_step_2_finds_bad_initial_weights_and_goes_on_with_good_ones():
    net = fanin.MLP([8, *[40] * 8, 3], activation="tanh")
    for name, values in net.params.items():
        if name.startswith("W"):
            values[:] = fanin.initializers.small_random(values.shape, 1e-4, rng=1)
    before = net.get_parameters()
    report = run(*blobs(spread=3.0), network=net, until=2)
    assert "bad-initialisation" in names(report)
    assert report.settings["init"] == "xavier"
    assert np.array_equal(net.get_parameters(), before)


def test_step_2_says_why_it_did_not():
    X, y = blobs(60)
    twice, other = np.concatenate([X, X]), np.concatenate([y, (y + 1) % 3])
    report = run(twice, other, until=2)
    found = next(f for f in report.findings if f.name == "cannot-overfit")
    assert "rows equal another with a different label" in found.evidence


@pytest.mark.row("G3")
def test_step_3_probes_and_goes_on_beyond_the_ends():
    facts = run(until=3, rates=[1e-5, 1e-6]).step(3).facts
    tried = [trial["rate"] for trial in facts["probe"]["trials"]]
    assert tried == sorted(tried, reverse=True)
    assert {1e-4, 1e-3} < set(tried)
    assert facts["settings"]["lr"] == facts["suggestion"] == max(tried)


@pytest.mark.row("G4")
@pytest.mark.row("G5")
def test_the_searches_are_the_lectures(whole):
    coarse, fine = whole.step(4).facts, whole.step(5, 1).facts
    reg = coarse["space"]["reg"]["options"]
    assert reg == [1e-4, 1e-5, 0.0]
    rate = whole.step(3).facts["suggestion"]
    assert coarse["space"]["lr"]["low"] < rate < coarse["space"]["lr"]["high"]
    assert fine["fixed"] == {}
    assert fine["epochs"] > coarse["epochs"]
    assert fine["space"]["lr"]["low"] > coarse["space"]["lr"]["low"]
    assert whole.step(5, 2).facts["fixed"] == {"schedule": "cosine"}


@pytest.mark.row("G7")
def test_a_round_that_gains_less_than_its_noise_is_the_last(whole):
    for step in whole.steps:
        if step.number == 7 and step.round == 2:
            gained = step.facts["gain"] > step.facts["noise"]
            assert gained == (whole.stopped == "ended after round 2, as asked for")


def test_shuffled_labels_are_found_and_end_it():
    X, y = blobs(900)
    report = run(X, np.random.default_rng(0).permutation(y))
    assert "unrelated-labels" in names(report)
    assert report.stopped == "step 4 found nothing to go on with"
    assert report.network is not None
    assert report.scores["ensemble"]["log_loss"] > report.scores["majority"]["log_loss"] - 0.02
    assert "no-better-than-majority" in names(report)
    assert "shuffled" in str(report)


# going on


@contextmanager
def edited(path: Path) -> Iterator[dict[str, Any]]:
    """A state's contents, written with their checksum at the end."""
    state = from_json(path.read_bytes(), path)
    yield state
    path.write_bytes(to_json(state, indent=1) + b"\n")


def facts_of(report: Report) -> list[dict[str, Any]]:
    clocks = ("seconds", "speed")
    return [
        {k: v for k, v in step.facts.items() if k not in clocks and k != "history"}
        for step in report.steps
    ]


def test_step_by_step_is_the_same_as_at_once(tmp_path, whole):
    for until in range(1, 8):
        report = run(rounds=2, until=until, state=tmp_path)
        assert len(report.steps) >= until
    assert facts_of(report) == facts_of(whole)
    assert np.array_equal(report.network.get_parameters(), whole.network.get_parameters())


@pytest.mark.usefixtures("counted_time")
def test_an_interrupted_guide_goes_on(tmp_path, whole):
    for stop_at in ((2, 0), (4, 0), (5, 1), (7, 1)):

        def interrupt(step, stop_at=stop_at):
            if (step.number, step.round) == stop_at:
                raise KeyboardInterrupt

        report = run(rounds=2, state=tmp_path, callbacks=[interrupt])
        assert report.stopped == "interrupted"
        assert (report.steps[-1].number, report.steps[-1].round) == stop_at
    report = run(rounds=2, state=tmp_path)
    assert facts_of(report) == facts_of(whole)
    again = run(rounds=2, state=tmp_path)
    assert again.seconds > 0.9 * report.seconds
    assert np.array_equal(again.network.get_parameters(), whole.network.get_parameters())


def test_an_interruption_before_the_last_step_leaves_no_trace(tmp_path):
    at_once = run(rounds=2, state=tmp_path, seed=3)
    assert at_once.step(7, 1).facts["settings"] != at_once.step(4).facts["settings"]
    with edited(tmp_path / FILE) as state:
        assert state["steps"].pop()["number"] == 8
    assert facts_of(run(rounds=2, state=tmp_path, seed=3)) == facts_of(at_once)


def test_a_search_that_was_cut_goes_on_from_its_trials(tmp_path):
    run(until=4, state=tmp_path)
    with edited(tmp_path / FILE) as state:
        expected = state["steps"].pop()
    for number in range(5, len(expected["trials"])):
        (tmp_path / "trials" / f"{number}.fanin").unlink()
    kept = (tmp_path / "trials" / "4.fanin").stat().st_mtime_ns
    report = run(until=4, state=tmp_path)
    assert report.step(4).facts["trials"] == expected["trials"]
    assert (tmp_path / "trials" / "4.fanin").stat().st_mtime_ns == kept


def test_a_trial_that_is_missing_or_of_another_guide_is_not_taken(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    expected = run(until=4, state=one).step(4).facts["trials"]
    run(*blobs(200), until=4, state=other)
    for path in (one / "trials").iterdir():
        path.unlink()
    with pytest.raises(fanin.FileError, match=r"0.fanin: expected the networks of folds \[0"):
        run(until=4, state=one)
    (one / FILE).unlink()
    for path in (other / "trials").iterdir():
        path.rename(one / "trials" / path.name)
    assert run(until=4, state=one).step(4).facts["trials"] == expected


def test_more_rounds_may_be_asked_for_later(tmp_path, whole):
    one = run(rounds=1, state=tmp_path)
    assert one.stopped == "ended after round 1, as asked for"
    assert [s.round for s in one.steps if s.number == 5] == [1]
    assert one.steps[-1].number == 8
    two = run(rounds=2, state=tmp_path)
    assert facts_of(two) == facts_of(whole)


@pytest.mark.usefixtures("counted_time")
def test_more_time_may_be_given_later(tmp_path):
    X, y, _ = digits()
    short = guide(X, y, time_budget=0.01, state=tmp_path, n_threads=1, progress=False)
    assert short.stopped == "the time budget is spent"
    assert short.network is not None
    assert short.scores["network"]["log_loss"] < 2.4
    long = guide(X, y, time_budget=short.seconds + 12, state=tmp_path, n_threads=1, progress=False)
    assert long.steps[: len(short.steps) - 1] == short.steps[:-1]
    assert long.network is not None


def test_another_guides_folder_is_refused(tmp_path):
    run(until=1, state=tmp_path)
    with pytest.raises(ValueError, match="belongs to a guide with another seed: 0 there, 1 here"):
        run(until=1, state=tmp_path, seed=1)
    with pytest.raises(ValueError, match="another X: "):
        run(*blobs(300), until=1, state=tmp_path)
    with pytest.raises(ValueError, match="holds a guide already"):
        run(until=1, state=tmp_path, resume=False)
    for text, reason in (
        (b"[1, 2]", "expected an object of JSON, got a list"),
        (b'{"format": 2, "steps": []}', "by an earlier fanin, in format 2, which has no checksum"),
        (to_json({"fanin": "guide", "format": 9}), "by another fanin, in format 9"),
        (to_json({"fanin": "search", "format": 2}), "expected the state of a guide"),
        (to_json({"fanin": "guide", "format": 3}), "expected key of a guide, got None"),
    ):
        (tmp_path / FILE).write_bytes(text)
        with pytest.raises(fanin.FileError, match=reason):
            run(until=1, state=tmp_path)


@pytest.mark.row("B2")
def test_a_changed_state_is_refused(tmp_path):
    run(until=1, state=tmp_path)
    path = tmp_path / FILE
    text = path.read_text()
    path.write_text(text.replace('"initial_loss": 1', '"initial_loss": 2'))
    assert path.read_text() != text
    with pytest.raises(fanin.FileError, match="changed since it was written"):
        run(until=1, state=tmp_path)


def test_a_decision_of_the_clock_is_taken_once(tmp_path):
    first = State(tmp_path, {}, resume=True)
    assert first.plan("epochs", lambda: 7) == 7
    assert first.plan("late", lambda: None) is None
    later = State(tmp_path, {}, resume=True)
    assert later.plan("epochs", lambda: 9) == 7
    assert later.plan("late", lambda: True) is True
    with edited(tmp_path / FILE) as state:
        del state["plans"]["epochs"]
    assert State(tmp_path, {}, resume=True).plan("epochs", lambda: 9) == 9


def test_removed_trials_are_trained_again_where_they_are_needed(tmp_path, whole):
    one = run(rounds=1, state=tmp_path, test_data=blobs(200, seed=5))
    remove_trials(tmp_path)
    assert not (tmp_path / "trials").exists()
    again = run(rounds=1, state=tmp_path, test_data=blobs(200, seed=5))
    assert not (tmp_path / "trials").exists()
    assert facts_of(again) == facts_of(one)
    assert (again.settings, again.test, again.ensemble_test) == (
        one.settings,
        one.test,
        one.ensemble_test,
    )
    assert again.history.history == one.history.history
    assert np.array_equal(again.network.get_parameters(), one.network.get_parameters())
    assert facts_of(run(rounds=2, state=tmp_path)) == facts_of(whole)


# beginning


@pytest.mark.row("G8")
def test_begin_from_a_similar_problem(tmp_path, whole):
    whole.network.save(tmp_path / "net.fanin")
    whole.save(tmp_path / "report.json")
    for start in (whole, tmp_path / "report.json"):
        settings = run(start_from=start, network=None, until=1).settings
        assert settings["lr"] == whole.settings["lr"]
        assert settings["hidden"] == whole.settings["hidden"]
    report = run(start_from=whole, network=None, until=4)
    rates = [trial["rate"] for trial in report.step(3).facts["probe"]["trials"]]
    assert whole.settings["lr"] in rates
    for start in (whole.network, str(tmp_path / "net.fanin")):
        settings = run(start_from=start, network=None, until=1).settings
        assert settings["hidden"] == whole.network.dims[1:-1]
    settings = run(start_from={"hidden": [5], "keep": 0.9}, network=None, until=1).settings
    assert (settings["hidden"], settings["keep"]) == ([5], 0.9)


@pytest.mark.usefixtures("counted_time")
def test_the_time_budget_is_kept():
    X, y, _ = digits()
    report = guide(X, y, time_budget=4, n_threads=1, progress=False)
    assert report.seconds < 8
    assert report.score > 0.9
    assert len(report.steps) >= 5  # as far as the search


@pytest.mark.slow
@pytest.mark.row("G7")
@pytest.mark.usefixtures("counted_time")
def test_digits_reach_97_5_percent():
    X, y, test = digits()
    report = guide(X, y, test_data=test, time_budget=50, n_threads=1, progress=False)
    assert report.seconds < 60
    assert report.test["accuracy"] >= 0.975


# what goes wrong

X, Y = blobs(60)


@pytest.mark.parametrize(
    ("args", "options", "text"),
    [
        ((X,), {"until": 0}, "until: expected between 1 and 7, got 0"),
        ((X,), {"rounds": 0}, "rounds: expected at least 1"),
        ((X,), {"time_budget": 0.0}, "time_budget: expected above 0"),
        ((X,), {"rates": []}, "rates: expected at least one learning rate"),
        ((X,), {"batch_size": 100}, "batch_size: expected between 1 and 48, got 100"),
        ((X,), {"preprocess": "nix"}, "preprocess: expected one of auto, none, standardize"),
        ((X,), {"network": {"width": 3}}, "network: expected options among .*; got 'width'"),
        ((X,), {"network": {"hidden": [0]}}, "hidden: expected at least 1"),
        ((X,), {"network": {"loss": "mse"}}, "loss: expected softmax or svm"),
        ((X,), {"network": fanin.MLP([7, 3])}, "network: expected 8 inputs and 3 outputs"),
        ((X,), {"network": 3}, "network: expected a dict, got int"),
        ((X,), {"start_from": 3}, "start_from: expected a report, a network, a path"),
        ((X,), {"executor": 3}, "executor: expected a concurrent.futures.Executor"),
        ((X[:, 0],), {}, r"X: expected shape \(N, D\)"),
        ((X[:0],), {}, "at least one row"),
        ((X.astype(str),), {}, "X: expected"),
    ],
)
def test_bad_input(args, options, text):
    with pytest.raises((ValueError, TypeError), match=text):
        run(*args, Y[: len(args[0])], **options)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (Y[:-1], r"y: expected shape \(60,\) of whole-number labels, got \(59,\) int64"),
        (np.full(60, np.nan), "y: expected whole-number labels, text or truth values, got nan"),
        (np.zeros(60, int), "y: expected at least two classes, got only class 0"),
    ],
)
def test_bad_labels(labels, text):
    with pytest.raises(ValueError, match=text):
        run(X, labels)


def test_bad_validation_rows():
    with pytest.raises(ValueError, match="y_val: expected both X_val and y_val or neither"):
        run(X, Y, X)
    with pytest.raises(ValueError, match=r"X_val: expected shape \(N, 8\)"):
        run(X, Y, X[:, :5].copy(), Y)
    bad = X.copy()
    bad[1, 2] = np.nan
    with pytest.raises(ValueError, match="got nan in row 1, column 2"):
        run(bad, Y)
    with pytest.raises(ValueError, match="test_data: expected"):
        run(X, Y, test_data=(X,), until=1)


def test_bad_files_to_begin_from(tmp_path):
    bad = Path(tmp_path / "report.json")
    bad.write_text("{}")
    with pytest.raises(ValueError, match=r"report\.json: expected a report of a guide"):
        run(start_from=bad)
    with pytest.raises(OSError, match="nowhere"):
        run(start_from=tmp_path / "nowhere.fanin")
