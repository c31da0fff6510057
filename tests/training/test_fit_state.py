"""What a call of fit leaves behind, and what it must not touch."""

from __future__ import annotations

import copy
import operator
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from children import HANG

import fanin
from fanin import callbacks, checkpoint, optim
from fanin.augment import Compose, HorizontalFlip
from fanin.ensemble import Ensemble
from fanin.preprocessing import Normalize, ZeroCenter

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 6)).astype(np.float32)
y = RNG.integers(0, 3, 300)


def fit(net: fanin.MLP, **options: object) -> fanin.callbacks.History:
    return net.fit(X, y, **{"batch_size": 64, "epochs": 1, "progress": False, **options})


def test_epoch_loss_is_weighted_as_evaluate_is() -> None:
    """Whole minibatches without weight must not count as minibatches without loss."""
    net = fanin.MLP([6, 5, 3], dtype="float64")
    weights = np.where(np.arange(300) < 3, 1.0, 0.0)
    expected = net.evaluate(X, y, sample_weight=weights)["loss"]
    history = fit(net, batch_size=10, sample_weight=weights, optimizer=optim.SGD(lr=1e-300))
    assert history.history["loss"] == [pytest.approx(expected, rel=1e-12)]


def test_constant_column_is_only_centred() -> None:
    table = np.column_stack([np.full(300, 0.1), X[:, 0].astype(float)])
    net = fanin.MLP([2, 3])
    net.set_preprocess("standardize", table)
    table[:, 0] = 0.2
    assert np.abs(net.scores(table)).max() < 10


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"preprocess": "bogus"}, "preprocess: "),
        ({"callbacks": [print]}, "callbacks: "),
        ({"schedule": "plateau"}, "Plateau: expected validation_data"),
        ({"callbacks": [callbacks.EarlyStopping()]}, "EarlyStopping: expected validation_data"),
        ({"callbacks": [callbacks.ModelCheckpoint("x")]}, "ModelCheckpoint: expected validation_d"),
    ],
)
def test_a_refused_fit_leaves_network_and_optimizer_free(bad: dict, message: str) -> None:
    optimizer, net = optim.Adam(), fanin.MLP([6, 4, 3])
    before = net.get_parameters()
    with pytest.raises((ValueError, TypeError), match=message):
        fit(net, optimizer=optimizer, **bad)
    assert np.array_equal(net.get_parameters(), before)
    assert (net.epochs_done, net.history) == (0, None)
    fit(fanin.MLP([6, 9, 3]), optimizer=optimizer)  # of another shape


def test_one_fit_at_a_time() -> None:
    """A second fit is refused, or the first one is; other passes go on beside it."""
    net, errors = fanin.MLP([6, 400, 400, 3]), []
    began = threading.Event()

    def train() -> None:
        hook = callbacks.LambdaCallback(on_epoch_begin=lambda *_: began.set())
        try:
            fit(net, epochs=5, callbacks=[hook], n_threads=1)
        except RuntimeError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=train) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert began.wait(HANG)
    while any(thread.is_alive() for thread in threads):
        loss, _ = net.loss_and_grads(X, y, n_threads=1)
        assert np.isfinite(loss)
    assert len(errors) <= 1
    assert all("one fit at a time" in error for error in errors)


def test_a_failed_callback_is_no_interruption() -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    net = fanin.MLP([6, 4, 3])
    with pytest.raises(OSError, match="disk full"):
        fit(net, callbacks=[callbacks.LambdaCallback(on_epoch_end=fail)])
    assert net.history is not None
    assert net.history.stop_reason == "failed"


def test_files_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    net = fanin.MLP([6, 4, 3])
    net.set_preprocess("standardize", X)
    state = net.__getstate__()
    header = {"config": state["config"], "counters": state["counters"], "kind": "network"}
    path = tmp_path / "net.fanin"
    arrays = state["arrays"]
    bad = [
        {k: v for k, v in arrays.items() if k != "scale"},
        arrays | {"mean": arrays["mean"][:4], "scale": arrays["scale"][:4]},
        arrays | {"mean": arrays["mean"].astype(np.float32)},
        arrays | {"parameters": arrays["parameters"][:5]},
    ]
    for broken in bad:
        checkpoint.save_archive(path, header, broken)
        with pytest.raises(ValueError, match=r"net\.fanin: not a usable network"):
            fanin.MLP.load(path)
    huge = header | {"config": state["config"] | {"dims": [100_000, 100_000]}}
    checkpoint.save_archive(path, huge, arrays)
    with pytest.raises(ValueError, match="not a usable network"):
        fanin.MLP.load(path)


