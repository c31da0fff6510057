"""The log of a search: a line that identifies it, then one line for each trial.

The lines are in the order in which trials end; a complete search sorts them by trial. There are no
times: the same search leaves the same bytes, wherever it ran and however often it was interrupted.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from fanin._files import atomic_write
from fanin._typing import PathLike
from fanin.tuning.search.objective import TrialResult
from fanin.tuning.space import plain

FORMAT = 1
SYNC_SECONDS = 0.05
EXTRA = ("epoch", "curves", "metrics", "error")  # in a line only where there is something

Key = tuple[int, int]  # rung, trial


def to_line(result: TrialResult, rung: int, params: Mapping[str, Any]) -> dict[str, Any]:
    """The line of a trial's result."""
    line: dict[str, Any] = {"trial": result.trial} | ({"rung": rung} if rung else {})
    line |= {"params": plain(params), "status": result.status, "score": plain(result.score)}
    extra = {name: plain(getattr(result, name)) for name in EXTRA}
    return line | {name: value for name, value in extra.items() if value not in (None, {})}


def from_line(line: Mapping[str, Any]) -> TrialResult:
    """The result of a line, without its network."""
    trial, status, score = int(line["trial"]), str(line["status"]), float(line["score"])
    curves = {str(k): [float(v) for v in values] for k, values in line.get("curves", {}).items()}
    metrics, error = dict(line.get("metrics", {})), line.get("error")
    return TrialResult(trial, status, score, line.get("epoch"), curves, metrics, error)


class TrialLog:
    """The file of a search; without a path, nothing."""

    def __init__(self, path: PathLike | None, header: Mapping[str, Any]) -> None:
        self.path = None if path is None else Path(path)
        self.header = {"fanin": "search", "format": FORMAT, **plain(header)}
        self._file: BinaryIO | None = None
        self._lines: list[tuple[Key, bytes]] = []
        self._synced = 0.0
        self._dirty = False

    def open(self, resume: bool) -> dict[Key, dict[str, Any]]:
        """Locks the file and reads the lines that are there."""
        if self.path is None:
            return {}
        self._file = self.path.open("a+b")
        try:
            _lock(self._file, self.path)
            self._file.seek(0)
            text = self._file.read()
            if text and not resume:
                raise ValueError(
                    f"log: {self.path} holds a search already; resume=True goes on with it, "
                    "another path begins anew"
                )
            return self._read(text)
        except BaseException:
            self._file.close()
            raise

    def _read(self, text: bytes) -> dict[Key, dict[str, Any]]:
        assert self._file is not None
        whole, _, torn = text.rpartition(b"\n")
        lines = whole.split(b"\n") if whole else []
        if torn:  # the last write of a process that was killed
            self._file.truncate(len(text) - len(torn))
        if not lines:
            self._file.write(_json(self.header))
            self.sync()
            return {}
        header = self._parsed(1, lines[0])
        if header.get("fanin") != "search":
            raise ValueError(f"log: expected the log of a search, got another file: {self.path}")
        if differences := "; ".join(_differences(header, self.header)):
            raise ValueError(f"log: {self.path} was written by another search: {differences}")
        found: dict[Key, dict[str, Any]] = {}
        for number, line in enumerate(lines[1:], 2):
            parsed, where = self._parsed(number, line), f"log: {self.path}, line {number}"
            try:
                from_line(parsed)
                key = int(parsed.get("rung", 0)), int(parsed["trial"])
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise ValueError(f"{where}: expected a trial ({error!r})") from None
            found.setdefault(key, parsed)
            self._lines.append((key, line + b"\n"))
        return found

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            parsed = json.loads(line)
        except ValueError as error:
            raise ValueError(f"log: {self.path}, line {number}: {error}") from None
        if not isinstance(parsed, dict):
            raise ValueError(f"log: {self.path}, line {number}: expected a JSON object")
        return parsed

    def append(self, key: Key, line: Mapping[str, Any]) -> None:
        """Hands a line to the system; `sync` brings it to the disk."""
        if self._file is not None:
            self._lines.append((key, _json(line)))
            self._file.write(self._lines[-1][1])
            self._dirty = True

    def tick(self) -> None:
        """Syncs where there is something to, and the last time is 50 ms ago."""
        if self._file is not None and self._dirty:
            self._file.flush()
            if time.monotonic() - self._synced > SYNC_SECONDS:
                self.sync()

    def sync(self) -> None:
        """Flushes everything appended to the disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._synced, self._dirty = time.monotonic(), False

    def close(self, complete: bool) -> None:
        """Syncs; of a complete search, puts the lines in order."""
        if self._file is None or self.path is None:
            return
        try:
            self.sync()
            ordered = sorted(dict(reversed(self._lines)).items())  # of two of a key the first
            if complete and self._lines != ordered:
                with atomic_write(self.path) as file:
                    file.write(_json(self.header))
                    file.writelines(line for _, line in ordered)
        finally:
            self._file.close()
            self._file = None


def _json(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def _differences(found: Any, expected: Any, name: str = "") -> Iterator[str]:
    """Where two JSON values differ, in words."""
    if name == "objective" and isinstance(found, str) and isinstance(expected, Mapping):
        yield (
            f"of the objective it has the name, {found!r}, but not the code, as those of earlier "
            "versions do; another path begins anew"
        )
    elif name.endswith(".source") and isinstance(found, list) and isinstance(expected, list):
        lines = itertools.zip_longest(found, expected, fillvalue="nothing")
        for number, (there, here) in enumerate(lines, 1):
            if there != here:
                of = name.removesuffix(".source")
                yield f"line {number} of {of} is {there!r} there, {here!r} here"
                return
    elif isinstance(found, Mapping) and isinstance(expected, Mapping):
        for key in dict.fromkeys([*found, *expected]):
            there, here = found.get(key, "nothing"), expected.get(key, "nothing")
            yield from _differences(there, here, f"{name}.{key}" if name else key)
    elif found != expected and name.endswith(".sha256"):
        yield f"{name.removesuffix('.sha256')} has other values"
    elif found != expected:
        yield f"{name} is {found!r} there, {expected!r} here"


def _lock(file: BinaryIO, path: Path) -> None:
    """Refuses a second search on one file; the lock ends with the process."""
    with contextlib.suppress(ImportError):  # Windows has no such locks
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"log: expected a free file, but a search is writing {path}") from None
        except OSError:  # some network file systems have no locks either
            pass
