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
    """A function from a shape (D, H) to weights, as `get` returns it.

    Parameters
    ----------
    shape, gain, distribution, rng, dtype, out
        As in `kaiming`.

    Examples
    --------
    >>> draw = fanin.initializers.get("kaiming")
    >>> draw((64, 10), rng=0).shape
    (64, 10)
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
    ) -> FloatArray: ...


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
    deep one activations shrink towards zero. Keras calls it ``RandomNormal``, with std 0.05 by
    default; PyTorch ``init.normal_``, with std 1.

    Parameters
    ----------
    shape : int or tuple of ints
        Of the weights.
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
        The weights, of that shape.

    Examples
    --------
    >>> small_random((3072, 50), rng=0).shape
    (3072, 50)
    """
    for name, value in (("std", std), ("gain", gain)):
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name}: expected a finite number of at least 0, got {value}")
    if distribution not in ("normal", "uniform"):
        raise ValueError(f"distribution: expected one of 'normal', 'uniform', got {distribution!r}")
    weights: FloatArray
    std, generator = gain * std, as_generator(rng)
    if distribution == "normal" or std == 0:
        weights = generator.normal(0.0, std, shape, dtype=dtype, out=out)
    else:
        bound = math.sqrt(3) * std
        weights = generator.uniform(-bound, bound, shape, dtype=dtype, out=out)
    return weights


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

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010, equations 12 and 16. PyTorch's ``xavier_normal_`` and Keras's ``GlorotNormal`` are
    ``fan="avg"``, Keras's ``LecunNormal`` is ``fan="in"``. Keras truncates its normals at two
    standard deviations (and rescales them); PyTorch and fanin do not. PyTorch's weights are (H, D).

    Parameters
    ----------
    shape : tuple of two ints
        (D, H): inputs and outputs of the layer, the shape of the weights.
    fan : {"in", "avg"}
        "in" divides by D, as the lecture does (CS231n: ``randn(D, H) / sqrt(D)``). "avg" divides by
        (D + H) / 2: Glorot's compromise between activations and gradients.
    gain, distribution, rng, dtype, out
        As in `small_random`.

    Returns
    -------
    ndarray of shape (D, H)

    Examples
    --------
    >>> W = xavier((400, 100), rng=0)
    >>> round(float(W.std()), 3)
    0.05
    """
    inputs, outputs = _fans(shape)
    if fan not in ("in", "avg"):
        raise ValueError(f"fan: expected one of 'in', 'avg', got {fan!r}")
    std = math.sqrt(1 / (inputs if fan == "in" else (inputs + outputs) / 2))
    return small_random(
        shape, std, gain=gain, distribution=distribution, rng=rng, dtype=dtype, out=out
    )


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
    He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015, equation 10. Here `gain`
    multiplies sqrt(2 / D); PyTorch's gain contains the sqrt(2). ``kaiming_normal_`` with
    ``nonlinearity="relu"`` is the same, but PyTorch's own ``nn.Linear`` starts from
    ``kaiming_uniform_(a=sqrt(5))``, a standard deviation of ``sqrt(1 / (3 D))``. Keras's
    ``HeNormal`` truncates its normal at two standard deviations.

    Parameters
    ----------
    shape : tuple of two ints
        (D, H): inputs and outputs of the layer, the shape of the weights.
    gain, distribution, rng, dtype, out
        As in `small_random`.

    Returns
    -------
    ndarray of shape (D, H)

    Examples
    --------
    >>> W = kaiming((800, 100), rng=0)
    >>> round(float(W.std()), 3)
    0.05
    """
    std = math.sqrt(2 / _fans(shape)[0])
    return small_random(
        shape, std, gain=gain, distribution=distribution, rng=rng, dtype=dtype, out=out
    )


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
        Its name in error messages.

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


# Of the activations, those that keep what is far below 0 or end at both sides, and SELU, whose
# authors take 1 / D. All others let go of about half of the variance, as ReLU does.
_OF_XAVIER = ("identity", "sigmoid", "tanh", "selu")


def suited_to(activation: str) -> str:
    """The usual initialiser of the layers before an activation, "xavier" or "kaiming".

    Parameters
    ----------
    activation : str
        A name in `fanin.layers.ACTIVATIONS`, or "prelu".

    Examples
    --------
    >>> [suited_to(activation) for activation in ("tanh", "relu", "silu", "prelu")]
    ['xavier', 'kaiming', 'kaiming', 'kaiming']
    """
    return "xavier" if activation in _OF_XAVIER else "kaiming"


def _fans(shape: Shape) -> tuple[int, int]:
    dims = () if isinstance(shape, SupportsIndex) else tuple(int(d) for d in shape)
    if len(dims) != 2 or min(dims) < 1:
        raise ValueError(f"shape: expected (D, H), each at least 1, got {shape}")
    return dims[0], dims[1]