def test_network_with_functions_as_initialisers_is_saved(tmp_path: Path) -> None:
    net = fanin.MLP([6, 4, 3], init=fanin.initializers.kaiming)
    net.save(tmp_path / "net")
    assert fanin.MLP.load(tmp_path / "net").init == "kaiming"


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "lion"])
def test_an_optimizer_belongs_to_one_network(name: str) -> None:
    optimizer, nets = optim.get(name), [fanin.MLP([6, 5, 3], seed=seed) for seed in range(2)]
    fit(nets[0], optimizer=optimizer)
    fit(nets[0], optimizer=optimizer)  # its own again
    before = nets[1].get_parameters(), optimizer.t
    with pytest.raises(ValueError, match=r"optimizer: expected one that has not trained another"):
        fit(nets[1], optimizer=optimizer)
    np.testing.assert_array_equal(nets[1].get_parameters(), before[0])
    assert optimizer.t == before[1]
    del nets[0]
    with pytest.raises(ValueError, match="optimizer: expected"):
        fit(nets[0], optimizer=optimizer)
    fit(nets[0], optimizer=copy.deepcopy(optimizer))
    optimizer.load_state_dict(optim.get(name).state_dict())
    fit(nets[0], optimizer=optimizer)


def test_a_plateau_belongs_to_one_network() -> None:
    plateau, plain = fanin.schedules.Plateau("loss"), fanin.schedules.Cosine()
    for i, net in enumerate([fanin.MLP([6, 5, 3]), fanin.MLP([6, 5, 3])]):
        fit(net, schedule=plain)
        if i == 0:
            fit(net, schedule=plateau)
        else:
            with pytest.raises(ValueError, match=r"schedule: expected one .* got Plateau\("):
                fit(net, schedule=plateau)


def test_attributes_that_the_engine_would_not_follow_are_read_only(tmp_path: Path) -> None:
    net = fanin.MLP([6, 5, 3], keep=0.9, seed=2)
    fit(net)
    net.save(tmp_path / "net")
    A = np.zeros((6, 5), np.float32)
    for one in (net, net.copy(), copy.deepcopy(net), fanin.MLP.load(tmp_path / "net")):
        for name in ("dims", "activation", "norm", "residual", "keep", "drop_connect", "loss_name",
                     "dtype", "engine", "arena", "params", "statistics", "init",
                     "output_init"):  # fmt: skip
            with pytest.raises(AttributeError, match=f"{name}: read-only"):
                setattr(one, name, getattr(one, name))
        for change in (
            lambda p: p.__setitem__("W1", A),
            lambda p: p.__delitem__("W1"),
            lambda p: p.update(W1=A),
            lambda p: p.pop("W1"),
            lambda p: p.clear(),
            lambda p: p.setdefault("W9", A),
        ):
            with pytest.raises(TypeError, match=r"params: expected values written to the views"):
                change(one.params)
        one.params["W1"][...] = 1
        assert (one.get_parameters()[:30] == 1).all()
        twin = pickle.loads(pickle.dumps(one.params))
        twin["W1"] = A
        assert type(copy.deepcopy(one.params)) is dict


