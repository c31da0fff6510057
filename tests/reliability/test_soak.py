"""Train, save, load, predict, search, again and again: memory, descriptors and threads stay."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from children import HANG, printed_by

from reliability import count

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="Linux tells what a process holds"
)

SECONDS = count(6, 600)
# What the second half may add, in bytes. A heap whose free pages are given back is one of three
# sizes after a turn, 0.85 MB apart; the seeded leak adds 24 MB.
GROWTH = 4 << 20

CHILD = """
    import ctypes, gc, json, os, sys, tempfile, time
    from pathlib import Path
    import numpy as np
    import fanin
    from fanin import augment, ensemble, preprocessing, tuning

    libc = ctypes.CDLL(None)
    libc.prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: or the system makes pages larger, in its time
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((400, 30), dtype=np.float32), rng.integers(0, 4, 400)
    images = rng.integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    space = {"lr": tuning.loguniform(1e-3, 1e-1)}
    kept = []  # of a fault that is put in

    def turn(folder):
        net = fanin.MLP([30, 20, 4], keep=0.9, norm="batch")
        steps = [preprocessing.Normalize(), preprocessing.PCA(n_components=30)]
        net.fit(X, y, epochs=2, preprocess=steps, optimizer="adam", progress=False)
        net.save(folder / "net.fanin")
        again = fanin.MLP.load(folder / "net.fanin")
        assert np.array_equal(again.predict(X), net.predict(X))
        ensemble.Ensemble([net, again]).save(folder / "both.fanin")
        ensemble.Ensemble.load(folder / "both.fanin").evaluate(X, y)
        pictures = fanin.MLP([192, 4])
        flips = augment.Compose([augment.HorizontalFlip(), augment.RandomCrop(8, padding=1)])
        pictures.fit(images, y[:64], augment=flips, epochs=1, progress=False)
        (folder / "log").unlink(missing_ok=True)
        tuning.search(space, (X, y), 3, epochs=1, hidden=8, log=folder / "log", progress=False)
        if sys.argv[2] == "leak":
            kept.append((np.ones(1 << 19), open(os.devnull)))

    def state():
        gc.collect()
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)
        # Counted page by page, where other files of /proc estimate; and none of libraries' code.
        with open("/proc/self/smaps_rollup") as rollup:
            size = next(1024 * int(line.split()[1]) for line in rollup if "Anonymous" in line)
        threads = len(os.listdir("/proc/self/task"))
        return size, len(os.listdir("/proc/self/fd")), threads

    with tempfile.TemporaryDirectory() as name:
        folder, turns, seen = Path(name), 0, []
        begin, seconds = time.monotonic(), float(sys.argv[1])
        while (at := time.monotonic() - begin) < seconds or turns < 24:
            turn(folder)
            turns += 1
            seen.append(state())
    print(json.dumps(seen))
"""


def growth(*arguments: str) -> tuple[int, list[int]]:
    """How often it went round, and what memory, descriptors and threads gained in the second half.

    Of a quarter the least counts, which what comes and goes does not raise.
    """
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    seen = json.loads(printed_by(CHILD, *arguments, env=environment, timeout=SECONDS + HANG))
    n = len(seen)
    quarters = [seen[n // 2 : 3 * n // 4], seen[3 * n // 4 :]]
    before, after = ([min(column) for column in zip(*q, strict=True)] for q in quarters)
    return n, [late - early for early, late in zip(before, after, strict=True)]


def test_nothing_grows(record: Any) -> None:
    n, (memory, descriptors, threads) = growth(str(SECONDS), "none")
    assert memory < GROWTH
    assert descriptors == 0
    assert threads <= 0
    result = f"{memory / 1024:+.0f} kB, no descriptor, no thread"
    record(f"{SECONDS} s of train, save, load, search", n, result, "a seeded leak: found")


def test_a_leak_is_found_out() -> None:
    n, (memory, descriptors, _) = growth("0", "leak")
    assert descriptors >= n // 8
    assert memory > GROWTH
