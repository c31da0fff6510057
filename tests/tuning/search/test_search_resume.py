"""The log of a search: the same bytes however often it was killed, and what it refuses."""

from __future__ import annotations

import _thread
import itertools
import json
import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import search_cases
from children import HANG, printed_by, run_python
from search_cases import TEST, X, y

import fanin
from fanin import tuning
from fanin._json import from_json, to_json
from fanin.tuning import choice, loguniform, search, uniform

SPACE = {"lr": loguniform(1e-4, 1e4), "reg": loguniform(1e-5, 1e2)}
OPTIONS = {**search_cases.OPTIONS, "epochs": 3, "optimizer": "momentum"}

# Kills itself at the n-th moment before or after a write, a flush or a sync of a file.
SCRIPT = """
    import os, signal, sys
    import fanin
    from fanin.tuning import loguniform, search
    log, n_trials, prune, moments = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])

    def count(frame, event, function):
        global moments
        if event in ("c_call", "c_return") and function.__name__ in ("write", "flush", "fsync"):
            moments -= 1
            if moments == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    (X, y), test = fanin.datasets.load("digits")
    space = {"lr": loguniform(1e-4, 1e4), "reg": loguniform(1e-5, 1e2)}
    sys.setprofile(count)
    search(space, (X, y), n_trials, epochs=3, hidden=16, optimizer="momentum",
           preprocess="standardize", validation_data=test, progress=False, log=log,
           prune=prune or None)
"""
NEVER = "0"


def run(log: Path, n_trials: int = 6, **options: Any) -> tuning.SearchResult:
    return search(SPACE, (X, y), n_trials, log=log, **{**OPTIONS, **options})


def kill_at_random_moments(log: Path, n_trials: int, kills: int, prune: str = "") -> None:
    """Kills the search so often, each time before it is done, and then lets it end."""
    moments = random.Random(0)
    arguments = str(log), str(n_trials), prune
    most = 2 * n_trials // (kills + 1)  # a trial's line is one write, which makes two moments
    for _ in range(kills):
        killed = run_python(SCRIPT, *arguments, str(moments.randint(1, most)))
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    printed_by(SCRIPT, *arguments, NEVER)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize(
    ("kills", "n_trials"), [(3, 40), pytest.param(20, 1500, marks=pytest.mark.slow)]
)
def test_a_search_that_is_killed_ends_with_the_same_bytes(
    tmp_path: Path, kills: int, n_trials: int
) -> None:
    run(tmp_path / "whole.jsonl", n_trials)
    log = tmp_path / "killed.jsonl"
    kill_at_random_moments(log, n_trials, kills)
    assert log.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize("prune", ["median", "halving"])
def test_a_pruned_search_that_is_killed_ends_with_the_same_bytes(
    tmp_path: Path, prune: str
) -> None:
    run(tmp_path / "whole.jsonl", 100, prune=prune)
    log = tmp_path / "killed.jsonl"
    kill_at_random_moments(log, 100, 6, prune)
    assert log.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize("prune", [None, "median", "halving"])
def test_a_log_cut_anywhere_goes_on_to_the_same_bytes(tmp_path: Path, prune: Any) -> None:
    log = tmp_path / "trials.jsonl"
    whole = run(log, 12, prune=prune)
    text = log.read_bytes()
    moments = random.Random(1)
    for cut in [0, 1, len(text) - 1, *(moments.randrange(len(text)) for _ in range(4))]:
        log.write_bytes(text[:cut])
        again = run(log, 12, prune=prune)
        assert log.read_bytes() == text, cut
        assert [t.curves for t in again] == [t.curves for t in whole]
        assert [t.status for t in again] == [t.status for t in whole]
        assert again.best.network.evaluate(*TEST)["accuracy"] == again.best.score


def test_lines_in_another_order_are_put_in_order(tmp_path: Path) -> None:
    log = tmp_path / "trials.jsonl"
    run(log)
    text = log.read_bytes()
    lines = text.splitlines(keepends=True)
    log.write_bytes(b"".join([lines[0], *lines[:2:-1], lines[3], lines[2], lines[1]]))
    run(log)
    assert log.read_bytes() == text


