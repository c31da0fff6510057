"""System calls that fail, or at which the process is killed: each that a piece of work makes.

The work runs in a child that forks from here, where everything is imported already; strace attaches
to it, lets the n-th call of a kind fail, and a page of shared memory brings the error back.
"""

from __future__ import annotations

import functools
import mmap
import os
import pickle
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from children import HANG

CALLS = {
    "open": "openat",
    "write": "write",
    "sync": "fsync",
    "rename": "/^rename",
    "close": "close",
}
KINDS = ("KILL", "EIO", "ENOSPC", "EINTR", "FULL")


@dataclass(frozen=True)
class Fault:
    """The `number`-th call of a kind, from 1, fails with an error, or the process is killed.

    FULL is ENOSPC from that call on: a disk that stays full.
    """

    call: str
    kind: str
    number: int
    path: Path | None = None  # calls on this file alone are counted

    def options(self) -> list[str]:
        what = {"KILL": "signal=KILL", "FULL": "error=ENOSPC"}.get(self.kind, f"error={self.kind}")
        when = f"{self.number}+" if self.kind == "FULL" else self.number
        calls = CALLS.get(self.call, self.call)
        only = [] if self.path is None else ["-P", str(self.path)]
        return [*only, "-e", f"trace={calls}", "-e", f"inject={calls}:{what}:when={when}"]


@dataclass(frozen=True)
class Outcome:
    """How the work ended."""

    hit: bool  # the fault occurred
    killed: bool
    error: BaseException | None


@functools.cache
def why_not() -> str:
    """Why faults cannot be injected here; empty where they can be."""
    if os.name != "posix" or not shutil.which("strace"):
        return "no strace"
    try:
        outcome = run_with(Fault("open", "EIO", 1), functools.partial(os.open, "/", os.O_RDONLY))
    except RuntimeError as error:
        return str(error)
    return "" if isinstance(outcome.error, OSError) else "strace injects nothing here"


def run_with(fault: Fault, work: Callable[[], object]) -> Outcome:
    """Runs the work in a child with that fault."""
    page = mmap.mmap(-1, 1 << 16)
    ready, go = os.pipe()
    told, tell = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
        child = os.fork()
    if child == 0:
        _child(page, ready, go, tell, work)
    os.close(ready)
    os.close(tell)
    os.read(told, 1)  # else a child that is slow to begin has its own calls counted
    os.close(told)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "strace"
        command = ["strace", "-f", "-o", log, *fault.options(), "-p", str(child)]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert tracer.stderr is not None
        first = tracer.stderr.readline()
        os.close(go)  # the child begins
        if "attached" not in first:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        tracer.communicate(timeout=HANG)
        if "attached" not in first:
            raise RuntimeError(f"strace cannot attach: {first.strip()}")
        killed = os.WIFSIGNALED(status)
        assert not killed or fault.kind == "KILL", f"{fault}: died of {status}"
        hit = killed or "(INJECTED)" in log.read_text(errors="replace")
    size = int.from_bytes(page[:4], "little")
    error = pickle.loads(page[4 : 4 + size]) if size else None
    return Outcome(hit, killed, error)


def _child(page: mmap.mmap, ready: int, go: int, tell: int, work: Callable[[], object]) -> None:
    """Waits to be traced, works, leaves its error on the page, and ends."""
    try:
        os.close(go)
        os.write(tell, b".")
        os.read(ready, 1)
        work()
    except BaseException as error:
        text = pickle.dumps(_plain(error))
        page[: 4 + len(text)] = len(text).to_bytes(4, "little") + text
    finally:
        os._exit(0)


def _plain(error: BaseException) -> BaseException:
    """The error, or where it cannot be pickled one of its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def sweep(
    work: Callable[[], object],
    prepare: Callable[[], Any],
    step: int = 1,
    kinds: Sequence[str] = KINDS,
    calls: Sequence[str] = tuple(CALLS),
    path: Path | None = None,
) -> Iterator[tuple[Fault, Outcome]]:
    """Each fault that the work can meet, after `prepare`; the caller looks at what it left.

    Of each call the first, and each `step`-th after it.
    """
    for call in calls:
        for kind in kinds:
            if kind == "FULL" and call != "write":
                continue
            number = 1
            while True:
                prepare()
                fault = Fault(call, kind, number, path)
                outcome = run_with(fault, work)
                if not outcome.hit:
                    break
                yield fault, outcome
                number += step
