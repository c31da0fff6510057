"""One function called for many tasks on an executor: threads, processes or a Dask cluster.

The arrays that all calls read are shared: in the memory of threads, as files that processes map,
or sent once to each worker of a cluster. A call whose worker died is tried once more.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import threading
import traceback
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
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Self

import numpy as np

from fanin._runtime import get_num_threads, warn_of_fewer_threads
from fanin._typing import Array
from fanin.callbacks.base import Callback, Logs

Arrays = Mapping[str, Array]
Task = tuple[int, Any]
Done = list[tuple[int, Any]]
Function = Callable[..., Any]
Submit = Callable[[Function, Any], Future[Any]]

POLL_SECONDS = 0.05  # longer waits may sleep through a Ctrl-C
MIN_PENDING = 64  # submitted calls: enough for short ones, few enough to cancel


@dataclass(frozen=True)
class InMemory:
    """Arrays of this process, or of the worker that they were sent to."""

    arrays: Arrays

    def open(self) -> Arrays:
        return self.arrays


@dataclass(frozen=True)
class OnDisk:
    """Arrays as .npy files, memory-mapped by the processes of this machine: one copy for all."""

    folder: str
    names: tuple[str, ...]

    @lru_cache(maxsize=1)  # noqa: B019  as it is meant: the last files stay mapped
    def open(self) -> Arrays:
        folder = Path(self.folder)
        return {n: np.asarray(np.load(folder / f"{n}.npy", mmap_mode="r")) for n in self.names}


@contextmanager
def _shared(executor: Executor, arrays: Arrays) -> Iterator[Any]:
    """The arrays as calls take them; they travel once to each worker, never with a call."""
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


class StoppedError(Exception):
    """Ctrl-C was pressed."""


class StopOnEvent(Callback):
    """Ends a fit by StoppedError, at most some 50 ms after an event is set."""

    def __init__(self, stop: threading.Event) -> None:
        self.stop = stop

    def on_progress(self, step: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        if self.stop.is_set():
            raise StoppedError


class Threads(ThreadPoolExecutor):
    """Threads that are started at once, as many of them as the system gives.

    Where it gives none, calls run in the thread that submits them.
    """

    started: int

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        begin, self.started = threading.Lock(), 0

        def wait() -> None:
            with begin:
                pass

        begin.acquire()
        try:
            while self.started < workers:
                super().submit(wait)
                self.started += 1
        except RuntimeError:  # can't start new thread
            pass
        except BaseException:  # Ctrl-C, or the process would wait for the threads at its end
            self.shutdown(wait=False)
            raise
        finally:
            begin.release()
        if self.started < workers:
            self._max_workers = max(self.started, 1)  # else each call tries again, and fails
            warn_of_fewer_threads(workers, self.started)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self.started:
            return super().submit(fn, *args, **kwargs)
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def as_executor(executor: Any) -> Executor | None:
    """``executor`` checked; of a Dask client its executor."""
    if hasattr(executor, "get_executor"):
        executor = executor.get_executor()
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(
            "executor: expected a concurrent.futures.Executor, a Dask client or None, "
            f"got {type(executor).__name__}"
        )
    return executor  # type: ignore[no-any-return]


def lost_worker(error: object) -> bool:
    """Whether the worker died, rather than the call raised."""
    return isinstance(error, (BrokenExecutor, CancelledError)) or _raised_by_dask(error)


def _raised_by_dask(error: object) -> bool:
    """Whether the error came up where Dask's executor passes results on, and not in a call.

    One of the scheduler, such as KilledWorker, or one of the executor itself: it takes a result for
    an error where the worker is lost just as the result has come.
    """
    if not isinstance(error, BaseException):
        return False
    frames = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1:] == ["_cascade_future"] or type(error).__name__ == "KilledWorker"


def failure_reason(error: BaseException) -> str:
    """Why a call failed, as text that can be written, whatever the error's own text is."""
    try:
        text = str(error)
    except Exception as another:
        text = f"its text raises {type(another).__name__}"
    reason = f"{type(error).__name__}: {text}".encode(errors="backslashreplace").decode()
    return f"its worker was lost twice ({reason})" if lost_worker(error) else reason


def workers_of(executor: Executor) -> int | None:
    """How many calls the executor runs at once; None if unknown."""
    client: Any = getattr(executor, "_client", None)
    if hasattr(client, "nthreads"):
        return sum(client.nthreads().values()) or None
    workers = getattr(executor, "_max_workers", None)
    return workers if isinstance(workers, int) and workers > 0 else None


