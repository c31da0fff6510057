"""Members of an ensemble, trained on an executor: threads, processes or a cluster."""

from __future__ import annotations

import copy
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fanin import _validate
from fanin._hooks import Callback, Logs
from fanin._runtime import get_num_threads
from fanin.callbacks import History, open_bar
from fanin.network import MLP
from fanin.random import package_generator

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
Outcome = tuple[MLP, History] | Exception

# Layers of the purpose "search" that are set apart for ensembles.
SEED_STREAM, ROW_STREAM = 0xFFFF, 0xFFFE


@dataclass(frozen=True)
class Failure:
    """A member that is not in the ensemble, and why."""

    member: int
    name: str
    reason: str


@dataclass(frozen=True)
class Rows:
    """Which rows a member trains on: a pure function of these few numbers, so that no row travels.

    bootstrap draws as many rows as there are, with replacement (Breiman 1996); folds leaves out
    the member's own part of a permutation that all members share.
    """

    method: str
    seed: int
    member: int
    n_members: int

    def of(self, n: int) -> npt.NDArray[np.int64]:
        if self.method == "bootstrap":
            rng = package_generator(self.seed, "search", ROW_STREAM, self.member)
            return np.asarray(rng.integers(0, n, size=n))
        order = package_generator(self.seed, "search", ROW_STREAM).permutation(n)
        kept = np.ones(n, bool)
        kept[np.array_split(order, self.n_members)[self.member]] = False
        return np.flatnonzero(kept)


@dataclass(frozen=True)
class Member:
    """What a worker needs to train a member, but for the data."""

    name: str
    network: Mapping[str, Any]
    fit: Mapping[str, Any] = field(default_factory=dict)
    rows: Rows | None = None


# Data where the members train


@dataclass(frozen=True)
class InMemory:
    """Arrays of this process, or of the worker that they were sent to."""

    arrays: Arrays

    def open(self) -> Arrays:
        return self.arrays


@dataclass(frozen=True)
class OnDisk:
    """Arrays as .npy files, which every process of this machine maps: one copy for all of them."""

    folder: str
    names: tuple[str, ...]

    def open(self) -> Arrays:
        return _map(self)


@lru_cache(maxsize=1)
def _map(files: OnDisk) -> Arrays:
    folder = Path(files.folder)
    return {n: np.asarray(np.load(folder / f"{n}.npy", mmap_mode="r")) for n in files.names}


@contextmanager
def _shared(executor: Executor, arrays: Arrays) -> Iterator[Any]:
    """The data as the executor's tasks take it: it goes once to each worker, never with a task."""
    client: Any = getattr(executor, "_client", None)
    if isinstance(executor, ThreadPoolExecutor):
        yield InMemory(arrays)
    elif hasattr(client, "scatter"):
        yield client.scatter(InMemory(arrays), broadcast=True, hash=False)
    else:
        with tempfile.TemporaryDirectory(prefix="fanin-", ignore_cleanup_errors=True) as folder:
            for name, array in arrays.items():
                np.save(Path(folder) / f"{name}.npy", array, allow_pickle=False)
            yield OnDisk(folder, tuple(arrays))


# Training one


class _StoppedError(Exception):
    """Somebody pressed Ctrl-C."""


