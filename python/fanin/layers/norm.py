"""Layer norm over each row and batch norm over each column, forward and backward."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fanin import _core
from fanin._typing import Array
from fanin._validate import describe, plain_array

_PLAIN = (0, 1.0, 0, 0, 0)  # no activation and no dropout after it


class LayerNormCache(NamedTuple):
    """What `layer_norm_backward` needs: mean and inverse (1 / deviation) are (N,), of the rows."""

    x: Array
    gamma: Array
    mean: Array
    inverse: Array


class BatchNormCache(NamedTuple):
    """What `batch_norm_backward` needs: mean and (biased) variance are (D,), of the columns."""

    x: Array
    gamma: Array
    mean: Array
    variance: Array


def checked_columns(x: Array, name: str, vector: Array) -> tuple[Array, Array]:
    """X (N, D) and a vector (D,); dtype and layout are for the core to check."""
    x, vector = plain_array("x", x), plain_array(name, vector)
    if vector.ndim != 1:
        raise ValueError(f"{name}: expected shape (N,) {x.dtype}, got {describe(vector)}")
    if x.ndim != 2 or x.shape[1] != vector.size:
        raise ValueError(f"x: expected shape (N, {vector.size}), got {describe(x)}")
    return x, vector


def layer_norm_forward(x: Array, gamma: Array, beta: Array) -> tuple[Array, LayerNormCache]:
    """``gamma * (x - mean) / sqrt(variance + 1e-5) + beta``, both of each row (Ba et al., 2016).

    The variance is the biased one, by a second pass over the row. A NaN or infinity in a row makes
    the whole row NaN.

    Parameters
    ----------
    x : ndarray of shape (N, D), float32 or float64
    gamma, beta : ndarray of shape (D,), dtype of x

    Returns
    -------
    y : ndarray of shape (N, D)
    cache : LayerNormCache

    Raises
    ------
    ValueError, TypeError
        Where a shape, layout or dtype does not fit.

    Examples
    --------
    >>> import numpy as np, fanin
    >>> x = np.array([[1.0, 3.0], [10.0, 30.0]])
    >>> y, cache = fanin.layers.layer_norm_forward(x, np.ones(2), np.zeros(2))
    >>> y.round(3)
    array([[-1.,  1.],
           [-1.,  1.]])
    >>> cache.mean
    array([ 2., 20.])
    """
    x, gamma = checked_columns(x, "gamma", gamma)
    beta = plain_array("beta", beta)
    y, mean, inverse, _ = _core.layer_norm_forward(x, gamma, beta, _PLAIN, None, False, 0)
    return y, LayerNormCache(x, gamma, mean, inverse)


def layer_norm_backward(dout: Array, cache: LayerNormCache) -> tuple[Array, Array, Array]:
    """Gradients of `layer_norm_forward`: (dx, dgamma, dbeta).

    Parameters
    ----------
    dout : ndarray of shape (N, D), dtype of x
    cache : LayerNormCache

    Examples
    --------
    >>> x = np.array([[1.0, 3.0], [10.0, 30.0]])
    >>> y, cache = fanin.layers.layer_norm_forward(x, np.ones(2), np.zeros(2))
    >>> dx, dgamma, dbeta = fanin.layers.layer_norm_backward(np.ones((2, 2)), cache)
    >>> dbeta
    array([2., 2.])
    """
    x, gamma, mean, inverse = cache
    dout = plain_array("dout", dout)
    dx = _core.layer_norm_backward(dout, x, gamma, mean, inverse, None, 0)
    dgamma, dbeta = np.empty_like(gamma), np.empty_like(gamma)
    _core.norm_gradient(dout, x, mean, inverse, False, dgamma, dbeta, False, 0)
    return dx, dgamma, dbeta


def batch_norm(x: Array, gamma: Array, beta: Array, mean: Array, variance: Array) -> Array:
    """``gamma * (x - mean) / sqrt(variance + 1e-5) + beta`` with statistics that are given.

    Parameters
    ----------
    x : ndarray of shape (N, D), float32 or float64
    gamma, beta, mean, variance : ndarray of shape (D,), dtype of x

    Returns
    -------
    ndarray of shape (N, D)

    Examples
    --------
    >>> import numpy as np, fanin
    >>> one = np.ones(1)
    >>> fanin.layers.batch_norm(np.array([[3.0], [5.0]]), one, one, 4 * one, one).round(3)
    array([[0.],
           [2.]])
    """
    x, gamma = checked_columns(x, "gamma", gamma)
    beta, mean = plain_array("beta", beta), plain_array("mean", mean)
    variance = plain_array("variance", variance)
    if variance.shape != gamma.shape or variance.dtype != x.dtype:
        expected = f"shape {gamma.shape} {x.dtype}"
        raise ValueError(f"variance: expected {expected}, got {describe(variance)}")
    inverse = _core.inverse_deviation(variance)
    return _core.batch_norm_forward(x, gamma, beta, mean, inverse, _PLAIN, None, False, 0)[0]


def batch_norm_forward(x: Array, gamma: Array, beta: Array) -> tuple[Array, BatchNormCache]:
    """`batch_norm` with the statistics of the batch itself (Ioffe and Szegedy, 2015).

    The variance is the biased one, by a second pass. The sums are made in blocks of 96 rows, which
    are added in double: their bits depend on neither threads nor instruction set.

    Parameters
    ----------
    x : ndarray of shape (N, D), float32 or float64
        Of at least two rows.
    gamma, beta : ndarray of shape (D,), dtype of x

    Returns
    -------
    y : ndarray of shape (N, D)
    cache : BatchNormCache
        Has the batch's ``mean`` and ``variance``.

    Raises
    ------
    ValueError, TypeError
        Where a shape, layout or dtype does not fit.

    Examples
    --------
    >>> import numpy as np, fanin
    >>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> y, cache = fanin.layers.batch_norm_forward(x, np.ones(2), np.zeros(2))
    >>> cache.mean, cache.variance
    (array([ 2., 20.]), array([  1., 100.]))
    """
    x, gamma = checked_columns(x, "gamma", gamma)
    if len(x) < 2:
        raise ValueError(f"x: expected at least two rows to normalise over, got {len(x)}")
    mean, variance = _core.batch_moments(x, gamma.size, 0)
    return batch_norm(x, gamma, beta, mean, variance), BatchNormCache(x, gamma, mean, variance)


def batch_norm_backward(dout: Array, cache: BatchNormCache) -> tuple[Array, Array, Array]:
    """Gradients of `batch_norm_forward`: (dx, dgamma, dbeta), the statistics' own part in dx.

    Parameters
    ----------
    dout : ndarray of shape (N, D), dtype of x
    cache : BatchNormCache

    Examples
    --------
    >>> x = np.array([[1.0, 10.0], [3.0, 30.0]])
    >>> y, cache = fanin.layers.batch_norm_forward(x, np.ones(2), np.zeros(2))
    >>> dx, dgamma, dbeta = fanin.layers.batch_norm_backward(np.ones((2, 2)), cache)
    >>> dbeta
    array([2., 2.])
    """
    x, gamma, mean, variance = cache
    dout = plain_array("dout", dout)
    inverse = _core.inverse_deviation(variance)
    dbeta, dgamma = _core.batch_gradients(dout, x, mean, inverse, 0)
    n = x.dtype.type(len(x))
    dx = _core.batch_norm_backward(dout, x, gamma, mean, inverse, dbeta / n, dgamma / n, None, 0)
    return dx, dgamma, dbeta
