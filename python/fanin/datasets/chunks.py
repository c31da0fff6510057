"""Data larger than memory: chunks of rows, each of which is read when its turn comes."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from fanin._files import FileError
from fanin._typing import PathLike
from fanin._validate import describe, sequence, whole

AT_ONCE = 16  # columns: Arrow reads them with twice their memory, and gives it back late
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
EXPECTED = "(X, y) or (X, y, sample_weight)"


class Chunk(NamedTuple):
    """Some rows, as they are given."""

    X: Any
    y: Any
    sample_weight: Any = None


class Chunks:
    """Rows in chunks, of which `fanin.MLP.fit` holds only a few at a time.

    In each epoch the chunks come in a new order. `window` of them are held and their rows shuffled
    together; then come the next ones. Minibatches go on from one window to the next. The order is
    a function of the network's seed and the epoch, so that the trained bits are the same on each
    machine and for any number of threads; with a single chunk, or a window of all, it is the very
    order of an array in memory. The wider the window, the more alike are the steps to those of
    rows drawn from all data: chunks that are sorted by label want a wide one, or a shuffled file.

    `fit` reads all chunks once before it trains, to check and count them and to fit the
    preprocessing (and once more for each further transformer). Beside the window it holds a few
    minibatches, and with a window of 1 stays below twice a chunk, if what reads a chunk does.

    Parameters
    ----------
    source : sequence or callable
        A sequence of chunks, or of functions without arguments that read them. A chunk is (X, y)
        or (X, y, sample_weight), each what `fanin.MLP.fit` takes; all are of one width and dtype,
        and give the same rows each time. Or else a function without arguments that returns an
        iterable of chunks, such as a generator function: these come in the order that they have,
        and only the rows of a window are shuffled.
    window : int
        How many chunks are held at once.

    Examples
    --------
    >>> from functools import partial
    >>> from fanin.datasets import Chunks
    >>> def read(k):
    ...     rng = np.random.default_rng(k)
    ...     X = rng.standard_normal((500, 2))
    ...     return X, (X[:, 0] > X[:, 1]).astype(int)
    >>> chunks = Chunks([partial(read, k) for k in range(4)], window=2)
    >>> net = fanin.MLP([2, 2])
    >>> history = net.fit(chunks, optimizer="momentum", epochs=3, progress=False)
    >>> net.evaluate(*read(9))["accuracy"] > 0.9
    True
    """

    def __init__(
        self, source: Sequence[Any] | Callable[[], Iterable[Any]], *, window: int = 1
    ) -> None:
        self.window: int = whole("window", window, 1)
        self._items: Sequence[Any] | None = None
        self._start: Callable[[], Iterable[Any]] | None = None
        if callable(source):
            self._start = source
        elif isinstance(source, Iterator):
            raise TypeError(
                f"source: expected what can be read once for each epoch, got {describe(source)}, "
                "which can be read only once; give the function that makes it"
            )
        else:
            self._items = sequence("source", source, "a sequence of chunks or a function")
            if not len(self._items):
                raise ValueError("source: expected at least one chunk, got none")

    def __repr__(self) -> str:
        what = "in the order of a function" if self._items is None else f"{len(self._items)}"
        return f"Chunks({what}, window={self.window})"

    def __len__(self) -> int:
        if self._items is None:
            raise TypeError("chunks: expected a sequence, got a function, whose number is unknown")
        return len(self._items)

    @property
    def in_any_order(self) -> bool:
        """Whether a chunk can be read without those before it."""
        return self._items is not None

    def read(self, order: Iterable[int] | None = None) -> Iterator[Chunk]:
        """Reads the chunks one after another, in an order where they can be `in_any_order`."""
        if self._items is not None:
            for i in range(len(self._items)) if order is None else order:
                item = self._items[i]
                yield _checked(i, item() if callable(item) else item)
            return
        assert self._start is not None
        items = self._start()
        if not isinstance(items, Iterable):
            raise TypeError(f"source: expected a function of an iterable, got {describe(items)}")
        for i, item in enumerate(items):
            chunk = _checked(i, item() if callable(item) else item)
            del item  # while it is in use, only whoever uses it holds it
            yield chunk
            del chunk


def _checked(i: int, item: Any) -> Chunk:
    if not isinstance(item, tuple | list) or len(item) not in (2, 3):
        got = f"{len(item)} of them" if isinstance(item, tuple | list) else describe(item)
        raise TypeError(f"chunk {i}: expected {EXPECTED}, got {got}")
    return Chunk(*item)


def parquet(
    path: PathLike,
    *,
    target: str,
    columns: Sequence[str] | None = None,
    sample_weight: str | None = None,
    window: int = 1,
) -> Chunks:
    """The row groups of a Parquet file, or of all files of a folder, as chunks.

    Read by pyarrow (extra ``parquet``). Columns that are all of one kind of number become rows
    of it, others of float64; a value that is missing, or text, needs a fitted
    `fanin.preprocessing.TableEncoder` as ``preprocess``, which gets frames of pyarrow. A row group
    is held by pyarrow and as rows, three times its size at most with what pyarrow gives back late.

    Parameters
    ----------
    path : str or path
        A file, or a folder whose files ``*.parquet``, also in its folders, are taken by name. What
        folders in it are named by, such as ``year=2020``, is a column, as in Hive.
    target : str
        The column of labels or values.
    columns : sequence of str, optional
        The features; by default all other columns.
    sample_weight : str, optional
        The column of the rows' weights.
    window : int
        As in `Chunks`.

    Raises
    ------
    ValueError
        For a column that is not there, or is feature and target, files of other columns than the
        first's, and no rows. `fanin.FileError` for a file that is no Parquet file.

    Examples
    --------
    >>> chunks = fanin.datasets.parquet("rows.parquet", target="label")  # doctest: +SKIP
    >>> history = fanin.MLP([20, 64, 3]).fit(chunks, epochs=5)  # doctest: +SKIP
    """
    where = Path(os.fspath(path))
    files = sorted(where.rglob("*.parquet")) if where.is_dir() else [where]
    if not files or not files[0].exists():
        raise ValueError(f"path: expected a Parquet file, or a folder of *.parquet, got {where}")
    items: list[Callable[[], Chunk]] = []
    features: list[str] = []
    keys = _keys_of_folders(where, files)
    for file, known in zip(files, keys, strict=True):
        with _opened(file) as opened:
            names = [*opened.schema_arrow.names, *known]
            if twice := [name for name in names if names.count(name) > 1]:
                raise ValueError(f"path: expected one column {twice[0]!r}, got two of {file}")
            own = _features(names, target, columns, sample_weight)
            if features and own != features:
                raise ValueError(f"path: expected the columns of {files[0]} in {file}, got {own}")
            features, groups = own, opened.metadata
            filled = [i for i in range(groups.num_row_groups) if groups.row_group(i).num_rows]
        items += [partial(_row_group, file, i, own, target, sample_weight, known) for i in filled]
    if not items:
        raise ValueError(f"path: expected rows in {where}, got none")
    return Chunks(items, window=window)


def _pyarrow() -> Any:
    try:
        return importlib.import_module("pyarrow")
    except ImportError:
        raise ImportError("parquet: expected pyarrow: pip install fanin[parquet]") from None


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """A Parquet file, read by pyarrow."""
    pyarrow, pq = _pyarrow(), importlib.import_module("pyarrow.parquet")
    try:
        with pq.ParquetFile(file) as opened:
            yield opened
    except pyarrow.ArrowInvalid as error:
        raise FileError(file, f"expected a Parquet file: {error}") from None


def _features(
    names: Sequence[str], target: str, columns: Sequence[str] | None, sample_weight: str | None
) -> list[str]:
    """The columns of features of a file, whose columns are all there."""
    others = [target] if sample_weight is None else [target, sample_weight]
    if target == sample_weight:
        raise ValueError(f"sample_weight: expected another column than the target {target!r}")
    wanted = None if columns is None else list(sequence("columns", columns, "a list of names"))
    for name, given in (("target", others[:1]), ("sample_weight", others[1:]), ("columns", wanted)):
        for one in given or ():
            if one not in names:
                raise ValueError(f"{name}: expected one of {', '.join(names)}; got {one!r}")
    for one in wanted or ():
        if one in others:
            raise ValueError(f"columns: expected features, got {one!r}, the target or the weights")
    if wanted is not None and not 0 < len(set(wanted)) == len(wanted):
        raise ValueError(f"columns: expected different names, one at least, got {wanted}")
    return [name for name in names if name not in others] if wanted is None else wanted


def _keys_of_folders(where: Path, files: Sequence[Path]) -> list[dict[str, Any]]:
    """What the folders of each file say by names such as ``year=2020``, as Arrow's scalars."""
    texts = [
        dict(part.split("=", 1) for part in file.relative_to(where).parts[:-1] if "=" in part)
        for file in files
    ]
    keys: list[dict[str, Any]] = [{} for _ in files]
    for name in dict.fromkeys(name for text in texts for name in text):
        pyarrow = _pyarrow()
        given = [text.get(name, NO_VALUE) for text in texts]
        values = pyarrow.array([None if one == NO_VALUE else unquote(one) for one in given])
        with contextlib.suppress(pyarrow.ArrowInvalid):
            values = values.cast(pyarrow.int32())
        for key, text, value in zip(keys, texts, values, strict=True):
            if name in text:
                key[name] = value
    return keys


