"""OpenMP's variables, sensible and absurd: the process lives, and its results are the same."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest
from children import printed_by

COMPUTE = """
    import hashlib, json, warnings
    import numpy as np
    import fanin
    from fanin import _core
    x = np.linspace(-1, 1, 256 * 256, dtype=np.float32).reshape(256, 256)
    net = fanin.MLP([256, 128, 10], seed=0)
    net.fit(x, np.arange(256) % 10, epochs=2, progress=False)
    y = fanin.layers.dense(x, x, None, activation="relu", n_threads=4)
    digest = hashlib.sha256(net.get_parameters().tobytes() + y.tobytes()).hexdigest()
    print(json.dumps([digest, fanin.get_num_threads(), _core.cpu_limits()["affinity"]]))
"""


def outcome(**variables: str) -> Any:
    names = ("OMP_", "GOMP_", "KMP_", "FANIN_NUM_THREADS")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(names)}
    return json.loads(printed_by(COMPUTE, env=inherited | variables))


@pytest.fixture(scope="module")
def expected() -> Any:
    return outcome()


@pytest.mark.parametrize(
    ("text", "threads"),
    [("1", 1), ("2,2", 2), ("0", 0), ("-3", 0), ("garbage", 0), ("99999999", 0), ("9" * 40, 0)],
)
def test_numbers_of_threads(text: str, threads: int, expected: Any) -> None:
    digest, n, cpus = outcome(OMP_NUM_THREADS=text)
    most = expected[1]
    assert (digest, n, cpus) == (expected[0], min(threads or most, most), expected[2])


@pytest.mark.parametrize("value", ["true", "close", "spread", "master", "false", "nonsense"])
def test_bound_threads_count_all_cpus(value: str, expected: Any) -> None:
    """OpenMP binds the importing thread to one CPU; the process has as many as before."""
    assert outcome(OMP_PROC_BIND=value) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="a mask of Linux")
def test_bound_threads_count_no_cpu_beyond_the_mask() -> None:
    first = str(min(os.sched_getaffinity(0)))
    assert outcome(OMP_PROC_BIND="true", OMP_PLACES=f"{{{first}}}")[1:] == [1, 1]


@pytest.mark.parametrize(
    "variables",
    [
        {"OMP_DYNAMIC": "true"},
        {"OMP_DYNAMIC": "true", "OMP_NUM_THREADS": "2"},
        {"OMP_THREAD_LIMIT": "1"},
        {"OMP_THREAD_LIMIT": "2"},
        {"OMP_THREAD_LIMIT": "0"},
        {"OMP_MAX_ACTIVE_LEVELS": "0"},
        {"OMP_MAX_ACTIVE_LEVELS": "9"},
        {"OMP_NESTED": "true"},
        {"OMP_WAIT_POLICY": "active"},
        {"OMP_SCHEDULE": "dynamic,1"},
        {"OMP_CANCELLATION": "true"},
        {"OMP_STACKSIZE": "0"},
        {"OMP_STACKSIZE": "1B"},
        {"OMP_STACKSIZE": "-1"},
        {"OMP_STACKSIZE": "many"},
        {"OMP_STACKSIZE": " 512 k "},
        {"OMP_STACKSIZE": "99999999999999999999"},
        {"OMP_STACKSIZE": "99999999999G"},
    ],
    ids=lambda v: " ".join(f"{name}={text}" for name, text in v.items()),
)
def test_other_variables(variables: dict[str, str], expected: Any) -> None:
    assert outcome(**variables)[0] == expected[0]


@pytest.mark.skipif(sys.platform != "linux", reason="calls GCC's runtime")
@pytest.mark.parametrize("levels", ["1", "4"])
def test_calls_from_a_region_of_other_code(levels: str) -> None:
    code = """
    import ctypes, threading
    import numpy as np
    import fanin
    from fanin import _core
    try:
        runtime = ctypes.CDLL("libgomp.so.1")
    except OSError:
        raise SystemExit(print("True 0"))
    x = np.linspace(-1, 1, 256 * 256, dtype=np.float32).reshape(256, 256)
    def computed():
        return fanin.layers.dense(x, x, None, activation="relu", n_threads=4).tobytes()
    expected, seen = computed(), []
    region = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda data: seen.append(computed()))
    call = runtime.GOMP_parallel
    for _ in range(3):
        call(region, None, 3, 0)
        seen.append(computed())
    print(set(seen) == {expected}, len(seen))
    """
    environment = os.environ | {"OMP_MAX_ACTIVE_LEVELS": levels}
    same, n = printed_by(code, env=environment).split()
    assert same == "True"
    assert n in {"0", "12"}
