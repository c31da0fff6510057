"""Dense layers as functions: the fused one, and the lecture's course-style pairs.

Every ``*_forward`` returns ``(out, cache)`` and the matching ``*_backward(dout, cache)`` returns
the gradients, as in the course's assignments. x is (N, D), W is (D, H), b is (H,), all float32 or
all float64. `keep` is the probability of keeping: masks are ``uniform < keep``. (The lecture's
listing draws ``randn < p``, which keeps 69 % of the units at p = 0.5.)
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fanin import _core
from fanin._validate import describe, keep_probability, one_of, plain_array, threads
from fanin.layers.dropconnect import (
    dropconnect_backward,
    dropconnect_forward,
    dropconnect_inference,
)
from fanin.layers.dropout import Mask, masked
from fanin.layers.options import MODES
from fanin.losses import softmax_loss, svm_loss
from fanin.random import Generator

__all__ = [
    "affine_backward",
    "affine_forward",
    "dense",
    "dense_backward",
    "dense_forward",
    "dropconnect_backward",
    "dropconnect_forward",
    "dropconnect_inference",
    "dropout_backward",
    "dropout_forward",
    "elu_backward",
    "elu_forward",
    "gelu_backward",
    "gelu_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "relu_backward",
    "relu_forward",
    "sigmoid_backward",
    "sigmoid_forward",
    "softmax_loss",
    "svm_loss",
    "tanh_backward",
    "tanh_forward",
]

Array = npt.NDArray[Any]

ACTIVATIONS: tuple[str, ...] = _core.activations
_CODES = {name: code for code, name in enumerate(ACTIVATIONS)}


class DenseCache(NamedTuple):
    """What `dense_backward` needs from `dense_forward`."""

    x: Array
    W: Array
    slope: Array | None
    gate: Array | None
    factor: float


class SlopeCache(NamedTuple):
    """The derivative of an elementwise layer at its input."""

    slope: Array


class DropoutCache(NamedTuple):
    """What a mask was drawn from: drawing it again is faster than reading it from memory."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    keep: float
    scale: float
    key: tuple[int, int, int]


def activation_code(name: str, value: str) -> int:
    """The number of an activation in the core."""
    try:
        return _CODES[value]
    except (KeyError, TypeError):
        return _CODES[one_of(name, value, ACTIVATIONS)]


def _dense(
    x: Array,
    W: Array,
    b: Array | None,
    activation: str,
    keep: float,
    rng: Generator | int | None,
    out: Array | None,
    slope: bool,
    n_threads: int | None,
) -> tuple[Array, Array | None]:
    code = activation_code("activation", activation)
    keep = keep_probability("keep", keep)
    x, W = plain_array("x", x), plain_array("W", W)
    n = threads(n_threads)
    if keep == 1:
        return _core.dense_forward(x, W, b, code, 1.0, 0, 0, 0, out, slope, n)
    mask = Mask(keep, rng, x.shape[0] if x.ndim else 0, W.shape[-1] if W.ndim else 0)
    result = _core.dense_forward(x, W, b, code, keep, *mask.key, out, slope, n)
    mask.used()
    return result


def dense(
    x: Array,
    W: Array,
    b: Array | None = None,
    *,
    activation: str = "relu",
    keep: float = 1.0,
    rng: Generator | int | None = None,
    out: Array | None = None,
    n_threads: int | None = None,
) -> Array:
    """``dropout(activation(x @ W + b))`` in one pass.

    Bias, activation and inverted dropout are applied to each tile of the product while it is in
    cache. Each output is one chain of fused multiply-adds over D that begins at the bias, so that
    the result does not depend on threads, instruction set or the other rows of the batch.

    Parameters
    ----------
    x : ndarray of shape (N, D), float32 or float64
    W : ndarray of shape (D, H), dtype of x
    b : ndarray of shape (H,), dtype of x, or None
    activation : {"identity", "relu", "leaky_relu", "elu", "gelu", "sigmoid", "tanh"}
        leaky_relu has slope 0.01, elu alpha 1, gelu is the exact one (erf).
    keep : float in (0, 1]
        Probability of keeping a unit; kept ones are divided by it (inverted dropout).
    rng : Generator, int or None
        Where the mask is drawn; None takes fresh entropy.
    out : ndarray of shape (N, H), optional
        Written in place of a fresh array; it may not share memory with an input.
    n_threads : int, optional

    Returns
    -------
    ndarray of shape (N, H)

    Raises
    ------
    ValueError, TypeError
        For a wrong shape, dtype or layout; arrays are never copied silently.

    Examples
    --------
    >>> import numpy as np, fanin
    >>> x = np.ones((2, 3), dtype=np.float32)
    >>> W = np.full((3, 2), -1, dtype=np.float32)
    >>> fanin.layers.dense(x, W, np.array([4, 1], dtype=np.float32))
    array([[1., 0.],
           [1., 0.]], dtype=float32)
    """
    return _dense(x, W, b, activation, keep, rng, out, False, n_threads)[0]