class _StopWhenSet(Callback):
    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop

    def on_progress(self, step: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        if self.stop.is_set():
            raise _StoppedError


def train(
    data: InMemory | OnDisk, member: Member, n_threads: int, stop: threading.Event | None = None
) -> tuple[MLP, History]:
    """Trains a member: the task of every executor."""
    # Copies, since optimizers and callbacks keep state, and threads would share it.
    options: dict[str, Any] = {"n_threads": n_threads, **copy.deepcopy(dict(member.fit))}
    if stop is not None:
        options["callbacks"] = [*options.get("callbacks", ()), _StopWhenSet(stop)]
    net = MLP(**member.network)
    history = net.fit(**_own_rows(data.open(), member.rows), progress=False, **options)
    if history.stop_reason == "diverged":
        raise RuntimeError(
            f"diverged: the loss stopped being finite after {len(history.epoch)} whole epochs"
        )
    return net, history


def _own_rows(arrays: Arrays, rows: Rows | None) -> dict[str, Any]:
    """The arguments of fit that are data."""
    given: dict[str, Any] = {k: a for k, a in arrays.items() if not k.startswith("validation")}
    if rows is not None:
        own = rows.of(len(given["X"]))
        given = {name: array[own] for name, array in given.items()}
    if "validation_X" in arrays:
        given["validation_data"] = arrays["validation_X"], arrays["validation_y"]
    return given


def check(member: Member, arrays: Arrays) -> None:
    """Refuses what fit would refuse, before anything trains."""
    if "epochs" in member.fit:
        _validate.whole("epochs", member.fit["epochs"], 0)
    options = copy.deepcopy(dict(member.fit)) | {"epochs": 0}
    MLP(**member.network).fit(**_own_rows(arrays, None), progress=False, **options)


# Training all


def as_executor(executor: Any) -> Executor | None:
    """The executor itself, or that of a Dask client."""
    if executor is not None and hasattr(executor, "get_executor"):
        executor = executor.get_executor()
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(
            "executor: expected a concurrent.futures.Executor, a Dask client or None, "
            f"got {type(executor).__name__}"
        )
    return executor  # type: ignore[no-any-return]


def train_all(
    members: Sequence[Member], arrays: Arrays, executor: Executor | None, progress: bool
) -> tuple[list[MLP], list[Failure]]:
    """The members that could be trained, in order, and those that could not."""
    if executor is None:
        with ThreadPoolExecutor(min(len(members), get_num_threads())) as threads:
            return train_all(members, arrays, threads, progress)
    bar = open_bar(total=len(members), unit="member") if progress else None
    try:
        outcomes = _Run(members, arrays, executor, bar).outcomes()
    finally:
        if bar is not None:
            bar.close()
    return _sorted_out(members, outcomes)


def _sorted_out(
    members: Sequence[Member], outcomes: Mapping[int, Outcome]
) -> tuple[list[MLP], list[Failure]]:
    networks: list[MLP] = []
    failures: list[Failure] = []
    first: Exception | None = None
    for i, member in enumerate(members):
        outcome = outcomes[i]
        if isinstance(outcome, Exception):
            first = first or outcome
            reason = f"{type(outcome).__name__}: {outcome}"
            if _lost_worker(outcome):
                reason = f"its worker was lost twice ({reason})"
            failures.append(Failure(i, member.name, reason))
        else:
            net, history = outcome
            net.history = history
            networks.append(net)
    if not networks:
        raise RuntimeError(
            f"ensemble: all {len(members)} members failed to train; "
            f"the first, {failures[0].name}: {failures[0].reason}"
        ) from first
    return networks, failures


def _lost_worker(error: object) -> bool:
    """Whether the worker died, as opposed to the training: Dask's error is known by its name."""
    lost = isinstance(error, (BrokenExecutor, CancelledError))
    return lost or type(error).__name__ == "KilledWorker"


def _finished(futures: Iterable[Future[Any]]) -> Iterator[Future[Any]]:
    """The futures as they finish. Short waits: a long one may sleep through a Ctrl-C."""
    waiting = set(futures)
    while waiting:
        done, waiting = wait(waiting, timeout=0.1, return_when=FIRST_COMPLETED)
        yield from done


def _workers(executor: Executor) -> int | None:
    workers = getattr(executor, "_max_workers", None)
    return workers if isinstance(workers, int) and workers > 0 else None


class _Run:
    """Members on their way through an executor."""

    def __init__(
        self, members: Sequence[Member], arrays: Arrays, executor: Executor, bar: Any = None
    ) -> None:
        self.members, self.arrays, self.executor, self.bar = members, arrays, executor, bar
        self.cores = get_num_threads()
        self.n_threads = max(1, self.cores // (_workers(executor) or self.cores))
        local = isinstance(executor, ThreadPoolExecutor)
        self.stop = threading.Event() if local else None

    def outcomes(self) -> dict[int, Outcome]:
        """Of all members; those that lost their worker have a second try."""
        done = self.pass_over(range(len(self.members)), self.submit)
        lost = [i for i, outcome in done.items() if _lost_worker(outcome)]
        if lost:
            warnings.warn(
                f"ensemble: a worker was lost ({done[lost[0]]!r}); training members {lost} again",
                RuntimeWarning,
                stacklevel=5,
            )
            broken = any(isinstance(done[i], BrokenExecutor) for i in lost)
            # One at a time, since one of them may have killed the others' workers; each with the
            # data shared anew, since on a cluster that may be gone with the workers.
            for i in lost:
                done |= self.pass_over([i], self.submit_alone if broken else self.submit)
        return done

    def pass_over(
        self, members: Iterable[int], submit: Callable[[Any, int], Future[Any]]
    ) -> dict[int, Outcome]:
        done: dict[int, Outcome] = {}
        futures: dict[Future[Any], int] = {}
        with _shared(self.executor, self.arrays) as data:
            try:
                for i in members:
                    try:
                        futures[submit(data, i)] = i
                    except BrokenExecutor as error:
                        done[i] = error
                for future in _finished(futures):
                    done[futures[future]] = outcome = self.outcome(future)
                    if self.bar is not None and not _lost_worker(outcome):
                        self.bar.update()
            except BaseException:
                if self.stop is not None:
                    self.stop.set()
                for future in futures:
                    future.cancel()
                raise
        return done

    @staticmethod
    def outcome(future: Future[Any]) -> Outcome:
        try:
            return future.result()  # type: ignore[no-any-return]
        except Exception as error:
            return error

    def submit(self, data: Any, i: int) -> Future[Any]:
        extra: dict[str, Any] = {}
        if self.stop is not None:
            extra["stop"] = self.stop
        elif hasattr(self.executor, "_client"):
            extra["pure"] = False  # Dask: never the outcome of an earlier such task
        return self.executor.submit(train, data, self.members[i], self.n_threads, **extra)

    def submit_alone(self, data: Any, i: int) -> Future[Any]:
        """In a new process of its own: the pool is gone, and this member may have killed it."""
        context = getattr(self.executor, "_mp_context", None)
        if context is None:
            import multiprocessing

            context = multiprocessing.get_context("spawn")
        future: Future[Any] = Future()
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            try:
                outcome = pool.submit(train, data, self.members[i], self.cores).result()
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(outcome)
        return future
