"""The six kinds of ensembles on real data."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from ensemble_cases import DIMS, OPTIONS, X_TEST, X_VAL, Y_TEST, Y_VAL, X, y
from hypothesis import given, settings
from hypothesis import strategies as st

import fanin
from fanin import ensemble
from fanin.ensemble import Ensemble, ParameterAverage
from fanin.ensemble.members import Rows


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
    own = Rows("folds", 8, 1, 3).indices(len(X))
    alone = fanin.MLP(DIMS, seed=together.members[1].seed)
    alone.fit(X[own], y[own], **{**options, "sample_weight": weights[own]})
    assert np.array_equal(alone.get_parameters(), together.members[1].get_parameters())


@given(n=st.integers(2, 200), members=st.integers(2, 9), seed=st.integers(0, 2**64 - 1))
@settings(max_examples=50)
def test_folds_deal_out_every_row_once(n: int, members: int, seed: int) -> None:
    members = min(n, members)
    left_out = [
        np.setdiff1d(np.arange(n), Rows("folds", seed, i, members).indices(n))
        for i in range(members)
    ]
    assert np.array_equal(np.sort(np.concatenate(left_out)), np.arange(n))
    assert max(map(len, left_out)) - min(map(len, left_out)) <= 1


def test_bootstrap_draws_with_replacement() -> None:
    n = 20_000
    drawn = [Rows("bootstrap", 1, i, 3).indices(n) for i in range(3)]
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
