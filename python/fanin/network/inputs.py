"""How data enter a network: transformers first, then (mean, scale) inside the native loop.

`Inputs.rows` checks the data (`Inputs.first_rows` those to fit on), `Inputs.fit` or
`Inputs.transform` applies the transformers, and the engine takes the result. All of it goes by the
values: the same numbers of another dtype give the same bits, wherever float32 (or the network's
dtype) holds them exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fanin import _core
from fanin._core import TrainingData
from fanin._runtime import warn_caller
from fanin._typing import Array, Floats
from fanin._validate import cast, finite_range, numbers, one_of, row_view
from fanin.arrays import SparseRows, Table, as_rows, column_names
from fanin.preprocessing import PCA, Normalize, Preprocess, TableEncoder, Whiten, ZeroCenter
from fanin.preprocessing.base import Columnwise, Transformer
from fanin.preprocessing.transformers import standardization

KINDS: dict[str, type[Transformer]] = {
    kind.__name__: kind for kind in (ZeroCenter, Normalize, PCA, Whiten, TableEncoder)
}
BLOCK = 2**22  # values that are transformed at once

Parts = Callable[[Callable[[Array], object]], None]  # each(use): a pass over rows in parts

# Units differ by 16 and more (bytes, pixels from 0 to 16, thousands); the largest value of a sample
# is rarely ten times that of another: once in eleven times at tails of 1 / x, which are extreme.
FAR = 10.0
# A few dark images are nothing strange: too small are many rows, by the square of that.
FAR_BELOW, ENOUGH_ROWS = 100.0, 16
# What `data_report` calls far from 1; pixels up to 16 train about as well as standardised ones.
TOO_LARGE = 30.0
# Such pixels divided by 255 end at 0.06, and 15 points of accuracy behind after five epochs.
TOO_SMALL = 0.1


class UnitsWarning(UserWarning):
    """Data in other units than those of training, or than a network is made for.

    Examples
    --------
    >>> import warnings
    >>> net = fanin.MLP([2, 2])
    >>> X = np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> history = net.fit(X, np.array([0, 1]), epochs=1, progress=False)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     _ = net.predict(1000 * X)
    >>> caught[0].category.__name__
    'UnitsWarning'
    """


@dataclass(frozen=True, eq=False)
class Inputs:
    """The preprocessing of a network of that width and dtype.

    The last transformers, which work column by column, are composed to one (mean, scale); without
    transformers these are the user's, or of "standardize".
    """

    width: int
    dtype: np.dtype[Any]
    columns: int  # of data, before any step
    steps: tuple[Transformer, ...] = ()
    mean: Floats | None = None  # rows enter the first layer as (x - mean) * scale
    scale: Floats | None = None
    to_fit: tuple[Transformer, ...] = ()  # until `fit`
    standardize: bool = False  # likewise: mean and scale are to be those of the data
    automatic: bool = False  # likewise: for bytes, one mean and one scale
    range: tuple[float, float] | None = None  # of the training data's values; None before any
    shape: tuple[int, ...] | None = None  # of an image in training; None where rows were flat
    stored: np.dtype[Any] | None = None  # the training data's dtype, as the core read them
    names: tuple[str, ...] | None = None  # of the columns of a frame, in training
    table: TableEncoder | None = None  # makes the columns, of frames; fitted

    @classmethod
    def plain(cls, width: int, dtype: np.dtype[Any]) -> Inputs:
        """No preprocessing."""
        return cls(width, dtype, width)

    @classmethod
    def of(cls, steps: Sequence[Transformer], width: int, dtype: np.dtype[Any]) -> Inputs:
        """From fitted steps, the last of them composed in float64."""
        mean = scale = None
        before = _until_columnwise(steps)
        for step in steps[len(before) :]:
            assert isinstance(step, Columnwise)
            m, s = step.mean_and_scale()
            if mean is None or scale is None:
                mean, scale = m, s
            else:
                mean, scale = mean + m / scale, scale * s
        columns = before[0].n_features_in_ if before else width
        return cls(width, dtype, columns, tuple(steps))._with(mean, scale)

    def _with(self, mean: Floats | None, scale: Floats | None) -> Inputs:
        for value in (mean, scale):
            if value is not None:
                cast("preprocess", value, self.dtype)
                value.flags.writeable = False  # the network's, which `preprocess` shows
        return replace(self, mean=mean, scale=scale)

    def read(self, name: str, X: Any) -> tuple[Any, tuple[str, ...] | None]:
        """X as an array or sparse rows, and the names of a frame's columns.

        Where a `TableEncoder` comes first, it makes the array.
        """
        if self.table is not None:
            return self.table.encode(X, self.dtype, name), None
        if isinstance(X, Table):
            raise TypeError(
                f"{name}: expected numbers, got a table with columns of other kinds; "
                "preprocess=fanin.preprocessing.TableEncoder() takes them"
            )
        return as_rows(name, X), column_names(X)

    def requested(self, preprocess: Preprocess | None, X: Any) -> Inputs:
        """From the ``preprocess`` argument, checked, not yet fitted on X but for a `TableEncoder`.

        X is then to be `read` by what this gives.
        """
        steps = None if isinstance(preprocess, str) else transformers(preprocess)
        if not steps or not isinstance(steps[0], TableEncoder):
            return self._requested(preprocess, X)
        first = steps[0]
        fits = not first.__sklearn_is_fitted__()
        table = type(first)(**first.get_params()).fit(X) if fits else first.frozen()
        encoded = np.empty((0, table.n_features_out_), self.dtype)
        found = self._requested(steps[1:] or None, encoded)
        if found.columns != table.n_features_out_:
            raise ValueError(
                f"preprocess: expected {found.columns} features, the network's dims[0], from "
                f"{first!r}, got {table.n_features_out_}: MLP([encoder.n_features_out_, ...]) of a "
                "fitted encoder"
            )
        return replace(found, table=table)

    def _requested(self, preprocess: Preprocess | None, X: Any) -> Inputs:
        shape = _image_shape(X)
        if self.shape is not None and (shape is None or math.prod(shape) == math.prod(self.shape)):
            shape = self.shape  # that of the weights, whatever the preprocessing
        if isinstance(preprocess, str) and preprocess == "auto" and self.range is not None:
            return replace(self, shape=shape)
        plain = replace(Inputs.plain(self.width, self.dtype), shape=shape)
        if preprocess is None:
            return plain
        if isinstance(preprocess, str):
            how = one_of("preprocess", preprocess, ["auto", "standardize"])
            return replace(plain, automatic=how == "auto", standardize=how == "standardize")
        steps = transformers(preprocess)
        if steps is None:
            return plain._with(*_pair(preprocess, self.width))
        columns = self.width
        if _until_columnwise(steps):
            if steps[0].__sklearn_is_fitted__():
                columns = steps[0].n_features_in_
            else:
                given = getattr(X, "shape", ())[1:]
                columns = (math.prod(given) if given else 0) or self.width
        return replace(plain, columns=columns, to_fit=tuple(steps))

    @cached_property
    def before(self) -> Sequence[Transformer]:
        """The steps that the native loop cannot do."""
        return _until_columnwise(self.steps)

    @cached_property
    def needs_doubles(self) -> bool:
        """Whether float32 is too coarse for a mean: off by over 2**-10 of the scale."""
        if self.mean is None or self.scale is None:
            return False
        off = (self.mean.astype(self.dtype).astype(np.float64) - self.mean) * self.scale
        return bool((np.square(off) > 2**-20).any())

    def rows(self, X: Any, name: str = "X", columns: int | None = None) -> Array:
        """X as rows before any step, checked; images to be cropped have own columns.

        A view, or for a dtype that the core does not read, a copy in one that holds the values.
        """
        names = None
        if type(X) is not np.ndarray or self.table is not None:
            X, names = self.read(name, X)
        return self._checked(X, name, columns, names)[0]

    def first_rows(
        self,
        X: Any,
        name: str = "X",
        columns: int | None = None,
        names: tuple[str, ...] | None = None,
    ) -> tuple[Inputs, Array]:
        """`rows` of what `read` gave, and the inputs with their range and dtype.

        These are set where no data had set them before.
        """
        rows, ends = self._checked(X, name, columns, names)
        if self.range is not None:
            return self, rows
        return replace(self, range=ends, stored=rows.dtype, names=names), rows

    def _checked(
        self, X: Any, name: str, columns: int | None, names: tuple[str, ...] | None
    ) -> tuple[Array, tuple[float, float]]:
        """Rows, and their least and largest value."""
        cropped, columns = columns is not None, self.columns if columns is None else columns
        self._check_names(name, names)
        X = numbers(name, X)
        if X.ndim > 0 and columns != self.width and X.size != len(X) * columns:
            raise ValueError(
                f"{name}: expected shape (N, {columns}), which preprocessing makes "
                f"{self.width} features, got {X.shape} {X.dtype}"
            )
        rows = row_view(name, X, columns)
        if self.shape is not None and not cropped:
            self.check_shape(name, X.shape[1:])
        low, high = finite_range(name, rows, self.dtype)
        if self.range is not None:
            self._check_range(name, low, high, len(rows))
        return rows, (low, high)

    def _check_names(self, name: str, names: tuple[str, ...] | None) -> None:
        """Refuses a frame whose columns are others than those of training, or in another order."""
        if names is None or self.names is None or names == self.names:
            return
        missing = [one for one in self.names if one not in names]
        new = [one for one in names if one not in self.names]
        if missing or new:
            got = f"without {missing[0]!r}" if missing else f"with {new[0]!r} too"
        else:
            first = next(i for i, one in enumerate(names) if one != self.names[i])
            got = f"{names[first]!r} where {self.names[first]!r} was"
        raise ValueError(
            f"{name}: expected the {len(self.names)} columns of the training data in their order, "
            f"got a frame {got}"
        )

    def check_shape(self, name: str, shape: tuple[int, ...]) -> None:
        """Refuses images of another shape than those of training; flat rows have none."""
        if self.shape is None or len(shape) == 1:
            return
        own, given = ([n for n in s if n != 1] for s in (self.shape, shape))
        if own != given and len(given) > 1:
            raise ValueError(
                f"{name}: expected images of shape {self.shape}, as in training, or rows "
                f"(N, {math.prod(self.shape)}) in that order, got images of shape {shape}"
            )

    def _check_range(self, name: str, low: float, high: float, n: int) -> None:
        """Warns of values far outside those of training."""
        assert self.range is not None
        least, most = self.range
        if least <= low and high <= most and n < ENOUGH_ROWS:
            return
        reach, trained = max(-low, high), max(-least, most)
        small = reach * FAR_BELOW < trained < math.inf and n >= ENOUGH_ROWS and reach > 0
        if least <= low and high <= most and not small:
            return
        beyond, width = max(least - low, high - most), most - least
        if small or reach > FAR * trained:
            hint = "divided twice?" if min(reach, trained) < 1 / FAR else "not divided?"
            ends = f"reaches {reach:.4g}, training data reached {trained:.4g}: {hint}"
        elif beyond > FAR * width > 0:
            ends = (
                f"goes from {low:.4g} to {high:.4g}, training data from {least:.4g} to {most:.4g}"
            )
        else:
            return
        warn_caller(f"{name} {ends}", UnitsWarning)

    def transform(self, data: TrainingData, n_threads: int | None = None) -> TrainingData:
        """Checked data as the engine takes them."""
        return self._with_rows(data, self._transformed(data.X, n_threads))

    def blocks(self, rows: Array, n_threads: int | None = None) -> Iterator[TrainingData]:
        """Checked rows as the engine takes them, in blocks: they are copied."""
        for block in blocks(rows):
            yield self.entering(self._transformed(block, n_threads))

    def entering(self, rows: Array) -> TrainingData:
        """Rows that are through the steps `before`, as the engine takes them."""
        return TrainingData(self._entered(rows), self.mean, self.scale)

    def _transformed(self, rows: Array, n_threads: int | None) -> Array:
        """The rows after the steps that the native loop cannot do, in the network's dtype.

        Rows of float64 that float32 does not hold stay float64.
        """
        if not self.before:
            return rows
        single = float32_holds(rows)
        if self.dtype == np.float64 or single.all():
            return transform_rows(self.before, rows, n_threads, self.dtype)
        out = transform_rows(self.before, rows, n_threads)
        if single.any():
            some = np.ascontiguousarray(dense(rows[single]))
            out[single] = transform_rows(self.before, some, n_threads, self.dtype)
        return out

    def fit(self, data: TrainingData, n_threads: int | None = None) -> tuple[Inputs, TrainingData]:
        """Inputs fitted on checked `first_rows`, and these as the engine takes them."""
        own = replace(self, to_fit=(), standardize=False, automatic=False)
        if self.to_fit:
            self._foresee(self.to_fit, data.X.shape[1])
            combines = bool(_until_columnwise(self.to_fit))
            wide = self.dtype == np.float64
            same = not combines if wide else bool(float32_holds(data.X).all())
            steps, rows = fitted(self.to_fit, data.X, n_threads, self.dtype if same else None)
            self._require_width(steps, steps[-1].n_features_out_, data.X.shape[1])
            made = Inputs.of(steps, self.width, self.dtype)
            own = own._taking(made)
            if combines and wide:
                rows = own._transformed(data.X, n_threads)
            return own, own._with_rows(data, rows)
        if self.standardize:
            own = own._with(*standardization(data.X))
        elif self.automatic:
            own = own._with(*(automatic(data.X, n_threads) or (None, None)))
        return own, own.transform(data, n_threads)

    def fit_parts(self, each: Parts, n_threads: int | None = None) -> Inputs:
        """Inputs fitted on checked `first_rows` that come in parts.

        ``each(use)`` is a pass that calls ``use(rows)`` with each part: there is one pass, or one
        for each transformer to fit.
        """
        own = replace(self, to_fit=(), standardize=False, automatic=False)
        if self.to_fit:
            self._foresee(self.to_fit, self.columns)
            steps = _fitted_on_parts(self.to_fit, each, n_threads, self.dtype)
            self._require_width(steps, steps[-1].n_features_out_, self.columns)
            return own._taking(Inputs.of(steps, self.width, self.dtype))
        if self.standardize:
            moments = Normalize(n_threads=n_threads)
            each(moments.partial_fit)
            return own._with(*moments.mean_and_scale())
        if self.automatic:
            of_bytes = ByteMoments(n_threads)
            each(of_bytes.add)
            return own._with(*(of_bytes.mean_and_scale() or (None, None)))
        each(lambda _: None)
        return own

    def _taking(self, made: Inputs) -> Inputs:
        """Other preprocessing, with what is known of the data."""
        return replace(
            made,
            range=self.range,
            shape=self.shape,
            stored=self.stored,
            names=self.names,
            table=self.table,
        )

    def _with_rows(self, data: TrainingData, rows: Array) -> TrainingData:
        rows = self._entered(rows)
        held = data.labels, data.soft, data.weights, data.positive
        return TrainingData(rows, self.mean, self.scale, *held)

    def _entered(self, rows: Array) -> Array:
        return rows.astype(np.float64, copy=False) if self.needs_doubles else rows

    def _foresee(self, steps: Sequence[Transformer], columns: int) -> None:
        """Refuses, before the work, steps that cannot end in the network's width."""
        width: int | None = columns
        for step in steps:
            if step.__sklearn_is_fitted__():
                width = step.n_features_out_
            elif step.combines_columns and getattr(step, "method", "pca") == "pca":
                count = getattr(step, "n_components", None)
                width = int(count) if isinstance(count, int | np.integer) else None
        if width is not None:
            self._require_width(steps, width, columns)

    def _require_width(self, steps: Sequence[Transformer], width: int, columns: int) -> None:
        if width != self.width:
            names = ", ".join(map(repr, steps))
            raise ValueError(
                f"preprocess: expected {self.width} features, the network's dims[0], after "
                f"{names}; got {width} from the {columns} of X"
            )


