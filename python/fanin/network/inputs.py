"""The preprocessing of a network: transformers first, then (mean, scale) inside the native loop.

`Inputs.rows` checks the data, `Inputs.fit` or `Inputs.transform` applies the transformers, and the
engine takes the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fanin._core import TrainingData
from fanin._typing import Array, Floats
from fanin._validate import cast, data_rows, one_of
from fanin.preprocessing import PCA, Normalize, Preprocess, Whiten, ZeroCenter
from fanin.preprocessing.base import Columnwise, Transformer
from fanin.preprocessing.transformers import standardization

KINDS: dict[str, type[Transformer]] = {
    kind.__name__: kind for kind in (ZeroCenter, Normalize, PCA, Whiten)
}
BLOCK = 2**22  # values that are transformed at once


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
        return replace(self, mean=mean, scale=scale)

    def requested(self, preprocess: Preprocess | None, X: Any) -> Inputs:
        """From the ``preprocess`` argument, checked, not yet fitted on X; None keeps these."""
        if preprocess is None:
            return self
        plain = Inputs.plain(self.width, self.dtype)
        if isinstance(preprocess, str):
            one_of("preprocess", preprocess, ["standardize"])
            return replace(plain, standardize=True)
        steps = transformers(preprocess)
        if steps is None:
            return plain._with(*_pair(preprocess, self.width))
        columns = self.width
        if _until_columnwise(steps):
            shape = X.shape[1:] if isinstance(X, np.ndarray) else ()
            if steps[0].__sklearn_is_fitted__():
                columns = steps[0].n_features_in_
            else:
                columns = (math.prod(shape) if shape else 0) or self.width
        return replace(plain, columns=columns, to_fit=tuple(steps))

    @cached_property
    def before(self) -> Sequence[Transformer]:
        """The steps that the native loop cannot do."""
        return _until_columnwise(self.steps)

    def rows(self, X: Any, name: str = "X", columns: int | None = None) -> Array:
        """X as a view of rows before any step, checked; images to be cropped have own columns."""
        columns = self.columns if columns is None else columns
        array = isinstance(X, np.ndarray) and X.ndim > 0
        if array and columns != self.width and X.size != len(X) * columns:
            raise ValueError(
                f"{name}: expected shape (N, {columns}), which preprocessing makes "
                f"{self.width} features, got {X.shape} {X.dtype}"
            )
        return data_rows(name, X, columns, self.dtype)

    def transform(self, data: TrainingData, n_threads: int | None = None) -> TrainingData:
        """Checked data as the engine takes them."""
        return self._with_rows(data, transform_rows(self.before, data.X, n_threads))

    def blocks(self, rows: Array, n_threads: int | None = None) -> Iterator[TrainingData]:
        """Checked rows as the engine takes them, in blocks where transformers copy them."""
        for block in blocks(rows) if self.before else (rows,):
            ready = transform_rows(self.before, block, n_threads)
            yield TrainingData(ready, *self._mean_and_scale(ready))

    def fit(self, data: TrainingData, n_threads: int | None = None) -> tuple[Inputs, TrainingData]:
        """Inputs fitted on checked data, and these as the engine takes them."""
        if self.to_fit:
            self._foresee(self.to_fit, data.X.shape[1])
            steps, rows = fitted(self.to_fit, data.X, n_threads)
            self._require_width(steps, steps[-1].n_features_out_, data.X.shape[1])
            own = Inputs.of(steps, self.width, self.dtype)
            return own, own._with_rows(data, rows)
        own = self
        if self.standardize:
            own = replace(self, standardize=False)._with(*standardization(data.X))
        elif self.mean is None and not self.steps and data.X.dtype == np.uint8:
            own = self._with(*self._mean_and_scale(data.X))  # from now on in these units
        return own, own.transform(data, n_threads)

    def _with_rows(self, data: TrainingData, rows: Array) -> TrainingData:
        mean, scale = self._mean_and_scale(rows)
        return TrainingData(rows, mean, scale, data.labels, data.soft, data.weights)

    def _mean_and_scale(self, rows: Array) -> tuple[Floats | None, Floats | None]:
        """Of such rows: bytes are divided by 255 where nothing else was set."""
        if self.mean is None and rows.dtype == np.uint8:
            return np.zeros(1), np.full(1, 1 / 255)
        return self.mean, self.scale

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
            "preprocess: expected None, 'standardize', transformers of fanin.preprocessing or "
            f"(mean, scale), got {preprocess!r}"
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
    return (rows[begin : begin + step] for begin in range(0, len(rows), step))


def transform_rows(
    steps: Sequence[Transformer], rows: Array, n_threads: int | None = None
) -> Array:
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
    """Fitted copies of the steps, and the rows after the last of them that combines columns.

    A step that combines columns is fitted on a float copy of the rows where others come before it;
    the rest go over the rows as they are, in blocks. A fitted step is taken as it is.
    """
    done: list[Transformer] = []
    waiting: list[Transformer] = []  # steps that the rows have not been through
    columns = rows.shape[1]
    for given in steps:
        if given.combines_columns:
            rows, waiting = transform_rows(waiting, rows, n_threads), []
        step = _fitted(given, waiting, rows, n_threads)
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
            step.partial_fit(transform_rows(before, block, n_threads))
    else:
        step.fit(rows)
    step.n_threads = given.n_threads
    return step.frozen()
