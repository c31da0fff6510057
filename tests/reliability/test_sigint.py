"""Ctrl-C at any time of any long call: KeyboardInterrupt soon, and what there is can be used."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from children import HANG, printed_by

from fanin import executors
from reliability import count, tier

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")

BAR = 0.2  # seconds, on a machine that is not busy otherwise
EACH = count(3, 29)

# A thread sends the signal at a random time; the work is done again until it comes.
CHILD = """
    import json, os, random, signal, sys, threading, time
    import numpy as np
    import fanin
    from fanin import augment, preprocessing, tuning

    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng = np.random.default_rng(0)
    random.seed(0)

    def data(n, d):
        return rng.standard_normal((n, d), dtype=np.float32), rng.integers(0, 10, n)

    def ended(interrupted):  # what gives back what it has so far
        if interrupted:
            raise KeyboardInterrupt

    {setup}
    {work}
    after = []
    for _ in range(int(sys.argv[1])):
        sent = []
        begun = threading.Event()

        def send():
            begun.wait({hang})
            threading.Event().wait(random.uniform(0.05, 0.3))
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=send)
        thread.start()
        try:
            begun.set()
            while True:
                work()
        except KeyboardInterrupt:
            after.append(time.perf_counter() - sent[0])
        thread.join()
    usable = {usable}
    print(json.dumps([after, bool(usable)]))
"""

WIDE = """
    X, y = data(20_000, 784)
    net = fanin.MLP([784, 1024, 1024, 10])
"""
WORK = {
    "fit": (
        "X, y = data(2000, 300); net = fanin.MLP([300, 256, 10]); adam = fanin.optim.Adam()",
        "net.fit(X, y, epochs=10**6, optimizer=adam, progress=False)",
        "adam.t == net.steps_done > 0 and np.isfinite(net.get_parameters()).all()",
    ),
    "predict": (WIDE, "net.predict(X)", "net.predict(X[:9]).shape == (9,)"),
    "evaluate": (WIDE, "net.evaluate(X, y)", "net.evaluate(X[:9], y[:9])['loss'] > 0"),
    "augmentation": (
        """
    images = rng.integers(0, 256, (4000, 64, 64, 3), dtype=np.uint8)
    steps = [augment.RandomAffine(30), augment.ColorJitter(0.4, 0.4, 0.4, 0.1)]
    pipeline = augment.Compose(steps, seed=0)
        """,
        "pipeline(images)",
        "pipeline(images[:3]).shape == (3, 64, 64, 3)",
    ),
    "search": (
        """
    digits = fanin.datasets.load("digits")[0]
    space = {"lr": tuning.loguniform(1e-4, 1e-1)}
        """,
        "ended(tuning.search(space, digits, 500, epochs=9, hidden=16, progress=False).interrupted)",
        "len(tuning.search(space, digits, 2, epochs=1, hidden=4, progress=False)) == 2",
    ),
    "guide": (
        'X, y = fanin.datasets.load("digits")[0]',
        "ended(tuning.guide(X, y, progress=False).stopped == 'interrupted')",
        "True",
    ),
    "covariance": (
        "X, y = data(5000, 1000); pca = preprocessing.PCA()",
        "pca.partial_fit(X)",
        "pca.fit(X[:2000]).transform(X[:2]).shape[0] == 2",
    ),
}


@pytest.mark.parametrize("name", WORK if tier() > 1 else ("fit", "augmentation", "guide"))
def test_it_ends_soon(name: str, record: Any) -> None:
    setup, work, usable = WORK[name]
    work = f"def work():\n        {work}"
    code = CHILD.format(setup=setup.strip(), work=work, usable=usable, hang=HANG)
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # or LAPACK's wait for each other
    after, good = json.loads(printed_by(code, str(EACH), env=environment))
    assert good
    assert len(after) == EACH
    assert tier() < 2 or max(after) <= BAR, sorted(after)[-5:]
    within = sum(seconds <= BAR for seconds in after)
    result = f"{within} within {BAR} s, the longest {max(after):.2f} s"
    record(f"Ctrl-C during {name}", EACH, result, "a loop that looks for no signal: the next test")


def test_a_call_that_looks_for_no_signal_is_found_out() -> None:
    """A C function of a second or more holds the interrupt up; one of two signals is in time."""
    work = "def work():\n        hashlib.pbkdf2_hmac('sha256', b'x', b'y', 5 * 10**6)"
    code = CHILD.format(setup="import hashlib", work=work, usable="True", hang=HANG)
    after, _ = json.loads(printed_by(code, "2"))
    assert max(after) > BAR


# Threads that are being started: a process that has some left does not come to its end.


def left_by_interrupt(start: Callable[[], object], after: int, seconds: float) -> int:
    """Ctrl-C when so many calls are submitted: how many threads do not end."""
    before, calls = set(threading.enumerate()), 0
    submit = ThreadPoolExecutor.submit

    def submitted(*arguments: Any) -> Any:
        nonlocal calls
        future, calls = submit(*arguments), calls + 1
        if calls == after:
            raise KeyboardInterrupt
        return future

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThreadPoolExecutor, "submit", submitted)
        with pytest.raises(KeyboardInterrupt):
            start()
    threads = [thread for thread in threading.enumerate() if thread not in before]
    for thread in threads:
        thread.join(seconds)
    return sum(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_threads_end_where_ctrl_c_comes_at_their_start(after: int) -> None:
    assert left_by_interrupt(lambda: executors.Threads(3), after, HANG) == 0


def test_a_thread_that_waits_for_ever_is_found_out() -> None:
    begin = threading.Event()

    def start() -> None:
        ThreadPoolExecutor(1).submit(begin.wait)
        begin.set()

    assert left_by_interrupt(start, 1, 0.1) == 1
    begin.set()
