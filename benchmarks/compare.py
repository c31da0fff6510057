"""fanin beside its peers: ``python -m benchmarks.compare [ROW ...] [--json FILE] [--rounds N]``.

Each peer runs in processes of its own, one for each thread count; they are measured in turns,
round by round, so that a change of the machine's mood meets all of them. The table has medians,
each peer at its best thread count. A peer that is not installed is named and left out.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np

from benchmarks import data, peers, processes, roof
from benchmarks.jobs import ROWS, Row
from benchmarks.roof import Roof
from benchmarks.tables import Result, as_json, brief, markdown
from benchmarks.worker import PeerError, Worker, environment

PAUSE = 0.05  # seconds between measurements, for the last one's threads to fall asleep

Times = dict[tuple[str, int], list[float]]  # (peer, threads) -> seconds of each round


class Comparison:
    """The peers' processes, and the ways to measure a row with them."""

    def __init__(self, names: Sequence[str], env: Mapping[str, str], rounds: int) -> None:
        self.names, self.env, self.rounds = names, env, rounds
        self.workers: dict[tuple[str, int], Worker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers.values():
            worker.close()

    def worker(self, name: str, threads: int) -> Worker:
        key = name, threads
        if key not in self.workers:
            self.workers[key] = Worker(name, threads, self.env)
        return self.workers[key]

    def versions(self) -> dict[str, Any]:
        return {name: self.worker(name, 1).ask("versions") for name in self.names}

    def measure(self, row: Row) -> Result:
        return {
            "time": self.measure_time,
            "busy": self.measure_busy,
            "import": self.measure_import,
            "memory": self.measure_memory,
        }[row.kind](row)

    def measure_time(self, row: Row) -> Result:
        ready = self.prepare(row)
        times = self.rounds_of(ready)
        checks = {}
        for worker in ready:
            try:
                checks[f"{worker.peer} {worker.threads}T"] = worker.ask("check")
            except PeerError as error:
                print(f"{error}: left out", file=sys.stderr)
                del times[worker.peer, worker.threads]
        best = best_threads(times)
        values = {peer: statistics.median(times[peer, n]) for peer, n in best.items()}
        return Result(row, values, best, details={"seconds": _named(times), "checks": checks})

    def measure_busy(self, row: Row) -> Result:
        """The same work again while every core has a spinning process; each at its quiet best."""
        ready = self.prepare(row)
        quiet = self.rounds_of(ready)
        best = best_threads(quiet)
        with processes.busy_machine():
            busy = self.rounds_of([w for w in ready if best[w.peer] == w.threads])
        values = {
            peer: statistics.median(busy[peer, n]) / statistics.median(quiet[peer, n])
            for peer, n in best.items()
        }
        return Result(row, values, best, details={"quiet": _named(quiet), "busy": _named(busy)})

    def measure_import(self, row: Row) -> Result:
        modules = {name: peers.PEERS[name][1] for name in self.names if name != "NumPy"}
        env = environment(self.env, 1)
        times = processes.import_seconds(list(modules.values()), 4 * self.rounds, env)
        over = processes.over_numpy(times)
        return Result(row, {n: over[m] for n, m in modules.items()}, details={"seconds": times})

    def measure_memory(self, row: Row) -> Result:
        env = environment(self.env, 2)
        names = [name for name in self.names if type(row.job) in peers.load(name).JOBS]
        return Result(row, {n: processes.peak_megabytes(n, row.name, env) for n in names})

    def prepare(self, row: Row) -> list[Worker]:
        """The processes of those who can do the job, ready for it."""
        ready = []
        for threads in row.threads:
            for name in self.names:
                worker = self.worker(name, threads)
                try:
                    able = worker.ask("prepare", row.name)
                except PeerError as error:
                    print(f"{error}: left out", file=sys.stderr)
                else:
                    ready += [worker] if able else []
        return ready

    def rounds_of(self, ready: Sequence[Worker]) -> Times:
        times: Times = {(w.peer, w.threads): [] for w in ready}
        for _ in range(self.rounds):
            for worker in ready:
                time.sleep(PAUSE)
                times[worker.peer, worker.threads].append(worker.ask("time"))
        return times


def best_threads(times: Times) -> dict[str, int]:
    """Of each peer, the thread count with the least median."""
    ranked = sorted(times, key=lambda key: statistics.median(times[key]), reverse=True)
    order = dict.fromkeys(peer for peer, _ in times)
    return order | dict(ranked)


def with_roof(result: Result, roofs: Sequence[Roof]) -> Result:
    job = result.row.job
    if result.row.kind != "time" or job is None:
        return result
    most = max(result.row.threads)
    fitting = next((r for r in roofs if r.threads == most), None)
    return replace(result, roof=fitting and fitting.seconds(job.flops, job.bytes) / result.row.per)


def describe(versions: Mapping[str, Any], roofs: Sequence[Roof], data_name: str) -> str:
    """What the table was measured on, as a Markdown list."""
    command = f"python -m benchmarks.compare {shlex.join(sys.argv[1:])}".strip()
    pools = {
        f"{pool['internal_api']} {pool['version']} {pool['architecture'] or ''}".strip()
        for name in ("NumPy", "scikit-learn")
        for pool in versions.get(name, {}).get("pools", [])
        if pool["internal_api"] != "openmp"
    }
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, `{command}`",
        f"{cpu_name()}, {os.cpu_count()} cores, {platform.system()}",
        ", ".join(
            [f"Python {platform.python_version()}", *(v["version"] for v in versions.values())]
        ),
        f"NumPy's BLAS: {', '.join(sorted(pools)) or numpy_blas()}",
        f"data: {data_name}",
        "roof: "
        + "; ".join(
            f"{r.gflops:.0f} GFLOP/s and {r.gbytes:.0f} GB/s on {r.threads}T" for r in roofs
        )
        + f" ({roofs[0].source})",
    ]
    return "\n".join(f"- {line}" for line in lines)