def dense_forward(
    x: Array,
    W: Array,
    b: Array | None = None,
    *,
    activation: str = "relu",
    keep: float = 1.0,
    rng: Generator | int | None = None,
    n_threads: int | None = None,
) -> tuple[Array, DenseCache]:
    """`dense` with the cache that `dense_backward` needs; parameters as there.

    Examples
    --------
    >>> import numpy as np, fanin
    >>> x, W = np.ones((1, 2)), np.eye(2)
    >>> y, cache = fanin.layers.dense_forward(x, W, activation="tanh")
    >>> dx, dW, db = fanin.layers.dense_backward(np.ones((1, 2)), cache)
    >>> db.round(4)
    array([0.42, 0.42])
    """
    keep = keep_probability("keep", keep)
    gated = activation == "relu"
    needs_slope = not gated and (activation != "identity" or keep < 1)
    y, slope = _dense(x, W, b, activation, keep, rng, None, needs_slope, n_threads)
    return y, DenseCache(x, W, slope, y if gated else None, 1.0 / keep if gated else 1.0)


def dense_backward(
    dout: Array, cache: DenseCache, *, need_dx: bool = True, n_threads: int | None = None
) -> tuple[Array | None, Array, Array]:
    """Gradients of `dense_forward`: (dx, dW, db), with the derivative of the activation fused in.

    Parameters
    ----------
    dout : ndarray of shape (N, H), dtype of x
    cache : the second result of `dense_forward`
    need_dx : bool
        False for a first layer, whose dx nobody needs: it is None then.
    """
    dout = plain_array("dout", dout)
    return _core.dense_backward(
        dout, cache.x, cache.W, cache.slope, cache.gate, cache.factor, need_dx, threads(n_threads)
    )


def _rows(name: str, x: Array) -> Array:
    """An array of shape (N, d1, ..., dk) as (N, D), without a copy."""
    x = plain_array(name, x)
    if x.ndim < 1:
        raise ValueError(f"{name}: expected shape (N, ...), got {describe(x)}")
    if not x.flags.c_contiguous:
        raise ValueError(
            f"{name}: expected a C-contiguous array, got strides {x.strides}; "
            f"np.ascontiguousarray({name}) makes a copy that fits"
        )
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


def affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, DenseCache]:
    """``x.reshape(N, -1) @ w + b``; x may be (N, d1, ..., dk)."""
    y, cache = dense_forward(_rows("x", x), w, b, activation="identity")
    return y, cache._replace(x=x)


def affine_backward(dout: Array, cache: DenseCache) -> tuple[Array, Array, Array]:
    """(dx, dw, db) of `affine_forward`, dx in the shape of x."""
    dx, dw, db = dense_backward(dout, cache._replace(x=_rows("x", cache.x)))
    assert dx is not None
    return dx.reshape(cache.x.shape), dw, db


def _elementwise(x: Array, activation: str) -> tuple[Array, SlopeCache]:
    x, code = plain_array("x", x), ACTIVATIONS.index(activation)
    y, slope = _core.activation_forward(x, code, 1.0, 1.0, 0, 0, 0, None, True, 0)
    assert slope is not None
    return y, SlopeCache(slope)


