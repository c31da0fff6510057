"""Readers on other threads see a network in training as it is after a whole step."""

from __future__ import annotations

import copy
import hashlib
import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from children import HANG, printed_by

import fanin
from fanin import callbacks, optim
from reliability import tier, write_figure

pytestmark = pytest.mark.row("B2")

FULL = tier() > 1
SNAPSHOTS = 10_000 if FULL else 100
STEPS = 4000 if FULL else 400
RNG = np.random.default_rng(0)
X = RNG.normal(size=(STEPS * 16, 20)).astype(np.float32)
Y = RNG.integers(0, 5, len(X))
FEW = X[:3]


def network() -> fanin.MLP:
    return fanin.MLP([20, 96, 5], norm="batch", keep=0.9, seed=3)


def fit(net: fanin.MLP, optimizer: Any = "adam", **options: Any) -> None:
    net.fit(X, Y, epochs=1, batch_size=16, optimizer=optimizer, progress=False,
            n_threads=1, **options)  # fmt: skip


Step = tuple[bytes, bytes, tuple[bytes, ...]]


def bits(array: np.ndarray) -> bytes:
    return hashlib.blake2b(array.tobytes(), digest_size=16).digest()


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    """Parameters, scores and optimizer after each step of the run."""
    net, optimizer, found = network(), optim.Adam(), []

    def standing(*_: object) -> None:
        states = optimizer.state_dict()["states"].get("", [])
        found.append((bits(net.get_parameters()), bits(net.scores(FEW)), tuple(map(bits, states))))

    standing()
    fit(net, optimizer, callbacks=[callbacks.LambdaCallback(on_train_batch_end=standing)])
    assert len(found) == STEPS + 1
    assert len({step[0] for step in found}) == STEPS + 1
    return found


@contextmanager
def training(net: fanin.MLP, optimizer: Any = "adam") -> Iterator[threading.Thread]:
    thread = threading.Thread(target=fit, args=(net, optimizer))
    thread.start()
    yield thread
    thread.join(HANG)
    assert not thread.is_alive()


def from_file(net: fanin.MLP, folder: Path) -> fanin.MLP:
    net.save(folder / "net.fanin")
    return fanin.MLP.load(folder / "net.fanin")


READERS: dict[str, Callable[[fanin.MLP, Path], fanin.MLP]] = {
    "copy": lambda net, _: net.copy(),
    "deepcopy": lambda net, _: copy.deepcopy(net),
    "pickle": lambda net, _: pickle.loads(pickle.dumps(net)),
    "save": from_file,
}