def transformers(preprocess: object) -> list[Transformer] | None:
    """The transformers given, each one of ours; None where something else was given."""
    many = isinstance(preprocess, list | tuple)
    items: list[Any] = list(preprocess) if many else [preprocess]  # type: ignore[call-overload]
    if not any(hasattr(item, "transform") for item in items):
        return None
    late = [item for item in items[1:] if isinstance(item, TableEncoder)]
    if late:
        raise ValueError(f"preprocess: expected {late[0]!r} first, since it takes frames")
    for i, item in enumerate(items):
        if type(item) not in KINDS.values():
            known = ", ".join(f"{kind}()" for kind in KINDS)
            got = f"the class {item.__name__}" if isinstance(item, type) else repr(item)
            raise TypeError(
                f"preprocess{f'[{i}]' if many else ''}: expected {known} of fanin.preprocessing, "
                f"which are saved with the network, got {got}; "
                "apply any other transformer to X before it comes here"
            )
    return items


def _pair(preprocess: Any, width: int) -> tuple[Floats, Floats]:
    """(mean, scale), both of one value or one a column."""
    try:
        mean, scale = (np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in preprocess)
    except (TypeError, ValueError):
        raise ValueError(
            "preprocess: expected 'auto', None, 'standardize', transformers of "
            f"fanin.preprocessing or (mean, scale), got {preprocess!r}"
        ) from None
    for value in (mean, scale):
        if value.shape not in ((1,), (width,)) or not np.isfinite(value).all():
            raise ValueError(
                f"preprocess: expected mean and scale of one finite value or {width} each, "
                f"got shape {value.shape}"
            )
    shape = (max(mean.size, scale.size),)
    return np.broadcast_to(mean, shape).copy(), np.broadcast_to(scale, shape).copy()


