"""SIGINT and SIGTERM write a checkpoint, and then do what they do."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checkpoint_cases import RUNS, fit, outcome
from children import run_python

from fanin import callbacks, checkpoint

pytestmark = [pytest.mark.row("B2"), pytest.mark.skipif(os.name != "posix", reason="sends signals")]


@pytest.fixture(autouse=True)
def own_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Signal(callbacks.Callback):
    """Sends a signal in the middle of a callback, once."""

    def __init__(self, number: int, hook: str, epoch: int = 1) -> None:
        self.number, self.epoch = number, epoch
        setattr(self, hook, self.send)

    def send(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        if epoch == self.epoch and not self.params.get("resumed"):
            self.epoch = -1
            signal.raise_signal(self.number)
            self.network.sent = self.network.steps_done

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch}

    def load_state_dict(self, state: Any) -> None:
        self.epoch = state["epoch"]


OPTIONS: dict[str, Any] = {"every": "1h", "checkpoint_on_signal": True, "resume": True}
HOOKS = ["on_epoch_begin", "on_epoch_end", "on_train_batch_end", "on_train_batch_begin"]


def steps_in(path: Path) -> int:
    header, _ = checkpoint.load_archive(path, "checkpoint")
    return int(header["state"]["network"]["counters"]["steps_done"])


@pytest.mark.parametrize("hook", [*HOOKS, "on_progress"])
def test_ctrl_c_amid_a_callback(hook: str, tmp_path: Path) -> None:
    """The callback ends first: what is written is whole, and the run goes on from there."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    whole, run, again = (RUNS["dropping"](tmp_path) for _ in range(3))
    expected = outcome(whole, fit(whole))
    at = 1 if "epoch" in hook else 3 if "batch" in hook else 10
    with pytest.raises(KeyboardInterrupt):
        fit(run, checkpoint=tmp_path / "run", callbacks=[Signal(signal.SIGINT, hook, at)],
            **OPTIONS)  # fmt: skip
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert steps_in(tmp_path / "run") == run[0].steps_done > 0
    if hook != "on_progress":  # where it is answered at once
        assert run[0].sent <= run[0].steps_done <= run[0].sent + 5
    resumed = [Signal(signal.SIGINT, hook, at)]
    assert outcome(again, fit(again, checkpoint=tmp_path / "run", callbacks=resumed,
                              **OPTIONS)) == expected  # fmt: skip


def test_an_own_handler_that_returns_lets_the_fit_go_on(tmp_path: Path) -> None:
    told: list[int] = []

    def handler(number: int, frame: object) -> None:  # noqa: ARG001
        told.append(number)

    signal.signal(signal.SIGTERM, handler)
    whole, run = RUNS["dropping"](tmp_path), RUNS["dropping"](tmp_path)
    expected = outcome(whole, fit(whole))
    history = fit(run, checkpoint=tmp_path / "run",
                  callbacks=[Signal(signal.SIGTERM, "on_epoch_end")], **OPTIONS)  # fmt: skip
    assert told == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is handler
    assert outcome(run, history) == expected


def test_ignored_signals_stay_ignored(tmp_path: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run = RUNS["dropping"](tmp_path)
    history = fit(run, checkpoint=tmp_path / "run",
                  callbacks=[Signal(signal.SIGINT, "on_epoch_end")], **OPTIONS)  # fmt: skip
    assert history.stop_reason == "all epochs done"


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    """For a callback that goes on and on."""
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def twice(epoch: int, logs: object) -> None:  # noqa: ARG001
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second one was not answered")

    endless = callbacks.LambdaCallback(on_epoch_end=twice)
    with pytest.raises(KeyboardInterrupt):
        fit(RUNS["dropping"](tmp_path), checkpoint=tmp_path / "run", callbacks=[endless], **OPTIONS)
    assert steps_in(tmp_path / "run") == 0


@pytest.mark.parametrize("on_signal", [True, False])
def test_no_handler_outside_of_fit_nor_on_another_thread(on_signal: bool, tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    seen: list[list[Any]] = []

    def look(*_: object) -> None:
        seen.append([signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)])

    def train(name: str) -> None:
        fit(RUNS["dropping"](tmp_path), checkpoint=tmp_path / name, epochs=1, every="1h",
            checkpoint_on_signal=on_signal,
            callbacks=[callbacks.LambdaCallback(on_epoch_end=look)])  # fmt: skip

    train("main")
    thread = threading.Thread(target=train, args=("other",))
    thread.start()
    thread.join()
    assert [both == before for both in seen] == [not on_signal, True]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


# A thread sends it while compiled code is at work, which the main thread never leaves for long.
AMID = """
    import os, signal, sys, threading
    from pathlib import Path
    import numpy as np, fanin
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder, number, on_signal = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "True"
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((2000, 300), dtype=np.float32), rng.integers(0, 10, 2000)
    net = fanin.MLP([300, 256, 10], keep=0.8)
    begun = threading.Event()

    def send():
        begun.wait()
        os.kill(os.getpid(), number)

    class Tell(fanin.callbacks.Callback):
        def on_progress(self, step, logs=None):
            begun.set()

    threading.Thread(target=send, daemon=True).start()
    try:
        net.fit(X, y, epochs=100_000, checkpoint=folder / "run", every="1h", callbacks=[Tell()],
                checkpoint_on_signal=on_signal, progress=False, n_threads=1)
    except KeyboardInterrupt:
        header, _ = fanin.checkpoint.load_archive(folder / "run", "checkpoint")
        kept = header["state"]["network"]["counters"]["steps_done"]
        # A plain Ctrl-C between an epoch and its callbacks leaves the file from before.
        assert kept == net.steps_done > 0 if on_signal else 0 <= kept <= net.steps_done
        print("interrupted")
"""


@pytest.mark.parametrize("on_signal", [True, False])
def test_ctrl_c_amid_compiled_code(on_signal: bool, tmp_path: Path) -> None:
    done = run_python(AMID, str(tmp_path), str(int(signal.SIGINT)), str(on_signal))
    assert (done.returncode, done.stdout.strip()) == (0, "interrupted"), done.stderr


def test_termination_amid_compiled_code(tmp_path: Path) -> None:
    done = run_python(AMID, str(tmp_path), str(int(signal.SIGTERM)), "True")
    assert done.returncode == -signal.SIGTERM, done.stderr
    assert steps_in(tmp_path / "run") > 0
