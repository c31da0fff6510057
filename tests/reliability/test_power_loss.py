"""The power fails during a write, or after it: what may be on the disk is the old or the new."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from power_loss import Contents, Disk, different, lay
from writers import CONTROL, LOST, NEW, WRITERS, Writer, found

from reliability import tier

QUICK = ("a network", "a search's log", "a guide's state")  # in tier 1
UNSYNCED = ("a CSV log",)  # for people, and not worth a sync at each epoch: its end may be missing


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)


def outcomes(
    writer: Writer, tmp_path: Path, first: bool, ignore: tuple[str, ...] = ()
) -> tuple[Counter[str], Counter[str]]:
    """What is found in each state that is possible during a write, and after it."""
    folder, after = tmp_path / "work", tmp_path / "after"
    folder.mkdir(parents=True)
    old = None
    if not first:
        writer.write(folder, False)
        old = writer.read(folder)
    shutil.copytree(folder, after)
    writer.write(after, True)
    new = writer.read(after)
    disk = Disk(folder)
    end = disk.watch(partial(writer.write, folder, True), ignore)

    def judge(states: list[list[Contents]]) -> Counter[str]:
        seen: Counter[str] = Counter()
        for state in different(states):
            seen[found(writer, lay(state, tmp_path / "state"), old, new)] += 1
            shutil.rmtree(tmp_path / "state")
        return seen

    return judge(disk.states), judge([end])


@pytest.mark.parametrize("first", [False, True], ids=["over another", "the first one"])
@pytest.mark.parametrize("name", WRITERS)
def test_the_old_or_the_new_is_there(name: str, first: bool, tmp_path: Path, record: Any) -> None:
    if tier() < 2 and name not in QUICK:
        pytest.skip("python -m tests.reliability --tier 2")
    during, end = outcomes(WRITERS[name], tmp_path, first)
    assert not during[LOST], during
    assert name in UNSYNCED or set(end) == {NEW}, f"after it: {end}"
    unsynced, _ = outcomes(WRITERS[name], tmp_path / "control", first, ignore=("fsync",))
    record(
        f"{name}, {'the first one' if first else 'over another'}, the power fails",
        sum(during.values()) + sum(end.values()),
        "0 lost" + (", the new one once it is written" if name not in UNSYNCED else ""),
        f"without fsync: {unsynced[LOST]} lost",
    )


def test_a_plain_write_is_found_out(tmp_path: Path) -> None:
    during, end = outcomes(CONTROL, tmp_path, first=False)
    assert during[LOST]
    assert set(end) != {NEW}


@pytest.mark.parametrize("name", ["a network", "a guide's state"])
def test_a_missing_sync_is_found_out(name: str, tmp_path: Path) -> None:
    during, end = outcomes(WRITERS[name], tmp_path, first=False, ignore=("fsync",))
    assert during[LOST]
    assert set(end) != {NEW}
