"""Runs that diverge end with a warning, and with the last good epoch."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from training_cases import fit, network, problem

import fanin
from fanin import optim


def diverging_fit(net: fanin.MLP, **options: Any) -> tuple[fanin.callbacks.History, str]:
    X, y = problem()
    with pytest.warns(fanin.DivergenceWarning) as caught:
        history = net.fit(100 * X, y, preprocess=None, progress=False, **options)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    return history, str(caught[0].message)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_divergence_puts_the_last_good_epoch_back(dtype: str, clip_norm: float | None) -> None:
    """A rate that is sane for two epochs and then is not."""
    X, y = problem()
    options: dict[str, Any] = {"batch_size": 64, "clip_norm": clip_norm}
    net, good = network(dtype=dtype, activation="relu"), network(dtype=dtype, activation="relu")
    schedule = fanin.schedules.Function(lambda step: 1.0 if step < 8 else 1e160)
    optimizer, other = optim.Momentum(lr=1e-6), optim.Momentum(lr=1e-6)
    fit(good, 100 * X, y, epochs=2, optimizer=other, preprocess=None, **options)
    history, message = diverging_fit(
        net, epochs=6, optimizer=optimizer, schedule=schedule, **options
    )
    assert np.array_equal(net.get_parameters(), good.get_parameters())
    assert history.stop_reason == "diverged"
    assert len(history.epoch) == 2
    assert np.isfinite(history.history["loss"]).all()
    assert optimizer.t == other.t
    for advice in ("epoch 3", "the end of epoch 2", "lower the learning rate", "standardize"):
        assert advice in message
    assert ("clip_norm" in message) == (clip_norm is None)
    # What was put back goes on as if nothing had been: the optimizer's state too.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(good, 100 * X, y, epochs=1, optimizer=other, **options)
        fit(net, 100 * X, y, epochs=1, optimizer=optimizer, **options)
    assert np.array_equal(net.get_parameters(), good.get_parameters())


def test_divergence_leaves_the_counters_at_the_good_epoch() -> None:
    net = network(activation="relu")
    schedule = fanin.schedules.Function(lambda step: 1.0 if step < 8 else 1e160)
    diverging_fit(net, batch_size=64, epochs=6, optimizer=optim.SGD(lr=1e-6), schedule=schedule)
    assert (net.epochs_done, net.steps_done) == (2, 8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_divergence_in_the_first_epoch(dtype: str, optimizer: str) -> None:
    net = network(dtype=dtype, activation="relu")
    before = net.get_parameters()
    rate = {"float32": 1e20, "float64": 1e160}[dtype]
    kind = {"sgd": optim.SGD, "momentum": optim.Momentum, "adam": optim.Adam}[optimizer]
    history, message = diverging_fit(net, epochs=5, batch_size=32, optimizer=kind(lr=rate))
    assert np.array_equal(net.get_parameters(), before)
    assert history.stop_reason == "diverged"
    assert history.epoch == []
    assert "where fit began" in message


def test_a_rate_of_a_million() -> None:
    net = network(dtype="float32", activation="relu")
    X, y = problem()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fanin.DivergenceWarning)
        history = fit(net, X, y, epochs=30, batch_size=32, optimizer=optim.SGD(lr=1e6))
    assert np.isfinite(net.get_parameters()).all()
    assert np.isfinite(net.scores(X.astype(np.float32))).all()
    assert np.isfinite(history.history.get("loss", [])).all()
    assert history.stop_reason == "diverged"


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("options", [{}, {"clip_norm": 1.0}, {"reg": 1.0}], ids=str)
def test_parameters_that_end_an_epoch_infinite_are_not_kept(
    steps: int, options: dict[str, Any]
) -> None:
    """The epoch's last update is checked too: no later loss would speak of it."""
    X, y = problem()
    net = network(dtype="float32", activation="relu")
    before = net.get_parameters()
    schedule = fanin.schedules.Function(lambda step: 1e45 if step == steps - 1 else 0.0)
    for epochs in (1, 3):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            history = fit(
                net,
                1000 * X,
                y,
                preprocess=None,
                epochs=epochs,
                batch_size=None if steps == 1 else 64,
                optimizer=optim.SGD(lr=1.0),
                schedule=schedule,
                **options,
            )
        assert np.array_equal(net.get_parameters(), before)
        assert history.stop_reason == "diverged"
        assert [w.category for w in caught] == [fanin.DivergenceWarning]
