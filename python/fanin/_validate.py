"""Checks of arguments; errors name the argument, what was expected and what was given."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fanin import _core
from fanin._typing import Array, Labels
from fanin.arrays import LARGE_MAP, SparseRows, as_array, as_rows, blocks, large_maps, release
from fanin.arrays import describe as describe

T = TypeVar("T")


class FixedList(list[T]):
    """A list that refuses changes, for what would not follow them; a copy of it is a plain list."""

    def _refuse(self, *_: object, **__: object) -> Any:
        raise TypeError(f"expected {list(self)!r} to stay as it is: nothing would follow a change")

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = extend = insert = pop = remove = clear = sort = reverse = _refuse

    def __reduce__(self) -> tuple[type[list[T]], tuple[list[T]]]:
        return list, (list(self),)


def read_only(owner: object, name: str, names: Iterable[str], instead: str) -> None:
    """Refuses to set an attribute of these names again; `instead` says what to do."""
    if name in names and name in vars(owner):
        raise AttributeError(f"{name}: read-only, since nothing would follow: {instead}")


def one_of(name: str, value: str, known: Iterable[str]) -> str:
    """``value``, where it is one of the known names."""
    known = list(known)
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(known)}; got {value!r}")
    return value


def whole(name: str, value: object, low: int, high: int | None = None) -> int:
    """``value`` as an int within [low, high]."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected a whole number, got {value!r}")
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name}: expected a whole number, got {value!r}") from None
    if number < low or (high is not None and number > high):
        bound = f"at least {low}" if high is None else f"between {low} and {high}"
        # Python writes no longer int as text.
        got = number if abs(number) < 10**4300 else f"an int of {number.bit_length()} bits"
        raise ValueError(f"{name}: expected {bound}, got {got}")
    return number


def sequence(name: str, value: Any, expected: str) -> Sequence[Any]:
    """``value``, where it is a list or tuple."""
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise TypeError(f"{name}: expected {expected}, got {describe(value)}")
    return value


def pair(name: str, value: Any, expected: str) -> tuple[Any, Any]:
    """``value``, where it is a list or tuple of two."""
    given = sequence(name, value, expected)
    if len(given) != 2:
        raise ValueError(f"{name}: expected {expected}, got {len(given)} of them")
    return given[0], given[1]


def real(name: str, value: float, low: float, *, above: bool = False) -> float:
    """``value`` as a finite float that is at least (or ``above``) ``low``."""
    if isinstance(value, (str, bool, np.bool_)):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected a number, got {value!r}") from None
    except OverflowError:
        raise ValueError(f"{name}: expected at most 1.8e308, got a larger int") from None
    if not math.isfinite(number) or number < low or (above and number == low):
        bound = "above" if above else "at least"
        raise ValueError(f"{name}: expected {bound} {low}, got {value!r}")
    return number


