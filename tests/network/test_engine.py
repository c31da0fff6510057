"""The native calls: data and jobs with named fields, checked where a network takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fanin
from fanin import _core

N, D, C, BATCH = 10, 4, 3, 4
STEPS = 3


def data(**given: Any) -> _core.TrainingData:
    usual = {"X": np.ones((N, D), np.float32), "labels": np.arange(N, dtype=np.int32) % C}
    return _core.TrainingData(**{**usual, **given})


def job(**given: Any) -> _core.TrainingJob:
    usual = {"data": data(), "order": np.arange(N), "batch": BATCH, "seed": 0, "budget": 1.0}
    return _core.TrainingJob(**{**usual, **given})


def learner(**given: Any) -> _core.Learner:
    usual: dict[str, Any] = {
        "rule": fanin.optim.SGD().rule,
        "states": [],
        "l2": 0.0,
        "lr": np.full(STEPS, 0.1),
        "losses": np.full(STEPS, -1.0),
        "correct": np.full(STEPS, -1),
    }
    return _core.Learner(**{**usual, **given})


def engine() -> Any:
    return fanin.MLP([D, 5, C]).engine


def test_steps_write_to_their_own_places() -> None:
    own, net = learner(), engine()
    net.train(job(), own, 1, 2)
    assert (own.steps, own.diverged) == (1, False)
    assert own.losses[0] == own.losses[2] == -1
    assert own.losses[1] > 0
    net.train(job(), own, 2, 3)
    assert own.losses[2] > 0
    assert own.correct[0] == -1


def test_the_last_step_is_short_and_none_is_beyond_it() -> None:
    own = learner()
    engine().train(job(), own, 0, STEPS)
    assert own.steps == STEPS
    assert own.correct[2] <= N - 2 * BATCH
    for first, last in ((0, STEPS + 1), (-1, 1), (2, 1)):
        with pytest.raises(ValueError, match="first, last: expected steps among the epoch's 3"):
            engine().train(job(), own, first, last)


def test_a_loss_that_is_not_finite_ends_the_steps() -> None:
    own = learner(lr=np.full(STEPS, np.inf))
    net = engine()
    net.train(job(), own, 0, STEPS)
    assert own.diverged
    assert own.steps < STEPS


def test_fields_may_be_set_between_calls() -> None:
    task, own, net = job(), learner(lr=np.zeros(STEPS)), engine()
    before = net.parameters.copy()
    net.train(task, own, 0, STEPS)
    np.testing.assert_array_equal(net.parameters, before)
    own.lr = np.ones(STEPS)
    task.data = data(soft=np.eye(C, dtype=np.float32)[np.arange(N) % C], labels=None)
    task.epoch, task.first_stream = 1, STEPS
    net.train(task, own, 0, STEPS)
    assert (net.parameters != before).any()


BAD: dict[str, tuple[Any, type[Exception], str]] = {
    "dtype of X": (lambda: (job(data=data(X=np.ones((N, D), int))), learner()), TypeError, "X: "),
    "width": (lambda: (job(data=data(X=np.ones((N, 5)))), learner()), ValueError, r"\(N, 4\)"),
    "mean alone": (lambda: (job(data=data(mean=np.ones(1))), learner()), ValueError, "both or nei"),
    "labels": (
        lambda: (job(data=data(labels=np.zeros(3, np.int32))), learner()),
        ValueError,
        r"y: expected shape \(10,\) int32, got \(3,\)",
    ),
    "no targets": (lambda: (job(data=data(labels=None)), learner()), ValueError, "y: expected lab"),
    "order": (lambda: (job(order=np.arange(N, dtype=np.int32)), learner()), TypeError, "order: "),
    "lr": (lambda: (job(), learner(lr=np.zeros(2))), ValueError, r"lr: expected shape \(3,\)"),
    "read-only losses": (
        lambda: (job(), learner(losses=np.zeros(STEPS))),
        ValueError,
        "losses: expected a writable array",
    ),
    "state": (
        lambda: (job(), learner(rule=fanin.optim.Momentum().rule, states=[np.zeros(3, "f4")])),
        ValueError,
        r"optimizer state: expected shape",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused(case: str) -> None:
    make, kind, message = BAD[case]
    net = engine()
    before = net.parameters.copy()
    task, own = make()
    if case.startswith("read-only"):
        own.losses.flags.writeable = False
    with pytest.raises(kind, match=message):
        net.train(task, own, 0, STEPS)
    np.testing.assert_array_equal(net.parameters, before)


def test_a_job_and_a_learner_know_what_they_are_made_of() -> None:
    with pytest.raises(ValueError, match="batch: expected at least 1"):
        job(batch=0)
    for bad in ({"images": 7}, {"data": 7}):
        with pytest.raises((TypeError, RuntimeError)):
            job(**bad)
    with pytest.raises((TypeError, RuntimeError)):
        learner(rule="sgd")


def test_layers_and_losses_have_names() -> None:
    with pytest.raises(ValueError, match=r"activation: expected one of identity, .*; got 'rely'"):
        _core.Layer(4, 3, "rely")
    with pytest.raises(ValueError, match=r"loss: expected one of softmax, .*; got 'hinge'"):
        _core.Engine32([_core.Layer(4, 3, "relu")], "hinge")


def test_evaluation_wants_targets() -> None:
    rows = _core.TrainingData(np.ones((N, D), np.float32))
    with pytest.raises(ValueError, match="y: expected labels or soft targets"):
        engine().evaluate(rows, 1)
    with pytest.raises(ValueError, match="y: expected labels or soft targets"):
        engine().gradient(rows, l2=0.0, n_threads=1)
