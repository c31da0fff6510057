"""JAX: the whole epoch in one jit, a scan over its steps, the state donated; compiled before."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp

from benchmarks import data
from benchmarks.jobs import (
    AdamStep,
    Array,
    Backward,
    Dense,
    Draw,
    Dropout,
    Experiment,
    Prepared,
    Train,
    TrainBlocks,
)

Tree = Any


COMPUTES = (None, "bf16")


def configure(threads: int) -> None:
    """XLA sizes its pool by the cores it may run on, at the first computation."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def version() -> str:
    return f"JAX {jax.__version__}"


# (parameters, running statistics, rows, whether in training) -> (scores, running statistics)
Network = Callable[[Tree, Tree, jax.Array, bool], tuple[jax.Array, Tree]]


def _plain(params: Tree, running: Tree, x: jax.Array, _: bool) -> tuple[jax.Array, Tree]:
    for W, b in params[:-1]:
        x = jax.nn.relu(x @ W + b)
    W, b = params[-1]
    return x @ W + b, running


def _loss(
    params: Tree, running: Tree, x: jax.Array, y: jax.Array, network: Network
) -> tuple[jax.Array, Tree]:
    scores, running = network(params, running, x, True)
    log_p = jax.nn.log_softmax(scores)
    return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean(), running


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


def _bf16(params: Tree, running: Tree, x: jax.Array, _: bool) -> tuple[jax.Array, Tree]:
    """Products of operands in bf16, their sums in float32."""
    for number, (W, b) in enumerate(params):
        left, right = x.astype(jnp.bfloat16), W.astype(jnp.bfloat16)
        z = jnp.dot(left, right, preferred_element_type=jnp.float32) + b
        x = jax.nn.relu(z) if number + 1 < len(params) else z
    return x, running


def train(job: Train) -> Prepared:
    network = _bf16 if job.compute == "bf16" else _plain
    return _trained(job, jax.tree.map(jnp.asarray, job.initial_parameters()), [], network)


ACTIVATIONS = {
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "elu": jax.nn.elu,
    "gelu": partial(jax.nn.gelu, approximate=False),
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "silu": jax.nn.silu,
    "mish": jax.nn.mish,
    "softplus": jax.nn.softplus,
    "selu": jax.nn.selu,
}


def blocks(job: TrainBlocks) -> Prepared:
    params, running = [], []
    for W, b in job.initial_parameters():
        layer = {"W": W, "b": b}
        if len(params) < len(job.dims) - 2:
            if job.norm is not None:
                layer |= {"gamma": np.ones_like(b), "beta": np.zeros_like(b)}
            if job.norm == "batch":
                del layer["b"]
                running.append((np.zeros_like(b), np.ones_like(b)))
            if job.activation == "prelu":
                layer["slopes"] = np.full_like(b, 0.25)
        params.append(layer)
    return _trained(job, *jax.tree.map(jnp.asarray, (params, running)), partial(_blocks, job))


def _blocks(
    job: TrainBlocks, params: Tree, running: Tree, x: jax.Array, training: bool
) -> tuple[jax.Array, Tree]:
    moved = []
    for number, layer in enumerate(params[:-1]):
        z = x @ layer["W"]
        if job.norm != "batch":
            z += layer["b"]
        if job.norm == "layer":
            z = _normalized(layer, z, z.mean(1, keepdims=True), z.var(1, keepdims=True))
        elif job.norm == "batch":
            moments = (z.mean(0), z.var(0)) if training else running[number]
            z = _normalized(layer, z, *moments)
            n = len(x)
            seen = moments[0], moments[1] * n / (n - 1)
            moved.append([0.9 * a + 0.1 * b for a, b in zip(running[number], seen, strict=True)])
        if job.activation == "prelu":
            a = jnp.where(z > 0, z, layer["slopes"] * z)
        else:
            a = ACTIVATIONS[job.activation](z)
        x = x + a if job.residual and x.shape == a.shape else a
    moved = [tuple(pair) for pair in moved]
    return x @ params[-1]["W"] + params[-1]["b"], jax.lax.stop_gradient(moved)


def _normalized(layer: Tree, z: jax.Array, mean: jax.Array, variance: jax.Array) -> jax.Array:
    return layer["gamma"] * (z - mean) * jax.lax.rsqrt(variance + 1e-5) + layer["beta"]


