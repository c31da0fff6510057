"""Data as people have them, as arrays: lists, frames, tensors, sparse matrices.

`as_array` and `as_rows` take whatever NumPy can see without loss, and refuse by name what would
lose something on the way: whole numbers that a float does not hold, objects, missing values.
"""

from __future__ import annotations

import datetime as dt
import importlib
import mmap
import numbers
import re
import threading
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from fanin._typing import Array, Ints, Labels

LARGEST_WHOLE = 2**53  # up to which float64 holds every whole number
FRAMES = ("pandas", "polars", "pyarrow", "modin", "cudf")
LAZY = ("dask", "duckdb", "ibis", "pyspark")
EXPECTED = "an array, a list or a frame"


class SparseRows:
    """Rows (N, D) by their nonzeros, which the native loop makes dense for each minibatch.

    Attributes
    ----------
    shape : (int, int)
    values : ndarray of shape (n,), uint8, float32 or float64
    columns : ndarray of shape (n,), int32
        Of each value; rising within a row.
    starts : ndarray of shape (N + 1,), int64
        Row i has values ``starts[i]`` to ``starts[i + 1]``.
    """

    ndim = 2

    def __init__(self, values: Array, columns: Array, starts: Array, width: int) -> None:
        self.values = values
        self.columns: Labels = np.ascontiguousarray(columns, np.int32)
        self.starts: Ints = np.ascontiguousarray(starts, np.int64)
        self.shape: tuple[int, int] = (len(starts) - 1, width)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    @property
    def size(self) -> int:
        """Of the dense rows."""
        return self.shape[0] * self.shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"{self.shape} {self.dtype}, sparse"

    def __getitem__(self, rows: slice | Array) -> SparseRows:
        if isinstance(rows, slice) and rows.step in (None, 1):
            first, last, _ = rows.indices(len(self))
            starts = self.starts[first : max(first, last) + 1]
            part = slice(int(starts[0]), int(starts[-1]))
            columns = self.columns[part]
            return SparseRows(self.values[part], columns, starts - starts[0], self.shape[1])
        chosen = np.arange(len(self))[rows]
        lengths = np.diff(self.starts)[chosen]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        at = np.arange(starts[-1]) + np.repeat(self.starts[chosen] - starts[:-1], lengths)
        return SparseRows(self.values[at], self.columns[at], starts, self.shape[1])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        dense = np.zeros(self.shape, dtype or self.dtype)
        dense[np.repeat(np.arange(len(self)), np.diff(self.starts)), self.columns] = self.values
        return dense

    def astype(self, dtype: Any, *, copy: bool = True) -> SparseRows:  # noqa: ARG002
        """The same rows with values of that dtype."""
        values = self.values.astype(dtype, copy=False)
        return SparseRows(values, self.columns, self.starts, self.shape[1])

    def reshape(self, *_: int) -> SparseRows:
        """Itself: it has no other shape."""
        return self


def is_sparse(value: object) -> bool:
    """Whether a value is a matrix or array of scipy.sparse."""
    return type(value).__module__.startswith("scipy.sparse") and hasattr(value, "tocsr")


def is_frame(value: object) -> bool:
    """Whether a value is a frame, of a package that narwhals reads."""
    package = type(value).__module__.partition(".")[0]
    return package in FRAMES and hasattr(value, "columns")


def describe(value: object) -> str:
    """``(100, 783) float64`` for an array, else the type's name."""
    known = isinstance(value, np.ndarray | SparseRows)
    return f"{value.shape} {value.dtype}" if known else type(value).__name__  # type: ignore[attr-defined]


def as_array(name: str, value: object) -> Array:
    """An ndarray of native byte order with the values of whatever NumPy can see.

    An array is taken as it is; lists, series, tensors and others without a copy where they allow
    it. Masked arrays are refused, and so is what would change on the way.
    """
    if type(value) is np.ndarray and value.dtype.isnative:
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name}: expected a plain array, got a masked array; fill or drop its mask"
        )
    if isinstance(value, SparseRows) or is_sparse(value):
        raise TypeError(f"{name}: expected a dense array, got a sparse one")
    if is_frame(value):
        return frame_array(name, value)
    array = value if isinstance(value, np.ndarray) else _converted(name, value)
    return np.asarray(array, dtype=array.dtype.newbyteorder("="))


