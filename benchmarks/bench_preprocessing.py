"""PCA-whitening of 50,000 x 3,072, whole and in its parts."""

from __future__ import annotations

import pytest

from benchmarks.conftest import rows_of
from benchmarks.jobs import Covariance, Projection, Whitening


@pytest.mark.parametrize("row", [*rows_of(Covariance), *rows_of(Projection), *rows_of(Whitening)])
def bench_preprocessing(row, measure):
    measure(row, rounds=1)
