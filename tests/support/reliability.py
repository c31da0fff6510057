"""How much the tests of reliability do, and where their figures go."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

TIER = "FANIN_RELIABILITY_TIER"  # 1: with every run of the suite, within seconds; 2: all of it
FIGURES = "FANIN_RELIABILITY_FIGURES"  # a file that gets a line of JSON for each figure


def tier() -> int:
    return int(os.environ.get(TIER, "1"))


def count(fast: int, full: int) -> int:
    """How often: `fast` in tier 1, `full` in tier 2."""
    return full if tier() > 1 else fast


tier_2 = pytest.mark.skipif(tier() < 2, reason="python -m tests.reliability --tier 2")


def write_figure(figure: dict[str, Any]) -> None:
    """Adds a figure for the table of `python -m tests.reliability`, where that is what runs."""
    if path := os.environ.get(FIGURES):
        with Path(path).open("a") as file:
            file.write(json.dumps(figure) + "\n")
