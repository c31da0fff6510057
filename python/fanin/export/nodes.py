"""Networks and ensembles as ONNX nodes, with what they compute before and after the layers.

Tables say what is added for each transformer, norm and loss; `activations` has the activations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fanin._typing import Array
from fanin.ensemble import Ensemble
from fanin.export.activations import ACTIVATIONS
from fanin.export.graph import Graph
from fanin.export.layers import EPS, Layer, checked_network, layers_of
from fanin.network import MLP
from fanin.network.inputs import Inputs
from fanin.preprocessing.base import Columnwise, Transformer
from fanin.preprocessing.transformers import PCA, Whiten

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


class Output(NamedTuple):
    """What a graph gives: the value's name, its dtype, and its columns (none: one value a row)."""

    name: str
    dtype: np.dtype[Any]
    columns: int | None


# Before the layers


def is_wide(dtype: np.dtype[Any]) -> bool:
    """Whether float32 does not hold every value of the dtype."""
    return np.result_type(dtype, FLOAT32) != FLOAT32


def _linear(g: Graph, x: str, step: Columnwise | PCA | Whiten) -> str:
    """Means are subtracted in float64, before anything is rounded."""
    mean, matrix, scale = step.linear_map()
    x = g.cast(g.op("Sub", g.cast(x, FLOAT64), mean), g.dtype)
    if matrix is not None:
        x = g.op("MatMul", x, matrix.astype(g.dtype))
    return x if scale is None else g.op("Mul", x, scale.astype(g.dtype))


TRANSFORMERS: dict[str, Callable[[Graph, str, Any], str]] = {
    "ZeroCenter": _linear,
    "Normalize": _linear,
    "PCA": _linear,
    "Whiten": _linear,
}


def transform(g: Graph, x: str, step: Transformer) -> str:
    """The rows after a fitted transformer, in the graph's dtype."""
    kind = type(step).__name__
    if kind not in TRANSFORMERS:
        raise ValueError(f"preprocess: expected one of {', '.join(TRANSFORMERS)}, got {kind}")
    with g.within(kind.lower()):
        return TRANSFORMERS[kind](g, x, step)


def enter(g: Graph, x: str, dtype: np.dtype[Any], inputs: Inputs) -> str:
    """Rows of that dtype as the first layer takes them, in the network's."""
    own = inputs.dtype
    for step in inputs.before:
        dtype = FLOAT64 if is_wide(dtype) else own
        with g.within("inputs", dtype):
            x = transform(g, x, step)
    with g.within("inputs", own):
        if inputs.mean is None or inputs.scale is None:
            return x if dtype == own else g.cast(x, own)
        return _standardize(g, x, dtype, inputs.mean, inputs.scale)


def nearest_mean(mean: Array, scale: Array, dtype: np.dtype[Any]) -> Array:
    """The mean as the engine subtracts it from values of the network's dtype.

    It is rounded like them, except where that moves it by over 2**-10 deviations.
    """
    rounded = mean.astype(dtype).astype(FLOAT64)
    return np.asarray(np.where(np.square((rounded - mean) * scale) <= 2**-20, rounded, mean))


def _standardize(g: Graph, x: str, dtype: np.dtype[Any], mean: Array, scale: Array) -> str:
    near = nearest_mean(mean, scale, g.dtype)
    if not is_wide(dtype) and (near == near.astype(g.dtype)).all():
        centred = g.op("Sub", g.cast(x, g.dtype), near.astype(g.dtype))
        return g.op("Mul", centred, scale.astype(g.dtype))
    wide = x if dtype == FLOAT64 else g.cast(x, FLOAT64)
    centre: str | Array = near
    if is_wide(dtype) and g.single and (near != mean).any():
        held = g.op("Equal", wide, g.cast(g.cast(wide, FLOAT32), FLOAT64))
        centre = g.op("Where", held, near, mean)
    result = g.op("Mul", g.op("Sub", wide, centre), scale)
    return g.cast(result, g.dtype) if g.single else result


# The layers


def _layer_norm(g: Graph, x: str, layer: Layer) -> str:
    """In elementary operators: onnxruntime's own takes differences of large squares."""
    assert layer.gamma is not None
    assert layer.beta is not None
    axis = g.constant(np.array([1]), "axis")
    d = g.op("Sub", x, g.op("ReduceMean", x, axis, keepdims=1))
    variance = g.op("ReduceMean", g.op("Mul", d, d), axis, keepdims=1)
    h = g.op("Div", d, g.op("Sqrt", g.op("Add", variance, EPS)))
    return g.op("Add", g.op("Mul", h, layer.gamma), layer.beta)


