"""What networks learn and predict with each loss: classes, labels of a row, values, counts."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import reference_losses as reference
from reference_losses import CASES, Case

import fanin
from fanin import losses, metrics
from fanin.network import UnitsWarning

every_case = pytest.mark.parametrize("case", CASES, ids=str)
QUIET: dict[str, Any] = {"progress": False}


def rows(n: int = 200, d: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def smooth(X: np.ndarray) -> np.ndarray:
    return np.asarray(np.sin(X[:, 0]) + X[:, 1] * X[:, 2] / 2)


def trained(loss: str, y: np.ndarray, n_outputs: int = 1, **options: Any) -> fanin.MLP:
    network = {k: v for k, v in options.items() if k in ("quantiles", "label_smoothing", "dtype")}
    fit = {k: v for k, v in options.items() if k not in network}
    net = fanin.MLP([4, 16, n_outputs], loss=loss, seed=1, **network)
    net.fit(rows(len(y)), y, **{"epochs": 30, "optimizer": "adam", **QUIET, **fit})
    return net


@pytest.mark.row("B5")
@every_case
def test_gradient_of_a_network(case: Case) -> None:
    net = fanin.MLP([4, 5, 3], activation="tanh", output_init=None, dtype="float64",
                    loss=case.name, **case.options)  # fmt: skip
    X, y = rows(9), reference.targets(case, 9, 3)
    loss, grads = net.loss_and_grads(X, y, reg=0.1)
    row, _ = reference.loss_rows(case, net.scores(X), y)
    squares = sum((net.params[f"W{i}"] ** 2).sum() for i in (1, 2))
    assert loss == pytest.approx(row.mean() + 0.05 * squares, rel=1e-12)
    assert net.loss(X, y, reg=0.1) == pytest.approx(loss, rel=1e-12)
    for name, p in net.params.items():
        i = np.unravel_index(int(np.abs(grads[name]).argmax()), p.shape)
        middle, eps, values = p[i], 1e-6, []
        for by in (eps, -eps):
            p[i] = middle + by
            values.append(net.loss_and_grads(X, y, reg=0.1)[0])
        p[i] = middle
        slope = (values[0] - values[1]) / (2 * eps)
        assert grads[name][i] == pytest.approx(slope, rel=1e-7, abs=1e-9)


@every_case
def test_same_bits_on_any_number_of_threads_and_after_a_file(case: Case, tmp_path: Any) -> None:
    X, y = rows(150), reference.targets(case, 150, 3)
    nets = []
    for n_threads in (1, 2, 3):
        net = fanin.MLP([4, 7, 3], loss=case.name, **case.options)
        net.fit(X, y, epochs=2, n_threads=n_threads, **QUIET)
        nets.append(net)
    nets[0].save(tmp_path / "net")
    again = [fanin.MLP.load(tmp_path / "net"), nets[0].copy(), pickle.loads(pickle.dumps(nets[0]))]
    expected = nets[0].predict(X)
    for net in nets[1:] + again:
        np.testing.assert_array_equal(net.arena, nets[0].arena)
        np.testing.assert_array_equal(net.predict(X), expected)
        assert net.config() == nets[0].config()
        assert net.evaluate(X, y) == nets[0].evaluate(X, y)


def test_one_logistic_output_is_two_classes() -> None:
    X, y = rows(), (smooth(rows()) > 0).astype(np.int64)
    net = trained("logistic", y, optimizer=fanin.optim.Adam(0.01))
    p, label = net.predict_proba(X), net.predict(X)
    assert p.shape == (200, 2)
    assert label.shape == (200,)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(label, p.argmax(axis=1))
    names = ["accuracy", "balanced_accuracy", "f1", "roc_auc", "log_loss", "confusion_matrix"]
    result = net.evaluate(X, y, metrics=names)
    assert result["accuracy"] == (label == y).mean() > 0.9
    assert result["roc_auc"] == metrics.roc_auc_score(y, p)
    assert result["log_loss"] == pytest.approx(result["loss"], rel=1e-5)
    assert net.history is not None
    assert net.history.expected_initial_loss == np.log(2)
    assert net.history.initial_loss == pytest.approx(np.log(2), rel=0.05)
    np.testing.assert_array_equal(trained("logistic", y == 1, epochs=2).arena,
                                  trained("logistic", y, epochs=2).arena)  # fmt: skip


def test_class_weights_of_one_logistic_output_are_sample_weights() -> None:
    y = (smooth(rows()) > 0.8).astype(np.int64)
    weighted = trained("logistic", y, class_weight={0: 1, 1: 5}, epochs=3)
    by_row = trained("logistic", y, sample_weight=np.where(y == 1, 5.0, 1.0), epochs=3)
    np.testing.assert_array_equal(weighted.arena, by_row.arena)


def test_several_labels_a_row() -> None:
    X = rows()
    y = np.stack([smooth(X) > 0, X[:, 3] > 1, X[:, 0] > X[:, 1]], axis=1)
    net = trained("logistic", y, 3, optimizer=fanin.optim.Adam(0.01))
    p, labels = net.predict_proba(X), net.predict(X)
    assert labels.dtype == bool
    np.testing.assert_array_equal(labels, p > 0.5)
    names = ["accuracy", "hamming_loss", "f1_macro", "f1_micro", "roc_auc"]
    result = net.evaluate(X, y, metrics=names)
    assert result["accuracy"] == (labels == y).all(axis=1).mean() > 0.8
    assert result["hamming_loss"] == pytest.approx((labels != y).mean())
    rare = trained("logistic", y, 3, class_weight="balanced")
    assert rare.predict(X)[:, 1].mean() > trained("logistic", y, 3).predict(X)[:, 1].mean()
    with pytest.raises(ValueError, match=r"class_weight: expected labels in 0 \.\. 2, got 3"):
        trained("logistic", y, 3, class_weight={3: 1})
    with pytest.raises(ValueError, match=r"metrics: expected one of accuracy, hamming_loss.*'f1'"):
        net.evaluate(X, y, metrics=["f1"])


def test_metrics_of_several_labels_are_those_of_scikit_learn() -> None:
    theirs = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    y, p, w = rng.integers(0, 2, (60, 4)), rng.random((60, 4)), rng.random(60)
    names = ["accuracy", "hamming_loss", "f1_macro", "f1_micro", "roc_auc"]
    found = metrics.compute_of_several(names, y, p, w)
    hard, weights = (p > 0.5).astype(int), {"sample_weight": w}
    expected = {
        "accuracy": theirs.accuracy_score(y, hard, **weights),
        "hamming_loss": theirs.hamming_loss(y, hard, **weights),
        "f1_macro": theirs.f1_score(y, hard, average="macro", **weights),
        "f1_micro": theirs.f1_score(y, hard, average="micro", **weights),
        "roc_auc": theirs.roc_auc_score(y, p, **weights),
    }
    assert found == pytest.approx(expected, rel=1e-12)
    counts, means = rng.poisson(2, 60).astype(float), rng.random(60) + 0.1
    assert metrics.mean_poisson_deviance(counts, means, sample_weight=w) == pytest.approx(
        theirs.mean_poisson_deviance(counts, means, sample_weight=w), rel=1e-12
    )
    assert metrics.mean_pinball_loss(counts, means, alpha=0.2, sample_weight=w) == pytest.approx(
        theirs.mean_pinball_loss(counts, means, alpha=0.2, sample_weight=w), rel=1e-12
    )


VALUES = ["mse", "half_squared_error", "mae", "huber", "quantile"]


@pytest.mark.parametrize("loss", VALUES)
def test_values_in_any_units(loss: str) -> None:
    """Units that are a power of two give the same bits; others the same values."""
    X, y = rows(), smooth(rows())
    plain = trained(loss, y, dtype="float64")
    found = plain.predict(X)
    assert metrics.r2_score(y, found) > 0.5
    for factor, offset in ((2.0**20, 0.0), (1e-6, 0.0), (1e5, 1e7)):
        other = trained(loss, y * factor + offset, dtype="float64")
        tolerance = 0 if offset == 0 and factor > 1 else 1e-5
        expected = found * factor + offset
        np.testing.assert_allclose(other.predict(X), expected, rtol=0, atol=tolerance * factor)
        mine, theirs = (n.evaluate(X, t)["loss"] for n, t in
                        ((plain, y), (other, y * factor + offset)))  # fmt: skip
        assert theirs == pytest.approx(mine, rel=1e-5)
    assert plain.history is not None
    standard = (y - y.mean()) / y.std()
    row, _ = reference.loss_rows(Case(loss, {"quantiles": (0.5,)}), np.zeros((200, 1)),
                                 standard.reshape(-1, 1))  # fmt: skip
    assert plain.history.expected_initial_loss == pytest.approx(row.mean(), rel=1e-12)


def test_metrics_of_values_are_in_their_units() -> None:
    X, y = rows(), 1000 * smooth(rows()) + 5000
    net = trained("huber", y, validation_data=(X, y), metrics=["mae", "r2"])
    result = net.evaluate(X, y, metrics=["mae", "rmse", "r2"])
    predicted = net.predict(X).astype(np.float64)
    assert result["mae"] == pytest.approx(np.abs(predicted[:, 0] - y).mean(), rel=1e-6)
    assert net.history is not None
    assert net.history.history["val_mae"][-1] == result["mae"]


def test_the_first_fit_records_the_units_and_plain_ones_are_an_option() -> None:
    X, y = rows(), 1000 * smooth(rows())
    net = trained("mse", y)
    mean, scale = net.targets.mean, net.targets.scale
    net.fit(X, 5 * y, epochs=1, **QUIET)
    assert net.targets.mean is mean
    assert net.targets.scale is scale
    net.fit(X, y, epochs=1, standardize_targets=False, **QUIET)
    assert net.targets.mean is None
    np.testing.assert_array_equal(net.predict(X), net.scores(X))
    with pytest.raises(TypeError, match="standardize_targets: expected"):
        net.fit(X, y, standardize_targets=1, **QUIET)


def test_constant_values_and_rows_without_weight() -> None:
    X = rows()
    np.testing.assert_allclose(trained("mse", np.full(200, 7.0)).predict(X), 7, rtol=1e-2)
    y, w = smooth(X), np.ones(200)
    y[:5], w[:5] = 1e9, 0
    np.testing.assert_allclose(
        trained("mse", y, sample_weight=w).targets.mean, y[5:].mean(), rtol=1e-12
    )


def test_far_values_in_float32_are_told() -> None:
    with pytest.warns(UnitsWarning, match="y is about 1e"):
        trained("mse", 1e9 + smooth(rows()), epochs=1)


def test_quantiles_are_an_interval() -> None:
    rng = np.random.default_rng(0)
    X = rows(2000)
    y = 100 + 10 * rng.normal(size=2000)
    levels = [0.1, 0.5, 0.9]
    net = trained("quantile", y, 3, quantiles=levels, epochs=20)
    found = net.predict(X)
    assert found.shape == (2000, 3)
    assert (np.diff(found, axis=1) >= 0).all()
    result = net.evaluate(X, y, metrics=["coverage", "pinball_loss", "mae"])
    assert 0.76 < result["coverage"] < 0.84
    assert result["pinball_loss"] == pytest.approx(
        np.mean([metrics.mean_pinball_loss(y, found[:, i], alpha=q) for i, q in enumerate(levels)]),
        rel=1e-5,
    )
    assert result["mae"] == pytest.approx(np.abs(found[:, 1] - y).mean(), rel=1e-5)
    several = trained("quantile", np.stack([y, 2 * y], axis=1), 6, quantiles=levels, epochs=2)
    assert several.predict(X).shape == (2000, 2, 3)
    with pytest.raises(ValueError, match=r"metrics: expected quantile 0.5 for 'mae'"):
        trained("quantile", y, quantiles=0.9, epochs=1).evaluate(X, y, metrics=["mae"])


def test_counts() -> None:
    X = rows(1000)
    means = 50 * np.exp(X[:, 0] / 2)
    y = np.random.default_rng(0).poisson(means)
    net = trained("poisson", y, epochs=20, optimizer=fanin.optim.Adam(0.01))
    found = net.predict(X)[:, 0]
    assert (found > 0).all()
    assert np.corrcoef(found, means)[0, 1] > 0.95
    assert found.mean() == pytest.approx(y.mean(), rel=0.1)
    result = net.evaluate(X, y, metrics=["poisson_deviance", "mae"])
    assert result["poisson_deviance"] == pytest.approx(2 * result["loss"] * y.mean(), rel=1e-4)
    with pytest.raises(ValueError, match=r"y: expected counts, at least 0; got -1.0 in row 0"):
        net.fit(X, y - y[0] - 1, **QUIET)


def test_temperature_divides_the_scores() -> None:
    X, y = rows(), (smooth(rows()) > 0).astype(np.int64)
    cool, plain = (fanin.MLP([4, 2], temperature=t, dtype="float64") for t in (4.0, 1.0))
    np.testing.assert_allclose(cool.predict_proba(X), losses.softmax(plain.scores(X) / 4))
    expected = losses.softmax_loss(plain.scores(X) / 4, y)[0]
    assert cool.evaluate(X, y)["loss"] == pytest.approx(expected, rel=1e-12)


def test_what_has_no_probabilities_says_so() -> None:
    for loss in ("svm", "mae", "poisson"):
        with pytest.raises(ValueError, match=f"expected loss='softmax' or .*, this is '{loss}'"):
            fanin.MLP([4, 1], loss=loss).predict_proba(rows())
    with pytest.raises(ValueError, match="class_weight: expected labels to go with"):
        trained("mae", smooth(rows()), class_weight="balanced")
    mixed = [fanin.MLP([4, 1]), fanin.MLP([4, 1], loss="huber")]
    with pytest.raises(ValueError, match=r"members: expected networks with loss .*'huber' at 1"):
        fanin.ensemble.Ensemble(mixed)


def test_ensembles_of_values_are_in_their_units() -> None:
    X, y = rows(), 1000 * smooth(rows()) + 5000
    members = [trained("mse", y), trained("mse", y, epochs=3)]
    mean = np.mean([net.predict(X).astype(np.float64) for net in members], axis=0)
    found = fanin.ensemble.Ensemble(members)
    np.testing.assert_allclose(found.predict(X), mean, rtol=1e-6)
    assert found.evaluate(X, y)["loss"] == pytest.approx(((mean[:, 0] - y) ** 2).mean(), rel=1e-5)


def test_mixing_makes_probabilities_of_one_output() -> None:
    X, y = rows().astype(np.float32), (smooth(rows()) > 0).astype(np.int64)
    net = fanin.MLP([4, 8, 1], loss="logistic")
    net.fit(X, y, mix=fanin.augment.Mixup(0.2), epochs=20, **QUIET)
    assert net.evaluate(X, y)["accuracy"] > 0.7
