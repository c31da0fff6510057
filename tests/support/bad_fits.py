"""Bad data and options for the methods of a network, each with its error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from bad_arrays import D, H, N, floats, with_value
from bad_calls import Case

import fanin

X, y = floats(N, D), np.arange(N) % H
NET = fanin.MLP([D, 5, H], seed=1)
MSE = fanin.MLP([D, 5, H], loss="mse", seed=1)
EXPECTED_X = r"X: expected shape \(N, 4\) uint8, float32 or float64"

BAD_X: dict[str, tuple[Any, Any, str]] = {
    "number": (1.0, TypeError, "X: expected an array, a list or a frame, got float"),
    "None": (None, TypeError, "X: expected an array, a list or a frame, got NoneType"),
    "ragged": (
        [[1.0] * 4, [1.0]] * 3,
        ValueError,
        "X: expected .* in rows of one length, got list",
    ),
    "mixed list": ([[1.0, "a", 2, 3]] * N, TypeError, "X: expected text or numbers, got both"),
    "large whole": ([[0.5, 2**53 + 1, 0, 0]] * N, ValueError, r"X: .*within 2\*\*53, got 9007"),
    "dates": (np.zeros((N, D), "M8[D]"), TypeError, r"X: .*datetime64"),
    "columns": (floats(N, 5), ValueError, EXPECTED_X + r", got \(6, 5\) float32"),
    "one axis": (floats(D), ValueError, EXPECTED_X + r", got \(4,\) float32"),
    "no axis": (floats(), ValueError, EXPECTED_X + r", got \(\) float32"),
    "empty": (floats(0, D), ValueError, EXPECTED_X + r" with at least one row, got \(0, 4\)"),
    "complex": (X.astype(complex), TypeError, r"X: .*complex128"),
    "objects": (X.astype(object), TypeError, r"X: .*object"),
    "text": (X.astype(str), TypeError, r"X: .*<U"),
    "masked": (np.ma.array(X), TypeError, "X: expected a plain array, got a masked array"),
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
    "number": (1, TypeError, "y: expected an array, a list or a frame, got int"),
    "mixed list": ([0, "b", 2, 0, 1, 2], TypeError, "y: expected text or numbers, got both"),
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
        y + np.float32(0.5),
        (TypeError, ValueError),
        r"y: expected whole-number labels.* got 0.5 in row 0",
    ),
    "objects": (np.array([0, 1, 2, None, 1, 2]), (TypeError, ValueError), r"y: expected .*object"),
    "text": (np.array(list("abcdef")), (TypeError, ValueError), r"y: expected .*labels"),
    "complex": (y.astype(complex), (TypeError, ValueError), r"y: expected .*complex"),
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
    "batch_size: 0": (fit(batch_size=0), ValueError, "batch_size: expected at least 1, got 0"),
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
    "sample_weight: number": (fit(batch_size=2, sample_weight=1), TypeError, "sample_weight: "),
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
        "preprocess: expected one of auto, standardize; got 'whiten'",
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
