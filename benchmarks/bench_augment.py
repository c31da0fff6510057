"""Augmentation: crops, resizing, colours, warps, mixing."""

from __future__ import annotations

import pytest

from benchmarks.conftest import rows_of
from benchmarks.jobs import Crop, Mix, ResizedCrop, Warp


@pytest.mark.parametrize(
    "row", [*rows_of(Crop), *rows_of(ResizedCrop), *rows_of(Warp), *rows_of(Mix)]
)
def bench_augment(row, measure):
    measure(row, rounds=5)
