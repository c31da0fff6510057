"""The top models of a cross-validation, the selection among them, and temperatures."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from ensemble_cases import DIMS, X_TEST, Y_TEST, X, y

import fanin
from fanin.ensemble import Ensemble, from_cross_validation
from fanin.ensemble.held_out import cool, fit_temperature, greedy_counts, log_losses

OPTIONS: dict[str, Any] = {
    "epochs": 20, "batch_size": 32, "preprocess": "standardize", "progress": False
}  # fmt: skip
VARIANTS = [{"dims": [64, 32, 10]}, {"dims": [64, 10]}, {"keep": 0.7}]


@pytest.fixture(scope="module")
def whole() -> Ensemble:
    return from_cross_validation(DIMS, X, y, VARIANTS, n_folds=3, k=2, **OPTIONS)


@pytest.mark.row("B3")
def test_the_folds_networks_of_the_best_are_kept(whole):
    told = whole.held_out["variants"]
    assert [one["weight"] > 0 for one in told].count(True) <= 2
    assert len(whole) == 3 * sum(one["weight"] > 0 for one in told)
    assert sum(one["weight"] for one in told) == pytest.approx(1)
    least = min(range(3), key=lambda i: told[i]["loss"])
    assert told[least]["weight"] > 0
    assert whole.held_out["loss"] <= told[least]["loss"] + 1e-12
    assert whole.evaluate(X_TEST, Y_TEST)["accuracy"] > 0.9


@pytest.mark.row("B3")
def test_held_out_rows_are_judged_by_networks_that_never_saw_them():
    one = from_cross_validation(DIMS, X, y, n_folds=4, seed=3, **OPTIONS)
    own = np.full(len(y), np.nan)
    for net, (_, held) in zip(one, fanin.datasets.folds(y, 4, seed=3), strict=True):
        own[held] = log_losses(net.predict_proba(X[held]), y[held])
    assert one.held_out["loss"] == pytest.approx(own.mean(), rel=1e-6)
    assert one.held_out["error"] == pytest.approx(own.std() / np.sqrt(len(y)), rel=1e-6)


def test_a_member_is_the_network_that_fit_makes():
    one = from_cross_validation(DIMS, X, y, n_folds=3, patience=None, **OPTIONS)
    train, held = fanin.datasets.folds(y, 3)[1]
    net = fanin.MLP(DIMS, seed=1)
    net.fit(X[train], y[train], validation_data=(X[held], y[held]), **OPTIONS)
    assert np.array_equal(one.members[1].get_parameters(), net.get_parameters())


def test_the_same_on_any_executor_and_in_a_file(whole, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        again = from_cross_validation(
            DIMS, X, y, VARIANTS, n_folds=3, k=2, executor=pool, **OPTIONS
        )
    assert np.array_equal(again.predict_proba(X_TEST), whole.predict_proba(X_TEST))
    whole.save(tmp_path / "best.fanin")
    assert Ensemble.load(tmp_path / "best.fanin").held_out == whole.held_out


@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_values_are_judged_by_their_squared_error(loss):
    targets = (X.reshape(len(X), -1)[:, :1] / 16 + y[:, None] / 10).astype(np.float32)
    net = {"loss": loss}
    one = from_cross_validation([64, 16, 1], X, targets, n_folds=3, network=net, **OPTIONS)
    assert "accuracy" not in one.held_out
    assert 0 < one.held_out["loss"] < float(targets.var())


def test_several_labels_are_judged_by_the_log_loss_of_each():
    labels = np.stack([y > 4, y % 2 == 0], axis=1)
    net = {"loss": "logistic"}
    one = from_cross_validation([64, 16, 2], X, labels, n_folds=3, network=net, **OPTIONS)
    assert "accuracy" not in one.held_out
    assert 0 < one.held_out["loss"] < np.log(2)
    assert one.predict(X_TEST).shape == (len(X_TEST), 2)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"n_folds": 1}, "n_folds: expected between 2 and 600, got 1"),
        ({"k": 0}, "k: expected at least 1"),
        ({"repeats": 0}, "repeats: expected at least 1"),
        ({"variants": []}, "variants: expected at least one"),
        ({"variants": [3]}, r"variants\[0\]: expected a dict"),
        ({"variants": [{"width": 3}]}, r"variants\[0\]: expected options among .* got 'width'"),
        ({"validation_data": (X, y)}, "validation_data: expected none"),
    ],
)
def test_bad_input(options, text):
    with pytest.raises((ValueError, TypeError), match=text):
        from_cross_validation(DIMS, X, y, **{**OPTIONS, **options})


def test_all_diverged_is_an_error():
    rule = fanin.optim.SGD(lr=1e30)
    with pytest.raises(RuntimeError, match="2 members failed to train; the first, variant 0"):
        from_cross_validation(DIMS, X, y, n_folds=2, optimizer=rule, **OPTIONS)


# selection


def test_greedy_selection_by_hand():
    labels = np.array([0, 0, 1, 1])

    def sure(*right: float) -> Any:
        own = np.array(right)
        return np.stack([np.where(labels == c, own, 1 - own) for c in (0, 1)], axis=1)

    good, other, poor = sure(0.9, 0.9, 0.2, 0.9), sure(0.4, 0.8, 0.9, 0.8), sure(0.1, 0.1, 0.1, 0.1)
    counts = greedy_counts([good, other, poor], labels)
    assert counts[2] == 0
    assert min(counts[:2]) > 0
    mean = (counts[0] * good + counts[1] * other) / sum(counts)
    for alone in (good, other):
        assert log_losses(mean, labels).mean() < log_losses(alone, labels).mean()


# temperature


def made(n: int, scale: float, seed: int = 0) -> tuple[Any, Any]:
    """Scores that are `scale` times those by which the labels were drawn."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, 3)) * 2
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    labels = (rng.random(n)[:, None] > shares.cumsum(axis=1)).sum(axis=1)
    return scale * scores, labels


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_a_temperature_puts_scores_right(scale):
    scores, labels = made(4000, scale)
    found = fit_temperature([scores], [1.0], labels)
    assert found.value == pytest.approx(scale, rel=0.1)
    assert found.gain > 2 * found.error


def test_no_temperature_within_noise():
    for seed in range(5):
        found = fit_temperature([made(300, 1.0, seed)[0]], [1.0], made(300, 1.0, seed)[1])
        assert found.value == 1.0 or found.gain > 2 * found.error


def test_cooling_divides_the_scores(tmp_path):
    net = fanin.MLP([4, 5, 3], seed=1, output_init="kaiming")
    net.params["b2"][:] = [1, 2, 3]
    rows = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    before = net.scores(rows)
    cool(net, 2.5)
    np.testing.assert_allclose(net.scores(rows), before / 2.5, rtol=1e-5)
    net.save(tmp_path / "net.fanin")
    again = fanin.MLP.load(tmp_path / "net.fanin")
    assert np.array_equal(again.scores(rows), net.scores(rows))
