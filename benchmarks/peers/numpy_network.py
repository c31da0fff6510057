"""NumPy: training, with buffers made beforehand, ``out=`` throughout, Adam in blocks in cache."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks import data
from benchmarks.jobs import Array, Prepared, Train

BLOCK = 32768  # parameters that an optimizer takes through all its passes at once


class Network:
    """One flat arena for parameters, one for gradients, and views into both."""

    def __init__(self, job: Train) -> None:
        shapes = [(d, h) for d, h in zip(job.dims[:-1], job.dims[1:], strict=True)]
        size = sum(d * h + h for d, h in shapes)
        self.params, self.grads = np.empty(size, "f4"), np.empty(size, "f4")
        self.W, self.b = _views(self.params, shapes)
        self.dW, self.db = _views(self.grads, shapes)
        for W, b, (W0, b0) in zip(self.W, self.b, job.initial_parameters(), strict=True):
            W[...], b[...] = W0, b0
        self.x = np.empty((job.batch, job.dims[0]), "f4")
        self.h = [np.empty((job.batch, h), "f4") for _, h in shapes]
        self.dh = [np.empty((job.batch, h), "f4") for _, h in shapes]
        self.off = [np.empty((job.batch, h), np.bool_) for _, h in shapes]
        self.column = np.empty((job.batch, 1), "f4")
        self.rows = np.arange(job.batch)

    def gradients(self, x: Array, y: Array) -> None:
        n, last = len(x), len(self.W) - 1
        below = [x, *(h[:n] for h in self.h)]
        for i, (W, b) in enumerate(zip(self.W, self.b, strict=True)):
            out = np.dot(below[i], W, out=below[i + 1])
            out += b
            if i < last:
                np.maximum(out, 0, out=out)
        p, column = below[-1], self.column[:n]
        p -= np.max(p, axis=1, keepdims=True, out=column)
        np.exp(p, out=p)
        np.sum(p, axis=1, keepdims=True, out=column)
        column *= n
        p /= column
        p[self.rows[:n], y] -= np.float32(1 / n)
        dout = p
        for i in range(last, -1, -1):
            np.dot(below[i].T, dout, out=self.dW[i])
            np.sum(dout, axis=0, out=self.db[i])
            if i > 0:
                off, lower = self.off[i - 1][:n], self.dh[i - 1][:n]
                np.less_equal(below[i], 0, out=off)
                dout = np.dot(dout, self.W[i].T, out=lower)
                np.copyto(dout, 0, where=off)

    def scores(self, x: Array) -> Array:
        for i, (W, b) in enumerate(zip(self.W, self.b, strict=True)):
            x = x @ W + b if i == len(self.W) - 1 else np.maximum(x @ W + b, 0)
        return x


def _views(arena: Array, shapes: list[tuple[int, int]]) -> tuple[list[Array], list[Array]]:
    W, b, start = [], [], 0
    for d, h in shapes:
        W.append(arena[start : start + d * h].reshape(d, h))
        b.append(arena[start + d * h : start + d * h + h])
        start += d * h + h
    return W, b


def adam(params: Array, grads: Array, lr: float) -> Callable[[], None]:
    """Twelve passes over a block of each array, block by block."""
    m, v = np.zeros_like(params), np.zeros_like(params)
    t = np.empty(BLOCK, "f4")
    blocks = [
        tuple(a[i : i + BLOCK] for a in (params, grads, m, v)) for i in range(0, m.size, BLOCK)
    ]
    c1, c2 = np.float32(1 - 0.9), np.float32(1 - 0.999)
    step = 0

    def update() -> None:
        nonlocal step
        step += 1
        root = np.sqrt(1 - 0.999**step)
        rate, eps = np.float32(lr * root / (1 - 0.9**step)), np.float32(1e-8 * root)
        for p, g, m, v in blocks:
            s = t[: p.size]
            np.subtract(g, m, out=s)
            s *= c1
            m += s
            np.multiply(g, g, out=s)
            s -= v
            s *= c2
            v += s
            np.sqrt(v, out=s)
            s += eps
            np.divide(m, s, out=s)
            s *= rate
            p -= s

    return update


def momentum(params: Array, grads: Array, lr: float) -> Callable[[], None]:
    velocity, rate, rho = np.zeros_like(params), np.float32(lr), np.float32(0.9)

    def update() -> None:
        np.multiply(velocity, rho, out=velocity)
        np.multiply(grads, rate, out=grads)
        np.add(velocity, grads, out=velocity)
        np.subtract(params, velocity, out=params)

    return update


def train(job: Train) -> Prepared:
    X, y = data.scaled(job.data.X), job.data.y
    network = Network(job)
    optimizer = {"adam": adam, "momentum": momentum}[job.optimizer]
    update = optimizer(network.params, network.grads, job.lr)
    rng = np.random.default_rng(0)

    def run() -> None:
        order = rng.permutation(job.rows)
        for start in range(0, job.rows, job.batch):
            index = order[start : start + job.batch]
            x = np.take(X, index, axis=0, out=network.x[: len(index)], mode="clip")
            network.gradients(x, y[index])
            update()

    return Prepared(run, lambda: network.scores(data.scaled(job.data.X_test)))
