"""What verdicts say of the learning rate and of the initial weights, on curves and on real runs."""

from __future__ import annotations

import math
import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import fanin
from fanin.tuning import loss_curve

pytestmark = pytest.mark.row("G6")

FIRST = math.log(10)


def run(loss: Any, lr: Any = 1e-3, steps: int = 100, **extra: Any) -> SimpleNamespace:
    loss = np.asarray(loss, dtype=float)
    lists = {"loss": loss.tolist(), "lr": np.broadcast_to(lr, loss.shape).tolist()}
    facts = {
        "initial_loss": 2.31,
        "expected_initial_loss": FIRST,
        "params": {"steps": steps, "optimizer": "adam"},
    }
    return SimpleNamespace(history=lists, **facts | extra)


def names(history: Any) -> tuple[str, ...]:
    return loss_curve(history).names


def finding(history: Any, name: str) -> Any:
    return next(f for f in loss_curve(history) if f.name == name)


EPOCHS = np.arange(20)
GOOD = 0.05 + 2 * np.exp(-EPOCHS / 2)


def test_divergence_after_a_good_start_is_the_rates_doing():
    lost = run([2.0, 9.0, math.nan])
    assert names(lost) == ("diverged", "learning-rate-too-high")
    assert "began at 2.3100, as expected" in finding(lost, "learning-rate-too-high").evidence
    assert "lr 1.0e-03" in finding(lost, "learning-rate-too-high").evidence
    bad_start = run([9.0, 90.0, math.nan], initial_loss=31.0)
    assert names(bad_start) == ("diverged",)


def test_a_loss_that_went_up_first():
    spike = GOOD.copy()
    spike[0] = 30.0
    found = finding(run(spike), "learning-rate-too-high")
    assert "went up from 2.3100 to 30 in epoch 1" in found.evidence
    assert "lr_probe" in found.action


def test_a_training_loss_that_rises_again():
    loss = GOOD + np.maximum(EPOCHS - 9, 0) * 0.05
    assert "rose again, from 0.0" in finding(run(loss), "learning-rate-too-high").evidence


def test_a_training_loss_that_jumps():
    loss = 0.5 + 0.2 * (EPOCHS % 2)
    assert "jumps by 0.1" in finding(run(loss), "learning-rate-too-high").evidence


def test_jumps_near_zero_are_nothing():
    assert "learning-rate-too-high" not in names(run(1e-3 * (1 + EPOCHS % 2)))


@pytest.mark.parametrize(
    ("lr", "rule", "name"),
    [
        (1e-8, "adam", "learning-rate-too-low"),
        (1e-3, "adam", "bad-initialisation"),
        (1e-8, "sgd", "learning-rate-too-low"),
        (1e-2, "sgd", "bad-initialisation"),
    ],
)
def test_a_loss_that_never_moved(lr, rule, name):
    flat = run(np.full(10, 2.305), lr, params={"steps": 100, "optimizer": rule})
    assert names(flat) == (name,)
    evidence = loss_curve(flat).findings[0].evidence
    assert f"1000 steps of lr {lr:.1e}" in evidence


def test_a_slow_line():
    line = run(2.28 - 0.03 * EPOCHS)
    assert "learning-rate-too-low" in names(line)
    assert "along a line" in finding(line, "learning-rate-too-low").evidence
    assert "learning-rate-too-low" not in names(run(GOOD))
    warm_up = run(2.28 - 0.03 * EPOCHS, lr=np.linspace(1e-5, 1e-3, 20))
    assert "learning-rate-too-low" not in names(warm_up)


def test_a_plateau_first():
    loss = np.concatenate([np.full(6, 2.305), 0.3 + 2 * np.exp(-np.arange(14) / 2)])
    found = finding(run(loss), "bad-initialisation")
    assert "within 2.0 % of 2.3100 for 7 epochs before it fell, to 0.3" in found.evidence
    assert "activation_report" in found.action
    assert "bad-initialisation" not in names(run(loss, lr=np.linspace(1e-5, 1e-3, 20)))


def test_a_loss_above_the_first_is_no_plateau():
    loss = np.concatenate([[2.9, 3.1, 2.8, 2.6, 2.4], 0.3 + 2 * np.exp(-np.arange(15) / 2)])
    assert "bad-initialisation" not in names(run(loss))


@pytest.mark.parametrize("size", [1e-3, 0.03, 80.0])
def test_wrong_units_are_named_as_units(size):
    facts = {"steps": 100, "optimizer": "adam", "init": "kaiming", "input_rms": size}
    late = np.concatenate([np.full(6, 2.305), 0.3 + 2 * np.exp(-np.arange(14) / 2)])
    for loss in (late, np.full(10, 2.305)):
        found = loss_curve(run(loss, params=facts))
        assert found.names[0] == "unscaled-inputs"
        assert "bad-initialisation" not in found.names
        assert f"root mean square of {size:.3g}" in str(found)
    assert "unscaled-inputs" not in names(run(GOOD, params=facts))


def test_an_initialiser_that_was_used_is_not_advised():
    facts = {"steps": 100, "optimizer": "adam", "input_rms": 1.0}
    for init, advised in (("kaiming", False), ("small_random", True)):
        stuck = run(np.full(10, 2.305), params=facts | {"init": init})
        action = finding(stuck, "bad-initialisation").action
        assert ("init='kaiming' for relu" in action) == advised


# real runs


def digits() -> tuple[Any, Any]:
    (X, y), test = fanin.datasets.load("digits")
    return (X.reshape(len(X), -1), y), (test[0].reshape(len(test[0]), -1), test[1])


def fit(net: fanin.MLP, lr: float, rule: str = "adam", epochs: int = 8) -> Any:
    train, test = digits()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fanin.DivergenceWarning)
        return net.fit(*train, validation_data=test, epochs=epochs, progress=False,
                       optimizer=fanin.optim.get(rule, lr), preprocess="standardize")  # fmt: skip


@pytest.mark.parametrize("rule", ["adam", "sgd", "momentum"])
def test_planted_rates(rule):
    assert "learning-rate-too-high" in names(fit(fanin.MLP([64, 50, 10]), 1e3, rule))
    assert names(fit(fanin.MLP([64, 50, 10]), 1e-8, rule)) == ("learning-rate-too-low",)


def test_planted_initial_weights():
    net = fanin.MLP([64, *[50] * 8, 10], activation="tanh")
    for name, values in net.params.items():
        if name.startswith("W"):
            values[:] = fanin.initializers.small_random(values.shape, 1e-4, rng=1)
    assert names(fit(net, 1e-3)) == ("bad-initialisation",)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("lr", [1e-3, 3e-3])
def test_no_alarm_on_a_good_run(seed, lr):
    found = set(names(fit(fanin.MLP([64, 50, 10], seed=seed), lr, epochs=15)))
    assert found <= {"healthy", "needs-more-training", "overfitting"}


def test_digits_divided_twice_are_found_as_units():
    train, test = digits()
    scaled = [((X / 4080).astype(np.float32), y) for X, y in (train, test)]
    net = fanin.MLP([64, 50, 50, 10])
    history = net.fit(*scaled[0], validation_data=scaled[1], epochs=8, progress=False,
                      preprocess=None)  # fmt: skip
    assert history.params["input_rms"] < 0.05
    assert "bad-initialisation" not in names(history)
    assert "unscaled-inputs" in names(history)
