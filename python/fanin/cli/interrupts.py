"""Ctrl-C while results are at stake."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def one_interrupt(done: str) -> Iterator[Callable[[], None]]:
    """Within it the first Ctrl-C raises as ever; later ones wait until the end of the block.

    Yields ``hold()``, from which on the first one waits too, for what must not be broken off.
    KeyboardInterrupt(done) is then raised at the end.
    """
    before = signal.getsignal(signal.SIGINT)
    held, waiting = False, False

    def hold() -> None:
        nonlocal held
        held = True

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal held, waiting
        if held:
            waiting = True
            return
        held = True
        assert callable(before)
        before(number, frame)

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or not callable(before):  # ignored, or not Python's
        yield hold
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield hold
    finally:
        signal.signal(signal.SIGINT, before)
    if waiting:
        raise KeyboardInterrupt(done)
