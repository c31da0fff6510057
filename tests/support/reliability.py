"""How much the tests of reliability do, and where their figures go."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
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


# The table of figures

HEAD = ["| test | what | n | result | negative control |", "|---|---|---:|---|---|"]
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def rows_of(figures: Iterable[dict[str, Any]]) -> dict[str, str]:
    """The table's lines, by test and what was done."""
    rows = {}
    for figure in figures:
        n = f"{figure['n']:,}"
        values = [figure["test"], figure["what"], n, figure["result"], figure["control"]]
        cells = [str(value).replace("|", "\\|") for value in values]
        rows[" | ".join(cells[:2])] = f"| {' | '.join(cells)} |"
    return rows


def renew(document: Path, rows: dict[str, str], others: bool = False) -> None:
    """Puts the rows into the document's table; those of tests that did not run now stay.

    With `others` the other rows of the same tests stay too.
    """
    text = document.read_text()
    head, _, rest = text.partition(BEGIN)
    table, _, tail = rest.partition(END)
    old = [line for line in table.strip().splitlines() if line not in HEAD]
    depth = 2 if others else 1
    renewed = [line.split(" | ")[:depth] for line in rows.values()]
    kept = {line: line for line in old if line.split(" | ")[:depth] not in renewed}
    lines = sorted({**kept, **rows}.values())
    document.write_text("\n".join([head + BEGIN, *HEAD, *lines, END]) + tail)