def _row_group(
    file: Path,
    group: int,
    features: list[str],
    target: str,
    sample_weight: str | None,
    known: Mapping[str, Any],
) -> Chunk:
    """One row group as a chunk, of which nothing else is held."""
    pyarrow = _pyarrow()
    wanted = [*features, target, *([] if sample_weight is None else [sample_weight])]
    names = [name for name in wanted if name not in known]
    with _opened(file) as opened:
        rows = opened.metadata.row_group(group).num_rows
        parts = [
            opened.read_row_group(group, columns=names[i : i + AT_ONCE])
            for i in range(0, len(names), AT_ONCE)
        ]
    columns = {name: part[name] for part in parts for name in part.schema.names}
    for name, value in known.items():
        columns[name] = pyarrow.chunked_array([pyarrow.repeat(value, rows)])
    del parts
    weights = None if sample_weight is None else columns[sample_weight]
    X = pyarrow.table([columns[name] for name in features], names=features)
    return Chunk(X, columns[target], weights)


def is_dask(value: object) -> bool:
    """Whether a value is a Dask array."""
    return type(value).__module__.startswith("dask.array")


def dask_chunks(X: Any, y: Any, sample_weight: Any = None) -> Chunks:
    """The blocks of rows of a Dask array as chunks; y and the weights may be arrays in memory."""
    for name, value in (("X", X), ("y", y), ("sample_weight", sample_weight)):
        if is_dask(value) and not (value.ndim and all(n == n for n in value.chunks[0])):
            raise ValueError(
                f"{name}: expected a Dask array with chunks of known lengths, got unknown ones; "
                "compute_chunk_sizes() finds them"
            )
    lengths = X.chunks[0]
    if not sum(lengths):
        raise ValueError(f"X: expected a Dask array with rows, got shape {X.shape}")
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None and len(value) != sum(lengths):
            raise ValueError(f"{name}: expected {sum(lengths)} of them, got {len(value)}")
    if y is None:
        raise ValueError("y: expected targets beside the Dask array X, got None")
    ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    parts = [slice(end - n, end) for n, end in zip(lengths, ends, strict=True) if n]
    return Chunks([partial(_dask_chunk, X, y, sample_weight, part) for part in parts])


def _dask_chunk(X: Any, y: Any, sample_weight: Any, part: slice) -> Chunk:
    weights = None if sample_weight is None else _computed(sample_weight[part])
    return Chunk(_computed(X[part]), _computed(y[part]), weights)


def _computed(value: Any) -> Any:
    return value.compute() if hasattr(value, "compute") else value
