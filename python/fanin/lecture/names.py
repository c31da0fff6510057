"""The lecture's two-layer net: its model, and its scores, loss and gradients."""

from __future__ import annotations

from typing import overload

import numpy as np
import numpy.typing as npt

from fanin import _core, _validate, initializers, optim
from fanin._typing import Array
from fanin._validate import describe
from fanin.layers import dense_backward, dense_forward, softmax_loss
from fanin.random import as_generator, package_generator

Model = dict[str, Array]


def seed_of(seed: int | None) -> int:
    """`seed`, or fresh entropy."""
    return as_generator(None if seed is None else _validate.whole("seed", seed, 0, 2**64 - 1)).seed


def check_model(model: object, *, trained: bool = False) -> Model:
    """`model`, where it is a dict of arrays of floats, and can be trained in place."""
    if not isinstance(model, dict) or not model:
        raise TypeError(f"model: expected a dict of arrays, got {describe(model)}")
    for key, value in model.items():
        p = _validate.plain_array(f"model[{key!r}]", value)
        if p.dtype not in (np.float32, np.float64) or not p.flags.c_contiguous:
            raise ValueError(
                f"model[{key!r}]: expected a C-contiguous float32 or float64 array, "
                f"got {describe(p)}"
            )
        if trained and not p.flags.writeable:
            raise ValueError(f"model[{key!r}]: expected a writable array, got a read-only one")
    return model


def two_layers(model: object, *, trained: bool = False) -> tuple[Array, Array, Array, Array]:
    """W1 (D, H), b1 (H,), W2 (H, C), b2 (C,) of one dtype."""
    model = check_model(model, trained=trained)
    if model.keys() != {"W1", "b1", "W2", "b2"}:
        raise ValueError(f"model: expected W1, b1, W2, b2, got {', '.join(map(str, model))}")
    parts = W1, b1, W2, b2 = model["W1"], model["b1"], model["W2"], model["b2"]
    fits = W1.ndim == W2.ndim == 2 and min(W1.shape + W2.shape) > 0
    if not fits or b1.shape != W1.shape[1:] or W2.shape[:1] != b1.shape or b2.shape != W2.shape[1:]:
        raise ValueError(
            "model: expected W1 (D, H), b1 (H,), W2 (H, C), b2 (C,), "
            f"got {', '.join(str(p.shape) for p in parts)}"
        )
    if len({p.dtype for p in parts}) > 1:
        raise ValueError(f"model: expected one dtype, got {', '.join(str(p.dtype) for p in parts)}")
    return parts


def init_two_layer_model(
    input_size: int,
    hidden_size: int,
    output_size: int,
    *,
    std: float = 1e-4,
    dtype: npt.DTypeLike = "float32",
    seed: int | None = None,
) -> Model:
    """Small random weights and zero biases for `two_layer_net`.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        D, H and the number of classes C.
    std : float, default 1e-4
        Of the weights: with it the lecture's initial losses come out, 2.3026 at reg 0 and 3.07 at
        reg 1e3 for 3072-50-10.
    dtype : {"float32", "float64"}
    seed : int, optional
        The weights are those of an `MLP` with this seed and std; None takes fresh entropy, as the
        course's code does.

    Returns
    -------
    dict of str to ndarray
        W1 (D, H), b1 (H,), W2 (H, C), b2 (C,).

    Examples
    --------
    >>> model = fanin.init_two_layer_model(32*32*3, 50, 10)  # input, hidden size, classes
    >>> {name: p.shape for name, p in model.items()}
    {'W1': (3072, 50), 'b1': (50,), 'W2': (50, 10), 'b2': (10,)}
    """
    given = {"input_size": input_size, "hidden_size": hidden_size, "output_size": output_size}
    sizes = [_validate.whole(name, value, 1, 2**31 - 1) for name, value in given.items()]
    std = _validate.real("std", std, 0)
    dtype = _validate.float_dtype("dtype", dtype)
    key = seed_of(seed)
    model = {}
    for layer in range(2):
        rng = package_generator(key, "init", layer)
        shape = sizes[layer], sizes[layer + 1]
        model[f"W{layer + 1}"] = initializers.small_random(shape, std, rng=rng, dtype=dtype)
        model[f"b{layer + 1}"] = np.zeros(shape[1], dtype)
    return model


@overload
def two_layer_net(
    X: Array, model: Model, y: None = None, reg: float = 0.0, *, n_threads: int | None = None
) -> Array: ...
@overload
def two_layer_net(
    X: Array, model: Model, y: Array, reg: float = 0.0, *, n_threads: int | None = None
) -> tuple[float, Model]: ...
def two_layer_net(
    X: Array,
    model: Model,
    y: Array | None = None,
    reg: float = 0.0,
    *,
    n_threads: int | None = None,
) -> Array | tuple[float, Model]:
    """Scores, or loss and gradients, of ``affine - ReLU - affine - softmax``.

    Parameters
    ----------
    X : ndarray of shape (N, D) or (N, ...), of any real dtype
        The values enter as they are, in the model's dtype: bytes from 0 to 255 too, of which the
        course takes the mean image, and ``X / 255`` makes numbers about 1.
    model : dict of str to ndarray
        As from `init_two_layer_model`.
    y : ndarray, optional
        Labels (N,) in 0 .. C-1, or soft ones (N, C).
    reg : float
        L2: adds ``0.5 * reg * sum(W * W)`` over W1 and W2, not the biases.
    n_threads : int, optional
        The result does not depend on it.

    Returns
    -------
    scores : ndarray of shape (N, C)
        Where y is None.
    loss, grads : float, dict of str to ndarray
        Otherwise; the gradients are named and shaped as the model.

    Examples
    --------
    The loss to expect of small weights is log C:

    >>> X, y = np.ones((4, 6)), np.array([0, 1, 2, 0])
    >>> model = fanin.init_two_layer_model(6, 5, 3, dtype="float64", seed=0)
    >>> loss, grads = fanin.two_layer_net(X, model, y)
    >>> round(loss, 4), fanin.two_layer_net(X, model).shape
    (1.0986, (4, 3))
    """
    W1, b1, W2, b2 = two_layers(model)
    reg = _validate.real("reg", reg, 0)
    x = _validate.data_rows("X", _validate.numbers("X", X), len(W1), W1.dtype)
    plain = isinstance(x, np.ndarray) and x.flags.c_contiguous and x.flags.aligned
    if x.dtype != W1.dtype or not plain:
        x = _core.gather_rows(x, None, None, None, W1.dtype, _validate.threads(n_threads))
    hidden, below = dense_forward(x, W1, b1, n_threads=n_threads)
    scores, above = dense_forward(hidden, W2, b2, activation="identity", n_threads=n_threads)
    if y is None:
        return scores
    loss, dscores = softmax_loss(scores, y, n_threads=n_threads)
    dhidden, dW2, db2 = dense_backward(dscores, above, n_threads=n_threads)
    assert dhidden is not None
    _, dW1, db1 = dense_backward(dhidden, below, need_dx=False, n_threads=n_threads)
    if reg:
        for W, dW in ((W1, dW1), (W2, dW2)):
            loss += 0.5 * reg * float(np.sum(np.square(W, dtype=np.float64)))
            # dW + reg * W in one rounding, as the native loop has it.
            optim.SGD(lr=reg).step(dW, -W, n_threads=n_threads)
    return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}
