"""Prediction of one row."""

from __future__ import annotations

import pytest

from benchmarks.conftest import rows_of
from benchmarks.jobs import Predict


@pytest.mark.parametrize("row", rows_of(Predict))
def bench_predict(row, measure):
    measure(row, rounds=50, repeats=1000)