def numpy_blas() -> str:
    """As built: without threadpoolctl nothing tells which kernels it chose."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{blas['name']} {blas['version']} (kernels unknown: threadpoolctl is not installed)"


def cpu_name() -> str:
    """With the family that tells one "AMD EPYC" from another."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(re.findall(r"^([^\t\n]+)\t*: (.*)$", text, re.MULTILINE))
    name = fields.get("model name", platform.machine())
    return f"{name} (family {fields.get('cpu family')}, model {fields.get('model')})"


def commit() -> str:
    """Of the checkout these benchmarks stand in; empty outside of one."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def chosen_rows(patterns: Sequence[str]) -> list[Row]:
    """Rows by name or shell pattern, in the table's order; all without any."""
    unknown = [p for p in patterns if not fnmatch.filter([row.name for row in ROWS], p)]
    if unknown:
        known = ", ".join(row.name for row in ROWS)
        raise ValueError(f"no row is called {', '.join(unknown)}; the rows are {known}")
    if not patterns:
        return list(ROWS)
    return [row for row in ROWS if any(fnmatch.fnmatch(row.name, p) for p in patterns)]


def _named(times: Times) -> dict[str, list[float]]:
    return {f"{peer} {n}T": values for (peer, n), values in times.items()}


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description="Measures fanin beside its peers."
    )
    parser.add_argument("rows", nargs="*", help="names or patterns such as 'dense-*'; all if none")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each (7)")
    parser.add_argument("--peers", help="only these, with commas between")
    parser.add_argument("--json", type=Path, help="a file for all numbers")
    parser.add_argument("--list", action="store_true", help="print the rows' names and stop")
    options = parser.parse_args(argv)
    try:
        options.rows = chosen_rows(options.rows)
        options.peers = chosen_peers(options.peers)
    except ValueError as error:
        parser.error(str(error))
    return options


def chosen_peers(text: str | None) -> list[str]:
    """The installed ones of those asked for; says on stderr which are missing."""
    known = {name.casefold(): name for name in peers.PEERS}
    asked = [name.strip() for name in text.split(",")] if text else list(peers.PEERS)
    if unknown := [name for name in asked if name.casefold() not in known]:
        raise ValueError(
            f"no peer is called {', '.join(unknown)}; they are {', '.join(peers.PEERS)}"
        )
    _, missing = peers.installed()
    wanted = {known[name.casefold()] for name in asked}
    for name in missing:
        if name in wanted:
            print(f"{name} is not installed: left out", file=sys.stderr)
    return [name for name in peers.PEERS if name in wanted and name not in missing]


def run(rows: Sequence[Row], names: Sequence[str], rounds: int) -> tuple[str, list[Result]]:
    """(what it was measured on, results)."""
    with tempfile.TemporaryDirectory() as folder:
        images = data.images()
        images.save(Path(folder))
        data_name = images.name
        del images
        env = dict(os.environ) | {data.FOLDER: folder}
        roofs = roof.measure()
        results = []
        with Comparison(names, env, rounds) as comparison:
            versions = comparison.versions()
            for row in rows:
                print(f"{row.name} ...", file=sys.stderr, end=" ", flush=True)
                results.append(comparison.measure(row))
                print(brief(results[-1]), file=sys.stderr, flush=True)
        roofs = roof.best(roofs, roof.measure())
    header = describe(versions, roofs, data_name)
    return header, [with_roof(result, roofs) for result in results]


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    if options.list:
        print("\n".join(f"{row.name:28} {row.title}" for row in options.rows))
        return 0
    header, results = run(options.rows, options.peers, options.rounds)
    print(f"{header}\n\n{markdown(results, options.peers)}")
    if options.json:
        document = {"commit": commit(), "header": header, "rows": [as_json(r) for r in results]}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
