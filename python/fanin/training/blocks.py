"""Rows that are not all in memory, in blocks of some minibatches that the engine trains on.

A block is a copy of rows, so that nothing but the rows of its steps is held of a memory map, and a
minibatch may have rows of several chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fanin import _core
from fanin._core import TrainingData
from fanin._typing import Array, Ints
from fanin.arrays import large_maps, release, rows_from
from fanin.datasets import Chunks
from fanin.datasets.chunks import Chunk
from fanin.network import MLP, passes
from fanin.network.inputs import Inputs
from fanin.network.targets import Targets

BLOCK_BYTES = 2**24
ORDER_OF_CHUNKS = 0xFFFF  # in the place where the rows of a window have its number

Block = tuple[int, TrainingData]  # its first step of the epoch, and rows in the order of the steps


class MappedRows:
    """Training data of which X lies in a large memory map."""

    def __init__(self, data: TrainingData, batch: int) -> None:
        self._data, self._batch = data, batch
        self._maps = large_maps(data.X)
        self._steps = steps_of_a_block(data, batch, len(data))

    @staticmethod
    def fits(data: TrainingData) -> bool:
        """Whether data are read in this way."""
        return bool(large_maps(data.X))

    def blocks(self, order: Ints, step: int) -> Iterator[Block]:
        """The rows of an epoch's order, from a step on."""
        rows = self._steps * self._batch
        for begin in range(step * self._batch, len(order), rows):
            some = order[begin : begin + rows]
            X = rows_from(self._data.X, some, self._maps)
            yield begin // self._batch, picked(self._data, some, X)


class ChunkedRows:
    """Chunks that have been read once: their lengths are known.

    ``ready(i, chunk)`` gives chunk i as the engine takes it.
    """

    def __init__(
        self,
        chunks: Chunks,
        lengths: Sequence[int],
        ready: Callable[[int, Chunk], TrainingData],
        steps: int,
        batch: int,
    ) -> None:
        self._chunks, self._lengths, self._ready = chunks, lengths, ready
        self._steps, self._batch = steps, batch

    def blocks(self, seed: int, epoch: int, step: int) -> Iterator[Block]:
        """The rows of an epoch from a step on: a function of the seed and the epoch."""
        at, most, total = step * self._batch, self._steps * self._batch, sum(self._lengths)
        size, begin = min(most, total - at), 0
        parts: list[TrainingData] = []
        missing = size  # rows of the block
        for number, members in enumerate(self._windows(seed, epoch)):
            n = sum(self._lengths[i] for i in members)
            held = self._held(members, wanted=begin + n > at)
            if begin + n > at:
                order = np.empty(n, np.int64)
                stream = _core.stream_of("shuffle", number % ORDER_OF_CHUNKS, epoch)
                _core.random_permutation(order, seed, stream)
            done = max(0, at - begin)
            while done < n:
                some = order[done : done + missing]
                parts.append(picked_from(held, some))
                done, missing = done + len(some), missing - len(some)
                if missing == 0:
                    yield at // self._batch, joined(parts)
                    at += size
                    size = missing = min(most, total - at)
                    parts = []
            begin += n
            maps = large_maps(*(data.X for data in held))
            del held  # before the next chunk is read
            release(maps)
        if not self._chunks.in_any_order and next(self._reader, None) is not None:
            raise ValueError(
                f"chunks: expected {len(self._lengths)} of them in each epoch, as in the first "
                "pass, got more"
            )

    def _windows(self, seed: int, epoch: int) -> Iterator[list[int]]:
        """The chunks of each window, in the order of the epoch."""
        order = np.arange(len(self._lengths))
        if self._chunks.in_any_order:
            stream = _core.stream_of("shuffle", ORDER_OF_CHUNKS, epoch)
            _core.random_permutation(order, seed, stream)
        else:
            self._reader = self._chunks.read()
        for first in range(0, len(order), self._chunks.window):
            yield order[first : first + self._chunks.window].tolist()

    def _held(self, members: Sequence[int], *, wanted: bool) -> list[TrainingData]:
        """The chunks of a window; none where they are not wanted."""
        if self._chunks.in_any_order:
            if not wanted:
                return []
            self._reader = self._chunks.read(members)
        held = []
        for i in members:
            chunk = next(self._reader, None)
            if chunk is None:
                raise ValueError(
                    f"chunks: expected {len(self._lengths)} of them in each epoch, as in the "
                    f"first pass, got {i}"
                )
            if wanted:
                held.append(self._ready(i, chunk))
            del chunk
        return held


def each_chunk(chunks: Chunks, use: Callable[[int, Chunk], object]) -> None:
    """Calls ``use(i, chunk)``; a chunk is gone before the next one is read."""
    i = -1
    for chunk in chunks.read():
        i += 1  # `enumerate` would hold the last one while the next is read
        maps = large_maps(chunk.X)
        use(i, chunk)
        del chunk
        release(maps)


def checked_part(
    net: MLP, inputs: Inputs, targets: Targets, i: int, chunk: Chunk, what: str = ""
) -> TrainingData:
    """A chunk with targets, checked, before any transformer."""
    name = f"{what}X of chunk {i}"
    X, names = inputs.read(name, chunk.X)
    _, rows = inputs.first_rows(X, name, names=names)
    of_y = f"{what}y of chunk {i}"
    named = {"name": of_y, "weights_name": f"{what}sample_weight of chunk {i}"}
    return net.with_targets(rows, chunk.y, chunk.sample_weight, targets=targets, **named)


