"""The dense layer, fused with its activation and dropout, and each of these on its own."""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

from fanin import _core
from fanin._typing import Array
from fanin._validate import describe, keep_probability, one_of, plain_array, threads
from fanin.layers.dropout import Mask, checked_gradient
from fanin.random import Rng

ACTIVATIONS: tuple[str, ...] = _core.activations


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


def activation_code(name: str, value: str) -> int:
    """The number of an activation in the core."""
    return ACTIVATIONS.index(one_of(name, value, ACTIVATIONS))


def _dense(
    x: Array,
    W: Array,
    b: Array | None,
    activation: str,
    keep: float,
    rng: Rng,
    out: Array | None,
    slope: bool,
    n_threads: int | None,
    compute: str | None = None,
) -> tuple[Array, Array | None]:
    bf16 = compute is not None and one_of("compute", compute, _core.computes[1:]) == "bf16"
    code, keep = activation_code("activation", activation), keep_probability("keep", keep)
    x, W, n = plain_array("x", x), plain_array("W", W), threads(n_threads)
    if keep == 1:
        return _core.dense_forward(x, W, b, code, 1.0, 0, 0, 0, out, slope, n, bf16)
    mask = Mask(keep, rng, x.shape[0] if x.ndim else 0, W.shape[-1] if W.ndim else 0)
    result = _core.dense_forward(x, W, b, code, keep, *mask.key, out, slope, n, bf16)
    mask.used()
    return result


