"""Batched training: networks of one shape, on the same data and minibatches, train in one call.

Each gets the parameters that it would get alone, bit for bit; rows are gathered and multiplied by
the first layers' weights once for all networks.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from fanin import _core
from fanin.network import passes
from fanin.training.blocks import HeldChunks
from fanin.training.fit import Fit

Many = _core.Many32 | _core.Many64

MOST_ROWS = 1024  # of a minibatch that goes through the native loop in one part


def can_join(first: Fit, other: Fit) -> bool:
    """Whether two fits can train in one batch."""
    a, b = first.net, other.net
    p, q = first.data, other.data
    return (
        not (_alone(first) or _alone(other))
        and a.dims[:2] == b.dims[:2]
        and a.dims[-1] == b.dims[-1]
        and a.dtype == b.dtype
        and a.compute == b.compute
        and (a.seed, a.epochs_done, a.steps_done) == (b.seed, b.epochs_done, b.steps_done)
        and (first.batch, first.first, first.epochs, first.sampling)
        == (other.batch, other.first, other.epochs, other.sampling)
        and _memory(p.X) == _memory(q.X)
        and _same([p.mean, p.scale], [q.mean, q.scale])
        and _same(
            [p.labels, p.soft, p.weights, p.positive], [q.labels, q.soft, q.weights, q.positive]
        )
    )


def _alone(fit: Fit) -> bool:
    """Whether a fit has options that batched training does not support."""
    return bool(
        fit.clip
        or fit.blocks_of is not None
        or isinstance(fit.validation, HeldChunks)
        or fit.images is not None
        or fit.file.path is not None
        or fit.batch > MOST_ROWS
        or fit.callbacks.uses_batches
        or any(keep < 1 for keep in fit.net.drop_connect)
    )


def _memory(rows: Any) -> tuple[int, Any, Any]:
    return rows.ctypes.data, rows.shape, rows.dtype


def _same(a: Sequence[Any], b: Sequence[Any]) -> bool:
    return all(
        x is y or (x is not None and y is not None and np.array_equal(x, y))
        for x, y in zip(a, b, strict=True)
    )


def fit_together(fits: Sequence[Fit]) -> None:
    """Runs fits that can join; each has its own optimizer, learning rate, L2, schedule, callbacks.

    As `run` of each, but a divergence is in its history only, without a warning.
    """
    began = time.perf_counter()
    try:
        with ExitStack() as stack:
            for fit in fits:
                fit.begin()
                stack.enter_context(fit.callbacks)
                fit.callbacks.on_train_begin({})
            _run_epochs(fits)
    finally:
        for fit in fits:
            fit.history.seconds = time.perf_counter() - began


def _run_epochs(fits: Sequence[Fit]) -> None:
    live = list(fits)
    n, many = len(live), _many(live)
    for epoch in range(fits[0].first, fits[0].epochs):
        good = _run_epoch(epoch, live, many)
        results = _evaluate(live, many)
        for fit in list(live):
            if fit not in good:
                fit.put_back_good()
                fit.history.stop_reason = "diverged"
                live.remove(fit)
                continue
            fit.end_epoch(epoch, results[fit])
            fit.take_good()
            if fit.net.stop_training:
                fit.history.stop_reason = fit.net.stop_reason or "stopped by a callback"
                fit.callbacks.on_train_end({})
                live.remove(fit)
        if not live:
            return
        if len(live) < n:
            n, many = len(live), _many(live)
    for fit in live:
        fit.history.stop_reason = "all epochs done"
        fit.callbacks.on_train_end({})


def _many(fits: Sequence[Fit]) -> Many:
    """The native batch of networks."""
    kind = _core.Many32 if fits[0].net.dtype == np.float32 else _core.Many64
    engines: list[Any] = [fit.net.engine for fit in fits]  # all of one dtype
    return kind(engines, fits[0].batch)


def _run_epoch(epoch: int, fits: Sequence[Fit], many: Many) -> list[Fit]:
    """One epoch; those that did not diverge."""
    for fit in fits:
        fit.callbacks.on_epoch_begin(epoch, {})
        fit.begin_epoch(epoch)
    learners = [fit.learner for fit in fits]
    steps, step = fits[0].steps, 0
    while step < steps and not all(learner.diverged for learner in learners):
        many.train(fits[0].job, learners, step, steps)
        for fit, learner in zip(fits, learners, strict=True):
            fit.add_up(step, step + learner.steps)
            if not learner.diverged:
                fit.callbacks.on_progress(epoch * steps + step + learner.steps, fit.logs())
        step += max(learner.steps for learner in learners)
    return [fit for fit in fits if not fit.learner.diverged and fit.is_finite()]


def _evaluate(fits: Sequence[Fit], many: Many) -> dict[Fit, dict[str, float]]:
    """The validation metrics of each."""
    data = fits[0].validation
    if data is None or isinstance(data, HeldChunks):
        return {fit: {} for fit in fits}
    results = zip(fits, many.evaluate(data), strict=True)
    return {
        fit: passes.named_results(data, *result) | fit.evaluate_metrics() for fit, result in results
    }
