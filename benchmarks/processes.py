"""Measurements that take a fresh interpreter each: import time and peak memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

PEAK = """
import resource, sys
def peak():
    try:
        with open("/proc/self/status") as status:
            lines = dict(line.split(":", 1) for line in status)
        return int(lines["VmHWM"].split()[0]) / 1e3
    except OSError:  # not Linux
        unit = 1e6 if sys.platform == "darwin" else 1e3
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
"""
BASELINE = PEAK + "import numpy\nprint(peak())"
TRAINING = (
    PEAK
    + """
import numpy
peer, row = sys.argv[1:]
from benchmarks import jobs, peers
module = peers.load(peer)
module.configure(2)
job = jobs.BY_NAME[row].job
module.JOBS[type(job)](job).run()
print(peak())
"""
)


def run_python(code: str, *arguments: str, env: Mapping[str, str]) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout


def import_seconds(
    modules: Sequence[str], rounds: int, env: Mapping[str, str]
) -> dict[str, list[float]]:
    """Wall times of fresh interpreters that import NumPy, or NumPy and a module; taken in turns.

    A module that cannot be imported is named and left out.
    """
    times: dict[str, list[float]] = {module: [] for module in ("numpy", *modules)}
    for _ in range(rounds):
        for module in list(times):
            start = time.perf_counter()
            try:
                run_python(f"import numpy, {module}", env=env)
            except subprocess.CalledProcessError:
                print(f"{module} cannot be imported: left out", file=sys.stderr)
                del times[module]
            else:
                times[module].append(time.perf_counter() - start)
    return times


def over_numpy(times: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Differences of medians."""
    base = statistics.median(times["numpy"])
    return {m: statistics.median(t) - base for m, t in times.items() if m != "numpy"}


def peak_megabytes(peer: str, row: str, env: Mapping[str, str]) -> float:
    """Highest resident memory of training, over that of an interpreter that has imported NumPy."""
    return float(run_python(TRAINING, peer, row, env=env)) - float(run_python(BASELINE, env=env))


@contextmanager
def busy_machine() -> Iterator[None]:
    """One spinning process on every core."""
    count = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    spin = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(10**5))"
    spinners = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(count)]
    try:
        time.sleep(0.3)
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
