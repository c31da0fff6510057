"""The six kinds of ensembles on real data, what they combine, and their files."""

from __future__ import annotations

import json
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fanin
from fanin import ensemble, losses
from fanin.ensemble import Ensemble, ParameterAverage
from fanin.ensemble._members import Rows

(X, y), (X_TEST, Y_TEST) = fanin.datasets.load("digits")
# Few rows: what is left to learn is what an ensemble can gain.
X, y, X_VAL, Y_VAL = X[:600], y[:600], X[600:900], y[600:900]
DIMS = [64, 32, 10]
OPTIONS: dict[str, Any] = {
    "epochs": 10,
    "batch_size": 32,
    "preprocess": "standardize",
    "progress": False,
}


def networks(n: int = 3, loss: str = "softmax", dims: Any = (7, 5, 4)) -> list[fanin.MLP]:
    """Untrained, and far from sure of anything."""
    return [
        fanin.MLP(dims, loss=loss, seed=i, output_init="kaiming", activation="tanh")
        for i in range(n)
    ]


def rows(n: int = 50, columns: int = 7) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((n, columns)).astype(np.float32)


def assert_gains(together: Ensemble, above: float = 0.0) -> None:
    """At least its members' mean, with members that differ."""
    result = together.evaluate(X_TEST, Y_TEST)
    mean = np.mean([member["accuracy"] for member in result["members"]])
    assert result["accuracy"] >= mean + above
    disagreement = result["disagreement"]
    assert disagreement.shape == (len(together), len(together))
    assert np.array_equal(disagreement, disagreement.T)
    assert (np.diag(disagreement) == 0).all()
    assert (disagreement[~np.eye(len(together), dtype=bool)] > 0).all()


# The six kinds


@pytest.mark.row("R1")
def test_different_initialisations() -> None:
    together = ensemble.from_initializations(DIMS, X, y, n_members=5, **OPTIONS)
    assert_gains(together, above=0.005)
    assert len({net.seed for net in together}) == 5
    assert all(net.history.stop_reason == "all epochs done" for net in together)


def test_a_member_is_what_its_seed_says_alone() -> None:
    few = ensemble.from_initializations(DIMS, X, y, n_members=2, seed=3, **OPTIONS)
    more = ensemble.from_initializations(DIMS, X, y, n_members=3, seed=3, **OPTIONS)
    other = ensemble.from_initializations(DIMS, X, y, n_members=3, seed=4, **OPTIONS)
    alone = fanin.MLP(DIMS, seed=few.members[1].seed)
    alone.fit(X, y, **OPTIONS)
    for net in (few.members[1], more.members[1]):
        assert np.array_equal(net.get_parameters(), alone.get_parameters())
    assert not {net.seed for net in more} & {net.seed for net in other}


@pytest.mark.row("R2")
@pytest.mark.parametrize("combine", ["probability", "logits", "vote"])
def test_different_objectives_and_optimizers(combine: str) -> None:
    variants = [
        {"loss": "softmax"},
        {"loss": "svm"},
        {"optimizer": "momentum"},
        {"activation": "tanh", "reg": 1e-3},
        {"dims": [64, 20, 20, 10], "seed": 5},
    ]
    together = ensemble.from_objectives(DIMS, X, y, variants, combine=combine, **OPTIONS)
    assert_gains(together)
    assert [net.loss_name for net in together] == ["softmax", "svm", *["softmax"] * 3]
    assert together.members[2].history.params["optimizer"] == "momentum"
    assert together.members[3].activation == ["tanh"]
    assert together.members[3].history.params["reg"] == 1e-3
    assert (together.members[4].dims, together.members[4].seed) == ([64, 20, 20, 10], 5)


def test_the_default_objectives_train() -> None:
    together = ensemble.from_objectives(DIMS, X, y, **{**OPTIONS, "epochs": 1})
    assert len(together) == 5
    assert together.failures == []


