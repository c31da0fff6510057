"""The log of a search: a line that identifies it, then one line for each trial.

The lines are in the order in which trials end; a complete search sorts them by trial. There are no
times: the same search leaves the same bytes, wherever it ran and however often it was interrupted.

Each line ends with its checksum and names the search that it belongs to, so that a line that was
changed, or comes from another log, is refused, and so are two results of one trial. The order of
the lines is free and a line that stands twice counts once. A line that was removed is a trial that
has not run: it runs again, to the same result.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from fanin._files import FileError, atomic_write, naming, reading, sync_folder
from fanin._json import differences, from_json, loggable, parse_json, plain, to_json
from fanin._typing import PathLike
from fanin.tuning.search.objective import TrialResult

FORMAT = 2  # 1 had no checksums
SYNC_SECONDS = 0.05
STATUSES = ("done", "diverged", "pruned", "failed")
EXTRA = ("epoch", "curves", "metrics", "error")  # in a line only where there is something

Key = tuple[int, int]  # rung, trial


def to_line(result: TrialResult, rung: int, params: Mapping[str, Any]) -> dict[str, Any]:
    """The line of a trial's result."""
    line: dict[str, Any] = {"trial": result.trial} | ({"rung": rung} if rung else {})
    line |= {"params": plain(params), "status": result.status, "score": plain(result.score)}
    extra = {name: plain(getattr(result, name)) for name in EXTRA}
    return line | {name: value for name, value in extra.items() if value not in (None, {})}


def from_line(line: Mapping[str, Any]) -> TrialResult:
    """The result of a line, without its network; KeyError, TypeError, ValueError for another."""
    trial, status, score = _number(line["trial"]), line["status"], float(line["score"])
    if status not in STATUSES:
        raise ValueError(f"status {status!r}")
    epoch, error = line.get("epoch"), line.get("error")
    curves = {k: [float(v) for v in values] for k, values in line.get("curves", {}).items()}
    metrics = dict(line.get("metrics", {}))
    return TrialResult(
        trial, status, score, epoch if epoch is None else _number(epoch), curves, metrics, error
    )


def key_of(line: Mapping[str, Any]) -> Key:
    """Of which rung and trial a line is."""
    return _number(line.get("rung", 0)), _number(line["trial"])


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"expected a whole number, got {value!r}")
    return value


class TrialLog:
    """The file of a search; without a path, nothing."""

    def __init__(self, path: PathLike | None, header: Mapping[str, Any]) -> None:
        self.path: Path | None = None if path is None else Path(path)
        facts = {name: loggable(name, value) for name, value in header.items()}
        self.header: dict[str, Any] = {"fanin": "search", "format": FORMAT, **facts}
        self._file: BinaryIO | None = None
        self._first, self._search = b"", ""  # the header's line, and the name that lines have of it
        self._lines: dict[Key, bytes] = {}  # in the order of the file
        self._repeats = False
        self._synced = 0.0
        self._dirty = False

    def open(self, resume: bool) -> dict[Key, dict[str, Any]]:
        """Locks the file and reads the lines that are there."""
        if self.path is None:
            return {}
        if self.path.exists() and not self.path.is_file():
            raise FileError(self.path, "expected a file or none, got a folder, device or pipe")
        self._file = self.path.open("a+b")
        try:
            _lock(self._file, self.path)
            with naming(self.path):
                self._file.seek(0)
                text = self._file.read()
                if text and not resume:
                    raise ValueError(
                        f"log: {self.path} holds a search already; resume=True goes on with it, "
                        "another path begins anew"
                    )
                return self._read(text)
        except BaseException:
            with contextlib.suppress(OSError):  # of what a full disk did not take the first time
                self._file.close()
            raise

    def _read(self, text: bytes) -> dict[Key, dict[str, Any]]:
        assert self._file is not None
        assert self.path is not None
        *lines, torn = text.split(b"\n")
        if not lines:
            self._begin(torn)
            return {}
        self._check_header(lines[0])
        found: dict[Key, dict[str, Any]] = {}
        for number, line in enumerate(lines[1:], 2):
            where = f"line {number}: "
            with _where(self.path, where):
                parsed = from_json(line, self.path)
            if parsed.pop("search", None) != self._search:
                raise FileError(self.path, f"{where}expected a trial of this search")
            with reading(self.path, f"{where}expected a trial"):
                from_line(parsed)
                key = key_of(parsed)
            if found.setdefault(key, parsed) != parsed:
                raise FileError(self.path, f"{where}another result of trial {key[1]} than before")
            self._repeats |= key in self._lines
            self._lines[key] = line + b"\n"
        if torn:  # the last write of a process that was killed
            self._file.truncate(len(text) - len(torn))
        return found

    def _begin(self, torn: bytes) -> None:
        """Writes the header, of which a process that was killed may have left a part."""
        assert self._file is not None
        assert self.path is not None
        line = to_json(self.header)
        if not line.startswith(torn):
            raise FileError(self.path, "line 1: expected the log of a search, got another file")
        self._file.truncate(0)
        self._set_header(line)
        self._file.write(self._first)
        self.sync()
        sync_folder(self.path.absolute().parent)

    def _set_header(self, line: bytes) -> None:
        self._first, self._search = line + b"\n", line[-10:-2].decode()

    def _check_header(self, line: bytes) -> None:
        assert self.path is not None
        with _where(self.path, "line 1: "):
            header = parse_json(line, self.path)
        if header.get("fanin") != "search":
            raise FileError(self.path, "line 1: expected the log of a search, got another file")
        if header.get("format") == 1 and "sha256" not in header:
            raise FileError(
                self.path,
                "written by an earlier fanin, in format 1, which has no checksums; "
                "another path begins anew",
            )
        with _where(self.path, "line 1: "):
            header = from_json(line, self.path)
        if (written := header.get("format")) != FORMAT:
            raise FileError(self.path, f"written by another fanin, in format {written!r}")
        if told := "; ".join(differences(header, self.header)):
            raise ValueError(f"log: {self.path} was written by another search: {told}")
        self._set_header(line)

    def append(self, key: Key, line: Mapping[str, Any]) -> None:
        """Hands a line to the system; `sync` brings it to the disk."""
        if self._file is not None:
            text = to_json({**line, "search": self._search}) + b"\n"
            with naming(str(self.path)):
                self._file.write(text)
            self._lines[key] = text
            self._dirty = True

    def tick(self) -> None:
        """Syncs where there is something to, and the last time is 50 ms ago."""
        if self._file is not None and self._dirty:
            with naming(str(self.path)):
                self._file.flush()
            if time.monotonic() - self._synced > SYNC_SECONDS:
                self.sync()

    def sync(self) -> None:
        """Flushes everything appended to the disk."""
        if self._file is not None:
            with naming(str(self.path)):
                self._file.flush()
                os.fsync(self._file.fileno())
            self._synced, self._dirty = time.monotonic(), False

    def close(self, complete: bool) -> None:
        """Syncs; of a complete search, puts the lines in order, each once."""
        if self._file is None or self.path is None:
            return
        try:
            self.sync()
            ordered = sorted(self._lines.items())
            if complete and (self._repeats or list(self._lines.items()) != ordered):
                with atomic_write(self.path) as file:
                    file.write(self._first)
                    file.writelines(line for _, line in ordered)
        finally:
            file, self._file = self._file, None
            with naming(str(self.path)):
                file.close()


@contextlib.contextmanager
def _where(path: Path, line: str) -> Iterator[None]:
    """A FileError in the block says in which line."""
    try:
        yield
    except FileError as error:
        raise FileError(path, f"{line}{error.reason}") from None


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
