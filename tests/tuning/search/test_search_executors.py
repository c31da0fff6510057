"""The same search on threads, processes and a Dask cluster: the same log, byte for byte."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import search_cases
from search_cases import X, y

from fanin import tuning
from fanin.tuning import loguniform, search, uniform

SPACE = {"lr": loguniform(1e-4, 1e4), "keep": uniform(0.5, 1)}
OPTIONS = {**search_cases.OPTIONS, "epochs": 3, "optimizer": "momentum", "seed": 2}


def run(log: Path, executor: Any = None, **options: Any) -> tuning.SearchResult:
    return search(SPACE, (X, y), 12, log=log, executor=executor, **{**OPTIONS, **options})


def spawn(workers: int = 2) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


@pytest.fixture(scope="module", params=[None, "halving"])
def expected(request: Any, tmp_path_factory: Any) -> tuple[Any, bytes, np.ndarray]:
    """Of one thread: how it was pruned, the log, the best trial's parameters."""
    log = tmp_path_factory.mktemp("search") / "one.jsonl"
    result = run(log, n_threads=1, prune=request.param)
    assert result.count("diverged") >= 1
    return request.param, log.read_bytes(), result.best.network.get_parameters()


def assert_same(
    expected: tuple[Any, bytes, np.ndarray], tmp_path: Path, executor: Any, **options: Any
) -> None:
    prune, text, parameters = expected
    log = tmp_path / "trials.jsonl"
    result = run(log, executor, prune=prune, **options)
    assert log.read_bytes() == text
    assert np.array_equal(result.best.network.get_parameters(), parameters)


@pytest.mark.parametrize("n_threads", [None, 2, 5])
def test_threads(expected: Any, tmp_path: Path, n_threads: int | None) -> None:
    assert_same(expected, tmp_path, None, n_threads=n_threads)


def test_a_pool_of_threads(expected: Any, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        assert_same(expected, tmp_path, pool)


def test_processes(expected: Any, tmp_path: Path) -> None:
    with spawn() as pool:
        assert_same(expected, tmp_path, pool)


@pytest.mark.filterwarnings("default")  # of Dask's own making
def test_a_dask_cluster(expected: Any, client: Any, tmp_path: Path) -> None:
    assert len(client.scheduler_info()["workers"]) == 2
    assert_same(expected, tmp_path, client)


# Workers that die


def dies(params: Any) -> float:
    """Ends its process, the first time that it is called with a large x."""
    path = Path(os.environ["FANIN_TEST_KILLED"])
    if params["x"] > 0.6 and not path.exists():
        path.touch()
        os._exit(1)
    return float(params["x"])


def always_dies(params: Any) -> float:
    if params["x"] > 0.6:
        os._exit(1)
    return float(params["x"])


@pytest.fixture
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "killed"
    monkeypatch.setenv("FANIN_TEST_KILLED", str(path))
    return path


def test_trials_whose_worker_died_are_run_again(killed: Path) -> None:
    with spawn() as pool, pytest.warns(RuntimeWarning, match="a worker was lost.*training trials"):
        result = search({"x": uniform(0, 1)}, dies, 10, executor=pool, progress=False)
    assert killed.exists()
    assert [t.status for t in result] == ["done"] * 10
    assert [t.score for t in result] == [t.params["x"] for t in result]


def test_a_trial_that_kills_its_worker_twice_is_a_failed_row() -> None:
    with spawn() as pool, pytest.warns(RuntimeWarning, match="a worker was lost"):
        result = search({"x": uniform(0, 1)}, always_dies, 6, executor=pool, progress=False)
    failed = [t for t in result if t.status == "failed"]
    assert [t.number for t in failed] == [t.number for t in result if t.params["x"] > 0.6]
    assert failed
    assert "its worker was lost twice" in failed[0].error


def test_what_cannot_travel_is_a_failed_row() -> None:
    with spawn(1) as pool:
        result = search({"x": uniform(0, 1)}, lambda _: 1.0, 2, executor=pool, progress=False)
    assert {t.status for t in result} == {"failed"}
    assert "pickle" in result.trials[0].error
