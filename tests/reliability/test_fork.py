"""fork(): after calls on several threads, in the midst of one, in hooks, and by multiprocessing."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest
from children import HANG, printed_by

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

# A child that hangs is ended by its alarm.
FORK = f"""
    import json, os, signal, sys, threading, warnings
    warnings.simplefilter("ignore")  # Python 3.12 warns of fork beside threads
    import numpy as np
    import fanin
    x = np.linspace(-1, 1, 512 * 512, dtype=np.float32).reshape(512, 512)
    y = np.arange(512) % 10

    def computed(threads=2):
        net = fanin.MLP([512, 64, 10], seed=0)
        net.fit(x, y, epochs=1, progress=False)
        return fanin.layers.dense(x, x, None, n_threads=threads).tobytes() + net.scores(x).tobytes()

    def child_status(f):
        child = os.fork()
        if child == 0:
            signal.alarm({HANG // 6})
            status = 3
            try:
                status = 0 if f() else 1
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    fanin.set_num_threads(2)
    expected = computed()
"""


def outcome(work: str) -> Any:
    return json.loads(printed_by(FORK + work))


def test_children_in_the_midst_of_another_threads_call() -> None:
    work = """
    stop = threading.Event()
    def busy():
        while not stop.is_set():
            computed()
    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    result = [child_status(lambda: computed() == expected) for _ in range(5)]
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps([result, computed() == expected]))
    """
    assert outcome(work) == [[0] * 5, True]


def test_children_of_children_and_threads_in_them() -> None:
    work = """
    def in_thread():
        seen = []
        thread = threading.Thread(target=lambda: seen.append(computed(4)))
        thread.start()
        thread.join()
        return seen == [expected]
    def deeper():
        return computed() == expected and child_status(in_thread) == 0
    print(json.dumps([child_status(in_thread), child_status(deeper), computed() == expected]))
    """
    assert outcome(work) == [0, 0, True]


def test_calls_in_the_hooks_of_fork() -> None:
    work = """
    seen = []
    hook = lambda name: lambda: seen.append([name, computed() == expected])
    os.register_at_fork(
        before=hook("before"), after_in_parent=hook("parent"), after_in_child=hook("child")
    )
    in_child = lambda: seen == [["before", True], ["child", True]]
    print(json.dumps([child_status(in_child), seen]))
    """
    assert outcome(work) == [0, [["before", True], ["parent", True]]]


def test_forked_workers_of_multiprocessing() -> None:
    work = """
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(2) as pool:
        same = [b == expected for b in pool.map(computed, [1, 2, 3, 4])]
    print(json.dumps(same))
    """
    assert outcome(work) == [True] * 4


def test_children_train_search_and_augment() -> None:
    work = """
    from fanin import augment, tuning
    images = np.arange(64 * 16 * 16 * 3, dtype=np.uint8).reshape(64, 16, 16, 3)
    pipeline = augment.Compose([augment.RandomRotation(30), augment.HorizontalFlip()], seed=0)
    first = pipeline(images).tobytes()
    def again():
        pipeline = augment.Compose([augment.RandomRotation(30), augment.HorizontalFlip()], seed=0)
        return pipeline(images).tobytes() == first
    print(json.dumps([child_status(again), again()]))
    """
    assert outcome(work) == [0, True]


# Importing


def test_import_starts_no_thread() -> None:
    code = """
        import os, sys
        import numpy, numpy.lib.format
        tasks = lambda: len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 0
        before = tasks()
        import fanin
        print(tasks() - before)
    """
    assert printed_by(code).split() == ["0"]


def test_import_needs_no_home_and_no_site(tmp_path: Any) -> None:
    """As `python -I`, with a home that cannot be written to."""
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    path = json.dumps([p for p in sys.path if p])
    code = f"""
        import sys
        sys.path[:0] = {path}
        import fanin
        print(fanin.MLP([2, 2]).predict(fanin.random.Generator().normal(size=(1, 2))).shape)
    """
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    assert printed_by(code, env=environment).strip() == "(1,)"
    assert list(home.iterdir()) == []
