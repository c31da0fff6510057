"""`from_sklearn`: scikit-learn's multilayer perceptrons as networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fanin import _validate
from fanin._typing import Array
from fanin.export.layers import Layer, network_of
from fanin.export.packages import required
from fanin.network import MLP

ACTIVATIONS: Mapping[str, str] = {  # scikit-learn's names
    "identity": "identity",
    "logistic": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
}
LOSSES = {"softmax": "softmax", "logistic": "logistic", "identity": "mse", "exp": "poisson"}


def from_sklearn(model: Any) -> MLP:
    """A network with the parameters of a fitted ``MLPClassifier`` or ``MLPRegressor``.

    Parameters
    ----------
    model : sklearn.neural_network.MLPClassifier or MLPRegressor

    Returns
    -------
    MLP
        With the same `predict_proba`; `predict` gives indices into ``model.classes_``, whose names
        are ``net.metadata["class_names"]``; of several labels a row which ones it has. A
        regressor's values are (N, C), also for C = 1. The one logistic output of two classes
        becomes two outputs of a softmax, one of them always 0: the same probabilities.

    Raises
    ------
    TypeError
        For any other object.
    ValueError
        For one that is not fitted, or has learnt a single class.

    Examples
    --------
    >>> from sklearn.neural_network import MLPClassifier
    >>> X, y = np.eye(4), np.array(["no", "no", "yes", "yes"])
    >>> model = MLPClassifier([8], max_iter=500, random_state=0, solver="lbfgs").fit(X, y)
    >>> net = fanin.export.from_sklearn(model)
    >>> net, net.metadata["class_names"]
    (MLP(4-8-2, loss='softmax', dtype='float64', seed=0), ['no', 'yes'])
    >>> bool(np.allclose(net.predict_proba(X), model.predict_proba(X), rtol=0, atol=1e-12))
    True
    """
    known = required("sklearn.neural_network", "from_sklearn", "scikit-learn")
    if not isinstance(model, known.MLPClassifier | known.MLPRegressor):
        got = _validate.describe(model)
        raise TypeError(f"model: expected an MLPClassifier or MLPRegressor, got {got}")
    if not hasattr(model, "coefs_"):
        raise ValueError(f"model: expected a fitted {type(model).__name__}, got one without coefs_")
    weights: list[Array] = [np.ascontiguousarray(w) for w in model.coefs_]
    biases: list[Array] = [np.array(b) for b in model.intercepts_]
    classifies = isinstance(model, known.MLPClassifier)
    loss = LOSSES[_validate.one_of("model.out_activation_", model.out_activation_, LOSSES)]
    if loss == "logistic" and model.n_outputs_ == 1:
        weights[-1], biases[-1] = _softmax_outputs(model, weights[-1], biases[-1])
        loss = "softmax"
    activation = ACTIVATIONS[_validate.one_of("model.activation", model.activation, ACTIVATIONS)]
    hidden = zip(weights[:-1], biases[:-1], strict=True)
    layers = [Layer(w, b, activation) for w, b in hidden] + [Layer(weights[-1], biases[-1])]
    dtype = _validate.float_dtype("model.coefs_", weights[0].dtype)
    net = network_of("model", layers, loss, dtype)
    names = getattr(model, "feature_names_in_", None)
    net.metadata = {
        "task": "classification" if classifies else "regression",
        "class_names": [str(name) for name in model.classes_] if classifies else [],
        "feature_names": None if names is None else [str(name) for name in names],
        "target": None,
        "shape": [net.dims[0]],
        "reading": {},
    }
    return net


def _softmax_outputs(model: Any, weights: Array, bias: Array) -> tuple[Array, Array]:
    """The last layer with an output for each of two classes, of one with one output."""
    if len(model.classes_) != 2:
        raise ValueError(f"model: expected at least 2 classes, got {model.classes_.tolist()}")
    nothing = np.zeros_like(weights)
    return np.hstack([nothing, weights]), np.concatenate([np.zeros_like(bias), bias])
