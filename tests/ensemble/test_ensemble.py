"""What ensembles combine, and their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ensemble_cases import DIMS, OPTIONS, X_TEST, X, networks, rows, y

import fanin
from fanin import ensemble, losses
from fanin.ensemble import Ensemble

# What is combined


@pytest.mark.parametrize("weights", [None, [1, 2, 5]])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_combinations_by_hand(weights: Any, dtype: str) -> None:
    members = [fanin.MLP([7, 5, 4], seed=i, output_init="kaiming", dtype=dtype) for i in range(3)]
    data, w = rows(), np.array(weights or [1, 1, 1]) / sum(weights or [1, 1, 1])
    scores = np.array([net.scores(data) for net in members], float)
    proba = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    tolerance = {"rtol": 1e-5 if dtype == "float32" else 1e-12}

    mean = Ensemble(members, weights=weights)
    assert mean.predict_proba(data).dtype == dtype
    np.testing.assert_allclose(mean.predict_proba(data), np.tensordot(w, proba, 1), **tolerance)
    assert np.array_equal(mean.scores(data), mean.predict_proba(data))
    assert np.array_equal(mean.predict(data), np.tensordot(w, proba, 1).argmax(1))

    logits = Ensemble(members, combine="logits", weights=weights)
    total = np.tensordot(w, scores, 1)
    np.testing.assert_allclose(logits.scores(data), total, rtol=1e-5, atol=1e-6)
    expected = np.exp(total) / np.exp(total).sum(-1, keepdims=True)
    np.testing.assert_allclose(logits.predict_proba(data), expected, rtol=1e-5)
    assert np.array_equal(logits.predict(data), total.argmax(1))

    vote = Ensemble(members, combine="vote", weights=weights)
    shares = np.tensordot(w, np.eye(4)[scores.argmax(-1)], 1)
    np.testing.assert_allclose(vote.predict_proba(data), shares, rtol=1e-6)
    tied = np.isclose(shares, shares.max(1, keepdims=True))
    assert tied.sum() > len(data) or weights, "no tie to be broken"
    wanted = np.where(tied, np.tensordot(w, proba, 1), -1).argmax(1)
    assert np.array_equal(vote.predict(data), wanted)


def test_one_member_alone_is_itself() -> None:
    (net,) = networks(1)
    data, labels = rows(), np.arange(50) % 4
    for combine in ("probability", "logits", "vote"):
        alone = Ensemble([net], combine=combine)
        assert np.array_equal(alone.predict(data), net.predict(data))
        result = alone.evaluate(data, labels)
        assert result["members"] == [net.evaluate(data, labels)]
        assert result["accuracy"] == net.evaluate(data, labels)["accuracy"]
        if combine != "vote":
            assert result["loss"] == pytest.approx(net.evaluate(data, labels)["loss"], rel=1e-6)
    assert np.array_equal(Ensemble([net]).predict_proba(data), net.predict_proba(data))


def test_members_without_probabilities() -> None:
    data = rows()
    svm, mse = networks(1, "svm")[0], networks(1, "mse")[0]
    alone = Ensemble([svm]).predict_proba(data)
    np.testing.assert_allclose(alone, losses.softmax(svm.scores(data)))
    mixed = Ensemble([svm, mse]).predict_proba(data)
    share = np.maximum(mse.scores(data).astype(float), 1e-9)
    share /= share.sum(1, keepdims=True)
    np.testing.assert_allclose(mixed, (alone + share) / 2, rtol=1e-6)


def test_regression_is_the_mean_of_the_outputs() -> None:
    members, data = networks(3, "mse", (7, 5, 2)), rows()
    values = np.random.default_rng(1).standard_normal((50, 2)).astype(np.float32)
    together = Ensemble(members)
    outputs = np.array([net.predict(data) for net in members], float)
    np.testing.assert_allclose(together.predict(data), outputs.mean(0), rtol=1e-6)
    result = together.evaluate(data, values)
    assert "accuracy" not in result
    assert result["loss"] == pytest.approx(np.mean((outputs.mean(0) - values) ** 2), rel=1e-5)
    assert result["loss"] <= np.mean([member["loss"] for member in result["members"]])
    apart = np.sqrt(np.mean((outputs[0] - outputs[2]) ** 2))
    assert result["disagreement"][0, 2] == pytest.approx(apart, rel=1e-5)
    with pytest.raises(ValueError, match="predict_proba: expected a member with loss"):
        together.predict_proba(data)


@pytest.mark.parametrize("loss", ["mse", "half_squared_error", "mae", "huber", "poisson"])
def test_values_are_averaged_in_the_units_of_y(loss: str) -> None:
    data, y = rows(), np.abs(rows()[:, 0]).astype(float) + 1
    members = [fanin.MLP([7, 5, 1], seed=i, loss=loss, dtype="float64") for i in range(2)]
    for net in members:
        net.fit(data, 10 * y, epochs=2, progress=False)
    together = Ensemble(members, weights=[3, 1])
    mean = 0.75 * members[0].predict(data) + 0.25 * members[1].predict(data)
    np.testing.assert_allclose(together.predict(data), mean, rtol=1e-12)
    result = together.evaluate(data, 10 * y, metrics=["rmse", "r2"])
    assert result["rmse"] == pytest.approx(np.sqrt(np.mean((mean[:, 0] - 10 * y) ** 2)))
    off = np.abs(mean[:, 0] - 10 * y)
    expected = {"mse": off**2, "half_squared_error": off**2 / 2, "mae": off}
    if loss in expected:
        assert result["loss"] == pytest.approx(expected[loss].mean())
    assert len(result["members"]) == 2


def test_quantiles_of_other_levels_do_not_go_together() -> None:
    nets = [
        fanin.MLP([4, 2], loss="quantile", quantiles=levels) for levels in ([0.1, 0.5], [0.5, 0.9])
    ]
    with pytest.raises(ValueError, match=r"members: expected the quantiles of the first"):
        Ensemble(nets)


@pytest.mark.parametrize("combine", ["probability", "logits", "vote"])
def test_several_labels_are_combined_one_by_one(combine: str) -> None:
    data = rows()
    members = [
        fanin.MLP([7, 5, 3], seed=i, loss="logistic", output_init="kaiming", dtype="float64")
        for i in range(3)
    ]
    scores = np.array([net.scores(data) for net in members])
    p = {
        "probability": (1 / (1 + np.exp(-scores))).mean(0),
        "logits": 1 / (1 + np.exp(-scores.mean(0))),
        "vote": (scores > 0).mean(0),
    }[combine]
    together, y = Ensemble(members, combine=combine), rows()[:, :3] > 0
    np.testing.assert_allclose(together.predict_proba(data), p, rtol=1e-12)
    assert np.array_equal(together.predict(data), p > 0.5)
    result = together.evaluate(data, y, metrics=["hamming_loss", "f1_macro"])
    assert result["hamming_loss"] == pytest.approx(np.mean((p > 0.5) != y))
    own = np.where(y, p, 1 - p)
    wanted = np.mean((p > 0.5) != y) if combine == "vote" else -np.log(own).mean()
    assert result["loss"] == pytest.approx(wanted)


def test_two_classes_with_one_output() -> None:
    data, y = rows(), (rows()[:, 0] > 0).astype(int)
    members = [fanin.MLP([7, 5, 1], seed=i, loss="logistic", dtype="float64") for i in range(2)]
    together = Ensemble(members)
    p = np.mean([net.predict_proba(data) for net in members], axis=0)
    np.testing.assert_allclose(together.predict_proba(data), p, rtol=1e-12)
    assert together.evaluate(data, y)["accuracy"] == np.mean(p.argmax(1) == y)


def test_evaluate_by_hand() -> None:
    members, data, labels = networks(4), rows(), np.arange(50) % 4
    predicted = np.array([net.predict(data) for net in members])
    apart = (predicted[:, None] != predicted[None]).mean(-1)
    for combine in ("probability", "logits", "vote"):
        together = Ensemble(members, combine=combine)
        result = together.evaluate(data, labels)
        assert np.array_equal(result["disagreement"], apart)
        assert np.array_equal(together.disagreement(data), apart)
        assert result["members"] == [net.evaluate(data, labels) for net in members]
        assert result["accuracy"] == np.mean(together.predict(data) == labels)
        right = together.predict_proba(data)[np.arange(50), labels]
        wanted = -np.log(right).mean() if combine != "vote" else 1 - result["accuracy"]
        assert result["loss"] == pytest.approx(wanted, rel=1e-5)


def test_evaluate_with_soft_labels() -> None:
    members, data = networks(3), rows()
    soft = np.random.default_rng(2).dirichlet(np.ones(4), 50).astype(np.float32)
    for combine in ("probability", "logits"):
        together = Ensemble(members, combine=combine)
        result = together.evaluate(data, soft)
        wanted = -(soft * np.log(together.predict_proba(data))).sum(1).mean()
        assert result["loss"] == pytest.approx(wanted, rel=1e-5)
        assert "accuracy" not in result
    vote = Ensemble(members, combine="vote")
    right = soft[np.arange(50), vote.predict(data)]
    assert vote.evaluate(data, soft)["loss"] == pytest.approx(1 - right.mean(), rel=1e-5)


def test_a_probability_that_was_rounded_to_zero_has_a_finite_loss() -> None:
    net = networks(1)[0]
    net.params["b2"][:] = [0, 1000, 0, 0]
    result = Ensemble([net, net]).evaluate(rows(), np.zeros(50, int))
    assert 80 < result["loss"] < 110


def test_predictions_do_not_depend_on_threads() -> None:
    together = Ensemble(networks(3))
    data = rows(500)
    for n_threads in (2, 3):
        assert np.array_equal(
            together.predict_proba(data, n_threads=1),
            together.predict_proba(data, n_threads=n_threads),
        )


def test_an_ensemble_is_a_collection() -> None:
    members = networks(3)
    together = Ensemble(members)
    assert len(together) == 3
    assert list(together) == members
    assert repr(together) == "Ensemble(3 members, 7-5-4, combine='probability')"
    assert "2 shapes" in repr(Ensemble([*members, fanin.MLP([7, 4])]))


# Files


@pytest.mark.parametrize("combine", ["probability", "logits", "vote"])
def test_saved_and_loaded(tmp_path: Path, combine: str) -> None:
    variants = [{"loss": "svm"}, {"dims": [64, 9, 8, 10]}, {"dtype": "float64"}]
    options = {**OPTIONS, "epochs": 1}
    members = ensemble.from_objectives(DIMS, X, y, variants, **options).members
    failures = [ensemble.Failure(3, "member 3", "OSError: no space")]
    one = Ensemble(members, combine=combine, weights=[1, 2, 4], failures=failures)
    one.save(tmp_path / "e.fanin")
    other = Ensemble.load(tmp_path / "e.fanin")
    assert np.array_equal(one.predict_proba(X_TEST), other.predict_proba(X_TEST))
    assert np.array_equal(one.weights, other.weights)
    assert [net.config() for net in one] == [net.config() for net in other]
    assert (other.combine, other.failures) == (combine, failures)
    one.save(tmp_path / "again.fanin")
    assert (tmp_path / "again.fanin").read_bytes() == (tmp_path / "e.fanin").read_bytes()
    with np.load(tmp_path / "e.fanin", allow_pickle=False) as archive:
        assert json.loads(archive["header"].tobytes())["kind"] == "ensemble"


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "net.fanin"
    fanin.MLP([4, 2]).save(path)
    with pytest.raises(ValueError, match=r"net\.fanin: expected a fanin ensemble file, got"):
        Ensemble.load(path)
    Ensemble(networks(2)).save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"net\.fanin: "):
            Ensemble.load(path)


def test_a_file_whose_header_lies(tmp_path: Path) -> None:
    path = tmp_path / "e.fanin"
    state = networks(1)[0].__getstate__()
    arrays = {"0.parameters": state.pop("arrays")["parameters"], "weights": np.ones(1)}
    good = {"kind": "ensemble", "combine": "vote", "members": [state], "failures": []}
    fanin.checkpoint.save_archive(path, good, arrays)
    assert len(Ensemble.load(path)) == 1
    for lie in [
        {"members": []},
        {"members": 3},
        {"members": [state, state]},
        {"combine": "mean"},
        {"failures": [{"member": 1}]},
        {"members": [{**state, "config": {**state["config"], "dims": [7, 50, 4]}}]},
    ]:
        fanin.checkpoint.save_archive(path, {**good, **lie}, arrays)
        with pytest.raises(ValueError, match=r"e\.fanin: not a usable ensemble"):
            Ensemble.load(path)
