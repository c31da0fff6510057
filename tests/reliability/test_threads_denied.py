"""Threads that cannot be created: fewer work, with the same bits and one warning, and none dies."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from children import printed_by, run_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and groups of Linux")

# The limits. Each begins when the process has its threads, and leaves room for a few more.
PROCESSES = """
    import resource
    def limit(more):
        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(60000 + os.getpid() % 5000)  # whom no other process belongs to
        threads = len(os.listdir("/proc/self/task"))
        resource.setrlimit(resource.RLIMIT_NPROC, (threads + more,) * 2)
"""
MEMORY = """
    import resource
    def limit(more):
        pages = int(open("/proc/self/statm").read().split()[0])
        stack = 8 << 20
        room = pages * resource.getpagesize() + (4 << 20) + int(more * stack * 5 / 4)
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
"""
GROUP = """
    def limit(more):
        group = os.environ["GROUP"]
        open(group + "/cgroup.procs", "w").write(str(os.getpid()))
        threads = len(os.listdir("/proc/self/task"))
        open(group + "/pids.max", "w").write(str(threads + more))
"""
NONE = """
    def limit(more):
        pass
"""
LIMITS = {"RLIMIT_NPROC": PROCESSES, "RLIMIT_AS": MEMORY, "pids.max": GROUP}

COMPUTE = """
    import json, os, threading, warnings
    import numpy as np
    import fanin
    x = np.linspace(-1, 1, 512 * 512, dtype=np.float32).reshape(512, 512)

    def computed(threads):
        return fanin.layers.dense(x, x, None, activation="relu", n_threads=threads).tobytes()

    alone = computed(1)
    warnings.simplefilter("always")
"""


@pytest.fixture
def group() -> Iterator[str]:
    """A control group of its own that limits processes."""
    for root in [Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")]:
        folder = root / f"fanin-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        if (folder / "pids.max").exists():
            yield str(folder)
            folder.rmdir()
            return
        folder.rmdir()
    pytest.skip("no control group that limits processes can be made here")


def outcome(kind: str, work: str, request: pytest.FixtureRequest, **more: str) -> Any:
    """What a child under a limit printed, as JSON."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"} | more
    if kind == "pids.max":
        environment["GROUP"] = request.getfixturevalue("group")
    needs_root = kind == "RLIMIT_NPROC" and os.getuid() != 0
    if needs_root:
        pytest.skip("the user's other processes count too; root can be a user that has none")
    return json.loads(printed_by(COMPUTE + LIMITS.get(kind, NONE) + work, env=environment))


@pytest.mark.parametrize("megabytes", [8.5, 16.5, 25, 33.5])
def test_a_team_leaves_memory_to_compute_with(
    megabytes: float, request: pytest.FixtureRequest
) -> None:
    """Just above what one, two, ... stacks take."""
    work = f"""
    limit({(megabytes - 4) / 10})
    with warnings.catch_warnings(record=True):
        same = [computed(8) == alone for _ in range(3)]
    print(json.dumps(same))
    """
    assert outcome("RLIMIT_AS", work, request) == [True] * 3


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("more", [0, 1, 3, 7])
def test_a_team_forms_with_the_threads_that_can_be_had(
    kind: str, more: int, request: pytest.FixtureRequest
) -> None:
    work = f"""
    limit({more})
    with warnings.catch_warnings(record=True) as seen:
        same = [computed(8) == alone for _ in range(3)]
    print(json.dumps([same, [[w.category.__name__, str(w.message)] for w in seen]]))
    """
    same, warned = outcome(kind, work, request)
    assert same == [True] * 3
    if kind == "RLIMIT_AS":  # where memory for how many is left depends on the allocator
        assert len(warned) <= 1
        return
    told = f"threads: expected 8, the system gives {more + 1} "
    assert [[name, text[: len(told)]] for name, text in warned] == (
        [["RuntimeWarning", told]] if more < 7 else []
    )


@pytest.mark.parametrize("size", ["100G", "100000G"])
def test_stacks_beyond_memory(size: str, request: pytest.FixtureRequest) -> None:
    work = """
    with warnings.catch_warnings(record=True) as seen:
        same = [computed(8) == alone for _ in range(3)]
    print(json.dumps([same, len(seen)]))
    """
    same, warned = outcome("", work, request, OMP_STACKSIZE=size)
    assert same == [True] * 3
    assert warned == 1 or size == "100G"  # which a large machine has