def test_options_in_another_order_are_the_same_search(tmp_path: Path) -> None:
    logs = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    run(logs[0])
    options = dict(reversed(OPTIONS.items()))
    search(SPACE, (X, y), 6, log=logs[1], **options)
    assert logs[0].read_bytes() == logs[1].read_bytes()


def test_a_complete_search_comes_back_at_once(tmp_path: Path) -> None:
    calls: list[float] = []

    def objective(params: Any) -> float:
        calls.append(params["x"])
        return params["x"]

    log = tmp_path / "trials.jsonl"
    space = {"x": uniform(0, 1)}
    first = search(space, objective, 10, log=log, progress=False)
    assert len(calls) == 10
    again = search(space, objective, 10, log=log, progress=False)
    assert len(calls) == 10
    assert [(t.params, t.score) for t in again] == [(t.params, t.score) for t in first]
    more = search(space, objective, 15, log=log, progress=False)
    assert len(calls) == 15
    assert [t.params for t in more][:10] == [t.params for t in first]
    assert len(search(space, objective, 5, log=log, progress=False)) == 5
    assert len(log.read_text().splitlines()) == 16


def test_what_a_line_says(tmp_path: Path) -> None:
    log = tmp_path / "trials.jsonl"
    result = run(log)
    header, *lines = map(json.loads, log.read_text().splitlines())
    assert header["fanin"] == "search"
    assert header["space"]["lr"]["low"] == 1e-4
    for trial, line in zip(result, lines, strict=True):
        assert line["trial"] == trial.number
        assert line["params"] == trial.params
        assert float(line["score"]) == trial.score or trial.score != trial.score
    assert not {"time", "seconds", "date"} & set(lines[0])


def test_diverged_and_failed_trials_come_back_as_they_were(tmp_path: Path) -> None:
    def objective(params: Any) -> float:
        if params["x"] < 0.3:
            raise OSError("näh")
        return params["x"] if params["x"] < 0.6 else float("nan")

    log = tmp_path / "trials.jsonl"
    first = search({"x": uniform(0, 1)}, objective, 20, log=log, progress=False)
    assert {t.status for t in first} == {"done", "diverged", "failed"}
    again = search({"x": uniform(0, 1)}, objective, 20, log=log, progress=False)
    assert [(t.status, t.error) for t in again] == [(t.status, t.error) for t in first]


# Refused


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"seed": 1}, "seed is 0 there, 1 here"),
        ({"epochs": 4}, "epochs is 3 there, 4 here"),
        ({"hidden": 17}, "options.hidden is 16 there, 17 here"),
        ({"activation": "tanh"}, "options.activation is 'nothing' there, 'tanh' here"),
        ({"prune": "median"}, "prune is 'nothing' there, 'median' here"),
        ({"strategy": "grid"}, "strategy is 'random' there, 'grid' here"),
        ({"validation_data": (X[:50], y[:50])}, "data.validation_X"),
    ],
)
def test_the_log_of_another_search_is_refused(tmp_path: Path, change: Any, text: str) -> None:
    log = tmp_path / "trials.jsonl"
    run(log, 2)
    before = log.read_bytes()
    with pytest.raises(ValueError, match=f"log: .*was written by another search: .*{text}"):
        run(log, 2, **change)
    assert log.read_bytes() == before


def test_the_log_of_another_space_is_refused_with_the_difference(tmp_path: Path) -> None:
    log = tmp_path / "trials.jsonl"
    search({"x": uniform(0, 1)}, len, 2, log=log, progress=False)
    with pytest.raises(ValueError, match=r"space\.x\.high is 1\.0 there, 2\.0 here"):
        search({"x": uniform(0, 2)}, len, 2, log=log, progress=False)
    with pytest.raises(ValueError, match=r"space\.y is 'nothing' there"):
        search({"x": uniform(0, 1), "y": choice([1, 2])}, len, 2, log=log, progress=False)
    with pytest.raises(ValueError, match=r"objective is 'builtins\.len' there, 'builtins\.sum'"):
        search({"x": uniform(0, 1)}, sum, 2, log=log, progress=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"hello\n", "line 1: expected an object of JSON"),
        (b"hello", "line 1: expected the log of a search, got another file"),
        (b'{"a": 1}\n', "line 1: expected the log of a search, got another file"),
        (b"[1]\n", "line 1: expected an object of JSON, got a list"),
        (b'{"fanin": "search", "format": 1}\n', "by an earlier fanin, in format 1, which has no"),
        (to_json({"fanin": "search", "format": 3}) + b"\n", "by another fanin, in format 3"),
    ],
)
def test_what_is_no_log(tmp_path: Path, text: bytes, message: str) -> None:
    log = tmp_path / "trials.jsonl"
    log.write_bytes(text)
    with pytest.raises(fanin.FileError, match=message) as caught:
        run(log)
    assert caught.value.path == str(log)
    assert log.read_bytes() == text


