"""The figures that tests of reliability record."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Protocol

import pytest

from reliability import write_figure


class Record(Protocol):
    """Called as ``record("save, killed at every system call", 48, "0 lost", control="...")``."""

    def __call__(self, what: str, n: int, result: str, control: str = "") -> None: ...


# Tests that passed and failed, by file; of files with figures of their own only the figures count.
passed: Counter[str] = Counter()
failed: Counter[str] = Counter()
recorded: set[str] = set()


def subject(path: Path | str) -> str:
    return Path(path).stem.removeprefix("test_")


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Adds a row to the table: what was done, how often, what came of it, what a seeded fault gave.

    Called once all has passed; an assertion decides, not the table.
    """

    def add(what: str, n: int, result: str, control: str = "") -> None:
        test = subject(request.path)
        recorded.add(test)
        write_figure({"test": test, "what": what, "n": n, "result": result, "control": control})

    return add


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    file = report.nodeid.partition("::")[0]
    if "reliability" in file:
        failed[subject(file)] += report.failed
        passed[subject(file)] += report.passed and report.when == "call"


def pytest_sessionfinish() -> None:
    for test, n in passed.items():
        if n and test not in recorded:
            bad = failed[test]
            result = f"{bad} failed" if bad else "all as promised"
            figure = {"test": test, "what": "cases, controls among them", "n": n, "result": result}
            write_figure(figure | {"control": "in the file"})
