"""`register_skl2onnx`: fanin's transformers and estimators in pipelines that skl2onnx converts."""

from __future__ import annotations

from typing import Any

import numpy as np

from fanin import preprocessing
from fanin._validate import describe
from fanin.export.graph import Graph
from fanin.export.nodes import TRANSFORMERS, both_probabilities, outputs, scores, transform
from fanin.export.packages import required
from fanin.network import MLP

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
WHOLE = ("UInt8", "Int8", "UInt16", "Int16", "UInt32", "Int32", "UInt64", "Int64")
DTYPES = {  # of skl2onnx's types
    "Float16TensorType": "float16",
    "FloatTensorType": "float32",
    "DoubleTensorType": "float64",
    "BooleanTensorType": "bool",
} | {f"{kind}TensorType": kind.lower() for kind in WHOLE}
OPSET = 20


def register_skl2onnx(*estimators: type) -> None:
    """Teaches skl2onnx to convert fanin's transformers, and estimators with a network.

    Parameters
    ----------
    *estimators : class
        Those of `fanin.estimators`, such as `NetClassifier` or `Normalize`, or your own. Each
        fitted object has an MLP as ``network_``; a classifier has ``classes_`` too, whole
        numbers or strings in the order of the network's outputs. They are scikit-learn's
        (``ClassifierMixin`` or ``RegressorMixin``), and what they compute is the network's
        `predict_proba`, or its `predict`. A transformer has one of `fanin.preprocessing` as
        ``transformer_``.

    Notes
    -----
    Transformers of `fanin.preprocessing` need not be named. Calling it again changes nothing.

    Examples
    --------
    >>> import skl2onnx
    >>> fanin.export.register_skl2onnx()
    >>> X = np.array([[1, 50], [3, 90]], np.float32)
    >>> normalize = fanin.preprocessing.Normalize().fit(X)
    >>> model = skl2onnx.to_onnx(normalize, X)
    >>> [node.op_type for node in model.graph.node]
    ['Cast', 'Sub', 'Cast', 'Mul']
    >>> from onnx.reference import ReferenceEvaluator
    >>> ReferenceEvaluator(model).run(None, {"X": X})
    [array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)]
    """
    skl2onnx = required("skl2onnx", "register_skl2onnx", "skl2onnx")
    register = skl2onnx.update_registered_converter
    for name in TRANSFORMERS:
        kind = getattr(preprocessing, name)
        register(kind, f"Fanin{name}", _transformer_shape, _convert_transformer)
    for kind in estimators:
        if not isinstance(kind, type):
            raise TypeError(f"estimators: expected classes, got {describe(kind)}")
        name = f"Fanin{kind.__name__}"
        if _is_classifier(kind):
            options = {"zipmap": [True, False, "columns"], "nocl": [True, False]}
            register(kind, name, _classifier_shape, _convert_classifier, options=options)
        elif hasattr(kind, "transform"):
            register(kind, name, _transformer_shape, _convert_transformer)
        else:
            register(kind, name, _regressor_shape, _convert_regressor)


def _is_classifier(kind: type) -> bool:
    """Whether scikit-learn calls it one."""
    base = required("sklearn.base", "register_skl2onnx", "scikit-learn")
    return issubclass(kind, base.ClassifierMixin)


def _types() -> Any:
    return required("skl2onnx.common.data_types", "register_skl2onnx", "skl2onnx")


def _input_dtype(operator: Any) -> np.dtype[Any]:
    kinds = {type(value.type).__name__ for value in operator.inputs}
    if unknown := kinds - DTYPES.keys():
        raise ValueError(f"initial_types: expected numbers, got {', '.join(sorted(unknown))}")
    return np.result_type(*(np.dtype(DTYPES[kind]) for kind in kinds))


def _tensor_type(dtype: np.dtype[Any], columns: int) -> Any:
    kinds = {FLOAT32: "FloatTensorType", FLOAT64: "DoubleTensorType"}
    return getattr(_types(), kinds[dtype])([None, columns])


def _network(operator: Any) -> MLP:
    net = getattr(operator.raw_operator, "network_", None)
    if not isinstance(net, MLP):
        name = type(operator.raw_operator).__name__
        raise ValueError(f"model: expected a fitted {name} with an MLP as network_")
    return net


