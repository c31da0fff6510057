"""Bad input gets an error that names the argument, what was expected and what came."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import fanin
from fanin import layers

N, D, H = 6, 4, 3
ACTIVATIONS = "identity, relu, leaky_relu, elu, gelu, sigmoid, tanh"


def floats(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def unaligned(a: np.ndarray) -> np.ndarray:
    memory = np.zeros(a.nbytes + 1, np.uint8)[1:]
    result = memory.view(a.dtype).reshape(a.shape)
    result[...] = a
    return result


def read_only(a: np.ndarray) -> np.ndarray:
    a.flags.writeable = False
    return a


def with_value(a: np.ndarray, at: Any, value: float) -> np.ndarray:
    a = a.copy()
    a[at] = value
    return a


swapped = np.dtype(np.float32).newbyteorder()
x, W, b = floats(N, D), floats(D, H), floats(H)
X, y = floats(N, D), np.arange(N) % H

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
        f"activation: expected one of {ACTIVATIONS}; got 'swish'",
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
    "loss": (
        make(loss="hinge"),
        ValueError,
        "loss: expected one of softmax, svm, mse; got 'hinge'",
    ),
    "init": (make(init="lucky"), ValueError, "init: expected one of .*kaiming.*'lucky'"),
    "output_init": (make(output_init="lucky"), ValueError, "output_init: expected one of .*lucky"),
    "dtype": (make(dtype="float16"), ValueError, "dtype: expected float32 or float64, got float16"),
    "dtype: nonsense": (make(dtype="number"), TypeError, "dtype: expected float32 or float64"),
    "seed: negative": (make(seed=-1), ValueError, "seed: expected .*got -1"),
    "seed: float": (make(seed=0.5), TypeError, "seed: expected a whole number, got 0.5"),
    "seed: huge": (make(seed=2**64), ValueError, "seed: expected between 0 and"),
}

NET = fanin.MLP([D, 5, H], seed=1)
MSE = fanin.MLP([D, 5, H], loss="mse", seed=1)
EXPECTED_X = r"X: expected shape \(N, 4\) uint8, float32 or float64"

BAD_X: dict[str, tuple[Any, Any, str]] = {
    "list": ([[1.0] * 4] * N, TypeError, "X: expected a NumPy array, got list"),
    "columns": (floats(N, 5), ValueError, EXPECTED_X + r", got \(6, 5\) float32"),
    "one axis": (floats(D), ValueError, EXPECTED_X + r", got \(4,\) float32"),
    "no axis": (floats(), ValueError, EXPECTED_X + r", got \(\) float32"),
    "empty": (floats(0, D), ValueError, EXPECTED_X + r" with at least one row, got \(0, 4\)"),
    "integers": (
        np.ones((N, D), int),
        TypeError,
        EXPECTED_X + r", got \(6, 4\) int64; .*X.astype\('float32'\) converts",
    ),
    "half": (X.astype(np.float16), TypeError, r"X: .*float16"),
    "bool": (X > 0, TypeError, r"X: .*bool"),
    "complex": (X.astype(complex), TypeError, r"X: .*complex128"),
    "objects": (X.astype(object), TypeError, r"X: .*object"),
    "text": (X.astype(str), TypeError, r"X: .*<U"),
    "swapped": (X.astype(swapped), TypeError, r"X: expected native byte order, got .*>f4"),
    "masked": (np.ma.array(X), TypeError, "X: expected a plain array, got a masked array"),
    "strided": (floats(2 * N, D)[::2], ValueError, r"X: .*np.ascontiguousarray\(.*X\)"),
    "by columns": (np.asfortranarray(X), ValueError, "X: .* C-contiguous"),
    "unaligned": (unaligned(X), ValueError, "X: .* aligned"),
    "nan": (
        with_value(X, (3, 1), np.nan),
        ValueError,
        "X: expected finite values, got nan in row 3, column 1",
    ),
    "infinity": (
        with_value(X.astype(float), (5, 3), -np.inf),
        ValueError,
        "X: expected finite values, got -inf in row 5, column 3",
    ),
    "beyond float32": (
        with_value(X.astype(float), (2, 0), 1e39),
        ValueError,
        r"X: .*1e\+39 in row 2, column 0",
    ),
}
WITH_X: dict[str, Callable[[Any], object]] = {
    "fit": lambda X: NET.fit(X, y, batch_size=2, progress=False),
    "evaluate": lambda X: NET.evaluate(X, y),
    "predict": lambda X: NET.predict(X),
    "predict_proba": lambda X: NET.predict_proba(X),
    "scores": lambda X: NET.scores(X),
    "loss": lambda X: NET.loss(X, y),
    "loss_and_grads": lambda X: NET.loss_and_grads(X, y),
    "validation_data": lambda X: NET.fit(
        floats(N, D), y, validation_data=(X, y), epochs=1, batch_size=2, progress=False
    ),
}

BAD_Y: dict[str, tuple[Any, Any, str]] = {
    "list": (list(y), TypeError, "y: expected a NumPy array, got list"),
    "too large": (
        with_value(y, 4, 3),
        ValueError,
        r"y: expected labels in 0 \.\. 2, got 3 in row 4",
    ),
    "negative": (with_value(y, 2, -1), ValueError, r"y: .*0 \.\. 2, got -1 in row 2"),
    "huge": (with_value(y.astype(np.uint64), 2, 2**63), ValueError, r"y: .*got 9223.* in row 2"),
    "short": (y[:-1], ValueError, r"y: expected shape \(6,\) of labels, got \(5,\) int64"),
    "long": (np.zeros(7, int), ValueError, r"y: expected shape \(6,\) of labels, got \(7,\)"),
    "empty": (np.zeros(0, int), ValueError, r"y: expected shape \(6,\) of labels, got \(0,\)"),
    "column": (
        y[:, None],
        ValueError,
        r"y: expected \(6,\) whole-number labels or \(6, 3\) .*got \(6, 1\) int64",
    ),
    "floats": (
        y.astype(np.float32),
        (TypeError, ValueError),
        r"y: expected .*whole-number labels.* got \(6,\) float32",
    ),
    "bool": (y > 0, (TypeError, ValueError), r"y: expected .*whole.*bool"),
    "objects": (y.astype(object), (TypeError, ValueError), r"y: expected .*object"),
    "text": (y.astype(str), (TypeError, ValueError), r"y: expected .*<U"),
    "swapped": (y.astype(">i8"), TypeError, r"y: expected native byte order, got .*>i8"),
    "masked": (np.ma.array(y), TypeError, "y: .*masked array"),
    "soft: columns": (np.full((N, 2), 0.5), ValueError, r"y: .*\(6, 3\) .*got \(6, 2\) float64"),
    "soft: rows": (np.full((5, H), 0.5), ValueError, r"y: .*\(6, 3\) .*got \(5, 3\) float64"),
    "soft: nan": (with_value(np.full((N, H), 1 / 3), (1, 2), np.nan), ValueError, "y: .*row 1"),
    "soft: negative": (with_value(np.full((N, H), 1 / 3), (1, 2), -1), ValueError, "y: .*row 1"),
}
WITH_Y: dict[str, Callable[[Any], object]] = {
    "fit": lambda y: NET.fit(X, y, batch_size=2, progress=False),
    "evaluate": lambda y: NET.evaluate(X, y),
    "loss": lambda y: NET.loss(X, y),
    "loss_and_grads": lambda y: NET.loss_and_grads(X, y),
    "validation_data": lambda y: NET.fit(
        X, np.arange(N) % H, validation_data=(X, y), epochs=1, batch_size=2, progress=False
    ),
}


def fit(**options: Any) -> Callable[[], object]:
    arguments = {"X": X, "y": y, "progress": False} | options
    return lambda: NET.fit(**arguments)


FIT: dict[str, Case] = {
    "one class": (fit(y=np.ones(N, int)), ValueError, "y: expected at least two classes.* 1"),
    "epochs: negative": (fit(epochs=-1), ValueError, "epochs: expected at least 0, got -1"),
    "epochs: float": (fit(epochs=1.5), TypeError, "epochs: expected a whole number, got 1.5"),
    "batch_size: 0": (
        fit(batch_size=0),
        ValueError,
        "batch_size: expected between 1 and 6, got 0",
    ),
    "batch_size: beyond": (
        fit(batch_size=7),
        ValueError,
        "batch_size: expected between 1 and 6, got 7",
    ),
    "batch_size: float": (fit(batch_size=2.0), TypeError, "batch_size: .*whole number, got 2.0"),
    "batch_size: text": (fit(batch_size="all"), TypeError, "batch_size: .*got 'all'"),
    "optimizer": (
        fit(batch_size=2, optimizer="adamm"),
        ValueError,
        "optimizer: expected one of .*sgd.*adam.*lion.*got 'adamm'",
    ),
    "optimizer: number": (
        fit(batch_size=2, optimizer=0.1),
        (TypeError, ValueError),
        "optimizer: expected .*got float",
    ),
    "optimizer: class": (
        fit(batch_size=2, optimizer=fanin.optim.Adam),
        (TypeError, ValueError),
        "optimizer: expected .*got type",
    ),
    "schedule": (
        fit(batch_size=2, schedule="cosin"),
        ValueError,
        "schedule: expected one of .*cosine.*got 'cosin'",
    ),
    "schedule: number": (fit(batch_size=2, schedule=0.1), TypeError, "schedule: .*got 0.1"),
    "sampling": (
        fit(batch_size=2, sampling="epochs"),
        ValueError,
        "sampling: expected one of epoch, replacement; got 'epochs'",
    ),
    "reg: negative": (fit(batch_size=2, reg=-1), ValueError, "reg: expected at least 0.*got -1"),
    "reg: nan": (fit(batch_size=2, reg=np.nan), ValueError, "reg: .*got nan"),
    "reg: text": (fit(batch_size=2, reg="l2"), TypeError, "reg: expected a number, got 'l2'"),
    "clip_norm: 0": (fit(batch_size=2, clip_norm=0), ValueError, "clip_norm: .*above 0.*got 0"),
    "clip_norm: nan": (fit(batch_size=2, clip_norm=np.nan), ValueError, "clip_norm: .*got nan"),
    "n_threads: 0": (
        fit(batch_size=2, n_threads=0),
        ValueError,
        "n_threads: .*between 1 and 256, got 0",
    ),
    "n_threads: huge": (fit(batch_size=2, n_threads=2**40), ValueError, "n_threads: "),
    "sample_weight: length": (
        fit(batch_size=2, sample_weight=np.ones(5)),
        ValueError,
        r"sample_weight: expected shape \(6,\) of numbers, got \(5,\) float64",
    ),
    "sample_weight: list": (fit(batch_size=2, sample_weight=[1] * N), TypeError, "sample_weight: "),
    "sample_weight: negative": (
        fit(batch_size=2, sample_weight=with_value(np.ones(N), 1, -1)),
        ValueError,
        "sample_weight: expected finite weights, at least 0 and not all 0",
    ),
    "sample_weight: nan": (
        fit(batch_size=2, sample_weight=with_value(np.ones(N), 1, np.nan)),
        ValueError,
        "sample_weight: expected finite",
    ),
    "sample_weight: zeros": (
        fit(batch_size=2, sample_weight=np.zeros(N)),
        ValueError,
        "sample_weight: .*not all 0",
    ),
    "sample_weight: beyond float32": (
        fit(batch_size=2, sample_weight=np.full(N, 1e39)),
        ValueError,
        "sample_weight: expected finite",
    ),
    "sample_weight: text": (
        fit(batch_size=2, sample_weight=np.full(N, "1")),
        (TypeError, ValueError),
        "sample_weight: expected .*<U1",
    ),
    "preprocess": (
        fit(batch_size=2, preprocess="whiten"),
        ValueError,
        "preprocess: expected one of standardize; got 'whiten'",
    ),
    "preprocess: shape": (
        fit(batch_size=2, preprocess=(np.zeros(3), 1.0)),
        ValueError,
        r"preprocess: expected mean and scale of one .*value or 4 each, got .*\(3,\)",
    ),
    "preprocess: three": (fit(batch_size=2, preprocess=(0, 1, 2)), ValueError, "preprocess: "),
    "preprocess: number": (
        fit(batch_size=2, preprocess=0.5),
        (TypeError, ValueError),
        r"preprocess: expected .*\(mean, scale\), got 0.5",
    ),
    "preprocess: text": (
        fit(batch_size=2, preprocess=("a", "b")),
        (TypeError, ValueError),
        "preprocess: expected ",
    ),
    "preprocess: nan": (
        fit(batch_size=2, preprocess=(0, np.nan)),
        ValueError,
        "preprocess: expected .*finite",
    ),
    "preprocess: beyond float32": (
        fit(batch_size=2, preprocess=(0, 1e39)),
        ValueError,
        "preprocess: expected .*finite",
    ),
    "validation_data: one": (
        fit(batch_size=2, validation_data=(X,)),
        (TypeError, ValueError),
        r"validation_data: expected \(X, y\)",
    ),
    "validation_data: array": (
        fit(batch_size=2, validation_data=X),
        (TypeError, ValueError),
        r"validation_data: expected \(X, y\)",
    ),
    "callbacks: one": (
        fit(batch_size=2, callbacks=fanin.callbacks.Callback()),
        TypeError,
        "callbacks: expected",
    ),
    "callbacks: number": (fit(batch_size=2, callbacks=5), TypeError, "callbacks: expected"),
    "callbacks: function": (fit(batch_size=2, callbacks=[print]), TypeError, "callbacks: expected"),
    "mse: nan": (
        lambda: MSE.fit(X, with_value(floats(N, H), (2, 0), np.nan), batch_size=2, progress=False),
        ValueError,
        "y: .*row 2",
    ),
    "mse: beyond float32": (
        lambda: MSE.evaluate(X, with_value(floats(N, H, dtype=float), (2, 0), 1e39)),
        ValueError,
        "y: .*row 2",
    ),
    "dropout_step": (
        lambda: NET.loss_and_grads(X, y, dropout_step=-1),
        ValueError,
        "dropout_step: expected .*got -1",
    ),
    "set_num_threads": (lambda: fanin.set_num_threads(0), ValueError, "n: expected .*got 0"),
}

CASES = {
    **{f"dense: {k}": v for k, v in DENSE.items()},
    **{f"layers: {k}": v for k, v in LAYERS.items()},
    **{f"MLP: {k}": v for k, v in MLP.items()},
    **{
        f"{name}: X: {k}": (lambda f=f, v=v: f(v[0]), v[1], v[2])
        for name, f in WITH_X.items()
        for k, v in BAD_X.items()
    },
    **{
        f"{name}: y: {k}": (lambda f=f, v=v: f(v[0]), v[1], v[2])
        for name, f in WITH_Y.items()
        for k, v in BAD_Y.items()
    },
    **{f"fit: {k}": v for k, v in FIT.items()},
}


def everything_about(net: fanin.MLP) -> tuple[Any, ...]:
    entry = net._entry
    data = [None if a is None else a.tobytes() for a in (entry.mean, entry.scale)]
    return net.get_parameters().tobytes(), *data, net.epochs_done, net.steps_done, net.history


@pytest.mark.parametrize("case", CASES)
def test_error_names_what_is_wrong_and_changes_nothing(case: str) -> None:
    call, kind, message = CASES[case]
    before = everything_about(NET), everything_about(MSE), fanin.get_num_threads()
    with pytest.raises(kind) as caught:
        call()
    assert re.search(message, str(caught.value)), str(caught.value)
    assert "\n" not in str(caught.value)
    assert (everything_about(NET), everything_about(MSE), fanin.get_num_threads()) == before


def test_a_failed_call_takes_no_draws() -> None:
    rng = fanin.random.Generator(seed=1)
    with pytest.raises(ValueError, match="x: expected"):
        layers.dense(floats(N, 5), W, keep=0.5, rng=rng)
    assert rng.position == 0


def test_out_is_untouched_after_an_error() -> None:
    out = np.full((N, H), 7, np.float32)
    with pytest.raises(TypeError, match="b: expected"):
        layers.dense(x, W, b.astype(np.float64), out=out)
    assert (out == 7).all()


def test_uint8_and_read_only_data_are_fine() -> None:
    data = read_only(np.arange(N * D, dtype=np.uint8).reshape(N, D))
    net = fanin.MLP([D, H])
    net.fit(data, read_only(y.copy()), batch_size=2, epochs=1, progress=False)
    assert net.predict(data).shape == (N,)


FLOATS = [np.float32, np.float64]
OTHERS = [np.float16, np.int64, np.uint8, bool, complex, object, "U3", ">f4"]


@st.composite
def odd_arrays(draw: st.DrawFn, like: tuple[int, ...]) -> np.ndarray:
    """An array of about that shape, of any dtype, laid out in any way."""
    shape = draw(
        st.one_of(st.just(like), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
    )
    dtype = np.dtype(draw(st.sampled_from(FLOATS * 4 + OTHERS)))
    steps = [draw(st.sampled_from([1, 1, 1, 2, -1])) for _ in shape]
    order = draw(st.sampled_from("CCCF"))
    memory = np.ones([n * abs(s) for n, s in zip(shape, steps, strict=True)], dtype, order)
    a = memory[(*(slice(None, None, s) for s in steps), ...)]
    kind = draw(st.sampled_from(["plain"] * 6 + ["masked", "unaligned", "spread", "read-only"]))
    if kind == "masked":
        return np.ma.array(a)
    if kind == "unaligned" and not dtype.hasobject:
        return unaligned(np.array(a))
    if kind == "spread" and a.ndim:
        return np.broadcast_to(a[:1], a.shape) if a.shape[0] else a
    if kind == "read-only":
        a.flags.writeable = False
    return a


def outcome(call: Callable[[], Any], arguments: str) -> Any:
    """What the call gives; None where it fails with an error that names one of the arguments."""
    try:
        return call()
    except (TypeError, ValueError) as error:
        message = str(error)
    assert re.match(f"({arguments}): expected", message), message
    return None


def contents(a: np.ndarray) -> Any:
    return a.tolist() if a.dtype.hasobject else a.tobytes()


@given(
    arrays=st.tuples(odd_arrays((5, 3)), odd_arrays((3, 4)), odd_arrays((4,)), odd_arrays((5, 4))),
    given_b=st.booleans(),
    given_out=st.booleans(),
    keep=st.sampled_from([1.0, 0.5]),
    activation=st.sampled_from(ACTIVATIONS.split(", ")),
)
def test_dense_of_any_arrays_is_a_value_or_a_named_error(
    arrays: tuple[np.ndarray, ...], given_b: bool, given_out: bool, keep: float, activation: str
) -> None:
    x, W, b, out = arrays
    options: dict[str, Any] = {"activation": activation, "keep": keep, "rng": 0}
    if given_out:
        options["out"] = out
    before = [contents(a) for a in (x, W, b)]
    y = outcome(lambda: layers.dense(x, W, b if given_b else None, **options), "x|W|b|out")
    assert [contents(a) for a in (x, W, b)] == before
    if y is None:
        return
    assert y.shape == (x.shape[0], W.shape[1])
    assert y.dtype == x.dtype == W.dtype
    assert given_out == (y is out)
    if activation in ("identity", "relu"):
        total = x.astype(float) @ W.astype(float) + (b.astype(float) if given_b else 0)
        assert np.isin(y, [0.0, *(np.unique(total) / keep)]).all()


@given(array=odd_arrays((5, 4)), dtype=st.sampled_from(["float32", "float64"]))
def test_network_of_any_array_is_a_value_or_a_named_error(array: np.ndarray, dtype: str) -> None:
    net = fanin.MLP([4, 3], dtype=dtype)
    scores = outcome(lambda: net.scores(array), "X")
    if scores is not None:
        assert scores.shape == (array.shape[0], 3)
        assert np.isfinite(scores).all()


@given(labels=odd_arrays((5,)))
def test_labels_of_any_kind_are_a_value_or_a_named_error(labels: np.ndarray) -> None:
    net = fanin.MLP([4, 3])
    result = outcome(lambda: net.evaluate(np.ones((5, 4), np.float32), labels), "y")
    assert result is None or np.isfinite(result["loss"])
