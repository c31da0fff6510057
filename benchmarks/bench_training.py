"""Epochs and steps of training. pytest-benchmark shows the time of a whole epoch for either."""

from __future__ import annotations

import pytest

from benchmarks.conftest import rows_of
from benchmarks.jobs import Train


@pytest.mark.parametrize("row", rows_of(Train))
def bench_training(row, measure):
    measure(row, rounds=3)
