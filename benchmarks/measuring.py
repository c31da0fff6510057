"""Rows measured: the peers' processes, asked in turns, and the roof beside them."""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from benchmarks import peers, processes, roof
from benchmarks.jobs import Row
from benchmarks.roof import Roof
from benchmarks.tables import Result
from benchmarks.worker import PeerError, Worker, environment

PAUSE = 0.05  # seconds between measurements, for the last one's threads to fall asleep

Times = dict[tuple[str, int], list[float]]  # (peer, threads) -> seconds of each round
Roofs = dict[tuple[str, int], Roof]  # (instruction set, threads) -> the best so far


class Comparison:
    """The peers' processes, and the ways to measure a row with them."""

    def __init__(self, names: Sequence[str], env: Mapping[str, str], rounds: int) -> None:
        self.names, self.env, self.rounds = names, env, rounds
        self.workers: dict[tuple[str, int, str], Worker] = {}
        self.meters: dict[str, roof.Meter] = {}
        self.roofs: Roofs = {}
        self.resources = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.resources.close()

    def worker(self, name: str, threads: int, isa: str = "") -> Worker:
        key = name, threads, isa
        if key not in self.workers:
            self.workers[key] = Worker(name, threads, self.env, isa)
            self.resources.callback(self.workers[key].close)
        return self.workers[key]

    def roof(self, threads: int, isa: str = "") -> Roof:
        """Measured now; `roofs` keeps the best."""
        if isa not in self.meters:
            self.meters[isa] = self.resources.enter_context(roof.Meter(isa))
        now, key = self.meters[isa].measure(threads), (isa, threads)
        self.roofs[key] = roof.best([now, self.roofs.get(key, now)])
        return now

    def versions(self) -> dict[str, Any]:
        """Those of the peers that can be imported; the others are named and left out from here."""
        told = {}
        for name in self.names:
            try:
                told[name] = self.worker(name, 1).ask("versions")
            except PeerError as error:
                print(f"{error}: left out", file=sys.stderr)
        self.names = list(told)
        return told

    def measure(self, row: Row) -> Result:
        return {
            "time": self.measure_time,
            "over": self.measure_over,
            "busy": self.measure_busy,
            "import": self.measure_import,
            "memory": self.measure_memory,
        }[row.kind](row)

    def measure_time(self, row: Row) -> Result:
        ready = self.prepare(row)
        roofs: list[Roof] = []
        copies: list[float] = []
        times = self.rounds_of(row, ready, roofs, copies)
        checks = self.checks(ready)
        times = {(peer, n): t for (peer, n), t in times.items() if f"{peer} {n}T" in checks}
        best = best_threads(times)
        values = {peer: statistics.median(times[peer, n]) for peer, n in best.items()}
        gbytes = [r.gbytes(row.job.traffic) for r in roofs]
        details = {"seconds": _named(times), "checks": checks, "gbytes": gbytes, "copies": copies}
        return Result(row, values, best, details=details)

    def measure_over(self, row: Row) -> Result:
        """The job's time over that of the row's base, less one; each at its base's best."""
        ready = self.prepare(row)
        pairs: dict[tuple[str, int], list[list[float]]] = {(w.peer, w.threads): [] for w in ready}
        for _ in range(min(self.rounds, row.rounds)):
            for worker in ready:
                time.sleep(PAUSE)
                pairs[worker.peer, worker.threads].append(worker.ask("pair"))
        checks = self.checks(ready)
        best = best_threads({key: [base for _, base in pairs[key]] for key in pairs})
        values = {
            peer: statistics.median(job / base for job, base in pairs[peer, n]) - 1
            for peer, n in best.items()
            if f"{peer} {n}T" in checks
        }
        return Result(row, values, best, details={"pairs": _named(pairs), "checks": checks})

    def checks(self, ready: Sequence[Worker]) -> dict[str, str]:
        """What `Job.check` says of those whose answer is right; the others are named. Then all
        forget the job, whose memory the next ones may need.
        """
        said = {}
        for worker in ready:
            try:
                said[f"{worker.peer} {worker.threads}T"] = worker.ask("check")
                worker.ask("release")
            except PeerError as error:
                print(f"{error}: left out", file=sys.stderr)
        return said

    def measure_busy(self, row: Row) -> Result:
        """The same work again while every core has a spinning process; each at its quiet best."""
        ready = self.prepare(row)
        quiet = self.rounds_of(row, ready)
        best = best_threads(quiet)
        with processes.busy_machine():
            busy = self.rounds_of(row, [w for w in ready if best[w.peer] == w.threads])
        values = {
            peer: statistics.median(busy[peer, n]) / statistics.median(quiet[peer, n])
            for peer, n in best.items()
        }
        return Result(row, values, best, details={"quiet": _named(quiet), "busy": _named(busy)})

    def measure_import(self, row: Row) -> Result:
        modules = {n: peers.PEERS[n][1] for n in self.names if peers.PEERS[n][1] != "numpy"}
        env = environment(self.env, 1)
        times = processes.import_seconds(list(modules.values()), 3 * self.rounds, env)
        over = processes.over_numpy(times)
        values = {n: over[m] for n, m in modules.items() if m in over}
        return Result(row, values, details={"seconds": times})

    def measure_memory(self, row: Row) -> Result:
        env = environment(self.env, 2)
        names = [name for name in self.names if type(row.job) in peers.load(name).JOBS]
        return Result(row, {n: processes.peak_megabytes(n, row.name, env) for n in names})

    def prepare(self, row: Row) -> list[Worker]:
        """The processes of those who can do the job, ready for it."""
        ready = []
        for threads in row.threads:
            for name in self.names:
                worker = self.worker(name, threads, row.isa)
                try:
                    able = worker.ask("prepare", row.name)
                except PeerError as error:
                    print(f"{error}: left out", file=sys.stderr)
                else:
                    ready += [worker] if able else []
        return ready

    def rounds_of(
        self,
        row: Row,
        ready: Sequence[Worker],
        roofs: list[Roof] | None = None,
        copies: list[float] | None = None,
    ) -> Times:
        """For work on memory the roof is measured in each round too: the host's other guests have
        their part of the bandwidth, now more, now less.
        """
        times: Times = {(w.peer, w.threads): [] for w in ready}
        for _ in range(min(self.rounds, row.rounds)):
            for worker in [w for w in ready if (w.peer, w.threads) in times]:
                time.sleep(PAUSE)
                try:
                    times[worker.peer, worker.threads].append(worker.ask("time"))
                except PeerError as error:
                    print(f"{error}: left out", file=sys.stderr)
                    del times[worker.peer, worker.threads]
            if roofs is not None and row.job.bytes:
                roofs.append(self.roof(max(row.threads), row.isa))
            if copies is not None and row.job.copied and ready:
                copies.append(ready[0].ask("copy"))
        return times


def best_threads(times: Times) -> dict[str, int]:
    """Of each peer, the thread count with the least median."""
    ranked = sorted(times, key=lambda key: statistics.median(times[key]), reverse=True)
    order = dict.fromkeys(peer for peer, _ in times)
    return order | dict(ranked)


def with_roof(result: Result, roofs: Roofs) -> Result:
    """With the least time that arithmetic and memory allow, where the row is work for either; or
    that a memcpy takes.
    """
    if copies := result.details.get("copies"):
        return replace(result, roof=statistics.median(copies))
    row, job = result.row, result.row.job
    best = roofs.get((row.isa, max(row.threads)))
    if row.kind != "time" or job is None or best is None or not job.flops + job.bytes:
        return result
    if gbytes := result.details.get("gbytes"):
        best = best.at_bandwidth(statistics.median(gbytes))
    return replace(result, roof=best.seconds(job.flops, job.bytes, job.traffic) / row.per)


def _named(times: Mapping[tuple[str, int], Any]) -> dict[str, Any]:
    return {f"{peer} {n}T": values for (peer, n), values in times.items()}
