"""One seed, one network: the SHA-256 of its weights wherever and however it is trained."""

from __future__ import annotations

import itertools
import json
import os
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from children import printed_by, run

from reliability import count

# In one process each thread count, since the team can change in between.
CHILD = """
    import hashlib, json, sys
    import numpy as np
    import fanin
    from fanin import augment

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (512, 12, 12, 3), dtype=np.uint8)
    X = rng.standard_normal((700, 40), dtype=np.float32)
    y = rng.integers(0, 5, 700)

    def table(threads, seed=3):
        net = fanin.MLP([40, 64, 33, 5], keep=0.8, drop_connect=0.9, norm="batch", seed=seed)
        options = {"epochs": 3, "batch_size": 48, "reg": 1e-3, "clip_norm": 1.0}
        net.fit(X, y, n_threads=threads, progress=False, optimizer="adamw", **options)
        return net

    def pictures(threads, seed=3):
        net = fanin.MLP([12 * 12 * 3, 50, 5], activation="gelu", seed=seed)
        steps = [augment.RandomCrop(12, padding=2), augment.HorizontalFlip(), augment.Cutout(4)]
        net.fit(images, y[:512], n_threads=threads, progress=False, epochs=2, optimizer="momentum",
                augment=augment.Compose(steps, seed=1), mix=augment.Mixup(0.2))
        return net

    def digest(net):
        return hashlib.sha256(net.get_parameters()).hexdigest()

    found = {f"{f.__name__}, {n} threads": digest(f(n)) for f in (table, pictures)
             for n in (1, 2, 3, 4)}
    print(json.dumps([found, digest(table(1, seed=4))]))
"""

ENVIRONMENTS = {
    "OMP_DYNAMIC": ("false", "true"),
    "OMP_SCHEDULE": ("static", "dynamic,1", "guided"),
    "OMP_NUM_THREADS": ("1", "3"),
    "PYTHONHASHSEED": ("0", "12345"),
    "OMP_WAIT_POLICY": ("passive", "active"),
}


def places() -> list[dict[str, str]]:
    """All combinations; in tier 1 the first and the last."""
    every = [
        dict(zip(ENVIRONMENTS, values, strict=True))
        for values in itertools.product(*ENVIRONMENTS.values())
    ]
    return every if count(1, 2) == 2 else [every[0], every[-1]]


def test_the_weights_are_the_same(record: Any) -> None:
    digests: dict[str, set[str]] = {}
    n, others = 0, set()
    for place in places():
        found, other = json.loads(printed_by(CHILD, env={**os.environ, **place}))
        n += len(found)
        others.add(other)
        for name, digest in found.items():
            digests.setdefault(name.split(",")[0], set()).add(digest)
    assert {name: len(values) for name, values in digests.items()} == {"table": 1, "pictures": 1}
    assert not others & digests["table"], "another seed has the same weights"
    record(
        "threads 1 to 4, OMP_DYNAMIC, OMP_SCHEDULE, OMP_NUM_THREADS, hash seed, new processes",
        n,
        "the same SHA-256 of all weights",
        "another seed: another",
    )


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_process_of_a_pool_has_the_same_bits(method: str, tmp_path: Path) -> None:
    code = """
        import multiprocessing as mp, sys, warnings
        import numpy as np
        import fanin

        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads

        def train(_):
            X = np.random.default_rng(0).standard_normal((300, 20), dtype=np.float32)
            net = fanin.MLP([20, 30, 2], keep=0.9, seed=1)
            net.fit(X, np.arange(300) % 2, epochs=2, n_threads=2, progress=False)
            return net.get_parameters().tobytes()

        if __name__ == "__main__":
            expected = train(0)
            with mp.get_context(sys.argv[1]).Pool(2) as pool:
                print(all(bits == expected for bits in pool.map(train, range(4))))
    """
    script = tmp_path / "pool.py"  # which spawned processes import
    script.write_text(textwrap.dedent(code))
    done = run([sys.executable, script, method])
    assert done.stdout.strip() == "True", done.stderr
