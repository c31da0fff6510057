"""DropConnect as functions: dropout of weights (Wan et al., ICML 2013)."""

from __future__ import annotations

from typing import NamedTuple

from fanin import _core
from fanin._typing import Array
from fanin._validate import describe, keep_probability, one_of, plain_array, threads
from fanin.layers.dense import activation_code
from fanin.layers.dropout import Key, Mask, masked
from fanin.layers.options import INFERENCES, MASKS
from fanin.random import Rng


class DropConnectCache(NamedTuple):
    """What `dropconnect_backward` needs: the masks are drawn again from their key."""

    x: Array
    W: Array  # masked, where all rows share the mask
    slope: Array | None
    gate: Array | None
    keep: float
    mask: str
    key: Key


def dropconnect_forward(
    x: Array,
    W: Array,
    b: Array | None = None,
    *,
    keep: float,
    activation: str = "relu",
    mask: str = "batch",
    rng: Rng = None,
    n_threads: int | None = None,
) -> tuple[Array, DropConnectCache]:
    """``activation(x @ (W * M) / keep + b)``: a dense layer in training that drops weights.

    Parameters
    ----------
    x, W, b, activation, n_threads
        As in `dense`. Biases are not dropped.
    keep : float in (0, 1]
        Probability of keeping a weight.
    mask : {"batch", "example"}
        One mask for all rows, or one for each, as in the paper. The latter draws N * D * H numbers
        (none for inputs that are zero); they are never stored.
    rng : Generator, int, NumPy's generator or None
        Where masks are drawn; None takes fresh entropy.

    Returns
    -------
    y : ndarray of shape (N, H)
    cache : DropConnectCache

    Examples
    --------
    >>> import numpy as np, fanin
    >>> x, W = np.ones((2, 3)), np.ones((3, 4))
    >>> y, cache = fanin.layers.dropconnect_forward(x, W, keep=0.5, mask="example", rng=0)
    >>> bool(np.isin(y, [0, 2, 4, 6]).all())
    True
    >>> dx, dW, db = fanin.layers.dropconnect_backward(np.ones((2, 4)), cache)
    >>> np.array_equal(dx.sum(axis=1), y.sum(axis=1))
    True
    """
    keep, code = keep_probability("keep", keep), activation_code("activation", activation)
    kind = one_of("mask", mask, MASKS)
    x, W, n = plain_array("x", x), _weights(W), threads(n_threads)
    gated = activation == "relu"
    needs_slope = not gated and activation != "identity"
    # Whole masks of W: those of a batch are those of its first row.
    width = len(W) * -(-W.shape[1] // 64) * 64
    draws = Mask(keep, rng, len(x) if kind == "example" and x.ndim else 1, width)
    if kind == "example" and keep < 1:
        y, slope = _core.drop_connect_forward(x, W, b, code, keep, *draws.key, needs_slope, n)
    else:
        W = _weights_masked(W, keep, draws.key, None, n_threads)
        y, slope = _core.dense_forward(x, W, b, code, 1.0, 0, 0, 0, None, needs_slope, n)
    draws.used()
    return y, DropConnectCache(x, W, slope, y if gated else None, keep, kind, draws.key)


def dropconnect_backward(
    dout: Array, cache: DropConnectCache, *, need_dx: bool = True, n_threads: int | None = None
) -> tuple[Array | None, Array, Array]:
    """Gradients of `dropconnect_forward`: (dx, dW, db), with the same masks.

    Parameters
    ----------
    dout, cache, need_dx, n_threads
        As in `dense_backward`.

    Examples
    --------
    >>> x, W = np.ones((2, 3)), np.ones((3, 4))
    >>> y, cache = fanin.layers.dropconnect_forward(x, W, keep=0.5, rng=0)
    >>> dx, dW, db = fanin.layers.dropconnect_backward(np.ones((2, 4)), cache)
    >>> bool(np.isin(dW, [0, 4]).all())
    True
    """
    dout, n = plain_array("dout", dout), threads(n_threads)
    x, W, slope, gate, keep, kind, key = cache
    if kind == "example" and keep < 1:
        return _core.drop_connect_backward(dout, x, W, slope, gate, keep, *key, need_dx, n)
    dx, dW, db = _core.dense_backward(dout, x, W, slope, gate, 1.0, need_dx, n)
    return dx, _weights_masked(dW, keep, key, dW, n_threads), db


def dropconnect_inference(
    x: Array,
    W: Array,
    b: Array | None = None,
    *,
    keep: float,
    activation: str = "relu",
    inference: str = "mean",
    n_threads: int | None = None,
) -> Array:
    """The layer of `dropconnect_forward` at test time.

    "mean" puts the mean of the masks in their place: ``activation(x @ W + b)``. "moments" takes the
    sums over masks for normal, with mean ``x @ W + b`` and variance ``(1 - keep) / keep * x**2 @
    W**2``, and returns the mean of the activation over these: in closed form for identity, relu and
    leaky_relu, by the trapezoidal rule over 33 points for the others. Wan et al. draw samples of
    that distribution; this is what their mean converges to.

    Parameters
    ----------
    x, W, b, keep, activation, n_threads
        As in `dropconnect_forward`.
    inference : {"mean", "moments"}

    Returns
    -------
    ndarray of shape (N, H)

    Examples
    --------
    >>> import numpy as np, fanin
    >>> x, W = np.ones((1, 2)), np.array([[1.0], [-1.0]])
    >>> fanin.layers.dropconnect_inference(x, W, keep=0.5)
    array([[0.]])
    >>> y = fanin.layers.dropconnect_inference(x, W, keep=0.5, inference="moments")
    >>> y.round(4)  # sqrt(2 / (2 pi)); over the four masks the mean is 1/2
    array([[0.5642]])
    """
    keep, code = keep_probability("keep", keep), activation_code("activation", activation)
    one_of("inference", inference, INFERENCES)
    x, W, n = plain_array("x", x), _weights(W), threads(n_threads)
    plain = 1.0, 0, 0, 0, None, False, n
    if inference == "mean":
        return _core.dense_forward(x, W, b, code, *plain)[0]
    identity = activation_code("activation", "identity")
    mean, _ = _core.dense_forward(x, W, b, identity, *plain)
    variance, _ = _core.dense_forward(x * x, W * W, None, identity, *plain)
    return _core.gaussian_activation(mean, variance, code, (1 - keep) / keep, n)


def _weights(W: object) -> Array:
    array = plain_array("W", W)
    if array.ndim != 2 or array.dtype.char not in "fd" or not array.flags.c_contiguous:
        expected = "shape (D, H) float32 or float64, C-contiguous"
        raise ValueError(f"W: expected {expected}, got {describe(array)}")
    return array


def _weights_masked(W: Array, keep: float, key: Key, out: Array | None, n: int | None) -> Array:
    seed, stream, first = key
    return masked(W, keep, 1 / keep, (seed, stream, first * len(W)), out, n)
