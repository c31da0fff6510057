"""The figures that tests of reliability record."""

from __future__ import annotations

from typing import Protocol

import pytest

from reliability import write_figure


class Record(Protocol):
    """Called as ``record("save, killed at every system call", 48, "0 lost", control="...")``."""

    def __call__(self, what: str, n: int, result: str, control: str = "") -> None: ...


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Adds a row to the table: what was done, how often, what came of it, what a seeded fault gave.

    Called once all has passed; an assertion decides, not the table.
    """

    def add(what: str, n: int, result: str, control: str = "") -> None:
        test = request.path.stem.removeprefix("test_")
        write_figure({"test": test, "what": what, "n": n, "result": result, "control": control})

    return add
