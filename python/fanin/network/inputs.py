"""How data enter a network: transformers first, then (mean, scale) inside the native loop."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fanin import _core
from fanin._validate import cast, data_rows, one_of, threads, whole
from fanin.preprocessing import PCA, Normalize, Preprocess, Whiten, ZeroCenter
from fanin.preprocessing.base import Columnwise, Transformer, stored_array
from fanin.preprocessing.transformers import standardization

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]

KINDS: dict[str, type[Transformer]] = {
    kind.__name__: kind for kind in (ZeroCenter, Normalize, PCA, Whiten)
}
BLOCK = 2**22  # values that are transformed at once


class Entry(NamedTuple):
    """Fitted transformers, and what the native loop does after them: ``(x - mean) * scale``.

    The transformers behind the last that mixes columns are in mean and scale; without transformers
    these are the user's, or of "standardize".
    """

    steps: tuple[Transformer, ...] = ()
    mean: Doubles | None = None
    scale: Doubles | None = None
    before: tuple[Transformer, ...] = ()  # the steps that the native loop cannot do

    @classmethod
    def of(cls, steps: Sequence[Transformer], dtype: np.dtype[Any]) -> Entry:
        """With the last steps composed, in float64, to one (mean, scale), finite in dtype."""
        mean = scale = None
        before = _mixing(steps)
        for step in steps[len(before) :]:
            assert isinstance(step, Columnwise)
            m, s = step.mean_and_scale()
            if mean is None or scale is None:
                mean, scale = m, s
            else:
                mean, scale = mean + m / scale, scale * s
        return cls(tuple(steps), *_finite(mean, scale, dtype), tuple(before))

    def inside(self, rows: Array) -> tuple[Doubles | None, Doubles | None]:
        """(mean, scale) for such rows: uint8 is divided by 255 where nothing else was set."""
        if self.mean is None and rows.dtype == np.uint8:
            return np.zeros(1), np.full(1, 1 / 255)
        return self.mean, self.scale

    def stored(self) -> tuple[list[dict[str, Any]], dict[str, Array]]:
        """For a file: a JSON list of the steps, and arrays."""
        if not self.steps:
            given = {"mean": self.mean, "scale": self.scale}
            return [], {name: value for name, value in given.items() if value is not None}
        header: list[dict[str, Any]] = []
        arrays: dict[str, Array] = {}
        for i, step in enumerate(self.steps):
            params = {
                name: value.item() if isinstance(value, np.generic) else value
                for name, value in step.get_params().items()
            }
            facts = {"rows": step.n_samples_seen_, "columns": step.n_features_in_}
            header.append({"name": type(step).__name__, "params": params, **facts})
            arrays |= {f"step{i}.{name}": array for name, array in step.state_arrays().items()}
        return header, arrays

    @classmethod
    def restored(
        cls,
        header: Sequence[Mapping[str, Any]],
        arrays: Mapping[str, Array],
        width: int,
        dtype: np.dtype[Any],
    ) -> Entry:
        """What `stored` gave, checked, for a network of that width."""
        steps: list[Transformer] = []
        for i, item in enumerate(header):
            step = KINDS[one_of("step", item["name"], KINDS)](**item["params"])
            prefix = f"step{i}."
            own = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
            step.load_state_arrays(
                own, whole("rows", item["rows"], 1), whole("columns", item["columns"], 1)
            )
            if steps and steps[-1].n_features_out_ != step.n_features_in_:
                raise ValueError(f"{prefix}columns: expected {steps[-1].n_features_out_}")
            steps.append(step)
        if steps:
            if steps[-1].n_features_out_ != width:
                raise ValueError(f"steps: expected {width} columns after the last")
            return cls.of(steps, dtype)
        if ("mean" in arrays) != ("scale" in arrays):
            raise ValueError("mean, scale: expected both or neither")
        if "mean" not in arrays:
            return cls()
        shape = arrays["mean"].shape
        if shape not in ((1,), (width,)):
            raise ValueError(f"mean: expected 1 or {width} values, got {shape}")
        mean, scale = (stored_array(name, arrays[name], shape) for name in ("mean", "scale"))
        return cls((), mean, scale)


def _mixing(steps: Sequence[Transformer]) -> Sequence[Transformer]:
    """The steps up to the last that mixes columns."""
    return steps[: max((i for i, step in enumerate(steps, 1) if step.combines_columns), default=0)]


def _finite(
    mean: Doubles | None, scale: Doubles | None, dtype: np.dtype[Any]
) -> tuple[Doubles | None, Doubles | None]:
    for value in (mean, scale):
        if value is not None:
            cast("preprocess", value, dtype)
    return mean, scale


def blocks(rows: Array) -> Iterator[Array]:
    """Parts of many rows, the first long enough for a variance."""
    step = max(16, BLOCK // rows.shape[1])
    return (rows[begin : begin + step] for begin in range(0, len(rows), step))


def through(steps: Sequence[Transformer], rows: Array, n_threads: int | None = None) -> Array:
    """The rows after the steps. Beside the result, only a block is held in memory."""
    if not steps:
        return rows
    if n_threads is not None:
        steps = [step.with_threads(n_threads) for step in steps]
    out, done = None, 0
    for block in blocks(rows):
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
    steps: Sequence[Transformer], rows: Array, n_threads: int | None = None
) -> tuple[list[Transformer], Array]:
    """Fitted copies of the steps, and the rows after the last of them that mixes columns.

    A step that mixes columns is fitted on a float copy of the rows where others come before it; the
    rest go over the rows as they are, in blocks. A fitted step is taken as it is.
    """
    done: list[Transformer] = []
    waiting: list[Transformer] = []  # steps that the rows have not been through
    columns = rows.shape[1]
    for given in steps:
        if given.combines_columns:
            rows, waiting = through(waiting, rows, n_threads), []
        step = _fitted(given, waiting, rows, n_threads)
        if step.n_features_in_ != columns:
            raise ValueError(
                f"preprocess: expected {step!r} fitted on {columns} features, as come to it, "
                f"got it fitted on {step.n_features_in_}"
            )
        if step.combines_columns:
            rows = through([step], rows, n_threads)
        else:
            waiting.append(step)
        columns = step.n_features_out_
        done.append(step)
    return done, rows


def _fitted(
    given: Transformer, before: Sequence[Transformer], rows: Array, n_threads: int | None
) -> Transformer:
    """A copy, fitted on the rows after the steps before it."""
    if given.__sklearn_is_fitted__():
        return given.frozen()
    step = type(given)(**given.get_params())
    if n_threads is not None:
        step.n_threads = n_threads
    if before:
        for block in blocks(rows):
            step.partial_fit(through(before, block, n_threads))
    else:
        step.fit(rows)
    step.n_threads = given.n_threads
    return step.frozen()


def transformers(preprocess: object) -> list[Transformer] | None:
    """The transformers given, each one of ours; None where something else was given."""
    many = isinstance(preprocess, list | tuple)
    items: list[Any] = list(preprocess) if many else [preprocess]  # type: ignore[call-overload]
    if not any(hasattr(item, "transform") for item in items):
        return None
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


def _numbers(preprocess: Any) -> tuple[Doubles, Doubles]:
    """(mean, scale) as arrays."""
    try:
        mean, scale = (np.atleast_1d(np.asarray(v, dtype=np.float64)) for v in preprocess)
    except (TypeError, ValueError):
        raise ValueError(
            "preprocess: expected None, 'standardize', transformers of fanin.preprocessing or "
            f"(mean, scale), got {preprocess!r}"
        ) from None
    return mean, scale


def _pair(mean: Doubles, scale: Doubles, columns: int, dtype: np.dtype[Any]) -> Entry:
    """From (mean, scale) of one value or one a column."""
    for value in (mean, scale):
        if value.shape not in ((1,), (columns,)) or not np.isfinite(value).all():
            raise ValueError(
                f"preprocess: expected mean and scale of one finite value or {columns} each, "
                f"got shape {value.shape}"
            )
    width = (max(mean.size, scale.size),)
    mean, scale = (np.broadcast_to(value, width).copy() for value in (mean, scale))
    return Entry((), *_finite(mean, scale, dtype))


class Preparation:
    """The argument ``preprocess`` of a call, first checked, then fitted; the network waits."""

    def __init__(
        self, preprocess: Preprocess | None, net: Entering, columns: int | None = None
    ) -> None:
        self.columns = columns  # of X, before any step; None: as the steps have it
        steps = transformers(preprocess)
        self.given: str | tuple[Doubles, Doubles] | None = None
        if isinstance(preprocess, str):
            self.given = one_of("preprocess", preprocess, ["standardize"])
        elif preprocess is not None and steps is None:
            self.given = _numbers(preprocess)
        self.entry, self.width, self.dtype = net._entry, net.dims[0], net.dtype
        self.new = steps is not None
        if preprocess is None:
            self.steps: Sequence[Transformer] = self.entry.steps
        else:
            self.steps = steps or ()

    def raw(self, X: Any, name: str = "X") -> Array:
        """X as a view of rows, before any step."""
        if self.columns is None:
            self.columns = self._columns(X)
        columns, array = self.columns, isinstance(X, np.ndarray) and X.ndim > 0
        if array and columns != self.width and X.size != len(X) * columns:
            raise ValueError(
                f"{name}: expected shape (N, {columns}), which preprocessing makes "
                f"{self.width} features, got {X.shape} {X.dtype}"
            )
        return data_rows(name, X, columns, self.dtype)

    def _columns(self, X: Any) -> int:
        """The width that the first step was fitted on, or will be; without steps the network's."""
        if not _mixing(self.steps):
            return self.width
        if self.steps[0].__sklearn_is_fitted__():
            return self.steps[0].n_features_in_
        shape = X.shape[1:] if isinstance(X, np.ndarray) else ()
        return math.prod(shape) if shape and math.prod(shape) else self.width

    def fit(self, rows: Array, n_threads: int | None = None) -> Array:
        """Makes the entry, fitted on `raw` rows; the rows as the engine takes them."""
        if self.new:
            self._foresee(rows.shape[1])
            steps, out = fitted(self.steps, rows, n_threads)
            self._require_width(steps, steps[-1].n_features_out_, rows.shape[1])
            self.entry = Entry.of(steps, self.dtype)
            return out
        if self.given is None:
            if not self.entry.steps:
                self.entry = Entry((), *self.entry.inside(rows))
        elif isinstance(self.given, str):
            self.entry = Entry((), *_finite(*standardization(rows), self.dtype))
        else:
            self.entry = _pair(*self.given, self.width, self.dtype)
        return through(self.entry.before, rows, n_threads)

    def _foresee(self, columns: int) -> None:
        """Refuses, before the work, steps that cannot end in the network's width."""
        width: int | None = columns
        for step in self.steps:
            if step.__sklearn_is_fitted__():
                width = step.n_features_out_
            elif step.combines_columns and getattr(step, "method", "pca") == "pca":
                count = getattr(step, "n_components", None)
                width = int(count) if isinstance(count, int | np.integer) else None
        if width is not None:
            self._require_width(self.steps, width, columns)

    def _require_width(self, steps: Sequence[Transformer], width: int, columns: int) -> None:
        if width != self.width:
            names = ", ".join(map(repr, steps))
            raise ValueError(
                f"preprocess: expected {self.width} features, the network's dims[0], after "
                f"{names}; got {width} from the {columns} of X"
            )


