"""Train, save, load, predict, search, again and again: memory, descriptors and threads stay."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest
from children import printed_by

from reliability import count

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self")

SECONDS = count(6, 600)
GROWTH = 1 << 20  # bytes that the second half may add

CHILD = """
    import gc, json, os, resource, sys, tempfile, threading, time
    from pathlib import Path
    import numpy as np
    import fanin
    from fanin import augment, ensemble, preprocessing, tuning

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
            # more than a heap has in holes
            kept.append((np.ones(1 << 19), open(os.devnull)))

    def state():
        gc.collect()
        pages = int(open("/proc/self/statm").read().split()[1])
        size = pages * resource.getpagesize()
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

    Memory is the median of a quarter, since a heap breathes.
    """
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    seen = json.loads(printed_by(CHILD, *arguments, env=environment, timeout=SECONDS + 600))
    n = len(seen)
    quarters = [seen[n // 2 : 3 * n // 4], seen[3 * n // 4 :]]
    medians = [
        [sorted(column)[len(column) // 2] for column in zip(*q, strict=True)] for q in quarters
    ]
    return n, [after - before for before, after in zip(*medians, strict=True)]


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
