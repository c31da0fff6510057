"""KeyboardInterrupt at each line of a fit: parameters, optimizer and counts are those of a step."""

from __future__ import annotations

import hashlib
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from checkpoint_cases import JUDGE, X, Y, outcome

import fanin
from fanin import optim, schedules
from fanin.training import fit as fit_module
from reliability import tier, write_figure

pytestmark = pytest.mark.row("B2")

PACKAGE = str(Path(fanin.__file__).parent)
ROOMS = tuple(str(Path(PACKAGE) / room) for room in ("training", "network"))
EVERY_LINE = tier() > 1
STRIDE = 1 if EVERY_LINE else 29  # prime: in time it meets lines of all kinds
OF_FILES = 997  # more, since a run with checkpoints takes longer


class Interrupter:
    """Raises KeyboardInterrupt at the n-th line that runs in these rooms; 0: counts them."""

    def __init__(self, n: int = 0, rooms: str | tuple[str, ...] = ROOMS) -> None:
        self.n, self.rooms, self.count, self.where = n, rooms, 0, ""
        self.places: dict[tuple[str, int], list[int]] = {}  # when each line ran

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(self.rooms):
            return None
        if event == "line":
            self.count += 1
            if not self.n:
                place = frame.f_code.co_filename, frame.f_lineno
                self.places.setdefault(place, []).append(self.count)
            if self.count == self.n:
                self.where = f"{frame.f_code.co_qualname}:{frame.f_lineno}"
                raise KeyboardInterrupt
        return self

    def run(self, work: Callable[[], object]) -> None:
        before = sys.gettrace()
        sys.settrace(self)
        try:
            work()
        finally:
            sys.settrace(before)


def too_large(step: int) -> float:
    return 1e30 if step > 11 else 1.0


def make(diverges: bool) -> tuple[fanin.MLP, optim.Optimizer, dict[str, Any]]:
    net, optimizer = fanin.MLP([12, 6, 3], keep=0.9, norm="batch", seed=2), optim.Adam(lr=0.01)
    rates = too_large if diverges else schedules.Plateau(patience=1)
    options = {"epochs": 3, "batch_size": 32, "validation_data": JUDGE, "optimizer": optimizer}
    return net, optimizer, {**options, "schedule": rates, "progress": False}


def standing(net: fanin.MLP, optimizer: optim.Optimizer) -> str:
    state = optimizer.state_dict()
    arrays = [net.get_parameters(), *(state["states"].get("") or [])]
    bits = [hashlib.sha256(array.tobytes()).hexdigest() for array in arrays]
    return f"{net.steps_done} {state['clock']} {bits}"


def steps_of(diverges: bool) -> set[str]:
    """Where a run stands after each of its steps."""
    net, optimizer, options = make(diverges)
    states = [np.zeros(net.arena.size, np.float32)] * 2
    empty = optim.Adam(lr=0.01)
    found = {standing(net, optimizer)}
    empty.load_state_dict({**optimizer.state_dict(), "states": {"": states}})
    found.add(standing(net, empty))
    hook = fanin.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_: found.add(standing(net, optimizer))
    )
    net.fit(X, Y, callbacks=[hook], **options)
    return found


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(fit_module, "CHUNK_SECONDS", 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fanin.DivergenceWarning)
        yield


@pytest.mark.parametrize("diverges", [False, True])
def test_at_each_line(diverges: bool) -> None:
    known = steps_of(diverges)
    counted = Interrupter()
    net, _, options = make(diverges)
    counted.run(lambda: net.fit(X, Y, **options))
    assert counted.count > 400
    for n in range(1 + STRIDE // 2, counted.count + 1, STRIDE):
        net, optimizer, options = make(diverges)
        at = Interrupter(n)
        with pytest.raises(KeyboardInterrupt):
            at.run(lambda net=net, options=options: net.fit(X, Y, **options))
        assert optimizer.t == net.steps_done, at.where
        assert standing(net, optimizer) in known, at.where
        before = net.steps_done
        history = net.fit(X, Y, **{**options, "epochs": 1, "schedule": None})
        gone = diverges and history.stop_reason == "diverged"  # the last step was the one too large
        assert net.steps_done == optimizer.t == before + (0 if gone else 5), at.where


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of files left open
def test_at_each_line_of_a_run_with_checkpoints(tmp_path: Path) -> None:
    """What the file has is whole at any time: the run goes on to its very end."""
    net, _, options = make(diverges=False)
    whole = (net, X, Y, options)
    expected = outcome(whole, net.fit(X, Y, **options))
    given = {"checkpoint": tmp_path / "run", "every": "0s", "resume": True}
    for _ in range(2):  # the first one imports
        (tmp_path / "run").unlink(missing_ok=True)
        net, _, options = make(diverges=False)
        counted = Interrupter(rooms=PACKAGE)
        counted.run(lambda net=net, options=options: net.fit(X, Y, **options, **given))
    ends = sorted({n for when in counted.places.values() for n in (when[0], when[-1])})
    chosen = ends if EVERY_LINE else range(1 + STRIDE // 2, counted.count + 1, OF_FILES)
    for n in chosen:
        (tmp_path / "run").unlink(missing_ok=True)
        net, _, options = make(diverges=False)
        at = Interrupter(n, PACKAGE)
        with pytest.raises(KeyboardInterrupt):
            at.run(lambda net=net, options=options: net.fit(X, Y, **options, **given))
        net, _, options = make(diverges=False)
        run = (net, X, Y, options)
        assert outcome(run, net.fit(X, Y, **options, **given)) == expected, at.where
    assert len(list(tmp_path.iterdir())) == 1, "a temporary file was left"
    what = f"KeyboardInterrupt in a fit with checkpoints, at {len(counted.places):,} lines"
    figure = {"test": "interrupt_sweep", "what": what, "n": len(chosen)}
    control = "a count that lags a line behind: found"
    write_figure(figure | {"result": "0 other bits once resumed", "control": control})


def test_a_count_that_lags_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: counted in Python, a line after the step, as once it was."""

    class Lagging(fanin.MLP):
        counted = 0
        steps_done = property(lambda self: self.counted)  # type: ignore[assignment]

    add_up = fit_module.Fit.add_up

    def counting(self: fit_module.Fit, first: int, last: int) -> None:
        add_up(self, first, last)
        self.net.counted += last - first  # type: ignore[attr-defined]

    monkeypatch.setattr(fit_module.Fit, "add_up", counting)
    net, optimizer = Lagging([12, 6, 3]), optim.Adam()
    options: dict[str, Any] = {"epochs": 1, "optimizer": optimizer, "progress": False}
    found = False
    for n in range(1, 2000):
        net, options["optimizer"] = Lagging([12, 6, 3]), optim.Adam()
        at = Interrupter(n)
        try:
            at.run(lambda net=net: net.fit(X, Y, **options))
        except KeyboardInterrupt:
            found = options["optimizer"].t != net.steps_done
        if found or not at.where:
            break
    assert found
