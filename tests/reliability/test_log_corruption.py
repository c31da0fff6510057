"""Damaged logs of searches and states of guides: refused with path and reason, or of no effect."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mutations import TOKENS, flipped_bits, mutated

import fanin
from conftest import Record
from fanin._json import from_json, to_json
from fanin.tuning import guide, search, uniform
from fanin.tuning.guide.state import FILE, State
from fanin.tuning.search.log import TrialLog
from reliability import count

SPACE = {"x": uniform(0, 1)}
Load = Callable[[Path], Any]


def score(params: Any) -> dict[str, Any]:
    if params["x"] > 0.8:
        raise OSError("too large")
    return {"score": params["x"], "side": [1.5, "a"]}


def run(log: Path) -> None:
    search(SPACE, score, 4, log=log, progress=False)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "trials.jsonl"
    run(path)
    return path


def read_log(path: Path) -> dict[Any, Any]:
    """The trials of a log, as a search reads them."""
    header = from_json(GOOD["log"].split(b"\n")[0], path)
    known = {name: value for name, value in header.items() if name not in ("fanin", "format")}
    log = TrialLog(path, known)
    found = log.open(resume=True)
    log.close(complete=False)
    return found


GOOD: dict[str, bytes] = {}


def guide_with_a_state(folder: Path) -> None:
    rng = fanin.random.Generator(0)
    X = rng.random((40, 3), dtype="float32")
    guide(X, (X[:, 0] > 0.5).astype("int64"), until=1, state=folder, progress=False)


def read_state(folder: Path) -> Any:
    known = from_json(GOOD["state"], folder)
    state = State(folder, known["key"], resume=True)
    return state.steps, state.plans, state.ended


def loaded(load: Load, path: Path) -> Any:
    """What a file gives; None where it is refused by name."""
    try:
        return load(path)
    except fanin.FileError as error:
        assert str(path) in error.path  # noqa: PT017
        assert error.reason  # noqa: PT017
        return None
    except ValueError as error:
        assert str(error).startswith(("log: ", "state: "))  # noqa: PT017  of another question
        return None


@pytest.mark.row("B2")
def test_no_flipped_bit_of_a_log_is_silent(log: Path, record: Record) -> None:
    text = GOOD["log"] = log.read_bytes()
    whole, again = read_log(log), 0
    for bit, changed in flipped_bits(text):
        log.write_bytes(changed)
        found = loaded(read_log, log)
        if found is not None:  # the last line, of which the end is gone: it runs again
            assert found.items() <= whole.items(), bit
            log.write_bytes(changed)
            run(log)
            assert log.read_bytes() == text, bit
            again += 1
    assert 0 < again <= 8
    record("search log, each bit flipped", 8 * len(text), f"0 silent ({again} run a trial again)")


@pytest.mark.row("B2")
def test_no_flipped_bit_of_a_state_is_silent(tmp_path: Path, record: Record) -> None:
    guide_with_a_state(tmp_path)
    path = tmp_path / FILE
    text = GOOD["state"] = path.read_bytes()
    assert read_state(tmp_path)[0]
    n = 0
    for bit, changed in flipped_bits(text):
        if bit % count(7, 1) == 0:
            path.write_bytes(changed)
            assert loaded(read_state, tmp_path) is None, bit
            n += 1
    record("guide's state, a bit flipped", n, "0 silent")


def test_a_changed_score_without_checksums_would_be_silent(log: Path) -> None:
    """The control: as many flips of the same line, sealed again, are taken."""
    text = GOOD["log"] = log.read_bytes()
    first, line, *rest = text.split(b"\n")
    whole, silent = read_log(log), 0
    bare = json.dumps({k: v for k, v in json.loads(line).items() if k != "sha256"}).encode()
    for _, changed in flipped_bits(bare):
        try:
            sealed = to_json(json.loads(changed))
        except ValueError:
            continue
        log.write_bytes(b"\n".join([first, sealed, *rest]))
        found = loaded(read_log, log)
        silent += found is not None and found != whole
    assert silent > 50


@pytest.mark.row("B2")
def test_mutated_logs(log: Path, record: Record) -> None:
    text = GOOD["log"] = log.read_bytes()
    whole, n = read_log(log), count(2000, 50_000)

    def load(path: Path) -> dict[Any, Any]:
        found = read_log(path)
        assert found.items() <= whole.items()
        return found

    taken = 0
    for seed in range(n):
        log.write_bytes(mutated(text, random.Random(seed)))
        taken += loaded(load, log) is not None
    assert taken > n // 100  # lines in another order, a torn end
    record("search log, mutated", n, f"0 untyped errors, 0 silent ({taken} without an effect)")


@pytest.mark.row("B2")
def test_mutated_states(tmp_path: Path, record: Record) -> None:
    guide_with_a_state(tmp_path)
    path = tmp_path / FILE
    text = GOOD["state"] = path.read_bytes()
    whole, n = read_state(tmp_path), count(1000, 50_000)
    for seed in range(n):
        path.write_bytes(mutated(text, random.Random(seed)))
        assert loaded(read_state, tmp_path) in (None, whole), seed
    record("guide's state, mutated", n, "0 untyped errors, 0 silent")


@pytest.mark.parametrize("token", range(len(TOKENS)))
def test_any_value_with_a_right_checksum_is_taken_or_refused_by_name(
    log: Path, tmp_path: Path, token: int
) -> None:
    """Values that another program sealed."""
    try:
        value = json.loads(TOKENS[token])
    except (ValueError, RecursionError):
        pytest.skip("no JSON")
    text = GOOD["log"] = log.read_bytes()
    first, line, *rest = text.split(b"\n")
    for name in from_json(line, log):
        try:
            sealed = to_json({**from_json(line, log), name: value})
        except ValueError:  # not finite
            continue
        log.write_bytes(b"\n".join([first, sealed, *rest]))
        loaded(read_log, log)
    guide_with_a_state(tmp_path / "guide")
    path = tmp_path / "guide" / FILE
    GOOD["state"] = path.read_bytes()
    known = from_json(GOOD["state"], path)
    for name in known:
        try:
            path.write_bytes(to_json({**known, name: value}, indent=1) + b"\n")
        except ValueError:
            continue
        loaded(read_state, path.parent)