@pytest.mark.row("R3")
@pytest.mark.parametrize("method", ["bootstrap", "folds"])
def test_different_data(method: str) -> None:
    together = ensemble.from_datasets(DIMS, X, y, method=method, **OPTIONS)
    assert_gains(together, above=0.005)
    sizes = [net.history.params["n_train"] for net in together]
    assert sizes == [600 if method == "bootstrap" else 480] * 5


def test_a_member_trains_on_its_rows_and_their_weights() -> None:
    weights = np.linspace(0.1, 2, len(X))
    options = {**OPTIONS, "sample_weight": weights}
    together = ensemble.from_datasets(DIMS, X, y, method="folds", n_members=3, seed=8, **options)
    own = Rows("folds", 8, 1, 3).of(len(X))
    alone = fanin.MLP(DIMS, seed=together.members[1].seed)
    alone.fit(X[own], y[own], **{**options, "sample_weight": weights[own]})
    assert np.array_equal(alone.get_parameters(), together.members[1].get_parameters())


@given(n=st.integers(2, 200), members=st.integers(2, 9), seed=st.integers(0, 2**64 - 1))
@settings(max_examples=50)
def test_folds_deal_out_every_row_once(n: int, members: int, seed: int) -> None:
    members = min(n, members)
    left_out = [
        np.setdiff1d(np.arange(n), Rows("folds", seed, i, members).of(n)) for i in range(members)
    ]
    assert np.array_equal(np.sort(np.concatenate(left_out)), np.arange(n))
    assert max(map(len, left_out)) - min(map(len, left_out)) <= 1


def test_bootstrap_draws_with_replacement() -> None:
    n = 20_000
    drawn = [Rows("bootstrap", 1, i, 3).of(n) for i in range(3)]
    for own in drawn:
        assert own.shape == (n,)
        assert (own.min(), own.max()) >= (0, 0)
        assert own.max() < n
        assert abs(len(np.unique(own)) / n - (1 - np.exp(-1))) < 0.015
    assert all(not np.array_equal(a, b) for a, b in pairwise(drawn))


@pytest.fixture(scope="module")
def trials() -> list[tuple[fanin.MLP, float]]:
    found = []
    for i, lr in enumerate([1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]):
        net = fanin.MLP(DIMS, seed=i)
        net.fit(X, y, optimizer=fanin.optim.Adam(lr=lr), **OPTIONS)
        found.append((net, net.evaluate(X_VAL, Y_VAL)["accuracy"]))
    return found


@pytest.mark.row("R4")
@pytest.mark.parametrize("combine", ["probability", "logits", "vote"])
def test_the_best_of_a_search(trials: Any, combine: str) -> None:
    top = ensemble.from_search(trials, k=3, combine=combine)
    assert_gains(top)
    by_score = sorted(trials, key=lambda trial: -trial[1])
    assert top.members == [net for net, _ in by_score[:3]]
    scored_here = ensemble.from_search([net for net, _ in trials], X_VAL, Y_VAL, k=3)
    assert scored_here.members == top.members


@pytest.mark.row("R4")
@pytest.mark.parametrize("combine", ["probability", "logits", "vote"])
def test_greedy_selection_is_never_worse_than_the_best_on_validation(
    trials: Any, combine: str
) -> None:
    chosen = ensemble.from_search(trials, X_VAL, Y_VAL, k=8, greedy=True, combine=combine)
    result = chosen.evaluate(X_VAL, Y_VAL)
    assert result["accuracy"] >= max(score for _, score in trials)
    shares = chosen.weights * round(1 / chosen.weights.min())
    np.testing.assert_allclose(shares, np.round(shares), atol=0.51)
    assert chosen.weights.sum() == pytest.approx(1)
    test = chosen.evaluate(X_TEST, Y_TEST)
    assert test["accuracy"] >= np.mean([member["accuracy"] for member in test["members"]])


