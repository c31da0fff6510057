"""The data of a fit in chunks: what a first pass over them finds, and how each is made ready."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fanin._core import TrainingData
from fanin._json import plain
from fanin._typing import Array, Floats
from fanin._validate import boolean, describe, one_of
from fanin._validate import weights as checked_weights
from fanin.datasets import Chunks
from fanin.datasets.chunks import Chunk
from fanin.network import MLP
from fanin.network.classes import as_labels, encoded
from fanin.network.inputs import Inputs, transformers
from fanin.network.options import FitOptions
from fanin.network.targets import TargetMoments, Targets
from fanin.preprocessing import TableEncoder
from fanin.training.blocks import (
    ChunkedRows,
    checked_part,
    each_chunk,
    picked,
    require_length,
    same_targets,
    steps_of_a_block,
)
from fanin.training.class_weights import weights_by_counts
from fanin.training.data import Validation, checked_metrics, checked_validation, prepared_validation

SAMPLE = 1024  # rows of the first chunk that stand for all, where a few will do


class ChunkedData:
    """What `FitData` is for arrays, for chunks, of which a few are held at a time.

    Attributes
    ----------
    train : TrainingData
        The first rows of the first chunk.
    lengths : list of int
        Rows of each chunk.
    digests : list
        What each chunk holds, for a checkpoint's description; empty where none is written.
    others
        As of `FitData`.
    """

    images: None = None
    inputs: Inputs
    targets: Targets
    lengths: list[int]
    digests: list[Any]

    def __init__(self, net: MLP, chunks: Chunks, y: object, options: FitOptions) -> None:
        _refuse_options(y, options)
        self.chunks = chunks
        self.n_threads: int | None = options.n_threads
        self._net, self._weight_option = net, options.class_weight
        survey = Survey(net, chunks, options)
        self.inputs, self.targets = survey.inputs, survey.targets
        self.lengths, self.digests = survey.lengths, survey.digests
        self.n_rows: int = sum(self.lengths)
        self._class_weights = survey.class_weights(options.class_weight)
        self.train: TrainingData = self._sample()
        self.validation: Validation | None = checked_validation(
            net, self.inputs, self.targets, options
        )
        self.metrics: tuple[str, ...] = checked_metrics(net, self.validation, options)

    def prepare(self, n_threads: int | None) -> None:
        """The preprocessing is fitted already; of the validation data nothing is transformed."""
        self.validation = prepared_validation(self.validation, self.inputs, n_threads)

    def rows(self, batch: int) -> ChunkedRows:
        """The rows of the epochs."""
        steps = steps_of_a_block(self.train, batch, min(self.lengths))
        return ChunkedRows(self.chunks, self.lengths, self.ready, steps, batch)

    def ready(self, i: int, chunk: Chunk) -> TrainingData:
        """A chunk as the engine takes it."""
        data = checked_part(self._net, self.inputs, self.targets, i, chunk)
        require_length(i, data, self.lengths)
        if self._class_weights is not None:
            assert data.labels is not None
            weights = self._class_weights[data.labels]
            name, n = f"sample_weight of chunk {i}", len(data)
            given = checked_weights(chunk.sample_weight, n, np.dtype(np.float64), name)
            product = weights if given is None else weights * given
            weights = checked_weights(product, n, self._net.dtype, name)
            data = TrainingData(data.X, None, None, data.labels, data.soft, weights)
        return self.inputs.transform(data, self.n_threads)

    def _sample(self) -> TrainingData:
        first = next(self.chunks.read(), None)
        if first is None:
            raise ValueError("chunks: expected all of them in each pass, got none in the second")
        data = self.ready(0, first)
        return picked(data, np.arange(min(SAMPLE, len(data))))


class Survey:
    """The first pass, which checks all chunks and fits the preprocessing on the way."""

    def __init__(self, net: MLP, chunks: Chunks, options: FitOptions) -> None:
        self._net, self._chunks = net, chunks
        self.lengths: list[int] = []
        self.digests: list[Any] = []
        self._describes = options.checkpoint is not None
        first = next(chunks.read(), None)
        if first is None:
            raise ValueError("chunks: expected at least one chunk, got none")
        _refuse_unfitted(options.preprocess)
        self._requested = net.inputs.requested(options.preprocess, first.X)
        self._dtype = getattr(first.X, "dtype", None)
        del first
        self._found = self._requested
        self._counts: dict[Any, int] = {}
        self._kind: str | None = None  # of labels
        self._units = net.targets.requested(
            boolean("standardize_targets", options.standardize_targets)
        )
        self._moments = TargetMoments()
        self._first: TrainingData | None = None
        fitted = self._requested.fit_parts(self._each, options.n_threads)
        self.inputs: Inputs = replace(
            fitted, range=self._found.range, stored=self._found.stored, names=self._found.names
        )
        self.targets: Targets = self._targets()

    def _each(self, use: Callable[[Array], object]) -> None:
        """A pass over the rows, of which the first one checks all that there is."""
        known = bool(self.lengths)

        def one(i: int, chunk: Chunk) -> None:
            rows = self._known(i, chunk) if known else self._check(i, chunk)
            use(rows)

        each_chunk(self._chunks, one)

    def _known(self, i: int, chunk: Chunk) -> Array:
        name = f"X of chunk {i}"
        X, names = self._requested.read(name, chunk.X)
        rows = self._found.first_rows(X, name, names=names)[1]
        if i >= len(self.lengths) or len(rows) != self.lengths[i]:
            raise ValueError(f"chunk {i}: expected the same rows in each pass, got {describe(X)}")
        return rows

    def _check(self, i: int, chunk: Chunk) -> Array:
        name, of_y = f"X of chunk {i}", f"y of chunk {i}"
        dtype = getattr(chunk.X, "dtype", None)
        if dtype != self._dtype:
            kinds = [
                kind or "no single dtype, as of a frame or a list" for kind in (self._dtype, dtype)
            ]
            raise TypeError(f"{name}: expected {kinds[0]}, as in chunk 0, got {kinds[1]}")
        rows = self._rows(name, chunk)
        y = as_labels(of_y, chunk.y)
        if len(y) != len(rows):
            raise ValueError(f"{of_y}: expected {len(rows)} targets, got {describe(y)}")
        of_weights = f"sample_weight of chunk {i}"
        weights = checked_weights(chunk.sample_weight, len(rows), self._net.dtype, of_weights)
        labels, soft = self._take_labels(of_y, y), None
        if not labels:
            known, soft = self._net.targets.checked(of_y, y, len(rows))
            labels = known is not None
            self._moments.add(self._units, y, soft, weights)
        nothing = np.empty((len(rows), 0), np.float32)
        kept = np.zeros(0) if labels else None
        seen = TrainingData(nothing, None, None, kept, soft, weights)
        if self._first is None:
            held = None if weights is None else weights[:1]
            self._first = TrainingData(nothing[:1], None, None, kept, None, held)
        same_targets(of_y, seen, self._first)
        if self._describes:
            self.digests.append(plain([np.asarray(rows), y, weights]))
        self.lengths.append(len(rows))
        return rows

    def _rows(self, name: str, chunk: Chunk) -> Array:
        """The rows of X; their range joins that of those before, if this is the first fit."""
        X, names = self._requested.read(name, chunk.X)
        if self._requested.range is not None:
            return self._requested.first_rows(X, name, names=names)[1]
        before = self._found
        found, rows = replace(before, range=None).first_rows(X, name, names=names)
        assert found.range is not None
        low, high = found.range
        if before.range is not None and before.stored is not None and found.stored is not None:
            low, high = min(low, before.range[0]), max(high, before.range[1])
            found = replace(found, stored=np.promote_types(before.stored, found.stored))
            found = replace(found, names=before.names)
        self._found = replace(found, range=(low, high))
        return rows

    def _take_labels(self, name: str, y: Array) -> bool:
        """Counts labels (N,) of classes; False where y is other targets."""
        kind = self._net.targets.kind
        if y.ndim != 1 or kind not in ("labels", "binary") or self._net.targets.n_outputs < 1:
            return False
        if kind == "binary" and y.dtype.kind == "f":
            return False
        if kind == "labels" and self._net.targets.n_outputs == 1:
            return False
        codes, classes = encoded(name, y)
        own = "numbers" if y.dtype.kind in "iuf" else str(y.dtype.kind)
        if self._kind not in (None, own):
            raise TypeError(f"{name}: expected labels of the kind of chunk 0, got {y.dtype}")
        self._kind = own
        at, counts = np.unique(codes, return_counts=True)
        values = at if classes is None else classes[at]
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self._counts[value] = self._counts.get(value, 0) + count
        return True

    def _targets(self) -> Targets:
        """How the targets of all chunks enter."""
        if not self._counts:
            return self._units.with_moments(self._moments) if self._units.to_fit else self._units
        values = np.array(sorted(self._counts))
        targets = self._net.targets_for(values)
        targets.checked("y", values, len(values))
        if len(values) < 2:
            raise ValueError(f"y: expected at least two classes, got only class {values[0]}")
        return targets.requested(standardize=False)

    def class_weights(self, class_weight: Any) -> Floats | None:
        """The weight of each class, (C,), for ``class_weight``."""
        if class_weight is None:
            return None
        if not self._counts:
            raise ValueError(
                "class_weight: expected None with chunks of other targets than labels (N,); give "
                "chunks (X, y, sample_weight)"
            )
        values = np.array(list(self._counts))
        at, _ = self.targets.checked("y", values, len(values))
        counts = np.zeros(self.targets.n_classes, np.int64)
        counts[at] = list(self._counts.values())
        return weights_by_counts(class_weight, counts, self.targets.classes)


def _refuse_options(y: object, options: FitOptions) -> None:
    """Refuses what does not go with chunks."""
    chunk = "chunks are (X, y) or (X, y, sample_weight)"
    for name, given in (("y", y), ("sample_weight", options.sample_weight)):
        if given is not None:
            raise ValueError(f"{name}: expected None beside Chunks, got {describe(given)}; {chunk}")
    for name in ("augment", "mix"):
        if (asked := getattr(options, name)) is not None:
            raise ValueError(
                f"{name}: expected None with chunks, whose rows have no number to draw by, got "
                f"{asked!r}"
            )
    one_of("sampling", options.sampling, ["epoch", "replacement"])
    if options.sampling != "epoch":
        raise ValueError(f"sampling: expected 'epoch' with chunks, got {options.sampling!r}")


def _refuse_unfitted(preprocess: Any) -> None:
    """Refuses an encoder that would have to see all rows at once."""
    steps = None if isinstance(preprocess, str) else transformers(preprocess)
    for step in steps or ():
        if isinstance(step, TableEncoder) and not step.__sklearn_is_fitted__():
            raise ValueError(
                f"preprocess: expected a fitted encoder with chunks, got {step!r}, whose medians "
                "and rare values need all rows at once; fit it on a frame of some of them"
            )
