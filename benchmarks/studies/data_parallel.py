"""What data-parallel training gains: measured here, and by a model of its traffic elsewhere.

``python -m benchmarks.studies.data_parallel [--widths 784 1024 10] [--batch 512]`` trains a network
on 4 chunks with 1 worker and with 2 (a Dask LocalCluster of processes, one thread each), and
compares their bits. Then it prints what a step would take on W machines:
``t / W + log2(W) (latency + 4 P / bandwidth)``, where t is the measured time of one worker's step
and P the number of parameters, on networks of usual speed. One fit with two threads, which share
memory and exchange nothing, stands beside.
"""

from __future__ import annotations

import argparse
import math
import time
from functools import partial

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


def read(k: int, columns: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(k)
    return rng.standard_normal((ROWS, columns), np.float32), rng.integers(0, classes, ROWS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[784, 1024, 10])
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    columns, classes = options.widths[0], options.widths[-1]
    chunks = Chunks([partial(read, k, columns, classes) for k in range(CHUNKS)])
    run = {"epochs": options.epochs, "batch_size": options.batch, "preprocess": None}
    steps = options.epochs * CHUNKS * ROWS // options.batch
    alone, pair, shared = (fanin.MLP(options.widths) for _ in range(3))
    # history.seconds are of the epochs, without the first pass.
    one = fit_parallel(alone, chunks, n_threads=1, **run).seconds / steps
    two = measured_on_dask(pair, chunks, run) / steps
    same = np.array_equal(alone.get_parameters(), pair.get_parameters())
    X, y = (np.concatenate(parts) for parts in zip(*(c[:2] for c in chunks.read()), strict=True))
    threads = shared.fit(X, y, n_threads=2, progress=False, **run).seconds / steps
    parameters = alone.n_params
    print(f"{parameters} parameters, {options.batch} rows a step; the bits of 1 and 2 workers "
          f"are {'the same' if same else 'DIFFERENT'}")  # fmt: skip
    gain = f"{one / two:.2f} times as fast"
    print(f"a step: 1 worker {1e3 * one:.2f} ms, 2 workers {1e3 * two:.2f} ms ({gain})")
    print(f"        MLP.fit with 2 threads {1e3 * threads:.2f} ms")
    print("by the model, times as fast as one worker:")
    for name, (latency, bandwidth) in NETWORKS.items():
        exchange = latency + 4 * parameters / bandwidth
        gains = {w: one / (one / w + math.log2(w) * exchange) for w in (2, 4, 8)}
        told = ", ".join(f"{w} workers {gain:.2f}" for w, gain in gains.items())
        # Two are faster where half a step takes longer than an exchange.
        least = options.batch * 2 * exchange / one
        print(f"  {name}: {told}; 2 pay from {least:.0f} rows a step")


def measured_on_dask(net: fanin.MLP, chunks: Chunks, run: dict[str, object]) -> float:
    """Seconds of the epochs with two workers."""
    import distributed

    began = time.perf_counter()
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        seconds = fit_on_dask(net, chunks, client, n_threads=1, **run).seconds
    print(f"(the cluster and the first pass took {time.perf_counter() - began - seconds:.1f} s)")
    return seconds


if __name__ == "__main__":
    main()