def _until_columnwise(steps: Sequence[Transformer]) -> Sequence[Transformer]:
    """The steps up to the last that combines columns."""
    return steps[: max((i for i, step in enumerate(steps, 1) if step.combines_columns), default=0)]


def blocks(rows: Array) -> Iterator[Array]:
    """Parts of many rows, the first long enough for a variance."""
    step = max(16, BLOCK // rows.shape[1])
    return (dense(rows[begin : begin + step]) for begin in range(0, len(rows), step))


def dense(rows: Array | SparseRows) -> Array:
    """Rows of any strides as they are, sparse ones as an array."""
    return np.asarray(rows)


def automatic(rows: Array, n_threads: int | None = None) -> tuple[Floats, Floats] | None:
    """``preprocess="auto"``: one mean and one scale of bytes; None for floats, as they are.

    Pixels share their units: one that is nearly always 0 stays so. Floats warn if badly scaled.
    """
    moments = ByteMoments(n_threads)
    moments.add(rows)
    return moments.mean_and_scale()


class ByteMoments:
    """Mean and deviation of all values of rows of bytes that come in parts."""

    def __init__(self, n_threads: int | None = None) -> None:
        self.threads: int = n_threads or 0
        self.count: int = 0
        self.mean: float = 0.0
        self.squares: float = 0.0
        self.bytes_only: bool = True

    def add(self, rows: Array) -> None:
        if rows.dtype != np.uint8:
            if self.bytes_only:
                _warn_badly_scaled(rows)
            self.bytes_only = False
        if not self.bytes_only:
            return
        mean = float(_core.column_sums(rows, None, False, self.threads).sum() / rows.size)
        about = np.full(rows.shape[1], mean)
        self.squares += float(_core.column_sums(rows, about, True, self.threads).sum())
        count, delta = self.count + rows.size, mean - self.mean
        if self.count:
            self.squares += delta**2 * (self.count * (rows.size / count))
            mean = self.mean + delta * (rows.size / count)
        self.count, self.mean = count, mean

    def mean_and_scale(self) -> tuple[Floats, Floats] | None:
        if not self.bytes_only:
            return None
        std = math.sqrt(self.squares / self.count)
        return np.full(1, self.mean), np.full(1, 1 / (std or 1.0))


def _warn_badly_scaled(rows: Array) -> None:
    """Of floats that are to enter as they are, by up to 1000 rows."""
    sample = dense(rows[:: -(-len(rows) // 1000)])
    with np.errstate(over="ignore"):
        sizes = np.sqrt(np.square(sample, dtype=np.float64).mean(axis=0))
    column = int(sizes.argmax())
    size = float(sizes[column])
    if size > TOO_LARGE:
        what = f"column {column} is about {size:.3g} in size"
    elif 0 < (most := float(np.abs(sample).max())) < TOO_SMALL:
        what = f"no value exceeds {most:.3g}"
    else:
        return
    warn_caller(
        f"X: floats enter as they are, and {what}, where weights and rates are made for about 1: "
        "preprocess='standardize' scales each column, (mean, scale) all alike; None is silent",
        UnitsWarning,
    )


def _image_shape(X: Any) -> tuple[int, ...] | None:
    """Of a row of X, where it has more than one axis."""
    shape = getattr(X, "shape", ())
    return tuple(shape[1:]) if len(shape) > 2 else None


def float32_holds(rows: Array) -> Array:
    """Of which rows every value is a float32."""
    if rows.dtype != np.float64:
        return np.ones(len(rows), bool)
    held = [(b.astype(np.float32) == b).all(axis=1) for b in blocks(rows)]
    return np.concatenate(held)


def transform_rows(
    steps: Sequence[Transformer],
    rows: Array,
    n_threads: int | None = None,
    dtype: np.dtype[Any] | None = None,
) -> Array:
    """The rows, as dtype, after the steps. Beside the result, only a block is held in memory."""
    if not steps:
        return rows if dtype is None else rows.astype(dtype, copy=False)
    if n_threads is not None:
        steps = [step.with_threads(n_threads) for step in steps]
    # Centred bytes are those of the same floats: no copy of these first.
    centred_as_floats = (
        rows.dtype == np.uint8 and dtype == np.float32 and isinstance(steps[0], Columnwise)
    )
    out, done = None, 0
    for block in blocks(rows):
        if dtype is not None and not centred_as_floats:
            block = block.astype(dtype, copy=False)
        for step in steps:
            block = step.transform(block)
        if len(block) == len(rows):
            return block
        if out is None:
            out = np.empty((len(rows), block.shape[1]), block.dtype)
        out[done : done + len(block)] = block
        done += len(block)
    assert out is not None
    return out


def fitted(
    steps: Sequence[Transformer],
    rows: Array,
    n_threads: int | None = None,
    dtype: np.dtype[Any] | None = None,
) -> tuple[list[Transformer], Array]:
    """Fitted copies of the steps, and the rows after the last of them that combines columns.

    What goes through a step is converted to dtype before.

    A step that combines columns is fitted on a float copy of the rows where others come before it;
    the rest go over the rows as they are, in blocks. A fitted step is taken as it is.
    """
    done: list[Transformer] = []
    waiting: list[Transformer] = []  # steps that the rows have not been through
    columns = rows.shape[1]
    for given in steps:
        if given.combines_columns:
            rows, waiting = transform_rows(waiting, rows, n_threads, dtype), []
        step = _fitted(given, waiting, rows, n_threads, dtype)
        if step.n_features_in_ != columns:
            raise ValueError(
                f"preprocess: expected {step!r} fitted on {columns} features, as come to it, "
                f"got it fitted on {step.n_features_in_}"
            )
        if step.combines_columns:
            rows = transform_rows([step], rows, n_threads)
        else:
            waiting.append(step)
        columns = step.n_features_out_
        done.append(step)
    return done, rows


def _fitted_on_parts(
    steps: Sequence[Transformer], each: Parts, n_threads: int | None, dtype: np.dtype[Any]
) -> list[Transformer]:
    """Fitted copies of the steps, of rows that come in parts; those of `fitted` of a single one."""
    done: list[Transformer] = []
    held: list[bool] = []  # of each part in the first pass: whether float32 holds it
    wide = bool(_until_columnwise(steps)) and dtype == np.float64
    for given in steps:
        if given.__sklearn_is_fitted__():
            done.append(given.frozen())
            continue
        step = type(given)(**given.get_params())
        step.n_threads = given.n_threads if n_threads is None else n_threads

        def learn(rows: Array, step: Transformer = step) -> None:
            if not done:
                held.append(bool(float32_holds(rows).all()))
                step.partial_fit(rows)
                return
            same = None if wide or not all(held) else dtype
            for block in (rows,) if step.combines_columns else blocks(rows):
                step.partial_fit(transform_rows(done, block, n_threads, same))

        if done and not held:
            each(lambda rows: held.append(bool(float32_holds(rows).all())))
        each(learn)
        step.n_threads = given.n_threads
        done.append(step.frozen())
    if not held:
        each(lambda _: None)
    return done


def _fitted(
    given: Transformer,
    before: Sequence[Transformer],
    rows: Array,
    n_threads: int | None,
    dtype: np.dtype[Any] | None,
) -> Transformer:
    """A copy, fitted on the rows after the steps before it."""
    if given.__sklearn_is_fitted__():
        return given.frozen()
    step = type(given)(**given.get_params())
    if n_threads is not None:
        step.n_threads = n_threads
    if before:
        for block in blocks(rows):
            step.partial_fit(transform_rows(before, block, n_threads, dtype))
    else:
        step.fit(rows)
    step.n_threads = given.n_threads
    return step.frozen()