@pytest.mark.parametrize("reader", READERS)
def test_whole_networks(reader: str, steps: list[Step], tmp_path: Path) -> None:
    taken, amid, began = 0, 0, time.monotonic()
    # A busy machine may run the reader before and after a fit, and seldom beside it.
    while (taken < SNAPSHOTS // 4 or not amid) and time.monotonic() < began + HANG:
        net = network()
        with training(net) as thread:
            while thread.is_alive():
                seen = READERS[reader](net, tmp_path)
                assert bits(seen.get_parameters()) == steps[seen.steps_done][0]
                taken, amid = taken + 1, amid + (0 < seen.steps_done < STEPS)
    assert amid
    told(f"{reader} beside a fit", taken, f"0 torn, {amid:,} amid its steps")


def told(what: str, n: int, result: str = "0 torn") -> None:
    figure = {"test": "readers_during_fit", "what": what, "n": n, "result": result}
    write_figure(figure | {"control": "each step's bits differ from all others'"})


def test_whole_parameters_and_predictions(steps: list[Step]) -> None:
    """By three threads beside the one that trains; none of them waits for ever."""
    parameters, scores = ({step[i] for step in steps} for i in (0, 1))
    torn: list[str] = []
    taken = [0, 0, 0]

    def read(which: int, net: fanin.MLP, thread: threading.Thread) -> None:
        while thread.is_alive():
            if which == 0 and bits(net.get_parameters()) not in parameters:
                torn.append("parameters")
            if which > 0 and bits(net.scores(FEW)) not in scores:
                torn.append("scores")
            taken[which] += 1

    while min(taken) < SNAPSHOTS:
        net = network()
        with training(net) as thread:
            readers = [threading.Thread(target=read, args=(i, net, thread)) for i in range(3)]
            for one in readers:
                one.start()
            for one in readers:
                one.join(HANG)
        assert bits(net.get_parameters()) == steps[-1][0]
    assert not torn
    told("get_parameters beside a fit", taken[0])
    told("scores beside a fit, on two threads", taken[1] + taken[2])


def test_an_optimizer_is_saved_as_of_the_same_step(steps: list[Step], tmp_path: Path) -> None:
    net, optimizer = network(), optim.Adam()
    with training(net, optimizer) as thread:
        while thread.is_alive():
            net.save(tmp_path / "net", optimizer=optimizer)
            seen, own = fanin.MLP.load(tmp_path / "net", optimizer=True)
            assert own.t == seen.steps_done
            states = own.state_dict()["states"].get("", [])
            if states:
                at = steps[seen.steps_done]
                assert tuple(map(bits, states)) == at[2] or seen.steps_done == 0


OPTIMIZER_READERS: dict[str, Callable[[optim.Optimizer], dict[str, Any]]] = {
    "state_dict": optim.Optimizer.state_dict,
    "copy": lambda one: copy.copy(one).state_dict(),
    "deepcopy": lambda one: copy.deepcopy(one).state_dict(),
    "pickle": lambda one: pickle.loads(pickle.dumps(one)).state_dict(),
}


@pytest.mark.parametrize("reader", OPTIMIZER_READERS)
def test_whole_optimizers(reader: str, steps: list[Step]) -> None:
    """Its count, running products and states are those of one step."""
    amid, began = 0, time.monotonic()
    while not amid and time.monotonic() < began + HANG:
        net, optimizer = network(), optim.Adam()
        with training(net, optimizer) as thread:
            while thread.is_alive():
                lowest = optimizer.t
                seen = OPTIMIZER_READERS[reader](optimizer)
                clock, product = seen["clock"], 1.0
                assert lowest <= clock["t"] <= optimizer.t
                for _ in range(clock["t"]):
                    product *= 0.9
                assert clock["beta1_power"] == product
                states = seen["states"].get("", [])
                assert tuple(map(bits, states)) == steps[clock["t"]][2] or clock["t"] == 0
                amid += 0 < clock["t"] < STEPS
    assert amid


@pytest.mark.parametrize("reader", OPTIMIZER_READERS)
def test_optimizers_that_a_run_takes_up_while_they_are_read(
    reader: str, steps: list[Step], monkeypatch: pytest.MonkeyPatch
) -> None:
    net, optimizer = network(), optim.Adam()
    copied = optim.Optimizer._copied_states

    def late(self: optim.Optimizer) -> dict[str, list[np.ndarray]]:
        monkeypatch.undo()
        thread = threading.Thread(target=fit, args=(net, optimizer))
        thread.start()
        thread.join(HANG)
        return copied(self)

    monkeypatch.setattr(optim.Optimizer, "_copied_states", late)
    seen = OPTIMIZER_READERS[reader](optimizer)
    assert seen["clock"]["t"] == STEPS
    assert tuple(map(bits, seen["states"][""])) == steps[-1][2]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_a_signal_handler_reads_while_a_step_waits_for_a_reader() -> None:
    """The thread that trains waits for another's pass to end, and must not wait for itself too."""
    code = """
        import signal, threading
        import numpy as np
        import fanin

        X = np.random.default_rng(0).standard_normal((4000, 20), dtype=np.float32)
        rows, y = np.tile(X, (5, 1)), np.arange(4000) % 5
        net = fanin.MLP([20, 96, 5], seed=0)
        over, handled = threading.Event(), 0

        def handler(*_):
            global handled
            net.get_parameters()
            handled += 1
            if handled < 20:
                signal.setitimer(signal.ITIMER_REAL, 0.002)

        def read():
            while not over.is_set():
                net.predict(rows)

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        reader = threading.Thread(target=read)
        reader.start()
        while handled < 20:
            net.fit(X, y, epochs=1, batch_size=16, progress=False, n_threads=1)
        over.set()
        reader.join()
        print(handled)
    """
    assert printed_by(code) == "20\n"


def test_the_detector_finds_torn_copies(steps: list[Step]) -> None:
    """The negative control: copies of the arena itself are of two steps now and then."""
    parameters, torn = {step[0] for step in steps}, 0
    for _ in range(50):
        net = network()
        with training(net) as thread:
            while thread.is_alive():
                torn += bits(net.arena.copy()) not in parameters
        if torn:
            return
    pytest.skip("no copy was torn on this machine")


def test_passes_within_callbacks(tmp_path: Path) -> None:
    """On the thread that trains, which must not wait for itself."""
    net = network()

    def look(*_: object) -> None:
        net.evaluate(FEW, Y[:3])
        net.save(tmp_path / "net")
        net.set_parameters(net.copy().get_parameters())

    hooks = {"on_epoch_end": look, "on_train_begin": look, "on_train_end": look}
    fit(net, callbacks=[callbacks.LambdaCallback(**hooks)])
    assert net.steps_done == STEPS


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_amid_a_fit(steps: list[Step]) -> None:
    """The child has a whole step's network, and trains it on as if it had been saved there."""
    for _ in range(3):
        net = network()
        with training(net) as thread:
            while net.steps_done < STEPS // 3 and thread.is_alive():
                net.get_parameters()
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    at = net.steps_done
                    right = bits(net.get_parameters()) == steps[at][0]
                    right &= bits(net.scores(FEW)) == steps[at][1]
                    fit(net)
                    right &= net.steps_done == at + STEPS
                    os.write(writing, b"right" if right else b"wrong")
                    code = 0
                finally:
                    os._exit(code)
            os.close(writing)
            with os.fdopen(reading, "rb") as pipe:
                assert pipe.read() == b"right"
            assert os.waitpid(pid, 0)[1] == 0


def test_threads_that_share_a_generator_draw_each_number_once() -> None:
    shared, alone = fanin.random.Generator(seed=4), fanin.random.Generator(seed=4)
    drawn: list[float] = []

    def draw() -> None:
        for _ in range(200):
            drawn.extend(shared.random(64, dtype="float64").tolist())

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(drawn) == sorted(alone.random(len(drawn), dtype="float64").tolist())
    assert shared.state == alone.state
