"""Threads that help are kept off the caller's CPU; what else their masks say holds."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pytest
from children import printed_by

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="affinity masks of Linux"),
    pytest.mark.skipif(
        sys.platform == "linux" and len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs"
    ),
]

SETUP = """
    import json, os
    import numpy as np
    import fanin

    cpus = json.loads(os.environ["CPUS"])
    me = os.getpid()
    tasks = lambda: {int(task) for task in os.listdir("/proc/self/task")}
    before = tasks()
    x = np.ones((512, 512), np.float32)

    def call(cpu, threads=2):
        os.sched_setaffinity(me, {cpu})  # where the caller runs
        fanin.layers.dense(x, x, None, n_threads=threads)
        os.sched_setaffinity(me, cpus)

    def mask():
        return sorted(os.sched_getaffinity(helper))

    os.sched_setaffinity(me, cpus)
    fanin.layers.dense(x, x, None, n_threads=2)
    (helper,) = tasks() - before
    first, second = cpus
"""


def outcome(work: str, **environment: str) -> Any:
    given = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    given["CPUS"] = json.dumps(sorted(os.sched_getaffinity(0))[:2])
    return json.loads(printed_by(SETUP + work, env=given | environment))


def test_the_helper_leaves_the_callers_cpu() -> None:
    work = """
    seen = []
    for cpu in [first, second, second, first]:
        call(cpu)
        seen.append(cpus.index(mask()[0]) if len(mask()) == 1 else mask())
    print(json.dumps(seen))
    """
    assert outcome(work) == [1, 0, 0, 1]


def test_the_users_mask_of_a_helper_holds() -> None:
    """Set meanwhile to the caller's CPU alone, it stays there."""
    work = """
    call(first)
    os.sched_setaffinity(helper, {first})
    call(second)
    seen = [mask() == [first]]
    call(first)
    seen.append(mask() == [first])
    print(json.dumps(seen))
    """
    assert outcome(work) == [True, True]


def test_more_threads_than_cpus_go_where_they_like() -> None:
    work = """
    call(first)
    call(second, threads=3)
    print(json.dumps(mask() == cpus))
    """
    assert outcome(work)


def test_openmp_places_them_where_it_was_told_to() -> None:
    """Negative control too: without the placing, a mask does not follow the caller."""
    work = """
    seen = set()
    for cpu in [first, second]:
        call(cpu)
        seen.add(tuple(mask()))
    print(json.dumps(len(seen)))
    """
    assert outcome(work, OMP_PROC_BIND="spread", OMP_PLACES="threads") == 1
    assert outcome(work) == 2
