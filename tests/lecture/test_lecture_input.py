"""What the lecture's API says to bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from lecture_cases import a_model, assert_same_bits, copy, in_python, problem, train

from fanin import ClassifierTrainer, init_two_layer_model, two_layer_net

X, Y = problem(20)
BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"update": "adm"}, ValueError, r"update: expected one of sgd, momentum, .*; got 'adm'"),
    ({"update": 3}, TypeError, "update: expected a name or an object, got int"),
    ({"sampling": "all"}, ValueError, "sampling: expected one of replacement, epoch; got 'all'"),
    ({"batch_size": 0}, ValueError, "batch_size: expected at least 1, got 0"),
    ({"num_epochs": 1.5}, TypeError, "num_epochs: expected a whole number, got 1.5"),
    ({"acc_frequency": 0}, ValueError, "acc_frequency: expected at least 1"),
    ({"learning_rate": -1}, ValueError, "learning_rate: expected at least 0"),
    ({"learning_rate_decay": math.nan}, ValueError, "learning_rate_decay: expected at least 0"),
    ({"momentum": 1}, ValueError, r"rho: expected a number in \[0, 1\)"),
    ({"reg": "big"}, TypeError, "reg: expected a number, got 'big'"),
    ({"stop_ratio": 0.5}, ValueError, "stop_ratio: expected at least 1"),
    ({"seed": -1}, ValueError, "seed: expected between 0 and"),
    ({"n_threads": 0}, ValueError, "n_threads: expected between 1 and"),
    ({"augment_fn": 1}, TypeError, "augment_fn: expected a function, got int"),
    ({"loss_function": "softmax"}, TypeError, "loss_function: expected a function, got str"),
    ({"X_val": X[:0], "y_val": Y[:0]}, ValueError, "X_val: expected .*at least one row"),
    ({"y_val": Y[:3]}, ValueError, r"y_val: expected .*20.* got \(3,\) int64"),
    ({"y": Y * 1.0}, (TypeError, ValueError), "y: expected .*whole numbers.* float64"),
    ({"X": 1.0}, TypeError, "X: expected an array, a list or a frame, got float"),
    ({"model": {}}, TypeError, "model: expected a dict of arrays, got dict"),
    ({"model": {"W1": [1.0]}}, TypeError, r"model\['W1'\]: expected a NumPy array, got list"),
    ({"model": {"W1": np.ones(2, int)}}, ValueError, r"model\['W1'\]: expected a C-contiguous f"),
]


@pytest.mark.parametrize("loss_function", [two_layer_net, in_python])
@pytest.mark.parametrize(("options", "error", "message"), BAD)
def test_bad_argument(options, error, message, loss_function):
    model = a_model()
    before = copy(model)
    options = {"loss_function": loss_function, "model": model} | options
    options = {"X": X, "y": Y, "X_val": X, "y_val": Y} | options
    with pytest.raises(error, match=message):
        ClassifierTrainer().train(**options)
    assert_same_bits(model, before)


def test_read_only_model():
    for loss_function in (two_layer_net, in_python):
        model = a_model()
        model["b1"].flags.writeable = False
        with pytest.raises(ValueError, match=r"model\['b1'\]: expected a writable array"):
            train(model, loss_function)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"W1": np.ones((3, 2))}, "model: expected W1, b1, W2, b2, got W1"),
        (a_model() | {"b1": np.ones(8, np.float32)}, r"b1 \(H,\).*got \(12, 9\), \(8,\)"),
        (a_model() | {"b1": np.ones(9)}, "model: expected one dtype, got float32, float64"),
    ],
)
def test_bad_model_of_two_layers(model, message):
    with pytest.raises(ValueError, match=message):
        two_layer_net(X, model)
    with pytest.raises(ValueError, match=message):
        ClassifierTrainer().train(X, Y, X, Y, model, two_layer_net)


def test_bad_data_of_two_layers():
    with pytest.raises(ValueError, match=r"X: expected shape \(N, 12\).*got \(20, 11\)"):
        two_layer_net(X[:, :11].copy(), a_model())
    with pytest.raises(ValueError, match=r"y: expected labels in 0 .. 3, got 4 in row 0"):
        two_layer_net(X, a_model(), np.full(20, 4))
    broken = X.copy()
    broken[3, 2] = np.nan
    for call in (
        lambda: two_layer_net(broken, a_model()),
        lambda: ClassifierTrainer().train(broken, Y, X, Y, a_model(), two_layer_net),
    ):
        with pytest.raises(ValueError, match="X: expected finite values, got nan in row 3, col"):
            call()
    with pytest.raises(ValueError, match=r"y_val: expected labels in 0 .. 3, got 7 in row 0"):
        ClassifierTrainer().train(X, Y, X, np.full(20, 7), a_model(), two_layer_net)
    with pytest.raises(ValueError, match="input_size: expected between 1 and"):
        init_two_layer_model(0, 5, 2)


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (1.0, TypeError, r"expected \(loss, grads\) for labels, got float"),
        ((None, {}), TypeError, r"expected \(loss, grads\) for labels"),
        ((1.0, [1]), TypeError, "expected grads, got list"),
        ((1.0, {"b": np.ones(1)}), ValueError, "expected grads for w, got b"),
        ((1.0, {"w": np.ones(2)}), ValueError, r"grads\['w'\] of shape \(1,\), got \(2,\)"),
    ],
)
def test_bad_result_of_a_loss_function(result, error, message):
    model = {"w": np.zeros(1)}
    with pytest.raises(error, match=f"loss_function: .*{message}"):
        ClassifierTrainer().train(X, Y, X, Y, model, lambda *_: result)


def test_bad_scores_of_a_loss_function():
    def loss_function(_X, _model, y=None, _reg=0.0):
        return np.zeros(20) if y is None else (1.0, {"w": np.zeros(1)})

    with pytest.raises(ValueError, match=r"loss_function: expected scores of shape \(20, C\)"):
        ClassifierTrainer().train(X, Y, X, Y, {"w": np.zeros(1)}, loss_function)