def some_rows(name: str, value: object) -> Array:
    """`as_array` of at least one row, with something in it."""
    array = as_array(name, value)
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"{name}: expected at least one row, got {describe(array)}")
    return array


def as_rows(name: str, value: object) -> Any:
    """`as_array`, or `SparseRows`."""
    if isinstance(value, SparseRows):
        return value
    sparse = type(value) is not np.ndarray and is_sparse(value)
    return _sparse_rows(name, value) if sparse else as_array(name, value)


def column_names(value: object) -> tuple[str, ...] | None:
    """Of a frame; None for other data."""
    return tuple(map(str, _frame(value).columns)) if is_frame(value) else None


def blocks(rows: Array | SparseRows, count: int) -> Iterator[Array]:
    """Parts of so many rows, C-contiguous and aligned: copies where the rows are not."""
    for begin in range(0, len(rows), count):
        yield np.require(rows[begin : begin + count], requirements=["C", "A"])


def _converted(name: str, value: Any) -> Array:
    """An array of a list, a series, a tensor, a buffer."""
    package = type(value).__module__.partition(".")[0]
    if package in LAZY:
        raise TypeError(f"{name}: expected {EXPECTED}, got {_full_name(value)}; compute it first")
    listed = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    seen = any(hasattr(value, way) for way in ("__array__", "__array_interface__", "__dlpack__"))
    if not listed and not seen and not isinstance(value, memoryview):
        raise TypeError(f"{name}: expected {EXPECTED}, got {describe(value)}")
    if package in FRAMES and hasattr(value, "isnull" if package == "pandas" else "is_null"):
        _refuse_missing(name, value)
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError, BufferError) as error:
        got = f"{describe(value)} ({' '.join(str(error).split())})"
        kind = TypeError if isinstance(error, TypeError) else ValueError
        expected = "expected numbers or labels in rows of one length"
        raise kind(f"{name}: {expected}, got {got}") from None
    if listed and array.dtype.kind in "fUc":
        _refuse_changed(name, value, array)
    return array


def _refuse_changed(name: str, value: Any, array: Array) -> None:
    """Refuses lists of which NumPy makes something else: "1" of 1, 2.0**60 of 2**60 + 1."""
    for item in np.array(value, dtype=object).flat:
        if array.dtype.kind == "U" and not isinstance(item, str):
            raise TypeError(f"{name}: expected text or numbers, got both, such as {item!r}")
        if isinstance(item, int) and abs(item) > LARGEST_WHOLE:
            raise ValueError(f"{name}: expected whole numbers within 2**53, got {item}")


def of_one_kind(array: Array) -> Array:
    """An array of objects that are all text, truth values or numbers as an array of these."""
    kinds = {type(item) for item in array.flat}
    known = {str, bool, int, float, np.str_, np.bool_, np.int64, np.float64}
    if len(kinds) == 1 and kinds <= known:
        plain = np.array(array.tolist())
        return plain if plain.dtype.kind in "Ubif" else array
    return array


def _full_name(value: object) -> str:
    return f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"


def _sparse_rows(name: str, value: Any) -> SparseRows:
    """Of a matrix of scipy.sparse: rows by rows, a copy where it is stored in another way."""
    if len(value.shape) != 2:
        raise ValueError(f"{name}: expected shape (N, D), got {value.shape}, sparse")
    rows = value.tocsr()
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    return SparseRows(np.ascontiguousarray(rows.data), rows.indices, rows.indptr, value.shape[1])


# Memory maps