def test_greedy_selection_by_brute_force(trials: Any) -> None:
    """Two rounds: the best single, then the best pair with it, itself included."""
    proba = [net.predict_proba(X_VAL).astype(float) for net, _ in trials]
    order = sorted(range(len(trials)), key=lambda i: -trials[i][1])

    def merit(p: np.ndarray) -> tuple[float, float]:
        right = p[np.arange(len(Y_VAL)), Y_VAL]
        return float(np.mean(p.argmax(1) == Y_VAL)), float(right.mean())

    first = max(order, key=lambda i: merit(proba[i]))
    second = max(order, key=lambda i: merit((proba[first] + proba[i]) / 2))
    chosen = ensemble.from_search(trials, X_VAL, Y_VAL, k=2, greedy=True)
    wanted = {trials[first][0], trials[second][0]}
    if merit((proba[first] + proba[second]) / 2) <= merit(proba[first]):
        wanted = {trials[first][0]}
    assert set(chosen.members) == wanted


def test_candidates_without_a_finite_score_are_left_out(trials: Any) -> None:
    spoilt = [(net, np.nan if i == 2 else score) for i, (net, score) in enumerate(trials)]
    chosen = ensemble.from_search(spoilt, k=6)
    assert len(chosen) == 5
    assert [(f.member, f.reason) for f in chosen.failures] == [(2, "its validation score is nan")]


@pytest.mark.row("R5")
def test_checkpoints_of_one_run() -> None:
    options = {name: value for name, value in OPTIONS.items() if name != "epochs"}
    seen: list[float] = []
    rates = fanin.callbacks.LambdaCallback(on_epoch_end=lambda _, logs: seen.append(logs["lr"]))
    together = ensemble.from_checkpoints(
        DIMS,
        X,
        y,
        n_cycles=4,
        epochs_per_cycle=5,
        optimizer=fanin.optim.Adam(lr=1e-2),
        network={"keep": 0.5},
        callbacks=[rates],
        **options,
    )
    assert_gains(together)
    assert [net.epochs_done for net in together] == [5, 10, 15, 20]
    assert len({net.seed for net in together}) == 1
    seen_by_cycle = np.reshape(seen, (4, 5))
    assert (np.diff(seen_by_cycle, axis=1) < 0).all()
    assert np.array_equal(seen_by_cycle[1:], seen_by_cycle[:-1])


