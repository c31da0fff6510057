"""Runs that are killed again and again, until one comes to its end."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

# Around these a run is killed: before, and when they have done their work.
CALLS = ("fsync", "replace", "rename", "unlink", "ftruncate", "truncate", "flush")


class Moments:
    """Counts the moments at which a process may be killed, and kills it at one of them."""

    def __init__(self, last: int, calls: Sequence[str] = CALLS) -> None:
        self.last, self.calls = last, calls
        self.count, self.lock, self.pid = 0, threading.Lock(), os.getpid()

    def pass_one(self) -> None:
        with self.lock:
            self.count += 1
            if self.count == self.last and os.getpid() == self.pid:
                os.kill(os.getpid(), signal.SIGKILL)

    def profile(self, frame: Any, event: str, function: Any) -> None:
        """For `sys.setprofile`."""
        del frame
        if event in ("c_call", "c_return") and function.__name__ in self.calls:
            owner = getattr(function, "__self__", None)
            if not isinstance(owner, str | bytes):  # which have a `replace` of their own
                self.pass_one()


def run_once(
    work: Callable[[Moments], None], last: int = 0, calls: Sequence[str] = CALLS
) -> tuple[int, int]:
    """In a forked process: its exit code, and how many moments it passed, where it was not killed.

    Parameters
    ----------
    work : callable
        Gets the moments, to which it may add its own.
    last : int
        At which the process is killed; 0 is never.
    calls : sequence of str
        Functions of which the beginning and the end are moments.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reading)
            moments = Moments(last, calls)
            sys.setprofile(moments.profile)
            work(moments)
            sys.setprofile(None)
            os.write(writing, str(moments.count).encode())
            code = 0
        except BaseException:
            import traceback

            sys.setprofile(None)
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), int(text or b"0")


def run_with_kills(work: Callable[[Moments], None], kills: int, most: int, seed: int) -> int:
    """Kills runs after at most so many moments, then lets one end; how many were killed.

    Fewer than `kills` where one of them ends before its moment.
    """
    draw = random.Random(seed)
    for killed in range(kills):
        code, _ = run_once(work, draw.randint(1, most))
        if code == 0:
            return killed
        if code != -signal.SIGKILL:
            raise AssertionError(f"exit code {code}")
    code, _ = run_once(work)
    if code != 0:
        raise AssertionError(f"exit code {code}")
    return kills
