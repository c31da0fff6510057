"""Masks of dropout and DropConnect: where they begin in their stream, and how they are applied."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from fanin import _core
from fanin._validate import threads
from fanin.random import Generator, as_generator

Array = npt.NDArray[Any]
Key = tuple[int, int, int]  # seed, stream, first row


class Mask:
    """The mask of one call, off a generator that moves on once it has been used."""

    def __init__(self, keep: float, rng: Generator | int | None, rows: int, cols: int) -> None:
        self.key: Key = (0, 0, 0)
        self._rng: Generator | None = None
        if keep == 1:
            return
        self._rng = as_generator(rng)
        blocks_per_row = max(1, -(-cols // 64))
        first_row = -(-self._rng.position // blocks_per_row)
        self._end = (first_row + rows) * blocks_per_row
        self.key = (self._rng.seed, self._rng.stream, first_row)

    def used(self) -> None:
        if self._rng is not None:
            self._rng.state = {**self._rng.state, "position": self._end}


def masked(
    x: Array,
    keep: float,
    scale: float,
    key: Key,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    """``x * scale`` times a mask; with keep 1 there is no mask."""
    code, n = _core.activations.index("identity"), threads(n_threads)
    return _core.activation_forward(x, code, keep, scale, *key, out, False, n)[0]
