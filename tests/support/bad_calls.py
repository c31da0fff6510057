"""Bad calls of layers and of `MLP`, each with its error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from bad_arrays import D, H, N, floats, read_only, swapped, unaligned

import fanin
from fanin import layers

ACTIVATIONS = "identity, relu, leaky_relu, elu, gelu, sigmoid, tanh, silu, mish, softplus, selu"
x, W, b = floats(N, D), floats(D, H), floats(H)

Case = tuple[Callable[[], object], type[Exception], str]

DENSE: dict[str, Case] = {
    "x: list": (lambda: layers.dense([[1.0]], W), TypeError, "x: expected a NumPy array, got list"),
    "x: None": (
        lambda: layers.dense(None, W),
        TypeError,
        "x: expected a NumPy array, got NoneType",
    ),
    "x: columns": (
        lambda: layers.dense(floats(N, 5), W),
        ValueError,
        r"x: expected shape \(N, 4\) float32, got \(6, 5\) float32",
    ),
    "x: one axis": (
        lambda: layers.dense(floats(D), W),
        ValueError,
        r"x: expected shape \(N, 4\) float32, got \(4,\) float32",
    ),
    "x: no axis": (
        lambda: layers.dense(floats(), W),
        ValueError,
        r"x: expected shape \(N, 4\) float32, got \(\) float32",
    ),
    "x: no axis, dropout": (
        lambda: layers.dense(floats(), W, keep=0.5, rng=0),
        ValueError,
        r"x: expected shape \(N, 4\) float32, got \(\) float32",
    ),
    "W: no axis, dropout": (
        lambda: layers.dense(x, floats(), keep=0.5, rng=0),
        ValueError,
        r"W: expected shape \(N, N\) float32, got \(\) float32",
    ),
    "x: other float": (
        lambda: layers.dense(x.astype(np.float64), W),
        TypeError,
        r"x: expected shape \(N, 4\) float32, got \(6, 4\) float64",
    ),
    "x: whole numbers": (
        lambda: layers.dense(x.astype(np.int32), W),
        TypeError,
        r"x: expected .* got \(6, 4\) int32",
    ),
    "x: objects": (
        lambda: layers.dense(x.astype(object), W),
        TypeError,
        r"x: expected .* got \(6, 4\) object",
    ),
    "x: half": (lambda: layers.dense(x.astype(np.float16), W), TypeError, "x: expected .*float16"),
    "x: complex": (
        lambda: layers.dense(x.astype(np.complex64), W),
        TypeError,
        "x: expected .*complex64",
    ),
    "x: text": (lambda: layers.dense(x.astype("U5"), W), TypeError, "x: expected .*<U5"),
    "x: swapped": (
        lambda: layers.dense(x.astype(swapped), W),
        TypeError,
        r"x: expected native byte order, got \(6, 4\) >f4",
    ),
    "x: masked": (
        lambda: layers.dense(np.ma.array(x), W),
        TypeError,
        "x: expected a plain array, got a masked array",
    ),
    "x: strided": (
        lambda: layers.dense(floats(2 * N, D)[::2], W),
        ValueError,
        r"x: expected .* C-contiguous, .*np.ascontiguousarray\(x\)",
    ),
    "x: by columns": (
        lambda: layers.dense(np.asfortranarray(x), W),
        ValueError,
        "x: expected .* C-contiguous",
    ),
    "x: backwards": (lambda: layers.dense(x[::-1], W), ValueError, "x: expected .* C-contiguous"),
    "x: one row, spread": (
        lambda: layers.dense(np.broadcast_to(x[0], (N, D)), W),
        ValueError,
        "x: expected .* C-contiguous",
    ),
    "x: unaligned": (lambda: layers.dense(unaligned(x), W), ValueError, "x: expected .* aligned"),
    "W: shape": (lambda: layers.dense(x, floats(D)), ValueError, r"W: expected shape .*\(4,\)"),
    "W: integers": (
        lambda: layers.dense(x, W.astype(int)),
        TypeError,
        r"W: expected float32 or float64, got \(4, 3\) int64",
    ),
    "W: transposed": (lambda: layers.dense(x, floats(H, D).T), ValueError, "W: .* C-contiguous"),
    "W: masked": (lambda: layers.dense(x, np.ma.array(W)), TypeError, "W: .* masked array"),
    "b: shape": (
        lambda: layers.dense(x, W, floats(1, H)),
        ValueError,
        r"b: expected shape \(3,\) float32, got \(1, 3\) float32",
    ),
    "b: length": (lambda: layers.dense(x, W, floats(4)), ValueError, r"b: expected shape \(3,\)"),
    "b: dtype": (
        lambda: layers.dense(x, W, b.astype(np.float64)),
        TypeError,
        r"b: expected shape \(3,\) float32, got \(3,\) float64",
    ),
    "b: number": (
        lambda: layers.dense(x, W, 1.0),
        TypeError,
        r"b: expected .* or None, got .*float",
    ),
    "b: masked": (lambda: layers.dense(x, W, np.ma.array(b)), TypeError, "b: .* masked array"),
    "b: strided": (lambda: layers.dense(x, W, floats(6)[::2]), ValueError, "b: .* C-contiguous"),
    "out: shape": (
        lambda: layers.dense(x, W, out=np.empty((N, 4), np.float32)),
        ValueError,
        r"out: expected shape \(6, 3\) float32, got \(6, 4\) float32",
    ),
    "out: dtype": (
        lambda: layers.dense(x, W, out=np.empty((N, H))),
        TypeError,
        r"out: expected shape \(6, 3\) float32, got \(6, 3\) float64",
    ),
    "out: read-only": (
        lambda: layers.dense(x, W, out=read_only(floats(N, H))),
        ValueError,
        "out: expected a writable array, got a read-only one",
    ),
    "out: strided": (
        lambda: layers.dense(x, W, out=floats(N, 6)[:, ::2]),
        ValueError,
        "out: .* C-contiguous",
    ),
    "out: swapped": (
        lambda: layers.dense(x, W, out=np.empty((N, H), swapped)),
        TypeError,
        r"out: expected .* got \(6, 3\) >f4",
    ),
    "out: masked": (
        lambda: layers.dense(x, W, out=np.ma.array(floats(N, H))),
        TypeError,
        "out: .* masked array",
    ),
    "out: list": (
        lambda: layers.dense(x, W, out=[0.0]),
        TypeError,
        "out: expected an array or None, got .*list",
    ),
    "activation": (
        lambda: layers.dense(x, W, activation="swish"),
        ValueError,
        f"activation: expected one of {ACTIVATIONS}; got 'swish'",
    ),
    "activation: None": (
        lambda: layers.dense(x, W, activation=None),
        (ValueError, TypeError),
        "activation: expected one of .*None",
    ),
    "keep: 0": (lambda: layers.dense(x, W, keep=0), ValueError, "keep: expected above 0.*got 0"),
    "keep: below": (lambda: layers.dense(x, W, keep=-0.1), ValueError, "keep: .*got -0.1"),
    "keep: above": (
        lambda: layers.dense(x, W, keep=1.5),
        ValueError,
        r"keep: expected a probability of keeping in \(0, 1\], got 1.5",
    ),
    "keep: nan": (lambda: layers.dense(x, W, keep=np.nan), ValueError, "keep: .*got nan"),
    "keep: text": (
        lambda: layers.dense(x, W, keep="half"),
        TypeError,
        "keep: .*number, got 'half'",
    ),
    "keep: positional": (
        lambda: layers.dense(x, W, b, 0.5),  # type: ignore[misc]
        TypeError,
        "positional",
    ),
    "rng": (lambda: layers.dense(x, W, keep=0.5, rng="dice"), TypeError, "rng: .*got str"),
    "rng: negative": (lambda: layers.dense(x, W, keep=0.5, rng=-1), ValueError, "rng: .*got -1"),
    "n_threads: 0": (
        lambda: layers.dense(x, W, n_threads=0),
        ValueError,
        "n_threads: expected between 1 and 256, got 0",
    ),
    "n_threads: float": (
        lambda: layers.dense(x, W, n_threads=1.5),
        TypeError,
        "n_threads: expected a whole number, got 1.5",
    ),
    "n_threads: huge": (
        lambda: layers.dense(x, W, n_threads=2**40),
        ValueError,
        "n_threads: expected .*got 1099511627776",
    ),
}

CACHE = layers.dense_forward(x, W, b)[1]
RELU_CACHE = layers.relu_forward(x)[1]
LAYERS: dict[str, Case] = {
    "dout: shape": (
        lambda: layers.dense_backward(floats(N, D), CACHE),
        ValueError,
        r"dout: expected shape \(6, 3\) float32, got \(6, 4\) float32",
    ),
    "dout: dtype": (
        lambda: layers.dense_backward(floats(N, H, dtype=float), CACHE),
        TypeError,
        r"dout: expected shape \(6, 3\) float32, got \(6, 3\) float64",
    ),
    "dout: masked": (
        lambda: layers.dense_backward(np.ma.array(floats(N, H)), CACHE),
        TypeError,
        "dout: .*masked array",
    ),
    "dout: strided": (
        lambda: layers.dense_backward(floats(N, 6)[:, ::2], CACHE),
        ValueError,
        "dout: .* C-contiguous",
    ),
    "relu dout: shape": (
        lambda: layers.relu_backward(floats(N, 1), RELU_CACHE),
        ValueError,
        r"dout: expected shape \(6, 4\) float32, got \(6, 1\) float32",
    ),
    "relu dout: dtype": (
        lambda: layers.relu_backward(floats(N, D, dtype=float), RELU_CACHE),
        (TypeError, ValueError),
        r"dout: expected shape \(6, 4\) float32, got \(6, 4\) float64",
    ),
    "relu x: integers": (
        lambda: layers.relu_forward(np.arange(3)),
        TypeError,
        r"x: expected float32 or float64, got \(3,\) int64",
    ),
    "relu x: strided": (
        lambda: layers.tanh_forward(floats(N, D)[:, ::2]),
        ValueError,
        "x: .* C-contiguous",
    ),
    "relu x: list": (lambda: layers.relu_forward([1.0]), TypeError, "x: .*NumPy array, got list"),
    "dropout keep": (lambda: layers.dropout_forward(x, keep=0), ValueError, "keep: .*got 0"),
    "affine x: no axis": (
        lambda: layers.affine_forward(floats(), W, b),
        ValueError,
        r"x: expected .*got \(\) float32",
    ),
    "affine x: columns": (
        lambda: layers.affine_forward(floats(N, 2, 3), W, b),
        ValueError,
        r"x: expected .*\(6, 6\)",
    ),
}


def make(dims: Any = (D, H), **options: Any) -> Callable[[], fanin.MLP]:
    return lambda: fanin.MLP(dims, **options)


MLP: dict[str, Case] = {
    "dims: one": (make([4]), ValueError, r"dims: expected at least an input and an output.*\[4\]"),
    "dims: none": (make([]), ValueError, r"dims: .*got \[\]"),
    "dims: number": (make(4), (TypeError, ValueError), "dims: .*got int"),
    "dims: float": (make(4.5), (TypeError, ValueError), "dims: .*got float"),
    "dims: None": (make(None), (TypeError, ValueError), "dims: .*got NoneType"),
    "dims: text": (make("784,10"), (TypeError, ValueError), "dims: .*got str"),
    "dims: zero": (make([4, 0, 3]), ValueError, "dims: expected .*got 0"),
    "dims: negative": (make([4, -1]), ValueError, "dims: expected .*got -1"),
    "dims: fraction": (make([4, 2.5]), TypeError, "dims: expected a whole number, got 2.5"),
    "activation": (
        make([4, 3, 2], activation="swish"),
        ValueError,
        f"activation: expected one of {ACTIVATIONS}, prelu; got 'swish'",
    ),
    "activation: too many": (
        make([4, 3, 2], activation=["relu", "relu"]),
        ValueError,
        "activation: expected one value or 1, one for each hidden layer; got 2",
    ),
    "keep: too many": (
        make([4, 3, 2], keep=[0.5, 0.5]),
        ValueError,
        "keep: .* hidden layer; got 2",
    ),
    "keep: 0": (make([4, 3, 2], keep=0), ValueError, "keep: .*got 0"),
    "keep: 0, no layer": (make(keep=0), ValueError, "keep: .*got 0"),
    "activation, no layer": (make(activation="swish"), ValueError, "activation: .*got 'swish'"),
    "keep: above": (make([4, 3, 2], keep=[1.5]), ValueError, "keep: .*got 1.5"),
    "keep: nan": (make([4, 3, 2], keep=float("nan")), ValueError, "keep: .*got nan"),
    "loss": (make(loss="hinge"), ValueError, "loss: expected one of softmax, svm, .*; got 'hinge'"),
    "init": (make(init="lucky"), ValueError, "init: expected one of .*kaiming.*'lucky'"),
    "output_init": (make(output_init="lucky"), ValueError, "output_init: expected one of .*lucky"),
    "dtype": (make(dtype="float16"), ValueError, "dtype: expected float32 or float64, got float16"),
    "dtype: nonsense": (make(dtype="number"), TypeError, "dtype: expected float32 or float64"),
    "seed: negative": (make(seed=-1), ValueError, "seed: expected .*got -1"),
    "seed: float": (make(seed=0.5), TypeError, "seed: expected a whole number, got 0.5"),
    "seed: huge": (make(seed=2**64), ValueError, "seed: expected between 0 and"),
}
