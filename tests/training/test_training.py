"""MLP.fit against the same loop in plain NumPy, and what it promises about order, bits and ends."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import reference
from reference import ReferenceMLP
from training_cases import fit, network, normals, problem

import fanin
from fanin import optim
from fanin.callbacks import Callback, LambdaCallback


def assert_close(net: fanin.MLP, expected: ReferenceMLP, tolerance: float = 1e-10) -> None:
    for name, p in expected.params.items():
        np.testing.assert_allclose(net.params[name], p, rtol=0, atol=tolerance)


OPTIMIZERS = {
    "adam": (lambda: optim.Adam(lr=3e-3), lambda: reference.Adam(lr=3e-3)),
    "momentum": (lambda: optim.Momentum(lr=2e-2), lambda: reference.Momentum(lr=2e-2)),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"reg": 0.02},
        {"clip_norm": 0.3},
        {"clip_norm": 0.3, "reg": 0.02},
        {"sampling": "replacement"},
    ],
    ids=str,
)
def test_fit_is_the_plain_loop(optimizer: str, options: dict[str, Any]) -> None:
    """Four epochs of batches of 64 over 250 rows, so that the last has 58; with dropout."""
    ours, theirs = (make() for make in OPTIMIZERS[optimizer])
    X, y = problem()
    net = network(keep=[0.8, 0.6])
    expected = ReferenceMLP.of(net)
    losses = reference.fit(expected, X, y, theirs, epochs=4, batch_size=64, **options)
    history = fit(net, X, y, epochs=4, batch_size=64, optimizer=ours, **options)
    assert_close(net, expected)
    assert (net.steps_done, net.epochs_done, ours.t) == (16, 4, 16)
    sizes = np.array([64, 64, 64, 58])
    means = np.array(losses).reshape(4, 4) @ sizes / 250
    np.testing.assert_allclose(history.history["loss"], means, rtol=1e-10)
    assert history.initial_loss == pytest.approx(losses[0], rel=1e-12)


@pytest.mark.parametrize("loss", ["softmax", "svm", "mse"])
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_every_loss_with_sample_weights(loss: str, kind: str) -> None:
    X, y = problem()
    if kind == "soft":
        y = np.random.default_rng(0).dirichlet(np.ones(4), 250)
    w = np.random.default_rng(1).uniform(0, 2, 250)
    net = network(loss=loss)
    expected = ReferenceMLP.of(net)
    reference.fit(expected, X, y, reference.Adam(), epochs=3, batch_size=100, weights=w, reg=0.01)
    options = {"sample_weight": w, "reg": 0.01, "standardize_targets": False}
    fit(net, X, y, epochs=3, batch_size=100, **options)
    assert_close(net, expected)


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_every_activation_with_dropout(activation: str) -> None:
    X, y = problem()
    net = network(activation=activation, keep=0.7)
    expected = ReferenceMLP.of(net)
    reference.fit(expected, X, y, reference.Adam(), epochs=3, batch_size=64)
    fit(net, X, y, epochs=3, batch_size=64)
    assert_close(net, expected)


@pytest.mark.parametrize("batch_size", [1024, 1025, 2100, None])
@pytest.mark.parametrize("clip_norm", [None, 0.1])
def test_batches_beyond_the_workspace(batch_size: int | None, clip_norm: float | None) -> None:
    X, y = problem(n=2100)
    net = network(keep=[0.8, 0.6])
    expected = ReferenceMLP.of(net)
    options: dict[str, Any] = {"epochs": 3, "reg": 0.01, "clip_norm": clip_norm}
    reference.fit(expected, X, y, reference.Adam(), batch_size=batch_size or 2100, **options)
    fit(net, X, y, batch_size=batch_size, **options)
    assert_close(net, expected)


def test_weight_zero_rows_do_not_matter() -> None:
    """The same steps where the rows of weight 0 hold something else entirely."""
    X, y = problem()
    w = (np.arange(250) % 3 > 0) * 1.0
    other, other_y = X.copy(), y.copy()
    other[w == 0] = 7 * normals(int((w == 0).sum()), 12, seed=5)
    other_y[w == 0] = 1
    nets = network(), network()
    fit(nets[0], X, y, epochs=2, batch_size=64, sample_weight=w)
    fit(nets[1], other, other_y, epochs=2, batch_size=64, sample_weight=w)
    assert_close(nets[0], ReferenceMLP.of(nets[1]), 1e-14)


def test_a_batch_without_weight_is_no_gradient() -> None:
    X, y = problem()
    w = np.zeros(250)
    w[int(reference.epoch_order(3, 0, 250)[0])] = 1  # all the weight is in the first batch
    net = network()
    after_first = fit_params_after(net.copy(), X, y, w, steps=1)
    history = fit(net, X, y, epochs=1, batch_size=64, optimizer="sgd", sample_weight=w)
    assert np.array_equal(net.get_parameters(), after_first)
    assert math.isfinite(history.history["loss"][0])


def fit_params_after(
    net: fanin.MLP, X: np.ndarray, y: np.ndarray, w: np.ndarray, steps: int
) -> np.ndarray:
    """Parameters after that many SGD steps of the first epoch, seen by a batch hook."""
    seen: list[np.ndarray] = []
    hook = LambdaCallback(on_train_batch_end=lambda *_: seen.append(net.get_parameters()))
    fit(net, X, y, epochs=1, batch_size=64, optimizer="sgd", sample_weight=w, callbacks=[hook])
    return seen[steps - 1]


@pytest.mark.parametrize("name", ["adam", "momentum", "nadam", "amsgrad", "adadelta"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fit_goes_on_where_it_stood(name: str, dtype: str) -> None:
    """Two fits with one optimizer object are one of their epochs' sum: the same bits."""
    X, y = problem()
    options: dict[str, Any] = {"batch_size": 64, "reg": 0.01}
    once, twice = network(dtype=dtype, keep=0.8), network(dtype=dtype, keep=0.8)
    optimizer = optim.get(name)
    whole = fit(once, X, y, epochs=5, optimizer=optim.get(name), **options)
    first = fit(twice, X, y, epochs=2, optimizer=optimizer, **options)
    second = fit(twice, X, y, epochs=3, optimizer=optimizer, **options)
    assert np.array_equal(once.get_parameters(), twice.get_parameters())
    assert first.history["loss"] + second.history["loss"] == whole.history["loss"]
    assert (twice.epochs_done, twice.steps_done, optimizer.t) == (5, 20, 20)


