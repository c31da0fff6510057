"""What a call of fit leaves behind, and what it must not touch."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from children import HANG

import fanin
from fanin import callbacks, checkpoint, optim

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
            fit(net, epochs=50, callbacks=[hook], n_threads=1)
        except RuntimeError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=train) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert began.wait(HANG)
    while any(thread.is_alive() for thread in threads):
        loss, _ = net.loss_and_grads(X, y)
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