class Pool:
    """An executor and the arrays that its calls share.

    Every call is ``function(data, task, n_threads)``, where ``data.open()`` gives the arrays. On
    threads of this process it also gets ``stop``, an event that is set when the calls should end.
    The workers share the cores, by default `fanin.get_num_threads()`. A warning names the tasks by
    the noun.
    """

    arrays: Arrays
    executor: Executor
    noun: str

    def __init__(
        self, executor: Executor, arrays: Arrays, noun: str, cores: int | None = None
    ) -> None:
        self.executor, self.arrays, self.noun = executor, arrays, noun
        self.cores: int = get_num_threads() if cores is None else cores
        self.workers: int | None = workers_of(executor)
        self.n_threads: int = max(1, self.cores // (self.workers or self.cores))
        self.max_pending: int = max(MIN_PENDING, 4 * (self.workers or MIN_PENDING))
        self.stop: threading.Event | None = (
            threading.Event() if isinstance(executor, ThreadPoolExecutor) else None
        )
        self._sharing = ExitStack()
        self._data: Any = None
        self._running: Generator[Any, None, None] | None = None

    def __enter__(self) -> Self:
        self._share()
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.close()
        self._sharing.close()

    def _share(self) -> None:
        self._sharing.close()
        self._data = self._sharing.enter_context(_shared(self.executor, self.arrays))

    def outcomes(self, function: Function, tasks: Iterable[Task]) -> Iterator[Done]:
        """Yields lists of (number of the task, what its call returned or raised) as calls finish.

        One comes at least every 50 ms, maybe empty. Calls that lost their worker are tried again,
        after all others. An error here, or leaving the pool, stops the calls.
        """
        self._running = self._outcomes(function, tasks)
        return self._running

    def _outcomes(self, function: Function, tasks: Iterable[Task]) -> Generator[Done, None, None]:
        lost: dict[int, Exception] = {}
        unfinished: dict[int, Any] = {}

        def remembered(tasks: Iterable[Task]) -> Iterator[Task]:
            for number, task in tasks:
                unfinished[number] = task
                yield number, task

        for done in self._run(function, remembered(tasks), self._submit):
            for number, outcome in done:
                if lost_worker(outcome):
                    lost[number] = outcome
                else:
                    del unfinished[number]
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
            self._share()  # again: on a cluster the data may have gone with the lost worker
            submit = self._submit_alone if broken else self._submit
            yield from self._run(function, [(number, unfinished[number])], submit)

    def _run(self, function: Function, tasks: Iterable[Task], submit: Submit) -> Iterator[Done]:
        waiting = iter(tasks)
        finished: SimpleQueue[Future[Any]] = SimpleQueue()
        futures: dict[Future[Any], int] = {}
        try:
            while True:
                refused: Done = []
                while len(futures) < self.max_pending and (item := next(waiting, None)) is not None:
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
                done = [(futures.pop(f), _outcome(f)) for f in _finished_calls(finished)]
                yield [one for one in done if not isinstance(one[1], KeyboardInterrupt)]
                if any(isinstance(outcome, KeyboardInterrupt) for _, outcome in done):
                    raise KeyboardInterrupt
        except BaseException:  # Ctrl-C, or the generator is closed
            if self.stop is not None:
                self.stop.set()
            raise
        finally:
            for future in futures:
                future.cancel()

    def _submit(self, function: Function, task: Any) -> Future[Any]:
        extra: dict[str, Any] = {} if self.stop is None else {"stop": self.stop}
        if hasattr(self.executor, "_client"):
            extra["pure"] = False  # Dask: never the outcome of an earlier such task
        return self.executor.submit(function, self._data, task, self.n_threads, **extra)

    def _submit_alone(self, function: Function, task: Any) -> Future[Any]:
        """In a process of its own: the pool is broken, maybe by this very task."""
        context = getattr(self.executor, "_mp_context", None)
        context = context or multiprocessing.get_context("spawn")
        future: Future[Any] = Future()
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            try:
                outcome = pool.submit(function, self._data, task, self.cores).result()
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(outcome)
        return future


def _finished_calls(finished: SimpleQueue[Future[Any]]) -> Sequence[Future[Any]]:
    """The calls that have finished, after waiting at most POLL_SECONDS for the first."""
    done: list[Future[Any]] = []
    with suppress(Empty):
        done.append(finished.get(timeout=POLL_SECONDS))
        while True:
            done.append(finished.get_nowait())
    return done


def _outcome(future: Future[Any]) -> Any:
    """What the call returned or raised: Ctrl-C, if that came to its worker."""
    try:
        return future.result()
    except (Exception, CancelledError, KeyboardInterrupt) as error:
        return error