def test_a_fit_goes_on_where_the_warning_is_none(request: pytest.FixtureRequest) -> None:
    work = """
    y = np.arange(512) % 10
    def fitted(threads):
        fanin.set_num_threads(threads)
        net = fanin.MLP([512, 256, 10], seed=0)
        net.fit(x, y, epochs=2, progress=False)
        return net.get_parameters().tobytes()
    expected = fitted(1)
    limit(0)
    with warnings.catch_warnings(record=True) as seen:
        same = fitted(8) == expected
    print(json.dumps([same, len(seen)]))
    """
    assert outcome("RLIMIT_NPROC", work, request) == [True, 1]


def test_a_warning_that_is_an_error_ends_the_call_and_changes_nothing(
    request: pytest.FixtureRequest,
) -> None:
    work = """
    params = {"a": np.ones(10, np.float32), "b": np.ones(10**6, np.float32)}
    adam = fanin.optim.Adam()
    limit(0)
    warnings.simplefilter("error")
    try:
        adam.step(params, {k: np.ones_like(p) for k, p in params.items()}, n_threads=8)
    except RuntimeWarning:
        print(json.dumps([float(p.sum()) for p in params.values()]))
    """
    assert outcome("RLIMIT_NPROC", work, request) == [10, 10**6]


@pytest.mark.parametrize("kind", ["RLIMIT_NPROC", "pids.max"])
def test_each_python_thread_has_its_own_workers(kind: str, request: pytest.FixtureRequest) -> None:
    """OpenMP keeps workers for each thread that calls, as many as its last team had."""
    work = """
    go, done = threading.Event(), []
    def other():
        go.wait()
        done.append(computed(3) == alone)
    thread = threading.Thread(target=other)
    thread.start()
    same = [computed(3) == alone]
    limit(0)
    with warnings.catch_warnings(record=True) as seen:
        same.append(computed(3) == alone)
        mine = len(seen)  # its workers are there
        go.set()
        thread.join()
        others = len(seen)  # the other thread's are not
    print(json.dumps([same + done, mine, others]))
    """
    assert outcome(kind, work, request) == [[True] * 3, 0, 1]


@pytest.mark.parametrize("kind", ["RLIMIT_NPROC", "pids.max"])
def test_workers_that_were_let_go_are_not_counted_on(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """A smaller team lets workers go, whose room somebody else may take."""
    work = """
    same = [computed(8) == alone, computed(2) == alone]
    tasks = lambda: len(os.listdir("/proc/self/task"))
    while tasks() > 2:
        pass
    limit(0)
    with warnings.catch_warnings(record=True) as seen:
        same.append(computed(8) == alone)
    print(json.dumps([same, len(seen), str(seen[0].message).split(" (")[0]]))
    """
    same, n, text = outcome(kind, work, request)
    assert same == [True] * 3
    assert (n, text) == (1, "threads: expected 8, the system gives 2")


@pytest.mark.parametrize("kind", ["RLIMIT_NPROC", "pids.max"])
@pytest.mark.parametrize("more", [0, 1])
def test_members_are_trained_by_the_threads_that_can_be_had(
    kind: str, more: int, request: pytest.FixtureRequest
) -> None:
    work = f"""
    from fanin.executors import Threads
    limit({more})
    with warnings.catch_warnings(record=True) as seen, Threads(3) as pool:
        squares = list(pool.map(lambda n: n * n, range(20)))
    print(json.dumps([squares, [str(w.message).split(" (")[0] for w in seen]]))
    """
    squares, warned = outcome(kind, work, request)
    assert squares == [n * n for n in range(20)]
    assert warned == [f"threads: expected 3, the system gives {more}"]


# Negative control: the limits are such that OpenMP itself does end the process.


@pytest.mark.parametrize("kind", [*LIMITS, "OMP_STACKSIZE"])
def test_openmp_alone_ends_the_process(kind: str, request: pytest.FixtureRequest) -> None:
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        pytest.skip("needs libgomp.so.1")
    work = """
    import ctypes, os
    region = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(lambda data: None)
    limit(0)
    ctypes.CDLL("libgomp.so.1").GOMP_parallel(region, None, 8, 0)
    print("ended well")
    """
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    if kind == "OMP_STACKSIZE":
        environment["OMP_STACKSIZE"] = "100000G"
    elif kind == "pids.max":
        environment["GROUP"] = request.getfixturevalue("group")
    elif kind == "RLIMIT_NPROC" and os.getuid() != 0:
        pytest.skip("root can be a user that has no processes")
    code = "    import os\n" + LIMITS.get(kind, NONE) + work
    done = run_python(code, env=environment)
    assert done.returncode == 1
    assert "Thread creation failed" in done.stderr
