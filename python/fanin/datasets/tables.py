"""Tables of text (.csv, .tsv): numeric features, and a column of labels or values.

Python's `csv` cuts the text, in its strict mode: it knows quotes, and needs no other package. What
it lets pass is refused here with the line: rows of other lengths, cells that are no numbers.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
import re
import unicodedata
import warnings
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn, TextIO

import numpy as np

from fanin._files import FileError, open_file, read_file
from fanin._typing import Array
from fanin.arrays import Table
from fanin.datasets.reading import Dataset, Reading

SUFFIXES = (".csv", ".tsv")
TARGET_NAMES = ("label", "target", "class")
DELIMITERS = ",;\t|"
SAMPLE, SAMPLE_ROWS = 1 << 16, 50  # characters and rows that show the delimiter
MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "#n/a", "<na>")
# "none" and "null" in lower case are names of classes as often as missing values.
MISSING_LABELS = (
    "", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NAN", "-nan", "NULL", "None",
    "NaT", "#NA", "#N/A N/A", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "-NaN",
    "#VALUE!", "#REF!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!",  # of spreadsheets
)  # fmt: skip
PACKED = {  # by the bytes that such files begin with
    b"\x1f\x8b\x08": "gzip",
    b"PK\x03\x04": "zip",
    b"BZh91AY&SY": "bzip2",
    b"\xfd7zXZ\0": "xz",
}
TRUTH = {"true": True, "false": False}
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?|[+-]?\d{1,3}(\.\d{3})+(,\d*)?")


class CellError(FileError):
    """A cell of a table is no finite number."""


def read_table(path: Path, reading: Reading, columns: Sequence[str] | None = None) -> Dataset:
    """Features and target of a table; or only ``columns``, and the target where it is there.

    With ``reading.mixed`` features that are no numbers, or lack some, make it a `Table`.
    """
    if reading.mixed and reading.kinds is None:
        try:
            return read_table(path, replace(reading, mixed=False), columns)
        except CellError:
            pass
    try:
        with open_file(path) as binary:
            begins = binary.read(16)
            for mark, kind in PACKED.items():
                if begins.startswith(mark):
                    raise FileError(path, f"expected a table of text, got a {kind} file; unpack it")
            binary.seek(0)
            with io.TextIOWrapper(binary, encoding=_codec(reading), newline="") as file:
                return _Table(path, file, reading).read(columns)
    except csv.Error as error:  # of the rows that show the delimiter
        raise FileError(path, str(error)) from None
    except UnicodeError as error:
        _refuse_encoding(path, reading.encoding, error)


def _codec(reading: Reading) -> str:
    """The encoding; of UTF-8 the one that takes a byte-order mark away."""
    plain = reading.encoding.lower().replace("_", "-")
    return "utf-8-sig" if plain in ("utf-8", "utf8") else reading.encoding


def _refuse_encoding(path: Path, encoding: str, error: UnicodeError) -> NoReturn:
    data = read_file(path)
    where = ""
    if isinstance(error, UnicodeDecodeError):
        try:
            data.decode(encoding)
        except UnicodeDecodeError as again:
            line = data.count(b"\n", 0, again.start) + 1
            where = f", line {line}"
    text = getattr(error, "reason", str(error))
    advice = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1, cp1252 or utf-16"
    expected = f"expected {encoding.upper()} text ({text}{where})"
    raise FileError(path, f"{expected}; name its encoding, such as {advice}") from None


class _Table:
    """A file that is read once."""

    def __init__(self, path: Path, file: TextIO, reading: Reading) -> None:
        self.path, self.reading = path, reading
        delimiter = reading.delimiter or self._delimiter(file)
        self.reader = csv.reader(file, delimiter=delimiter, strict=True, skipinitialspace=True)
        self.rows = self._rows()

    def _delimiter(self, file: TextIO) -> str:
        """That which cuts all of the first rows alike."""
        text = file.read(SAMPLE)
        file.seek(0)
        counts = {}
        for delimiter in DELIMITERS:
            if delimiter == self.reading.decimal:
                continue
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
            if len(text) == SAMPLE and len(rows) > 1:
                rows.pop()  # it may be cut
            counts[delimiter] = [len(row) for row in rows if row][:SAMPLE_ROWS] or [0]
        alike = [d for d, lengths in counts.items() if max(lengths) == min(lengths) > 1]
        if len(alike) > 1:
            found = " and ".join(map(repr, alike))
            raise FileError(self.path, f"delimiter: expected one, got {found}; name it")
        return alike[0] if alike else max(counts, key=lambda d: counts[d][0])

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Rows that are not empty, with the line in which each begins."""
        line = 1
        try:
            for row in self.reader:
                if any(cell.strip() for cell in row) or len(row) > 1:
                    yield line, row
                line = self.reader.line_num + 1
        except csv.Error as error:
            hint = ""
            if "unexpected end" in str(error) or "field limit" in str(error):
                hint = ": a quote that is never closed?"
            raise FileError(self.path, f"{error}{hint}", f"line {line}") from None

    def read(self, columns: Sequence[str] | None) -> Dataset:
        header, first = self._header(columns)
        if columns is None:
            label = self._target(header)
            at: int | None = label
            left_out = {label, *self._dropped(header, label)}
            features = [i for i in range(len(header)) if i not in left_out]
        else:
            missing = [name for name in columns if name not in header]
            if missing:
                got = ", ".join(header)
                raise FileError(self.path, f"expected a column {missing[0]!r}, got {got}")
            features = [header.index(name) for name in columns]
            target = self.reading.target
            at = header.index(target) if target in header and target not in columns else None
        if not features:
            got = f"got only {header[0]!r}; or another delimiter"
            if self.reading.drop:
                got = "got none beside the target and those of drop"
            raise FileError(self.path, f"expected at least one feature column, {got}")
        values, cells, lines = array("d"), list[str](), array("q")
        texts: list[list[str]] = [[] for _ in features]
        for line, row in self._with_first(first):
            if len(row) != len(header):
                problem = f"expected {len(header)} values, got {len(row)}"
                raise FileError(self.path, problem, f"line {line}")
            if self.reading.mixed:
                for i, text in zip(features, texts, strict=True):
                    text.append(row[i].strip())
            else:
                values.extend(self._numbers(row, features, line, header))
            lines.append(line)
            if at is not None:
                cells.append(row[at].strip())
        if self.reading.mixed:
            named = zip((header[i] for i in features), texts, strict=True)
            X: Array | Table = Table({n: self._column(n, column, lines) for n, column in named})
        else:
            X = np.frombuffer(values, dtype=np.float64).reshape(-1, len(features)).copy()
        y = None
        if at is not None:
            y = self._targets(header[at], cells, lines, required=columns is None)
        names = tuple(header[i] for i in features)
        target = None if at is None else header[at]
        return Dataset(X, y, feature_names=names, source=str(self.path), target=target)

    def _column(self, name: str, cells: list[str], lines: Sequence[int]) -> Array:
        """Numbers, truth values or text, as most cells are; what is missing is NaN or None.

        A cell that is no number among more that are is a fault, as in a table of numbers.
        """
        given = [cell for cell in cells if cell.lower() not in MISSING]
        known = (self.reading.kinds or {}).get(name)
        kind = known or self._kind(set(given))
        if kind == "number":
            found = ((c, i) for c, i in zip(cells, lines, strict=True))
            return np.array([
                math.nan if cell.lower() in MISSING else self._finite(cell, line, name)
                for cell, line in found
            ])  # fmt: skip
        values = np.empty(len(cells), object)
        truth = kind == "boolean" and all(cell.lower() in TRUTH for cell in given)
        for i, cell in enumerate(cells):
            if cell.lower() not in MISSING:
                values[i] = TRUTH[cell.lower()] if truth else cell
        return values

    def _kind(self, different: set[str]) -> str:
        if not different or all(cell.lower() in TRUTH for cell in different):
            return "boolean" if different else "number"
        numbers = sum(
            self._number(cell) is not None or self._has_decimal_comma(cell) for cell in different
        )
        return "number" if 2 * numbers >= len(different) else "category"

    def _has_decimal_comma(self, cell: str) -> bool:
        """Whether it is a number to those who write a comma, and the table is read with a point."""
        return self.reading.decimal == "." and DECIMAL_COMMA.fullmatch(cell) is not None

    def _with_first(self, first: tuple[int, list[str]] | None) -> Iterator[tuple[int, list[str]]]:
        if first is not None:
            yield first
        yield from self.rows

    def _header(
        self, columns: Sequence[str] | None
    ) -> tuple[list[str], tuple[int, list[str]] | None]:
        """The names of the columns; and the first row, where it is one of data."""
        found = next(self.rows, None)
        if found is None:
            raise FileError(self.path, "expected a header line, got an empty file")
        line, row = found
        if self.reading.header is False:
            if columns is not None and len(row) == len(columns):
                return list(columns), found  # the same table without its target
            return [f"column_{i}" for i in range(1, len(row) + 1)], found
        header = [name.strip() for name in row]
        if self.reading.header is None:
            for name in header:
                if self._number(name) is not None or name.lower() in MISSING[1:]:
                    raise FileError(
                        self.path,
                        f"expected names in the first line, got {name!r}: say header=False "
                        "(--no-header) where it is a row of data, header=True (--header) where it "
                        "holds names",
                    )
        for i, name in enumerate(header):
            if "\0" in name:
                problem = f"expected text, got {name!r}; name its encoding, such as utf-16"
                raise FileError(self.path, problem, f"line {line}")
            if not name:
                advice = "name it, or remove it where it is an index"
                raise FileError(self.path, f"column {i + 1} has no name; {advice}")
            if name in header[:i]:
                expected = "expected different column names"
                raise FileError(self.path, f"{expected}, got {name!r} twice", f"line {line}")
        return header, None

    def _target(self, header: list[str]) -> int:
        name, argument = self.reading.target, self.reading.target_argument
        if name is None:
            lower = [one.lower() for one in header]
            known = (lower.index(name) for name in TARGET_NAMES if name in lower)
            return next(known, len(header) - 1)
        if name not in header:
            expected = f"expected one of {', '.join(header)}"
            raise ValueError(f"{argument}: {expected}; got {name!r} ({self.path})")
        return header.index(name)

    def _dropped(self, header: list[str], target: int) -> set[int]:
        for name in self.reading.drop:
            if name not in header:
                expected = f"expected names among {', '.join(header)}"
                raise ValueError(f"drop: {expected}; got {name!r} ({self.path})")
            if name == header[target]:
                problem = "expected other columns than the target"
                raise ValueError(f"drop: {problem}, got {name!r}; name another target")
        return {header.index(name) for name in self.reading.drop}

    def _number(self, text: str) -> float | None:
        if self.reading.decimal == ",":
            if "." in text:  # of thousands, which must not become a decimal point
                return None
            text = text.replace(",", ".")
        if "_" in text or not text.isascii():  # Python would take both
            return None
        try:
            return float(text)
        except ValueError:
            return None

    def _numbers(
        self, row: list[str], features: list[int], line: int, header: list[str]
    ) -> Sequence[float]:
        """The features of a row; Python's own reading, where it cannot be wrong, is faster."""
        text = "".join(row)
        if self.reading.decimal == "." and "_" not in text and text.isascii():
            with contextlib.suppress(ValueError):
                numbers = [float(row[i]) for i in features]
                if all(map(math.isfinite, numbers)):
                    return numbers
        return [self._finite(row[i], line, header[i]) for i in features]

    def _finite(self, text: str, line: int, column: str) -> float:
        number = self._number(text)
        if number is not None and math.isfinite(number):
            return number
        problem = "no value"
        if text.strip().lower() not in MISSING:
            problem = f"expected a finite number, got {_short(text)}"
            other = "," if self.reading.decimal == "." else "."
            if THOUSANDS.fullmatch(text.strip()):
                problem += "; marks of thousands are not read: remove them"
                if text.count(other) == 1 and self.reading.decimal not in text:
                    problem += f", or say decimal={other!r} (--decimal) where that is its mark"
            elif text.count(other) == 1 and text.replace(other, "").strip("+- ").isdecimal():
                problem += f"; decimal={other!r} (--decimal) reads {other} as the decimal mark"
        raise CellError(self.path, problem, f"line {line}, column {column!r}")

    def _targets(
        self, column: str, cells: list[str], lines: Sequence[int], *, required: bool
    ) -> Array:
        """Numbers of a regression; else labels: integers where all are, or text."""
        if self.reading.task == "regression":
            blank = [not required and cell.lower() in MISSING for cell in cells]
            return np.array(
                [
                    math.nan if empty else self._finite(cell, line, column)
                    for cell, line, empty in zip(cells, lines, blank, strict=True)
                ]
            )
        for cell, line in zip(cells, lines, strict=True):
            where = f"line {line}, column {column!r}"
            if required and cell in MISSING_LABELS:
                got = f" ({cell!r})" if cell else ""
                problem = f"no value{got}; remove the row, or name the class"
                raise FileError(self.path, problem, where)
            if any(sign in cell for sign in "\n\r\0"):
                got = "expected a label, got a line break or a NUL character in it"
                problem = f"{got}; a quote that is not closed, another encoding?"
                raise FileError(self.path, problem, where)
        different = set(cells)
        if required and self.reading.task is None:
            self._ask_for_task(column, different, len(cells))
        _tell_lookalikes(f"{self.path}, column {column!r}", different)
        if all(_is_integer(cell) for cell in different):
            return np.array([int(cell) for cell in cells], dtype=np.int64)
        return np.array(cells)

    def _ask_for_task(self, column: str, different: set[str], count: int) -> None:
        numbers = [None if _is_code(cell) else self._number(cell) for cell in different]
        values = [number for number in numbers if number is not None]
        if len(values) == len(numbers) and looks_continuous(np.array(values)):
            found = f"column {column!r} has {len(different)} different numbers in {count} rows"
            raise FileError(self.path, f"{found}; {ASK}")