def test_a_name_begins_a_fresh_optimizer() -> None:
    X, y = problem()
    named, fresh = network(), network()
    for _ in range(2):
        fit(named, X, y, epochs=1, optimizer="adam")
        fit(fresh, X, y, epochs=1, optimizer=optim.Adam())
    assert np.array_equal(named.get_parameters(), fresh.get_parameters())


@pytest.mark.parametrize("name", ["step", "exponential", "inverse_time", "cosine", "one_cycle"])
def test_schedules_reach_every_step(name: str) -> None:
    X, y = problem()
    rates = fanin.schedules.get(name).lr(3e-3, 0, 12, steps_per_epoch=4, epochs=3)
    net = network()
    expected = ReferenceMLP.of(net)
    reference.fit(expected, X, y, reference.Adam(), epochs=3, batch_size=64, rates=rates)
    history = fit(net, X, y, epochs=3, batch_size=64, optimizer=optim.Adam(lr=3e-3), schedule=name)
    assert_close(net, expected)
    assert history.history["lr"] == [rates[3], rates[7], rates[11]]


def test_plateau_hears_the_epochs() -> None:
    X, y = problem()
    schedule = fanin.schedules.Plateau(monitor="loss", factor=0.5, patience=1, min_delta=1e3)
    history = fit(network(), X, y, epochs=4, optimizer=optim.SGD(lr=0.1), schedule=schedule)
    assert history.history["lr"] == [0.1, 0.1, 0.05, 0.025]


