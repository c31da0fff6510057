"""What data-parallel training gains: measured here, and by a model of its traffic elsewhere.

``python -m benchmarks.studies.data_parallel [--widths 784 1024 10] [--batch 512]`` trains a network
on 4 chunks with 1 worker and with 2, of a thread each: processes of a Dask LocalCluster, and of
``mpiexec`` where mpi4py is there. It compares their bits, and prints the least time of a step over
some rounds, since others use the machine too. One fit with two threads, which share memory and
exchange nothing, stands beside. Then it prints what a step would take on W machines:
``t / W + log2(W) (2 latency + 4 P / bandwidth)``, where t is the measured time of one worker's step
and P the number of parameters, on networks of usual speed.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import fanin
from fanin.datasets import Chunks
from fanin.training import fit_on_dask, fit_parallel

CHUNKS, ROWS = 4, 4096
NETWORKS = {  # seconds of a message, bytes a second
    "1 Gbit/s Ethernet": (50e-6, 0.117e9),
    "10 Gbit/s Ethernet": (30e-6, 1.17e9),
    "100 Gbit/s InfiniBand": (2e-6, 12e9),
}

Run = tuple[float, np.ndarray]  # seconds of the epochs without the first pass, and the parameters


def read(k: int, columns: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(k)
    return rng.standard_normal((ROWS, columns), np.float32), rng.integers(0, classes, ROWS)


class Study:
    """The ways to run the same training."""

    def __init__(self, options: argparse.Namespace) -> None:
        columns, classes = options.widths[0], options.widths[-1]
        self.chunks = Chunks([partial(read, k, columns, classes) for k in range(CHUNKS)])
        self.run = {"epochs": options.epochs, "batch_size": options.batch, "preprocess": None}
        self.steps = options.epochs * CHUNKS * ROWS // options.batch
        self.options = options

    def net(self) -> fanin.MLP:
        return fanin.MLP(self.options.widths)

    def alone(self) -> Run:
        net = self.net()
        return fit_parallel(net, self.chunks, n_threads=1, **self.run).seconds, net.get_parameters()

    def dask(self) -> Run:
        import distributed

        net = self.net()
        with (
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            history = fit_on_dask(net, self.chunks, client, n_threads=1, **self.run)
        return history.seconds, net.get_parameters()

    def mpi(self) -> Run:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.npz"
            own = [sys.executable, "-m", "benchmarks.studies.data_parallel", *sys.argv[1:]]
            subprocess.run([mpiexec(), "-n", "2", *own, "--rank-to", path], check=True)
            with np.load(path) as found:
                return float(found["seconds"]), found["parameters"]

    def rank(self, path: Path) -> None:
        """This process's part of `mpi`."""
        from mpi4py import MPI

        net = self.net()
        history = fit_parallel(net, self.chunks, MPI.COMM_WORLD, n_threads=1, **self.run)
        if MPI.COMM_WORLD.Get_rank() == 0:
            np.savez(path, seconds=history.seconds, parameters=net.get_parameters())

    def threads(self) -> Run:
        net = self.net()
        X, y = (np.concatenate(p) for p in zip(*(c[:2] for c in self.chunks.read()), strict=True))
        history = net.fit(X, y, n_threads=2, progress=False, **self.run)
        return history.seconds, net.get_parameters()


def mpiexec() -> Path:
    return Path(sys.executable).with_name("mpiexec")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[784, 1024, 10])
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rank-to", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    study = Study(options)
    if options.rank_to is not None:
        study.rank(options.rank_to)
        return
    ways: dict[str, Callable[[], Run]] = {"1 worker": study.alone}
    if importlib.util.find_spec("distributed"):
        ways["2 workers, Dask"] = study.dask
    if importlib.util.find_spec("mpi4py") and mpiexec().exists():
        ways["2 workers, MPI"] = study.mpi
    ways["MLP.fit with 2 threads"] = study.threads
    runs = [{name: way() for name, way in ways.items()} for _ in range(options.rounds)]
    report(study, {name: min(run[name][0] for run in runs) for name in ways}, runs[0])


def report(study: Study, seconds: dict[str, float], run: dict[str, Run]) -> None:
    rows, parameters = study.options.batch, study.net().n_params
    print(f"{parameters} parameters, {rows} rows a step")
    one = seconds["1 worker"] / study.steps
    for name, of_all in seconds.items():
        step = of_all / study.steps
        alike = np.array_equal(run[name][1], run["1 worker"][1])
        bits = "; the same bits" if alike else "; OTHER bits"
        told = f", {one / step:.2f} times as fast" + (bits if "workers" in name else "")
        print(f"{name}: {1e3 * step:.2f} ms a step" + (told if step != one else ""))
    print("by the model, times as fast as one worker:")
    for network, (latency, bandwidth) in NETWORKS.items():
        exchange = 2 * latency + 4 * parameters / bandwidth
        gains: dict[Any, float] = {w: one / (one / w + math.log2(w) * exchange) for w in (2, 4, 8)}
        told = ", ".join(f"{w} workers {gain:.2f}" for w, gain in gains.items())
        # Two are faster where half a step takes longer than an exchange.
        print(f"  {network}: {told}; 2 pay from {rows * 2 * exchange / one:.0f} rows a step")


if __name__ == "__main__":
    main()
