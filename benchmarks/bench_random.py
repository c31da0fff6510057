"""Random numbers and dropout. pytest-benchmark shows the time of the whole array."""

from __future__ import annotations

import pytest

from benchmarks.conftest import rows_of
from benchmarks.jobs import Draw, Dropout


@pytest.mark.parametrize("row", [*rows_of(Draw), *rows_of(Dropout)])
def bench_random(row, measure):
    measure(row, rounds=20, repeats=5)