LARGE_MAP = 2**27  # bytes, below which a map may as well stay in memory
RELEASED_EVERY = 0.01  # seconds, in which the slow of our passes read some 10 MB
MAPPED_AROUND = 2**21  # bytes that one fault may map: a page of the largest kind
MAPPED_AT_ONCE = 2**26


@contextmanager
def released(*arrays: object) -> Iterator[None]:
    """Keeps large memory maps among the arrays out of memory while they are read in the block.

    The pages that were read are given back every 10 ms; the system has them in its cache as long
    as nothing else needs it. A map that is written to privately (mode "c") is left alone.
    """
    maps = large_maps(*arrays)
    if not maps:
        yield
        return
    done = threading.Event()

    def regularly() -> None:
        while not done.wait(RELEASED_EVERY):
            release(maps)

    thread = threading.Thread(target=regularly, name="fanin-released", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def large_maps(*arrays: object) -> list[mmap.mmap]:
    """The large maps of files that arrays lie in, where their pages can be given back."""
    if not hasattr(mmap, "MADV_DONTNEED"):
        return []
    return [found for found in map(_map_of, arrays) if found is not None]


def release(maps: Iterable[mmap.mmap]) -> None:
    """Gives the pages of maps back to the system."""
    for one in maps:
        one.madvise(mmap.MADV_DONTNEED)


def rows_from(X: Any, rows: Ints, maps: Sequence[mmap.mmap]) -> Array:
    """Those rows of X, an array that lies in large maps, of which few pages are held at a time.

    With a page the system maps what it has read around it, up to 2 MB: rows taken at random from a
    file would otherwise soon hold all of it.
    """
    out = np.empty((len(rows), *X.shape[1:]), X.dtype)
    places = 1 if X.flags.c_contiguous else X.shape[1]  # apart from each other, of a row's values
    each = MAPPED_AROUND * places + X.itemsize * X.shape[1]
    step = max(1, MAPPED_AT_ONCE // each)
    for begin in range(0, len(rows), step):
        part = slice(begin, begin + step)
        out[part] = X[rows[part]]
        release(maps)
    return out


def _map_of(array: object) -> mmap.mmap | None:
    """The large map of a file that an array lies in."""
    mode = None
    while isinstance(array, np.ndarray):
        mode = getattr(array, "mode", mode)
        array = array.base
    large = isinstance(array, mmap.mmap) and len(array) >= LARGE_MAP
    return array if large and mode in ("r", "r+", "w+") else None  # type: ignore[return-value]


# Frames


def _frame(value: Any) -> Any:
    """The frame as narwhals has it."""
    try:
        narwhals = importlib.import_module("narwhals.stable.v2")
    except ImportError:
        raise ImportError(
            f"{_full_name(value)}: frames are read by narwhals: pip install fanin[frames]"
        ) from None
    return narwhals.from_native(value, eager_only=True)


def frame_columns(name: str, value: Any) -> dict[str, Any]:
    """The columns of a frame, as series of narwhals, by their names as text."""
    try:
        columns = list(_frame(value).iter_columns())
    except (TypeError, ValueError) as error:  # a lazy frame, two columns of one name
        kind = TypeError if isinstance(error, TypeError) else ValueError
        expected = "expected a frame that is in memory, with different column names"
        raise kind(f"{name}: {expected}, got {_full_name(value)} ({error})") from None
    found: dict[str, Any] = {}
    for series in columns:
        column = series.name
        if isinstance(column, tuple):  # of a MultiIndex
            expected = "expected columns with one name each"
            hint = "X.columns = X.columns.map('_'.join) makes such of several levels"
            raise TypeError(f"{name}: {expected}, got {column!r}; {hint}")
        if str(column) in found:
            raise ValueError(
                f"{name}: expected different column names, got {str(column)!r} twice, as text and "
                "as a number"
            )
        found[str(column)] = series
    return found


def frame_array(name: str, value: Any) -> Array:
    """A frame of numbers and truth values as an array (N, D)."""
    columns = frame_columns(name, value)
    for column, series in columns.items():
        kind = series.dtype
        number = (kind.is_integer() and not str(kind).endswith("128")) or kind.is_float()
        if not (number or kind == _boolean()):
            raise TypeError(
                f"{name}: expected numbers in column {column!r}, got {kind}; "
                "fanin.preprocessing.TableEncoder().fit_transform(X) makes numbers of dates, truth "
                "values and categories"
            )
        if missing := int(series.null_count()):
            raise ValueError(
                f"{name}: expected values in column {column!r}, got none in {missing} of "
                f"{len(series)} rows; fanin.preprocessing.TableEncoder().fit_transform(X) fills "
                "them"
            )
    if not columns:
        raise ValueError(f"{name}: expected a frame with columns, got none")
    if len({str(series.dtype) for series in columns.values()}) == 1:
        array = np.asarray(_frame(value).to_numpy())
        if array.dtype.kind != "O":
            return array
    arrays = [np.asarray(series.to_numpy()) for series in columns.values()]
    arrays = [a.astype(np.uint8) if a.dtype.kind == "b" else a for a in map(of_one_kind, arrays)]
    common = np.result_type(*arrays)
    if common.kind == "f":
        for column, array in zip(columns, arrays, strict=True):
            _refuse_large(f"{name}: column {column!r}", array)
    out = np.empty((len(arrays[0]), len(arrays)), common)
    for j, array in enumerate(arrays):
        out[:, j] = array
    return out


def _boolean() -> Any:
    return importlib.import_module("narwhals.stable.v2").Boolean


def _refuse_large(where: str, array: Array) -> None:
    if array.dtype.kind in "iu" and array.size:
        most = max(-int(array.min()), int(array.max()))
        if most > LARGEST_WHOLE:
            raise ValueError(f"{where}: expected whole numbers within 2**53, got {most}")


def _refuse_missing(name: str, series: Any) -> None:
    """Refuses a series with values that are missing."""
    missing = np.asarray(series.isnull() if hasattr(series, "isnull") else series.is_null())
    if missing.any():
        raise ValueError(f"{name}: expected values, got none in row {int(missing.argmax())}")


def categories(value: Any) -> Ints | Array | None:
    """All categories of a series of categories, sorted, used or not; None for other data."""
    if type(value).__module__.partition(".")[0] not in FRAMES or hasattr(value, "columns"):
        return None
    kind = str(getattr(value, "dtype", getattr(value, "type", "")))
    if not kind.lower().startswith(("category", "categorical", "enum", "dictionary")):
        return None
    narwhals = importlib.import_module("narwhals.stable.v2")
    try:
        series = narwhals.from_native(value, series_only=True)
        return np.unique(of_one_kind(np.asarray(series.cat.get_categories().to_numpy())))
    except (TypeError, ValueError, AttributeError):
        return None


# Tables: columns of any kind

FIXED_ZONE = re.compile(r"(?:UTC)?([+-])(\d\d):(\d\d)")
DAY, QUARTER = 86_400, 900  # seconds
CLOCKS = (-62_000_000_000, 253_000_000_000)  # within the years that Python's times have
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?)?")


class Table:
    """Columns of any kind by their names, each an array (N,): what a file of text has.

    Rows are taken by ``table[rows]``, as of an array (N, D).
    """

    ndim: ClassVar[int] = 2
    dtype: ClassVar[np.dtype[Any]] = np.dtype(object)

    def __init__(self, columns: Mapping[str, Array]) -> None:
        self.columns: dict[str, Array] = dict(columns)
        self.shape: tuple[int, int] = (
            len(next(iter(self.columns.values()), ())),
            len(self.columns),
        )

    @property
    def size(self) -> int:
        return self.shape[0] * self.shape[1]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Table:
        return Table({name: values[rows] for name, values in self.columns.items()})


def rows_of(name: str, value: Any, rows: Ints) -> Any:
    """Those rows of an array, of what becomes one, or of a table, which stays one of its kind."""
    if is_frame(value):
        return _frame(value)[rows].to_native()
    return value[rows] if is_table(value) else as_rows(name, value)[rows]


def is_table(value: object) -> bool:
    """Whether a value has columns of their own kinds: a frame, a `Table`, a structured array."""
    structured = isinstance(value, np.ndarray) and value.dtype.names is not None
    return structured or isinstance(value, Table) or is_frame(value)


def table_columns(
    name: str, value: Any, zones: Mapping[str, str | None] | None = None
) -> tuple[dict[str, Array], dict[str, str]]:
    """The columns of a table: float64 with NaN, datetime64[s] with NaT, or objects with None.

    Truth values and text are objects, bool and str; whatever else is refused with the column.
    Times with a zone are what the clocks there show, or those of the column's zone in `zones`,
    where None stands for times without one. The second result has the zones.
    """
    columns: dict[str, Array] = {}
    found: dict[str, str] = {}
    for column, (values, own) in _instants(name, value):
        zone = (zones or {}).get(column, own)
        if values.dtype.kind == "M" and (zone is None) != (own is None):
            trained = "without a zone" if zone is None else f"with a zone, as {zone} in training"
            given = "without" if own is None else f"those of {own}"
            raise ValueError(f"{name}: expected times {trained}, in column {column!r}, got {given}")
        if zone is not None and values.dtype.kind == "M":
            try:
                values, found[column] = _clock_of(values, zone), zone
            except ValueError as error:
                raise ValueError(f"{name}: column {column!r}: {error}") from None
        columns[column] = values
    return columns, found


def _instants(name: str, value: Any) -> Iterator[tuple[str, tuple[Array, str | None]]]:
    """The columns of a table, times with a zone in UTC, and their zones."""
    if isinstance(value, Table):
        given: Mapping[str, Any] = value.columns
    elif isinstance(value, np.ndarray) and value.dtype.names is not None:
        given = {column: value[column] for column in value.dtype.names}
    else:
        for column, series in frame_columns(name, value).items():
            values, zone = _series_values(series)
            yield column, _column(f"{name}: column {column!r}", values, zone)
        return
    for column, values in given.items():
        yield column, _column(f"{name}: column {column!r}", values)


def _series_values(series: Any) -> tuple[Array, str | None]:
    """The values of a series, and the zone of its times; missing ones are None, NaN or NaT."""
    kind, zone = str(series.dtype), getattr(series.dtype, "time_zone", None)
    if kind.startswith(("Categorical", "Enum")):  # of whatever: their names stand for them
        names = [None if _absent(v) else str(v) for v in series.to_list()]
        return np.array(names, object), None
    if zone is not None:
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    plain = kind.startswith(("Int", "UInt", "Float", "Boolean")) and not series.null_count()
    plain = plain and not kind.endswith("128")  # whose values may be small
    if plain or kind.startswith(("Date", "Float")):
        return np.asarray(series.to_numpy()), zone
    values = np.empty(len(series), object)
    values[:] = series.to_list()
    return values, zone


def _column(where: str, values: Array, zone: str | None = None) -> tuple[Array, str | None]:
    """Values as of `table_columns`, and the zone of times."""
    kind = values.dtype.kind
    if kind in "iu":
        _refuse_large(where, values)
    if kind in "fiu":
        return values.astype(np.float64), None
    if kind == "b":
        return values.astype(object), None
    if kind == "M":
        return values.astype("datetime64[s]"), zone
    if kind == "U":
        values = values.astype(object)
    if kind in "OU":
        return _column_of_objects(where, values)
    raise TypeError(f"{where}: expected numbers, dates, truth values or text, got {values.dtype}")


def _column_of_objects(where: str, values: Array) -> tuple[Array, str | None]:
    """Objects of one kind, without those that stand for a missing value, and the zone of times."""
    present = np.array([not _absent(v) for v in values], bool)
    kinds = {type(v) for v in values[present]}
    if not kinds:
        return np.full(len(values), np.nan), None
    if all(issubclass(k, str) for k in kinds):
        return _dates_of_text(values, present), None
    if all(issubclass(k, bool | np.bool_) for k in kinds):
        return _filled(values, present, object, bool), None
    if all(issubclass(k, numbers.Number) and not issubclass(k, complex) for k in kinds):
        if any(isinstance(v, int) and abs(v) > LARGEST_WHOLE for v in values[present]):
            raise ValueError(f"{where}: expected whole numbers within 2**53, got larger ones")
        return _filled(values, present, np.float64, float, np.nan), None
    if all(issubclass(k, dt.date) for k in kinds):
        zones = {_zone_name(v) for v in values[present]}
        if None in zones and len(zones) > 1:
            raise ValueError(f"{where}: expected times that all have a zone, or none, got both")
        out = np.full(len(values), np.datetime64("NaT"), "datetime64[s]")
        out[present] = np.array([_in_utc(v) for v in values[present]], "datetime64[s]")
        return out, zones.pop() if len(zones) == 1 else "UTC"
    got = ", ".join(sorted(k.__name__ for k in kinds))
    if len(kinds) > 1:
        raise TypeError(f"{where}: expected values of one kind, got {got}")
    raise TypeError(f"{where}: expected numbers, dates, truth values or text, got {got}")


def _absent(value: Any) -> bool:
    """Whether it stands for a missing value: None, NaN, NaT, pandas' NA."""
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


def _in_utc(value: dt.date) -> dt.date:
    """A time with a zone as one of UTC, without it; others as they are."""
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        return value
    return value.astimezone(dt.UTC).replace(tzinfo=None)


def _zone_name(value: dt.date) -> str | None:
    """The zone of a time, by a name that `_zone` knows; None without one."""
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        return None
    name = str(value.tzinfo)
    try:
        _zone(name)
    except ValueError:
        return "UTC"
    return name


def _zone(name: str) -> dt.tzinfo:
    """Of a name such as Asia/Seoul, UTC or UTC+02:00."""
    if fixed := FIXED_ZONE.fullmatch(name):
        sign, hours, minutes = fixed.groups()
        offset = dt.timedelta(hours=int(hours), minutes=int(minutes))
        return dt.timezone(-offset if sign == "-" else offset)
    try:
        return dt.UTC if name == "UTC" else zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"expected a zone that this system knows, got {name!r}") from None