def _trained(job: Train, params: Tree, running: Tree, network: Network) -> Prepared:
    X, y = jnp.asarray(data.scaled(job.data.X)), jnp.asarray(job.data.y.astype(np.int32))
    zeros = jax.tree.map(jnp.zeros_like, params)
    if job.optimizer == "adam":
        update = partial(_adam, job.lr)
        inner = (zeros, jax.tree.map(jnp.zeros_like, params), jnp.float32(0))
    else:
        update = partial(_momentum, job.lr)
        inner = zeros
    state = (params, running, inner)
    whole = job.rows // job.batch * job.batch

    @partial(jax.jit, donate_argnums=0)
    def epoch(state: Tree, X: jax.Array, y: jax.Array, order: jax.Array) -> Tree:
        def step(state: Tree, index: jax.Array) -> tuple[Tree, None]:
            params, running, inner = state
            gradient = jax.grad(partial(_loss, network=network), has_aux=True)
            grads, running = gradient(params, running, X[index], y[index])
            params, inner = update(params, grads, inner)
            return (params, running, inner), None

        state, _ = jax.lax.scan(step, state, order[:whole].reshape(-1, job.batch))
        return step(state, order[whole:])[0] if whole < job.rows else state

    rng = np.random.default_rng(0)

    def run() -> None:
        nonlocal state
        state = epoch(state, X, y, rng.permutation(job.rows).astype(np.int32))
        jax.block_until_ready(state)

    def answer() -> Array:
        params, running, _ = state
        return np.asarray(network(params, running, data.scaled(job.data.X_test), False)[0])

    return Prepared(run, answer)


def dense(job: Dense) -> Prepared:
    x, _, b = (jnp.asarray(a) for a in job.arrays)
    weights = cycle([jnp.asarray(W) for W in job.weights])
    activation = {"relu": jax.nn.relu, "tanh": jnp.tanh}[job.activation]
    forward = jax.jit(lambda x, W, b: activation(x @ W + b))

    def run() -> jax.Array:
        return forward(x, next(weights), b).block_until_ready()

    return Prepared(run, lambda: np.asarray(run()))


def backward(job: Backward) -> Prepared:
    arrays = [jnp.asarray(a) for a in job.arrays]
    gradients = jax.jit(lambda x, W, dY: (dY @ W.T, x.T @ dY, dY.sum(axis=0)))

    def run() -> Tree:
        return jax.block_until_ready(gradients(*arrays))

    return Prepared(run, lambda: tuple(np.asarray(a) for a in run()))


def _with_key(function: Callable[[jax.Array], jax.Array]) -> Callable[[], jax.Array]:
    """The function compiled, with a fresh key for each call. Threefry, the default generator, was
    faster than the others.
    """
    key = jax.random.key(0)

    @jax.jit
    def split(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        key, used = jax.random.split(key)
        return key, function(used)

    def run() -> jax.Array:
        nonlocal key
        key, out = split(key)
        return jax.block_until_ready(out)

    return run


def draw(job: Draw) -> Prepared:
    sample = {"normal": jax.random.normal, "uniform": jax.random.uniform}[job.distribution]
    run = _with_key(lambda key: sample(key, (job.size,)))
    return Prepared(run, lambda: np.asarray(run()))


def dropout(job: Dropout) -> Prepared:
    x = jnp.asarray(job.x)

    def drop(key: jax.Array) -> jax.Array:
        return jnp.where(jax.random.bernoulli(key, job.keep, x.shape), x / job.keep, 0)

    run = _with_key(drop)
    return Prepared(run, lambda: np.asarray(run()))


def adam_step(job: AdamStep) -> Prepared:
    g = jnp.asarray(job.arrays[1])

    def fresh() -> Tree:
        # copies, since a donated array must not be NumPy's own
        p = jnp.array(job.arrays[0], copy=True)
        return p, (jnp.zeros_like(p), jnp.zeros_like(p), jnp.float32(0))

    @partial(jax.jit, donate_argnums=0)
    def step(state: Tree, g: jax.Array) -> Tree:
        params, inner = state
        return _adam(job.lr, params, g, inner)

    state = fresh()

    def run() -> None:
        nonlocal state
        state = jax.block_until_ready(step(state, g))

    def answer() -> Array:
        state = fresh()
        for factor in (1, 2, 3):
            state = step(state, factor * g)
        return np.asarray(state[0])

    return Prepared(run, answer)


def experiment(job: Experiment) -> Prepared:
    @partial(jax.jit, static_argnums=2)
    def case(key: jax.Array, std: float, activation: str) -> jax.Array:
        activate = {"relu": jax.nn.relu, "tanh": jnp.tanh}[activation]
        key, used = jax.random.split(key)
        x, found = jax.random.normal(used, (job.rows, job.width)), []
        for used in jax.random.split(key, job.layers):
            W = jax.random.normal(used, (job.width, job.width))
            x = activate((x @ W) * std)
            found.append(jnp.stack([x.mean(), x.std()]))
        return jnp.stack(found)

    key, found = jax.random.key(0), []

    def run() -> None:
        nonlocal key, found
        key, *used = jax.random.split(key, 1 + len(job.cases))
        found = [case(k, *rest) for k, (_, *rest) in zip(used, job.cases, strict=True)]
        jax.block_until_ready(found)

    return Prepared(run, lambda: np.asarray(found))


JOBS = {
    Train: train,
    TrainBlocks: blocks,
    Dense: dense,
    Backward: backward,
    Draw: draw,
    Dropout: dropout,
    AdamStep: adam_step,
    Experiment: experiment,
}