def test_a_damaged_line_in_the_middle_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "trials.jsonl"
    run(log, 3)
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(lines[0] + lines[1][:20] + b"\n" + lines[2])
    with pytest.raises(fanin.FileError, match="line 2: expected an object of JSON"):
        run(log, 3)
    other = from_json(lines[1].rstrip(), log)
    other["params"]["lr"] *= 2
    log.write_bytes(lines[0] + json.dumps(other).encode() + b"\n")
    with pytest.raises(fanin.FileError, match="line 2: expected a checksum"):
        run(log, 3)
    log.write_bytes(lines[0] + to_json(other) + b"\n")
    with pytest.raises(ValueError, match=r"log: expected .* in trial 0 of"):
        run(log, 3)
    for change in ({"trial": "x"}, {"status": "well"}, {"score": None}, {"rung": -1}):
        log.write_bytes(lines[0] + to_json({**other, **change}) + b"\n" + lines[2])
        with pytest.raises(fanin.FileError, match="line 2: expected a trial"):
            run(log, 3)


def test_resume_false_refuses_what_is_there(tmp_path: Path) -> None:
    log = tmp_path / "trials.jsonl"
    run(log, 2, resume=False)
    with pytest.raises(ValueError, match="holds a search already; resume=True goes on with it"):
        run(log, 2, resume=False)
    with pytest.raises(FileNotFoundError):
        run(tmp_path / "nowhere" / "trials.jsonl", 2)


@pytest.mark.skipif(os.name == "nt", reason="no such locks there")
def test_two_searches_on_one_log(tmp_path: Path) -> None:
    log = tmp_path / "trials.jsonl"

    def objective(params: Any) -> float:
        del params
        with pytest.raises(ValueError, match="log: expected a free file, but a search is writing"):
            search({"x": uniform(0, 1)}, len, 1, log=log, progress=False)
        return 1.0

    result = search({"x": uniform(0, 1)}, objective, 1, log=log, progress=False)
    assert result.trials[0].status == "done", result.trials[0].error


# Ctrl-C


@pytest.mark.parametrize("data", [True, False])
def test_ctrl_c_returns_what_is_done_and_the_log_goes_on(
    tmp_path: Path, data: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes in the second call, when the first one's trials are told."""
    log = tmp_path / "trials.jsonl"
    told, calls, submit = threading.Event(), itertools.count(1), ThreadPoolExecutor.submit

    def submit_interrupting(pool: Any, function: Any, /, *arguments: Any, **options: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if next(calls) == 2 and told.wait(HANG):
                _thread.interrupt_main()
            return function(*arguments, **options)

        return submit(pool, call, *arguments, **options)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit_interrupting)

    def tell(_: tuning.Trial) -> None:
        told.set()

    def half(n: int) -> tuning.SearchResult:
        if data:
            return run(log, n, epochs=30, callbacks=[tell])
        options: dict[str, Any] = {"log": log, "progress": False, "callbacks": [tell]}
        return search({"lr": uniform(0, 1)}, lambda params: params["lr"], n, **options)

    result = half(2000)
    assert result.interrupted
    assert "interrupted" in str(result)
    assert 0 < len(result) < 2000
    assert len(log.read_text().splitlines()) == len(result) + 1
    done = {t.number: t.score for t in result}
    again = half(max(done) + 1)
    assert not again.interrupted
    assert all(t.score == done[t.number] for t in again if t.number in done and t.score == t.score)
