"""JAX: the whole epoch in one jit, a scan over its steps, the state donated; compiled before."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import numpy as np

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp

from benchmarks import data
from benchmarks.jobs import Array, Dense, Prepared, Train

Tree = Any


def configure(threads: int) -> None:
    """XLA sizes its pool by the cores it may run on, at the first computation."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def version() -> str:
    return f"JAX {jax.__version__}"


def _scores(params: Tree, x: jax.Array) -> jax.Array:
    for W, b in params[:-1]:
        x = jax.nn.relu(x @ W + b)
    W, b = params[-1]
    return x @ W + b


def _loss(params: Tree, x: jax.Array, y: jax.Array) -> jax.Array:
    log_p = jax.nn.log_softmax(_scores(params, x))
    return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()


def _adam(lr: float, params: Tree, grads: Tree, state: Tree) -> tuple[Tree, Tree]:
    m, v, t = state
    t = t + 1
    m = jax.tree.map(lambda m, g: m + 0.1 * (g - m), m, grads)
    v = jax.tree.map(lambda v, g: v + 0.001 * (g * g - v), v, grads)
    root = jnp.sqrt(1 - 0.999**t)
    rate, eps = lr * root / (1 - 0.9**t), 1e-8 * root
    return jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + eps), params, m, v), (m, v, t)


def _momentum(lr: float, params: Tree, grads: Tree, velocity: Tree) -> tuple[Tree, Tree]:
    velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, grads)
    return jax.tree.map(lambda p, v: p - lr * v, params, velocity), velocity


def train(job: Train) -> Prepared:
    X, y = jnp.asarray(data.scaled(job.data.X)), jnp.asarray(job.data.y.astype(np.int32))
    params = jax.tree.map(jnp.asarray, job.initial_parameters())
    zeros = jax.tree.map(jnp.zeros_like, params)
    if job.optimizer == "adam":
        update = partial(_adam, job.lr)
        state = (params, (zeros, jax.tree.map(jnp.zeros_like, params), jnp.float32(0)))
    else:
        update = partial(_momentum, job.lr)
        state = (params, zeros)
    whole = job.rows // job.batch * job.batch

    @partial(jax.jit, donate_argnums=0)
    def epoch(state: Tree, X: jax.Array, y: jax.Array, order: jax.Array) -> Tree:
        def step(state: Tree, index: jax.Array) -> tuple[Tree, None]:
            params, inner = state
            grads = jax.grad(_loss)(params, X[index], y[index])
            return update(params, grads, inner), None

        state, _ = jax.lax.scan(step, state, order[:whole].reshape(-1, job.batch))
        return step(state, order[whole:])[0] if whole < job.rows else state

    rng = np.random.default_rng(0)

    def run() -> None:
        nonlocal state
        state = epoch(state, X, y, rng.permutation(job.rows).astype(np.int32))
        jax.block_until_ready(state)

    return Prepared(run, lambda: np.asarray(_scores(state[0], data.scaled(job.data.X_test))))


def dense(job: Dense) -> Prepared:
    x, W, b = (jnp.asarray(a) for a in job.arrays)
    activation = {"relu": jax.nn.relu, "tanh": jnp.tanh}[job.activation]
    forward = jax.jit(lambda x, W, b: activation(x @ W + b))

    def run() -> jax.Array:
        return forward(x, W, b).block_until_ready()

    def answer() -> Array:
        return np.asarray(run())

    return Prepared(run, answer)


JOBS = {Train: train, Dense: dense}
