"""Each system call of each writer fails, or is its last: the old or the new is there."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import faults
import pytest
from faults import Outcome
from fuzz_loaders import LOADERS, Loader
from writers import CONTROL, LOST, NEW, OLD, WRITERS, Writer, found, strays

import fanin
from reliability import tier

pytestmark = pytest.mark.skipif(bool(faults.why_not()), reason=faults.why_not())

QUICK = ("a network", "a search's log")  # in tier 1
ARCHIVES = (
    "network",
    "optimizer",
    "ensemble",
    "npz",
    "cifar",
    "checkpoint",
    "member",
    "best",
    "trial",
)
WRITTEN = ("csv-log", "search-log")  # to which the loaders append
KINDS, STEP = (faults.KINDS, 1) if tier() > 1 else (("KILL", "ENOSPC", "FULL"), 8)


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # or pictures take most of the time


def places(writer: Writer, tmp_path: Path) -> tuple[Path, Path, Any, Any]:
    """A folder with what is old, one to work in, and what is read of the old and of the new."""
    before, folder, after = (tmp_path / name for name in ("before", "work", "after"))
    before.mkdir()
    writer.write(before, False)
    shutil.copytree(before, after)
    writer.write(after, True)
    return before, folder, writer.read(before), writer.read(after)


def losses(writer: Writer, tmp_path: Path) -> tuple[Counter[str], list[str]]:
    """What was found after each fault, and what should not have been."""
    before, folder, old, new = places(writer, tmp_path)

    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(before, folder)

    seen: Counter[str] = Counter()
    wrong = []
    for fault, outcome in faults.sweep(partial(writer.write, folder, True), prepare, STEP, KINDS):
        here = found(writer, folder, old, new)
        seen[here] += 1
        wrong += [f"{fault}: {text}" for text in complaints(outcome, here, folder)]
        if here != LOST and not writer.appends:
            writer.write(folder, True)
            if (later := found(writer, folder, old, new)) != NEW:
                wrong.append(f"{fault}: the next one leaves {later}")
            if left := strays(folder):
                wrong.append(f"{fault}: the next one leaves {left}")
    return seen, wrong


def complaints(outcome: Outcome, here: str, folder: Path) -> list[str]:
    result = ["lost"] if here == LOST else []
    if outcome.killed:
        return result
    if left := strays(folder):
        result.append(f"leaves {left}")
    error = outcome.error
    if error is None and here != NEW:
        result.append(f"says nothing, and {here} is there")
    if error is not None and not isinstance(error, OSError):
        result.append(f"raises {error!r}")
    if error is not None and str(folder) not in str(error):
        result.append(f"raises {error!r}, which names no file of {folder.name}")
    return result


@pytest.mark.parametrize("name", WRITERS)
def test_nothing_is_lost(name: str, tmp_path: Path, record: Any) -> None:
    if tier() < 2 and name not in QUICK:
        pytest.skip("python -m tests.reliability --tier 2")
    seen, wrong = losses(WRITERS[name], tmp_path)
    assert not wrong, "\n".join(wrong)
    assert seen[OLD]
    assert seen[NEW]
    record(
        f"{name}, killed and failing at each open, write, fsync, rename, close",
        sum(seen.values()),
        f"{seen[LOST]} lost, every error names its file",
        "a plain open and write loses the file",
    )


def test_a_plain_write_is_found_out(tmp_path: Path) -> None:
    seen, wrong = losses(CONTROL, tmp_path)
    assert seen[LOST] > 1
    assert any("lost" in text for text in wrong)


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader.name)
def test_a_file_that_cannot_be_read_is_named(loader: Loader, tmp_path: Path, record: Any) -> None:
    if loader.name == "image":
        pytest.importorskip("PIL")
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / loader.file
    path.write_bytes(loader.seeds(tmp_path)[0])
    loader.load(path)  # imports
    calls, n = ("openat", "read", "close"), 0
    work = partial(loader.load, path)
    for fault, outcome in faults.sweep(work, lambda: None, 1, ("EIO",), calls, path):
        n += 1
        if fault.call == "close" and loader.name not in WRITTEN:  # of what was read well
            assert outcome.error is None, fault
        elif outcome.error is not None:
            # zipfile and tarfile take what cannot be read for no archive.
            errors = (OSError, fanin.FileError) if loader.name in ARCHIVES else OSError
            assert isinstance(outcome.error, errors), (fault, outcome)
            assert str(path) in str(outcome.error), (fault, outcome)
        else:
            assert loader.name == "config" or fault.call == "close", fault
    assert n >= 3
    record(f"{loader.name}, each open, read and close fails", n, "an error with the path")
