"""The file that keeps a run of fit: when it is written, what is in it, and who may go on with it.

A checkpoint is an archive of `fanin.checkpoint` of the kind "checkpoint". Its header describes the
run (`describe_run`) and has its state, a tree of JSON values in which arrays stand by their names.
"""

from __future__ import annotations

import math
import os
import re
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

import numpy as np

from fanin import _validate, checkpoint
from fanin._core import __version__
from fanin._files import FileError, reading
from fanin._json import differences
from fanin._typing import Array
from fanin.network.options import FitOptions

KIND, UNUSABLE = "checkpoint", "not a usable checkpoint"
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM") if hasattr(signal, name)]
UNITS = {"s": 1, "min": 60, "h": 3600}
_ARRAY, _FLOAT = "array of the archive", "float"  # keys of what JSON does not have

State = dict[str, Any]


class Run(Protocol):
    """What is kept: a `Fit`."""

    settled: bool  # its state is whole, at each line

    def state(self, *, begun: bool) -> State:
        """Everything that the rest of the run depends on; begun: in the middle of an epoch."""


class CheckpointFile:
    """The file of one run; with ``checkpoint=None`` nothing is ever written.

    Attributes
    ----------
    state : dict or None
        Of the run in the file, where it is to be resumed.
    """

    def __init__(self, options: FitOptions) -> None:
        self.path: str | None = (
            None if options.checkpoint is None else os.fspath(options.checkpoint)
        )
        self._epochs, self._seconds = _interval(options.every)
        resume = _validate.boolean("resume", options.resume)
        self._on_signal = _validate.boolean("checkpoint_on_signal", options.checkpoint_on_signal)
        if self.path is None:
            for name, given in (("resume", resume), ("checkpoint_on_signal", self._on_signal)):
                if given:
                    raise ValueError(f"{name}: expected checkpoint= too, the file to write")
        self._resume = resume
        self._description: dict[str, Any] = {}
        self.state: State | None = None
        self._last_epoch, self._last_time = 0, 0.0
        self._received: tuple[int, FrameType | None] | None = None
        self._handlers: dict[int, Any] = {}

    def open(self, description: Mapping[str, Any]) -> None:
        """Reads the run that is to be resumed; refuses one that may not be."""
        self._description = dict(description)
        if self.path is None or not os.path.lexists(self.path):
            return
        if not self._resume:
            raise ValueError(
                f"checkpoint: expected a new file, got {self.path}, which holds "
                f"{_told(self.path)}; resume=True goes on with a run, another path begins one"
            )
        there, state = _read(self.path)
        if found := list(differences(there, self._description)):
            raise ValueError(f"checkpoint: {self.path} holds another run: {'; '.join(found[:5])}")
        self.state = state

    @contextmanager
    def kept(self, run: Run) -> Iterator[None]:
        """The scope of the training: writes the first file, and answers signals."""
        if self.path is None:
            yield
            return
        self._last_time = time.monotonic()
        if self.state is None:
            self._write(run.state(begun=False))
        try:
            if self._on_signal and threading.current_thread() is threading.main_thread():
                self._install(run)
            yield
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            if self._received is not None:
                self._pass_on()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Errors of a state that does not fit are errors of the file."""
        assert self.path is not None
        with reading(self.path, UNUSABLE):
            yield

    def after_steps(self, run: Run) -> None:
        """Between two steps of an epoch: writes where the time has come, or a signal."""
        if self._received is not None:
            self._answer(run.state(begun=True))
        elif self.path is not None and self._is_late():
            self._write(run.state(begun=True))

    def after_epoch(self, run: Run, epoch: int) -> None:
        """Between two epochs; `epoch` of them are done."""
        due = self._epochs is not None and epoch - self._last_epoch >= self._epochs
        if self._received is not None:
            self._answer(run.state(begun=False))
        elif self.path is not None and (due or self._is_late()):
            self._last_epoch = epoch
            self._write(run.state(begun=False))

    def after_interrupt(self, run: Run) -> None:
        """After KeyboardInterrupt, which may have come anywhere."""
        if self.path is not None and run.settled:
            self._write(run.state(begun=True))

    def after_training(self, run: Run) -> None:
        if self.path is not None:
            self._write(run.state(begun=False))

    def _is_late(self) -> bool:
        return self._seconds is not None and time.monotonic() - self._last_time >= self._seconds

    def _write(self, state: State) -> None:
        assert self.path is not None
        arrays: dict[str, Array] = {}
        header = {"kind": KIND, "run": self._description, "state": _packed("", state, arrays)}
        checkpoint.save_archive(self.path, header, arrays)
        self._last_time = time.monotonic()

    # Signals

    def _install(self, run: Run) -> None:
        def handle(number: int, frame: FrameType | None) -> None:
            again, self._received = self._received is not None, (number, frame)
            if again:  # the first one waits for a callback that goes on and on
                self._pass_on()
            elif run.settled:
                self._answer(run.state(begun=True))

        for number in SIGNALS:
            handler = signal.getsignal(number)
            # What is ignored stays so; what was not installed from Python cannot be put back.
            if handler not in (signal.SIG_IGN, None):
                self._handlers[number] = handler
                signal.signal(number, handle)

    def _answer(self, state: State) -> None:
        """Writes, then does what the signal would have done; where that returns, fit goes on."""
        self._write(state)
        self._pass_on()

    def _pass_on(self) -> None:
        assert self._received is not None
        (number, frame), self._received = self._received, None
        handler: Any = self._handlers[number]
        if callable(handler):
            handler(number, frame)
        else:
            signal.signal(number, handler)
            signal.raise_signal(number)


def _interval(every: Any) -> tuple[int | None, float | None]:
    """Epochs or seconds between two files."""
    if not isinstance(every, str):
        return _validate.whole("every", every, 1), None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|min|h)", every.strip())
    if found is None:
        raise ValueError(
            f"every: expected a number of epochs, or a time such as '30s', '5min' or '1h', "
            f"got {every!r}"
        )
    return None, float(found[1]) * UNITS[found[2]]


def _told(path: str) -> str:
    """What is in a file that must not be overwritten."""
    try:
        _, state = _read(path)
        with reading(path, UNUSABLE):
            if state["finished"]:
                return "a finished run"
            return f"a run after {state['network']['counters']['steps_done']} steps"
    except (OSError, ValueError):
        return "something else"


def _read(path: str) -> tuple[dict[str, Any], State]:
    """The description and the state in a file."""
    header, arrays = checkpoint.load_archive(path, KIND)
    with reading(path, UNUSABLE):
        version = header["version"]
    written, here = (".".join(str(v).split(".")[:2]) for v in (version, __version__))
    if written != here:
        raise FileError(
            path,
            f"a checkpoint is read by the minor version that wrote it: expected {here}, got "
            f"{written}; finish the run with fanin {version}",
        )
    with reading(path, UNUSABLE):
        return dict(header["run"]), _unpacked(header["state"], arrays)


def _packed(name: str, value: Any, arrays: dict[str, Array]) -> Any:
    """A tree as JSON has it; its arrays go to `arrays`."""
    if isinstance(value, np.ndarray):
        key = f"state{len(arrays)}"
        arrays[key] = value
        return {_ARRAY: key}
    if isinstance(value, np.generic):
        return _packed(name, value.item(), arrays)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) and key not in (_ARRAY, _FLOAT) for key in value):
            raise TypeError(f"{name}: expected a dict with keys of text, got {list(value)!r}")
        return {k: _packed(f"{name}.{k}".lstrip("."), v, arrays) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_packed(f"{name}.{i}", item, arrays) for i, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT: repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"{name}: expected text, numbers, lists, dicts and arrays of numbers, "
        f"got {_validate.describe(value)}"
    )


def _unpacked(value: Any, arrays: Mapping[str, Array]) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if _ARRAY in value:
        return arrays[value[_ARRAY]]
    if _FLOAT in value:
        return float(value[_FLOAT])
    return {name: _unpacked(item, arrays) for name, item in value.items()}
