"""The memory that a process holds, in MiB."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def peak() -> float:
    """The most so far.

    Linux tells a child's `ru_maxrss` with that of the parent which it was forked from: a test that
    looks there sees nothing if other tests needed more.
    """
    if sys.platform == "linux":
        return _status("VmHWM")
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def begin() -> float:
    """What is held now; from here on `peak` is the most since then, where the system can do so."""
    clear = Path("/proc/self/clear_refs")
    if not os.access(clear, os.W_OK):
        return peak()
    clear.write_text("5")
    return _status("VmRSS")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))