@pytest.mark.filterwarnings("ignore::fanin.DivergenceWarning")
def test_a_run_that_ends_early_gives_the_snapshots_it_reached() -> None:
    class Stop(fanin.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            self.network.stop_training = epoch == 4

    common = {"n_cycles": 3, "epochs_per_cycle": 2, "progress": False}
    together = ensemble.from_checkpoints(DIMS, X, y, callbacks=[Stop()], **common)
    assert len(together) == 2
    assert [f.member for f in together.failures] == [2]
    assert "stopped by a callback" in together.failures[0].reason
    with pytest.raises(RuntimeError, match="ended in its first cycle: diverged"):
        ensemble.from_checkpoints(DIMS, X, y, optimizer=fanin.optim.SGD(lr=1e30), **common)


class Points(fanin.callbacks.Callback):
    """Copies of the network after every epoch, or every step."""

    def __init__(self, hook: str) -> None:
        self.points: list[np.ndarray] = []
        setattr(self, hook, lambda *_: self.points.append(self.network.get_parameters()))

    @property
    def uses_batches(self) -> bool:
        return True


@pytest.mark.row("R6")
@pytest.mark.parametrize("decay", [None, 0.99])
def test_a_running_average_of_the_parameters(decay: float | None) -> None:
    points, average = Points("on_epoch_end"), ParameterAverage(decay, start=5)
    net = fanin.MLP(DIMS)
    net.fit(X, y, optimizer=fanin.optim.Adam(lr=1e-2), callbacks=[points, average], **OPTIONS)
    accuracies = []
    for parameters in points.points[5:]:
        net.set_parameters(parameters)
        accuracies.append(net.evaluate(X_TEST, Y_TEST)["accuracy"])
    averaged = average.network()
    assert averaged.evaluate(X_TEST, Y_TEST)["accuracy"] >= np.mean(accuracies)
    assert not np.array_equal(averaged.get_parameters(), points.points[-1])
    assert average.n_averaged == (5 if decay is None else 5 * 19)


def test_the_equal_average_is_the_mean_of_the_epochs() -> None:
    points, average = Points("on_epoch_end"), ParameterAverage()
    net = fanin.MLP(DIMS, dtype="float64")
    net.fit(X, y, callbacks=[points, average], **OPTIONS)
    got = average.network()
    np.testing.assert_allclose(got.get_parameters(), np.mean(points.points[5:], axis=0), rtol=1e-12)
    assert np.array_equal(net.get_parameters(), points.points[-1])
    (got_mean, got_scale), (mean, scale) = got.preprocess, net.preprocess
    assert np.array_equal(got_mean, mean)
    assert np.array_equal(got_scale, scale)


def test_the_exponential_average_by_hand() -> None:
    points, average = Points("on_train_batch_end"), ParameterAverage(0.9)
    net = fanin.MLP(DIMS, dtype="float64")
    net.fit(X, y, callbacks=[points, average], **{**OPTIONS, "epochs": 2})
    wanted = points.points[0]
    for t, parameters in enumerate(points.points[1:]):
        d = min(0.9, (1 + t) / (10 + t))
        wanted = d * wanted + (1 - d) * parameters
    np.testing.assert_allclose(average.network().get_parameters(), wanted, rtol=1e-10, atol=1e-14)


def test_an_average_changes_nothing_of_the_run_and_begins_anew_with_each() -> None:
    alone, watched = fanin.MLP(DIMS), fanin.MLP(DIMS)
    average = ParameterAverage(0.999)
    alone.fit(X, y, **OPTIONS)
    watched.fit(X, y, callbacks=[average], n_threads=2, **OPTIONS)
    assert np.array_equal(alone.get_parameters(), watched.get_parameters())
    first = average.network().get_parameters()
    again = fanin.MLP(DIMS)
    again.fit(X, y, callbacks=[average], **OPTIONS)
    assert np.array_equal(average.network().get_parameters(), first)


@pytest.mark.parametrize(
    ("start", "epochs", "counted"),
    [(None, 10, 5), (0.75, 8, 2), (3, 10, 7), (0, 4, 4), (0.0, 4, 4)],
)
def test_where_an_average_starts(start: float | None, epochs: int, counted: int) -> None:
    average = ParameterAverage(start=start)
    fanin.MLP(DIMS).fit(X, y, callbacks=[average], **{**OPTIONS, "epochs": epochs})
    assert average.n_averaged == counted


def test_average_parameters_takes_points_of_one_run() -> None:
    net, points = fanin.MLP(DIMS, dtype="float64"), []
    for _ in range(3):
        net.fit(X, y, **{**OPTIONS, "epochs": 2})
        points.append(net.copy())
    got = ensemble.average_parameters(points)
    wanted = np.mean([p.get_parameters() for p in points], axis=0)
    np.testing.assert_allclose(got.get_parameters(), wanted, rtol=1e-14)
    assert got.epochs_done == 6
    assert np.array_equal(points[2].get_parameters(), net.get_parameters())


def test_average_parameters_refuses_different_runs() -> None:
    def trained(seed: int = 0, rows: int = 600, **options: Any) -> fanin.MLP:
        net = fanin.MLP(DIMS, seed=seed, **options)
        net.fit(X[:rows], y[:rows], **{**OPTIONS, "epochs": 1, "preprocess": None})
        return net

    one = trained()
    for other, why in [
        (trained(seed=1), "got seed=1 at 1 and seed=0 at 0"),
        (trained(activation="tanh"), "activation="),
        (trained(rows=590), "different parameters after the same 19 steps"),
        (fanin.MLP([64, 31, 10]), "dims="),
    ]:
        with pytest.raises(ValueError, match=f"networks: expected points of one run.*{why}"):
            ensemble.average_parameters([one, other])
    other = one.copy()
    other.set_preprocess((0.5, 2.0), X)
    with pytest.raises(ValueError, match="different preprocessing"):
        ensemble.average_parameters([one, other])


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


# Bad input


def build(**options: Any) -> Ensemble:
    return ensemble.from_initializations(DIMS, X, y, **{**OPTIONS, **options})


BAD: dict[str, tuple[Any, Any, str]] = {
    "no members": (lambda: Ensemble([]), ValueError, "members: expected at least one, got none"),
    "members: type": (lambda: Ensemble([3]), TypeError, "members: expected MLP, got int at 0"),
    "members: one": (
        lambda: Ensemble(networks(1)[0]),
        TypeError,
        "members: expected a list of MLP",
    ),
    "members: shapes": (
        lambda: Ensemble([*networks(1), fanin.MLP([7, 5, 3])]),
        ValueError,
        r"members: expected the inputs and outputs of the first, \[7, 5, 4\], got \[7, 5, 3\] at 1",
    ),
    "combine": (
        lambda: Ensemble(networks(), combine="mean"),
        ValueError,
        "combine: expected one of probability, logits, vote; got 'mean'",
    ),
    "weights: number": (
        lambda: Ensemble(networks(), weights=[1, 2]),
        ValueError,
        "weights: expected 3, one for each member, got 2",
    ),
    "weights: negative": (
        lambda: Ensemble(networks(), weights=[1, 2, -1]),
        ValueError,
        "weights: expected at least 0, got -1",
    ),
    "weights: zero": (
        lambda: Ensemble(networks(), weights=[0, 0, 0]),
        ValueError,
        "weights: expected one above 0",
    ),
    "X: columns": (
        lambda: Ensemble(networks()).predict(rows(5, 6)),
        ValueError,
        r"X: expected shape \(N, 7\).*got \(5, 6\) float32",
    ),
    "y: range": (
        lambda: Ensemble(networks()).evaluate(rows(), np.full(50, 4)),
        ValueError,
        "y: expected labels in 0 .. 3, got 4 in row 0",
    ),
    "n_members": (lambda: build(n_members=0), ValueError, "n_members: expected at least 1, got 0"),
    "seed": (lambda: build(seed=-1), ValueError, "seed: expected between 0 and .*got -1"),
    "option": (
        lambda: build(epoch=3),
        ValueError,
        "fit_options: expected options among validation_data, epochs, .*got 'epoch'",
    ),
    "network": (
        lambda: build(network={"hidden": 3}),
        ValueError,
        "network: expected options among activation, init.*got 'hidden'",
    ),
    "network: seed": (lambda: build(network={"seed": 3}), ValueError, "network: .*got 'seed'"),
    "network: list": (lambda: build(network=["relu"]), TypeError, "network: expected a dict"),
    "network: value": (
        lambda: build(network={"activation": "swish"}),
        ValueError,
        "activation: expected one of",
    ),
    "fit: value": (lambda: build(epochs=-1), ValueError, "epochs: expected at least 0, got -1"),
    "fit: optimizer": (lambda: build(optimizer="adm"), ValueError, "optimizer: expected one of"),
    "combine of builder": (lambda: build(combine="max"), ValueError, "combine: expected one of"),
    "data": (
        lambda: ensemble.from_initializations(DIMS, X[:, :7], y, **OPTIONS),
        ValueError,
        r"X: expected shape \(N, 64\)",
    ),
    "data: list": (
        lambda: ensemble.from_datasets(DIMS, [[1.0]], y, method="folds", **OPTIONS),
        TypeError,
        "X: expected a NumPy array, got list",
    ),
    "validation": (
        lambda: build(validation_data=(X_VAL,)),
        ValueError,
        r"validation_data: expected \(X, y\), got 1 of them",
    ),
    "variants": (
        lambda: ensemble.from_objectives(DIMS, X, y, {"loss": "svm"}, **OPTIONS),
        TypeError,
        "variants: expected a list of dicts",
    ),
    "variants: option": (
        lambda: ensemble.from_objectives(DIMS, X, y, [{"los": "svm"}], **OPTIONS),
        ValueError,
        r"variants\[0\]: expected options among activation, .*got 'los'",
    ),
    "variants: value": (
        lambda: ensemble.from_objectives(DIMS, X, y, [{}, {"loss": "hinge"}], **OPTIONS),
        ValueError,
        r"member 1 \(loss='hinge'\): loss: expected one of",
    ),
    "variants: none": (
        lambda: ensemble.from_objectives(DIMS, X, y, [], **OPTIONS),
        ValueError,
        "variants: expected at least one, got none",
    ),
    "method": (
        lambda: ensemble.from_datasets(DIMS, X, y, method="jackknife", **OPTIONS),
        ValueError,
        "method: expected one of bootstrap, folds; got 'jackknife'",
    ),
    "folds": (
        lambda: ensemble.from_datasets(DIMS, X, y, method="folds", n_members=1, **OPTIONS),
        ValueError,
        "n_members: expected between 2 and 600, got 1",
    ),
    "cycles": (
        lambda: ensemble.from_checkpoints(DIMS, X, y, n_cycles=0),
        ValueError,
        "n_cycles: expected at least 1, got 0",
    ),
    "checkpoints: schedule": (
        lambda: ensemble.from_checkpoints(DIMS, X, y, schedule="cosine"),
        ValueError,
        "fit_options: .*got 'schedule'",
    ),
    "candidates": (
        lambda: ensemble.from_search(networks(1)[0]),
        TypeError,
        r"candidates: expected a list of MLP or \(MLP, score\)",
    ),
    "candidates: none": (
        lambda: ensemble.from_search([]),
        ValueError,
        "members: expected at least",
    ),
    "candidates: score": (
        lambda: ensemble.from_search([(networks(1)[0], "good")]),
        TypeError,
        "candidates: expected a number as score, got 'good'",
    ),
    "candidates: nan": (
        lambda: ensemble.from_search([(networks(1)[0], np.nan)], k=1),
        ValueError,
        "candidates: expected a finite score, got none",
    ),
    "candidates: no score": (
        lambda: ensemble.from_search(networks(), k=1),
        ValueError,
        "X_val, y_val: expected validation rows to score candidates",
    ),
    "greedy: no data": (
        lambda: ensemble.from_search([(net, 1.0) for net in networks()], greedy=True),
        ValueError,
        "X_val, y_val: expected validation rows for greedy",
    ),
    "X_val alone": (
        lambda: ensemble.from_search(networks(), rows()),
        ValueError,
        "X_val, y_val: expected both or neither",
    ),
    "k": (
        lambda: ensemble.from_search([(net, 1.0) for net in networks()], k=4),
        ValueError,
        "k: expected between 1 and 3, got 4",
    ),
    "decay": (lambda: ParameterAverage(1.0), ValueError, r"decay: expected a number in \[0, 1\)"),
    "start": (lambda: ParameterAverage(start=-1), ValueError, "start: expected at least 0, got -1"),
    "average: no run": (
        lambda: ParameterAverage().network(),
        ValueError,
        "network: expected a run past epoch 0.5",
    ),
    "average: none": (
        lambda: ensemble.average_parameters([]),
        ValueError,
        "networks: expected at least one",
    ),
    "average: type": (
        lambda: ensemble.average_parameters([1]),
        TypeError,
        "networks: expected MLP, got int at 0",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case: str) -> None:
    call, error, message = BAD[case]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(error, match=message):
            call()
