"""A step of Adam."""

from __future__ import annotations

import pytest

from benchmarks.conftest import rows_of
from benchmarks.jobs import AdamStep


@pytest.mark.parametrize("row", rows_of(AdamStep))
def bench_optimizer(row, measure):
    measure(row, rounds=20, repeats=max(1, 1_000_000 // row.job.size))
