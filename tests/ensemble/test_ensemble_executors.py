"""Members on threads, processes and a Dask cluster: the same bits; what fails, and what is lost."""

from __future__ import annotations

import _thread
import asyncio
import itertools
import multiprocessing
import os
import threading
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from children import HANG

import fanin
from fanin import ensemble
from fanin.callbacks import Callback
from fanin.executors import lost_worker

(X, y), TEST = fanin.datasets.load("digits")
OPTIONS: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 32,
    "preprocess": "standardize",
    "validation_data": TEST,
    "sample_weight": np.linspace(0.5, 1.5, len(X)),
    "progress": False,
}


def build(method: str, executor: Any = None, **options: Any) -> ensemble.Ensemble:
    options = {**OPTIONS, "n_members": 3, "seed": 4, "executor": executor, **options}
    if method == "initializations":
        return ensemble.from_initializations([64, 24, 10], X, y, **options)
    return ensemble.from_datasets([64, 24, 10], X, y, method=method, **options)


def spawn(workers: int = 2) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def assert_same(a: ensemble.Ensemble, b: ensemble.Ensemble) -> None:
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert one.config() == other.config()
        assert np.array_equal(one.get_parameters(), other.get_parameters())
        assert one.history.history == other.history.history
        assert "val_accuracy" in one.history.history
    assert np.array_equal(a.predict_proba(TEST[0]), b.predict_proba(TEST[0]))


@pytest.fixture(scope="module")
def expected() -> dict[str, ensemble.Ensemble]:
    """Of one thread, one member after the other."""
    with ThreadPoolExecutor(1) as one:
        return {m: build(m, one) for m in ("initializations", "bootstrap", "folds")}


@pytest.mark.parametrize("workers", [None, 2, 3])
def test_threads_give_the_same_bits(expected: Any, workers: int | None) -> None:
    for method, wanted in expected.items():
        if workers is None:
            assert_same(build(method), wanted)
        else:
            with ThreadPoolExecutor(workers) as pool:
                assert_same(build(method, pool), wanted)


def test_threads_within_members_give_the_same_bits(expected: Any) -> None:
    assert_same(build("initializations", n_threads=3), expected["initializations"])


def test_spawned_processes_give_the_same_bits(expected: Any) -> None:
    with spawn() as pool:
        for method, wanted in expected.items():
            assert_same(build(method, pool), wanted)


@pytest.mark.filterwarnings("default")  # of Dask's own making
def test_a_dask_cluster_gives_the_same_bits(expected: Any, client: Any) -> None:
    assert len(client.scheduler_info()["workers"]) == 2
    for executor in (client, client.get_executor()):
        assert_same(build("initializations", executor), expected["initializations"])
    assert_same(build("bootstrap", client), expected["bootstrap"])


@pytest.mark.filterwarnings("default")
def test_dask_retries_and_reports_a_member_that_kills_its_workers(
    client: Any, tmp_path: Path
) -> None:
    killer = KillOnce(tmp_path / "unused", always=True)
    with pytest.warns(RuntimeWarning, match="a worker was lost"):
        result = two_and_a_killer(client, killer)
    assert_lost_twice(result)
    assert len(killer.path.read_text()) >= 2


class DaskTask:
    """A task of Dask, with what it gave; its state changes as it is asked for the result."""

    def __init__(self, result: Any, status: str) -> None:
        self.result, self.status = result, status

    async def _result(self, raiseit: bool) -> Any:
        assert not raiseit
        return self.result


def passed_on(task: DaskTask) -> Future[Any]:
    """What Dask's executor makes of the task."""
    cascade = pytest.importorskip("distributed.cfexecutor")._cascade_future
    future: Future[Any] = Future()

    async def run() -> None:
        await cascade(task, future)

    asyncio.run(run())
    return future


def test_a_worker_of_dask_that_is_lost_as_its_result_comes_is_lost() -> None:
    assert passed_on(DaskTask([1], "finished")).result() == [1]
    for result in ([1], [1, 2, 3]):  # of three, Dask takes the second one for an error
        assert lost_worker(passed_on(DaskTask(result, "lost")).exception())
    with pytest.raises(OSError, match="of the call") as caught:
        raise OSError("of the call")
    error = passed_on(DaskTask((caught.type, caught.value, caught.tb), "error")).exception()
    assert error is caught.value
    assert not lost_worker(error)


# A worker that dies


class KillOnce(Callback):
    """Ends the process that it trains in; the first time only, where the path says so."""

    def __init__(self, path: Path, always: bool = False) -> None:
        self.path, self.always = path, always

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if self.always or not self.path.exists():
            with self.path.open("a") as file:
                file.write("x")
            os._exit(1)


def two_and_a_killer(executor: Any, killer: Callback) -> ensemble.Ensemble:
    variants = [{}, {"callbacks": [killer]}, {"activation": "tanh"}]
    return ensemble.from_objectives(
        [64, 24, 10], X, y, variants, seed=4, executor=executor, **OPTIONS
    )


def assert_lost_twice(result: ensemble.Ensemble) -> None:
    assert [f.member for f in result.failures] == [1]
    assert "its worker was lost twice" in result.failures[0].reason
    assert [net.activation for net in result] == [["relu"], ["tanh"]]


