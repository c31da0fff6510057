"""Python code that compiled code lets run in its midst finds its process as it knows it."""

from __future__ import annotations

import json
import os

import pytest
from children import printed_by

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")

WORK = {
    "fit": "net.fit(X, y, epochs=1000, progress=False)",
    "scores": "[net.scores(X) for _ in range(1000)]",
    "augmentation": "[pipeline(images) for _ in range(1000)]",
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", WORK)
def test_handlers_keep_denormals(name: str, threads: int) -> None:
    """Compiled code flushes them, Python code must not: NumPy would compute other numbers."""
    code = f"""
        import json, signal
        import numpy as np
        import fanin
        fanin.set_num_threads({threads})
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((20_000, 256), dtype=np.float32), np.arange(20_000) % 10
        net = fanin.MLP([256, 512, 10])
        images = rng.integers(0, 256, (2000, 64, 64, 3), dtype=np.uint8)
        pipeline = fanin.augment.Compose([fanin.augment.RandomRotation(30)], seed=0)
        tiny = np.float32(1e-40), np.float64(1e-310)
        class Enough(Exception):
            pass
        kept = []
        def handler(*_):
            kept.append([bool(t * type(t)(1) != 0) and bool(t + t > t) for t in tiny])
            if len(kept) == 10:
                signal.setitimer(signal.ITIMER_REAL, 0)
                raise Enough
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.07, 0.07)
        try:
            {WORK[name]}
        except Enough:
            pass
        handler()
        print(json.dumps(kept))
    """
    kept = json.loads(printed_by(code))
    assert len(kept) >= 11
    assert kept == [[True, True]] * len(kept)
