"""Initial values of weights.

All have mean 0. `xavier` and `kaiming` take the standard deviation from the number of inputs, so
that activations neither shrink nor grow from layer to layer. Biases start at 0.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Protocol, SupportsIndex, TypeAlias

from numpy.typing import DTypeLike

from fanin._typing import FloatArray
from fanin.random import Rng, as_generator

__all__ = ["Initializer", "get", "kaiming", "small_random", "xavier"]

Shape: TypeAlias = SupportsIndex | Sequence[SupportsIndex]


class Initializer(Protocol):
    """What `get` returns: a function from a shape (D, H) to weights.

    Parameters
    ----------
    shape, gain, distribution, rng, dtype, out
        As in `kaiming`.
    """

    def __call__(
        self,
        shape: Shape,
        *,
        gain: float = ...,
        distribution: str = ...,
        rng: Rng = ...,
        dtype: DTypeLike = ...,
        out: FloatArray | None = ...,
    ) -> FloatArray:
        """Draw weights of that shape."""


def small_random(
    shape: Shape,
    std: float = 0.01,
    *,
    gain: float = 1.0,
    distribution: str = "normal",
    rng: Rng = None,
    dtype: DTypeLike = "float32",
    out: FloatArray | None = None,
) -> FloatArray:
    """Draw weights of a fixed standard deviation: ``gain * std``.

    The lecture's first attempt, ``0.01 * randn(D, H)`` (CS231n): fine for a shallow network; in a
    deep one activations shrink towards zero.

    Parameters
    ----------
    shape : int or tuple of ints
        The shape of the weights.
    std : float
        The standard deviation before `gain`.
    gain : float
        A factor on the standard deviation, at least 0.
    distribution : {"normal", "uniform"}
        Normal, or uniform within ``sqrt(3)`` standard deviations.
    rng : None, int, Generator or NumPy's generator
        See `fanin.random.as_generator`; None takes fresh entropy.
    dtype : {"float32", "float64"}
        The type of the result where `out` is not given.
    out : array of that shape, optional
        C-contiguous and writable; filled and returned.

    Returns
    -------
    ndarray
        The weights.

    Notes
    -----
    Keras calls it ``RandomNormal``, with std 0.05 by default; PyTorch ``init.normal_``, with std 1.

    Examples
    --------
    >>> small_random((3072, 50), rng=0).shape
    (3072, 50)
    """
    if not (math.isfinite(std) and std >= 0):
        raise ValueError(f"std: expected a finite number of at least 0, got {std}")
    return _draw(shape, std, gain, distribution, rng, dtype, out)


def xavier(
    shape: Shape,
    fan: str = "in",
    *,
    gain: float = 1.0,
    distribution: str = "normal",
    rng: Rng = None,
    dtype: DTypeLike = "float32",
    out: FloatArray | None = None,
) -> FloatArray:
    """Draw weights of standard deviation ``gain / sqrt(D)``: for tanh, sigmoid and no activation.

    Parameters
    ----------
    shape : tuple of two ints
        (D, H): inputs and outputs of the layer.
    fan : {"in", "avg"}
        "in" divides by D, as the lecture does (CS231n: ``randn(D, H) / sqrt(D)``). "avg" divides by
        (D + H) / 2: Glorot's compromise between activations and gradients.
    gain, distribution, rng, dtype, out
        As in `small_random`.

    Returns
    -------
    ndarray
        The weights, of shape (D, H).

    Notes
    -----
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010, equations 12 and 16. PyTorch's ``xavier_normal_`` and Keras's ``GlorotNormal`` are
    ``fan="avg"``, Keras's ``LecunNormal`` is ``fan="in"``. Keras cuts its normals at two standard
    deviations (and rescales them); PyTorch and we do not. PyTorch's weights are
    (H, D), ours (D, H).

    Examples
    --------
    >>> W = xavier((400, 100), rng=0)
    >>> round(float(W.std()), 3)
    0.05
    """
    inputs, outputs = _fans(shape)
    if fan not in ("in", "avg"):
        raise ValueError(f"fan: expected one of 'in', 'avg', got {fan!r}")
    count = inputs if fan == "in" else (inputs + outputs) / 2
    return _draw(shape, math.sqrt(1 / count), gain, distribution, rng, dtype, out)


def kaiming(
    shape: Shape,
    *,
    gain: float = 1.0,
    distribution: str = "normal",
    rng: Rng = None,
    dtype: DTypeLike = "float32",
    out: FloatArray | None = None,
) -> FloatArray:
    """Draw weights of standard deviation ``gain * sqrt(2 / D)``: for ReLU and the like.

    ReLU sets half of its inputs to zero, which halves the variance; the 2 makes up for it.

    Parameters
    ----------
    shape : tuple of two ints
        (D, H): inputs and outputs of the layer.
    gain, distribution, rng, dtype, out
        As in `small_random`.

    Returns
    -------
    ndarray
        The weights, of shape (D, H).

    Notes
    -----
    He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015, equation 10. Here `gain`
    multiplies sqrt(2 / D); PyTorch's gain contains the sqrt(2). ``kaiming_normal_`` with
    ``nonlinearity="relu"`` is the same, but PyTorch's own ``nn.Linear`` starts from
    ``kaiming_uniform_(a=sqrt(5))``, a standard deviation of ``sqrt(1 / (3 D))``. Keras's
    ``HeNormal`` cuts its normal at two standard deviations.

    Examples
    --------
    >>> W = kaiming((800, 100), rng=0)
    >>> round(float(W.std()), 3)
    0.05
    """
    inputs, _ = _fans(shape)
    return _draw(shape, math.sqrt(2 / inputs), gain, distribution, rng, dtype, out)


_KNOWN: dict[str, Initializer] = {
    "small": small_random,
    "small_random": small_random,
    "xavier": xavier,
    "glorot": functools.partial(xavier, fan="avg"),
    "kaiming": kaiming,
    "he": kaiming,
}


def get(name: str | Callable[..., FloatArray], argument: str = "init") -> Initializer:
    """The initialiser of that name; a function is returned as it is.

    Parameters
    ----------
    name : str or callable
        One of "small", "small_random", "xavier", "glorot" (xavier with ``fan="avg"``), "kaiming",
        "he"; or a function with the arguments of `kaiming`.
    argument : str
        What an error calls it.

    Examples
    --------
    >>> get("he") is kaiming
    True
    """
    if callable(name):
        return name
    if name not in _KNOWN:
        known = ", ".join(_KNOWN)
        raise ValueError(f"{argument}: expected one of {known} or a function, got {name!r}")
    return _KNOWN[name]


def _fans(shape: Shape) -> tuple[int, int]:
    dims = () if isinstance(shape, SupportsIndex) else tuple(int(d) for d in shape)
    if len(dims) != 2 or min(dims) < 1:
        raise ValueError(f"shape: expected (D, H), each at least 1, got {shape}")
    return dims[0], dims[1]


def _draw(
    shape: Shape,
    std: float,
    gain: float,
    distribution: str,
    rng: Rng,
    dtype: DTypeLike,
    out: FloatArray | None,
) -> FloatArray:
    if not (math.isfinite(gain) and gain >= 0):
        raise ValueError(f"gain: expected a finite number of at least 0, got {gain}")
    if distribution not in ("normal", "uniform"):
        raise ValueError(f"distribution: expected one of 'normal', 'uniform', got {distribution!r}")
    weights: FloatArray
    std = gain * std
    if distribution == "normal" or std == 0:
        weights = as_generator(rng).normal(0.0, std, shape, dtype=dtype, out=out)
    else:
        bound = math.sqrt(3) * std
        weights = as_generator(rng).uniform(-bound, bound, shape, dtype=dtype, out=out)
    return weights
