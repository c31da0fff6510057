"""Fits side by side: networks of one shape that share data and minibatches train as one.

Each learns what it would learn alone, bit for bit; their first layers' products and the gathering
of rows are done for all of them at once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from fanin import _core
from fanin.training.fit import CHUNK_SECONDS, _Fit, _Snapshot

MOST_ROWS = 1024  # of a minibatch that goes through the native loop in one part


def can_join(first: _Fit, other: _Fit) -> bool:
    """Whether two fits may go side by side."""
    a, b = first.net, other.net
    return (
        not (_alone(first) or _alone(other))
        and a.dims[:2] == b.dims[:2]
        and a.dims[-1] == b.dims[-1]
        and a.dtype == b.dtype
        and (a.seed, a.epochs_done, a.steps_done) == (b.seed, b.epochs_done, b.steps_done)
        and (first.batch, first.epochs, first.sampling)
        == (other.batch, other.epochs, other.sampling)
        and _memory(first.X) == _memory(other.X)
        and _same(first.transform, other.transform)
        and _same(first.targets, other.targets)
        and _same([first.weights], [other.weights])
    )


def _alone(fit: _Fit) -> bool:
    """Whether something of a fit is not to be had side by side."""
    return bool(
        fit.clip
        or fit.images is not None
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


class Together:
    """Fits that can join, each with its own optimizer, rates, L2, schedule and callbacks."""

    def __init__(self, fits: Sequence[_Fit]) -> None:
        self.fits = fits
        self.first = fits[0]

    def run(self) -> None:
        """As `run` of each; what diverged is in their histories, without a warning."""
        began = time.perf_counter()
        try:
            with ExitStack() as stack:
                for fit in self.fits:
                    fit.net.stop_training, fit.net.stop_reason = False, ""
                    fit.net.history = fit.history
                    fit.history.stop_reason = "failed"
                    stack.enter_context(fit.callbacks)
                    fit.callbacks.on_train_begin({})
                self.run_epochs()
        finally:
            for fit in self.fits:
                fit.history.seconds = time.perf_counter() - began

    def run_epochs(self) -> None:
        live = {fit: _Snapshot(fit.net, fit.optimizer, fit.states) for fit in self.fits}
        many = self.many_of(live)
        for epoch in range(self.first.epochs):
            good = self.epoch(epoch, list(live), many)
            results = self.evaluate(list(live), many)
            for fit, snapshot in list(live.items()):
                if fit not in good:
                    snapshot.restore()
                    fit.history.stop_reason = "diverged"
                    del live[fit]
                    continue
                fit.end_epoch(epoch, results[fit])
                snapshot.take(epoch + 1)
                if fit.net.stop_training:
                    fit.history.stop_reason = fit.net.stop_reason or "stopped by a callback"
                    fit.callbacks.on_train_end({})
                    del live[fit]
            if not live:
                return
            if len(live) < many[1]:
                many = self.many_of(live)
        for fit in live:
            fit.history.stop_reason = "all epochs done"
            fit.callbacks.on_train_end({})

    def many_of(self, fits: Any) -> tuple[Any, int]:
        """The native networks side by side, and how many they are."""
        engines = [fit.net._engine for fit in fits]
        kind: Any = _core.Many32 if self.first.net.dtype == np.float32 else _core.Many64
        return kind(engines, self.first.batch), len(engines)

    def epoch(self, epoch: int, fits: list[_Fit], many: tuple[Any, int]) -> list[_Fit]:
        """One epoch; those that did not diverge."""
        first = self.first
        steps = first.steps
        rates = []
        for fit in fits:
            fit.callbacks.on_epoch_begin(epoch, {})
            fit.draw_order()
            fit.totals = dict.fromkeys(fit.totals, 0.0)
            rates.append(fit.schedule.lr(fit.optimizer.lr, epoch * steps, steps, steps, fit.epochs))
        diverged = [False] * len(fits)
        stream, step = fits[0].net.steps_done, 0
        while step < steps and not all(diverged):
            done, counts, now = many[0].train(
                first.X,
                *first.transform,
                *first.targets,
                first.weights,
                fits[0].order,
                step,
                steps,
                fits[0].net.seed,
                stream,
                [fit.optimizer.rule for fit in fits],
                [fit.states for fit in fits],
                [r[step:] for r in rates],
                [fit.reg for fit in fits],
                [fit.losses[step:] for fit in fits],
                [fit.correct[step:] for fit in fits],
                diverged,
                CHUNK_SECONDS,
            )
            for i, (fit, count) in enumerate(zip(fits, counts, strict=True)):
                fit.net.steps_done += count
                fit.add_up(step, step + count)
                if step + count and fit.history.initial_loss is None:
                    fit.history.initial_loss = float(fit.losses[0])
                if now[i] and not diverged[i]:
                    fit.diverged_at = epoch, step + count, float(rates[i][step + count])
                if not now[i]:
                    fit.callbacks.on_progress(epoch * steps + step + done, fit.logs())
            diverged = now
            step += done
        return [
            fit
            for fit, bad in zip(fits, diverged, strict=True)
            if not bad and _core.first_nonfinite(fit.net._arena) == fit.net._arena.size
        ]

    def evaluate(self, fits: list[_Fit], many: tuple[Any, int]) -> dict[_Fit, dict[str, float]]:
        """What `_evaluate` gives on the validation rows of each."""
        if self.first.validation is None:
            return {fit: {} for fit in fits}
        rows, targets = self.first.validation
        results = {}
        pairs = many[0].evaluate(rows, *self.first.net._transform(rows), *targets, None)
        for fit, (loss, correct) in zip(fits, pairs, strict=True):
            results[fit] = {"loss": loss}
            if targets[0] is not None:
                results[fit]["accuracy"] = correct / len(rows)
        return results
