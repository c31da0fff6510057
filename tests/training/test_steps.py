"""How many rows a step takes, and how many epochs a run, where nobody says so."""

import numpy as np
import pytest

import fanin
from fanin.training import auto_batch_size, auto_epochs


def clusters(n, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return (rng.normal(size=(n, 4)) + 2 * y[:, None]).astype(np.float32), y


@pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 100, 128, 129, 150, 500, 1024, 1025, 2048, 10**6])
def test_rows_of_a_step(n):
    rows = auto_batch_size(n)
    assert rows == n or rows in (8, 16, 32, 64, 128)
    if 128 <= n <= 2048:
        assert 8 <= -(-n // rows) <= 16
    if n > 1024:
        assert rows == 128


@pytest.mark.parametrize("n", [1, 5, 40, 150, 1437, 60_000, 10**6])
@pytest.mark.parametrize("least", [5, 40])
def test_epochs_make_a_thousand_steps(n, least):
    rows = auto_batch_size(n)
    steps, epochs = -(-n // rows), auto_epochs(n, rows, least)
    assert epochs >= least
    assert steps * epochs >= 1000
    assert epochs == least or steps * (epochs - 1) < 1000


def test_fit_takes_them_and_a_small_set_is_learned():
    X, y = clusters(120)
    net = fanin.MLP([4, 32, 3])
    history = net.fit(X, y, epochs="auto", preprocess="standardize", progress=False)
    assert (history.params["batch_size"], history.params["epochs"]) == (8, 67)
    assert len(history.epoch) == 67
    X_test, y_test = clusters(300, seed=1)
    # Bayes: 1.5 % wrong of the outer, 3 % of the inner classes; 2.5 points are three errors
    assert net.evaluate(X_test, y_test)["accuracy"] > 0.94


def test_where_the_validation_loss_rises_the_best_epoch_is_kept():
    X, _ = clusters(90)
    Xv, _ = clusters(300, seed=2)
    rng = np.random.default_rng(3)
    y, yv = rng.integers(0, 3, 90), rng.integers(0, 3, 300)  # nothing to learn: the loss rises
    net = fanin.MLP([4, 64, 3])
    history = net.fit(X, y, validation_data=(Xv, yv), epochs="auto", progress=False)
    best = min(history.history["val_loss"])
    assert history.stop_reason.startswith(f"early stopping: val_loss rose from {best:.4f}")
    assert len(history.epoch) < history.params["epochs"]
    assert net.evaluate(Xv, yv)["loss"] == best


def test_luck_with_few_validation_rows_stops_nothing():
    X, y = clusters(108)
    full = 0
    for seed in range(8):
        Xv, yv = clusters(12, seed=seed)
        net = fanin.MLP([4, 64, 3], seed=seed)
        history = net.fit(
            X, y, validation_data=(Xv, yv), epochs="auto", preprocess="standardize", progress=False
        )
        rise = history.history["val_loss"][-1] / min(history.history["val_loss"]) - 1
        assert (history.stop_reason == "all epochs done") or rise > 1 / np.sqrt(12)
        full += rise < 1 / np.sqrt(12) and net.evaluate(X, y)["accuracy"] > 0.9
    assert full >= 4


def test_ones_own_early_stopping_takes_its_place():
    X, y = clusters(90)
    y = np.random.default_rng(3).permutation(y)
    own = fanin.callbacks.EarlyStopping("val_loss", patience=3)
    net = fanin.MLP([4, 64, 3])
    history = net.fit(X, y, validation_data=(X, y[::-1].copy()), epochs="auto", callbacks=[own],
                      progress=False)  # fmt: skip
    assert history.stop_reason == "early stopping: val_loss has not improved for 3 epochs"


def test_one_seed_gives_one_result():
    X, y = clusters(90)
    nets = [fanin.MLP([4, 16, 3]) for _ in range(2)]
    for net, epochs in zip(nets, ("auto", auto_epochs(90, 8)), strict=True):
        net.fit(X, y, epochs=epochs, progress=False)
    assert np.array_equal(*(net.get_parameters() for net in nets))


def test_other_words_are_refused():
    X, y = clusters(12)
    for name in ("epochs", "batch_size"):
        with pytest.raises(TypeError, match=f"{name}: expected a whole number.*got 'all'"):
            fanin.MLP([4, 3]).fit(X, y, **{name: "all"})