def test_a_member_whose_worker_died_is_trained_again(tmp_path: Path) -> None:
    wanted = two_and_a_killer(None, Callback())
    with spawn() as pool, pytest.warns(RuntimeWarning, match=r"a worker was lost.*training memb"):
        result = two_and_a_killer(pool, KillOnce(tmp_path / "killed"))
    assert result.failures == []
    assert_same(result, wanted)


def test_a_member_that_kills_its_worker_twice_is_left_out(tmp_path: Path) -> None:
    killer = KillOnce(tmp_path / "killed", always=True)
    with spawn() as pool, pytest.warns(RuntimeWarning, match="a worker was lost"):
        result = two_and_a_killer(pool, killer)
    assert_lost_twice(result)
    assert killer.path.read_text() == "xx"


class NeverThere(Executor):
    """Refuses every task, as a pool does that has broken before."""

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ARG002
        raise BrokenExecutor("gone")


def test_an_executor_that_is_broken_from_the_start() -> None:
    with pytest.warns(RuntimeWarning, match="a worker was lost"):
        result = build("initializations", NeverThere(), n_members=1, epochs=1)
    assert len(result) == 1


# Failures that are the member's own


class Raise(Callback):
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        raise OSError("no space left")


@pytest.mark.filterwarnings("ignore::fanin.DivergenceWarning")
@pytest.mark.parametrize("processes", [False, True])
def test_members_that_fail_are_reported_and_left_out(processes: bool) -> None:
    variants = [
        {"optimizer": fanin.optim.SGD(lr=1e30)},
        {"loss": "svm"},
        {"callbacks": [Raise()]},
        {"loss": "softmax"},
    ]
    executor = spawn() if processes else None
    try:
        result = ensemble.from_objectives(
            [64, 24, 10], X, y, variants, executor=executor, **OPTIONS
        )
    finally:
        if executor is not None:
            executor.shutdown()
    assert [net.loss_name for net in result] == ["svm", "softmax"]
    assert [f.member for f in result.failures] == [0, 2]
    assert "diverged" in result.failures[0].reason
    assert result.failures[1].reason == "OSError: no space left"
    assert "lr=1e+30" in result.failures[0].name
    assert "2 failed" in repr(result)


def test_an_ensemble_of_failures_only_says_why() -> None:
    with pytest.raises(RuntimeError, match=r"all 3 members failed.*member 0: OSError: no space"):
        build("initializations", callbacks=[Raise()])


# Sharing


class Spy(ThreadPoolExecutor):
    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.seen = [*getattr(self, "seen", []), args]
        return super().submit(fn, *args, **kwargs)


def test_threads_share_the_data_and_divide_the_cores() -> None:
    before = fanin.get_num_threads()
    fanin.set_num_threads(6)
    try:
        with Spy(2) as pool:
            build("initializations", pool, epochs=1)
    finally:
        fanin.set_num_threads(before)
    for data, _, n_threads in pool.seen:
        assert data.open()["X"] is X
        assert n_threads == 3


class Recording(ProcessPoolExecutor):
    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        import pickle

        self.sizes = [*getattr(self, "sizes", []), len(pickle.dumps((fn, args, kwargs)))]
        self.folder = args[0].folder
        return super().submit(fn, *args, **kwargs)


def test_no_task_carries_data_to_a_process() -> None:
    with Recording(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        build("bootstrap", pool, epochs=1)
    assert len(pool.sizes) == 3
    assert max(pool.sizes) < 2000
    assert not Path(pool.folder).exists()


def test_optimizers_and_callbacks_are_each_members_own() -> None:
    optimizer = fanin.optim.Momentum(lr=0.01)
    stopping = fanin.callbacks.EarlyStopping(patience=1)
    result = build("initializations", optimizer=optimizer, callbacks=[stopping])
    assert optimizer.t == 0
    assert stopping.best_epoch is None
    alone = fanin.MLP([64, 24, 10], seed=result.members[1].seed)
    fresh = fanin.optim.Momentum(lr=0.01)
    alone.fit(X, y, optimizer=fresh, callbacks=[fanin.callbacks.EarlyStopping()], **OPTIONS)
    assert np.array_equal(alone.get_parameters(), result.members[1].get_parameters())


# Ctrl-C


def test_ctrl_c_stops_members_and_begins_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes from the first member's thread, once all of them are with the executor."""
    n, submitted, begun, submit = 50, itertools.count(1), [], ThreadPoolExecutor.submit
    before = set(threading.enumerate())
    all_there, once = threading.Event(), threading.Lock()

    class Interrupt(Callback):
        def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
            if not self.params["epochs"]:
                return
            begun.append(1)
            if once.acquire(blocking=False) and all_there.wait(HANG):
                _thread.interrupt_main()

    def counted(*arguments: Any, **options: Any) -> Any:
        future = submit(*arguments, **options)
        if next(submitted) == n:
            all_there.set()
        return future

    monkeypatch.setattr(ThreadPoolExecutor, "submit", counted)
    with pytest.raises(KeyboardInterrupt):
        build("initializations", n_members=n, epochs=10**6, callbacks=[Interrupt()])
    assert 1 <= len(begun) <= fanin.get_num_threads()
    assert not set(threading.enumerate()) - before


@pytest.mark.parametrize("executor", [3, "threads", object()])
def test_what_is_no_executor(executor: Any) -> None:
    with pytest.raises(TypeError, match=r"executor: expected .*a Dask client or None"):
        build("initializations", executor)
