"""fanin: `MLP.fit` from uint8, and its functions as called from Python."""

from __future__ import annotations

from itertools import cycle

import numpy as np

import fanin
from benchmarks.jobs import (
    AdamStep,
    Array,
    Backward,
    Covariance,
    Dense,
    Draw,
    Dropout,
    Experiment,
    Predict,
    Prepared,
    Projection,
    Train,
    TrainBlocks,
    Whitening,
)
from benchmarks.peers import fanin_images

COMPUTES = (None, "bf16")


def configure(threads: int) -> None:
    fanin.set_num_threads(threads)


def version() -> str:
    return f"fanin {fanin.__version__} ({fanin._core.isa()})"


def train(job: Train) -> Prepared:
    return _trained(job, fanin.MLP(job.dims, compute=job.compute, seed=0))


def blocks(job: TrainBlocks) -> Prepared:
    network = fanin.MLP(
        job.dims, activation=job.activation, norm=job.norm, residual=job.residual, seed=0
    )
    return _trained(job, network)


def _trained(job: Train, network: fanin.MLP) -> Prepared:
    optimizer = {"adam": fanin.optim.Adam, "momentum": fanin.optim.Momentum}[job.optimizer](job.lr)

    def run() -> None:
        network.fit(
            job.data.X,
            job.data.y,
            epochs=1,
            batch_size=job.batch,
            optimizer=optimizer,
            preprocess=(0, 1 / 255),
            progress=False,
        )

    return Prepared(run, lambda: network.scores(job.data.X_test))


def network_of(job: Predict) -> fanin.MLP:
    """The network that is to predict."""
    network = fanin.MLP(job.dims, seed=0)
    for number, (W, b) in enumerate(job.layers, 1):
        network.params[f"W{number}"][...] = W
        network.params[f"b{number}"][...] = b
    return network


def predict(job: Predict) -> Prepared:
    network, row = network_of(job), job.row
    return Prepared(lambda: network.predict(row), lambda: network.predict(job.rows))


def dense(job: Dense) -> Prepared:
    x, _, b = job.arrays
    weights = cycle(job.weights)
    out = np.empty((job.M, job.N), "f4")

    def run() -> Array:
        return fanin.layers.dense(x, next(weights), b, activation=job.activation, out=out)

    return Prepared(run, run)


def backward(job: Backward) -> Prepared:
    x, W, dY = job.arrays
    _, cache = fanin.layers.dense_forward(x, W, activation="identity")

    def run() -> tuple[Array | None, Array, Array]:
        return fanin.layers.dense_backward(dY, cache)

    return Prepared(run, run)


def draw(job: Draw) -> Prepared:
    rng, out = fanin.random.Generator(0), np.empty(job.size, "f4")
    fill = {"normal": rng.standard_normal, "uniform": rng.random}[job.distribution]
    return Prepared(lambda: fill(out=out), lambda: out)


def dropout(job: Dropout) -> Prepared:
    rng, x, out = fanin.random.Generator(0), job.x, np.empty_like(job.x)

    def run() -> Array:
        return fanin.layers.dropout_forward(x, keep=job.keep, rng=rng, out=out)[0]

    return Prepared(run, run)


def adam_step(job: AdamStep) -> Prepared:
    def answer() -> Array:
        p, optimizer = job.arrays[0].copy(), fanin.optim.Adam(job.lr)
        for factor in (1, 2, 3):
            optimizer.step(p, np.float32(factor) * job.arrays[1])
        return p

    p, g = job.arrays[0].copy(), job.arrays[1]
    optimizer = fanin.optim.Adam(job.lr)
    return Prepared(lambda: optimizer.step(p, g), answer)


def experiment(job: Experiment) -> Prepared:
    dims, found = [job.width] * (job.layers + 1), []
    seed = 0

    def run() -> None:
        nonlocal seed
        found.clear()
        for _, std, activation in job.cases:
            seed += 1
            report = fanin.diagnostics.activation_statistics(
                dims, n=job.rows, std=std, activation=activation, seed=seed
            )
            found.append([(layer.mean, layer.std) for layer in report.layers])

    return Prepared(run, lambda: np.asarray(found))


def whitening(job: Whitening) -> Prepared:
    X, Y = job.data, None

    def run() -> None:
        nonlocal Y
        Y = None  # the last result's memory goes first
        Y = fanin.preprocessing.Whiten(method="pca").fit_transform(X)

    return Prepared(run, lambda: Y)


def covariance(job: Covariance) -> Prepared:
    """What `PCA.partial_fit` does; here the answer is put together again from its eigenvectors."""
    X, pca = job.data, None

    def run() -> None:
        nonlocal pca
        pca = fanin.preprocessing.PCA().partial_fit(X)

    def answer() -> Array:
        return (pca.components_.T * pca.explained_variance_) @ pca.components_

    return Prepared(run, answer)


def projection(job: Projection) -> Prepared:
    X, Y = job.data, None
    whiten = fanin.preprocessing.Whiten(method="pca").fit(X)

    def run() -> None:
        nonlocal Y
        Y = None
        Y = whiten.transform(X)

    def answer() -> tuple[Array, Array, Array]:
        return Y[:64], whiten.mean_, whiten.components_.T / np.sqrt(whiten.explained_variance_)

    return Prepared(run, answer)


JOBS = {
    Train: train,
    TrainBlocks: blocks,
    Predict: predict,
    Dense: dense,
    Backward: backward,
    Draw: draw,
    Dropout: dropout,
    AdamStep: adam_step,
    Experiment: experiment,
    Whitening: whitening,
    Covariance: covariance,
    Projection: projection,
    **fanin_images.JOBS,
}