def _clock_of(instants: Array, zone: str) -> Array:
    """What the clocks of a zone show at times of UTC."""
    place, out = _zone(zone), instants.copy()
    known = ~np.isnat(instants)
    seconds = instants[known].astype(np.int64)

    def offsets(seconds: Ints, unit: int) -> Ints:
        """At the last whole unit."""
        units, back = np.unique(seconds // unit, return_inverse=True)
        times = np.clip(units * unit, *CLOCKS)
        moments = [dt.datetime.fromtimestamp(int(t), dt.UTC).astimezone(place) for t in times]
        found = [int((m.utcoffset() or dt.timedelta()).total_seconds()) for m in moments]
        return np.array(found, np.int64)[back]

    # By days, which are few; on one in which the clocks change, by quarters of an hour.
    shift = offsets(seconds, DAY)
    changes = shift != offsets(seconds + DAY, DAY)
    shift[changes] = offsets(seconds[changes], QUARTER)
    out[known] = (seconds + shift).astype("datetime64[s]")
    return out


def _filled(values: Array, present: Array, dtype: Any, make: Any, missing: Any = None) -> Array:
    out = np.full(len(values), missing, dtype)
    out[present] = [make(v) for v in values[present]]
    return out


def _dates_of_text(values: Array, present: Array) -> Array:
    """Text, or the dates that all of it are in ISO 8601."""
    if all(ISO_DATE.fullmatch(v) for v in values[present]):
        out = np.full(len(values), np.datetime64("NaT"), "datetime64[s]")
        try:
            out[present] = [np.datetime64(v.removesuffix("Z"), "s") for v in values[present]]
        except ValueError:  # the 31st of April
            return _filled(values, present, object, str)
        return out
    return _filled(values, present, object, str)
