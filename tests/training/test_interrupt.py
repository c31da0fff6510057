"""Ctrl-C: KeyboardInterrupt amid compiled code, and the network at its last whole step."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from children import printed_by
from interrupts import interrupted

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")

# Another run with a batch hook, stopped after the same number of whole steps, has the same bits.
SAME_AS_WHOLE_STEPS = """
    class Enough(Exception):
        pass

    def stop(step, logs):
        if twin.steps_done == net.steps_done:
            raise Enough

    twin = make()
    before = twin.get_parameters()
    hook = fanin.callbacks.LambdaCallback(on_train_batch_end=stop)
    if net.steps_done:
        try:
            run(twin, [hook])
        except Enough:
            pass
    result["steps"] = net.steps_done
    result["finite"] = bool(np.isfinite(net.get_parameters()).all())
    result["same"] = bool(np.array_equal(net.get_parameters(), twin.get_parameters()))
    result["moved"] = not np.array_equal(net.get_parameters(), before)
    result["reason"] = net.history.stop_reason
"""

FITS = {
    "minibatches": ("data(2000, 300)", "[300, 256, 10]", "batch_size=128, epochs=100_000", True),
    "one thread": (
        "data(2000, 300)",
        "[300, 256, 10]",
        "batch_size=128, epochs=100_000, n_threads=1",
        True,
    ),
    "tiny steps": ("data(64, 4)", "[4, 5, 10]", "batch_size=8, epochs=10_000_000", True),
    "batch hooks": ("data(500, 100)", "[100, 64, 10]", "batch_size=32, epochs=100_000", True),
    # A step is long here, and the first one is interrupted.
    "all rows at once": (
        "data(30_000, 784)",
        "[784, 2048, 2048, 10]",
        "batch_size=None, epochs=100, n_threads=2",
        False,
    ),
    "large steps, clipped": (
        "data(4000, 784)",
        "[784, 4096, 4096, 10]",
        "batch_size=4000, epochs=100, clip_norm=1.0, n_threads=2",
        False,
    ),
}


@pytest.mark.parametrize("case", FITS)
def test_fit(case: str) -> None:
    arrays, dims, options, some_steps = FITS[case]
    hooks = "fanin.callbacks.LambdaCallback(on_train_batch_end=lambda *a: None)"
    setup = f"""
    X, y = {arrays}

    def make():
        return fanin.MLP({dims}, keep=0.8, seed=1)

    def run(net, callbacks=()):
        net.fit(X, y, {options}, reg=1e-3, callbacks=callbacks, progress=False)

    net = make()
    """
    work = f"run(net, [{hooks if case == 'batch hooks' else ''}])"
    result = interrupted(
        setup,
        work,
        SAME_AS_WHOLE_STEPS,
        native="Engine32.train",
        call=2 if some_steps else 1,
        inside=not some_steps,
    )
    assert result["finite"]
    assert result["same"]
    assert result["reason"] == "interrupted"
    if some_steps:
        assert result["steps"] > 0
        assert result["moved"]


@pytest.mark.parametrize(
    "call",
    [
        "evaluate(X, y, n_threads=2)",
        "scores(X, n_threads=2)",
        "predict(X, n_threads=2)",
        "predict_proba(X, n_threads=2)",
    ],
)
def test_passes_over_data(call: str) -> None:
    setup = """
    X, y = data(60_000, 784)
    net = fanin.MLP([784, 1024, 1024, 10])
    before = net.get_parameters()
    """
    work = f"""
        while True:
            net.{call}
    """
    after = """
    result["same"] = bool(np.array_equal(net.get_parameters(), before))
    result["usable"] = net.scores(X[:3]).shape == (3, 10)
    """
    native = "Engine32.evaluate" if call.startswith("evaluate") else "Engine32.scores"
    result = interrupted(setup, work, after, native=native, inside=True)
    assert result["same"]
    assert result["usable"]


def test_training_goes_on_after_an_interrupt() -> None:
    """An optimizer object, interrupted and called again, counts on; the run ends as it should."""
    setup = """
    X, y = data(2000, 300)
    net = fanin.MLP([300, 256, 10], keep=0.8)
    optimizer = fanin.optim.Adam()
    """
    work = "net.fit(X, y, epochs=100_000, optimizer=optimizer, progress=False)"
    after = """
    result["counts agree"] = optimizer.t == net.steps_done
    t = optimizer.t
    history = net.fit(X, y, epochs=2, optimizer=optimizer, progress=False)
    result["went on"] = optimizer.t == t + 32 == net.steps_done
    result["reason"] = history.stop_reason
    """
    result = interrupted(setup, work, after, native="Engine32.train", call=2)
    assert result["counts agree"]
    assert result["went on"]
    assert result["reason"] == "all epochs done"


def test_no_handler_is_left_behind(run_isa: Any) -> None:
    code = """
    import signal
    import numpy as np
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    import fanin
    X = np.ones((20, 3), np.float32)
    fanin.MLP([3, 2]).fit(X, np.arange(20) % 2, batch_size=10, epochs=1, progress=False)
    print(before == [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)])
    """
    assert run_isa(code).strip() == "True"


def test_the_child_is_this_installation() -> None:
    """The subprocesses above import the very package that the other tests do."""
    import fanin

    printed = printed_by("import fanin; print(fanin.__file__)")
    assert Path(printed.strip()) == Path(fanin.__file__)