def boolean(name: str, value: object) -> bool:
    """True or False, and nothing that merely counts as one."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
    return bool(value)


def batch_rows(norm: str | None, n_rows: int) -> None:
    """Refuses rows X that batch norm could not take statistics of."""
    if norm == "batch" and n_rows < 2:
        raise ValueError(f"X: expected at least 2 rows with norm='batch', got {n_rows}")


def keep_probability(name: str, value: float) -> float:
    """The probability of keeping a unit: in (0, 1]."""
    if type(value) is float and 0 < value <= 1:
        return value
    number = real(name, value, 0.0, above=True)
    if number > 1:
        raise ValueError(f"{name}: expected a probability of keeping in (0, 1], got {value!r}")
    return number


def threads(n_threads: int | None) -> int:
    """``n_threads`` as the core takes it: 0 for the default."""
    return 0 if n_threads is None else whole("n_threads", n_threads, 1, 256)


def known_dtype(name: str, dtype: npt.DTypeLike, *known: str) -> np.dtype[Any]:
    """The dtype, where it is one of those named."""
    expected = f"{name}: expected {' or '.join(known)}"
    try:
        result = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"{expected}, got {dtype!r}") from None
    if result not in map(np.dtype, known):
        raise ValueError(f"{expected}, got {result}")
    return result


def float_dtype(name: str, dtype: npt.DTypeLike) -> np.dtype[Any]:
    """float32 or float64."""
    return known_dtype(name, dtype, "float32", "float64")


def plain_array(name: str, value: object) -> Array:
    """An ndarray that is neither masked, of objects nor byte-swapped."""
    if type(value) is np.ndarray and value.dtype.isnative:
        return value
    if isinstance(value, np.ma.MaskedArray):
        expected, got = "a plain array", "a masked array; fill or drop its mask"
    elif not isinstance(value, np.ndarray):
        expected, got = "a NumPy array", describe(value)
    elif not value.dtype.isnative:
        expected, got = "native byte order", describe(value)
    else:
        return value
    raise TypeError(f"{name}: expected {expected}, got {got}")


def float_array(name: str, value: object) -> Array:
    """A plain array of float32 or float64 as the core reads it."""
    array = plain_array(name, value)
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(f"{name}: expected float32 or float64, got {describe(array)}")
    check_memory(f"{name}: expected {array.dtype}", name, array)
    return array


def array_of(name: str, value: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A plain array of a shape and a dtype."""
    array = plain_array(name, value)
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name}: expected shape {shape} {dtype}, got {describe(array)}")
    return array


def cast(name: str, array: Array, dtype: np.dtype[Any]) -> Array:
    """A C-contiguous copy in dtype, in which every value must be finite."""
    with np.errstate(over="ignore"):
        result = np.array(array, dtype=dtype, order="C")
    if not np.isfinite(result).all():
        raise ValueError(f"{name}: expected finite values in {dtype}, got others")
    return result


LARGEST = {np.dtype(t): float(np.finfo(t).max) for t in (np.float32, np.float64)}


def finite_range(name: str, rows: Array | SparseRows, dtype: np.dtype[Any]) -> tuple[float, float]:
    """(lowest, highest) of rows in which every value must be finite in dtype; in one pass."""
    low, high, finite = extremes(rows)
    most = LARGEST[dtype]
    if not finite or low < -most or high > most:
        first = 0
        for block in blocks(rows, block_rows(rows)):
            good = np.abs(block) <= np.float64(most)  # as a float it would become the block's dtype
            if not good.all():
                row, column = divmod(int(np.argmin(good)), rows.shape[1])
                where = f"{block[row, column]} in row {first + row}, column {column}"
                raise ValueError(f"{name}: expected finite values, got {where}")
            first += len(block)
    return low, high