def test_history_and_validation() -> None:
    X, y = problem()
    Xv, yv = problem(n=77)
    net = network(keep=0.7)
    seen = []
    hook = LambdaCallback(on_epoch_end=lambda *_: seen.append(net.evaluate(Xv, yv)))
    given = {"epochs": 3, "batch_size": 128, "reg": 0.1}
    history = fit(net, X, y, validation_data=(Xv, yv), callbacks=[hook], **given)
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy", "lr"]
    assert history.history["val_loss"] == [s["loss"] for s in seen]
    assert history.history["val_accuracy"] == [s["accuracy"] for s in seen]
    assert history.epoch == [0, 1, 2]
    assert history.stop_reason == "all epochs done"
    assert history.seconds > 0
    assert history is net.history
    assert history.expected_initial_loss == pytest.approx(math.log(4))
    expected = {"epochs": 3, "batch_size": 128, "steps": 2, "n_train": 250, "n_val": 77}
    assert expected.items() <= dict(history.params).items()


def test_accuracy_is_that_of_the_rows_trained_on() -> None:
    """With a rate of 0 nothing moves, so the epoch's accuracy and loss are evaluate's."""
    X, y = problem()
    net = network()
    history = fit(net, X, y, epochs=1, batch_size=64, optimizer=optim.SGD(lr=1e-300))
    result = net.evaluate(X, y)
    assert history.history["accuracy"] == [result["accuracy"]]
    assert history.history["loss"][0] == pytest.approx(result["loss"], rel=1e-12)


def test_soft_labels_have_no_accuracy() -> None:
    X, _ = problem()
    history = fit(network(), X, np.full((250, 4), 0.25), epochs=1)
    assert list(history.history) == ["loss", "lr"]


def test_zero_epochs_do_nothing() -> None:
    X, y = problem()
    net = network()
    before = net.get_parameters()
    history = fit(net, X, y, epochs=0)
    assert np.array_equal(net.get_parameters(), before)
    assert (history.epoch, history.stop_reason) == ([], "all epochs done")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batch_hooks_change_no_bit(dtype: str) -> None:
    X, y = problem()
    options: dict[str, Any] = {"epochs": 3, "batch_size": 64, "reg": 0.01}
    plain, hooked = network(dtype=dtype, keep=0.8), network(dtype=dtype, keep=0.8)
    calls: list[tuple[str, int, float]] = []
    begin = lambda step, _logs: calls.append(("begin", step, 0.0))  # noqa: E731
    end = lambda step, logs: calls.append(("end", step, logs["loss"]))  # noqa: E731
    hook = LambdaCallback(on_train_batch_begin=begin, on_train_batch_end=end)
    first = fit(plain, X, y, **options)
    second = fit(hooked, X, y, callbacks=[hook], **options)
    assert np.array_equal(plain.get_parameters(), hooked.get_parameters())
    assert first.history == second.history
    expected = [(kind, step) for _ in range(3) for step in range(4) for kind in ("begin", "end")]
    assert [call[:2] for call in calls] == expected
    assert all(math.isfinite(call[2]) for call in calls)


def test_hooks_come_in_keras_order() -> None:
    X, y = problem()
    calls: list[str] = []
    names = ["on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end"]
    hooks = {name: lambda *_, name=name: calls.append(name) for name in names}
    fit(network(), X, y, epochs=2, callbacks=[LambdaCallback(**hooks)])
    epoch = ["on_epoch_begin", "on_epoch_end"]
    assert calls == ["on_train_begin", *epoch, *epoch, "on_train_end"]


