"""NumPy: buffers made beforehand, ``out=`` throughout, blocks that stay in cache."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle

import numpy as np

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
    Whitening,
)
from benchmarks.peers import numpy_images
from benchmarks.peers.numpy_network import BLOCK, adam, train


def configure(threads: int) -> None:
    """BLAS takes its threads from the environment."""


def version() -> str:
    return f"NumPy {np.__version__}"


def dense(job: Dense) -> Prepared:
    x, _, b = job.arrays
    weights = cycle(job.weights)
    out = np.empty((job.M, job.N), "f4")

    def relu() -> Array:
        np.dot(x, next(weights), out=out)
        np.add(out, b, out=out)
        return np.maximum(out, 0, out=out)

    def tanh() -> Array:
        np.dot(x, next(weights), out=out)
        np.add(out, b, out=out)
        return np.tanh(out, out=out)

    run = {"relu": relu, "tanh": tanh}[job.activation]
    return Prepared(run, run)


def backward(job: Backward) -> Prepared:
    x, W, dY = job.arrays
    dX, dW, db = np.empty_like(x), np.empty_like(W), np.empty(job.N, "f4")

    def run() -> None:
        np.dot(dY, W.T, out=dX)
        np.dot(x.T, dY, out=dW)
        np.add.reduce(dY, axis=0, out=db)

    return Prepared(run, lambda: (dX, dW, db))


def generator(seed: int) -> np.random.Generator:
    """NumPy's fastest."""
    return np.random.Generator(np.random.SFC64(seed))


def draw(job: Draw) -> Prepared:
    rng, out = generator(0), np.empty(job.size, "f4")
    fill = {"normal": rng.standard_normal, "uniform": rng.random}[job.distribution]
    return Prepared(lambda: fill(dtype=np.float32, out=out), lambda: out)


def dropout(job: Dropout) -> Prepared:
    rng, out = generator(0), np.empty_like(job.x)
    uniform, mask = np.empty(BLOCK, "f4"), np.empty(BLOCK, np.bool_)
    x, y = job.x.reshape(-1), out.reshape(-1)
    blocks = [(x[i : i + BLOCK], y[i : i + BLOCK]) for i in range(0, x.size, BLOCK)]
    scale = np.float32(1 / job.keep)

    def run() -> None:
        for x, y in blocks:
            u, m = uniform[: x.size], mask[: x.size]
            rng.random(dtype=np.float32, out=u)
            np.less(u, job.keep, out=m)
            np.multiply(x, scale, out=y)
            np.multiply(y, m, out=y)

    return Prepared(run, lambda: out)


def adam_step(job: AdamStep) -> Prepared:
    def answer() -> Array:
        p, g = (a.copy() for a in job.arrays)
        step = adam(p, g, job.lr)
        for factor in (1, 2, 3):
            np.multiply(job.arrays[1], factor, out=g)
            step()
        return p

    return Prepared(adam(job.arrays[0].copy(), job.arrays[1], job.lr), answer)


def experiment(job: Experiment) -> Prepared:
    """The weights drawn by a generator a thread, each into its rows."""
    threads = int(os.environ.get("OPENBLAS_NUM_THREADS", "1"))
    W = np.empty((job.width, job.width), "f4")
    draws = [
        partial(generator(i).standard_normal, dtype=np.float32, out=out)
        for i, out in enumerate(np.array_split(W, threads))
    ]
    rng, pool = generator(threads), ThreadPoolExecutor(threads)
    x, y = np.empty((2, job.rows, job.width), "f4")
    found = np.empty((len(job.cases), job.layers, 2))

    def run() -> None:
        for case, (_, std, activation) in enumerate(job.cases):
            rng.standard_normal(dtype=np.float32, out=x)
            for layer in range(job.layers):
                list(pool.map(lambda fill: fill(), draws))
                np.dot(x, W, out=y)
                np.multiply(y, np.float32(std), out=y)
                np.tanh(y, out=x) if activation == "tanh" else np.maximum(y, 0, out=x)
                found[case, layer] = x.mean(), x.std()

    return Prepared(run, lambda: found)


def _covariance(X: Array) -> tuple[Array, Array]:
    """(covariance, mean): one half of X.T @ X (BLAS's syrk), then the mean's part taken off."""
    mean = X.mean(axis=0)
    C = np.dot(X.T, X)
    C -= len(X) * np.outer(mean, mean)
    C /= len(X) - 1
    return C, mean


def _project(mean: Array, V: Array, out: Array) -> Callable[[Array], None]:
    offset = mean @ V

    def project(X: Array) -> None:
        np.dot(X, V, out=out)
        np.subtract(out, offset, out=out)

    return project


def whitening(job: Whitening) -> Prepared:
    X = job.data
    Y = np.empty_like(X)

    def run() -> None:
        C, mean = _covariance(X)
        variance, V = np.linalg.eigh(C)
        V /= np.sqrt(variance)
        _project(mean, V, Y)(X)

    return Prepared(run, lambda: Y)


def covariance(job: Covariance) -> Prepared:
    X, C = job.data, None

    def run() -> None:
        nonlocal C
        C, _ = _covariance(X)

    return Prepared(run, lambda: C)


def projection(job: Projection) -> Prepared:
    X = job.data
    Y, mean = np.empty_like(X), X.mean(axis=0)
    V = generator(0).standard_normal((job.cols, job.cols), dtype=np.float32)
    project = _project(mean, V, Y)
    return Prepared(lambda: project(X), lambda: (Y[:64], mean, V))


def predict(job: Predict) -> Prepared:
    def labels(x: Array) -> Array:
        for W, b in job.layers[:-1]:
            x = x @ W
            x += b
            np.maximum(x, 0, out=x)
        W, b = job.layers[-1]
        return (x @ W + b).argmax(axis=1)

    row = job.row
    return Prepared(lambda: labels(row), lambda: labels(job.rows))


JOBS = {
    Train: train,
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
    **numpy_images.JOBS,
}