def dense(
    x: Array,
    W: Array,
    b: Array | None = None,
    *,
    activation: str = "relu",
    keep: float = 1.0,
    rng: Rng = None,
    compute: str | None = None,
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
    activation : str
        "identity", "relu", "leaky_relu" (slope 0.01), "elu" (alpha 1), "gelu" (the exact one, with
        erf), "sigmoid", "tanh", "silu", "mish", "softplus" or "selu".
    keep : float in (0, 1]
        Probability of keeping a unit; kept ones are divided by it (inverted dropout).
    rng : Generator, int, NumPy's generator or None
        Where the mask is drawn; None takes fresh entropy.
    compute : {None, "bf16"}
        "bf16" rounds x and W, float32, to bfloat16 for the product, whose sums are float32: see
        `fanin.MLP`.
    out : ndarray of shape (N, H), optional
        Receives the result; may not share memory with an input.
    n_threads : int, optional

    Returns
    -------
    ndarray of shape (N, H)

    Examples
    --------
    >>> import numpy as np, fanin
    >>> x = np.ones((2, 3), dtype=np.float32)
    >>> W = np.full((3, 2), -1, dtype=np.float32)
    >>> fanin.layers.dense(x, W, np.array([4, 1], dtype=np.float32))
    array([[1., 0.],
           [1., 0.]], dtype=float32)
    """
    return _dense(x, W, b, activation, keep, rng, out, False, n_threads, compute)[0]


def dense_forward(
    x: Array,
    W: Array,
    b: Array | None = None,
    *,
    activation: str = "relu",
    keep: float = 1.0,
    rng: Rng = None,
    n_threads: int | None = None,
) -> tuple[Array, DenseCache]:
    """`dense` with the cache that `dense_backward` needs.

    Parameters
    ----------
    x, W, b, activation, keep, rng, n_threads
        As in `dense`.

    Returns
    -------
    y : ndarray of shape (N, H)
    cache : DenseCache

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
    cache : DenseCache
        The second result of the forward function.
    need_dx : bool
        False for a first layer, whose dx is not needed: dx is then None.
    n_threads : int, optional

    Examples
    --------
    >>> x, W = np.array([[1.0, 2.0]]), np.array([[1.0, -1.0], [1.0, -1.0]])
    >>> y, cache = fanin.layers.dense_forward(x, W, activation="relu")
    >>> dx, dW, db = fanin.layers.dense_backward(np.ones((1, 2)), cache)
    >>> dW
    array([[1., 0.],
           [2., 0.]])
    """
    return _core.dense_backward(plain_array("dout", dout), *cache, need_dx, threads(n_threads))


def _rows(x: Array) -> Array:
    """An array of shape (N, d1, ..., dk) as (N, D), without a copy."""
    x = plain_array("x", x)
    if x.ndim < 1:
        raise ValueError(f"x: expected shape (N, ...), got {describe(x)}")
    if not x.flags.c_contiguous:
        got = f"strides {x.strides}; np.ascontiguousarray(x) makes a copy that fits"
        raise ValueError(f"x: expected a C-contiguous array, got {got}")
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


def affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, DenseCache]:
    """``x.reshape(N, -1) @ w + b``.

    Parameters
    ----------
    x : ndarray of shape (N, d1, ..., dk), float32 or float64
    w : ndarray of shape (d1 * ... * dk, H), dtype of x
    b : ndarray of shape (H,), dtype of x

    Examples
    --------
    >>> x, w, b = np.ones((2, 3)), np.ones((3, 1)), np.array([0.5])
    >>> fanin.layers.affine_forward(x, w, b)[0]
    array([[3.5],
           [3.5]])
    """
    y, cache = dense_forward(_rows(x), w, b, activation="identity")
    return y, cache._replace(x=x)


def affine_backward(dout: Array, cache: DenseCache) -> tuple[Array, Array, Array]:
    """Gradients of `affine_forward`: (dx, dw, db), dx in the shape of x.

    Parameters
    ----------
    dout, cache
        As in `dense_backward`.

    Examples
    --------
    >>> x, w, b = np.ones((2, 3)), np.ones((3, 1)), np.array([0.5])
    >>> out, cache = fanin.layers.affine_forward(x, w, b)
    >>> dx, dw, db = fanin.layers.affine_backward(np.ones((2, 1)), cache)
    >>> dx.shape, dw.ravel(), db
    ((2, 3), array([2., 2., 2.]), array([2.]))
    """
    dx, dw, db = dense_backward(dout, cache._replace(x=_rows(cache.x)))
    assert dx is not None
    return dx.reshape(cache.x.shape), dw, db


class ActivationForward(Protocol):
    """``relu_forward`` and its like: (activation of x, cache)."""

    def __call__(self, x: Array) -> tuple[Array, SlopeCache]: ...


class ActivationBackward(Protocol):
    """``relu_backward`` and its like: the gradient dx."""

    def __call__(self, dout: Array, cache: SlopeCache) -> Array: ...


_Pair = tuple[ActivationForward, ActivationBackward]


def _pair(activation: str, formula: str, values: str, slopes: str) -> _Pair:
    """The two functions of an elementwise activation, and their values at -1 and 2."""
    code = ACTIVATIONS.index(activation)

    def forward(x: Array) -> tuple[Array, SlopeCache]:
        x = plain_array("x", x)
        y, slope = _core.activation_forward(x, code, 1.0, 1.0, 0, 0, 0, None, True, 0)
        assert slope is not None
        return y, SlopeCache(slope)

    def backward(dout: Array, cache: SlopeCache) -> Array:
        return checked_gradient(dout, cache.slope.shape, cache.slope.dtype) * cache.slope

    forward.__doc__ = f"""{formula}

    Parameters
    ----------
    x : ndarray of any shape, float32 or float64

    Examples
    --------
    >>> y, cache = fanin.layers.{activation}_forward(np.array([-1.0, 2.0]))
    >>> y.round(4)
    array([{values}])
    """
    backward.__doc__ = f"""The gradient dx of `{activation}_forward`.

    Parameters
    ----------
    dout : ndarray, of the shape and dtype of x
    cache : SlopeCache

    Examples
    --------
    >>> y, cache = fanin.layers.{activation}_forward(np.array([-1.0, 2.0]))
    >>> fanin.layers.{activation}_backward(np.ones(2), cache).round(4)
    array([{slopes}])
    """
    for function, direction in ((forward, "forward"), (backward, "backward")):
        function.__name__ = function.__qualname__ = f"{activation}_{direction}"
    return forward, backward


relu_forward: ActivationForward
relu_backward: ActivationBackward
leaky_relu_forward: ActivationForward
leaky_relu_backward: ActivationBackward
elu_forward: ActivationForward
elu_backward: ActivationBackward
gelu_forward: ActivationForward
gelu_backward: ActivationBackward
sigmoid_forward: ActivationForward
sigmoid_backward: ActivationBackward
tanh_forward: ActivationForward
tanh_backward: ActivationBackward
silu_forward: ActivationForward
silu_backward: ActivationBackward
mish_forward: ActivationForward
mish_backward: ActivationBackward
softplus_forward: ActivationForward
softplus_backward: ActivationBackward
selu_forward: ActivationForward
selu_backward: ActivationBackward

relu_forward, relu_backward = _pair(
    "relu", "``max(0, x)``; the slope at 0 is 0.", "0., 2.", "0., 1."
)
leaky_relu_forward, leaky_relu_backward = _pair(
    "leaky_relu", "x where it is positive, else ``0.01 * x``.", "-0.01,  2.  ", "0.01, 1.  "
)
elu_forward, elu_backward = _pair(
    "elu", "x where it is positive, else ``exp(x) - 1``.", "-0.6321,  2.    ", "0.3679, 1.    "
)
gelu_forward, gelu_backward = _pair(
    "gelu",
    "``x * Phi(x)``, Phi the normal distribution function (Hendrycks & Gimpel 2016, exact).",
    "-0.1587,  1.9545",
    "-0.0833,  1.0852",
)
sigmoid_forward, sigmoid_backward = _pair(
    "sigmoid", "``1 / (1 + exp(-x))``.", "0.2689, 0.8808", "0.1966, 0.105 "
)
tanh_forward, tanh_backward = _pair(
    "tanh", "The hyperbolic tangent.", "-0.7616,  0.964 ", "0.42  , 0.0707"
)
silu_forward, silu_backward = _pair(
    "silu",
    "``x * sigmoid(x)``, also called swish (Elfwing et al. 2018).",
    "-0.2689,  1.7616",
    "0.0723, 1.0908",
)
mish_forward, mish_backward = _pair(
    "mish", "``x * tanh(log(1 + exp(x)))`` (Misra 2019).", "-0.3034,  1.944 ", "0.0592, 1.0693"
)
softplus_forward, softplus_backward = _pair(
    "softplus",
    "``log(1 + exp(x))``, without overflow and without a threshold.",
    "0.3133, 2.1269",
    "0.2689, 0.8808",
)
selu_forward, selu_backward = _pair(
    "selu",
    "``1.0507 * x`` where x is positive, else ``1.7581 * (exp(x) - 1)`` (Klambauer et al. 2017).",
    "-1.1113,  2.1014",
    "0.6468, 1.0507",
)
