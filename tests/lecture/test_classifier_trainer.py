"""The rules of the lecture's trainer: batches, decay, hooks, best model, divergence."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from lecture_cases import (
    Model,
    a_model,
    assert_same_bits,
    assert_same_stats,
    copy,
    in_python,
    problem,
    train,
)

import fanin
from fanin import ClassifierTrainer, optim, two_layer_net

# Epochs, batches and iterations


@pytest.mark.row("S2")
@pytest.mark.parametrize(("batch_size", "steps"), [(1, 60), (None, 1), (60, 1), (7, 8), (100, 1)])
def test_iterations_of_an_epoch(batch_size, steps):
    _, stats = train(a_model(), n=60, batch_size=batch_size, num_epochs=3)
    assert stats["iterations_per_epoch"] == steps
    assert len(stats["loss_history"]) == 3 * steps
    ends = [steps, 2 * steps, 3 * steps]
    assert stats["acc_iterations"] == (ends if steps == 1 else [1, *ends])


@pytest.mark.row("S2")
@pytest.mark.parametrize(("batch_size", "steps"), [(1, 60), (None, 1), (60, 1), (7, 9)])
def test_steps_of_an_epoch_in_fit(batch_size, steps):
    X, y = problem(60)
    net = fanin.MLP([12, 9, 4])
    history = net.fit(X, y, epochs=3, batch_size=batch_size, progress=False)
    assert history.params["steps"] == steps == math.ceil(60 / history.params["batch_size"])
    assert net.steps_done == 3 * steps
    _, stats = train(a_model(), n=60, batch_size=batch_size, num_epochs=3, sampling="epoch")
    assert stats["iterations_per_epoch"] == steps


def recorder(seen: list[np.ndarray]) -> Callable[..., Any]:
    """A loss function that notes the rows of each step by their first column."""

    def loss_function(X, model, y=None, reg=0.0):
        if y is not None:
            seen.append(X[:, 0].copy())
        return two_layer_net(X, model, y, reg)

    return loss_function


@pytest.mark.parametrize("sampling", ["replacement", "epoch"])
def test_rows_of_the_steps(sampling):
    seen: list[np.ndarray] = []
    X, y = problem(60, dtype="float64")
    X[:, 0] = np.arange(60)
    ClassifierTrainer().train(
        *(X, y, X, y, a_model(dtype="float64"), recorder(seen)),
        num_epochs=2,
        batch_size=25,
        sampling=sampling,
        learning_rate=0,
        seed=0,
    )
    if sampling == "epoch":
        assert [len(rows) for rows in seen] == [25, 25, 10] * 2
        np.testing.assert_array_equal(np.sort(np.concatenate(seen[:3])), np.arange(60))
        assert not np.array_equal(seen[0], seen[3])
    else:
        assert [len(rows) for rows in seen] == [25, 25] * 2
        assert len(np.unique(np.concatenate(seen[:2]))) < 50  # with replacement


def test_full_batches_are_the_data_in_order():
    seen: list[np.ndarray] = []
    X, y = problem(30)
    for options in ({"sample_batches": False}, {"sample_batchs": False}, {"batch_size": None}):
        ClassifierTrainer().train(
            X, y, X, y, a_model(), recorder(seen), num_epochs=1, seed=0, **options
        )
    assert len(seen) == 3
    for rows in seen:
        np.testing.assert_array_equal(rows, X[:, 0])


def test_few_rows_still_make_an_iteration():
    X, y = problem(5)
    model = a_model()
    before = copy(model)
    _, stats = ClassifierTrainer().train(X, y, X, y, model, two_layer_net, num_epochs=3, seed=0)
    assert len(stats["loss_history"]) == 3
    assert not np.array_equal(model["W1"], before["W1"])


def test_acc_frequency():
    _, stats = train(a_model(), n=60, batch_size=6, num_epochs=2, acc_frequency=4)
    # after iterations 0, 4, 8, 12, 16 of 20 and at the ends of both epochs
    assert stats["acc_iterations"] == [1, 5, 9, 10, 13, 17, 20]
    assert len(stats["val_acc_history"]) == len(stats["lr_history"]) == 7


def test_rate_decays_at_the_end_of_each_epoch():
    rates = []

    class Spy(optim.SGD):
        def step(self, *args: Any, **options: Any) -> None:
            rates.append(self.lr)
            super().step(*args, **options)

    options = {"learning_rate": 0.1, "learning_rate_decay": 0.5, "n": 40, "num_epochs": 3}
    _, stats = train(a_model(), in_python, update=Spy(), **options)
    assert rates == [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]
    assert stats["lr_history"] == [0.1, 0.05, 0.025, 0.0125]
    assert train(a_model(), **options)[1]["lr_history"] == stats["lr_history"]


def test_training_accuracy_is_of_1000_rows():
    sizes = []

    def loss_function(X, model, y=None, reg=0.0):
        if y is None:
            sizes.append(len(X))
        return two_layer_net(X, model, y, reg)

    X, y = problem(1500)
    Xv, yv = problem(2300, seed=1)
    ClassifierTrainer().train(X, y, Xv, yv, a_model(), loss_function, num_epochs=1, seed=0)
    assert sizes == [1000, 1000, 1000, 300] * 2


def test_seed():
    a, b, c = (train(a_model(), seed=s)[1]["loss_history"] for s in (1, 1, 2))
    assert a == b != c
    fresh = [train(a_model(), seed=None)[1]["loss_history"] for _ in range(2)]
    assert fresh[0] != fresh[1]


# Hooks and user-written losses


def test_hooks_see_steps_and_evaluations():
    X, y = problem(60)
    flipped = X[:, ::-1].copy()
    plain, hooked = a_model(), a_model()
    options = {"num_epochs": 2, "batch_size": 20, "seed": 0}
    best, stats = ClassifierTrainer().train(flipped, y, flipped, y, plain, two_layer_net, **options)

    def flip(rows: np.ndarray) -> np.ndarray:
        return rows[:, ::-1].copy()

    hooks = {"augment_fn": flip, "predict_fn": flip}
    best_hooked, stats_hooked = ClassifierTrainer().train(
        X, y, X, y, hooked, two_layer_net, **options, **hooks
    )
    assert_same_bits(plain, hooked)
    assert_same_bits(best, best_hooked)
    assert_same_stats(stats, stats_hooked)


def test_predict_fn_goes_with_the_native_loop():
    X, y = problem(60)
    runs = []
    for loss_function in (two_layer_net, in_python):
        _, stats = ClassifierTrainer().train(
            *(X, y, X, y, a_model(), loss_function), num_epochs=2, predict_fn=np.zeros_like, seed=0
        )
        runs.append(stats)
    assert_same_stats(*runs)
    assert len(set(runs[0]["val_acc_history"])) <= 2  # all rows of one class


def logistic(X: Any, model: Model, y: Any = None, reg: float = 0.0) -> Any:
    """A user's own loss: one layer, its gradient in float64."""
    scores = X.reshape(len(X), -1) @ model["W"] + model["b"]
    if y is None:
        return scores
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(len(X)), y]).mean() + 0.5 * reg * np.sum(model["W"] ** 2)
    p[np.arange(len(X)), y] -= 1
    dscores = (p / len(X)).astype(np.float64)
    dW = X.reshape(len(X), -1).T @ dscores + reg * model["W"]
    return loss, {"W": dW, "b": dscores.sum(axis=0)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_loss_function_trains(dtype):
    X, y = problem(200, dtype=dtype)
    model = {"W": np.zeros((12, 4), dtype), "b": np.zeros(4, dtype)}
    W = model["W"]
    best, stats = ClassifierTrainer().train(
        *(X.reshape(200, 3, 4), y, X.reshape(200, 3, 4), y, model, logistic),
        num_epochs=5,
        learning_rate=0.1,
        seed=0,
    )
    assert stats["best_val_acc"] > 0.9
    assert model["W"] is W  # in place
    assert W.dtype == best["W"].dtype == dtype
    assert np.mean(logistic(X, best).argmax(axis=1) == y) == stats["best_val_acc"]


def test_one_trainer_trains_models_of_other_shapes():
    trainer = ClassifierTrainer()
    for d, h, c in ((12, 9, 4), (5, 3, 2)):
        X, y = problem(50, d, c)
        for loss_function in (two_layer_net, in_python):
            model = a_model(d, h, c)
            best, stats = trainer.train(X, y, X, y, model, loss_function, num_epochs=2, seed=0)
            assert trainer.best_model is best
            assert trainer.stats is stats
            assert stats["stop_reason"] == "all epochs done"


def test_optimizer_object_keeps_its_state():
    once, twice = a_model(), a_model()
    adam = optim.Adam()
    options = {"sample_batches": False, "learning_rate": 1e-2, "learning_rate_decay": 1}
    train(once, update="adam", num_epochs=6, **options)
    train(twice, update=adam, num_epochs=3, **options)
    train(twice, update=adam, num_epochs=3, **options)
    assert adam.t == 6
    assert_same_bits(once, twice)


def test_momentum_zero_is_sgd():
    a, b, c = a_model(), a_model(), a_model()
    train(a, update="momentum", momentum=0)
    train(b, update="sgd")
    train(c)
    assert_same_bits(a, b)
    assert not np.array_equal(a["W1"], c["W1"])


# The best model


@pytest.mark.parametrize("loss_function", [two_layer_net, in_python])
def test_best_model_is_the_one_of_the_best_evaluation(loss_function):
    model = a_model()
    X, y = problem(60)
    Xv, yv = problem(200, seed=1)
    best, stats = ClassifierTrainer().train(
        X, y, Xv, yv, model, loss_function, num_epochs=20, batch_size=10, seed=0
    )
    found = np.mean(two_layer_net(Xv, best).argmax(axis=1) == yv)
    assert found == stats["best_val_acc"] == max(stats["val_acc_history"])
    last = np.mean(two_layer_net(Xv, model).argmax(axis=1) == yv)
    assert last == stats["val_acc_history"][-1]
    assert not any(np.shares_memory(best[name], model[name]) for name in model)


@pytest.mark.parametrize("loss_function", [two_layer_net, in_python])
def test_model_without_a_right_row_is_still_returned(loss_function):
    X, y = np.ones((10, 3), np.float32), np.arange(10) % 2
    model = a_model(3, 2, 3)
    start = copy(model)
    best, stats = ClassifierTrainer().train(
        X, y, X, np.full(10, 2), model, loss_function, num_epochs=3, seed=0
    )
    assert stats["val_acc_history"] == [0.0] * 3
    assert stats["best_val_acc"] == 0
    assert_same_bits(best, start)


# Divergence


@pytest.mark.parametrize("loss_function", [two_layer_net, in_python])
@pytest.mark.parametrize("learning_rate", [1e3, 1e30])
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_diverging_run_stops_and_says_so(loss_function, learning_rate, capsys):
    model = a_model()
    best, stats = train(
        model, loss_function, learning_rate=learning_rate, reg=1.0, num_epochs=50, verbose=True
    )
    reason = stats["stop_reason"]
    assert reason.startswith("diverged: ")
    assert f"iteration {len(stats['loss_history'])}" in reason
    assert len(stats["loss_history"]) < 50 * stats["iterations_per_epoch"]
    assert f"stopped early: {reason}" in capsys.readouterr().out.splitlines()
    for m in (model, best):
        assert all(np.isfinite(p).all() for p in m.values())


@pytest.mark.parametrize("rate", [3.0, 1e2, 1e4, 1e6, 1e20, 1e38])
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_both_loops_stop_alike(rate):
    native, python = a_model(), a_model()
    options = {"learning_rate": rate, "reg": 0.3, "num_epochs": 30, "update": "sgd"}
    best, stats = train(native, **options)
    best_python, stats_python = train(python, in_python, **options)
    assert_same_bits(native, python)
    assert_same_bits(best, best_python)
    assert_same_stats(stats, stats_python)


def scripted(costs: list[float]) -> Callable[..., Any]:
    """A loss function with these costs and a constant gradient."""
    remaining = iter(costs)

    def loss_function(X, _model, y=None, _reg=0.0):
        if y is None:
            return np.zeros((len(X), 2))
        return next(remaining), {"w": np.ones(1)}

    return loss_function


@pytest.mark.parametrize(
    ("costs", "ratio", "steps", "why"),
    [
        ([1.0, 3.0, 2.9, 3.1, 1.0], 3.0, 4, "the cost is 3.1 in iteration 4, it began at 1"),
        ([1.0, 2.0, math.nan, 1.0, 1.0], 3.0, 3, "the cost is not finite in iteration 3"),
        ([math.inf] * 5, 3.0, 1, "the cost is not finite in iteration 1"),
        ([1.0, 50.0, 1.0, 1.0, 1.0], None, 5, None),
        ([1.0, 50.0, 1.0, 1.0, 1.0], 60, 5, None),
        ([-1.0, 50.0, 1.0, 1.0, 1.0], 3.0, 5, None),
        ([0.0, 50.0, 1.0, 1.0, 1.0], 3.0, 5, None),
    ],
)
def test_when_a_run_stops(costs, ratio, steps, why):
    model = {"w": np.zeros(1)}
    X, y = np.zeros((5, 1)), np.zeros(5, int)
    options = {"num_epochs": 1, "batch_size": 1, "update": "sgd", "learning_rate": 1}
    best, stats = ClassifierTrainer().train(
        *(X, y, X, y, model, scripted(costs)), acc_frequency=2, stop_ratio=ratio, **options
    )
    assert len(stats["loss_history"]) == steps
    assert stats["stop_reason"] == (f"diverged: {why}" if why else "all epochs done")
    # Put back to the last evaluation: after iterations 1 and 3, or where it began.
    expected = {1: 0.0, 3: -1.0, 4: -3.0, 5: -5.0}[steps]
    assert model["w"][0] == expected
    assert np.isfinite(best["w"]).all()


def test_error_leaves_what_was_reached():
    def loss_function(X, model, y=None, reg=0.0):
        if y is not None and len(calls) == 12:
            raise KeyboardInterrupt
        calls.append(y)
        return two_layer_net(X, model, y, reg)

    calls: list[Any] = []
    model, trainer = a_model(), ClassifierTrainer()
    X, y = problem(60)
    with pytest.raises(KeyboardInterrupt):
        trainer.train(X, y, X, y, model, loss_function, num_epochs=9, batch_size=20, seed=0)
    assert trainer.stats is not None
    assert trainer.best_model is not None
    assert trainer.stats["stop_reason"] == "interrupted"
    found = np.mean(two_layer_net(X, trainer.best_model).argmax(axis=1) == y)
    assert found == trainer.stats["best_val_acc"] > 0
