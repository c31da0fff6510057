"""What the groups share: each installed peer, in this process, at the machine's thread count."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import ModuleType

import pytest

from benchmarks import peers
from benchmarks.jobs import ROWS, Row

THREADS = min(2, os.cpu_count() or 1)
_loaded: dict[str, ModuleType] = {}


def loaded(name: str) -> ModuleType:
    """The peer's module, configured once."""
    if name not in _loaded:
        _loaded[name] = peers.load(name)
        _loaded[name].configure(THREADS)
    return _loaded[name]


@pytest.fixture(params=list(peers.PEERS))
def peer(request: pytest.FixtureRequest) -> ModuleType:
    if request.param in peers.installed()[1]:
        pytest.skip(f"{request.param} is not installed")
    return loaded(request.param)


def rows_of(kind: type) -> list[pytest.param]:
    return [
        pytest.param(row, id=row.name)
        for row in ROWS
        if row.kind == "time" and type(row.job) is kind and not row.isa
    ]


@pytest.fixture
def measure(benchmark, peer: ModuleType) -> Callable[[Row, int], None]:
    """Benchmarks a row with the peer in a group of the row's name, and checks its answer."""

    def measure(row: Row, rounds: int, repeats: int = 1) -> None:
        make = peer.JOBS.get(type(row.job))
        if make is None:
            pytest.skip(f"{peer.__name__} has no such job")
        benchmark.group = row.name
        prepared = make(row.job)
        if prepared is None:
            pytest.skip(f"{peer.__name__} cannot do just this")
        run, answer = prepared
        benchmark.pedantic(run, rounds=rounds, iterations=repeats, warmup_rounds=1)
        benchmark.extra_info["check"] = row.job.check(answer())

    return measure
