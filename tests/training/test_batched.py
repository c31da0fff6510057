"""Networks that train side by side learn what they would learn alone, bit for bit."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fanin
from fanin import _core, optim, tuning
from fanin.network.options import FitOptions
from fanin.training import DivergenceWarning, Fit
from fanin.training.batched import can_join, fit_together
from fanin.tuning import choice, loguniform, search, uniform
from fanin.tuning.search import objective

(X, y), TEST = fanin.datasets.load("digits")
X, TEST = X.reshape(len(X), -1), (TEST[0].reshape(len(TEST[0]), -1), TEST[1])

Variants = list[tuple[dict[str, Any], dict[str, Any]]]


def fit_of(network: dict[str, Any], options: dict[str, Any], rows: int, width: int) -> Fit:
    dims = [X.shape[1], width, *network.get("above", ()), 10]
    net = fanin.MLP(dims, **{k: v for k, v in network.items() if k != "above"})
    fixed = {"epochs": 3, "batch_size": 32, "progress": False, "validation_data": TEST}
    return Fit(net, X[:rows], y[:rows], FitOptions(**{**fixed, **options}))


def assert_same(variants: Variants, rows: int = 333, width: int = 17) -> list[Fit]:
    """Side by side and alone: parameters, optimizer states, curves."""
    alone = [fit_of(*v, rows, width) for v in copies(variants)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)
        for fit in alone:
            fit.run()
    beside = [fit_of(*v, rows, width) for v in copies(variants)]
    assert all(can_join(beside[0], fit) for fit in beside)
    fit_together(beside)
    for a, b in zip(alone, beside, strict=True):
        assert np.array_equal(a.net.get_parameters(), b.net.get_parameters())
        assert all(np.array_equal(s, t) for s, t in zip(a.states, b.states, strict=True))
        assert a.history.history == b.history.history
        assert (a.history.stop_reason, a.net.steps_done, a.net.epochs_done) == (
            b.history.stop_reason,
            b.net.steps_done,
            b.net.epochs_done,
        )
        assert a.optimizer.t == b.optimizer.t
    return beside


def copies(variants: Variants) -> Variants:
    """With optimizers of their own."""
    return [(dict(n), {k: v() if callable(v) else v for k, v in o.items()}) for n, o in variants]


def momentum(lr: float) -> Callable[[], optim.Optimizer]:
    return lambda: optim.Momentum(lr)


RATES: Variants = [
    ({}, {"optimizer": momentum(10.0**-i), "reg": 10.0 ** (i - 4)}) for i in (1, 2, 3)
]


@pytest.mark.parametrize("width", [1, 15, 16, 17, 63, 64, 65, 128])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rates_and_l2(width: int, dtype: str) -> None:
    assert_same([({"dtype": dtype}, o) for _, o in RATES], width=width)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_norms_skips_and_slopes(dtype: str) -> None:
    """The first hidden layer is as wide as the data, so that a skip goes round it."""
    blocks = [
        {},
        {"norm": "layer"},
        {"norm": "batch", "above": (64, 20)},
        {"residual": True, "above": (64,)},
        {"norm": "batch", "residual": True, "activation": "prelu", "keep": 0.8},
    ]
    assert_same([({"dtype": dtype, **b}, {"batch_size": 30}) for b in blocks], width=64)


@pytest.mark.parametrize("rows", [32, 33, 65, 333])
@pytest.mark.parametrize("batch_size", [1, 16, 32])
def test_rows_and_batches(rows: int, batch_size: int) -> None:
    options = {"batch_size": batch_size, "epochs": 2}
    assert_same([({}, {**o, **options}) for _, o in RATES], rows=rows)


def test_one_network_and_many() -> None:
    assert_same(RATES[:1])
    variants = [({}, {"optimizer": momentum(1e-3 * (i + 1))}) for i in range(13)]
    assert_same(variants, width=11)


def test_everything_above_the_first_layer_may_differ() -> None:
    assert_same(
        [
            ({"activation": "tanh"}, {"optimizer": "adam"}),
            ({"activation": "gelu", "keep": 0.7}, {"optimizer": "rmsprop", "reg": 1e-3}),
            ({"keep": 0.5, "dropout_mode": "vanilla"}, {"optimizer": "nadam"}),
            ({"above": [12, 9], "keep": [0.9, 0.8, 0.7]}, {"optimizer": "amsgrad"}),
            ({"loss": "svm", "init": "xavier"}, {"schedule": "cosine", "optimizer": "sgd"}),
            ({"above": [65]}, {"schedule": lambda: fanin.schedules.Plateau(patience=1)}),
        ]
    )


def test_preprocessing_weights_and_soft_targets() -> None:
    weights = np.linspace(0.5, 1.5, 200)
    options = {"preprocess": "standardize", "sample_weight": weights, "sampling": "replacement"}
    assert_same([({}, {**o, **options}) for _, o in RATES], rows=200)
    rng = np.random.default_rng(0)
    soft = rng.dirichlet(np.ones(10), 96).astype(np.float32)
    floats = X[:96].astype(np.float32) / 16

    def fit(o: dict[str, Any]) -> Fit:
        own = {k: v() if callable(v) else v for k, v in o.items()}
        given = FitOptions(**{**own, "progress": False, "epochs": 2})
        return Fit(fanin.MLP([64, 20, 10], loss="mse"), floats, soft, given)

    alone, beside = ([fit(o) for _, o in RATES] for _ in range(2))
    for one in alone:
        one.run()
    fit_together(beside)
    for a, b in zip(alone, beside, strict=True):
        assert np.array_equal(a.net.get_parameters(), b.net.get_parameters())
        assert a.history.history == b.history.history


def test_who_diverges_leaves_the_others_alone() -> None:
    variants = [
        ({}, {"optimizer": lambda: optim.SGD(1e30)}),
        *RATES,
        ({}, {"optimizer": lambda: optim.SGD(3e9), "epochs": 3}),
        ({}, {"optimizer": lambda: optim.SGD(1e18), "reg": 1.0}),
    ]
    beside = assert_same(variants)
    reasons = [fit.history.stop_reason for fit in beside]
    assert reasons[0] == reasons[5] == "diverged"
    assert reasons[1:4] == ["all epochs done"] * 3


def test_who_stops_early_leaves_the_others_alone() -> None:
    class StopAfter(fanin.callbacks.Callback):
        def __init__(self, epochs: int) -> None:
            self.epochs = epochs

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            self.network.stop_training = epoch + 1 >= self.epochs

    variants = [
        ({}, {"optimizer": momentum(1e-2), "epochs": 5, "callbacks": [StopAfter(n)]})
        for n in (1, 9, 3)
    ]
    beside = assert_same(variants)
    assert [len(fit.history.epoch) for fit in beside] == [1, 5, 3]


def test_the_bits_on_every_instruction_set(isa: str, run_isa: Any) -> None:
    code = """
        import hashlib, fanin
        from fanin.tuning import loguniform, search
        (X, y), test = fanin.datasets.load("digits")
        result = search({"lr": loguniform(1e-4, 1), "reg": loguniform(1e-5, 1)}, (X, y), 5,
                        validation_data=test, epochs=2, hidden=50, progress=False, n_threads=1,
                        optimizer="momentum", preprocess="standardize")
        for trial in result:
            print(hashlib.sha256(trial.network.get_parameters().tobytes()).hexdigest())
    """
    assert run_isa(code, isa) == run_isa(code, "scalar")


# In a search


def spied_groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []

    def spy(fits: list[Fit]) -> None:
        sizes.append(len(fits))
        fit_together(fits)

    monkeypatch.setattr(objective, "fit_together", spy)
    return sizes


def assert_alone_is_the_same(
    monkeypatch: pytest.MonkeyPatch, space: Any, **options: Any
) -> tuple[tuning.SearchResult, list[int]]:
    sizes = spied_groups(monkeypatch)
    given = {"validation_data": TEST, "epochs": 3, "progress": False, "n_threads": 1, **options}
    beside = search(space, (X, y), 12, **given)
    used = list(sizes)
    monkeypatch.setattr(objective, "NARROW", 0)
    alone = search(space, (X, y), 12, **given)
    assert sizes == used
    for a, b in zip(alone, beside, strict=True):
        assert (a.params, a.status, a.score, a.curves) == (b.params, b.status, b.score, b.curves)
        assert a.error == b.error
        if a.network is not None:
            assert np.array_equal(a.network.get_parameters(), b.network.get_parameters())
    return beside, used


def test_a_search_trains_alike_trials_together(monkeypatch: pytest.MonkeyPatch) -> None:
    space = {"lr": loguniform(1e-4, 1e6), "reg": loguniform(1e-5, 1e2), "keep": uniform(0.5, 1)}
    result, sizes = assert_alone_is_the_same(
        monkeypatch, space, hidden=20, optimizer="momentum", preprocess="standardize"
    )
    assert sizes == [12]
    assert {t.status for t in result} == {"done", "diverged"}


def test_a_search_keeps_unlike_trials_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    space = {"hidden": choice([8, 20]), "batch_size": choice([64, 128]), "lr": uniform(0.001, 0.1)}
    _, sizes = assert_alone_is_the_same(monkeypatch, space)
    assert sum(sizes) <= 12
    assert len(sizes) >= 2


@pytest.mark.parametrize("prune", ["median", "halving"])
def test_a_pruned_search_trains_together_too(monkeypatch: pytest.MonkeyPatch, prune: str) -> None:
    space = {"lr": loguniform(1e-5, 1e-1)}
    _, sizes = assert_alone_is_the_same(monkeypatch, space, hidden=20, prune=prune, epochs=9)
    assert sizes[0] >= 8


def test_a_trial_that_raises_does_not_take_the_others_with_it() -> None:
    # The middle of the space, which is checked beforehand, is fine.
    space = {"keep": choice([2.0, 0.5, 0.6]), "lr": loguniform(1e-3, 1e-1)}
    result = search(space, (X, y), 8, epochs=1, progress=False, validation_data=TEST)
    bad = [t for t in result if t.params["keep"] == 2.0]
    assert bad
    assert {t.status for t in bad} == {"failed"}
    assert {t.status for t in result if t.params["keep"] < 1} == {"done"}
    assert "keep: expected a probability" in bad[0].error


# The native class


def test_what_cannot_be_side_by_side_is_refused() -> None:
    def engine(dims: list[int], **options: Any) -> Any:
        return fanin.MLP(dims, **options).engine

    for other in (
        engine([5, 3, 2]),
        engine([4, 4, 2]),
        engine([4, 3, 3]),
        engine([4, 3, 2], drop_connect=0.5),
    ):
        with pytest.raises(ValueError, match="engines: expected networks with one shape"):
            _core.Many32([engine([4, 3, 2]), other], 8)
    with pytest.raises(ValueError, match="engines: expected at least one, got none"):
        _core.Many32([], 8)
    with pytest.raises(TypeError):
        _core.Many32([engine([4, 3, 2], dtype="float64")], 8)
