"""fanin: `MLP.fit` from uint8, and the layers as called from Python."""

from __future__ import annotations

import numpy as np

import fanin
from benchmarks.jobs import Array, Dense, Prepared, Train


def configure(threads: int) -> None:
    fanin.set_num_threads(threads)


def version() -> str:
    return f"fanin {fanin.__version__} ({fanin._core.isa()})"


def train(job: Train) -> Prepared:
    network = fanin.MLP(job.dims, seed=0)
    optimizer = {"adam": fanin.optim.Adam, "momentum": fanin.optim.Momentum}[job.optimizer](job.lr)

    def run() -> None:
        network.fit(
            job.data.X,
            job.data.y,
            epochs=1,
            batch_size=job.batch,
            optimizer=optimizer,
            progress=False,
        )

    return Prepared(run, lambda: network.scores(job.data.X_test))


def dense(job: Dense) -> Prepared:
    x, W, b = job.arrays
    out = np.empty((job.M, job.N), "f4")

    def run() -> Array:
        return fanin.layers.dense(x, W, b, activation=job.activation, out=out)

    return Prepared(run, run)


JOBS = {Train: train, Dense: dense}
