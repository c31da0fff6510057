"""The verdict on loss curves, on curves made for each case."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

import fanin
from fanin.tuning import Finding, Verdict, loss_curve

EPOCHS = np.arange(30)
CHANCE = 0.1


def run(n_val=5000, **curves):
    lists = {name: [float(v) for v in values] for name, values in curves.items()}
    return SimpleNamespace(
        history=lists, params={"n_val": n_val, "n_train": 50_000}, initial_loss=None
    )


def rising(top, pace, n=30):
    return top - (top - CHANCE) * np.exp(-np.arange(n) / pace)


def noise(scale, n=30, seed=0):
    return np.random.default_rng(seed).normal(0, scale, n)


def good(n=30, n_val=5000, top=0.99, gap=0.01):
    e = np.arange(n)
    return run(
        n_val,
        loss=0.03 + 2.2 * np.exp(-e / 3),
        accuracy=rising(top, 3, n),
        val_loss=0.08 + 2.2 * np.exp(-e / 3) + noise(0.001, n),
        val_accuracy=rising(top - gap, 3, n) + noise(0.001, n),
    )


def test_healthy():
    verdict = loss_curve(good())
    assert verdict.names == ("healthy",)
    assert "99.0 %" in verdict.findings[0].evidence
    assert "last 10 epochs" in verdict.findings[0].evidence


@pytest.mark.parametrize("seed", range(5))
def test_needs_more_training(seed):
    both = rising(0.95, 20) + noise(0.003, seed=seed)
    history = run(
        loss=2.3 * np.exp(-EPOCHS / 20),
        accuracy=both,
        val_loss=2.3 * np.exp(-EPOCHS / 20) + noise(0.01, seed=seed),
        val_accuracy=both - 0.01,
    )
    verdict = loss_curve(history)
    assert verdict.names == ("needs-more-training",)
    slope = np.polyfit(np.arange(10), both[-10:], 1)[0] * 9
    assert f"{100 * slope:.1f} points over the last 10 epochs" in verdict.findings[0].evidence


def test_a_falling_loss_is_progress_where_accuracy_is_not():
    history = good()
    history.history["val_loss"] = list(2.3 * np.exp(-EPOCHS / 12))
    verdict = loss_curve(history)
    assert verdict.names == ("needs-more-training",)
    assert "validation loss still falls" in verdict.findings[0].evidence


def test_overfitting_by_the_gap():
    verdict = loss_curve(good(top=1.0, gap=0.12))
    assert verdict.names == ("overfitting",)
    assert "100.0 % is 12.0 points above validation's 88.0 %" in verdict.findings[0].evidence
    assert "regularise" in verdict.findings[0].action


def test_overfitting_by_the_lectures_sign():
    history = good(gap=0.03)
    history.history["val_accuracy"] = list(np.minimum(rising(0.97, 3), 0.99 - 0.002 * EPOCHS))
    history.history["accuracy"] = list(0.93 + 0.002 * EPOCHS)
    verdict = loss_curve(history)
    assert verdict.names == ("overfitting",)
    assert "validation accuracy fell by 1.8 points" in verdict.findings[0].evidence


def test_overfitting_by_a_rising_validation_loss():
    history = good()
    history.history["loss"] = list(2.2 * np.exp(-EPOCHS / 5))
    history.history["val_loss"] = list(2 * np.exp(-EPOCHS / 3) + 0.2 + 0.01 * EPOCHS)
    verdict = loss_curve(history)
    assert verdict.names == ("overfitting",)
    assert "validation loss rose from" in verdict.findings[0].evidence


def test_underfitting():
    verdict = loss_curve(good(top=0.62, gap=0.005))
    assert verdict.names == ("underfitting",)
    assert "62.0 %" in verdict.findings[0].evidence
    assert "bigger model" in verdict.findings[0].action


def test_a_loss_that_never_moved_asks_for_a_learning_rate():
    history = run(
        loss=np.full(30, 2.3), accuracy=np.full(30, 0.1) + noise(1e-4),
        val_loss=np.full(30, 2.3), val_accuracy=np.full(30, 0.1),
    )  # fmt: skip
    history.initial_loss = 2.303
    verdict = loss_curve(history)
    assert verdict.names == ("underfitting",)
    assert "learning rate" in verdict.findings[0].action


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["loss", "val_loss"])
def test_a_loss_that_is_not_finite(name, bad):
    history = good()
    history.history[name][6:] = [bad] * 24
    verdict = loss_curve(history)
    assert verdict.names == ("diverged",)
    assert f"is {bad} in epoch 7" in verdict.findings[0].evidence
    assert "lower the learning rate" in verdict.findings[0].action


def test_a_run_that_was_stopped_for_divergence():
    for epochs in (0, 3):
        history = run(loss=np.ones(epochs))
        history.stop_reason = "diverged"
        verdict = loss_curve(history)
        assert verdict.names == ("diverged",)
        assert f"in epoch {epochs + 1}" in verdict.findings[0].evidence


def test_three_times_the_first_loss_is_divergence():
    assert loss_curve(run(loss=[2.0, 4.0, 6.5])).names == ("diverged",)
    assert loss_curve(run(loss=[2.0, 9.0, 5.5])).names == ("inconclusive",)
    history = run(loss=[5.0, 6.0, 7.0])
    history.initial_loss = 2.3
    assert loss_curve(history).names == ("diverged",)


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_few_epochs_are_inconclusive(epochs):
    verdict = loss_curve(good(n=epochs) if epochs else run(loss=[]))
    assert verdict.names == ("inconclusive",)
    assert f"{epochs} epoch" in verdict.findings[0].evidence


def test_few_validation_rows_are_inconclusive():
    verdict = loss_curve(good(n_val=40, top=0.8, gap=0.03))
    assert verdict.names == ("inconclusive",)
    assert "40 validation rows" in verdict.findings[0].evidence
    error = 2 * math.sqrt(0.77 * 0.23 / 40 + 0.8 * 0.2 / 50_000)
    assert f"{100 * error:.1f} points" in verdict.findings[0].evidence


def test_n_val_can_be_given():
    history = good(n_val=None, top=0.8, gap=0.03)
    assert loss_curve(history).names == ("healthy",)
    assert loss_curve(history, n_val=40).names == ("inconclusive",)


def test_without_validation_nothing_is_said_about_fitting():
    verdict = loss_curve(run(0, loss=2.3 * np.exp(-EPOCHS / 20), accuracy=rising(0.95, 20)))
    assert verdict.names == ("needs-more-training", "inconclusive")
    assert "training accuracy still rises" in verdict.findings[0].evidence
    assert "validation_data" in verdict.findings[1].action


def test_losses_alone_are_judged():
    flat = run(loss=0.1 + np.exp(-EPOCHS / 2.0), val_loss=0.12 + np.exp(-EPOCHS / 2.0))
    assert loss_curve(flat).names == ("healthy",)
    over = run(loss=np.exp(-EPOCHS / 5.0), val_loss=0.3 + np.exp(-EPOCHS / 2) + EPOCHS / 50)
    assert loss_curve(over).names == ("overfitting",)


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_raises_no_alarm(seed):
    history = good()
    for name, scale in (("val_accuracy", 0.004), ("val_loss", 0.004), ("accuracy", 0.001)):
        history.history[name] = list(np.add(history.history[name], noise(scale, seed=seed)))
    assert set(loss_curve(history).names) <= {"healthy", "needs-more-training"}


def test_lines_and_json():
    verdict = Verdict((Finding("a", "because", "do"), Finding("b", "since", "go")))
    assert str(verdict) == "a: because\n  -> do\nb: since\n  -> go"
    assert verdict.to_dict()[1] == {"name": "b", "evidence": "since", "action": "go"}
    assert [finding.name for finding in verdict] == ["a", "b"]


# few epochs


@pytest.mark.parametrize("epochs", [4, 5])
def test_few_epochs_that_rise_by_more_than_their_noise_need_more(epochs):
    verdict = loss_curve(good(n=epochs))
    assert verdict.names == ("needs-more-training",)
    assert f"from the first half of {epochs} epochs to the second" in verdict.findings[0].evidence


def test_few_epochs_that_rise_within_the_noise_of_few_rows_are_inconclusive():
    history = run(30, loss=[0.9, 0.8, 0.75, 0.7], accuracy=[0.6, 0.65, 0.7, 0.7],
                  val_loss=[0.9, 0.85, 0.8, 0.8], val_accuracy=[0.6, 0.62, 0.64, 0.67])  # fmt: skip
    assert loss_curve(history).names == ("inconclusive",)


# one thing at a time


@pytest.mark.parametrize("seed", range(8))
def test_never_overfitting_and_in_need_of_more_training(seed):
    history = good(top=1.0, gap=0.12)
    rise = 0.7 + 0.006 * EPOCHS + noise(0.002, seed=seed)
    history.history["val_accuracy"] = list(np.minimum(rise, 0.87))
    history.history["val_loss"] = list(1.5 - 0.02 * EPOCHS + noise(0.005, seed=seed))
    assert loss_curve(history).names == ("overfitting",)


def test_a_run_that_overfits_has_no_rate_too_low():
    history = good(top=0.4, gap=0.3)
    history.initial_loss = 2.3
    history.history |= {"loss": list(2.2 - 0.03 * EPOCHS), "lr": [1e-4] * len(EPOCHS)}
    assert loss_curve(history).names == ("overfitting",)
    history.history["accuracy"] = list(np.asarray(history.history["val_accuracy"]) + 0.01)
    assert "learning-rate-too-low" in loss_curve(history).names


# mixing


def mixed(seed=0, **params):
    """A healthy run with Mixup: its training loss jumps with the mixtures, and stays high."""
    history = good(top=0.95, gap=0.01)
    jumps = noise(0.25, seed=seed)
    history.history["loss"] = list(1.0 + 1.2 * np.exp(-EPOCHS / 3) + jumps)
    history.history["accuracy"] = list(rising(0.6, 3) + noise(0.05, seed=seed))
    history.initial_loss = 2.31
    history.params |= params
    return history


@pytest.mark.parametrize("seed", range(10))
def test_with_mixing_the_losses_of_mixtures_are_not_compared(seed):
    verdict = loss_curve(mixed(seed, mix={"name": "Mixup", "alpha": 0.4}))
    assert set(verdict.names) <= {"healthy", "needs-more-training"}


def test_without_mixing_such_a_run_is_no_good_one():
    assert "learning-rate-too-high" in loss_curve(mixed()).names


def test_with_mixing_a_rate_too_high_shows_in_the_validation_loss():
    history = mixed(mix={"name": "Mixup", "alpha": 0.4})
    history.history["val_loss"] = list(0.8 + 0.4 * (EPOCHS % 2))
    verdict = loss_curve(history)
    assert "learning-rate-too-high" in verdict.names
    assert "the validation loss jumps" in str(verdict)


def test_with_mixing_overfitting_is_no_rate_too_high():
    """The validation loss rises, and is judged in place of the training loss, which falls."""
    history = mixed(mix={"name": "Mixup", "alpha": 0.2})
    history.history["loss"] = list(2.2 * np.exp(-EPOCHS / 20) + noise(0.02))
    history.history["val_loss"] = list(1.2 + np.maximum(EPOCHS - 8, 0) * 0.1 + noise(0.005))
    assert loss_curve(history).names == ("overfitting",)
    history.history["loss"] = list(1.5 + np.maximum(EPOCHS - 8, 0) * 0.1 + noise(0.02))
    assert "learning-rate-too-high" in loss_curve(history).names


@pytest.mark.parametrize("mix", ["Mixup", "CutMix"])
def test_no_alarm_on_a_good_run_with_mixing(mix):
    (X, y), test = fanin.datasets.load("digits")
    net = fanin.MLP([64, 64, 10], seed=1)
    history = net.fit(
        X.astype(np.float32) / 16, y, validation_data=(test[0].astype(np.float32) / 16, test[1]),
        epochs=25, batch_size=32, mix=getattr(fanin.augment, mix)(1.0), progress=False,
    )  # fmt: skip
    assert set(loss_curve(history).names) <= {"healthy", "needs-more-training", "inconclusive"}