def _batch_norm(g: Graph, x: str, layer: Layer) -> str:
    """The variance has its constant already: an attribute would be float32."""
    assert layer.variance is not None
    arrays = layer.gamma, layer.beta, layer.mean, layer.variance + layer.variance.dtype.type(EPS)
    return g.op("BatchNormalization", x, *(a for a in arrays if a is not None), epsilon=0.0)


NORMS: dict[str, Callable[[Graph, str, Layer], str]] = {"layer": _layer_norm, "batch": _batch_norm}


def add_layer(g: Graph, x: str, layer: Layer) -> str:
    """The outputs of a layer."""
    bias = () if layer.bias is None else (layer.bias,)
    y = g.op("Gemm", x, layer.weights, *bias)
    if layer.norm is not None:
        y = NORMS[layer.norm](g, y, layer)
    y = ACTIVATIONS[layer.activation].nodes(g, y, layer)
    if layer.factor != 1:
        y = g.op("Mul", y, layer.factor)
    return g.op("Add", x, y) if layer.skip else y


def scores(g: Graph, x: str, dtype: np.dtype[Any], net: MLP) -> str:
    """The scores of a network for rows of that dtype."""
    checked_network("net", net)
    x = enter(g, x, dtype, net.inputs)
    for number, layer in enumerate(layers_of(net), 1):
        with g.within(f"layer{number}", net.dtype):
            x = add_layer(g, x, layer)
    return x


# After the layers


def _label(g: Graph, scores: str, classes: Array | None) -> str:
    """The class of the largest score: its number, or its position where it is text."""
    plain = classes is None or classes.dtype.kind not in "iu"
    if plain or np.array_equal(classes, np.arange(len(classes))):  # type: ignore[arg-type]
        return g.op("ArgMax", scores, axis=1, keepdims=0, output="label")
    at = g.op("ArgMax", scores, axis=1, keepdims=0)
    assert classes is not None
    return g.op("Gather", classes.astype(np.int64), at, output="label")


def _softmax(g: Graph, x: str, net: MLP) -> list[Output]:
    label = _label(g, x, net.classes_)
    probabilities = g.op("Softmax", x, axis=1, output="probabilities")
    return _labelled(label, probabilities, net.dtype, net.dims[-1])


def _svm(g: Graph, x: str, net: MLP) -> list[Output]:
    label = _label(g, x, net.classes_)
    return _labelled(label, g.op("Identity", x, output="scores"), net.dtype, net.dims[-1])


def _logistic(g: Graph, x: str, net: MLP) -> list[Output]:
    """Which labels a row has; or with one score its class of two."""
    if net.targets.kind == "multilabel":
        labels = g.op("Greater", x, 0.0, output="labels")
        probabilities = g.op("Sigmoid", x, output="probabilities")
        columns = net.dims[-1]
        return [Output(labels, np.dtype(bool), columns), Output(probabilities, net.dtype, columns)]
    axis = g.constant(np.array([1]), "axis")
    yes = g.op("Squeeze", g.op("Greater", x, 0.0), axis)
    label = g.op("Cast", yes, to=g.type_of(np.int64), output="label")
    probabilities = both_probabilities(g, x, output="probabilities")
    return _labelled(label, probabilities, net.dtype, 2)


def both_probabilities(g: Graph, x: str, **how: Any) -> str:
    """Of two classes, from their one score."""
    return g.op("Concat", g.op("Sigmoid", g.op("Neg", x)), g.op("Sigmoid", x), axis=1, **how)


def _values(g: Graph, x: str, net: MLP) -> list[Output]:
    return [Output(g.op("Identity", x, output="predictions"), net.dtype, net.dims[-1])]


def _poisson(g: Graph, x: str, net: MLP) -> list[Output]:
    return [Output(g.op("Exp", x, output="predictions"), net.dtype, net.dims[-1])]


def _quantiles(g: Graph, x: str, net: MLP) -> list[Output]:
    """Ascending: those of the first value, then of the next."""
    each, columns = len(net.targets.loss.levels), net.dims[-1]
    if each == 1:
        return _values(g, x, net)
    flat = _ascending(g, x, columns, each)
    return [Output(g.op("Identity", flat, output="predictions"), net.dtype, columns)]