class Entering:
    """What `MLP` has of it."""

    dims: list[int]
    dtype: np.dtype[Any]
    _entry: Entry

    @property
    def preprocess(self) -> list[Transformer] | tuple[Array, Array] | None:
        """How data enter: fitted transformers, or (mean, scale), or None; read only."""
        entry = self._entry
        if entry.steps:
            return list(entry.steps)
        return None if entry.mean is None or entry.scale is None else (entry.mean, entry.scale)

    def set_preprocess(self, preprocess: Preprocess | None, X: Array) -> None:
        """Fixes how data enters the network, as `fit` does with its argument of that name.

        Parameters
        ----------
        preprocess : transformer, list of transformers, "standardize", (mean, scale) or None
            Transformers of `fanin.preprocessing` go one after the other over the data as they are
            (uint8: 0 to 255); ``dims[0]`` is the width after them. Copies are fitted on X, as
            scikit-learn's GridSearchCV does it, and yours stay as they are; one that is already
            fitted is taken as it is. "standardize" takes mean and standard deviation of X's
            columns. (mean, scale), numbers or one value a column, gives ``(x - mean) * scale``.
            None leaves what was set before.
        X : ndarray of shape (N, D) or (N, ...)
            The training data.

        Notes
        -----
        `ZeroCenter` and `Normalize`, "standardize" and (mean, scale) are one subtraction and one
        product in the native loop, whose mean has the digits of the data's type or, with uint8, of
        the network's: no float copy of the data is made. `PCA` and `Whiten` make one, of the width
        after them, in each fit and evaluation; prediction goes in blocks. With steps before them,
        they take another of the data's width while they are fitted. Their eigenvectors are LAPACK's
        and may differ between machines; a saved network carries them, and gives the same bits.

        Examples
        --------
        >>> import fanin
        >>> from fanin.preprocessing import PCA, Normalize
        >>> (X, y), _ = fanin.datasets.load("digits")
        >>> net = fanin.MLP([20, 32, 10])
        >>> net.set_preprocess([Normalize(), PCA(20)], X)
        >>> net.preprocess
        [Normalize(), PCA(n_components=20)]
        >>> net.scores(X).shape[1]
        10
        """
        preparation = Preparation(preprocess, self)
        preparation.fit(preparation.raw(X))
        self._entry = preparation.entry

    def _rows(self, X: Array, name: str = "X", n_threads: int | None = None) -> Array:
        """The rows as the engine takes them, with `_transform`."""
        if not self._entry.before:
            return data_rows(name, X, self.dims[0], self.dtype)
        return through(self._entry.before, Preparation(None, self).raw(X, name), n_threads)

    def _parts(self, X: Array, n_threads: int | None) -> Iterator[Array]:
        """`_rows` in blocks."""
        steps = self._entry.before
        raw = Preparation(None, self).raw(X)
        return (through(steps, block, n_threads) for block in blocks(raw))

    def _transform(self, rows: Array) -> tuple[Doubles | None, Doubles | None]:
        """(mean, scale) by which rows enter the first layer: ``(x - mean) * scale``."""
        return self._entry.inside(rows)

    def _entering(self, rows: Array, n_threads: int | None = None) -> Array:
        """Some of `_rows`, as the first layer gets them."""
        return _core.gather_rows(rows, None, *self._transform(rows), self.dtype, threads(n_threads))

    def _inputs(self, X: Array) -> tuple[Array, Doubles | None, Doubles | None]:
        """The rows as the engine takes them, and their (mean, scale), None for as they are."""
        rows = self._rows(X)
        return rows, *self._transform(rows)
