"""Calls of one function on an executor: threads, processes or a cluster, with data they share."""

from __future__ import annotations

import tempfile
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fanin._runtime import get_num_threads
from fanin.callbacks.base import Callback, Logs

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array]
Task = tuple[int, Any]

TICK = 0.05  # seconds; longer waits may sleep through a Ctrl-C
LEAST_WINDOW = 64  # calls on their way at once: enough for short ones, few enough to cancel


# Data where the calls run


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
    """The data as the executor's calls take it: it goes once to each worker, never with a call."""
    client: Any = getattr(executor, "_client", None)
    if isinstance(executor, ThreadPoolExecutor) or not arrays:
        yield InMemory(arrays)
    elif hasattr(client, "scatter"):
        yield client.scatter(InMemory(arrays), broadcast=True, hash=False)
    else:
        with tempfile.TemporaryDirectory(prefix="fanin-", ignore_cleanup_errors=True) as folder:
            for name, array in arrays.items():
                np.save(Path(folder) / f"{name}.npy", array, allow_pickle=False)
            yield OnDisk(folder, tuple(arrays))


# Stopping


class StoppedError(Exception):
    """Somebody pressed Ctrl-C."""


class StopWhenSet(Callback):
    """Ends a fit, by StoppedError, some 50 ms after an event was set."""

    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop

    def on_progress(self, step: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        if self.stop.is_set():
            raise StoppedError


# Executors


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


def lost_worker(error: object) -> bool:
    """Whether the worker died, as opposed to the call: Dask's error is known by its name."""
    lost = isinstance(error, (BrokenExecutor, CancelledError))
    return lost or type(error).__name__ == "KilledWorker"


def reason_of(error: Exception) -> str:
    """An outcome's error for people."""
    reason = f"{type(error).__name__}: {error}"
    return f"its worker was lost twice ({reason})" if lost_worker(error) else reason


def workers_of(executor: Executor) -> int | None:
    """How many calls run at once, where the executor says."""
    client: Any = getattr(executor, "_client", None)
    if hasattr(client, "nthreads"):
        return sum(client.nthreads().values()) or None
    workers = getattr(executor, "_max_workers", None)
    return workers if isinstance(workers, int) and workers > 0 else None


class Pool:
    """An executor and the arrays that its calls share.

    Every call is ``function(data, task, n_threads)``, with ``data.open()`` the arrays, and with a
    fourth argument ``stop``, an event, where it runs on a thread of this process.
    """

    def __init__(
        self, executor: Executor, arrays: Arrays, noun: str, cores: int | None = None
    ) -> None:
        self.executor, self.arrays, self.noun = executor, arrays, noun
        self.cores = get_num_threads() if cores is None else cores
        self.workers = workers_of(executor)
        self.n_threads = max(1, self.cores // (self.workers or self.cores))
        self.window = max(LEAST_WINDOW, 4 * (self.workers or LEAST_WINDOW))
        self.stop = threading.Event() if isinstance(executor, ThreadPoolExecutor) else None
        self._sharing = ExitStack()
        self._data: Any = None
        self._running: Generator[Any, None, None] | None = None

    def __enter__(self) -> Self:
        self._data = self._sharing.enter_context(_shared(self.executor, self.arrays))
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.close()
        self._sharing.close()

    def _share_anew(self) -> None:
        """On a cluster the data may be gone with the workers that held it."""
        self._sharing.close()
        self._data = self._sharing.enter_context(_shared(self.executor, self.arrays))

    def outcomes(
        self, function: Callable[..., Any], tasks: Iterable[Task]
    ) -> Iterator[list[tuple[int, Any]]]:
        """What the calls return or raise, by the tasks' numbers, in lists as they come.

        A list may be empty: one comes at least every 50 ms. Calls that lost their worker have a
        second try, after all others. An error, or leaving the pool, stops the calls.
        """
        self._running = self._outcomes(function, tasks)
        return self._running

    def _outcomes(
        self, function: Callable[..., Any], tasks: Iterable[Task]
    ) -> Generator[list[tuple[int, Any]], None, None]:
        lost: dict[int, Exception] = {}
        retried: dict[int, Any] = {}

        def noted(tasks: Iterable[Task]) -> Iterator[Task]:
            for number, task in tasks:
                retried[number] = task
                yield number, task

        for done in self._pass(function, noted(tasks), self._submit):
            for number, outcome in done:
                if lost_worker(outcome):
                    lost[number] = outcome
                else:
                    del retried[number]
            yield [(number, outcome) for number, outcome in done if number not in lost]
        if not lost:
            return
        first = next(iter(lost.values()))
        warnings.warn(
            f"a worker was lost ({first!r}); training {self.noun} {sorted(lost)} again",
            RuntimeWarning,
            stacklevel=6,
        )
        broken = any(isinstance(error, BrokenExecutor) for error in lost.values())
        # One at a time, since one of them may have killed the others' workers.
        for number in sorted(lost):
            self._share_anew()
            submit = self._submit_alone if broken else self._submit
            yield from self._pass(function, [(number, retried[number])], submit)

    def _pass(
        self,
        function: Callable[..., Any],
        tasks: Iterable[Task],
        submit: Callable[[Callable[..., Any], Any], Future[Any]],
    ) -> Iterator[list[tuple[int, Any]]]:
        waiting = iter(tasks)
        finished: SimpleQueue[Future[Any]] = SimpleQueue()
        futures: dict[Future[Any], int] = {}
        try:
            while True:
                refused: list[tuple[int, Any]] = []
                while len(futures) < self.window and (item := next(waiting, None)) is not None:
                    number, task = item
                    try:
                        future = submit(function, task)
                    except BrokenExecutor as error:
                        refused.append((number, error))
                    else:
                        futures[future] = number
                        future.add_done_callback(finished.put)
                if refused:
                    yield refused
                if not futures:
                    return
                done = _drain(finished)
                yield [(futures.pop(future), _outcome(future)) for future in done]
        except BaseException:  # Ctrl-C, or nobody asks for more
            if self.stop is not None:
                self.stop.set()
            raise
        finally:
            for future in futures:
                future.cancel()

    def _submit(self, function: Callable[..., Any], task: Any) -> Future[Any]:
        extra: dict[str, Any] = {}
        if self.stop is not None:
            extra["stop"] = self.stop
        elif hasattr(self.executor, "_client"):
            extra["pure"] = False  # Dask: never the outcome of an earlier such task
        return self.executor.submit(function, self._data, task, self.n_threads, **extra)

    def _submit_alone(self, function: Callable[..., Any], task: Any) -> Future[Any]:
        """In a new process of its own: the pool is gone, and this task may have killed it."""
        context = getattr(self.executor, "_mp_context", None)
        if context is None:
            import multiprocessing

            context = multiprocessing.get_context("spawn")
        future: Future[Any] = Future()
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            try:
                outcome = pool.submit(function, self._data, task, self.cores).result()
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(outcome)
        return future


def _drain(finished: SimpleQueue[Future[Any]]) -> Sequence[Future[Any]]:
    """Those that have finished, waited for no longer than a tick."""
    done: list[Future[Any]] = []
    try:
        done.append(finished.get(timeout=TICK))
        while True:
            done.append(finished.get_nowait())
    except Empty:
        return done


def _outcome(future: Future[Any]) -> Any:
    try:
        return future.result()
    except (Exception, CancelledError) as error:
        return error