def test_a_callback_ends_the_run() -> None:
    X, y = problem()

    class Stop(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
            self.network.stop_training = epoch == 1

    net, short = network(), network()
    history = fit(net, X, y, epochs=9, callbacks=[Stop()])
    fit(short, X, y, epochs=2)
    assert len(history.epoch) == 2
    assert history.stop_reason == "stopped by a callback"
    assert np.array_equal(net.get_parameters(), short.get_parameters())
    assert fit(net, X, y, epochs=1).stop_reason == "all epochs done"  # it is not remembered


def test_a_callback_stops_within_the_epoch() -> None:
    X, y = problem()
    net, steps = network(), []

    def stop(step: int, _logs: Any) -> None:
        steps.append(step)
        net.stop_training = net.stop_training or step == 1

    fit(net, X, y, epochs=3, batch_size=64, callbacks=[LambdaCallback(on_train_batch_end=stop)])
    assert steps[:2] == [0, 1]
    assert len(steps) <= 4  # at the latest at the end of that epoch


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bytes_and_their_floats_train_to_the_same_bits(dtype: str) -> None:
    bytes_ = np.random.default_rng(0).integers(0, 256, (250, 12), dtype=np.uint8)
    y = (bytes_[:, 0] > 127) * 2 + (bytes_[:, 1] > 127)
    scale = np.dtype(dtype).type(1 / 255)
    ways = {
        "uint8": (bytes_, (0, 1 / 255)),
        "floats over 255": (bytes_.astype(dtype) * scale, None),
        "floats with preprocess": (bytes_.astype(dtype), (0, 1 / 255)),
        "float32 with preprocess": (bytes_.astype(np.float32), (0, 1 / 255)),
        "images": (bytes_.reshape(250, 3, 4), (0, 1 / 255)),
    }
    results = {}
    for name, (X, preprocess) in ways.items():
        net = network(dtype=dtype, keep=0.8)
        fit(net, X, y, epochs=2, batch_size=64, preprocess=preprocess)
        results[name] = net.get_parameters().tobytes()
        assert np.isfinite(net.get_parameters()).all()
    assert len(set(results.values())) == 1, list(results)


def test_standardize_is_kept_with_the_network() -> None:
    X, y = problem()
    X = X * 50 + 300
    plain, folded = network(), network()
    rows = (X - X.mean(axis=0)) / X.std(axis=0)
    fit(plain, rows, y, epochs=3)
    fit(folded, X, y, epochs=3, preprocess="standardize")
    assert_close(folded, ReferenceMLP.of(plain), 1e-9)
    np.testing.assert_allclose(folded.scores(X), plain.scores(rows), rtol=0, atol=1e-8)
    before = folded.scores(X)
    fit(folded, X + 5, y, epochs=0)  # None leaves what was set
    assert np.array_equal(folded.scores(X), before)


@pytest.mark.parametrize("n_threads", [2, 3])
@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_threads_change_no_bit(n_threads: int, clip_norm: float | None) -> None:
    X, y = problem(n=700, d=200, classes=10)
    nets = []
    for threads in (1, n_threads):
        net = network(dims=[200, 300, 70, 10], dtype="float32", keep=0.8, activation="relu")
        fit(net, X, y, epochs=2, batch_size=256, n_threads=threads, reg=1e-3, clip_norm=clip_norm)
        nets.append(net.get_parameters())
    assert np.isfinite(nets[0]).all()
    assert np.array_equal(*nets)


def test_training_needs_no_hidden_layer() -> None:
    X, y = problem()
    net = network(dims=[12, 4])
    expected = ReferenceMLP.of(net)
    reference.fit(expected, X, y, reference.Adam(), epochs=3, batch_size=64, reg=0.1)
    fit(net, X, y, epochs=3, batch_size=64, reg=0.1)
    assert_close(net, expected)


def test_it_learns_the_digits() -> None:
    (X, y), (X_test, y_test) = fanin.datasets.load("digits")
    net = fanin.MLP([64, 128, 10], keep=0.8, seed=0)
    history = fit(
        net,
        X,
        y,
        epochs=20,
        batch_size=32,
        validation_data=(X_test, y_test),
        preprocess="standardize",
    )
    assert history.history["val_accuracy"][-1] > 0.96
    assert history.history["loss"][-1] < 0.1
    initial = history.initial_loss
    assert initial is not None
    assert abs(initial - math.log(10)) < 1