class HeldChunks:
    """Validation data in chunks, which are read for each evaluation.

    Attributes
    ----------
    sample : TrainingData
        The first row.
    """

    sample: TrainingData

    def __init__(self, net: MLP, chunks: Chunks, inputs: Inputs, targets: Targets) -> None:
        self._net, self._chunks, self._inputs, self._targets = net, chunks, inputs, targets
        self._lengths: list[int] = []
        each_chunk(chunks, self._check)

    def _check(self, i: int, chunk: Chunk) -> None:
        data = self._part(i, chunk)
        if i == 0:
            self.sample = picked(data, np.zeros(1, np.int64))
        same_targets(f"validation y of chunk {i}", data, self.sample)
        self._lengths.append(len(data))

    def _part(self, i: int, chunk: Chunk) -> TrainingData:
        data = checked_part(self._net, self._inputs, self._targets, i, chunk, "validation ")
        if i < len(self._lengths):
            require_length(i, data, self._lengths)
        return data

    def __len__(self) -> int:
        return sum(self._lengths)

    def take(self, inputs: Inputs) -> None:
        """Takes the fitted inputs."""
        self._inputs = inputs

    def evaluate(self, names: Sequence[str], n_threads: int | None) -> dict[str, Any]:
        """Loss, accuracy and the metrics of these names, over all chunks."""
        engine, totals = self._net.engine, np.zeros(3)  # weight, loss, right
        outputs: list[Array] = []
        seen: list[TrainingData] = []

        def add(i: int, chunk: Chunk) -> None:
            data = self._inputs.transform(self._part(i, chunk), n_threads)
            result = passes.evaluate(engine, data, n_threads)
            weight = len(data) if data.weights is None else float(data.weights.sum(dtype=float))
            right = result.get("accuracy", 0.0) * len(data)
            totals[:] += weight, weight * result["loss"], right
            if names:
                outputs.append(passes.scores(engine, [data], n_threads))
                seen.append(without_rows(data))

        each_chunk(self._chunks, add)
        found: dict[str, Any] = {"loss": float(totals[1] / totals[0])}
        if self.sample.labels is not None:
            found["accuracy"] = float(totals[2] / len(self))
        if names:
            whole = np.concatenate(outputs)
            of = (joined(seen), self._targets, names, n_threads)
            found |= passes.metrics_of(whole, *of)
        return found


def same_targets(name: str, data: TrainingData, first: TrainingData) -> None:
    """Refuses labels beside soft targets, and weights of some chunks only."""
    if (data.labels is None) != (first.labels is None):
        kinds = ["labels", "soft targets"]
        expected, got = kinds if data.labels is None else kinds[::-1]
        raise TypeError(f"{name}: expected {expected}, as in chunk 0, got {got}")
    if (data.weights is None) != (first.weights is None):
        expected = "none" if first.weights is None else "one for each row"
        of_weights = name.replace("y of", "sample_weight of")
        raise TypeError(f"{of_weights}: expected {expected}, as in chunk 0")


def require_length(i: int, data: TrainingData, lengths: Sequence[int]) -> None:
    """Refuses a chunk that has changed since the first pass."""
    if len(data) != lengths[i]:
        raise ValueError(
            f"chunk {i}: expected its {lengths[i]} rows in each pass, as in the first, got "
            f"{len(data)}"
        )


def steps_of_a_block(data: TrainingData, batch: int, n_rows: int) -> int:
    """How many steps a block has: some 16 MB, but a small part of a chunk of so many rows."""
    row = int(data.X.dtype.itemsize) * int(data.X.shape[1])
    return max(1, min(BLOCK_BYTES, row * n_rows // 8) // (row * batch))


def picked(data: TrainingData, rows: Ints, X: Array | None = None) -> TrainingData:
    """Those rows, copied, and dense."""

    def of(values: Array | None) -> Array | None:
        return None if values is None else values[rows]

    if X is None:
        X = np.asarray(data.X[rows])
    targets = of(data.labels), of(data.soft), of(data.weights)
    return TrainingData(X, data.mean, data.scale, *targets, data.positive)


def picked_from(held: Sequence[TrainingData], rows: Ints) -> TrainingData:
    """Those rows of the chunks, counted through all of them."""
    if len(held) == 1:
        return picked(held[0], rows)
    ends = np.cumsum([len(data) for data in held])
    where = np.searchsorted(ends, rows, side="right")
    by_chunk = np.argsort(where, kind="stable")
    counts = np.bincount(where, minlength=len(held))
    parts, at = [], 0
    for data, end, count in zip(held, ends, counts, strict=True):
        if count:
            some = by_chunk[at : at + count]
            parts.append(picked(data, rows[some] - (end - len(data))))
            at += count
    back = np.empty_like(by_chunk)
    back[by_chunk] = np.arange(len(rows))
    return picked(joined(parts), back)


def joined(parts: Sequence[TrainingData]) -> TrainingData:
    """The rows of several, one after another."""
    first = parts[0]
    if len(parts) == 1:
        return first

    def of(values: Sequence[Array | None]) -> Array | None:
        there = [one for one in values if one is not None]
        return np.concatenate(there) if there else None

    X = np.concatenate([part.X for part in parts])
    targets = (
        of([part.labels for part in parts]),
        of([part.soft for part in parts]),
        of([part.weights for part in parts]),
    )
    return TrainingData(X, first.mean, first.scale, *targets, first.positive)


def without_rows(data: TrainingData) -> TrainingData:
    """The targets alone."""
    nothing = np.empty((len(data), 0), np.float32)
    return TrainingData(nothing, None, None, data.labels, data.soft, data.weights)
