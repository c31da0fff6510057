"""Dropout, and the masks that dropout and DropConnect share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fanin import _core
from fanin._typing import Array
from fanin._validate import array_of, check_memory, keep_probability, one_of, plain_array, threads
from fanin.layers.options import MODES
from fanin.random import Rng, as_generator

Key = tuple[int, int, int]  # seed, stream, first row


class DropoutCache(NamedTuple):
    """What a mask was drawn from: drawing it again is faster than reading it from memory."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    keep: float
    scale: float
    key: Key


class Mask:
    """The mask of one call. `used` advances the generator, once nothing can fail any more."""

    def __init__(self, keep: float, rng: Rng, rows: int, cols: int) -> None:
        self.key: Key = (0, 0, 0)
        self._rng = None if keep == 1 else as_generator(rng)
        if self._rng is None:
            return
        blocks_per_row = max(1, -(-cols // 64))
        first_row = -(-self._rng.position // blocks_per_row)
        self._end = (first_row + rows) * blocks_per_row
        self.key = (self._rng.seed, self._rng.stream, first_row)

    def used(self) -> None:
        if self._rng is not None:
            self._rng.state = {**self._rng.state, "position": self._end}


def masked(
    x: Array, keep: float, scale: float, key: Key, out: Array | None, n_threads: int | None
) -> Array:
    """``x * scale`` times a mask; with keep 1 there is no mask."""
    code, n = _core.activations.index("identity"), threads(n_threads)
    return _core.activation_forward(x, code, keep, scale, *key, out, False, n)[0]


def checked_gradient(dout: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """``dout``, where it has the shape and dtype of what the forward function returned."""
    dout = array_of("dout", dout, shape, dtype)
    check_memory(f"dout: expected {dtype}", "dout", dout)
    return dout


def dropout_forward(
    x: Array,
    *,
    keep: float,
    mode: str = "inverted",
    rng: Rng = None,
    train: bool = True,
    out: Array | None = None,
    n_threads: int | None = None,
) -> tuple[Array, DropoutCache]:
    """Dropout. Inverted: x * mask / keep in training, x itself otherwise.

    Vanilla: x * mask in training, x * keep otherwise. Either way the mean is the same in training
    as at test time. The mask is ``uniform < keep``; the lecture's listing draws ``randn < p``,
    which keeps 69 % of the units at p = 0.5, since a normal deviate is below 0.5 that often.

    Parameters
    ----------
    x : ndarray of shape (N, ...), float32 or float64
    keep : float in (0, 1]
        Probability of keeping a unit (the lecture's p).
    mode : {"inverted", "vanilla"}
    rng : Generator, int, NumPy's generator or None
        Where the mask is drawn; None takes fresh entropy.
    train : bool
        Training mode; False is the layer at test time.
    out : ndarray of the shape and dtype of x, optional
        Receives the result; may be x itself.
    n_threads : int, optional

    Returns
    -------
    out : ndarray of the shape and dtype of x
    cache : DropoutCache

    Examples
    --------
    >>> import numpy as np, fanin
    >>> x = np.ones((2, 4))
    >>> y, cache = fanin.layers.dropout_forward(x, keep=0.5, rng=0, out=x)
    >>> y is x, bool(np.all((x == 0) | (x == 2)))
    (True, True)
    >>> bool(np.array_equal(fanin.layers.dropout_backward(np.ones((2, 4)), cache), x))
    True
    """
    keep = keep_probability("keep", keep)
    inverted = one_of("mode", mode, MODES) == "inverted"
    if train:
        scale = 1 / keep if inverted else 1.0
    else:
        keep, scale = 1.0, 1.0 if inverted else keep
    x = plain_array("x", x)
    cols = x.shape[-1] if x.ndim else 1
    mask = Mask(keep, rng, x.size // max(cols, 1), cols)
    y = masked(x, keep, scale, mask.key, out, n_threads)
    mask.used()
    return y, DropoutCache(x.shape, x.dtype, keep, scale, mask.key)


def dropout_backward(dout: Array, cache: DropoutCache) -> Array:
    """The gradient dx of `dropout_forward`, with the same mask.

    Parameters
    ----------
    dout : ndarray of the shape and dtype of x
    cache : DropoutCache

    Examples
    --------
    >>> y, cache = fanin.layers.dropout_forward(np.ones((2, 4)), keep=0.5, rng=0)
    >>> bool((fanin.layers.dropout_backward(np.ones((2, 4)), cache) == y).all())
    True
    """
    dout = checked_gradient(dout, cache.shape, cache.dtype)
    return masked(dout, cache.keep, cache.scale, cache.key, None, None)
