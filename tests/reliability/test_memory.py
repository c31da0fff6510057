"""No memory: MemoryError, whichever allocation fails, and the next call works."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from children import printed_by, run, run_python

from reliability import count

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD, RLIMIT_AS")

SHIM = Path(__file__).parents[1] / "support" / "failing_new.cpp"

# Calls into compiled code, each with what it must give; what they need is made before.
SWEEP = """
    import ctypes, hashlib, json, sys
    import numpy as np
    import fanin
    from fanin import augment, preprocessing

    shim = ctypes.CDLL(sys.argv[1])
    shim.fail_allocation.argtypes = ctypes.c_long, ctypes.c_bool
    shim.end_of_failures.restype = ctypes.c_long
    fanin.set_num_threads(2)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 20), dtype=np.float32)
    y = rng.integers(0, 4, 300)
    images = rng.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)

    def fit():
        net = fanin.MLP([20, 16, 4], keep=0.9, norm="batch", seed=1)
        net.fit(X, y, epochs=2, batch_size=32, n_threads=2, progress=False)
        return net.get_parameters()

    trained = fanin.MLP([20, 16, 4], seed=1)
    steps = [augment.RandomCrop(12), augment.RandomAffine(20), augment.ColorJitter(0.2)]
    CALLS = {
        "fit": fit,
        "scores": lambda: trained.scores(X),
        "evaluate": lambda: np.array(trained.evaluate(X, y)["loss"]),
        "dense": lambda: fanin.layers.dense(X, X[:20, :8].copy(), keep=0.5, rng=0),
        "augment": lambda: augment.Compose(steps, seed=0)(images),
        "pca": lambda: preprocessing.PCA().fit(X).transform(X),
        "adam": lambda: step(fanin.optim.Adam()),
        "draws": lambda: fanin.random.Generator(3).standard_normal((50, 50)),
    }

    def step(optimizer):
        weights = {"W": X[:20].copy()}
        optimizer.step(weights, {"W": X[20:40].copy()})
        return weights["W"]

    def digest(array):
        return hashlib.sha256(np.ascontiguousarray(array)).hexdigest()

    stride, found = int(sys.argv[2]), {}
    for name, call in CALLS.items():
        expected, tally = digest(call()), {"MemoryError": 0, "fine": 0, "wrong": 0}
        for persistently in (False, True):
            n = 0
            while True:
                error = None
                shim.fail_allocation(n, persistently)
                try:
                    result = call()
                except MemoryError:
                    error = "MemoryError"
                except BaseException as other:
                    error = repr(other)
                failed = shim.end_of_failures()
                if error is None:
                    error = "fine" if digest(result) == expected else "other bits"
                if not failed:
                    break
                if digest(call()) != expected:
                    error = "other bits in the next call"
                tally[error if error in tally else "wrong"] += 1
                if error not in tally:
                    tally.setdefault("which", []).append(f"{n}: {error}")
                n += stride
        found[name] = tally
    print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        pytest.skip("no C++ compiler")
    library = tmp_path_factory.mktemp("shim") / "failing_new.so"
    done = run([compiler, "-O1", "-shared", "-fPIC", "-std=c++20", SHIM, "-o", library])
    assert done.returncode == 0, done.stderr
    return library


def test_any_allocation_may_fail(shim: Path, record: Any) -> None:
    environment = {**os.environ, "LD_PRELOAD": str(shim)}
    printed = printed_by(SWEEP, str(shim), str(count(5, 1)), env=environment)
    found = json.loads(printed.splitlines()[-1])
    assert not any(tally["wrong"] for tally in found.values()), found
    failed = {name: tally["MemoryError"] + tally["fine"] for name, tally in found.items()}
    assert found["fit"]["MemoryError"] > 0, found
    errors = sum(tally["MemoryError"] for tally in found.values())
    result = f"{errors} MemoryErrors, the others did without; same bits in the next call"
    record("the n-th allocation of 8 calls fails", sum(failed.values()), result, "seen to fail")


LIMITED = """
    import resource, sys
    import numpy as np
    import fanin

    fanin.set_num_threads(2)
    X = np.zeros((64, 1000), np.float32)
    net = fanin.MLP([1000, 50, 2], seed=0)
    expected = net.scores(X)
    big = np.zeros((50_000, 1000), np.float32)
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (64 << 20), resource.RLIM_INFINITY))
    errors = 0
    for call in (
        lambda: fanin.MLP([1000, 300_000, 2]),
        lambda: fanin.MLP([2**24, 1000, 2]),
        lambda: fanin.random.Generator(0).random((1 << 30,)),
        lambda: fanin.preprocessing.ZeroCenter().fit(big).transform(big),
        lambda: fanin.layers.dense(big, np.ones((1000, 500), np.float32)),
        lambda: fanin.layers.dropout_forward(big, keep=0.5, rng=0),
    ):
        try:
            call()
        except MemoryError:
            errors += 1
        assert np.array_equal(net.scores(X), expected)
    print(errors)
"""


def test_a_limit_of_memory(record: Any) -> None:
    errors = int(printed_by(LIMITED))
    assert errors == 6
    record("1 GB and more, 64 MB to be had", errors, "MemoryError, and the next call is right")


def test_an_error_that_nothing_catches_is_found_out(shim: Path) -> None:
    code = f"""
        import ctypes
        shim = ctypes.CDLL({str(shim)!r})
        shim.fail_allocation(ctypes.c_long(0), False)
        shim.careless()
    """
    assert run_python(code, env={**os.environ, "LD_PRELOAD": str(shim)}).returncode != 0