def block_rows(rows: Array | SparseRows) -> int:
    """How many rows are copied at once, where they must be: 2**18 values."""
    width: int = rows.shape[1]
    return max(1, 2**18 // max(width, 1))


def extremes(rows: Array | SparseRows) -> tuple[float, float, bool]:
    """(lowest, highest, whether all are finite) of rows as they lie."""
    if isinstance(rows, SparseRows):
        if not rows.values.size:
            return 0.0, 0.0, True
        low, high, finite = _core.extremes(rows.values)
        some = rows.values.size < rows.size
        return (min(low, 0.0), max(high, 0.0), finite) if some else (low, high, finite)
    maps = large_maps(rows) if rows.nbytes >= LARGE_MAP else []
    flags = rows.flags
    if flags.forc and flags.aligned and not maps:  # in whatever order
        return _core.extremes(rows if flags.c_contiguous else rows.T)
    found = []
    for block in blocks(rows, block_rows(rows)):
        found.append(_core.extremes(block))
        release(maps)
    lows, highs, finite_parts = zip(*found, strict=True)
    return min(lows), max(highs), all(finite_parts)


def check_memory(expected: str, name: str, array: Array) -> None:
    """Raises where an array is not C-contiguous and aligned; expected: how the message begins."""
    if not array.flags.c_contiguous:
        raise ValueError(
            f"{expected} C-contiguous, got strides {array.strides}; "
            f"np.ascontiguousarray({name}) makes a copy that fits"
        )
    if not array.flags.aligned:
        raise ValueError(f"{expected} aligned to its items, got an unaligned array")


KINDS = tuple(np.dtype(t) for t in (np.uint8, np.float32, np.float64))  # that the core reads


def row_view(name: str, array: Any, columns: int) -> Any:
    """Data (N, columns) or (N, ...) as a view of rows: uint8, float32 or float64, finite or not.

    With whatever strides they have; rows of more axes whose values are no equal step apart are
    copied. Sparse rows stay sparse. The data are as `as_rows` has made them.
    """
    shape, known = array.shape, array.dtype in KINDS
    if known and shape and shape[0] and array.size == shape[0] * columns:
        return array if shape[1:] == (columns,) else array.reshape(shape[0], columns)
    expected = f"{name}: expected shape (N, {columns}) uint8, float32 or float64"
    if not known:
        raise TypeError(f"{expected}, got {describe(array)}")
    if shape and array.size == shape[0] * columns:
        expected += " with at least one row"
    raise ValueError(f"{expected}, got {describe(array)}")


def data_rows(name: str, value: object, columns: int, dtype: np.dtype[Any]) -> Any:
    """`row_view` of uint8, or of floats that are finite in dtype."""
    rows = row_view(name, as_rows(name, value), columns)
    if rows.dtype != np.uint8:
        finite_range(name, rows, dtype)
    return rows


def numbers(name: str, value: object) -> Any:
    """An array of numbers, or sparse rows, in a dtype that the core reads, with the same values.

    Whole numbers and truth values from 0 to 255 become uint8, others float32 or, beyond 2**24,
    float64; float16 becomes float32.
    """
    array = as_rows(name, value)
    if isinstance(array, SparseRows):
        values = _readable(name, array.values)
        return SparseRows(values, array.columns, array.starts, array.shape[1])
    return _readable(name, array)


def _readable(name: str, array: Array) -> Array:
    if array.dtype in KINDS or array.size == 0 or array.ndim == 0:
        return array
    kind = array.dtype.kind
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if kind == "b":
        return array.astype(np.uint8)
    if kind not in "iu":
        return array
    low, high = int(array.min()), int(array.max())
    if low >= 0 and high <= 255:
        return array.astype(np.uint8)
    most = max(-low, high)
    if most > 2**53:
        raise ValueError(f"{name}: expected whole numbers within 2**53, got {most}")
    return array.astype(np.float32 if most <= 2**24 else np.float64)


def labels(name: str, value: object, n_rows: int, n_classes: int) -> Labels:
    """Integer labels (N,) in 0 .. n_classes - 1, as int32."""
    array = plain_array(name, value)
    if array.shape != (n_rows,):
        raise ValueError(f"{name}: expected shape ({n_rows},) of labels, got {describe(array)}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected whole numbers as labels, got {describe(array)}")
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= n_classes:
        row = int(np.argmax((array < 0) | (array >= n_classes)))
        where = f"{array[row]} in row {row}"
        raise ValueError(f"{name}: expected labels in 0 .. {n_classes - 1}, got {where}")
    return np.ascontiguousarray(array, dtype=np.int32)


def weights(
    value: object, n_rows: int, dtype: np.dtype[Any], name: str = "sample_weight"
) -> Array | None:
    """Sample weights (N,), finite, at least 0 and not all 0, in dtype; None stays None."""
    if value is None:
        return None
    array = as_array(name, value)
    if array.shape != (n_rows,) or array.dtype.kind not in "fiu":
        raise ValueError(f"{name}: expected shape ({n_rows},) of numbers, got {describe(array)}")
    result = cast(name, array, dtype)
    if (result < 0).any() or not result.any():
        raise ValueError(f"{name}: expected finite weights, at least 0 and not all 0")
    return result


def per_layer(
    name: str, value: T | Sequence[T], n_layers: int, check: Callable[[str, T], T]
) -> list[T]:
    """A list of one value for each hidden layer, checked, from such a list or one value for all."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return FixedList([check(name, value)] * n_layers)
    if len(value) != n_layers:
        expected = f"one value or {n_layers}, one for each hidden layer"
        raise ValueError(f"{name}: expected {expected}; got {len(value)}")
    return FixedList(check(name, v) for v in value)
