"""The lecture's experiment, six cases in one time."""

from __future__ import annotations

import pytest

from benchmarks.conftest import rows_of
from benchmarks.jobs import Experiment


@pytest.mark.parametrize("row", rows_of(Experiment))
def bench_diagnostics(row, measure):
    measure(row, rounds=1)