MOST_CLASSES = 20
ASK = (
    "classes or values? Say task='classification' or task='regression' (--task), or name another "
    "column as target"
)


def looks_continuous(values: Array) -> bool:
    """Whether different numbers may be values as well as classes: the user is asked then.

    Fractions are, and whole numbers where they are more than 20: either may be wrong, and there is
    nothing in a table that tells.
    """
    return len(values) > MOST_CLASSES or bool(len(values) and (values != np.round(values)).any())


def _is_integer(text: str) -> bool:
    """Whether text is how Python writes an int64: ``007`` and ``+7`` are not."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 20):
        return False
    return str(int(text)) == text and -(2**63) <= int(text) < 2**63


def _is_code(text: str) -> bool:
    """Whether text is of digits but no number, like the postcode 00501."""
    return len(text) > 1 and text[0] == "0" and text[1].isdigit()


def _tell_lookalikes(where: str, labels: set[str]) -> None:
    """Warns of labels such as 1 and 1.0, which stay different classes."""
    groups: defaultdict[float | str, list[str]] = defaultdict(list)
    for label in labels:
        try:
            key: float | str = float(label)
        except ValueError:
            seen = "".join(c for c in label if unicodedata.category(c) != "Cf")  # has a width
            key = " ".join(unicodedata.normalize("NFKC", seen).casefold().split())
        groups[key].append(label)
    alike = sorted(sorted(group) for group in groups.values() if len(group) > 1)
    if alike:
        pairs = "; ".join(" and ".join(map(repr, group)) for group in alike[:3])
        more = "; ..." if len(alike) > 3 else ""
        text = f"{where}: labels that look alike are kept apart as classes: {pairs}{more}"
        warnings.warn(text, stacklevel=7)  # the caller of load


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")
