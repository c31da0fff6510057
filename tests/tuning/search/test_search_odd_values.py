"""Values that cannot be logged: a failed row of a function, a refusal of a choice."""

from __future__ import annotations

import json
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fanin.tuning import choice, search, uniform


class Raising:
    """Nothing can be done with it."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not to be compared")

    def __hash__(self) -> int:
        raise RuntimeError("not to be hashed")


class RaisingText(str):
    __slots__ = ()
    __eq__ = Raising.__eq__
    __hash__ = Raising.__hash__
    __repr__ = Raising.__repr__


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def endless() -> list[Any]:
    values: list[Any] = []
    values.append(values)
    return values


REFUSED: dict[str, Any] = {
    "surrogate": "\ud800",
    "long int": 10**4300,
    "no text": Raising(),
    "nested": {"a": ["\udcff"]},
    "endless": endless(),
}
TAKEN: dict[str, Any] = {
    "nan": float("nan"),
    "inf": np.float32("-inf"),
    "scalars": [np.int8(3), np.bool_(True), np.str_("näh"), np.datetime64("2026-01-01")],
    "longest int": 10**4299,
    "text": RaisingText("a"),
    "array": np.arange(3),
    "text of nothing": "\x00\u2028\U0001f600",
}
ODD_SCORES: dict[str, Any] = {
    **REFUSED,
    "too large": 10**400,
    "complex": 1j,
    "none": None,
    "text": RaisingText("a"),
    "text in a dict": {"score": "x"},
}
ERRORS = {
    "surrogate": OSError("\udcff.png"),
    "silent": SilentError(),
    "of something silent": ValueError(Raising()),
    "exit": SystemExit(3),
}
SPACE = {"x": uniform(0, 1)}


def strict(log: Path) -> list[dict[str, Any]]:
    """The log's lines, which are JSON as the standard has it."""

    def refuse(text: str) -> None:
        raise AssertionError(text)

    text = log.read_bytes().decode()
    lines = [json.loads(line, parse_constant=refuse) for line in text.split("\n")[:-1]]
    for line in lines:
        json.dumps(line, ensure_ascii=False).encode()
    return lines


def twice(log: Path, objective: Any, **options: Any) -> list[Any]:
    """The trials of a search and of the resumed one, which must be the same."""
    first = search(SPACE, objective, 3, log=log, progress=False, **options)
    before = log.read_bytes()
    again = search(SPACE, objective, 3, log=log, progress=False, **options)
    assert log.read_bytes() == before
    assert len(strict(log)) == 4
    assert [(t.status, t.error) for t in again] == [(t.status, t.error) for t in first]
    return list(first)


@pytest.mark.row("B2")
@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("logged", [True, False])
def test_an_odd_metric_is_a_failed_row(tmp_path: Path, name: str, logged: bool) -> None:
    def objective(params: Any) -> Any:
        return {"score": params["x"], "odd": REFUSED[name] if params["x"] > 0.5 else 1}

    if logged:
        trials = twice(tmp_path / "trials.jsonl", objective)
    else:
        trials = list(search(SPACE, objective, 3, progress=False))
    assert {t.status for t in trials} == {"done", "failed"}
    for trial in trials:
        assert (trial.status == "failed") == (trial.params["x"] > 0.5)
        if trial.status == "failed":
            assert "metrics['odd']: expected what JSON can hold, got " in trial.error


@pytest.mark.parametrize("name", TAKEN)
def test_an_unusual_metric_is_logged(tmp_path: Path, name: str) -> None:
    def objective(params: Any) -> Any:
        return {"score": params["x"], "odd": TAKEN[name]}

    assert {t.status for t in twice(tmp_path / "trials.jsonl", objective)} == {"done"}


@pytest.mark.row("B2")
@pytest.mark.parametrize("name", ODD_SCORES)
def test_an_odd_score_is_a_failed_row(tmp_path: Path, name: str) -> None:
    trials = twice(tmp_path / "trials.jsonl", lambda _: ODD_SCORES[name])
    assert {t.status for t in trials} == {"failed"}


@pytest.mark.parametrize("score", [float("nan"), np.float64("inf"), -np.inf])
def test_a_score_that_is_not_finite_is_a_diverged_row(tmp_path: Path, score: Any) -> None:
    trials = twice(tmp_path / "trials.jsonl", lambda _: score)
    assert {t.status for t in trials} == {"diverged"}


@pytest.mark.row("B2")
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_of_odd_text_is_a_failed_row(tmp_path: Path, name: str) -> None:
    error = ERRORS[name]

    def objective(_: Any) -> float:
        raise error

    trials = twice(tmp_path / "trials.jsonl", objective)
    assert {t.status for t in trials} == {"failed"}
    assert all(t.error.startswith(type(error).__name__) for t in trials)


def odd_in_a_process(params: Any) -> Any:
    if params["x"] > 0.9:
        sys.exit(3)
    if params["x"] > 0.5:
        return {"score": 1.0, "odd": Raising()}
    raise OSError("\udcff")


def test_odd_values_of_processes_are_failed_rows(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        trials = twice(tmp_path / "trials.jsonl", odd_in_a_process, executor=pool)
    assert {t.status for t in trials} == {"failed"}


@pytest.mark.row("B2")
@pytest.mark.parametrize("name", REFUSED)
def test_an_odd_choice_is_refused_at_the_start(tmp_path: Path, name: str) -> None:
    odd, log = REFUSED[name], tmp_path / "trials.jsonl"
    with pytest.raises(ValueError, match=r"options\[1\]: expected what JSON can hold, got"):
        choice([1, odd])
    with pytest.raises(ValueError, match=r"start_from\[0\]\['x'\]: expected what JSON can hold"):
        search({"x": choice([1, 2])}, len, 2, start_from=[{"x": odd}], log=log, progress=False)
    assert not log.exists()


@pytest.mark.parametrize("name", REFUSED)
def test_what_an_objective_uses_may_be_odd(tmp_path: Path, name: str) -> None:
    odd, log = REFUSED[name], tmp_path / "trials.jsonl"

    def objective(params: Any) -> float:
        return params["x"] if odd is not None else 0.0

    try:
        assert {t.status for t in twice(log, objective)} == {"done"}
    except ValueError as error:
        assert str(error).startswith("objective: ")  # noqa: PT017  either is well