def _like(dout: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    dout = plain_array("dout", dout)
    if dout.shape != shape or dout.dtype != dtype:
        raise ValueError(f"dout: expected shape {shape} {dtype}, got {dout.shape} {dout.dtype}")
    return dout


def _elementwise_backward(dout: Array, cache: SlopeCache) -> Array:
    return _like(dout, cache.slope.shape, cache.slope.dtype) * cache.slope


def relu_forward(x: Array) -> tuple[Array, SlopeCache]:
    """``max(0, x)``.

    Examples
    --------
    >>> import numpy as np, fanin
    >>> y, cache = fanin.layers.relu_forward(np.array([[-1.0, 2.0]]))
    >>> fanin.layers.relu_backward(np.array([[5.0, 5.0]]), cache)
    array([[0., 5.]])
    """
    return _elementwise(x, "relu")


def relu_backward(dout: Array, cache: SlopeCache) -> Array:
    """The gradient dx of `relu_forward`; 0 at the kink."""
    return _elementwise_backward(dout, cache)


def leaky_relu_forward(x: Array) -> tuple[Array, SlopeCache]:
    """Positive x as they are, others times 0.01."""
    return _elementwise(x, "leaky_relu")


def leaky_relu_backward(dout: Array, cache: SlopeCache) -> Array:
    """The gradient dx of `leaky_relu_forward`."""
    return _elementwise_backward(dout, cache)


def elu_forward(x: Array) -> tuple[Array, SlopeCache]:
    """Positive x as they are, of others exp(x) - 1."""
    return _elementwise(x, "elu")


def elu_backward(dout: Array, cache: SlopeCache) -> Array:
    """The gradient dx of `elu_forward`."""
    return _elementwise_backward(dout, cache)


def gelu_forward(x: Array) -> tuple[Array, SlopeCache]:
    """``x * Phi(x)``, Phi the normal distribution function (Hendrycks & Gimpel 2016, exact)."""
    return _elementwise(x, "gelu")


def gelu_backward(dout: Array, cache: SlopeCache) -> Array:
    """The gradient dx of `gelu_forward`."""
    return _elementwise_backward(dout, cache)


def sigmoid_forward(x: Array) -> tuple[Array, SlopeCache]:
    """``1 / (1 + exp(-x))``."""
    return _elementwise(x, "sigmoid")


def sigmoid_backward(dout: Array, cache: SlopeCache) -> Array:
    """The gradient dx of `sigmoid_forward`."""
    return _elementwise_backward(dout, cache)


def tanh_forward(x: Array) -> tuple[Array, SlopeCache]:
    """The hyperbolic tangent."""
    return _elementwise(x, "tanh")


def tanh_backward(dout: Array, cache: SlopeCache) -> Array:
    """The gradient dx of `tanh_forward`."""
    return _elementwise_backward(dout, cache)


def dropout_forward(
    x: Array,
    *,
    keep: float,
    mode: str = "inverted",
    rng: Generator | int | None = None,
    train: bool = True,
    out: Array | None = None,
    n_threads: int | None = None,
) -> tuple[Array, DropoutCache]:
    """Dropout. Inverted: x * mask / keep in training, x itself otherwise.

    Vanilla: x * mask in training, x * keep otherwise. Either way the mean is the same in training
    as at test time; inverted, there is nothing to do at test time, and nothing to forget.

    The mask is ``uniform < keep``. The lecture's listing draws ``randn < p``, which keeps 69 % of
    the units at p = 0.5, since a normal deviate is below 0.5 that often.

    Parameters
    ----------
    x : ndarray of shape (N, ...), float32 or float64
    keep : float in (0, 1]
        Probability of keeping a unit (the lecture's p).
    mode : {"inverted", "vanilla"}
    rng : Generator, int or None
    train : bool
    out : ndarray of the shape and dtype of x, optional
        Written in place of a fresh array; it may be x itself.
    n_threads : int, optional

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
    """The gradient dx of `dropout_forward`."""
    return masked(_like(dout, cache.shape, cache.dtype), cache.keep, cache.scale, cache.key)
