"""PReLU: a rectifier with one learnt slope a unit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fanin import _core
from fanin._typing import Array
from fanin._validate import plain_array
from fanin.layers.norm import checked_columns

_PLAIN = (0, 1.0, 0, 0, 0)  # no activation and no dropout after it


class PreluCache(NamedTuple):
    """What `prelu_backward` needs from `prelu_forward`."""

    x: Array
    slopes: Array


def prelu_forward(x: Array, slopes: Array) -> tuple[Array, PreluCache]:
    """X where it is positive, else ``slopes * x``, a slope for each column (He et al., 2015).

    Parameters
    ----------
    x : ndarray of shape (N, D), float32 or float64
    slopes : ndarray of shape (D,), dtype of x

    Returns
    -------
    y : ndarray of shape (N, D)
    cache : PreluCache

    Examples
    --------
    >>> import numpy as np, fanin
    >>> y, cache = fanin.layers.prelu_forward(np.array([[-2.0, 2.0]]), np.array([0.25, 0.25]))
    >>> y
    array([[-0.5,  2. ]])
    >>> fanin.layers.prelu_backward(np.ones((1, 2)), cache)
    (array([[0.25, 1.  ]]), array([-2.,  0.]))
    """
    x, slopes = checked_columns(x, "slopes", slopes)
    y, _ = _core.prelu_forward(x, slopes, _PLAIN, None, False, 0)
    return y, PreluCache(x, slopes)


def prelu_backward(dout: Array, cache: PreluCache) -> tuple[Array, Array]:
    """Gradients of `prelu_forward`: (dx, dslopes); the slope at 0 is that below it.

    Parameters
    ----------
    dout : ndarray of shape (N, D), dtype of x
    cache : PreluCache

    Examples
    --------
    >>> y, cache = fanin.layers.prelu_forward(np.array([[-2.0, 2.0]]), np.array([0.25, 0.25]))
    >>> dx, dslopes = fanin.layers.prelu_backward(np.ones((1, 2)), cache)
    >>> dx, dslopes
    (array([[0.25, 1.  ]]), array([-2.,  0.]))
    """
    x, slopes = cache
    dout = plain_array("dout", dout)
    dslopes = np.empty_like(slopes)
    _core.prelu_gradient(dout, x, dslopes, False, 0)
    return _core.prelu_backward(dout, x, slopes, None, 0), dslopes