def _transformer(operator: Any) -> Any:
    """Of `fanin.preprocessing`: the object or what it holds."""
    return getattr(operator.raw_operator, "transformer_", operator.raw_operator)


def _transformer_dtype(operator: Any) -> np.dtype[Any]:
    """As `transform` gives it: float64 for float64, else float32."""
    return FLOAT64 if _input_dtype(operator) == FLOAT64 else FLOAT32


def _transformer_shape(operator: Any) -> None:
    columns = _transformer(operator).n_features_out_
    operator.outputs[0].type = _tensor_type(_transformer_dtype(operator), columns)


def _classifier_shape(operator: Any) -> None:
    net, types = _network(operator), _types()
    strings = np.asarray(operator.raw_operator.classes_).dtype.kind in "OUST"
    label = types.StringTensorType if strings else types.Int64TensorType
    operator.outputs[0].type = label([None])
    operator.outputs[1].type = _tensor_type(net.dtype, net.targets.n_classes)


def _regressor_shape(operator: Any) -> None:
    net = _network(operator)
    operator.outputs[0].type = _tensor_type(net.dtype, net.dims[-1])


def _begin(scope: Any, operator: Any, dtype: np.dtype[Any]) -> tuple[Graph, str]:
    """An empty graph, and the name of its rows: columns that come one by one are put together."""
    prefix = scope.get_unique_operator_name(type(operator.raw_operator).__name__)
    g = Graph(required("onnx", "register_skl2onnx", "fanin[onnx]"), dtype, f"{prefix}.")
    names = [value.full_name for value in operator.inputs]
    if len(names) == 1:
        return g, str(names[0])
    common = _input_dtype(operator)
    return g, g.op("Concat", *(g.cast(name, common) for name in names), axis=1)


def _finish(g: Graph, container: Any, outputs: dict[str, Any]) -> None:
    """Puts the graph into skl2onnx's, its outputs under the names of the operator's."""
    names = {name: variable.full_name for name, variable in outputs.items()}
    for tensor in g.constants:
        values = g.onnx.numpy_helper.to_array(tensor)
        container.add_initializer(tensor.name, tensor.data_type, values.shape, values.ravel())
    for node in g.nodes:
        attributes = {a.name: g.onnx.helper.get_attribute_value(a) for a in node.attribute}
        version = g.onnx.defs.get_schema(node.op_type, OPSET).since_version
        container.add_node(
            node.op_type,
            [names.get(name, name) for name in node.input],
            [names.get(name, name) for name in node.output],
            op_version=version,
            name=node.name,
            **attributes,
        )


def _convert_transformer(scope: Any, operator: Any, container: Any) -> None:
    g, x = _begin(scope, operator, _transformer_dtype(operator))
    _finish(g, container, {transform(g, x, _transformer(operator)): operator.outputs[0]})


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    net, classes = _network(operator), np.asarray(operator.raw_operator.classes_)
    binary = net.targets.kind == "binary"
    if not (net.loss_name == "softmax" or binary) or len(classes) != net.targets.n_classes:
        raise ValueError(
            f"model: expected a network with loss='softmax' and {len(classes)} outputs, "
            f"one for each of classes_, or one of 'logistic' for two, got {net!r}"
        )
    g, x = _begin(scope, operator, net.dtype)
    raw = scores(g, x, _input_dtype(operator), net)
    if binary:
        probabilities = both_probabilities(g, raw)
        raw = g.op("Concat", g.op("Neg", raw), raw, axis=1)
    else:
        probabilities = g.op("Softmax", raw, axis=1)
    values = classes.astype(np.object_ if classes.dtype.kind in "OUST" else np.int64)
    label = g.op("Gather", values, g.op("ArgMax", raw, axis=1, keepdims=0))
    _finish(g, container, {label: operator.outputs[0], probabilities: operator.outputs[1]})


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    net = _network(operator)
    g, x = _begin(scope, operator, net.dtype)
    if not net.targets.loss.takes_values:
        raise ValueError(f"model: expected a network with a loss of values, got {net!r}")
    (values,) = outputs(g, x, _input_dtype(operator), net)
    _finish(g, container, {values.name: operator.outputs[0]})
