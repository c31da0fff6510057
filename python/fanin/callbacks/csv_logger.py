"""A log of epochs as a CSV file."""

# ruff: noqa: ARG002 -- the methods are described in Callback, and take what it passes
from __future__ import annotations

import csv
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fanin import _validate
from fanin._files import FileError, naming, read_file
from fanin._typing import PathLike
from fanin.callbacks.base import Callback, Logs

DELIMITERS = ",;\t|"
# By their first bytes; of UTF-16 only the file's beginning has such a mark.
MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


@dataclass(frozen=True)
class _Table:
    """How a file is written: its encoding, its columns, and the last epoch in it."""

    encoding: str = "utf-8"
    delimiter: str = ","
    newline: str = "\r\n"
    decimal: str = "."
    columns: Sequence[str] = ()
    last_epoch: int | None = None
    whole: bool = True  # or else the last line has no end


class CSVLogger(Callback):
    """Write each epoch as a line of a CSV file: ``epoch``, and the names that the first one gave.

    Parameters
    ----------
    path : str or path
    append : bool
        Go on with an existing file: with its columns, encoding, delimiter and ends of lines, and
        with the number of the epoch after its last one. A run that is resumed from a checkpoint
        goes on with its file in any case, without the lines of epochs that are trained again.

    Raises
    ------
    ValueError
        Before the training, where the file to append to has no line of names or no number in its
        last line's epoch.

    Warns
    -----
    UserWarning
        Once a run, where an epoch has names that are no columns, which are left out, or columns
        get no value; where the last line is incomplete, or there is no column ``epoch``.

    Examples
    --------
    >>> log = fanin.callbacks.CSVLogger("log.csv")
    >>> X, y = np.eye(4), np.array([0, 1, 2, 0])
    >>> history = fanin.MLP([4, 3]).fit(X, y, epochs=2, callbacks=[log], progress=False)
    >>> import pathlib
    >>> pathlib.Path("log.csv").read_text().splitlines()[0]
    'epoch,loss,accuracy,lr'
    """

    def __init__(self, path: PathLike, append: bool = False) -> None:
        self.path: Path = Path(path)
        self.append = append
        self._table = _Table()
        self._offset: int | None = None  # of the epochs' numbers
        self._told = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._table, self._offset, self._told = _Table(), None, False
        if self.params.get("resumed"):
            return  # load_state_dict comes next
        data = read_file(self.path) if self.append and self.path.exists() else b""
        with naming(self.path):
            self.path.open("a" if self.append else "w").close()  # fails now, not after an epoch
        if data.strip():
            try:
                self._table = _read_table(self.path, data)
            except (csv.Error, IndexError, UnicodeError) as error:
                raise FileError(self.path, f"expected a table to append to ({error})") from None
            if not self._table.whole:
                with naming(self.path), self.path.open("ab") as file:
                    file.write(self._table.newline.encode(self._table.encoding))

    def state_dict(self) -> dict[str, Any]:
        table = asdict(self._table) | {"columns": list(self._table.columns)}
        size = self.path.stat().st_size
        return {"table": table, "offset": self._offset, "told": self._told, "size": size}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        size = _validate.whole("size", state["size"], 0)
        found = self.path.stat().st_size if self.path.exists() else 0
        if found < size:
            raise FileError(self.path, f"expected the run's {size} bytes at least, got {found}")
        self._table = _checked(_Table(**state["table"]))
        self._told = _validate.boolean("told", state["told"])
        self._offset = _whole_or_none("offset", state["offset"])
        if size or found:
            os.truncate(self.path, size)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._offset is None:
            last = self._table.last_epoch
            self._offset = 0 if last is None else max(0, last + 1 - epoch)
        row: dict[str, Any] = {"epoch": epoch + self._offset, **(logs or {})}
        new = not self._table.columns
        if new:
            self._table = _Table(columns=list(row))
        self._tell(row)
        table = self._table
        opened = self.path.open("a", newline="", encoding=table.encoding)
        with naming(self.path), opened as file:
            writer = csv.writer(file, delimiter=table.delimiter, lineterminator=table.newline)
            if new:
                writer.writerow(table.columns)
            writer.writerow([self._text(row.get(name, "")) for name in table.columns])

    def _text(self, value: Any) -> Any:
        return value if self._table.decimal == "." else str(value).replace(".", ",")

    def _tell(self, row: dict[str, Any]) -> None:
        """Warns of what this file cannot hold."""
        lost = [name for name in row if name not in ("epoch", *self._table.columns)]
        empty = [name for name in self._table.columns if name not in row]
        if (lost or empty) and not self._told:
            self._told = True
            parts = [f"it has no column for {', '.join(lost)}, left out"] if lost else []
            parts += [f"there is no value for {', '.join(empty)}"] if empty else []
            warnings.warn(f"{self.path}: {'; '.join(parts)}", stacklevel=2)


def _checked(table: _Table) -> _Table:
    """The table, where it is one that `_read_table` might give."""
    known = (
        ("encoding", ("utf-8", "latin-1", *MARKS.values())),
        ("delimiter", DELIMITERS),
        ("newline", ("\r\n", "\n", "\r")),
        ("decimal", (".", ",")),
    )
    for name, values in known:
        _validate.one_of(name, getattr(table, name), values)
    names = _validate.sequence("columns", table.columns, "names")
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"columns: expected names, got {_validate.describe(names)}")
    _validate.boolean("whole", table.whole)
    _whole_or_none("last_epoch", table.last_epoch)
    return table


def _whole_or_none(name: str, value: Any) -> int | None:
    return None if value is None else _validate.whole(name, value, 0)


def _read_table(path: Path, data: bytes) -> _Table:
    encoding, text = _decoded(data)
    first = text.splitlines()[0] if text.splitlines() else ""
    delimiter = max(DELIMITERS, key=first.count)
    lines = [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if row]
    columns, rows = [name.strip() for name in lines[0]], lines[1:]
    if len(set(columns)) < len(columns) or not {"epoch", "loss"} & set(columns):
        raise FileError(
            path,
            f"expected a first line of different names to append to, got {first[:80]!r}, epoch or "
            "loss among them; append=False overwrites the file",
        )
    if rows and len(rows[-1]) < len(columns):
        warnings.warn(f"{path}: its last line is incomplete: {rows[-1]!r}", stacklevel=4)
        rows.pop()
    comma = delimiter != "," and any(re.fullmatch(r"-?\d+,\d+", v) for row in rows for v in row)
    return _Table(
        encoding,
        delimiter,
        next((end for end in ("\r\n", "\n", "\r") if end in text), "\r\n"),
        "," if comma else ".",
        columns,
        _last_epoch(path, columns, rows),
        text.endswith(("\n", "\r")),
    )


def _decoded(data: bytes) -> tuple[str, str]:
    for mark, encoding in MARKS.items():
        if data.startswith(mark):
            return encoding, data[len(mark) :].decode(encoding)
    try:
        return "utf-8", data.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1", data.decode("latin-1")  # every byte as it is


def _last_epoch(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> int | None:
    if "epoch" not in columns:
        warnings.warn(f"{path}: it has no column epoch, its lines are not numbered", stacklevel=5)
        return None
    if not rows:
        return None
    text = rows[-1][columns.index("epoch")].strip()
    if not re.fullmatch(r"[0-9]{1,18}([.,]0*)?", text):
        raise FileError(path, f"expected a whole number as the last line's epoch, got {text!r:.60}")
    return int(re.split("[.,]", text)[0])
