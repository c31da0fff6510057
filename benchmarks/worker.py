"""One peer with one thread count in a process of its own, driven by JSON lines from compare.py.

``python -m benchmarks.worker PEER THREADS`` reads ``{"do": ..., "row": ...}`` from stdin and
answers each on stdout: "versions", "prepare" (make the job, run it once, see how often to repeat
it), "time" (seconds of one run), "pair" (of one run, and of the row's base), "copy" (of a memcpy of
the result's bytes), "check" (is the answer right), "release" (forget the job).
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks import peers

SHORTEST = 0.05  # seconds: shorter jobs are repeated until a measurement takes about this long
WINDOWS = 16  # of either job of a pair, in turns, in a measurement
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # they hold OpenBLAS to slower kernels


class PeerError(RuntimeError):
    """What a peer could not do, with its own message."""


class Worker:
    """The parent's end: ``ask`` sends a request and waits for its answer."""

    def __init__(self, peer: str, threads: int, env: Mapping[str, str], isa: str = "") -> None:
        self.peer, self.threads = peer, threads
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", peer, str(threads)],
            env=environment(env, threads, isa),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, do: str, row: str = "") -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(json.dumps({"do": do, "row": row}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise PeerError(f"{self.peer}, {row}: its process ended with {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{self.peer}, {row}: {answer['error']}")
        return answer["value"]

    def close(self) -> None:
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it has ended by itself
                self.process.stdin.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # in the middle of a job
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def environment(env: Mapping[str, str], threads: int, isa: str = "") -> dict[str, str]:
    """For a child: BLAS as NumPy ships it, and every library at that many threads."""
    kept = {name: value for name, value in env.items() if name not in UNSET}
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return kept | dict.fromkeys(pools, str(threads)) | peers.ISA_ENVIRONMENT[isa]


class Session:
    """The child's end: the peer and the job at hand."""

    def __init__(self, peer: str, threads: int) -> None:
        self.peer = peers.load(peer)
        self.peer.configure(threads)

    def versions(self) -> dict[str, Any]:
        """Of the peer, and what BLAS NumPy runs on."""
        try:
            from threadpoolctl import threadpool_info
        except ImportError:
            pools = []
        else:
            pools = [
                {k: p.get(k) for k in ("internal_api", "version", "architecture", "num_threads")}
                for p in threadpool_info()
            ]
        return {"version": self.peer.version(), "pools": pools}

    def prepare(self, name: str) -> bool:
        """False where the peer has no such job."""
        from benchmarks.jobs import row_named

        self.release()
        row = row_named(name)
        make = self.peer.JOBS.get(type(row.job))
        if row.job.compute not in getattr(self.peer, "COMPUTES", (None,)):
            return False
        prepared = make(row.job) if make else None
        if prepared is None:
            return False
        self.job, self.per, self.rest = row.job, row.per, row.rest
        self.run, self.answer = prepared
        self.base = make(row.base).run if row.base is not None else None
        self.repeats = 1
        seconds = seconds_of(self.run, 1)
        if seconds < 1:  # the first run of something short may be compilation
            seconds = seconds_of(self.run, 1)
        self.repeats = max(1, round(SHORTEST / max(seconds, 1e-7)))
        return True

    def time(self) -> float:
        """Seconds of one unit of the row."""
        return seconds_of(self.run, self.repeats, self.rest) / self.per

    def pair(self) -> list[float]:
        """Seconds of the job and of the row's base: medians of short windows in turns."""
        repeats = -(-self.repeats // 8)
        windows = [
            [seconds_of(run, repeats) for run in (self.run, self.base)] for _ in range(WINDOWS)
        ]
        return [statistics.median(times) for times in zip(*windows, strict=True)]

    def copy(self) -> float:
        """Seconds of a memcpy of as many bytes as the job's result has, of one unit of the row."""
        source = np.ones(round(self.job.copied), dtype=np.uint8)
        out = np.empty_like(source)
        seconds = seconds_of(lambda: np.copyto(out, source), 10)
        repeats = max(1, round(SHORTEST / seconds))
        return seconds_of(lambda: np.copyto(out, source), repeats) / self.per

    def check(self) -> str:
        return self.job.check(self.answer())

    def release(self) -> None:
        """The job's memory goes."""
        self.job = self.run = self.base = self.answer = None


def seconds_of(run: Callable[[], object], repeats: int, rest: float = 0.0) -> float:
    """Of one run, with `rest` seconds before each."""
    if rest > 0:
        return statistics.median(_rested(run, rest) for _ in range(repeats))
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def _rested(run: Callable[[], object], rest: float) -> float:
    time.sleep(rest)
    return seconds_of(run, 1)


def main() -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is not an answer
    session = Session(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        request = json.loads(line)
        arguments = [request["row"]] if request["row"] else []
        try:
            reply = {"value": getattr(session, request["do"])(*arguments)}
        except Exception as error:  # the parent tells the user
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
