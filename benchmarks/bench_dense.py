"""A dense layer's forward and backward pass as called from Python."""

from __future__ import annotations

import pytest

from benchmarks.conftest import rows_of
from benchmarks.jobs import Backward, Dense


@pytest.mark.parametrize("row", [*rows_of(Dense), *rows_of(Backward)])
def bench_dense(row, measure):
    measure(row, rounds=20, repeats=max(1, round(1e8 / max(row.job.flops, 1e4))))