def _ascending(g: Graph, x: str, columns: int, each: int) -> str:
    shaped = g.op("Reshape", x, np.array([-1, columns // each, each]))
    ascending = g.op("TopK", shaped, np.array([each]), axis=2, largest=0, more=["indices"])
    return g.op("Reshape", ascending, np.array([-1, columns]))


def _labelled(label: str, values: str, dtype: np.dtype[Any], columns: int) -> list[Output]:
    return [Output(label, np.dtype(np.int64), None), Output(values, dtype, columns)]


LOSSES: dict[str, Callable[[Graph, str, MLP], list[Output]]] = {
    "softmax": _softmax,
    "svm": _svm,
    "logistic": _logistic,
    "mse": _values,
    "half_squared_error": _values,
    "mae": _values,
    "huber": _values,
    "quantile": _quantiles,
    "poisson": _poisson,
}


def outputs(g: Graph, x: str, dtype: np.dtype[Any], model: MLP | Ensemble) -> list[Output]:
    """Adds all nodes of a network or an ensemble, for rows x of that dtype."""
    if isinstance(model, Ensemble):
        return _ensemble(g, x, dtype, model)
    return LOSSES[model.loss_name](g, scores(g, x, dtype, model), model)


def _ensemble(g: Graph, x: str, dtype: np.dtype[Any], model: Ensemble) -> list[Output]:
    raw = []
    for i, net in enumerate(model.members):
        with g.within(f"member{i}", net.dtype):
            raw.append(scores(g, x, dtype, net))
            raw[-1] = _own_units(g, raw[-1], net)
    own = np.result_type(*(net.dtype for net in model.members))
    first = model.members[0]
    columns = first.dims[-1]
    g.dtype = FLOAT64  # of combinations
    if all(net.targets.loss.takes_values for net in model.members):
        mean = _mean(g, model, raw, "logits")
        return [Output(_result(g, mean, own, "predictions"), own, columns)]
    combined = _mean(g, model, raw, model.combine)
    if first.targets.kind == "multilabel":
        bar = 0.0 if model.combine == "logits" else 0.5
        labels = g.op("Greater", combined, bar, output="labels")
        if model.combine == "logits":
            combined = g.op("Sigmoid", combined)
        values = _result(g, combined, own, "probabilities")
        return [Output(labels, np.dtype(bool), columns), Output(values, own, columns)]
    columns = first.targets.n_classes
    ranked = combined
    if model.combine == "vote":  # those within rounding of the most are a tie
        most = g.op("ReduceMax", combined, np.array([1]), keepdims=1)
        tied = g.op("GreaterOrEqual", combined, g.op("Sub", most, 1e-9))
        ranked = g.op("Where", tied, _mean(g, model, raw, "probability"), -1.0)
    label = _label(g, ranked, model.classes_)
    values = g.op("Softmax", combined, axis=1) if model.combine == "logits" else combined
    return _labelled(label, _result(g, values, own, "probabilities"), own, columns)


def _own_units(g: Graph, x: str, net: MLP) -> str:
    """Values as they are averaged: means of counts, quantiles in order; two classes' scores."""
    each, columns = len(net.targets.loss.levels), net.dims[-1]
    if net.loss_name == "poisson":
        return g.op("Exp", x)
    if net.targets.kind == "binary":
        return g.op("Concat", g.op("Mul", x, 0.0), x, axis=1)
    return x if each == 1 else _ascending(g, x, columns, each)


def _result(g: Graph, x: str, dtype: np.dtype[Any], name: str) -> str:
    return g.op("Cast", x, to=g.type_of(dtype), output=name)


def _mean(g: Graph, model: Ensemble, raw: Sequence[str], how: str) -> str:
    """The members' weighted mean in float64, summed in their order."""
    total = ""
    for net, weight, own in zip(model.members, model.weights, raw, strict=True):
        part = g.op("Mul", _member_output(g, net, own, how), float(weight))
        total = g.op("Add", total, part) if total else part
    return total


def _member_output(g: Graph, net: MLP, raw: str, how: str) -> str:
    """What a member adds to the mean: probabilities, scores or votes."""
    several = net.targets.kind == "multilabel"
    if how == "vote" and several:
        return g.cast(g.op("Greater", raw, g.constant(np.zeros(1, net.dtype))), FLOAT64)
    if how == "vote":
        label = g.op("ArgMax", raw, axis=1, keepdims=1)
        return g.cast(g.op("Equal", label, np.arange(net.targets.n_classes)), FLOAT64)
    if how == "probability" and net.loss_name != "mse":
        own = g.op("Sigmoid", raw) if several else g.op("Softmax", raw, axis=1)
        return g.cast(own, FLOAT64)
    wide = g.cast(raw, FLOAT64)
    if how == "logits":
        return wide
    positive = g.op("Max", wide, 1e-9)
    return g.op("Div", positive, g.op("ReduceSum", positive, np.array([1]), keepdims=1))