CHANGES: dict[str, Callable[[list[Any]], object]] = {
    "item": lambda a: a.__setitem__(0, a[0]),
    "slice": lambda a: a.__setitem__(slice(None), []),
    "delete": lambda a: a.__delitem__(0),
    "append": lambda a: a.append(a[0]),
    "extend": lambda a: a.extend(a),
    "insert": lambda a: a.insert(0, a[0]),
    "pop": lambda a: a.pop(),
    "remove": lambda a: a.remove(a[0]),
    "clear": lambda a: a.clear(),
    "sort": lambda a: a.sort(),
    "reverse": lambda a: a.reverse(),
    "add": lambda a: operator.iadd(a, a),
    "multiply": lambda a: operator.imul(a, 2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_lists_that_nothing_would_follow_refuse_changes(change: str, tmp_path: Path) -> None:
    net = fanin.MLP([6, 5, 3], keep=0.9, drop_connect=0.8, seed=2)
    net.save(tmp_path / "net")
    together = Ensemble([net, net.copy()])
    for one in (net, net.copy(), pickle.loads(pickle.dumps(net)), fanin.MLP.load(tmp_path / "net")):
        for name in ("dims", "activation", "keep", "drop_connect"):
            before = list(getattr(one, name))
            with pytest.raises(TypeError, match=r"expected .* to stay as it is"):
                CHANGES[change](getattr(one, name))
            assert getattr(one, name) == before  # a list still, to all who read it
            plain = copy.copy(getattr(one, name))
            plain.append(plain[0])
            assert one.config()[name] == before
            one.config()[name].append(1)
            assert getattr(one, name) == before
    with pytest.raises(TypeError, match=r"expected .* to stay as it is"):
        CHANGES[change](together.members)


def test_what_else_would_lie_is_read_only() -> None:
    net = fanin.MLP([6, 5, 3])
    for way in ("standardize", (1.0, 2.0), [Normalize(), ZeroCenter()]):
        net.set_preprocess(way, X)
        mean, scale = net.inputs.mean, net.inputs.scale
        for values in (mean, scale):
            assert values is not None
            with pytest.raises(ValueError, match="read-only"):
                values[0] = 7
    adam, plateau = optim.Adam(), fanin.schedules.Plateau()
    with pytest.raises(AttributeError, match=r"beta1: fixed when .* Adam\(beta1=...\); only lr"):
        adam.beta1 = 0.5  # type: ignore[attr-defined]
    adam.lr = 0.5
    assert adam.lr == 0.5
    with pytest.raises(AttributeError, match="factor: read-only"):
        plateau.factor = 3.0
    aug = Compose([HorizontalFlip()])
    for name in ("seed", "transforms", "value_range"):
        with pytest.raises(AttributeError, match=f"{name}: read-only"):
            setattr(aug, name, getattr(aug, name))
    together = Ensemble([net, net.copy()])
    for name in ("members", "weights", "combine"):
        with pytest.raises(AttributeError, match=f"{name}: read-only"):
            setattr(together, name, getattr(together, name))
    with pytest.raises(ValueError, match="read-only"):
        together.weights[0] = 5


@pytest.mark.parametrize(
    "schedule",
    [
        fanin.schedules.Cosine(),
        fanin.schedules.Step(every=2, factor=0.5),
        fanin.schedules.OneCycle(),
        None,
    ],
    ids=repr,
)
def test_a_resumed_run_is_the_uninterrupted_one(
    schedule: fanin.schedules.Schedule | None, tmp_path: Path
) -> None:
    whole, part = (fanin.MLP([6, 5, 3], seed=1) for _ in range(2))
    optimizers = [optim.Adam(), optim.Adam()]
    judge = {"validation_data": (X, y), "schedule": schedule}
    seen = fit(whole, epochs=6, optimizer=optimizers[0], **judge)

    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
            self.network.stop_training = epoch == 1

    first = fit(part, epochs=6, optimizer=optimizers[1], callbacks=[Stop()], **judge)
    part.save(tmp_path / "net")
    fresh = optim.Adam()
    fresh.load_state_dict(optimizers[1].state_dict())
    loaded = fanin.MLP.load(tmp_path / "net")
    rest = fit(loaded, epochs=6, initial_epoch=2, optimizer=fresh, **judge)
    assert rest.epoch == [2, 3, 4, 5]
    for key, values in seen.history.items():
        assert first.history[key] + rest.history[key] == values
    np.testing.assert_array_equal(loaded.get_parameters(), whole.get_parameters())
    assert fit(loaded, epochs=6, initial_epoch=6, optimizer=fresh).epoch == []
    for bad in (7, -1):
        with pytest.raises(ValueError, match="initial_epoch: expected between 0 and 6"):
            fit(loaded, epochs=6, initial_epoch=bad)


@pytest.mark.parametrize("restore", [True, False])
def test_ctrl_c_leaves_the_best_epoch(restore: bool) -> None:
    net, kept = fanin.MLP([6, 5, 3]), []

    class Interrupt(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: object = None) -> None:  # noqa: ARG002
            kept.append(net.get_parameters())
            if epoch == 3:
                raise KeyboardInterrupt

    rates = fanin.schedules.Function(lambda step: 1.0 if step < 10 else 1e3)
    stop = callbacks.EarlyStopping("loss", restore_best=restore)
    with pytest.raises(KeyboardInterrupt):
        fit(net, epochs=9, schedule=rates, callbacks=[stop, Interrupt()], optimizer="sgd")
    assert stop.best_epoch is not None
    assert stop.best_epoch < 3
    best = stop.best_epoch if restore else 3
    np.testing.assert_array_equal(net.get_parameters(), kept[best])
    assert net.history is not None
    assert net.history.stop_reason == "interrupted"
